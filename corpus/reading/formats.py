"""Readers of files by format: what a record is, and where its text is."""

from __future__ import annotations

from corpus.reading.containers import Entry
from corpus.reading.left_out import LeftOut
from corpus.reading.options import ReadingOptions
from corpus.reading.record import Reader

_BY_SUFFIX = {
    **{".txt": "text", ".text": "text", ".md": "text", ".html": "html", ".htm": "html", ".xhtml": "html"},
    **{".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "tsv"},
    **{".parquet": "parquet", ".xml": "mediawiki", ".warc": "warc", ".wet": "warc"},
}


def format_of(entry: Entry, options: ReadingOptions) -> str:
    """The format that the recipe names, or the one of the entry's suffix.

    Raises:
        LeftOut: no reader knows the suffix.
    """
    if options.format != "auto":
        return options.format
    _, dot, suffix = entry.name.lower().rpartition(".")
    if dot + suffix in _BY_SUFFIX:
        return _BY_SUFFIX[dot + suffix]
    found = dot + suffix if dot else "no suffix"
    raise LeftOut("unsupported type", f"{found}; known are {' '.join(_BY_SUFFIX)}; or set `format`")


def reader_of(name: str) -> Reader:
    """The function that reads a format; its libraries are imported only now."""
    match name:
        case "text":
            from corpus.reading.plain import read
        case "html":
            from corpus.reading.html import read
        case "jsonl":
            from corpus.reading.json_lines import read
        case "json":
            from corpus.reading.json_values import read
        case "csv" | "tsv":
            from corpus.reading.tables import read
        case "parquet":
            from corpus.reading.parquet import read
        case "mediawiki":
            from corpus.reading.mediawiki import read
        case "warc":
            from corpus.reading.warc import read
        case _:
            raise LookupError(name)
    return read
