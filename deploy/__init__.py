"""Serving: the Triton server, its model repository, and the switch from one version to the next."""
