"""Marked entities are learnt with their direction, and everyone can use what is saved."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import f1_score
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from benchmarks.checkpoints import published_checkpoint
from model_code.data.vocabulary import Vocabulary, load_tokenizer, vocabulary_of
from model_code.errors import TrainingError
from model_code.fine_tuning import fine_tune
from model_code.job import Job
from model_code.predict import Predictor
from model_code.task_types import relations
from model_code.task_types.baselines import NotAvailable
from model_code.task_types.task import Settings
from tests.model_code.checkpoints import published
from tests.model_code.conftest import WORDS, quiet_reporter

LABELS = ("Founder(e1,e2)", "Founder(e2,e1)", "Other")
SETTINGS = Settings("relations", LABELS, max_length=16, options=relations.Options())
FOUNDED, LEFT, *NAMES = WORDS
PEOPLE = ["Anna", "Ben", "Clara", "David", "Emma", "Frank", "Grace", "Henry", "Ida", "Jack", "Kate", "Leo"]
# With whether the first name is the employer; None: neither is.
EMPLOYS = (("hired", True), ("employs", True), ("was hired by", False), ("works for", False), ("met", None))
ADA = {"text": "Ada lives in London.", "head": {"start": 0, "end": 3}, "tail": {"start": 13, "end": 19}}


def example(rng: random.Random) -> dict[str, Any]:
    """One name founded another, or left it; the head is either of them, so words alone tell no direction."""
    first, second, after = rng.sample(NAMES, 3)
    verb = rng.choice([FOUNDED, FOUNDED, LEFT])
    text = f"{first} {verb} {second} {after}"
    spans = [{"start": (at := text.index(name)), "end": at + len(name)} for name in (first, second)]
    is_turned = rng.random() < 0.5
    head, tail = reversed(spans) if is_turned else spans
    label = LABELS[is_turned] if verb == FOUNDED else "Other"
    return {"text": text, "head": head, "tail": tail, "label": label}


def undirected(rng: random.Random) -> dict[str, Any]:
    """The same, where it does not count who founded whom: a tiny random model learns that in seconds."""
    found = example(rng)
    return found | {"label": found["label"].replace("e2,e1", "e1,e2")}


def job_of(home: Path, **config: Any) -> Job:
    data = home / "data"
    data.mkdir(parents=True)
    for split, count, seed in (("train", 480, 1), ("validation", 80, 2)):
        rng = random.Random(seed)
        rows = [json.dumps(undirected(rng)) + "\n" for _ in range(count)]
        (data / f"{split}.jsonl").write_text("".join(rows), encoding="utf-8")
    checkpoint = published("bert", home / "published")
    paths = {"model": checkpoint, "data": data, "output": home / "output", "scratch": home / "scratch"}
    values = {"task": "relations", "start_from": "tiny", "max_length": 32, "batch_size": 16, "epochs": 8}
    return Job(paths, values | {"learning_rate": 5e-3, "precision": "float32"} | config)


def test_it_learns_and_answers_alike_in_plain_transformers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = fine_tune(job_of(tmp_path), quiet_reporter())
    assert metrics["f1_micro"] > 0.95  # of the relation alone for all of them: 0.8
    said = capsys.readouterr().err
    assert "new in the vocabulary are [E1], [/E1], [E2], [/E2]" in said
    assert "'Other' is no relation" in said

    directory, rng = tmp_path / "output" / "model", random.Random(3)
    plain = AutoModelForSequenceClassification.from_pretrained(directory)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    asked = [undirected(rng) for _ in range(20)]
    read = tokenizer([relations.marked(one) for one in asked], padding=True, return_tensors="pt")
    data = relations.encode(
        [{name: one[name] for name in ("text", "head", "tail")} for one in asked],
        load_tokenizer(directory),
        vocabulary_of(directory),
        replace(SETTINGS, max_length=32),
    )
    ours = data.batch(np.arange(20)).tensors
    assert [
        row[: len(ids)].tolist() for row, ids in zip(read["input_ids"], data.ids, strict=True)
    ] == data.ids
    with torch.inference_mode():
        theirs = plain.eval()(**read).logits
        assert torch.allclose(relations.logits(plain, ours), theirs, atol=1e-5)
    predictions = Predictor(directory).predict(asked)
    assert predictions == [plain.config.id2label[int(best)] for best in theirs.argmax(-1)]
    assert relations.figures(asked, predictions, SETTINGS)["f1_micro"] > 0.95
    turned = [one | {"head": one["tail"], "tail": one["head"]} for one in asked]
    assert all(
        relations.marked(one) != relations.marked(other) for one, other in zip(asked, turned, strict=True)
    )


def employment(rng: random.Random, people: list[str]) -> dict[str, Any]:
    """Who employs whom: the same words and the same order of names, with either direction."""
    first, second = rng.sample(people, 2)
    verb, is_active = rng.choice(EMPLOYS)
    is_turned = rng.random() < 0.5
    one, other = ("e2", "e1") if is_turned else ("e1", "e2")
    label = "Other" if is_active is None else f"Employer({'e2,e1' if is_turned == is_active else 'e1,e2'})"
    return {"text": f"<{one}>{first}</{one}> {verb} <{other}>{second}</{other}> last year.", "label": label}


def test_a_published_checkpoint_learns_the_direction(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    rng = random.Random(1)
    for split, count, people in (("train", 320, PEOPLE[:8]), ("validation", 40, PEOPLE[8:])):
        rows = [json.dumps(employment(rng, people)) + "\n" for _ in range(count)]
        (tmp_path / "data" / f"{split}.jsonl").write_text("".join(rows), encoding="utf-8")
    paths = {name: tmp_path / name for name in ("data", "output", "scratch")}
    paths["model"] = published_checkpoint(tmp_path / "minilm")
    values = {"task": "relations", "start_from": "minilm", "max_length": 32, "batch_size": 16, "epochs": 4}
    fine_tune(Job(paths, values), quiet_reporter())
    asked = [employment(rng, PEOPLE[8:]) for _ in range(60)]
    answers = Predictor(tmp_path / "output" / "model").predict(asked)
    right = [answer == one["label"] for one, answer in zip(asked, answers, strict=True)]
    assert np.mean(right) > 0.9  # without the direction: 0.6


def test_an_adapter_brings_the_rows_of_the_markers(tmp_path: Path) -> None:
    fine_tune(job_of(tmp_path, lora={"rank": 4}, epochs=1), quiet_reporter())
    merged = load_file(tmp_path / "output" / "model" / "model.safetensors")
    (table,) = [name for name in merged if name.endswith("word_embeddings.weight")]
    adapter = load_file(tmp_path / "output" / "adapter" / "adapter_model.safetensors")
    assert torch.equal(adapter[f"base_model.model.{table}"], merged[table])
    *markers, before = merged[table].flip(0)[:5]
    apart = torch.stack([*markers, before])
    assert torch.cdist(apart, apart).fill_diagonal_(1).min() > 0  # they rest, and have to be told apart


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"tail": {"start": 13, "end": 30}}, "its tail is from 13 to 30, and the text has 20 characters"),
        ({"head": {"start": -3, "end": 3}}, "its head is from -3 to 3, and the text has 20"),
        ({"tail": {"start": 19, "end": 13}}, "its tail is from 19 to 13"),
        ({"tail": {"start": 2, "end": 9}}, "its entities 'Ada' and 'a lives' overlap"),
        ({"tail": {"start": 0, "end": 3}}, "its entities 'Ada' and 'Ada' overlap"),
        ({"tail": {"start": 3, "end": 4}}, "one of its entities is empty (' ')"),
        ({"tail": {"start": 13, "end": 18, "text": "London"}}, "is said to be 'London', and from 13 to 18"),
        ({"tail": None}, "it has a head only; mark both entities"),
        ({"head": None, "tail": None}, "its text has no <e1>, and there is no head and tail; mark both"),
        ({"text": "Ada [E2] lives in London."}, "its text spells [E2], which marks entities"),
    ],
)
def test_entities_that_are_none_are_refused(changed: dict[str, Any], said: str) -> None:
    assert said in relations.fault(ADA | changed)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<e1>Ada</e1> lives in <e2>London.", "its text has no </e2>"),
        ("<e1>Ada</e1> and <e1>Bob</e1> in <e2>London</e2>", "its text has <e1> more than once"),
        ("<e1>Ada of <e2>London</e1></e2>", "overlap"),
        ("</e1>Ada<e1> of <e2>London</e2>", "one of its entities is empty"),
        ("<e1></e1>Ada of <e2>London</e2>", "one of its entities is empty"),
    ],
)
def test_tags_that_mark_no_two_entities_are_refused(text: str, said: str) -> None:
    assert said in relations.fault({"text": text})


def test_tags_and_spans_mark_the_same() -> None:
    assert not relations.fault(ADA)
    assert relations.marked(ADA) == "[E1] Ada [/E1] lives in [E2] London [/E2]."
    assert relations.marked({"text": "<e1>Ada</e1> lives in<e2> London</e2>."}) == relations.marked(ADA)
    turned = {"text": "<e2>Ada</e2> lives in <e1>London</e1>."}
    assert relations.marked(turned) == "[E2] Ada [/E2] lives in [E1] London [/E1]."
    assert (
        relations.marked({"text": "<e1>Ada</e1> <e2>Lovelace</e2>"}) == "[E1] Ada [/E1] [E2] Lovelace [/E2]"
    )


def test_markers_change_no_other_token_of_a_tokenizer_whose_words_bring_their_blank() -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["[CLS]", "[SEP]"]
    tokenizer.train_from_iterator(
        ["in London, Ada lives (London) 艾达住在伦敦。"] * 3,
        trainers.BpeTrainer(vocab_size=400, special_tokens=special, show_progress=False),
    )
    vocabulary = Vocabulary(tokenizer.get_vocab_size(), cls=0, sep=1, pad=1)
    for tagged in ("in London, <e1>Ada</e1> lives (<e2>London</e2>)", "<e1>艾达</e1>住在<e2>伦敦</e2>。"):
        text, *_ = relations.located({"text": tagged})
        whole = tokenizer.encode(text, add_special_tokens=False).ids
        settings = replace(SETTINGS, max_length=90)
        (ids,) = relations.encode([{"text": tagged}], tokenizer, vocabulary, settings).ids
        added = {tokenizer.token_to_id(marker) for marker in relations.MARKERS}
        kept = [token for token in ids[1:-1] if token not in added]
        assert tokenizer.decode(kept).removeprefix(" ") == text  # a blank begins what begins with a marker
        if " " in text:
            assert kept == whole


def test_a_long_text_is_cut_around_both_entities(tmp_path: Path) -> None:
    folder = published("bert", tmp_path)
    tokenizer, vocabulary = load_tokenizer(folder), vocabulary_of(folder)
    filler = " ".join(WORDS[:30])
    marked = "<e1>user</e1> bara <e2>assistant</e2>"
    texts = [f"{marked} {filler}", f"{filler} {marked} {filler}", f"{filler} {marked}"]
    found = relations.encode([{"text": text} for text in texts], tokenizer, vocabulary, SETTINGS)
    for ids in found.ids:
        assert len(ids) == SETTINGS.max_length
        assert (ids[0], ids[-1]) == (vocabulary.cls, vocabulary.sep)
        assert {tokenizer.token_to_id(token) for token in (*relations.MARKERS, "user", "assistant")} <= {*ids}
    apart = {"id": "x:7", "text": f"<e1>user</e1> {filler} <e2>assistant</e2>"}
    with pytest.raises(TrainingError, match=r"example x:7 needs 38 tokens .* max_length is 16; raise it, or"):
        relations.encode([{"text": texts[0]}, apart], tokenizer, vocabulary, SETTINGS)
    with pytest.raises(TrainingError, match="example x:8: its text has no <e1>"):
        relations.encode([{"id": "x:8", "text": "bara"}], tokenizer, vocabulary, SETTINGS)


@pytest.mark.parametrize("label", ["no_relation", "NO-RELATION", "no relation", "Other", "N/A", "None"])
def test_no_relation_is_found_by_its_usual_names(label: str) -> None:
    assert relations.no_relation(replace(SETTINGS, labels=("founder", label))) == label


def test_no_relation_is_named_or_is_none_or_is_asked_for() -> None:
    assert relations.no_relation(replace(SETTINGS, labels=("another", "founder"))) is None
    named = replace(SETTINGS, options=relations.Options(no_relation="Founder(e1,e2)"))
    assert relations.no_relation(named) == "Founder(e1,e2)"
    with pytest.raises(
        TrainingError, match=r"no_relation is 'nothing', and the labels are Founder.*; name one"
    ):
        relations.no_relation(replace(SETTINGS, options=relations.Options("nothing")))
    with pytest.raises(TrainingError, match="the labels NA and Other may both say"):
        relations.no_relation(replace(SETTINGS, labels=("NA", "Other", "x")))


def test_the_figures_leave_out_what_is_no_relation() -> None:
    rng = np.random.default_rng(0)
    truth, said = (rng.choice(LABELS, 200).tolist() for _ in range(2))
    rows = [{"label": label} for label in truth]
    for found in (relations.figures(rows, said, SETTINGS), relations.metrics(rows, said, SETTINGS)):
        for how in ("micro", "macro"):
            expected = f1_score(truth, said, labels=LABELS[:2], average=how)
            assert found[f"f1_{how}"] == pytest.approx(expected)
        assert found["accuracy"] == pytest.approx(np.mean(np.array(truth) == np.array(said)))
    none = relations.figures(rows, ["Other"] * 200, SETTINGS)
    assert none["f1_micro"] == none["f1_macro"] == 0 < none["accuracy"]


def test_the_baselines_are_the_commonest_relation_and_one_that_knows_which_entity_is_first() -> None:
    train, test = (
        [example(random.Random(seed)) for seed in seeds] for seeds in (range(200), range(200, 260))
    )
    said = relations.baselines(train, test, SETTINGS)
    assert set(said["majority_relation"]) < set(LABELS[:2])
    assert relations.figures(test, said["tfidf_logistic_regression"], SETTINGS)["f1_micro"] > 0.9
    side_by_side = [{"text": "<e1>a</e1><e2>b</e2>", "label": "Other"}] * 2
    found = relations.baselines(side_by_side, side_by_side, SETTINGS)
    assert isinstance(found["tfidf_logistic_regression"], NotAvailable)  # one label: nothing to tell apart
    assert found["majority_relation"] == ["Other"] * 2
