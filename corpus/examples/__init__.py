"""Labelled examples: read from the files in which people have them, or made of the corpus' documents."""
