"""What a pretraining can't be, as far as the recipe and a folder on this machine say it."""

from __future__ import annotations

from pathlib import Path

from corpus.tokenizing.config import TokenizeConfig
from model_code.config.pretraining import PretrainConfig
from tasks.contract.errors import RecipeError
from tasks.pretrain import processes_of


def check_pretraining(config: PretrainConfig, tokens: TokenizeConfig, start: Path | None) -> int | None:
    """Refuse what the trainer would by its config alone.

    Args:
        start: the checkpoint to go on from, None where there is none or it is not here yet.

    Returns:
        The positions of the model; None where they have no end or are not known yet.

    Raises:
        RecipeError: a batch can't be shared, sentinels are too few, or the checkpoint can't be started from.
    """
    from model_code.errors import TrainingError
    from model_code.models.checkpoints import check_start
    from model_code.objectives.choice import require_sentinels
    from model_code.objectives.names import OBJECTIVES

    devices = processes_of(config)
    if config.batch_size % devices:
        raise RecipeError(
            f"pretrain.batch_size {config.batch_size} can't be shared evenly by {devices} devices; "
            f"make it a multiple of {devices}, or set pretrain.devices"
        )
    objective = config.objective or OBJECTIVES[config.family][0]
    try:
        if objective == "span_corruption" and not tokens.pretrained:
            sentinels = tokens.conventions.sentinels
            require_sentinels(config.sequence_length, config.noise_density, config.mean_span, sentinels)
        if start:
            made = None if tokens.pretrained else tokens.vocabulary
            return check_start(str(start), config.family, config.sequence_length, made)
    except TrainingError as error:
        raise RecipeError(f"pretrain: {error}") from error
    return None if config.start_from or config.family == "t5" else config.shape.max_positions
