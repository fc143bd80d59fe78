import json
import random
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from seqeval.metrics import f1_score
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from model_code.data.vocabulary import Vocabulary, load_tokenizer, vocabulary_of
from model_code.errors import TrainingError
from model_code.fine_tuning import fine_tune
from model_code.predict import Predictor
from model_code.task_types import token_classification
from model_code.task_types.task import Settings
from model_code.task_types.token_classification import most_probable, repaired
from tests.model_code.conftest import WORDS, fine_tune_job, quiet_reporter

TAGS = ("B-A", "B-B", "I-A", "I-B", "O")
SETTINGS = Settings("token_classification", labels=TAGS, max_length=16)
# A name begins with one of two words and goes on with those that follow it directly.
BEGINS, GOES_ON = {"bara": "B-A", "sozo": "B-B"}, "mote"


def sentence(rng: random.Random, number: int) -> dict[str, Any]:
    words = rng.choices([*WORDS, *([*BEGINS, GOES_ON] * 8)], k=rng.randint(3, 12))
    tags: list[str] = []
    for word in words:
        before = tags[-1] if tags else "O"
        tags.append(f"I-{before[2:]}" if word == GOES_ON and before != "O" else BEGINS.get(word, "O"))
    return {"id": f"toy:{number}", "words": words, "tags": tags}


def sentences(count: int, seed: int) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    return [sentence(rng, number) for number in range(count)]


def random_tags(rng: random.Random, size: int) -> list[str]:
    return repaired(rng.choices(TAGS, k=size))


def encoded(corpus: Path, examples: list[dict[str, Any]], max_length: int = 16) -> Any:
    home = corpus / "tokenizer"
    settings = Settings("token_classification", labels=TAGS, max_length=max_length)
    return token_classification.encode(examples, load_tokenizer(home), vocabulary_of(home), settings)


@pytest.fixture(scope="module")
def tagger(pretrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """A tagger that learned names of one begin and any number of words after it."""
    job = fine_tune_job(
        pretrained, tmp_path_factory.mktemp("tagger"), task="token_classification", max_length=32
    )
    for split, count, seed in (("train", 480, 1), ("validation", 60, 2)):
        rows = sentences(count, seed)
        (job.paths["data"] / f"{split}.jsonl").write_text(
            "".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8"
        )
    fine_tune(job, quiet_reporter())
    return Predictor(job.paths["output"] / "model")


def test_names_are_found(tagger: Predictor) -> None:
    unseen = sentences(60, seed=3)
    found = token_classification.metrics(unseen, tagger.predict(unseen), tagger.settings)
    trivial = token_classification.baselines(sentences(480, seed=1), unseen, tagger.settings)["majority_tag"]
    assert found["f1"] > 0.9 > token_classification.metrics(unseen, trivial, tagger.settings)["f1"]
    assert tagger.settings.labels == TAGS


def test_a_sentence_longer_than_a_window_gets_a_tag_for_every_word(tagger: Predictor) -> None:
    parts = sentences(12, seed=4)
    whole = {key: [entry for part in parts for entry in part[key]] for key in ("words", "tags")}
    (tags,) = tagger.predict([whole])
    right = [said == true for said, true in zip(tags, whole["tags"], strict=True)]
    assert sum(right) / len(right) > 0.9
    assert tagger.predict([{"words": []}]) == [[]]


def test_every_word_is_a_target_once_and_stands_at_its_first_token(corpus: Path) -> None:
    examples = sentences(20, seed=5)
    tokenizer = load_tokenizer(corpus / "tokenizer")
    data = encoded(corpus, examples, max_length=10)
    words = [word for example in examples for word in example["words"]]
    assert sorted(number for numbers in data.words for number in numbers) == list(range(len(words)))
    assert len(data.ids) > len(examples)
    assert data.lengths.max() == 10
    for ids, places, numbers in zip(data.ids, data.places, data.words, strict=True):
        for place, number in zip(places, numbers, strict=True):
            assert words[number].startswith(tokenizer.id_to_token(ids[place]))


def test_a_batch_points_to_its_words_and_counts_them(corpus: Path) -> None:
    examples = sentences(3, seed=6)
    data = encoded(corpus, examples, max_length=64)
    batch = data.batch(data.lengths.argsort())
    tokens = batch.tensors["input_ids"].flatten()[batch.tensors["at"]].tolist()
    assert tokens == [data.ids[i][place] for i in data.lengths.argsort() for place in data.places[i]]
    assert batch.targets == {"tag": sum(len(example["words"]) for example in examples)}
    assert "targets" not in encoded(corpus, [{"words": ["bara"]}]).batch(data.lengths[:1] * 0).tensors


def test_a_word_that_the_tokenizer_makes_nothing_of_is_outside_and_not_trained_on() -> None:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer.train_from_iterator(
        ["ab cd"], trainers.WordPieceTrainer(special_tokens=tokens, show_progress=False)
    )
    vocabulary = Vocabulary(tokenizer.get_vocab_size(), pad=0, unk=1, cls=2, sep=3)
    words = {"words": ["ab", "\x00", "cd", "\x00"], "tags": ["O"] * 4}
    data = token_classification.encode([words], tokenizer, vocabulary, SETTINGS)
    assert [numbers.tolist() for numbers in data.words] == [[0, 2]]


def test_entity_f1_is_that_of_seqeval() -> None:
    rng = random.Random(0)
    for _ in range(30):
        examples = [
            {"words": ["x"] * n, "tags": random_tags(rng, n)} for n in rng.choices(range(1, 12), k=20)
        ]
        said = [
            repaired([tag if rng.random() < 0.6 else rng.choice(TAGS) for tag in example["tags"]])
            for example in examples
        ]
        expected = f1_score([example["tags"] for example in examples], said)
        found = token_classification.figures(examples, said, SETTINGS)
        metrics = token_classification.metrics(examples, said, SETTINGS)
        assert found["f1"] == pytest.approx(expected)
        assert metrics["f1"] == pytest.approx(expected)
        assert metrics["accuracy"] == pytest.approx(found["accuracy"])


def test_figures_are_those_of_every_type_also_of_one_that_does_not_occur() -> None:
    example = {"words": ["x", "y"], "tags": ["B-A", "I-A"]}
    found = token_classification.metrics([example], [["B-A", "I-A"]], SETTINGS)
    assert (found["f1_A"], found["f1_B"], found["precision"]) == (1, 0, 1)


def test_the_most_probable_tags_are_those_of_a_search_through_all_valid_ones() -> None:
    random = np.random.default_rng(0)
    for words in (0, 1, 2, 4):
        scores = random.normal(size=(words, len(TAGS)))
        valid = [tags for tags in product(TAGS, repeat=words) if repaired(tags) == list(tags)]
        best = max(valid, key=lambda tags: sum(scores[i, TAGS.index(tag)] for i, tag in enumerate(tags)))
        assert most_probable(scores, TAGS) == list(best)


def test_an_entity_begins_with_b() -> None:
    assert repaired(["I-A", "I-A", "I-B", "O", "I-B", "B-B", "I-B"]) == [
        *("B-A", "I-A", "B-B", "O", "B-B", "B-B", "I-B")
    ]


def test_both_tags_of_a_type_are_labels() -> None:
    assert token_classification.labels_of([{"tags": ["O", "B-A"]}, {"tags": ["B-B"]}]) == list(TAGS)


@pytest.mark.parametrize(
    ("words", "tags", "fault"),
    [
        ([], [], "no words"),
        (["a", "b"], ["O"], "2 words and 1 tags"),
        (["a"], ["S-PER"], "'S-PER' is none of BIO"),
        (["a", "b"], ["B-PER", "I-LOC"], "'I-LOC' continues nothing"),
        (["a", "b"], ["B-PER", "I-PER"], ""),
        (["a"], None, ""),
    ],
)
def test_faults_are_told(words: list[str], tags: list[str] | None, fault: str) -> None:
    example = {"words": words} | ({} if tags is None else {"tags": tags})
    found = token_classification.fault(example)
    assert fault in found
    assert bool(fault) == bool(found)


def test_a_tag_that_was_never_trained_is_refused_with_its_example(corpus: Path) -> None:
    with pytest.raises(TrainingError, match=r"example toy:7 has the tag 'B-C'"):
        encoded(corpus, [{"id": "toy:7", "words": ["bara"], "tags": ["B-C"]}])


def test_baselines_know_each_words_usual_tag() -> None:
    train = [
        {"words": ["New", "York"], "tags": ["B-A", "I-A"]},
        {"words": ["New", "York"], "tags": ["B-A", "I-A"]},
        {"words": ["New"], "tags": ["O"]},
    ]
    said = token_classification.baselines(train, [{"words": ["York", "New", "Delhi"]}], SETTINGS)
    assert said == {"outside": [["O", "O", "O"]], "majority_tag": [["B-A", "B-A", "O"]]}
