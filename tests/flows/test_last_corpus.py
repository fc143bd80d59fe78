"""`textmill corpus show` and `stats` over small artifacts of a recorded run."""

import io
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from flows.corpus_show import Selection, show
from flows.corpus_stats import draw
from flows.last_corpus import LastCorpus, last_corpus
from flows.run_record import Recorder
from tasks.contract.errors import RecipeError, StageError
from tasks.contract.run import StageOutcome
from tasks.contract.store import Store
from tests.corpus_artifacts import cleaned, collected, drop, good_rows

COMMAND = Path(sys.executable).with_name("textmill")


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LastCorpus:
    """Seven kept documents, three too short, two near duplicates, in a run of python-docs."""
    monkeypatch.setenv("TEXTMILL_HOME", str(tmp_path))
    kept = good_rows(7)
    hostile = good_rows(1, "bell \x07 and \x1b[31mred [bold]markup[/]")[0] | {"uri": "file:hostile"}
    short = [*good_rows(2, "Short {}."), hostile]
    near = good_rows(2, "Return a mean of array number {} along an axis.")
    dropped = drop(short, "too_short", "9")
    for row, other in zip(near, kept, strict=False):
        dropped += drop([row | {"uri": f"{row['uri']}-near"}], "near_duplicate", "0.91", other["id"])
    collection = collected(tmp_path, kept, [("source-0", "x", "empty", "")])
    recorder = Recorder(tmp_path, "python-docs", {}, {})
    for artifact in (collection, cleaned(tmp_path, kept, dropped, made_of=collection)):
        outcome = StageOutcome(stage=artifact.stage, state="made", key=artifact.key, digest=artifact.digest)
        recorder.outcome(outcome)
    recorder.finish("completed")
    return last_corpus("python-docs")


def shown(corpus: LastCorpus, width: int = 140, **selection: object) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False, soft_wrap=True)
    show(corpus, Selection(**selection), console)  # type: ignore[arg-type]
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    return text


def test_kept_and_dropped_stand_side_by_side(corpus: LastCorpus) -> None:
    text = shown(corpus, dropped="too_short", count=2)
    first = next(line for line in text.splitlines() if line.strip())
    assert first.split() == ["kept", "dropped", "by", "too_short:", "9"]
    assert text.count("dropped by too_short: 9") == 2
    assert "page 1 of 4: 7 kept, 3 dropped by too_short" in text
    narrow = shown(corpus, width=60, dropped="too_short", count=2)
    assert narrow.count("dropped by too_short: 9") == narrow.count("kept\n") == 2


def test_the_id_of_a_changed_document_stands_beside_the_one_it_was_collected_under(
    tmp_path: Path, corpus: LastCorpus
) -> None:
    changed, same = good_rows(2)
    changed |= {"collected_id": "0" * 32}
    folder = Store(tmp_path).path(cleaned(tmp_path, [changed, same], drop([changed], "mix"), key="e" * 64))
    text = shown(LastCorpus(corpus.recipe, folder, {}, None), width=200)
    assert text.count(f"id {changed['id']}, collected as {'0' * 32}") == 2
    assert text.count(f"id {same['id']}") == 1


def test_pages_follow_each_other_and_a_seed_shuffles(corpus: LastCorpus) -> None:
    def uris(**selection: object) -> list[str]:
        lines = shown(corpus, kept_only=True, count=3, **selection).splitlines()
        return [line.strip() for line in lines if line.startswith("file:")]

    pages = [uris(page=page) for page in (1, 2, 3)]
    assert sorted(uri for page in pages for uri in page) == [f"file:{i}" for i in range(7)]
    assert [len(page) for page in pages] == [3, 3, 1]
    assert uris(page=1) == pages[0]
    assert len({tuple(uris(seed=seed)) for seed in range(5)}) > 1


def test_a_duplicate_is_beside_what_was_kept(corpus: LastCorpus) -> None:
    text = shown(corpus, dropped="near_duplicate")
    for i in range(2):
        assert any(line.split() == [f"file:{i}", f"file:{i}-near"] for line in text.splitlines())
    assert "page 1 of 1: 2 dropped by near_duplicate" in text


def test_documents_are_chosen_by_source_language_and_text(corpus: LastCorpus) -> None:
    assert "page 1 of 1: 3 kept, 2 dropped" in shown(corpus, source="source-1")
    assert "page 1 of 1: 0 kept, 0 dropped" in shown(corpus, language="zh")
    assert "page 1 of 1: 1 kept\n" in shown(corpus, kept_only=True, search="NUMBER 3 along")
    assert "page 1 of 1: 0 kept" in shown(corpus, search="it's nowhere")


def test_what_a_terminal_would_act_upon_is_shown(corpus: LastCorpus) -> None:
    text = shown(corpus, search="markup")
    assert "bell ␇ and ␛[31mred [bold]markup[/]" in text
    assert "\x1b" not in text


def test_long_texts_are_cut_around_what_is_searched(corpus: LastCorpus) -> None:
    text = shown(corpus, kept_only=True, search="number 3", characters=20)
    assert "… " in text
    assert "number 3" in text
    assert "Return" not in text


def test_the_threshold_stands_beside_the_value(corpus: LastCorpus) -> None:
    config = {"filters": {"sets": ["basic"]}, "duplicates": {"near": 0.8}}
    corpus = LastCorpus(corpus.recipe, corpus.cleaned, config, None)
    assert "dropped by too_short: 9, demanded at least 40" in shown(corpus, dropped="too_short")
    assert "near_duplicate: 0.91, dropped from 0.8 on" in shown(corpus, dropped="near_duplicate")


def test_a_wrong_filter_and_no_corpus_are_named(corpus: LastCorpus) -> None:
    with pytest.raises(RecipeError, match=r"'short' is no filter .*: too_short \(3\), near_duplicate \(2\)"):
        shown(corpus, dropped="short")
    with pytest.raises(StageError, match=r"no cleaned corpus of other .*run `textmill run other` first"):
        last_corpus("other")


def test_the_figures_are_drawn(corpus: LastCorpus) -> None:
    console = Console(file=io.StringIO(), width=100, highlight=False)
    draw(corpus, console)
    assert isinstance(console.file, io.StringIO)
    lines = [line.split() for line in console.file.getvalue().splitlines()]
    assert ["python-docs:", "7", "of", "12", "documents", "kept"] in lines
    starts = [tuple(line[:3]) for line in lines]
    assert ("too_short", "3", "9") in starts
    assert ("near_duplicate", "2", "7") in starts
    assert ("utf-8", "7", "100.0") in starts
    assert ("empty", "1", "100.0") in starts
    assert ("email", "3", "100.0") in starts
    assert ("toxicity", "4", "100.0") in starts
    assert ("16", "to", "31") in starts
    bars = {line[0]: line[-1].count("█") for line in lines if line and "█" in line[-1]}
    assert bars["source-0"] > bars["source-1"] > 0


def test_a_newer_collection_is_not_mixed_with_an_older_corpus(corpus: LastCorpus, tmp_path: Path) -> None:
    assert corpus.collected == Store(tmp_path).place("collect", "c" * 64)
    newer = collected(tmp_path, good_rows(9), key="a" * 64)
    recorder = Recorder(tmp_path, "python-docs", {}, {})
    recorder.outcome(StageOutcome(stage="collect", state="made", key=newer.key, digest=newer.digest))
    recorder.finish("failed")
    recorder.folder.rename(recorder.folder.with_name("99990101-000000-abcdef"))
    assert last_corpus("python-docs") == LastCorpus("python-docs", corpus.cleaned, {}, None)


def test_the_command_works_when_piped(corpus: LastCorpus, tmp_path: Path) -> None:
    def textmill(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, "corpus", *arguments], capture_output=True, text=True, encoding="utf-8"
        )

    done = textmill("show", "python-docs", "--dropped", "too_short", "--count", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "dropped by too_short: 9" in done.stdout
    wrong = textmill("show", "python-docs", "--dropped", "shrt")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "these dropped something: too_short (3), near_duplicate (2)" in wrong.stderr
    assert "languages of the kept documents" in textmill("stats", "python-docs").stdout
