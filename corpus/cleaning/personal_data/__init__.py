"""Personal data and secrets: how they are written, what only looks like them, and how they are masked."""
