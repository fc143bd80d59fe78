"""Where a training starts that does not start from random weights: a folder, the hub, the registry."""
