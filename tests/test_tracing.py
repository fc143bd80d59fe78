"""A token leads to the document that was collected, by the lines that docs/recipes.md shows."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from corpus.cleaning.config import CleanConfig
from corpus.tokenizing.config import TokenizeConfig
from model_code.data.shards import open_split
from model_code.data.vocabulary import load_tokenizer
from tasks.clean import clean
from tasks.collect import CollectConfig, collect, snapshot
from tasks.contract.run import Run
from tasks.tokenize import tokenize

PAGE = Path(__file__).resolve().parents[1] / "docs" / "recipes.md"
WORDS = """
cellar garden harbour kitchen library market meadow orchard quarry stable theatre bought carried counted hid
kept lost mended painted saw sold stacked washed barrels baskets bells boats bricks carts chairs clocks coins
the of and with under after before old young green quiet slowly often never there where because while into
"""


def text_of(number: int) -> str:
    """Words of its own; each third text has an address, which is masked, each fifth a letter to repair."""
    words = " ".join(random.Random(number).choices(WORDS.split(), k=40))
    address = f" Write to person{number}@old-bridges.org." if number % 3 == 0 else ""
    return f"This is no. {number} at the {'cafÃ©' if number % 5 == 0 else 'inn'}: {words}.{address}"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What three stages made of two files: the first is text for both, so its copies in the second go."""
    home = tmp_path_factory.mktemp("home")
    files = tmp_path_factory.mktemp("files")
    for name, numbers in (("one", range(80)), ("two", range(60, 160))):
        lines = [json.dumps({"text": text_of(number)}) + "\n" for number in numbers]
        (files / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    sources = [
        {"kind": "files", "name": name, "path": str(files / f"{name}.jsonl"), "license": license}
        for name, license in (("one", "MIT"), ("two", "CC0-1.0"))
    ]
    run = Run(home)
    asked = CollectConfig.model_validate({"sources": sources})
    collected = collect.fn(snapshot(asked, home), asked, run)
    cleaned = clean.fn(collected, CleanConfig(workers=1), run)
    tokenized = tokenize.fn(cleaned, TokenizeConfig(vocabulary=400, validation=0.2, test=0.2), run)
    artifacts = {"collected": collected, "cleaned": cleaned, "tokenized": tokenized}
    return {name: run.store.path(artifact) for name, artifact in artifacts.items()}


def traced(folders: dict[str, Path], split: str, position: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The cleaned and the collected document that the page's lines find for a token."""
    section = PAGE.read_text(encoding="utf-8").partition("### From a token to its source")[2]
    [lines] = re.findall(r"^```python\n(.*?)^```", section.partition("\n## ")[0], re.M | re.S)
    names: dict[str, Any] = {**folders, "position": position}
    exec(lines.replace("train", split), names)
    return names["document"], names["original"]


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_every_token_leads_to_what_was_collected(folders: dict[str, Path], split: str) -> None:
    tokens = open_split(folders["tokenized"] / "tokens", split)
    tokenizer = load_tokenizer(folders["tokenized"] / "tokenizer")
    changed = 0
    for number, (start, end) in enumerate(zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)):
        position = int((start, (start + end) // 2, end - 1)[number % 3])  # its ends belong to it, too
        document, original = traced(folders, split, position)
        ids = tokens.ids[start:end].tolist()
        assert tokenizer.decode(ids[1:-1], skip_special_tokens=False) == document["text"]
        place, _, line = original["uri"].rpartition("#")
        collected = Path(place.removeprefix("file://")).read_text(encoding="utf-8").splitlines()
        assert original["text"] == json.loads(collected[int(re.sub(r"\D", "", line)) - 1])["text"]
        assert original["source"] == Path(place).stem
        assert original["license"] == {"one": "MIT", "two": "CC0-1.0"}[original["source"]]
        known = int(re.findall(r"no\. (\d+)", original["text"])[0])
        assert f"no. {known} " in document["text"]
        assert ("@" in original["text"]) == (known % 3 == 0)
        assert "@" not in document["text"]
        assert (document["id"] != original["id"]) == (known % 3 == 0 or known % 5 == 0)
        changed += document["id"] != original["id"]
    assert changed


def test_what_was_dropped_is_found_by_the_id_it_was_collected_under(folders: dict[str, Path]) -> None:
    collected = pq.read_table(folders["collected"] / "documents", columns=["id", "uri"]).to_pylist()
    columns = ["id", "collected_id", "uri"]
    kept, dropped = (
        pq.read_table(folders["cleaned"] / part, columns=columns).to_pylist()
        for part in ("documents", "dropped")
    )
    assert len(dropped) == 20
    found = sorted((row["collected_id"], row["uri"]) for row in [*kept, *dropped])
    assert found == sorted((row["id"], row["uri"]) for row in collected)
    splits = pq.read_table(folders["tokenized"] / "splits.parquet").to_pylist()
    assert [(row["id"], row["collected_id"]) for row in splits] == [
        (row["id"], row["collected_id"]) for row in kept
    ]
    for split in ("train", "validation", "test"):
        documents = open_split(folders["tokenized"] / "tokens", split).info.documents
        assert documents == sum(row["split"] == split for row in splits) > 0
