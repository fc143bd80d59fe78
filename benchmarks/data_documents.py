"""The documents that every benchmark of the data half measures on: one Parquet file.

    python -m benchmarks.data_documents OUT.parquet [--megabytes N] [--documents PATH]

Docstrings of the installed packages, and 14 % of Chinese. No package here carries Chinese prose, so that is
made up: sentences of real words (the phrase list of OpenCC, 50,000 entries, as simplified characters), drawn
by Zipf's law and joined by particles and punctuation. That has the script, word lengths and line lengths of
Chinese, but no sense. Where the docstrings do not suffice (there are about 46 MB), whole Python files of the
same packages make up the rest. `--documents` takes Parquet files with columns `text` and `language` instead.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import sysconfig
import tempfile
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq

from benchmarks.bench import BenchmarkError
from corpus.documents import Document, document_id, to_batches

CHINESE_SHARE = 0.14
_ENOUGH = 0.95
# Reading every package takes a minute; these hold about 11 MB.
_FEW_MEGABYTES, _FEW_PACKAGES = 8, ("numpy", "pandas", "python", "scipy")
_PARTICLES = (
    "的",
    "的",
    "的",
    "了",
    "在",
    "是",
    "和",
    "有",
    "不",
    "也",
    "就",
    "都",
    "而",
    "被",
    "与",
    "年",
    "人",
    "中",
)
_HAN_WORD = re.compile(rb"((?:[\xe3-\xe9][\x80-\xbf]{2})+)\0")
_BATCH_ROWS = 1024


def prepared(megabytes: float, own: Path | None = None) -> Path:
    """What `write` writes, in a file below the system's temporary folder; made once if without `own`."""
    folder = Path(tempfile.gettempdir()) / f"textmill-benchmarks-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / (f"own-{megabytes:g}.parquet" if own else f"documents-{megabytes:g}.parquet")
    if own or not path.exists():
        partial = path.with_suffix(f".{os.getpid()}")
        write(partial, megabytes, own).rename(path)
    return path


def write(path: Path, megabytes: float, own: Path | None = None) -> Path:
    """Write about `megabytes` MB of text, the same on every call in one environment; returns `path`.

    Args:
        path: Parquet file in the SCHEMA of documents, with `language` filled in.
        own: a Parquet file or a folder of them, with columns `text` and `language`, to take instead.

    Raises:
        BenchmarkError: `own` is not such a file, or holds no text.
    """
    if own is None:
        share = 1 - CHINESE_SHARE
        packages = _FEW_PACKAGES if megabytes <= _FEW_MEGABYTES else ()
        documents = [*_sample(_docstrings(packages), megabytes * share), *_chinese(megabytes * CHINESE_SHARE)]
        missing = megabytes - sum(len(document.text.encode()) for document, _ in documents) / 1e6
        if missing > megabytes * (1 - _ENOUGH):
            documents += _sample(_python_files(), missing)
    else:
        documents = _sample(_own(own), megabytes)
    if not documents:
        raise BenchmarkError(f"{own}: no text here")
    # Languages alternate, as they do in a corpus, and no batch is of one alone.
    documents.sort(key=lambda pair: document_id(pair[0].text))
    batches = to_batches([document for document, _ in documents])
    table = pa.Table.from_batches(batches)
    languages = pa.array([language for _, language in documents], pa.string())
    table = table.set_column(table.schema.get_field_index("language"), "language", languages)
    pq.write_table(table, path, row_group_size=_BATCH_ROWS)
    return path


def _sample(documents: Iterator[tuple[Document, str]], megabytes: float) -> list[tuple[Document, str]]:
    """The documents with the smallest ids, which are hashes, until they hold `megabytes`."""
    distinct = {document_id(document.text): (document, language) for document, language in documents}
    chosen = [distinct[name] for name in sorted(distinct)]
    sizes = accumulate(len(document.text.encode()) for document, _ in chosen)
    return [pair for pair, size in zip(chosen, sizes, strict=True) if size <= megabytes * 1e6]


def _docstrings(include: tuple[str, ...]) -> Iterator[tuple[Document, str]]:
    from corpus.sources import packages

    config = packages.PackagesSource(include=include)
    for item in packages.items(config, {}):
        for document in packages.read(config, item, lambda *_: None):
            yield document, "en"


def _python_files() -> Iterator[tuple[Document, str]]:
    for path in sorted(Path(sysconfig.get_paths()["purelib"]).rglob("*.py")):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        if text.strip():
            yield Document(text, "python files", f"python:{path.name}"), "en"


def _own(path: Path) -> Iterator[tuple[Document, str]]:
    try:
        rows = pyarrow.dataset.dataset(path, format="parquet").to_batches(columns=["text", "language"])
        for batch in rows:
            for number, row in enumerate(batch.to_pylist()):
                yield Document(row["text"], "own", f"{path}#{number}"), row["language"] or "en"
    except (pa.ArrowException, OSError) as error:
        raise BenchmarkError(f"{path}: no Parquet with columns text and language ({error})") from error


def _chinese(megabytes: float) -> list[tuple[Document, str]]:
    words = _words()
    # Zipf's law, without the few words that would be a tenth of all text: the particles stand for them.
    frequencies = list(accumulate(1 / rank for rank in range(50, len(words) + 50)))
    drawn, size = random.Random(0), 0
    documents: list[tuple[Document, str]] = []
    while size < megabytes * 1e6:
        lines = [
            "".join(_sentence(drawn, words, frequencies) for _ in range(drawn.randint(1, 6)))
            for _ in range(drawn.randint(1, 12))
        ]
        if drawn.random() < 0.05:  # what a filter of repetition has to find
            lines += lines[: drawn.randint(1, len(lines))]
        text = "\n".join(lines)
        documents.append((Document(text, "made up", f"chinese:{len(documents)}"), "zh"))
        size += len(text.encode())
    return documents


def _sentence(drawn: random.Random, words: list[str], frequencies: list[float]) -> str:
    parts = []
    for word in drawn.choices(words, cum_weights=frequencies, k=drawn.randint(4, 14)):
        parts.append(word)
        parts.append(drawn.choice(_PARTICLES) if drawn.random() < 0.6 else "")
        parts.append("，" if drawn.random() < 0.15 else "")
    return "".join(parts).rstrip("，") + drawn.choice("。。。。！？")


def _words() -> list[str]:
    """Two to four characters each, in an order that has nothing to do with their spelling."""
    import opencc

    dictionary = Path(opencc.__file__).parent / "clib" / "share" / "opencc" / "STPhrases.ocd2"
    if not dictionary.exists():
        raise BenchmarkError(f"{dictionary} is missing: this OpenCC is laid out otherwise; use --documents")
    found = {word.decode() for word in _HAN_WORD.findall(dictionary.read_bytes())}
    simplified = opencc.OpenCC("t2s").convert("\n".join(sorted(found))).split("\n")
    words = sorted({word for word in simplified if 2 <= len(word) <= 4})
    random.Random(0).shuffle(words)
    return words


def main() -> None:
    """Write the file that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data_documents")
    parser.add_argument("out", type=Path)
    parser.add_argument("--megabytes", type=float, default=24.0)
    parser.add_argument("--documents", type=Path, default=None, metavar="PATH")
    arguments = parser.parse_args()
    print(write(arguments.out, arguments.megabytes, arguments.documents))


if __name__ == "__main__":
    main()
