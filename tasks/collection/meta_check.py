"""Whether the fields that a recipe wants in the documents' `meta` are in any record of their source.

A single record may lack one; a name that none has is a slip, and would be found out only when examples are
made of the documents, after all of the cleaning.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress

from corpus.documents import Item
from corpus.errors import SourceError
from corpus.kept.segments import Segments
from tasks.collection.kept_sources import KeptSource


class _Enough(Exception):
    """The first record was seen."""


def check_meta(place: KeptSource, segments: Segments, items: Sequence[Item]) -> None:
    """Refuse `meta_fields` of a source that none of its documents has.

    Raises:
        SourceError: it names the field, and those that the records have.
    """
    wanted = set(getattr(place.source, "meta_fields", ()))
    missing, documents = set(wanted), 0
    for _, batches in segments.documents(items) if wanted else ():
        for batch in batches:
            for meta in batch["meta"].to_pylist():
                documents += 1
                missing -= json.loads(meta).keys()
                if not missing:
                    return
    if missing and documents:
        name = min(missing)
        raise SourceError(
            f"collect: no document of {place.source.name} has the field {name!r} that meta_fields names; its "
            f"records have {_fields(place, items, name)}. Correct meta_fields of the source"
        )


def _fields(place: KeptSource, items: Sequence[Item], absent: str) -> str:
    """The fields of the first record: what the reader says when it is sent for a text that is not there."""
    source = place.source.model_copy(update={"text_field": absent, "meta_fields": ()})
    said: list[str] = []

    def heard(uri: str, reason: str, detail: str) -> None:
        said.append(detail)
        raise _Enough

    try:
        for item in items[:1]:
            next(iter(place.reader.read(source, item, heard)), None)
    except (_Enough, SourceError) as error:
        said.append(str(error))
    with suppress(IndexError):
        return said[0].partition("found ")[2].partition("; set ")[0] or "no fields"
    return "no fields"
