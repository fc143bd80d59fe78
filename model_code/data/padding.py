"""How wide a row of tokens gets."""

MULTIPLE = 8  # few shapes, aligned rows


def padded_length(longest: int) -> int:
    """The width of rows whose longest sequence has so many tokens: rounded up to eight."""
    return -(-longest // MULTIPLE) * MULTIPLE
