"""What a model said of every test example, kept so that versions are compared without running them again.

The file is in the artifact of `evaluate` and among the files of each registered version. It holds no text of
the examples but what their figures are computed from, and their digest: only what was said of the very same
examples can be compared.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.contract.artifact import canonical, sha256_text

if TYPE_CHECKING:  # it imports torch
    from model_code.task_types.task import Settings

FILE = "predictions.parquet"
ABOUT = b"textmill"
SCHEMA = pa.schema([(name, pa.string()) for name in ("id", "group", "truth", "prediction")])


@dataclass(frozen=True)
class Kept:
    """The predictions of one model, and the examples as far as figures need them (`truths`).

    `examples` is the digest of the examples as they were.
    """

    examples: str
    settings: Settings
    truths: list[dict[str, Any]]
    said: list[Any]


def digest_of(examples: Sequence[Mapping[str, Any]]) -> str:
    """The sha256 of all that the examples say, in their order."""
    return sha256_text("\n".join(map(canonical, examples)))


def truths_of(examples: Sequence[Mapping[str, Any]], settings: Settings) -> list[dict[str, Any]]:
    """What figures need of the examples: what is right, and which of them belong together."""
    from model_code.task_types.task import task_named, truth_of

    task, kept = task_named(settings.task), ("id", "group")
    return [
        {name: example[name] for name in kept if name in example} | truth_of(task, example)
        for example in examples
    ]


def write(path: Path, examples: Sequence[Mapping[str, Any]], said: Sequence[Any], settings: Settings) -> None:
    """Write what was said of the examples; the same says the same bytes."""
    truths = truths_of(examples, settings)
    columns = {
        "id": [str(truth.pop("id", number)) for number, truth in enumerate(truths)],
        "group": [truth.pop("group", None) for truth in truths],
        "truth": list(map(canonical, truths)),
        "prediction": list(map(canonical, said)),
    }
    about = {"examples": digest_of(examples), "settings": asdict(settings)}
    table = pa.table(columns, SCHEMA.with_metadata({ABOUT: canonical(about)}))
    pq.write_table(table, path, compression="zstd")


def read(path: Path) -> Kept:
    """What was written."""
    from model_code.task_types.task import settings_from

    table = pq.read_table(path, schema=SCHEMA)
    about = json.loads(pq.read_schema(path).metadata[ABOUT])
    rows = zip(*(table.column(name).to_pylist() for name in ("id", "group", "truth")), strict=True)
    truths = [
        {"id": id} | ({} if group is None else {"group": group}) | json.loads(truth)
        for id, group, truth in rows
    ]
    said = [json.loads(text) for text in table.column("prediction").to_pylist()]
    return Kept(about["examples"], settings_from(about["settings"]), truths, said)


def examples_in(path: Path) -> str:
    """The digest of the examples that a file is about; cheap."""
    digest: str = json.loads(pq.read_schema(path).metadata[ABOUT])["examples"]
    return digest
