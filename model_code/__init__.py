"""Training, evaluation and export in torch; runs on a machine that has nothing else of ours."""

import os

# How long OpenMP's threads wait by spinning before they sleep; read once, when torch is first imported.
# Spinning for ever is fastest alone and four times slower beside another busy process; this loses little
# in either case (docs/decisions.md has the figures).
os.environ.setdefault("GOMP_SPINCOUNT", "2000")
