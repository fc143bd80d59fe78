"""The stage: nothing leaks between splits, every kind of tokenizer gives whole documents, the same twice."""

import json
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.documents import Document, document_id, to_batches, write_shards
from corpus.errors import CorpusError
from corpus.tokenizing.encoding import Encoder, EncodingDiffers
from corpus.tokenizing.sample_lines import SAMPLES
from corpus.tokenizing.special_tokens import FAMILIES
from model_code.data.shards import open_split
from tasks import tokenize as stage_module
from tasks.contract.artifact import Artifact
from tasks.contract.run import Run
from tasks.contract.store import Store
from tasks.tokenize import TokenizeConfig, tokenize
from tests.published import publish

CONFIG = TokenizeConfig(vocabulary=400, validation=0.2, test=0.2)


def text_of(number: int) -> str:
    return f"Number {number} returns the mean of an array [MASK]. 第{number}个文档。"


def cleaned(home: Path, count: int, meta: bool = True) -> Artifact:
    """Publish an artifact of the clean stage: documents of modules `m0` to `m19`."""
    store = Store(home)
    documents = [
        Document(text_of(n), "s", f"u{n}", meta={"module": f"m{n % 20}"} if meta else {})
        for n in range(count)
    ]
    directory = store.begin("clean", "c" * 64)
    batches = (batch.append_column("collected_id", batch["id"]) for batch in to_batches(documents))
    write_shards(batches, directory / "documents")
    (directory / "statistics").mkdir()
    words = pa.array([len(document.text.split()) for document in documents], pa.int32())
    statistics = pa.table({"filter": pa.nulls(count, pa.string()), "words": words})
    pq.write_table(statistics, directory / "statistics" / "part-00000.parquet")
    return publish(store, directory, "clean", "c" * 64, counts={"kept": count})


def test_stage_divides_by_group_and_trains_on_train_alone(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    config = CONFIG.model_copy(update={"group_by": "module"})
    runs = [Run(tmp_path / name) for name in ("a", "b")]
    first, second = (tokenize.fn(cleaned(run.store.home, 200), config, run) for run in runs)
    assert first.digest == second.digest
    made, manifest = runs[0].store.path(first), runs[0].store.manifest(first.stage, first.key)
    assert manifest is not None

    table = pq.read_table(made / "splits.parquet").to_pydict()
    split = dict(zip(table["id"], table["split"], strict=True))
    sides = defaultdict(set)
    for n in range(200):
        sides[n % 20].add(split[document_id(text_of(n))])
    assert all(len(side) == 1 for side in sides.values())
    assert {side for sides_of in sides.values() for side in sides_of} == {"train", "validation", "test"}
    for name in ("train", "validation", "test"):
        assert manifest.counts[f"{name} documents"] == Counter(split.values())[name]
    assert manifest.metrics["unknown share"] == 0

    tokenizer = AutoTokenizer.from_pretrained(made / "tokenizer")
    special = list(FAMILIES["bert"].tokens.values())
    assert [tokenizer.convert_tokens_to_ids(token) for token in special] == [0, 1, 2, 3, 4]
    for name, text in SAMPLES.items():
        if "[MASK]" in text:
            continue  # AutoTokenizer takes it for the special token
        ids = tokenizer(text)["input_ids"]
        assert (ids[0], ids[-1], ids.count(1)) == (2, 3, 0), name
        assert tokenizer.decode(ids[1:-1]) == unicodedata.normalize("NFC", text), name
    settings = json.loads((made / "tokenizer" / "tokenizer.json").read_text(encoding="utf-8"))
    assert len(settings["model"]["vocab"]) == 400

    [row] = pq.read_table(made / "fertility.parquet").to_pylist()
    assert (row["language"], row["source"], row["documents"], row["unknown"]) == ("und", "s", 200, 0)
    assert row["characters"] == sum(len(text_of(n)) for n in range(200))
    assert row["tokens"] == sum(manifest.counts[f"{name} tokens"] for name in split_names()) - 400
    assert row["tokens_per_word"] == pytest.approx(row["tokens"] / row["words"])


def split_names() -> tuple[str, ...]:
    return ("train", "validation", "test")


@pytest.mark.parametrize(
    ("model", "family", "begin", "end"),
    [
        ("bpe", "gpt", [], ["<|endoftext|>"]),
        ("unigram", "llama", ["<s>"], ["</s>"]),
        ("wordpiece", "bert", ["[CLS]"], ["[SEP]"]),
    ],
)
def test_documents_come_back_whole_from_the_shards(
    tmp_path: Path, model: str, family: str, begin: list[str], end: list[str]
) -> None:
    from model_code.data.vocabulary import load_tokenizer

    config = TokenizeConfig(
        vocabulary={"bpe": 340, "unigram": 420, "wordpiece": 300}[model],
        model=model,
        family=family,
        validation=0.2,
        test=0.2,
    )
    run = Run(tmp_path)
    made = run.store.path(tokenize.fn(cleaned(tmp_path, 500), config, run))
    tokenizer = load_tokenizer(made / "tokenizer")
    found = {}
    for name in split_names():
        split = open_split(made / "tokens", name)
        first, last = ([tokenizer.token_to_id(token) for token in tokens] for tokens in (begin, end))
        assert (split.info.begin, split.info.end) == (first, last)
        for start, stop in zip(split.offsets[:-1], split.offsets[1:], strict=True):
            ids = split.ids[start:stop].tolist()
            assert ids[: len(first)] == first
            assert ids[-len(last) :] == last
            found[tokenizer.decode(ids[len(first) : -len(last)], skip_special_tokens=False)] = name
            # "[MASK]" in a text is text.
            assert tokenizer.token_to_id("[MASK]") not in ids
    if model == "wordpiece":
        found = {text.replace(" ", ""): split for text, split in found.items()}
    splits = pq.read_table(made / "splits.parquet").to_pydict()
    expected = dict(zip(splits["id"], splits["split"], strict=True))
    for number in range(500):
        text = text_of(number).replace(" ", "") if model == "wordpiece" else text_of(number)
        assert found[text] == expected[document_id(text_of(number))]


def test_a_wrong_fast_encoder_is_found_out_and_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = Run(tmp_path / "right")
    honest = tokenize.fn(cleaned(right.store.home, 600), CONFIG, right)
    check = Encoder.encode
    encoded = []

    def fails_late(self: Encoder, texts: object) -> tuple[np.ndarray, np.ndarray]:
        encoded.append(self.name)
        if "gigatoken" in self.name and len(encoded) > 1:
            raise EncodingDiffers("as if")
        return check(self, texts)

    monkeypatch.setattr(Encoder, "encode", fails_late)
    monkeypatch.setattr("corpus.documents.ROW_GROUP_ROWS", 100)
    wrong = Run(tmp_path / "wrong")
    made = tokenize.fn(cleaned(wrong.store.home, 600), CONFIG, wrong)
    assert [name.split()[0] for name in encoded] == ["gigatoken"] * 2 + ["tokenizers"] * 6
    for file in ("train.bin", "train.offsets", "test.bin"):
        assert (wrong.store.path(made) / "tokens" / file).read_bytes() == (
            right.store.path(honest) / "tokens" / file
        ).read_bytes()


def test_much_text_is_sampled_for_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_module, "TRAINING_BYTES", 1000)
    run = Run(tmp_path)
    config = CONFIG.model_copy(update={"vocabulary": 290})
    manifest = run.store.manifest("tokenize", tokenize.fn(cleaned(tmp_path, 400), config, run).key)
    assert manifest is not None
    assert sum(manifest.counts[f"{name} documents"] for name in split_names()) == 400


@pytest.mark.parametrize(
    ("count", "meta", "changes", "said"),
    [
        (3, True, {}, r"no document falls into \w+ \(3 documents\); collect more text"),
        (40, True, {"group_by": "library"}, r"no 'library' in its meta to group by \(it has module\); corr"),
        (40, False, {"group_by": "module"}, r"has no 'module' in its meta to group by \(it has none\)"),
        (40, True, {"vocabulary": 8192}, r"give a vocabulary of \d+, less than the 8192 asked for; set"),
        (
            40,
            True,
            {"pretrained": "google/t5"},
            "'google/t5' is no file or folder here. Of the hub write id@",
        ),
    ],
)
def test_what_can_not_be_made_is_an_error(
    tmp_path: Path, count: int, meta: bool, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(CorpusError, match=said):
        tokenize.fn(cleaned(tmp_path, count, meta), CONFIG.model_copy(update=changes), Run(tmp_path))


def test_an_existing_tokenizer_is_taken_as_it_is_and_watched(tmp_path: Path) -> None:
    run = Run(tmp_path / "home")
    corpus = cleaned(run.store.home, 200)
    trained = run.store.path(tokenize.fn(corpus, CONFIG, run))
    own = tmp_path / "own"
    own.mkdir()
    for file in (trained / "tokenizer").iterdir():
        (own / file.name).write_bytes(file.read_bytes())
    config = CONFIG.model_copy(update={"pretrained": str(own)})

    first = tokenize.fn(corpus, config, run)
    made = run.store.path(first)
    assert (made / "tokens" / "train.bin").read_bytes() == (trained / "tokens" / "train.bin").read_bytes()
    assert (made / "tokenizer" / "tokenizer.json").read_bytes() == (own / "tokenizer.json").read_bytes()
    assert tokenize.fn(corpus, config, run) == first

    settings = json.loads((own / "tokenizer.json").read_text(encoding="utf-8"))
    settings["truncation"] = {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0}
    settings["normalizer"] = {"type": "Lowercase"}
    (own / "tokenizer.json").write_text(json.dumps(settings), encoding="utf-8")
    second = tokenize.fn(corpus, config, run)
    assert second.key == first.key
    assert second.digest != first.digest
    manifest = run.store.manifest("tokenize", second.key)
    assert manifest is not None
    assert manifest.counts["train tokens"] > 20 * manifest.counts["train documents"]
