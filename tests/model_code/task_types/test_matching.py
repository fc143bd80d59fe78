import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, BertConfig, BertModel, ModernBertModel

from model_code.data.vocabulary import Vocabulary, load_tokenizer, vocabulary_of
from model_code.errors import TrainingError
from model_code.fine_tuning import fine_tune
from model_code.job import Job
from model_code.predict import Predictor
from model_code.task_types import matching
from model_code.task_types.pairs import SIDES, TextPairs
from model_code.task_types.task import Settings, options_of, task_named
from tests.model_code.conftest import WORDS, quiet_reporter

SETTINGS = Settings("matching", max_length=16, options=matching.Options())


def toy_pairs(count: int, seed: int) -> list[dict[str, str]]:
    """Two texts without a word in common, since each of the twenty words has a partner in the other text."""
    rng = random.Random(seed)
    partner = dict(zip(WORDS[:20], WORDS[20:], strict=True))
    chosen = [rng.sample(WORDS[:20], 4) for _ in range(count)]
    return [
        {"first": " ".join(words), "second": " ".join(partner[word] for word in reversed(words))}
        for words in chosen
    ]


def encoded(model: Path, examples: list[dict[str, Any]]) -> TextPairs:
    return matching.encode(examples, load_tokenizer(model), vocabulary_of(model), SETTINGS)


@pytest.fixture(scope="module")
def encoder(pretrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model directory of an encoder that learned which words are partners."""
    home = tmp_path_factory.mktemp("matching")
    (home / "data").mkdir()
    for split, count, seed in (("train", 640, 1), ("validation", 60, 2)):
        lines = "".join(json.dumps(row) + "\n" for row in toy_pairs(count, seed))
        (home / "data" / f"{split}.jsonl").write_text(lines, encoding="utf-8")
    paths = {"model": pretrained / "model"} | {name: home / name for name in ("data", "output", "scratch")}
    values = {"task": "matching", "max_length": 16, "batch_size": 32, "epochs": 6, "learning_rate": 5e-3}
    fine_tune(Job(paths, values), quiet_reporter())
    return home / "output" / "model"


def test_texts_without_a_common_word_are_found_by_meaning(encoder: Path) -> None:
    test = toy_pairs(100, seed=3)
    found = matching.metrics(test, Predictor(encoder).predict(test), SETTINGS)
    by_words = matching.metrics(
        test, matching.baselines(toy_pairs(640, 1), test, SETTINGS)["tfidf"], SETTINGS
    )
    assert found["recall_at_10"] > 0.9
    assert by_words["recall_at_10"] == 0


def test_the_model_is_a_plain_encoder_whose_mean_is_the_vector(encoder: Path) -> None:
    model = AutoModel.from_pretrained(encoder)
    assert type(model) is ModernBertModel
    ids = torch.tensor([load_tokenizer(encoder).encode("bara kezo mote").ids])
    mean = model(input_ids=ids).last_hidden_state[0].mean(dim=0)
    (predicted,) = Predictor(encoder).predict([{"first": "bara kezo mote"}])
    assert predicted.keys() == {"first"}
    assert predicted["first"] == pytest.approx((mean / mean.norm()).tolist(), abs=1e-5)


def test_vectors_do_not_depend_on_the_batch(encoder: Path) -> None:
    pairs = toy_pairs(9, seed=5)
    pairs[4]["second"] = " ".join(WORDS[:12])
    together, alone = (Predictor(encoder).predict(pairs, batch_size=size) for size in (9, 1))
    for one, other in zip(together, alone, strict=True):
        for side in ("first", "second"):
            assert one[side] == pytest.approx(other[side], abs=1e-5)


def test_berts_pooler_is_no_part_of_the_encoder(tmp_path: Path) -> None:
    config = BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    BertModel(config).save_pretrained(tmp_path)
    model = matching.load(tmp_path, Vocabulary(50, pad=0), SETTINGS)
    assert not [name for name, _ in model.named_parameters() if "pooler" in name]


def fixed(**vectors: list[list[float]]) -> dict[str, torch.Tensor]:
    """Tensors for a model that gives each token, of which a text has one, the vector of its number."""
    rows = [row for side in vectors.values() for row in side]
    tensors = {"table": torch.tensor(rows)}
    for number, side in enumerate(SIDES):
        tensors[f"{side}_ids"] = torch.arange(len(rows) // 2)[:, None] + number * len(rows) // 2
        tensors[f"{side}_mask"] = torch.ones(len(rows) // 2, 1, dtype=torch.int64)
    return tensors


class Table(torch.nn.Module):
    config = BertConfig()

    def __init__(self, table: torch.Tensor) -> None:
        super().__init__()
        self.table = table

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        class Output:
            last_hidden_state = self.table[input_ids]

        return Output()


def test_the_loss_is_the_cross_entropy_of_the_cosines_both_ways() -> None:
    tensors = fixed(first=[[2.0, 0.0], [0.0, 1.0]], second=[[1.0, 0.0], [3.0, 3.0]])
    tensors["excluded"] = torch.zeros(2, 2, dtype=torch.bool)
    settings = Settings("matching", options=matching.Options(temperature=0.5))
    score = matching.scores(Table(tensors["table"]), tensors, settings)["pair"]
    logits = np.array([[1, 0.5**0.5], [0, 0.5**0.5]]) / 0.5
    expected = (
        sum(-(np.diag(each) - np.log(np.exp(each).sum(axis=1))).sum() for each in (logits, logits.T)) / 2
    )
    assert score.loss.item() == pytest.approx(expected, abs=1e-5)
    assert score.hits == 2


def test_equal_texts_do_not_count_as_wrong_answers(pretrained: Path) -> None:
    pairs = [
        {"first": "bara", "second": "kete"},
        {"first": "mozo", "second": "kete"},
        {"first": "bara", "second": "nuvi"},
        {"first": "sodu", "second": "riri"},
    ]
    batch = encoded(pretrained / "model", pairs).batch(np.array([3, 0, 1, 2]))
    assert batch.tensors["excluded"].nonzero().tolist() == [[1, 2], [1, 3], [2, 1], [3, 1]]
    assert batch.targets == {"pair": 4}
    twins = fixed(first=[[1.0, 0.0], [1.0, 0.0]], second=[[1.0, 0.0], [1.0, 0.0]])
    twins["excluded"] = ~torch.eye(2, dtype=torch.bool)
    assert matching.scores(Table(twins["table"]), twins, SETTINGS)["pair"].loss.item() == 0


def test_negatives_are_wrong_answers_unless_they_belong(pretrained: Path) -> None:
    pairs: list[dict[str, Any]] = [
        {"first": "bara", "second": "kete", "negative": ["nuvi", "mozo"]},
        {"first": "bara", "second": "nuvi", "negative": []},
        {"first": "sodu", "second": "riri", "negative": ["kete"]},
    ]
    data = encoded(pretrained / "model", pairs)
    tensors = data.batch(np.array([0, 1, 2])).tensors
    assert tensors["negative_ids"].shape[0] == 3
    # nuvi belongs to bara by the second pair, and kete by the first one.
    assert tensors["excluded_negatives"].tolist() == [[True, False, True], [True, False, True], [False] * 3]
    assert "negative_ids" not in data.batch(np.array([1])).tensors
    longer = encoded(pretrained / "model", [pairs[0] | {"negative": ["bara kete nuvi riri sodu"]}])
    assert longer.lengths[0] > encoded(pretrained / "model", [pairs[1]]).lengths[0]


def test_the_loss_counts_negatives_for_the_first_texts_alone() -> None:
    tensors = fixed(first=[[1.0, 0.0], [0.0, 1.0]], second=[[1.0, 0.0], [0.0, 1.0]])
    tensors["table"] = torch.cat([tensors["table"], torch.tensor([[0.6, 0.8]])])
    tensors |= {"negative_ids": torch.tensor([[4]]), "negative_mask": torch.ones(1, 1, dtype=torch.int64)}
    tensors["excluded"] = torch.zeros(2, 2, dtype=torch.bool)
    tensors["excluded_negatives"] = torch.tensor([[False], [True]])
    settings = Settings("matching", options=matching.Options(temperature=1.0))
    score = matching.scores(Table(tensors["table"]), tensors, settings)["pair"]
    e = np.exp
    forwards = -np.log(e(1) / (e(1) + e(0) + e(0.6))) - np.log(e(1) / (e(1) + e(0)))
    backwards = -2 * np.log(e(1) / (e(1) + e(0)))
    assert score.loss.item() == pytest.approx((forwards + backwards) / 2, abs=1e-5)


def test_dimensions_add_the_losses_of_shorter_vectors() -> None:
    tensors = fixed(first=[[3.0, 1.0], [1.0, 4.0]], second=[[1.0, 0.0], [3.0, 3.0]])
    tensors["excluded"] = torch.zeros(2, 2, dtype=torch.bool)

    def loss(table: torch.Tensor, *dimensions: int) -> float:
        options = matching.Options(temperature=0.5, dimensions=dimensions)
        settings = Settings("matching", options=options)
        return float(matching.scores(Table(table), tensors, settings)["pair"].loss)

    alone = loss(tensors["table"]) + loss(tensors["table"][:, :1])
    assert loss(tensors["table"], 2, 1) == pytest.approx(alone, rel=1e-5)


def test_figures_of_each_dimension_are_of_the_models_vectors_alone() -> None:
    examples = [{"first": "a", "second": "x"}, {"first": "b", "second": "y"}]
    predictions = [
        {"first": [0.6, 0.8], "second": [0.6, 0.8]},
        {"first": [0.8, 0.6], "second": [1.0, 0.0]},
    ]
    settings = Settings("matching", options=matching.Options(dimensions=(2, 1)))
    found = matching.figures(examples, predictions, settings)
    assert found["mrr"] == found["mrr_2"] == pytest.approx(0.75)
    assert found["mrr_1"] == 0.5  # of one number only the sign is left, so all are equally close
    assert {"recall_at_10_2", "recall_at_10_1"} <= found.keys()
    arrays = [{side: np.array(vector) for side, vector in one.items()} for one in predictions]
    assert matching.figures(examples, arrays, settings).keys() == set(matching.METRICS)


def test_ranks_count_distinct_texts_and_ties_against_the_model() -> None:
    examples = [{"first": "a", "second": "x"}, {"first": "b", "second": "y"}, {"first": "c", "second": "x"}]
    x, y = [1.0, 0.0], [0.0, 1.0]
    predictions = [
        {"first": [1.0, 0.5], "second": x},
        {"first": [0.7, 0.7], "second": y},
        {"first": [0.2, 0.9], "second": x},
    ]
    assert matching.ranks(examples, predictions).tolist() == [1, 2, 2]
    assert matching.figures(examples, predictions, SETTINGS) == {
        "recall_at_1": pytest.approx(1 / 3),
        "recall_at_5": 1,
        "recall_at_10": 1,
        "mrr": pytest.approx(2 / 3),
    }


def test_many_texts_are_ranked_in_parts() -> None:
    count = matching.ROWS + 10
    examples = [{"first": f"f{i}", "second": f"s{i}"} for i in range(count)]
    angles = np.linspace(0, 3, count)
    around = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    predictions = [{"first": one, "second": one} for one in around.astype(np.float64)]
    assert matching.ranks(examples, predictions).max() <= 3  # float32 can't tell the closest neighbours apart


def test_the_baseline_finds_texts_by_their_rare_words() -> None:
    train = [{"first": "the cat sat", "second": "the dog ran"}, {"first": "the fox hid", "second": "a cat"}]
    test = [{"first": "the cat", "second": "a cat"}, {"first": "the dog", "second": "dog ran"}]
    said = matching.baselines(train, test, SETTINGS)
    assert list(said) == ["random", "tfidf"]
    assert matching.metrics(test, said["tfidf"], SETTINGS)["recall_at_1"] == 1


def test_a_text_without_a_partner_is_refused(pretrained: Path) -> None:
    assert matching.fault({"first": "bara"}) == "it has no second text that belongs to the first"
    assert not matching.fault({"first": "bara", "second": "kete"})
    with pytest.raises(TrainingError, match="example 2: it has no second text"):
        encoded(
            pretrained / "model",
            [{"id": "1", "first": "bara", "second": "kete"}, {"id": "2", "first": "mozo"}],
        )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"temperature": 0}, "the temperature is 0"),
        ({"pooling": "first"}, "pooling is 'first' names 'first'; join some of"),
        ({"dimensions": 64}, r"dimensions is 64; give different sizes, such as \[384, 128, 64\]"),
        ({"dimensions": [64, 64]}, "give different sizes"),
        ({"dimensions": [0]}, "give different sizes"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        options_of(task_named("matching"), options)


def test_dimensions_beyond_the_models_are_refused(pretrained: Path) -> None:
    settings = Settings("matching", options=matching.Options(dimensions=(33,)))
    with pytest.raises(TrainingError, match="dimensions names 33, and the vectors of the model have 32"):
        matching.load(pretrained / "model", vocabulary_of(pretrained / "model"), settings)
