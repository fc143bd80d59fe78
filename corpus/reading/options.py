"""How the records of a file are read: the part of a recipe that all formats share."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from model_code.config.strict import StrictModel

Division = Literal["whole", "line", "paragraph", "heading"]
TextStyle = Literal["plain", "tagged", "tokenized", "columns"]


class ReadingOptions(StrictModel):
    """What a record is, and where its text is."""

    format: str = Field(default="auto", description="what the files hold; auto: what their names say")
    text_field: str = Field(
        default="text",
        min_length=1,
        description="key or column that holds the text; dots lead into nested ones",
    )
    meta_fields: tuple[str, ...] = Field(
        default=(), description="keys or columns copied into the documents' `meta`: labels, groups"
    )
    header: bool = Field(
        default=True, description="CSV and TSV begin with the columns' names; without, they are 1, 2, 3"
    )
    document: Division = Field(
        default="whole", description="what of a text file or of a record's text makes one document"
    )
    text_style: TextStyle = Field(
        default="plain",
        description="tagged: word/TAG; tokenized: spaces around punctuation; columns: a token per line",
    )
    max_document_bytes: int = Field(default=10_000_000, ge=1, description="larger documents are left out")
