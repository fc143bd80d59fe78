"""What a model is trained to guess, one objective a file."""
