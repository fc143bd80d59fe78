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
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.bench import BenchmarkError, Result, around, cpu_seconds, in_turn, machine, run
from corpus.tokenizing.config import TokenizeConfig
from corpus.tokenizing.document_splits import SPLITS, divide, split_codes

BAR = 10.0
ROOT = Path(__file__).resolve().parent.parent
OURS = [sys.executable, "-m", "benchmarks.data_tokenize", "--ours"]
PEER = [sys.executable, "-m", "benchmarks.data_tokenize", "--peer"]
TRAINED_ON = 10_000


def measure(arguments: argparse.Namespace) -> Result:
    """Encode the same documents on both sides in turn; the ratio is that of MB per CPU-second.

    Raises:
        BenchmarkError: no documents here, or the two sides write different ids.
    """
    from benchmarks import data_documents  # and with it pandas, which our side does without

    megabytes, rounds = (4, 5) if arguments.quick else (150, 5)
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        size, documents = _prepare(data_documents.prepared(megabytes, arguments.documents), scratch)
        _seconds(OURS, scratch / "few", scratch)  # compiles, once per installation
        idle = [median(_seconds(side, scratch / "few", scratch) for _ in range(3)) for side in (OURS, PEER)]
        pairs = in_turn(
            lambda: _seconds(OURS, scratch / "all", scratch),
            lambda: _seconds(PEER, scratch / "all", scratch),
            rounds,
        )
        _require_same_ids(scratch)
    whole = [[size / pair[side] for pair in pairs] for side in (0, 1)]
    return Result(
        name="data_tokenize",
        title="Encoding: Parquet to packed token shards against datasets.map",
        columns=["side", "MB per CPU-second", "start-up, CPU-seconds"],
        rows=[
            [name, around(whole[side]), f"{idle[side]:.2f}"]
            for side, name in enumerate(("textmill", "datasets.map, encode_batch_fast"))
        ],
        ratios=[mine / other for mine, other in zip(*whole, strict=True)],
        bar=None if arguments.quick else BAR,  # start-up is most of our time on few documents
        lower_is_better=False,
        note=f"Ratio: MB per CPU-second, start-up included; {rounds} rounds of {size:.1f} MB in "
        f"{documents:,} documents, identical ids on both sides. "
        f"{machine(['gigatoken', 'tokenizers', 'datasets', 'pyarrow'])}.",
    )


def _prepare(source: Path, scratch: Path) -> tuple[float, int]:
    """Lay out both sides' input; returns MB of text and documents."""
    from corpus.tokenizing.training import train

    table = pq.read_table(source, columns=["id", "text", "language", "source"])
    table = table.append_column("collected_id", table["id"])
    statistics = pa.table(
        {
            "filter": pa.nulls(len(table), pa.string()),
            "words": pc.cast(pc.count_substring_regex(table["text"], r"\w+"), pa.int32()),
        }
    )
    for name, rows in (("all", len(table)), ("few", 200)):
        for kind, columns in (("documents", table), ("statistics", statistics)):
            (scratch / name / kind).mkdir(parents=True)
            part = scratch / name / kind / "part-00000.parquet"
            pq.write_table(columns.slice(0, rows), part, compression="zstd", row_group_size=4096)
    texts = table["text"].slice(0, TRAINED_ON).to_pylist()
    vocabulary = 8192 if len(table) > TRAINED_ON else 2048
    train(lambda: [texts], TokenizeConfig(vocabulary=vocabulary)).save(str(scratch / "tokenizer.json"))
    return pc.sum(pc.binary_length(table["text"])).as_py() / 1e6, len(table)


def _seconds(side: list[str], corpus: Path, scratch: Path) -> float:
    out = scratch / ("peer" if side is PEER else "ours")
    return cpu_seconds([*side, str(corpus), str(scratch / "tokenizer.json"), str(out)], cwd=ROOT)


def _require_same_ids(scratch: Path) -> None:
    for split in SPLITS:
        name = f"{split}.bin"
        if (scratch / "ours" / "tokens" / name).read_bytes() != (scratch / "peer" / name).read_bytes():
            raise BenchmarkError(f"the two sides write different ids for {split}, no ratio to tell")


def encode(corpus: Path, tokenizer_file: Path, out: Path) -> None:
    """Our side: `corpus` is laid out as the artifact of the clean stage."""
    from tokenizers import Tokenizer

    from corpus.tokenizing.encoding import Encoder
    from corpus.tokenizing.fertility import words_of
    from corpus.tokenizing.packing import SpecialIds, pack

    out.mkdir(exist_ok=True)
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    division = divide(corpus / "documents", TokenizeConfig(), out / "splits.parquet")
    special = SpecialIds(begin=(2,), end=(3,), unknown=1)
    size = tokenizer.get_vocab_size()
    words = words_of(corpus / "statistics")
    pack(division, words, Encoder(tokenizer), special, size, out / "tokens", lambda done: None)


def encode_by_datasets(corpus: Path, tokenizer_file: Path, out: Path) -> None:
    """The peer, at its best settings.

    That is: batches, Parquet and ids in Arrow, only what is needed kept, no fingerprint of the function, no
    progress bars. Text that spells a special token is taken for text, as on our side.
    """
    import datasets
    import numpy as np
    from tokenizers import Tokenizer

    shutil.rmtree(out, ignore_errors=True)  # and with it what datasets kept of the last round
    out.mkdir()
    datasets.disable_progress_bars()
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.encode_special_tokens = True

    def ids_of(batch: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        return {"ids": [encoding.ids for encoding in tokenizer.encode_batch_fast(batch["text"])]}

    rows = datasets.Dataset.from_parquet(
        str(corpus / "documents" / "part-00000.parquet"),
        columns=["id", "text"],
        cache_dir=str(out / "cache"),
    )
    encoded = rows.map(
        ids_of,
        batched=True,
        batch_size=1000,
        remove_columns=["text"],
        features=datasets.Features(
            {"id": datasets.Value("string"), "ids": datasets.List(datasets.Value("uint16"))}
        ),
        new_fingerprint="encoded",
    )
    config = TokenizeConfig()
    with ExitStack() as stack:
        files = {split: stack.enter_context((out / f"{split}.bin").open("wb")) for split in SPLITS}
        for batch in encoded.with_format("arrow").iter(1000):
            ids = batch["ids"].combine_chunks()
            starts, values = ids.offsets.to_numpy(), ids.values.to_numpy()
            for row, code in enumerate(split_codes(batch["id"].to_pylist(), config)):
                document = values[starts[row] : starts[row + 1]]
                files[SPLITS[code]].write(np.ascontiguousarray(document).data)


def main() -> int:
    """Measure; with `--ours` or `--peer`, be that side of the measurement."""
    sides = {"--ours": encode, "--peer": encode_by_datasets}
    if len(sys.argv) > 1 and sys.argv[1] in sides:
        sides[sys.argv[1]](*map(Path, sys.argv[2:5]))
        return 0
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data_tokenize")
    parser.add_argument("--documents", type=Path, default=None, help="Parquet with columns text and language")
    return run(measure, parser)


if __name__ == "__main__":
    sys.exit(main())
