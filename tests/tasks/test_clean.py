"""The clean stage: its counts and page, and what it says when nothing is left."""

from pathlib import Path

import pytest

from tasks.clean import clean
from tasks.cleaning.config import CleanConfig
from tasks.documents import Document, to_batches, write_shards
from tasks.errors import StageError
from tasks.stage import Run
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
        "3 of 5 documents kept; dropped by too_short 1, exact_duplicate 1; 1 pieces of personal data" in said
    )


@pytest.mark.parametrize(
    ("texts", "config", "message"),
    [
        (
            ["tiny", "small"],
            {},
            r"every one of the 2 .* 2 of them by too_short; relax clean\.filters\.thresh",
        ),
        ([" \n"], {}, r"1 of them by empty; relax collect\.sources"),
        (["Это русский текст о музыке и о театре."], {}, r"1 of them by language; relax clean\.languages"),
        (TEXTS[:2], {"mix": {"caps": {"s": 0}}}, r"2 of them by mix; relax clean\.mix"),
        ([], {}, r"there is no document to clean"),
    ],
)
def test_nothing_left_names_the_filter_and_its_place_in_the_recipe(
    tmp_path: Path, texts: list[str], config: dict[str, object], message: str
) -> None:
    with pytest.raises(StageError, match=message):
        run(tmp_path, texts, **config)
