from dataclasses import replace
from pathlib import Path

import pytest

from model_code.config.pretraining import PretrainConfig
from model_code.data.vocabulary import Vocabulary
from model_code.errors import TrainingError
from model_code.models.families import FAMILIES
from model_code.objectives.causal import Causal
from model_code.objectives.choice import objective_of
from model_code.objectives.masked import Masked
from model_code.objectives.names import OBJECTIVES
from model_code.objectives.next_sentence import MaskedNextSentence
from model_code.objectives.span_corruption import SpanCorruption
from tests.model_code.objectives.packed import VOCABULARY


def test_every_family_has_a_usual_objective() -> None:
    kinds = dict.fromkeys(["modernbert", "bert"], Masked) | dict.fromkeys(["gpt2", "llama"], Causal)
    kinds |= dict.fromkeys(["t5", "marian"], SpanCorruption)
    assert OBJECTIVES.keys() == FAMILIES.keys() == kinds.keys()
    for family, kind in kinds.items():
        assert type(objective_of(PretrainConfig(family=family), VOCABULARY)) is kind


def test_the_config_reaches_the_objective() -> None:
    config = PretrainConfig(
        family="bert", objective="masked_next_sentence", mask_rate=0.15, z_loss=1e-4, noise_density=0.2
    )
    objective = objective_of(config, VOCABULARY)
    assert isinstance(objective, MaskedNextSentence)
    assert (objective.masked.rate, objective.masked.z_loss, objective.masked.words) == (0.15, 1e-4, None)
    t5 = objective_of(
        config.model_copy(update={"family": "t5", "objective": "", "mean_span": 2.0}), VOCABULARY
    )
    assert isinstance(t5, SpanCorruption)
    assert (t5.noise_density, t5.mean_span, t5.z_loss) == (0.2, 2.0, 1e-4)


def test_what_does_not_fit_is_refused(corpus: Path) -> None:
    with pytest.raises(TrainingError, match="no token for mask, which masked language modelling needs"):
        objective_of(PretrainConfig(), replace(VOCABULARY, mask=None))
    with pytest.raises(TrainingError, match="no token for sentinels, which span corruption needs"):
        objective_of(PretrainConfig(family="t5"), Vocabulary(100, pad=0, eos=1))
    with pytest.raises(TrainingError, match="loses 51 spans, the tokenizer has 30 sentinels"):
        objective_of(PretrainConfig(family="t5", sequence_length=1024, max_positions=1024), VOCABULARY)
    with pytest.raises(TrainingError, match="don't tell where words begin"):
        objective_of(PretrainConfig(whole_words=True), VOCABULARY, corpus / "tokenizer")
