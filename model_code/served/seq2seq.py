"""A text for a text, such as its translation: served."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .graph import TokenRow
from .questions import lacks
from .writing_form import WritingForm


class Form(WritingForm):
    """Texts that are written for sources, by as many beams as the recipe says unless tokens are drawn."""

    def __init__(self, folder: Path, threads: int = 0) -> None:
        """Load the folder that `export` wrote."""
        super().__init__(folder, threads)
        self.beams = int(self.graph.settings["options"]["beams"])

    @property
    def longest(self) -> int:
        """Tokens that a text may have."""
        return int(self.graph.settings["options"]["max_target_length"])

    def fault_of_source(self, question: Mapping[str, Any]) -> str:
        """No text."""
        return lacks(question, ["source"] if "source" in question else self.inputs)

    def questions(self, example: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The questions that an example is to an endpoint; `joined` makes its answer of theirs."""
        return [{"text_input": example["source"]}]

    def row(self, question: Mapping[str, Any]) -> TokenRow:
        """The tokens of a source, cut to what the model reads."""
        frame = self.graph.frame
        text = question["source"] if "source" in question else question["text_input"]
        ids = self.graph.tokenizer.encode(text, add_special_tokens=False).ids
        return TokenRow(frame.around(ids[: self.graph.max_length - frame.size])[0])
