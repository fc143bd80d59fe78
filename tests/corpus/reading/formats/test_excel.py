"""Workbooks of Excel as examples: the one sheet with anything in it."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest

from corpus.errors import CorpusError
from corpus.examples.config import FilesExamples
from corpus.examples.from_files import read_examples
from corpus.reading.example_files import files_of
from corpus.reading.formats import excel
from corpus.reading.rows import Row, RowOptions
from corpus.reading.skipped import Skipped

Table = Sequence[Sequence[Any]]
TYPES = (
    '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="xml" ContentType="application/xml"/>'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    "</Types>"
)
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def workbook(**sheets: Table) -> bytes:
    """A workbook as Excel writes it, of these sheets; None is no cell."""
    held = BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("[Content_Types].xml", TYPES)
        archive.writestr("_rels/.rels", _relations({"rId1": ("officeDocument", "xl/workbook.xml")}))
        named = "".join(
            f'<sheet name="{name}" sheetId="{number}" r:id="rId{number}"/>'
            for number, name in enumerate(sheets, 1)
        )
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{named}</sheets></workbook>',
        )
        targets = {
            f"rId{number}": ("worksheet", f"worksheets/sheet{number}.xml")
            for number in range(1, len(sheets) + 1)
        }
        archive.writestr("xl/_rels/workbook.xml.rels", _relations(targets))
        for number, table in enumerate(sheets.values(), 1):
            rows = "".join(f'<row r="{n}">{_cells(n, row)}</row>' for n, row in enumerate(table, 1))
            archive.writestr(
                f"xl/worksheets/sheet{number}.xml",
                f'<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>',
            )
    return held.getvalue()


def _relations(targets: dict[str, tuple[str, str]]) -> str:
    entries = "".join(
        f'<Relationship Id="{key}" Type="{OFFICE}/{kind}" Target="{target}"/>'
        for key, (kind, target) in targets.items()
    )
    return f'<?xml version="1.0"?><Relationships xmlns="{PACKAGE}">{entries}</Relationships>'


def _cells(number: int, row: Sequence[Any]) -> str:
    written = []
    for column, value in zip("ABCDEFGH", row, strict=False):
        place = f'r="{column}{number}"'
        if isinstance(value, str):
            written.append(f'<c {place} t="inlineStr"><is><t>{escape(value)}</t></is></c>')
        elif value is not None:
            written.append(f"<c {place}><v>{value}</v></c>")
    return "".join(written)


def rows_of(folder: Path, held: bytes, **options: Any) -> list[Row]:
    """The rows of a workbook."""
    (folder / "a.xlsx").write_bytes(held)
    (file,) = files_of(str(folder / "a.xlsx"))
    return list(excel.rows(file.entry, RowOptions({}, 1000, "excel", **options), None))


def test_rows_have_the_names_of_the_first_one_and_their_numbers_in_the_sheet(tmp_path: Path) -> None:
    table = [[], [None, "text", " stars "], [None, "warm & funny", 5], [], [None, "二", 2.5], [None, "x"]]
    found = rows_of(tmp_path, workbook(Reviews=table, Empty=[]))
    assert [(row.line, dict(row.values)) for row in found] == [
        (3, {"text": "warm & funny", "stars": 5}),
        (5, {"text": "二", "stars": 2.5}),
        (6, {"text": "x", "stars": None}),
    ]


def test_without_a_header_columns_are_numbers(tmp_path: Path) -> None:
    (row,) = rows_of(tmp_path, workbook(a=[["warm", 1]]), header=False)
    assert row.values == {"1": "warm", "2": 1}


@pytest.mark.parametrize(
    ("sheets", "reason"),
    [
        ({"a": [["text"], ["x"]], "b": [["text"], ["y"]]}, "several sheets"),
        ({"a": [["text", "text"], ["x", "y"]]}, "repeated column"),
        ({"a": [["text"], ["x", "beside"]]}, "ragged row"),
    ],
)
def test_what_may_mean_several_things_is_refused(
    sheets: dict[str, Table], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(Skipped) as refused:
        rows_of(tmp_path, workbook(**sheets))
    assert refused.value.reason == reason


def test_a_damaged_workbook_is_one_error(tmp_path: Path) -> None:
    for held in (b"PK\x03\x04 and nothing more", workbook(a=[["text"], ["x"]])[:300]):
        with pytest.raises(Skipped, match="damaged"):
            rows_of(tmp_path, held)


def test_examples_are_read_from_workbooks(tmp_path: Path) -> None:
    table = [["text", "label"], *([f"text {n}", n % 2] for n in range(40))]
    (tmp_path / "a.xlsx").write_bytes(workbook(Sheet1=table))
    splits = read_examples(FilesExamples(task="classification", train=str(tmp_path / "a.xlsx")))
    assert splits.labels == ["0", "1"]
    ids = [one["id"] for several in splits.examples.values() for one in several]
    assert len(set(ids)) == 40


def test_the_same_workbook_under_another_name_can_not_judge(tmp_path: Path) -> None:
    held = workbook(Sheet1=[["text", "label"], *([f"text {n}", n % 2] for n in range(40))])
    for name in ("a.xlsx", "b.xlsx"):
        (tmp_path / name).write_bytes(held)
    with pytest.raises(CorpusError, match="hold the same"):
        read_examples(
            FilesExamples(
                task="classification", train=str(tmp_path / "a.xlsx"), test=str(tmp_path / "b.xlsx")
            )
        )
