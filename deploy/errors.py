"""The one error of this package; it stands alone, so it can't use the hierarchy in `tasks`."""


class TritonError(ValueError):
    """The server, its repository or a model can't do what was asked; the message says the way out."""
