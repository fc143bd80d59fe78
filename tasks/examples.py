"""Stage: the examples to fine-tune with, read, checked, divided and shown before a model is trained."""

from __future__ import annotations

import json

from pydantic import BaseModel, ConfigDict

from corpus.examples.config import DocumentsExamples, ExamplesConfig, FilesExamples
from corpus.examples.from_documents import document_examples
from corpus.examples.from_files import read_examples
from corpus.examples.hidden_names import mask_of
from corpus.examples.label_counts import CountsBySplit, counted, entities
from corpus.examples.same_file import check_apart
from corpus.examples.splits import SPLITS, Splits
from corpus.reading.example_files import digest_of
from corpus.reading.formats import library_versions
from tasks.contract.artifact import Artifact
from tasks.contract.console import escaped
from tasks.contract.stage import stage
from tasks.contract.workspace import Workspace

__all__ = [
    "DocumentsExamples",
    "ExampleFiles",
    "ExamplesConfig",
    "FilesExamples",
    "example_files",
    "examples",
    "read_examples",
]

MOST_LABELS = 50
EXAMPLES_SHOWN = 5


class ExampleFiles(BaseModel):
    """The files of examples at this moment, the stage's input: sha256 by path, and what reads them."""

    model_config = ConfigDict(frozen=True)

    digests: dict[str, str]
    libraries: str


def example_files(config: FilesExamples | DocumentsExamples) -> ExampleFiles | None:
    """Look at the files that the recipe names, so that a changed one makes the stage run anew.

    None for examples made of documents.

    Raises:
        CorpusError: a file is not there, can't be read, or is in two splits.
    """
    if isinstance(config, DocumentsExamples):
        return None
    check_apart(config)
    digests = {path: digest_of(path) for path in config.paths}
    return ExampleFiles(digests=digests, libraries=library_versions())


@stage(runs=("model_code.task_types.", "corpus.reading.formats."))
def examples(
    given: ExampleFiles | None,
    cleaned: Artifact | None,
    tokens: Artifact | None,
    config: FilesExamples | DocumentsExamples,
    workspace: Workspace,
) -> None:
    """Write `train.jsonl`, `validation.jsonl`, `test.jsonl` (an example per line) and `report.json`.

    `given` is for examples in files, `cleaned` and `tokens` for those made of documents; the others are None.

    Raises:
        CorpusError: an example is wrong, with its file and line; or the set can't be learnt from.
    """
    from model_code.task_types.task import task_named

    if isinstance(config, FilesExamples):
        splits = read_examples(config)
    else:
        assert cleaned is not None
        assert tokens is not None
        made = workspace.path(tokens)
        splits = document_examples(
            workspace.path(cleaned) / "documents",
            made / "splits.parquet",
            config,
            workspace.manifest(tokens).config.get("group_by", ""),
            mask_of(made / "tokenizer") if config.mask_names else "",
        )
    task = task_named(config.task)
    counts = counted(splits, task)
    of_type = entities(counts, task)
    _write(splits, counts, of_type, config.task, workspace)
    _show(splits, counts, of_type, workspace)


def _write(
    splits: Splits, counts: CountsBySplit, of_type: CountsBySplit, task: str, workspace: Workspace
) -> None:
    for split, examples in splits.examples.items():
        with (workspace.directory / f"{split}.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(example, ensure_ascii=False) + "\n" for example in examples)
    report = {
        "task": task,
        "labels": splits.labels,
        "counts": {split: len(examples) for split, examples in splits.examples.items()},
        "label_counts": counts,
        **({"entity_counts": of_type} if of_type else {}),
        "remarks": splits.remarks,
        "left_out": splits.left_out,
    }
    text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
    (workspace.directory / "report.json").write_text(text, encoding="utf-8")


def _show(splits: Splits, counts: CountsBySplit, of_type: CountsBySplit, workspace: Workspace) -> None:
    sizes = {split: len(splits.examples[split]) for split in SPLITS}
    workspace.counts |= {f"{split} examples": size for split, size in sizes.items()}
    workspace.counts |= {"labels": len(splits.labels), "labels left out": len(splits.left_out)}
    all_examples = [("all", *sizes.values())]
    if of_type:
        workspace.counts |= {
            f"{split} entities": sum(of[split] for of in of_type.values()) for split in SPLITS
        }
        workspace.table("Examples", ["", *SPLITS], all_examples)
        workspace.table("Entities", ["type", *SPLITS], _rows(of_type))
        workspace.table("Words by tag", ["tag", *SPLITS], _rows(counts))
    else:
        workspace.table("Examples", ["label", *SPLITS], [*all_examples, *_rows(counts)])
    said = _totals("entities", of_type) if of_type else _totals("labels", counts)
    workspace.say(", ".join(f"{size:,} {split} examples" for split, size in sizes.items()) + said)
    remarks = {remark: count for remark, count in splits.remarks.items() if count}
    if remarks:
        workspace.table("To know", ["what", "how many"], list(remarks.items()))
        workspace.say(escaped("; ".join(f"{count:,} {remark}" for remark, count in remarks.items())))
    if splits.left_out:
        workspace.table("Labels left out", ["label", "reason"], list(splits.left_out.items()))
        reasons = [f"{label} ({reason})" for label, reason in splits.left_out.items()]
        more = f", and {len(reasons) - 8} more in report.json" if len(reasons) > 8 else ""
        workspace.say(escaped(f"labels left out: {', '.join(reasons[:8])}{more}"))
    shown = splits.examples["train"][:: max(1, sizes["train"] // EXAMPLES_SHOWN)][:EXAMPLES_SHOWN]
    fields = list(dict.fromkeys(name for example in shown for name in example if name != "id"))
    cells = [[example["id"], *(_size(example.get(name, "")) for name in fields)] for example in shown]
    workspace.table("Some training examples, in characters", ["id", *fields], cells)


def _rows(counts: CountsBySplit) -> list[tuple[object, ...]]:
    return [(label, *by_split.values()) for label, by_split in list(counts.items())[:MOST_LABELS]]


def _totals(what: str, counts: CountsBySplit) -> str:
    if not counts:
        return ""
    sizes = [f"{label} ({sum(by_split.values()):,})" for label, by_split in counts.items()]
    more = f", … {len(sizes)} in all" if len(sizes) > MOST_LABELS else ""
    return escaped(f"; {what}: {', '.join(sizes[:MOST_LABELS])}{more}")


def _size(value: object) -> int:
    """Characters of a value: what it says belongs on no page that a server keeps."""
    return len(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
