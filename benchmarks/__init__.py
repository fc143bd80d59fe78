"""Ratios against peers: what the served model and the training loop cost beside the direct way."""
