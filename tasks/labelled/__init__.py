"""Where examples were read before they moved to `corpus.examples`; goes with the next release."""
