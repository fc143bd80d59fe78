"""The one error of the training side; it stands alone, so the rest of the project is not needed."""


class TrainingError(ValueError):
    """Training can't go on; the message names what was found and the way out."""
