"""Parallel texts: line n of one file belongs to line n of the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from corpus.errors import CorpusError
from corpus.reading.example_files import File
from corpus.reading.rows import Row


def read(files: Mapping[str, File]) -> Iterator[Row]:
    """A row per line, its values by the fields that the files are named for.

    Raises:
        CorpusError: the files have different numbers of lines.
    """
    lines = {field: file.text.removesuffix("\n").split("\n") for field, file in files.items()}
    if len({len(texts) for texts in lines.values()}) > 1:
        shortest = min(lines, key=lambda field: len(lines[field]))
        counts = ", ".join(f"{files[field].uri} {len(texts):,}" for field, texts in lines.items())
        raise CorpusError(
            f"examples: {files[shortest].uri}, line {len(lines[shortest])}: the file ends here, another one "
            f"goes on (lines: {counts}); parallel texts have the same number of lines"
        )
    uris = {field: file.uri for field, file in files.items()}
    first = next(iter(uris.values()))
    for line, texts in enumerate(zip(*lines.values(), strict=True), start=1):
        values = (text.removesuffix("\r") for text in texts)
        yield Row(first, line, dict(zip(lines, values, strict=True)), files=uris)
