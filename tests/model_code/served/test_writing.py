"""What is written is what transformers' `generate` writes, and each text what it would be alone."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_code.errors import TrainingError
from model_code.fine_tuning import fine_tune
from model_code.onnx_export import export_model
from model_code.predict import Predictor
from model_code.served import form_of
from model_code.served.choosing import Choice, allowed
from model_code.served.graph import TokenRow
from model_code.served.writing import LEFT, LENGTH, STOP, Text
from tests.model_code.checkpoints import published
from tests.model_code.conftest import quiet_reporter
from tests.model_code.test_any_architecture import example, job_of

CONFIG = {"pairs": False, "words": "", "metadata": {}}
PLAIN = {"forced_first": None, "forced_last": None, "banned": [], "shortest": 0, "no_repeat": 0}
PLAIN |= {"ends": [1], "begins_with": 0}


@pytest.fixture(scope="module")
def translator(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A small model that writes, and its served folder."""
    home = tmp_path_factory.mktemp("translator")
    options = {"max_target_length": 24, "beams": 3}
    checkpoint = published("marian", home / "published")
    job = job_of(checkpoint, home, "seq2seq", epochs=1, learning_rate=1e-9, options=options)
    fine_tune(job, quiet_reporter())
    export_model(home / "output" / "model", home / "onnx", CONFIG)
    return home / "output" / "model", home / "onnx"


@pytest.mark.parametrize("beams", [1, 2, 4])
@pytest.mark.parametrize(
    ("said", "settings"),
    [
        ({}, {}),
        ({"length_penalty": 2.0, "early_stopping": True}, {"length_penalty": 2.0, "early_stopping": True}),
        ({"no_repeat_ngram_size": 2, "min_length": 6}, {"no_repeat": 2, "shortest": 6}),
        ({"forced_bos_token_id": 7}, {"forced_first": 7}),
        (
            {"early_stopping": "never", "length_penalty": 0.5},
            {"early_stopping": "never", "length_penalty": 0.5},
        ),
    ],
)
def test_texts_are_those_of_generate(
    translator: tuple[Path, Path], tmp_path: Path, beams: int, said: dict[str, Any], settings: dict[str, Any]
) -> None:
    model, onnx = (_copy(folder, tmp_path / folder.name) for folder in translator)
    _change(model / "generation_config.json", said)
    _change(onnx / "settings.json", settings)
    for folder, file in ((model, "task.json"), (onnx, "settings.json")):
        _change(folder / file, {"options": {"max_target_length": 24, "beams": beams, "dropout": None}})
    rng = random.Random(5)
    asked = [example("seq2seq", rng) for _ in range(12)]
    expected = Predictor(model).predict(asked)
    answers = form_of("seq2seq")(onnx, threads=1).answers(asked)
    assert [answer["text_output"] for answer in answers] == expected


def _copy(folder: Path, place: Path) -> Path:
    """A folder with links to its files, which are replaced when they are changed."""
    place.mkdir()
    for path in folder.iterdir():
        (place / path.name).symlink_to(path)
    return place


def _change(path: Path, values: dict[str, Any]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    path.unlink()
    path.write_text(json.dumps(content | values), encoding="utf-8")


def test_max_tokens_is_bounded_and_kept(translator: tuple[Path, Path]) -> None:
    form = form_of("seq2seq")(translator[1], threads=1)
    source = example("seq2seq", random.Random(1))["source"]
    few, all_of_it = form.answers([{"text_input": source, "max_tokens": 1}, {"text_input": source}])
    assert len(form.graph.tokenizer.encode(few["text_output"], add_special_tokens=False).ids) <= 1
    assert len(few["text_output"]) <= len(all_of_it["text_output"])
    for wrong in (0, 25, 1.5, True, "many"):
        assert "give a whole number from 1 to 24" in form.fault({"text_input": source, "max_tokens": wrong})
    assert form.fault({}) == "it has no text_input"


def test_what_is_not_served_is_refused_by_the_export(translator: tuple[Path, Path], tmp_path: Path) -> None:
    model = _copy(translator[0], tmp_path / "model")
    _change(model / "generation_config.json", {"repetition_penalty": 1.2})
    with pytest.raises(
        TrainingError, match=r"generation_config\.json says repetition_penalty 1\.2, which is not"
    ):
        export_model(model, tmp_path / "onnx", CONFIG)


def test_no_token_comes_that_may_not() -> None:
    logits = np.arange(5, dtype=np.float32)
    assert allowed(logits, [0], [2, 3], PLAIN, 9) is logits
    assert allowed(logits, [0], [], PLAIN | {"forced_first": 2}, 9).argmax() == 2
    assert allowed(logits, [0], [3, 3], PLAIN | {"forced_last": 1}, 3).argmax() == 1
    assert allowed(logits, [0], [3], PLAIN | {"banned": [4]}, 9).argmax() == 3
    assert np.isinf(allowed(logits, [0], [3], PLAIN | {"shortest": 3}, 9)[1])
    assert not np.isinf(allowed(logits, [0], [3, 2], PLAIN | {"shortest": 3}, 9)).any()
    rest = allowed(logits, [0], [3, 4, 3], PLAIN | {"no_repeat": 2}, 9)
    assert np.flatnonzero(np.isinf(rest)).tolist() == [4]


@pytest.fixture(scope="module", params=["llama", "marian"])
def form(
    request: pytest.FixtureRequest, translator: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """A small model that writes, hardly trained, so that its texts differ and go on."""
    if request.param == "marian":
        found = form_of("seq2seq")(translator[1], threads=1)
        found.beams = 1
        return found
    home = tmp_path_factory.mktemp("llama")
    checkpoint = published("llama", home / "published")
    fine_tune(job_of(checkpoint, home, "instructions", epochs=1, learning_rate=1e-9), quiet_reporter())
    export_model(home / "output" / "model", home / "onnx", CONFIG)
    return form_of("instructions")(home / "onnx", threads=1)


def questions_of(form: Any, count: int = 6) -> list[dict[str, Any]]:
    rng = random.Random(7)
    task = form.graph.settings["task"]
    asked = [form.questions(example(task, rng))[0] for _ in range(count)]
    return [{**question, "max_tokens": 2 + 2 * number} for number, question in enumerate(asked)]


def test_texts_join_and_leave_at_any_token(form: Any) -> None:
    questions = questions_of(form)
    alone = [form.answers([question])[0] for question in questions]
    writer, texts = form.writer(), [form.text(question) for question in questions]
    leaver = form.text({**questions[-1], "max_tokens": 8})
    for number, text in enumerate(texts):
        writer.begin([text, leaver] if number == 1 else [text])
        writer.step()
        if number == 3:
            leaver.leave()
    while writer.step():
        pass
    assert [form.answer(text) for text in texts] == alone
    assert leaver.reason == LEFT
    assert 0 < len(leaver.ids) < 8
    assert writer.texts == []


def test_the_same_seed_draws_the_same_text_and_another_another(form: Any) -> None:
    question = questions_of(form)[-1] | {"temperature": 1.5, "max_tokens": 12}
    texts = {
        seed: [form.answers([question | {"seed": seed}])[0]["text_output"] for _ in range(2)]
        for seed in range(4)
    }
    assert all(first == second for first, second in texts.values())
    assert len({first for first, _ in texts.values()}) > 1
    likeliest = form.answers([{**question, "temperature": 0}])[0]
    assert form.answers([{**question, "top_k": 1, "seed": 5}])[0] == likeliest


def test_weights_of_eight_bits_write_each_text_alone(form: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    questions = questions_of(form)
    expected = form.answers(questions)
    monkeypatch.setitem(form.graph.settings, "alone", True)
    sizes = []
    run = type(form.graph).run_next

    def counted(graph: Any, tensors: Any) -> Any:
        sizes.append({len(tensor) for tensor in tensors.values()})
        return run(graph, tensors)

    monkeypatch.setattr(type(form.graph), "run_next", counted)
    assert form.answers(questions) == expected
    assert all(size == {1} for size in sizes)


def text_of(pieces: Sequence[str], **choice: Any) -> Text:
    """A text whose tokens are these pieces, in bytes of UTF-8 or as they are."""
    coded = [piece.encode() if isinstance(piece, str) else piece for piece in pieces]

    def decode(ids: Sequence[int]) -> str:
        return b"".join(coded[number] for number in ids).decode("utf-8", errors="replace")

    return Text(TokenRow([0]), Choice(**{"max_tokens": len(pieces), **choice}), decode)


def written(text: Text, count: int) -> list[str]:
    """What is shown after each of so many tokens."""
    shown = []
    for token in range(count):
        if not text.reason:
            text.add(token, ends=[99])
            shown.append(text.piece())
    return shown


def test_pieces_are_the_text_and_end_inside_no_character() -> None:
    letters = [bytes([byte]) for byte in "看🙂é!".encode()]
    pieces = written(text_of(letters), len(letters))  # type: ignore[arg-type]
    assert pieces == ["", "", "看", "", "", "", "🙂", "", "é", "!"]


def test_blanks_at_the_end_and_the_beginnings_of_stop_words_are_held_back() -> None:
    assert written(text_of([" a", " ", "b", "  "]), 4) == ["a", "", " b", ""]
    text = text_of(["one", " EN", "D", " two"], stop_words=("END",))
    assert written(text, 4) == ["one", "", ""]
    assert (text.reason, text.text) == (STOP, "one")
    text = text_of(["one", " EN", "Z"], stop_words=("END",))
    assert written(text, 3) == ["one", "", " ENZ"]
    assert text.reason == LENGTH


def test_a_decoder_that_changes_what_it_said_is_shown_at_the_end() -> None:
    def decode(ids: Sequence[int]) -> str:
        return " ".join(["it", "'", "s"][: len(ids)]).replace(" ' s", "'s")

    text = Text(TokenRow([0]), Choice(max_tokens=3), decode, is_steady=False)
    assert written(text, 3) == ["", "", "it's"]


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"max_tokens": 0}, "max_tokens is 0; give a whole number from 1 to"),
        ({"temperature": -1}, "temperature is -1; give a number from 0 to 100"),
        ({"temperature": float("nan")}, "temperature is nan; give"),
        ({"top_p": 0}, "top_p is 0, so no token would be left"),
        ({"top_p": 1.5}, "top_p is 1.5; give a number from 0 to 1"),
        ({"top_k": 2.5}, "top_k is 2.5; give a whole number"),
        ({"seed": "a"}, "seed is 'a'; give a whole number"),
        ({"repetition_penalty": 0}, "repetition_penalty is 0; give a number from 0.01"),
        ({"stop_words": "a"}, "stop_words is 'a'; give a list of at most 16 texts"),
        ({"stop_words": [""]}, "the stop word '' has 0 characters; give 1 to 100"),
        ({"stop_words": [3]}, "its stop word is no text"),
    ],
)
def test_what_can_not_be_followed_is_said(form: Any, said: dict[str, Any], fault: str) -> None:
    [question] = questions_of(form, 1)
    assert fault in form.fault({**question, **said})


def test_what_is_no_conversation_is_said(form: Any) -> None:
    if form.graph.settings["task"] == "seq2seq":
        assert form.fault({}) == "it has no text_input"
        return
    user, reply = ({"role": role, "content": "movi"} for role in ("user", "assistant"))
    wrong = {
        "give one of prompt, messages, text_input; it has none": {},
        "it has prompt and text_input": {"prompt": "a", "text_input": "b"},
        "its messages are not JSON": {"messages": "{"},
        "give a list of 1 to 1000": {"messages": "[]"},
        "a message is 3; give its role": {"messages": [3]},
        "of a message: it has no content": {"messages": [{"role": "user"}]},
        "its last message is by the assistant": {"messages": [user, reply]},
        "user and assistant take turns": {"messages": json.dumps([user, user])},
    }
    for fault, question in wrong.items():
        assert fault in form.fault(question)
    long = {"text_input": "movi " * 100}
    with pytest.raises(ValueError, match=r"text_input has \d+ tokens, and from 1 to \d+ leave room"):
        form.answers([long])
