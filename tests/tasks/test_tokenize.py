"""The division and the tokenizer: nothing leaks between splits, and no text is beyond the vocabulary."""

import json
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tasks.artifact import Artifact
from tasks.documents import Document, document_id, to_batches, write_shards
from tasks.errors import StageError
from tasks.stage import Run
from tasks.store import Store
from tasks.tokenize import SPECIAL_TOKENS, TokenizeConfig, split_of, tokenize
from tests.published import publish

SCRIPTS = [
    "Return the mean along an axis.",
    "这个库计算平均值，速度很快。",
    "Привет, мир! Ελληνικά.",
    "العربية עברית हिन्दी ไทย 한국어 日本語",
    "👩‍👩‍👧‍👦 🇨🇭 \U0001f600 ∑∫√",
    "cafe\u0301 na\u00efve",
    "\ttabs\nand  two spaces\r\n\u00a0\u200b",
    "\x00\x7f\ufeff\U0010ffff",
]


def cleaned(home: Path, count: int, meta: bool = True) -> Artifact:
    """Publish an artifact of the clean stage: documents of modules `m0` to `m19`."""
    store = Store(home)
    documents = [
        Document(
            f"Number {n} returns the mean of an array. 第{n}个文档。",
            "s",
            f"u{n}",
            meta={"module": f"m{n % 20}"} if meta else {},
        )
        for n in range(count)
    ]
    directory = store.begin("clean", "c" * 64)
    write_shards(to_batches(documents), directory / "documents")
    return publish(store, directory, "clean", "c" * 64, counts={"kept": count})


def test_split_of_a_group_is_the_same_for_ever() -> None:
    config = TokenizeConfig()
    # Noted once: another division would put what was trained on among what is tested on.
    fixed = {"numpy.linalg": "test", "ast": "validation", "torch.nn": "train", "文档": "train"}
    assert {name: split_of(name, config) for name in fixed} == fixed
    names = [f"module{n}" for n in range(5000)]
    shares = Counter(split_of(name, config) for name in names)
    assert shares["test"] / 5000 == pytest.approx(config.test, abs=0.02)
    assert shares["validation"] / 5000 == pytest.approx(config.validation, abs=0.02)
    assert any(split_of(name, TokenizeConfig(seed=1)) != split_of(name, config) for name in names)


def test_stage_divides_by_group_and_trains_on_train_alone(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    config = TokenizeConfig(vocabulary=400, group_by="module", validation=0.2, test=0.2)
    runs = [Run(tmp_path / name) for name in ("a", "b")]
    first, second = (tokenize.fn(cleaned(run.store.home, 200), config, run) for run in runs)
    assert first.digest == second.digest
    made, manifest = runs[0].store.path(first), runs[0].store.manifest(first.stage, first.key)
    assert manifest is not None

    table = pq.read_table(made / "splits.parquet").to_pydict()
    split = dict(zip(table["id"], table["split"], strict=True))
    sides = defaultdict(set)
    for n in range(200):
        text = f"Number {n} returns the mean of an array. 第{n}个文档。"
        sides[n % 20].add(split[document_id(text)])
    assert all(len(side) == 1 for side in sides.values())
    assert {side for sides_of in sides.values() for side in sides_of} == {"train", "validation", "test"}
    for name in ("train", "validation", "test"):
        assert manifest.counts[f"{name} documents"] == Counter(split.values())[name]
    assert manifest.metrics["unknown share"] == 0

    tokenizer = AutoTokenizer.from_pretrained(made / "tokenizer")
    assert [tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS] == [0, 1, 2, 3, 4]
    for text in SCRIPTS:
        ids = tokenizer(text)["input_ids"]
        assert (ids[0], ids[-1], ids.count(1)) == (2, 3, 0)
        assert tokenizer.decode(ids[1:-1]) == unicodedata.normalize("NFC", text)
    settings = json.loads((made / "tokenizer" / "tokenizer.json").read_text())
    assert len(settings["model"]["vocab"]) == 400


@pytest.mark.parametrize(
    ("count", "meta", "group_by", "said"),
    [
        (3, True, "", r"no document falls into \w+ \(3 documents\); collect more text"),
        (40, True, "library", r"has no 'library' in its meta to group by \(it has module\); correct tokeniz"),
        (40, False, "module", r"has no 'module' in its meta to group by \(it has none\)"),
    ],
)
def test_division_that_can_not_be_made_is_an_error(
    tmp_path: Path, count: int, meta: bool, group_by: str, said: str
) -> None:
    config = TokenizeConfig(vocabulary=400, group_by=group_by)
    with pytest.raises(StageError, match=said):
        tokenize.fn(cleaned(tmp_path, count, meta), config, Run(tmp_path))
