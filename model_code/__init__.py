"""Training, evaluation and export in torch; runs on a machine that has nothing else of ours."""

import os

# Threads that wait by spinning slow training on a shared machine up to eightfold;
# OpenMP reads this once, when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
