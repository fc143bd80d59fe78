"""Excel's workbooks (and OpenDocument's): the one sheet that has anything in it, a record per row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from corpus.reading.containers import Entry
from corpus.reading.record import OnSkipped
from corpus.reading.rows import Row, RowOptions, skip
from corpus.reading.skipped import Skipped
from corpus.reading.spelling import spelled

SUFFIXES = {"excel": (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")}
IS_TEXT = False


def rows(entry: Entry, options: RowOptions, on_skipped: OnSkipped | None = None) -> Iterator[Row]:
    """A row per row that has anything in it; its line is its number in the sheet.

    An empty cell is None. Without a header the columns are "1", "2", ….

    Raises:
        Skipped: it is no workbook, several sheets have something in them, or a name occurs twice; strict,
            also a row with something beside the named columns.
    """
    rows_of_sheet = _only_sheet(entry)
    names: list[str] = []
    for number, cells in rows_of_sheet:
        if not names:
            names = _names(cells, header=options.header)
            if twice := [name for name in names if name and names.count(name) > 1]:
                detail = f"the column {twice[0]!r} occurs twice in the header; rename one"
                raise Skipped("repeated column", detail, number)
            if options.header:
                continue
        if any(cell is not None for name, cell in zip(names, cells, strict=False) if not name) or any(
            cell is not None for cell in cells[len(names) :]
        ):
            detail = "a cell in a column without a name; name the column, or empty the cell"
            skip(on_skipped, str(number), Skipped("ragged row", detail, number))
            continue
        values = {name: cell for name, cell in zip(names, cells, strict=False) if name}
        yield Row(entry.uri, number, values, position=str(number))


def _only_sheet(entry: Entry) -> Iterator[tuple[int, list[Any]]]:
    """The rows of the sheet that is not empty, each with its number."""
    from io import BytesIO

    import python_calamine

    try:
        workbook = python_calamine.CalamineWorkbook.from_filelike(BytesIO(entry.stream.read()))
        sheets = {
            # With empty rows and columns at the beginning, so that numbers are those of the sheet.
            name: workbook.get_sheet_by_name(name).to_python(skip_empty_area=False)
            for name in workbook.sheet_names
        }
    except python_calamine.CalamineError as error:
        raise Skipped("damaged", f"not a workbook that can be read ({error}); save it again") from error
    filled = [name for name, table in sheets.items() if any(map(_has_anything, table))]
    if len(filled) > 1:
        detail = f"{len(filled)} sheets have something in them ({', '.join(filled)[:200]})"
        raise Skipped("several sheets", f"{detail}; save the one that is meant by itself", 0)
    for table in (sheets[name] for name in filled):
        for number, cells in enumerate(table, 1):
            if _has_anything(cells):
                yield number, [_value(cell) for cell in cells]


def _has_anything(cells: Sequence[Any]) -> bool:
    return any(_value(cell) is not None for cell in cells)


def _value(cell: Any) -> Any:
    """What a cell holds: Excel has but one kind of number, and an empty cell is an empty text."""
    if isinstance(cell, str):
        return cell if cell.strip() else None
    return int(cell) if isinstance(cell, float) and cell.is_integer() else cell


def _names(cells: Sequence[Any], *, header: bool) -> list[str]:
    if not header:
        return [str(number) for number in range(1, len(cells) + 1)]
    return ["" if cell is None else spelled(str(cell)) for cell in cells]
