from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from corpus.documents import Document, to_batches, write_shards
from corpus.errors import CorpusError
from corpus.tokenizing.config import TokenizeConfig
from corpus.tokenizing.document_splits import SPLITS, divide, split_codes


def splits_of(groups: Sequence[str], config: TokenizeConfig) -> dict[str, str]:
    return {group: SPLITS[code] for group, code in zip(groups, split_codes(groups, config), strict=True)}


def test_the_split_of_a_group_is_the_same_for_ever() -> None:
    config = TokenizeConfig()
    # Noted once: another division would put what was trained on among what is tested on.
    fixed = {"numpy.linalg": "test", "ast": "validation", "torch.nn": "train", "文档": "train"}
    assert splits_of([*fixed], config) == fixed
    names = [f"module{n}" for n in range(5000)]
    found = splits_of(names, config)
    shares = Counter(found.values())
    assert shares["test"] / 5000 == pytest.approx(config.test, abs=0.02)
    assert shares["validation"] / 5000 == pytest.approx(config.validation, abs=0.02)
    assert splits_of(names, TokenizeConfig(seed=1)) != found


def documents(folder: Path, count: int) -> Path:
    """So many documents of which three after another are of one module."""
    made = (
        Document(f"text {n}", "own", f"{n}", meta={"module": f"module {n // 3}", "part": n})
        for n in range(count)
    )
    batches = (batch.add_column(1, "collected_id", batch["id"]) for batch in to_batches(made, rows=50))
    write_shards(batches, folder / "documents", rows_per_shard=70)
    return folder / "documents"


@pytest.mark.parametrize("key", ["", "module"])
def test_documents_are_divided_by_themselves_or_by_their_group(tmp_path: Path, key: str) -> None:
    config = TokenizeConfig(group_by=key)
    division = divide(documents(tmp_path, 300), config, tmp_path / "splits.parquet")
    written = pq.read_table(tmp_path / "splits.parquet").to_pydict()
    groups = [f"module {n // 3}" for n in range(300)] if key else written["id"]
    assert written["split"] == [SPLITS[code] for code in split_codes(groups, config)]
    assert division.sizes() == Counter(written["split"])
    batches = list(division.batches(["id"]))
    assert [id for batch, _ in batches for id in batch["id"].to_pylist()] == written["id"]
    assert all(len(codes) == batch.num_rows for batch, codes in batches)


def test_a_key_that_documents_lack_and_a_split_without_any_are_refused(tmp_path: Path) -> None:
    folder = documents(tmp_path, 3)
    with pytest.raises(CorpusError, match=r"no 'package' in its meta .* \(it has module, part\)"):
        divide(folder, TokenizeConfig(group_by="package"), tmp_path / "splits.parquet")
    with pytest.raises(CorpusError, match=r"falls into \w+ \(3 documents\)"):
        divide(folder, TokenizeConfig(group_by="module"), tmp_path / "splits.parquet")
