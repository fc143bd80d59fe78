"""The old name of `corpus.examples.hidden_names`, for scripts that import it; goes with the next release."""

from corpus.examples.hidden_names import hider, names_pattern

__all__ = ["hider", "names_pattern"]
