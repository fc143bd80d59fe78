"""The errors of text, documents and examples; `tasks/contract/errors.py` draws the whole hierarchy."""

from corpus.redaction import redacted


class TextmillError(ValueError):
    """Something a user can put right; the message says what was found and the way out.

    It is kept in records and databases, so it holds no credentials.
    """

    def __init__(self, message: str) -> None:
        super().__init__(redacted(message))


class RecipeError(TextmillError):
    """A recipe, an option or the environment is not valid."""


class CorpusError(TextmillError):
    """A corpus, its tokens or its examples can't be made."""


class SourceError(CorpusError):
    """A source of documents can't be read."""
