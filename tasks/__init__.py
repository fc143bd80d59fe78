"""The ten stages of the line, one file each, and the contract they share (stage.py)."""
