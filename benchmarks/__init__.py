"""Ratios against peers: what the served model and the training loop cost beside the direct way."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # as in tasks, for scripts that import nothing of it
