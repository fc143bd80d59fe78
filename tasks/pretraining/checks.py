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
        tokens: with the folder of the tokenizer, where the recipe names one that is here.
        start: the checkpoint to go on from, None where there is none or it is not here yet.

    Returns:
        The positions of the model; None where they have no end or are not known yet.

    Raises:
        RecipeError: a batch can't be shared, sentinels are too few, or the checkpoint can't be started from.
    """
    from model_code.errors import TrainingError
    from model_code.objectives.choice import require_sentinels
    from model_code.objectives.names import OBJECTIVES

    devices = processes_of(config)
    if config.batch_size % devices:
        raise RecipeError(
            f"pretrain.batch_size {config.batch_size} can't be shared evenly by {devices} devices; "
            f"make it a multiple of {devices}, or set pretrain.devices"
        )
    try:
        if start:
            return _check_start(config.model_copy(update={"start_from": str(start)}), tokens)
        if config.start_from:
            return None
        objective = config.objective or OBJECTIVES[config.family][0]
        if objective == "span_corruption" and not tokens.pretrained:
            sentinels = tokens.conventions.sentinels
            require_sentinels(config.sequence_length, config.noise_density, config.mean_span, sentinels)
    except TrainingError as error:
        raise RecipeError(f"pretrain: {error}") from error
    return None if config.family == "t5" else config.shape.max_positions


def _check_start(config: PretrainConfig, tokens: TokenizeConfig) -> int | None:
    """Refuse a checkpoint that does not fit what the recipe says of it; returns its positions."""
    from corpus.tokenizing.pretrained import load_own
    from model_code.models.further import check_start, model_type_of, require_own_tokenizer
    from model_code.objectives.choice import objective_of

    model_type_of(config)
    if not tokens.pretrained:  # not here yet
        return None
    tokenizer, vocabulary = load_own(tokens.pretrained)
    require_own_tokenizer(config.start_from, tokenizer, f"tokenize.pretrained {tokens.pretrained}")
    objective_of(config, vocabulary)
    return check_start(config, vocabulary)
