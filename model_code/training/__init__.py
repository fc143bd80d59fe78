"""The training loop, its optimizers and schedules, and its checkpoints."""
