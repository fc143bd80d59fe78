import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model_code.data.vocabulary import load_tokenizer, vocabulary_of
from model_code.errors import TrainingError
from model_code.fine_tuning import fine_tune
from model_code.predict import Predictor
from model_code.task_types import question_answering
from model_code.task_types.question_answering import Options, best_span, normalized
from model_code.task_types.task import Settings
from tests.model_code.conftest import WORDS, fine_tune_job, quiet_reporter

SETTINGS = Settings("question_answering", options=Options())
CONTEXT = "The river rises in the north. It ends in the Black Sea! Nobody swims there."


def example(rng: random.Random, number: int, length: int, unanswered: float = 0.0) -> dict[str, Any]:
    """A word is asked for; the answer is what stands between it and the next `bara`."""
    words = rng.choices([word for word in WORDS if word not in ("bara", "sozo")], k=length)
    place, size = rng.randrange(length - 4), rng.randint(1, 3)
    words.insert(place + size + 1, "bara")
    words[place] = "sozo"
    text = " ".join(words[place + 1 : place + size + 1])
    start = len(" ".join(words[: place + 1])) + 1
    answers = [{"text": text, "start": start}]
    if rng.random() < unanswered:
        words[place], answers = "kera", []
    return {"id": f"toy:{number}", "question": "sozo", "context": " ".join(words), "answers": answers}


def examples(
    count: int, seed: int, shortest: int = 6, longest: int = 12, unanswered: float = 0.0
) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    return [example(rng, number, rng.randint(shortest, longest), unanswered) for number in range(count)]


def encoded(corpus: Path, asked: list[dict[str, Any]], max_length: int = 24, **options: Any) -> Any:
    home = corpus / "tokenizer"
    settings = Settings("question_answering", max_length=max_length, options=Options(**options))
    return question_answering.encode(asked, load_tokenizer(home), vocabulary_of(home), settings)


@pytest.fixture(scope="module")
def reader(pretrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """A model that learned to answer, or that there is no answer."""
    job = fine_tune_job(
        pretrained,
        tmp_path_factory.mktemp("reader"),
        task="question_answering",
        max_length=24,
        options={"no_answer": True},
    )
    for split, count, seed in (("train", 480, 1), ("validation", 60, 2)):
        rows = examples(count, seed, unanswered=0.3)
        (job.paths["data"] / f"{split}.jsonl").write_text(
            "".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8"
        )
    fine_tune(job, quiet_reporter())
    return Predictor(job.paths["output"] / "model")


def test_questions_are_answered_or_left_open(reader: Predictor) -> None:
    asked = examples(60, seed=3, unanswered=0.3)
    said = reader.predict(asked)
    found = question_answering.metrics(asked, said, reader.settings)
    trivial = question_answering.baselines([], asked, reader.settings)["most_shared_words"]
    assert found["f1"] > 0.8 > question_answering.metrics(asked, trivial, reader.settings)["f1"]
    for question, answer in zip(asked, said, strict=True):
        assert (answer["start"] < 0) == (answer["text"] == "")
        assert answer["start"] < 0 or question["context"].startswith(answer["text"], answer["start"])


def test_an_answer_is_found_wherever_it_stands_in_a_long_context(reader: Predictor) -> None:
    asked = examples(40, seed=4, shortest=40, longest=60)
    found = question_answering.metrics(asked, reader.predict(asked), reader.settings)
    assert found["f1"] > 0.5


def test_targets_are_the_tokens_of_the_answer_in_every_window_that_holds_all_of_it(corpus: Path) -> None:
    asked = examples(30, seed=5, shortest=30, longest=30)
    data = encoded(corpus, asked, overlap=12)
    assert len(data.ids) > 2 * len(asked)
    assert data.lengths.max() == 24
    assert data.targets is not None
    held = set()
    for window, (first, last) in enumerate(data.targets):
        question, begin = data.questions[window], data.begins[window]
        answer = asked[question]["answers"][0]
        start, end = answer["start"], answer["start"] + len(answer["text"])
        characters = data.characters[window]
        if last:
            held.add(question)
            assert (characters[first - begin, 0], characters[last - begin, 1]) == (start, end)
        else:
            assert start < characters[0, 0] or characters[-1, 1] < end
    assert held == set(range(len(asked)))


def test_answers_begin_and_end_in_the_context_or_at_the_first_token(corpus: Path, reader: Predictor) -> None:
    data = encoded(corpus, examples(4, seed=6), max_length=64)
    batch = data.batch(np.arange(4))
    context = batch.tensors["allowed"].clone()
    context[:, 0] = False
    assert context.sum(1).tolist() == [len(characters) for characters in data.characters]
    types = batch.tensors["token_type_ids"]
    assert ((types - context.long()).sum(1) == 1).all()  # the last separator counts as the context's
    with torch.inference_mode():
        logits = question_answering.logits(reader._model, batch.tensors)
    assert logits.shape == (8, batch.tensors["input_ids"].shape[1])
    beyond = ~batch.tensors["allowed"].repeat_interleave(2, 0)
    assert (logits.softmax(-1)[beyond] == 0).all()


def test_the_best_span_is_that_of_a_search_through_all() -> None:
    random = np.random.default_rng(0)
    for _ in range(100):
        size, longest = random.integers(1, 12), random.integers(1, 6)
        starts, ends = random.normal(size=(2, size))
        spans = [(i, j) for i in range(size) for j in range(i, min(size, i + longest))]
        assert best_span(starts, ends, longest) == max(
            spans, key=lambda span: starts[span[0]] + ends[span[1]]
        )


@pytest.mark.parametrize(
    ("truth", "said", "exact", "f1"),
    [
        (["the Black Sea"], "Black Sea.", 1, 1),
        (["the Black Sea", "in the Black Sea"], "in Black Sea", 1, 1),
        (["Black Sea"], "the sea in the north", 0, 0.4),
        (["Black Sea"], "", 0, 0),
        ([], "", 1, 1),
        ([], "Black Sea", 0, 0),
        (["黑海"], "在黑海", 0, 0.8),
    ],
)
def test_figures_are_those_of_squad(truth: list[str], said: str, exact: float, f1: float) -> None:
    asked = [{"answers": [{"text": text, "start": 0} for text in truth]}]
    found = question_answering.metrics(asked, [{"text": said, "start": 0}], SETTINGS)
    assert found == {"exact_match": exact, "f1": pytest.approx(f1)}


def test_normalized_text_has_no_case_punctuation_articles_or_spare_spaces() -> None:
    assert normalized("  The  U.S.-led\tan theatre, a “plan” ") == "usled theatre “plan”"


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({}, ""),
        ({"answers": []}, ""),
        ({"question": " "}, "its question is empty"),
        ({"context": ""}, "its context is empty"),
        ({"answers": [{"text": " ", "start": 3}]}, "an answer without text"),
        ({"answers": [{"text": "river", "start": 5}]}, "'river' is not at character 5 of its context"),
        ({"answers": [{"text": "there.", "start": -6}]}, "'there.' is not at character -6"),
    ],
)
def test_faults_are_told(changed: dict[str, Any], fault: str) -> None:
    whole = {"question": "What rises?", "context": CONTEXT, "answers": [{"text": "river", "start": 4}]}
    found = question_answering.fault(whole | changed)
    assert fault in found
    assert bool(fault) == bool(found)
    assert not question_answering.fault({"question": "What rises?", "context": CONTEXT})


def test_a_question_without_an_answer_needs_the_option(corpus: Path) -> None:
    asked = {"id": "toy:7", "question": "bara", "context": "sozo", "answers": []}
    with pytest.raises(TrainingError, match=r"toy:7 has no answer; set fine_tune\.options\.no_answer"):
        encoded(corpus, [asked])
    data = encoded(corpus, [asked], no_answer=True)
    assert data.targets is not None
    assert data.targets.tolist() == [[0, 0]]


def test_a_context_without_text_is_refused(corpus: Path) -> None:
    with pytest.raises(TrainingError, match="toy:8: its context has no text"):
        encoded(corpus, [{"id": "toy:8", "question": "bara", "context": " "}])


def test_baselines_are_sentences_of_the_context() -> None:
    said = question_answering.baselines([], [{"question": "Who swims?", "context": CONTEXT}], SETTINGS)
    assert said == {
        "first_sentence": [{"text": "The river rises in the north.", "start": 0}],
        "most_shared_words": [{"text": "Nobody swims there.", "start": 56}],
    }


@pytest.mark.parametrize("options", [{"overlap": -1}, {"max_answer": 0}])
def test_options_that_are_no_use_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(TrainingError, match="the least are 0 and 1"):
        Options(**options)
