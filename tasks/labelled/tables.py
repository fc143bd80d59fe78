"""CSV as in RFC 4180, and TSV, which has no quotes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from tasks.labelled.files import File
from tasks.labelled.rows import Row, wrong


def read(file: File, *, tabs: bool, header: bool) -> Iterator[Row]:
    """A row per example; without a header its columns are "1", "2", ….

    Raises:
        StageError: a row has another number of columns than the first one, or is none; a name occurs twice.
    """
    names: list[str] = []
    for line, cells in _tab_separated(file) if tabs else _comma_separated(file):
        if not names:
            names = cells if header else [str(column + 1) for column in range(len(cells))]
            if twice := [name for name in names if names.count(name) > 1]:
                raise wrong(file.uri, line, f"the column {twice[0]!r} occurs twice in the header; rename one")
            if header:
                continue
        if len(cells) != len(names):
            raise wrong(
                file.uri,
                line,
                f"{len(cells)} columns, where the first row has {len(names)} ({', '.join(names)[:200]}); "
                "correct or remove the row",
            )
        yield Row(file.uri, line, dict(zip(names, cells, strict=True)))


def _tab_separated(file: File) -> Iterator[tuple[int, list[str]]]:
    for line, text in enumerate(file.text.split("\n"), start=1):
        if text.strip():
            yield line, text.rstrip("\r").split("\t")


def _comma_separated(file: File) -> Iterator[tuple[int, list[str]]]:
    # The limit is the whole process's.
    csv.field_size_limit(max(csv.field_size_limit(), len(file.text)))
    rows = csv.reader(io.StringIO(file.text, newline=""), strict=True)
    line = 1
    while True:
        try:
            cells = next(rows, None)
        except csv.Error as error:
            raise wrong(
                file.uri, line, f"not a row of CSV ({error}); correct the quotes from here on"
            ) from error
        if cells is None:
            return
        if cells:
            yield line, cells
        line = rows.line_num + 1
