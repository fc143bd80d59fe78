import json
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch.nn.functional import cross_entropy

from model_code.data.vocabulary import Vocabulary, load_tokenizer, vocabulary_of
from model_code.errors import TrainingError
from model_code.fine_tuning import fine_tune
from model_code.job import Job
from model_code.models.families import ENCODER_DECODERS
from model_code.models.shape import Shape
from model_code.predict import Predictor
from model_code.runtime import prepare
from model_code.task_types import seq2seq
from model_code.task_types.task import Settings
from tests.model_code.conftest import WORDS, quiet_reporter

SETTINGS = Settings("seq2seq", max_length=16, options=seq2seq.Options(max_target_length=12))
SHAPE = Shape(layers=1, width=32, heads=2, intermediate=64, max_positions=64)


@pytest.fixture(scope="module", params=ENCODER_DECODERS)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def untrained(family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model that knows 20 words, small and in capitals."""
    directory = tmp_path_factory.mktemp(family)
    words = WORDS[:20]
    names = ["<pad>", "</s>", "<unk>", "<extra_id_0>", *words, *map(str.upper, words)]
    tokenizer = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(names[:4])
    tokenizer.save(str(directory / "tokenizer.json"))
    torch.manual_seed(0)
    ENCODER_DECODERS[family].build(SHAPE, vocabulary_of(directory)).save_pretrained(directory)
    return directory


def examples(count: int, seed: int) -> list[dict[str, str]]:
    """Words, and the same words in capitals."""
    rng = random.Random(seed)
    sources = [" ".join(rng.sample(WORDS[:20], k=rng.randint(1, 6))) for _ in range(count)]
    return [{"source": source, "target": source.upper()} for source in sources]


def encoded(
    directory: Path, pairs: list[dict[str, str]], settings: Settings = SETTINGS
) -> seq2seq.SourcesAndTargets:
    return seq2seq.encode(pairs, load_tokenizer(directory), vocabulary_of(directory), settings)


def in_training(directory: Path, settings: Settings) -> tuple[Any, Mapping[str, torch.Tensor]]:
    """A model and a batch of which some rows are shorter than others."""
    model = seq2seq.load(directory, vocabulary_of(directory), settings)
    return model, encoded(directory, examples(9, seed=1)).batch(np.arange(9)).tensors


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_that_of_transformers(untrained: Path, smoothing: float) -> None:
    model, tensors = in_training(untrained, settings := replace(SETTINGS, label_smoothing=smoothing))
    labels = torch.full_like(tensors["decoder_ids"], -100)
    labels.flatten()[tensors["places"]] = tensors["targets"]
    inputs = {name: tensors[name] for name in ("input_ids", "attention_mask")}
    logits = model(**inputs, labels=labels).logits
    expected = cross_entropy(
        logits.flatten(0, 1), labels.flatten(), label_smoothing=smoothing, reduction="sum"
    )
    score = seq2seq.scores(model, tensors, settings)["target"]
    assert (score.loss + score.penalty).item() == pytest.approx(expected.item(), rel=1e-5)
    weights = [p for name, p in model.named_parameters() if "embed_positions" not in name]
    theirs = torch.autograd.grad(expected, weights)
    for gradient, their in zip(torch.autograd.grad(score.loss + score.penalty, weights), theirs, strict=True):
        torch.testing.assert_close(gradient, their, rtol=1e-3, atol=1e-4)


def test_without_gradients_smoothing_is_no_part_of_the_figures(untrained: Path) -> None:
    model, tensors = in_training(untrained, settings := replace(SETTINGS, label_smoothing=0.2))
    with torch.no_grad():
        assert seq2seq.scores(model.eval(), tensors, settings)["target"].penalty == 0


def test_long_texts_are_cut_and_end_all_the_same(untrained: Path) -> None:
    long = {"source": "bara " * 50, "target": "BARA " * 50}
    data = encoded(untrained, [long, {"source": "", "target": ""}])
    eos = vocabulary_of(untrained).eos
    assert data.targets is not None
    assert [len(data.sources[0]), len(data.targets[0])] == [16, 12]
    assert [data.sources[0][-1], data.targets[0][-1], *data.sources[1]] == [eos] * 3
    assert data.lengths.tolist() == [28, 2]


def test_a_vocabulary_that_ends_nothing_is_refused(untrained: Path) -> None:
    with pytest.raises(TrainingError, match="no token for eos"):
        seq2seq.encode(examples(1, 0), load_tokenizer(untrained), Vocabulary(44, pad=0), SETTINGS)


def test_a_target_that_has_no_place_is_refused(family: str, untrained: Path) -> None:
    settings = replace(SETTINGS, options=seq2seq.Options(max_target_length=65))
    if family == "t5":  # its positions have no end
        seq2seq.load(untrained, vocabulary_of(untrained), settings)
        return
    with pytest.raises(
        TrainingError,
        match=r"max_target_length 65 \(rows of up to 72 tokens\) is more",
    ):
        seq2seq.load(untrained, vocabulary_of(untrained), settings)


def test_no_beam_at_all_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"options.beams is 0; the least is 1"):
        seq2seq.Options(beams=0)


def test_what_an_untrained_model_writes_has_an_end(untrained: Path) -> None:
    model = seq2seq.load(untrained, vocabulary_of(untrained), SETTINGS)
    texts = seq2seq.predict(model, encoded(untrained, examples(5, 0)), prepare("float32"), 2, SETTINGS)
    assert len(texts) == 5
    assert all(len(text.split()) <= 12 for text in texts)


PAIRS = examples(12, seed=3)
RATES = {
    "t5": {"learning_rate": 0.05, "muon_learning_rate": 0.02, "epochs": 5},
    "marian": {"learning_rate": 0.01, "muon_learning_rate": 0.02, "epochs": 10},
}


@pytest.fixture(scope="module")
def trained(family: str, untrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that read the same pairs a hundred times."""
    home = tmp_path_factory.mktemp("seq2seq")
    for split, times in (("train", 20), ("validation", 1)):
        (home / f"{split}.jsonl").write_text(
            "\n".join(json.dumps(pair) for pair in PAIRS * times), encoding="utf-8"
        )
    paths = {"model": untrained, "data": home, "output": home / "output", "scratch": home / "scratch"}
    config = {
        "task": "seq2seq",
        "max_length": 16,
        "batch_size": 12,
        "optimizer": "muon",
        **RATES[family],
        "options": {"dropout": 0.0, "max_target_length": 12, "beams": 2},
    }
    fine_tune(Job(paths, config), quiet_reporter())
    return home / "output" / "model"


def test_pairs_are_learnt_by_heart(trained: Path) -> None:
    predicted = Predictor(trained).predict(PAIRS)
    assert predicted == [pair["target"] for pair in PAIRS]


def test_a_text_does_not_depend_on_its_neighbours(trained: Path) -> None:
    test = examples(20, seed=6)
    predictor = Predictor(trained)
    together = predictor.predict(test, batch_size=20)
    assert predictor.predict(test[::-1], batch_size=7) == together[::-1]


def figures_of(reference: str, text: str) -> dict[str, float]:
    return seq2seq.metrics([{"target": reference}], [text], SETTINGS)


def test_the_figures_of_a_perfect_and_of_a_useless_text() -> None:
    reference = "Zwei Männer gehen über die Straße."
    assert figures_of(reference, reference) == pytest.approx(
        dict.fromkeys(("bleu", "chrf", "rouge_1", "rouge_2", "rouge_l"), 100)
    )
    assert max(figures_of(reference, "xxx").values()) < 5


def test_letters_of_other_alphabets_count() -> None:
    assert figures_of("Männer über Straßen", "Männer unter Straßen")["rouge_1"] == pytest.approx(200 / 3)
    assert figures_of("Привет мир", "Привет миру")["rouge_1"] == pytest.approx(50)


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("今天天气很好我们去公园", "今天天气很好他们去公园"),
        ("きょうはとてもいいてんきです", "きょうはとてもよいてんきです"),
    ],
)
def test_where_there_are_no_spaces_a_character_is_a_word(reference: str, text: str) -> None:
    found = figures_of(reference, text)
    assert 50 < found["bleu"] < 100
    share = 1 - 1 / len(reference)
    assert found["rouge_l"] == pytest.approx(100 * share)


def test_the_baselines_take_what_is_there() -> None:
    train = [
        {"source": "a red dog runs", "target": "ein Hund"},
        {"source": "two cats sleep", "target": "zwei Katzen"},
    ]
    said = seq2seq.baselines(train, [{"source": "many cats, many dogs"}], SETTINGS)
    assert said == {
        "copy": ["many cats, many dogs"],
        "lead": ["many cats"],
        "nearest": ["zwei Katzen"],
    }


def test_the_lead_of_a_text_without_spaces() -> None:
    train = [{"source": "今天天气很好", "target": "天气"}]
    assert seq2seq.baselines(train, [{"source": "我们去公园。"}], SETTINGS)["lead"] == ["我们"]
