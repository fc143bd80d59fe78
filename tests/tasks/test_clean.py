"""The clean stage: its counts and page, and what it says when nothing is left."""

import re
from pathlib import Path
from typing import Any

import pytest

from corpus.cleaning.config import CleanConfig
from corpus.cleaning.filter_keys import key_of_filter
from corpus.cleaning.filters.rule_sets import RULE_SETS
from corpus.documents import Document, to_batches, write_shards
from tasks.clean import clean, nothing_left
from tasks.collect import CollectConfig
from tasks.contract.errors import StageError
from tasks.contract.run import Run
from tests.published import publish

TEXTS = [
    "The gardener watered the roses behind the greenhouse before the first frost of the year came.",
    "Two tugboats pulled the old trawler against the wind to a pier where nobody had waited for it.",
    "Please write to the harbour master at office@harbour-town.org before the ferry leaves for the island.",
    "tiny",
]


def run(home: Path, texts: list[str], **config: object) -> dict[str, int]:
    """The counts of the stage's manifest."""
    stages = Run(home)
    folder = stages.store.begin("collect", "c" * 64)
    documents = [Document(text, "s", f"u{row}") for row, text in enumerate(texts)]
    write_shards(to_batches(documents), folder / "documents")
    write_shards(to_batches([]), folder / "evaluation")
    collected = publish(stages.store, folder, "collect", "c" * 64)
    cleaned = clean.fn(collected, CleanConfig.model_validate({"workers": 1, **config}), stages)
    manifest = stages.store.manifest("clean", cleaned.key)
    assert manifest is not None
    assert not stages.store.scratch("clean", cleaned.key).exists()
    return manifest.counts


def test_counts_say_where_documents_went(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = run(tmp_path, [*TEXTS, TEXTS[0]])
    assert (counts["collected"], counts["kept"]) == (5, 3)
    assert (counts["dropped by too_short"], counts["dropped by exact_duplicate"]) == (1, 1)
    said = capsys.readouterr().out
    assert (
        "3 of 5 documents kept, 71% of the text; dropped by too_short 1, exact_duplicate 1; 1 pieces of"
        in " ".join(said.split())
    )


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"every one of the 2 documents was dropped, 2 of them by too_short"):
        run(tmp_path, ["tiny", "small"])


@pytest.mark.parametrize(
    ("filter_name", "place"),
    [
        ("too_short", r"clean\.filters\.thresholds\.all\.too_short"),
        ("language", r"clean\.languages"),
        ("words_toxicity", r"clean\.word_lists\.max_share\.toxicity"),
        ("contaminated", r"clean\.decontaminate"),
        ("mix", r"clean\.mix"),
        ("empty", r"collect\.sources"),
    ],
)
def test_nothing_left_names_the_place_in_the_recipe(filter_name: str, place: str) -> None:
    error = nothing_left({"collected": 5, "kept": 0, "dropped": {"other": 1, filter_name: 4}})
    assert re.search(f"4 of them by {filter_name}; relax {place}", str(error))


def test_what_a_message_says_to_relax_is_a_key_of_the_recipe() -> None:
    for rule in (rule.name for members in RULE_SETS.values() for rule in members):
        assert key_of_filter(rule) == f"clean.filters.thresholds.all.{rule}"
        CleanConfig.model_validate({"filters": {"thresholds": {"all": {rule: 1.0}}}})
    assert key_of_filter("words_toxicity") == "clean.word_lists.max_share.toxicity"
    CleanConfig.model_validate({"word_lists": {"max_share": {"toxicity": 0.5}}})
    for reason in ("language", "contaminated", "mix", "near_duplicate", "exact_duplicate", "empty"):
        section, *path = key_of_filter(reason).partition(" ")[0].rstrip(",").split(".")
        found: Any = {"clean": CleanConfig, "collect": CollectConfig}[section]
        for key in path:
            found = found.model_fields[key].annotation


def test_nothing_collected_is_an_error() -> None:
    assert "no document to clean" in str(nothing_left({"collected": 0, "kept": 0, "dropped": {}}))
