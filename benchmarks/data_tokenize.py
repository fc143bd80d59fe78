"""What encoding costs: Parquet to packed token shards, ours against `datasets.map`, one core.

    python -m benchmarks.data_tokenize [--quick] [--documents PATH]

Each side is a process on one core that reads the documents from Parquet, encodes them with the same
byte-level BPE of 8,192 entries and writes the ids with [CLS] and [SEP] around each document as uint16. Ours
also counts words, tokens and characters per language and source, checks every 256th document against
`tokenizers` and divides the documents into three splits. CPU-seconds are those of the whole process, imports
included. The ids of both are compared; the benchmark ends without a ratio when they differ.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median

import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.bench import BenchmarkError, Result, around, cpu_seconds, in_turn, machine, run
from tasks.tokenizing.config import TokenizeConfig
from tasks.tokenizing.division import SPLITS, divide

BAR = 10.0
QUICK_BAR = 1.5  # start-up is most of our time on few documents
ROOT = Path(__file__).resolve().parent.parent
OURS = [sys.executable, "-m", "benchmarks.data_tokenize", "--job"]
PEER = [sys.executable, "-m", "benchmarks.data_tokenize_peer"]
TRAINED_ON = 10_000


def measure(arguments: argparse.Namespace) -> Result:
    """Encode the same documents on both sides in turn; the ratio is that of MB per CPU-second.

    Raises:
        BenchmarkError: no documents here, or the two sides write different ids.
    """
    from benchmarks import data_documents  # and with it pandas, which our side does without

    megabytes, rounds = (4, 5) if arguments.quick else (50, 5)
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        size, documents = _prepare(data_documents.prepared(megabytes, arguments.documents), scratch)
        _seconds(OURS, scratch / "few", scratch)  # compiles, once per installation
        idle = [median(_seconds(side, scratch / "few", scratch) for _ in range(3)) for side in (OURS, PEER)]
        pairs = in_turn(
            lambda: _seconds(OURS, scratch / "documents", scratch),
            lambda: _seconds(PEER, scratch / "documents", scratch),
            rounds,
        )
        _require_same_ids(scratch)
    whole = [[size / pair[side] for pair in pairs] for side in (0, 1)]
    beyond = [[size / max(pair[side] - idle[side], 1e-3) for pair in pairs] for side in (0, 1)]
    return Result(
        name="data_tokenize",
        title="Encoding: Parquet to packed token shards against datasets.map",
        columns=["side", "MB per CPU-second", "beyond start-up", "start-up, CPU-seconds"],
        rows=[
            [name, around(whole[side]), around(beyond[side]), f"{idle[side]:.2f}"]
            for side, name in enumerate(("textmill", "datasets.map, encode_batch_fast"))
        ],
        ratios=[mine / other for mine, other in zip(*whole, strict=True)],
        bar=QUICK_BAR if arguments.quick else BAR,
        lower_is_better=False,
        note=f"Ratio: MB per CPU-second, start-up included; {rounds} rounds of {size:.1f} MB in "
        f"{documents:,} documents, identical ids on both sides. "
        f"{machine(['gigatoken', 'tokenizers', 'datasets', 'pyarrow'])}.",
    )


def _prepare(source: Path, scratch: Path) -> tuple[float, int]:
    """Lay out both sides' input; returns MB of text and documents."""
    from tasks.tokenizing.training import train

    table = pq.read_table(source, columns=["id", "text", "language", "source"])
    for name, rows in (("documents", table), ("few", table.slice(0, 200))):
        (scratch / name).mkdir()
        pq.write_table(rows, scratch / name / "part-00000.parquet", compression="zstd", row_group_size=4096)
    texts = table["text"].slice(0, TRAINED_ON).to_pylist()
    vocabulary = 8192 if len(table) > TRAINED_ON else 2048
    train(lambda: [texts], TokenizeConfig(vocabulary=vocabulary)).save(str(scratch / "tokenizer.json"))
    return pc.sum(pc.binary_length(table["text"])).as_py() / 1e6, len(table)


def _seconds(side: list[str], documents: Path, scratch: Path) -> float:
    out = scratch / ("peer" if side is PEER else "ours")
    return cpu_seconds([*side, str(documents), str(scratch / "tokenizer.json"), str(out)], cwd=ROOT)


def _require_same_ids(scratch: Path) -> None:
    for split in SPLITS:
        name = f"{split}.bin"
        if (scratch / "ours" / "tokens" / name).read_bytes() != (scratch / "peer" / name).read_bytes():
            raise BenchmarkError(f"the two sides write different ids for {split}, no ratio to tell")


def encode(documents: Path, tokenizer_file: Path, out: Path) -> None:
    """Our side."""
    from tokenizers import Tokenizer

    from tasks.tokenizing.encoding import Encoder
    from tasks.tokenizing.packing import SpecialIds, pack

    out.mkdir(exist_ok=True)
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    division = divide(documents, TokenizeConfig(), out / "splits.parquet")
    special = SpecialIds(begin=(2,), end=(3,), unknown=1)
    size = tokenizer.get_vocab_size()
    pack(division, Encoder(tokenizer), special, size, out / "tokens", lambda done, note="": None)


def main() -> int:
    """Measure; with `--job`, be our side of the measurement."""
    if sys.argv[1:2] == ["--job"]:
        encode(*map(Path, sys.argv[2:5]))
        return 0
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data_tokenize")
    parser.add_argument("--documents", type=Path, default=None, help="Parquet with columns text and language")
    return run(measure, parser)


if __name__ == "__main__":
    sys.exit(main())
