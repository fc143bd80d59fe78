"""Tables in MediaWiki markup as lines: a row on each, its cells with ` | ` between them.

The syntax is described in https://www.mediawiki.org/wiki/Help:Tables.
"""

from __future__ import annotations

import re

# Stands between cells until the whole article is plain: a table may lie in a cell of another.
CELL_END = "\0"
BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)

_ROW = re.compile(r"\s*\|-")
_CAPTION = re.compile(r"\s*\|\+")
_CELLS = re.compile(r"\s*([|!])")
_NEXT_CELL = {"|": re.compile(r"\|\|"), "!": re.compile(r"\|\||!!")}
# `style="…" | text`: what stands before the bar says how the cell looks.
_ATTRIBUTES = re.compile(r"[^|\[\]{}\0]{0,1000}\|(?!\|)")
_HTML_CELL = re.compile(r"</t[dh]\s*>", re.IGNORECASE)
_HTML_ROW = re.compile(r"</?(?:tr|table|caption)\b[^<>\n]{0,500}>", re.IGNORECASE)


def table_text(content: str) -> str:
    """What stands between `{|` and `|}`, brackets resolved, as lines; empty cells and rows go."""
    rows: list[list[list[str]]] = [[]]  # a cell is the lines that it has
    for line in BREAK.sub(" ", content).split("\n")[1:]:  # the first line has the table's own attributes
        if _ROW.match(line):
            rows.append([])
        elif caption := _CAPTION.match(line):
            rows += [[[_cell(line[caption.end() :])]], []]
        elif begins := _CELLS.match(line):
            rows[-1] += [[_cell(cell)] for cell in _NEXT_CELL[begins[1]].split(line[begins.end() :])]
        elif rows[-1]:
            rows[-1][-1].append(line)
    lines = (CELL_END.join(filter(None, (" ".join(" ".join(cell).split()) for cell in row))) for row in rows)
    return "\n" + "\n".join(line for line in lines if line) + "\n"


def html_tables_as_lines(text: str) -> str:
    """The same for the cells and rows of `<table>`."""
    return _HTML_ROW.sub("\n", _HTML_CELL.sub(CELL_END, text))


def with_bars(text: str) -> str:
    """Lines of cells as a reader sees them."""
    return "\n".join(
        " | ".join(filter(None, map(str.strip, line.split(CELL_END)))) if CELL_END in line else line
        for line in text.split("\n")
    )


def _cell(written: str) -> str:
    attributes = _ATTRIBUTES.match(written)
    return written[attributes.end() :] if attributes else written
