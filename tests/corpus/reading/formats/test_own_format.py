"""The file formats and the source that CONTRIBUTING.md shows are found by their being there, and read."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]
PROGRAM = """
import sys
from pathlib import Path
import corpus.reading.formats, corpus.sources
corpus.reading.formats.__path__.append(sys.argv[1])
corpus.sources.__path__.append(sys.argv[2])
from tasks.collect import CollectConfig, collect, snapshot
from tasks.contract.run import Run
from corpus.documents import read_documents
home, folder = Path(sys.argv[3]), sys.argv[4]
config = CollectConfig.model_validate({"sources": [
    {"kind": "files", "path": folder, "name": "films", "format": "auto"},
    {"kind": "mailbox", "path": folder + "/letters.mbox", "name": "letters"},
], "max_bad_share": 0.9})
run = Run(home)
made = collect.fn(snapshot(config, home), config, run)
batches = read_documents(run.store.path(made) / "documents")
rows = [row for batch in batches for row in batch.to_pylist()]
for document in sorted(rows, key=lambda row: (row["source"], row["uri"])):
    print(document["source"], repr(document["text"]), document["meta"])
from corpus.examples.config import FilesExamples
from corpus.reading.example_files import files_of
from corpus.reading.formats import row_formats
from corpus.reading.rows import RowOptions
asked = FilesExamples(task="classification", train=folder + "/a.ft", format="fasttext")
for file in files_of(asked.train):
    try:
        for row in row_formats()[asked.format].rows(file.entry, RowOptions({}, 1000), None):
            print(row.line, dict(row.values))
    except Exception as problem:
        print(problem.line, problem.reason)
"""
LETTERS = "From a@b Thu Jan  1 00:00:00 2026\nSubject: Hello\n\nThe harbour is quiet today.\n\n"
FILM = "1\n00:00:01,000 --> 00:00:02,000\nWho is there?\n\n2\n00:00:03,000 --> 00:00:04,000\nOnly the wind.\n"


def shown(first_words: str) -> str:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (code,) = re.findall(rf'```python\n("""{first_words}.*?)```', page, re.S)
    return str(code)


def test_what_the_guide_shows_is_found_and_reads(tmp_path: Path) -> None:
    for folder, name, words in (
        ("formats", "srt", "Subtitles"),
        ("formats", "fasttext", "fastText's lines"),
        ("sources", "mailboxes", "Text in mailboxes"),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / f"{name}.py").write_text(shown(words), encoding="utf-8")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.srt").write_text(FILM, encoding="utf-8")
    (tmp_path / "in" / "a.ft").write_text("__label__sea The tide is low.\nNobody.\n", encoding="utf-8")
    (tmp_path / "in" / "letters.mbox").write_text(LETTERS, encoding="utf-8")
    folders = [tmp_path / name for name in ("formats", "sources", "home", "in")]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, folders)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    tide, films, letters, example, refused = done.stdout.splitlines()[-5:]
    assert tide == "films 'The tide is low.' {}"
    assert films == "films 'Who is there?\\n\\nOnly the wind.' {}"
    assert example == "1 {'label': 'sea', 'text': 'The tide is low.'}"
    assert refused == "2 no label"
    assert letters.startswith("letters 'The harbour is quiet today.")
    assert "Hello" in letters
