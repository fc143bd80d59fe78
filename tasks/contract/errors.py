"""Every error a user can meet, in one small hierarchy.

    ValueError
    ├── TextmillError            what the command prints as one line, without a traceback
    │   ├── RecipeError          a recipe or an option is wrong; nothing has started (exit code 2)
    │   ├── ServerError          Prefect, MLflow or Triton can't be started or reached (exit code 1)
    │   ├── CorpusError          text, tokens or examples can't be made (exit code 1)
    │   │   └── SourceError      a source of documents can't be read
    │   └── StageError           a stage said no (exit code 1)
    │       ├── GateRefused      the new model did not meet the recipe's demands
    │       └── ParityError      an export or an endpoint answers differently from the model
    ├── model_code.errors.TrainingError    raised on the training side, which knows nothing of us
    └── deploy.errors.TritonError          raised by the serving side, likewise

The last two come from packages that stand alone; `stage.py` turns them into a
`StageError` that names the stage.
"""

from corpus.errors import CorpusError as CorpusError
from corpus.errors import RecipeError as RecipeError
from corpus.errors import SourceError as SourceError
from corpus.errors import TextmillError as TextmillError


class ServerError(TextmillError):
    """A server can't be started, reached or stopped."""


class StageError(TextmillError):
    """A stage can't do its work."""


class GateRefused(StageError):
    """The new model does not meet the recipe's demands, or is worse than the champion."""


class ParityError(StageError):
    """An exported or deployed model gives other answers than the model it was made from."""
