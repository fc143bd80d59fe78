"""Preferences as they are published: whole conversations for a chosen and a rejected reply."""

import json
from pathlib import Path

import pytest

from corpus.errors import CorpusError
from tests.corpus.examples.example_files import all_of, read, write


def as_csv(rows: list[list[str]]) -> list[str]:
    return [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]


def test_conversations_in_a_table_are_printed_as_json(tmp_path: Path) -> None:
    asked = {"role": "user", "content": "What, then?"}
    said = [json.dumps([asked, {"role": "assistant", "content": word}]) for word in ("It", "No")]
    rows = [["chosen", "rejected"], *([said[0], said[1].replace("No", f"No {n}")] for n in range(9))]
    cells = as_csv(rows)
    write(tmp_path, a__csv="\n".join(cells))
    found = all_of("preference", "a.csv")
    assert [(one["messages"], one["chosen"]) for one in found] == [([asked], "It")] * 9
    beside = [[*rows[0], "messages"], *([*row, row[0]] for row in rows[1:])]  # as UltraFeedback has it
    write(tmp_path, a__csv="\n".join(as_csv(beside)))
    assert [one["messages"] for one in all_of("preference", "a.csv")] == [[asked]] * 9
    python = cells[1].replace('""role""', "'role'")
    write(tmp_path, a__csv="\n".join([cells[0], python, *cells[2:]]))
    with pytest.raises(CorpusError, match=r"a\.csv, line 2: 'chosen' holds messages that are not printed as"):
        read("preference", "a.csv")


def test_pairs_of_replies_are_read_as_they_are_published(tmp_path: Path) -> None:
    lines = []
    for n in range(9):
        asked = [{"role": "user", "content": f"What is {n}?"}]
        chosen, rejected = (
            [*asked, {"role": "assistant", "content": f"{word} {n}"}] for word in ("It", "No")
        )
        row = {"prompt": f"What is {n}?", "messages": chosen, "chosen": chosen, "rejected": rejected}
        lines.append(json.dumps(row | {"prompt_id": f"{n:x}", "score_chosen": 8.5}))
    write(tmp_path, a__jsonl="\n".join(lines))
    example = next(one for one in all_of("preference", "a.jsonl") if one["id"] == "a.jsonl:1")
    assert example == {
        "id": "a.jsonl:1",
        "messages": [{"role": "user", "content": "What is 0?"}],
        "chosen": "It 0",
        "rejected": "No 0",
    }
    spoilt = lines[3].replace('"prompt": "What is 3?"', '"prompt": "What is 4?"')
    write(tmp_path, a__jsonl="\n".join([*lines[:3], spoilt, *lines[4:]]))
    with pytest.raises(CorpusError, match=r"a\.jsonl, line 4: its prompt is not what its two conversations"):
        read("preference", "a.jsonl")
