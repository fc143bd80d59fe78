import pytest
import torch

from model_code.data.vocabulary import Vocabulary
from model_code.errors import TrainingError
from model_code.models.families import FAMILIES
from model_code.models.presets import PRESETS, preset_shape
from model_code.models.shape import Shape

# Millions of parameters at the vocabulary that each family was published with: the table in presets.py.
PUBLISHED = {
    "modernbert": (50368, {"tiny": 6.8, "mini": 15.2, "small": 48.4, "base": 149.7, "350m": 395.9}),
    "bert": (30522, {"tiny": 4.4, "mini": 11.3, "small": 29.1, "base": 110.1, "350m": 336.2}),
    "gpt2": (
        50257,
        {"tiny": 6.9, "mini": 16.2, "small": 51.5, "base": 124.4, "350m": 354.8, "1b": 1315.7},
    ),
    "llama": (
        49152,
        {"tiny": 6.7, "mini": 15.7, "small": 48.8, "base": 134.5, "350m": 361.8, "1b": 1073.8},
    ),
    "t5": (32128, {"tiny": 4.9, "mini": 14.5, "small": 66.8, "base": 222.9, "750m": 750.3}),
    "marian": (37000, {"tiny": 5.5, "mini": 13.4, "small": 40.5, "base": 63.6, "big": 216.3}),
}


def parameters(family: str, shape: Shape, size: int) -> int:
    vocabulary = Vocabulary(size, pad=0, cls=2, sep=3, mask=4, eos=6, sentinels=(119,))
    with torch.device("meta"):
        model = FAMILIES[family].build(shape, vocabulary)
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("family", PRESETS)
def test_parameters_are_those_of_the_table(family: str) -> None:
    size, millions = PUBLISHED[family]
    counted = {name: parameters(family, shape, size) / 1e6 for name, shape in PRESETS[family].items()}
    assert counted == pytest.approx(millions, abs=0.06)


@pytest.mark.parametrize("family", PRESETS)
def test_tiny_is_a_model_for_minutes(family: str) -> None:
    assert 1e6 < parameters(family, PRESETS[family]["tiny"], 8192) < 2e6


def test_every_family_has_presets() -> None:
    assert PRESETS.keys() == FAMILIES.keys()


def test_a_size_of_its_own_beats_that_of_the_preset() -> None:
    shape = preset_shape("llama", "base", {"layers": 2, "dropout": 0.1, "width": None})
    assert (shape.layers, shape.width, shape.dropout, shape.kv_heads) == (2, 576, 0.1, 3)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(TrainingError, match="family 'rnn' is not known; choose one of modernbert, bert"):
        preset_shape("rnn", "tiny", {})
    with pytest.raises(TrainingError, match="family bert has no preset '1b'; choose one of tiny, mini"):
        preset_shape("bert", "1b", {})


@pytest.mark.parametrize(
    ("family", "shape", "said"),
    [
        ("modernbert", Shape(1, 30, 2, 48, 64), "width 30 does not divide into 2 heads of an even width"),
        ("llama", Shape(1, 36, 4, 48, 64), "make width a multiple of 8"),
        (
            "gpt2",
            Shape(1, 30, 4, 48, 64),
            "width 30 does not divide into 4 heads; make width a multiple",
        ),
        ("llama", Shape(1, 24, 3, 48, 64, kv_heads=2), "3 heads can't share 2 kv_heads evenly"),
    ],
)
def test_impossible_shapes_are_refused(family: str, shape: Shape, said: str, vocabulary: Vocabulary) -> None:
    with pytest.raises(TrainingError, match=said):
        FAMILIES[family].build(shape, vocabulary)


@pytest.mark.parametrize(
    ("family", "said"),
    [
        ("bert", "no token for cls, sep, mask, which BERT needs"),
        ("modernbert", "no token for cls, sep, mask, which ModernBERT needs"),
        ("gpt2", "no token for eos, which GPT-2 needs"),
        ("llama", "no token for eos, which Llama needs"),
        ("t5", "no token for eos, sentinels, which T5 needs"),
        ("marian", "no token for eos, sentinels, which Marian needs"),
    ],
)
def test_a_vocabulary_without_a_token_is_refused(family: str, said: str, shape: Shape) -> None:
    with pytest.raises(TrainingError, match=said):
        FAMILIES[family].build(shape, Vocabulary(size=100, pad=0))
