"""Ratios against peers: cleaning, tokenizing, training, fine-tuning and serving beside the direct way."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # as in tasks, for scripts that import nothing of it
