"""The peer of `data_tokenize`: `datasets.map` over batches with `encode_batch_fast`, then packing.

    python -m benchmarks.data_tokenize_peer DOCUMENTS TOKENIZER.json OUT

At its best settings: batches, Parquet and ids in Arrow, only what is needed kept, no fingerprint of the
function, no progress bars. Text that spells a special token is taken for text, as on our side.
"""

import shutil
import sys
from pathlib import Path

import datasets
import numpy as np
from tokenizers import Tokenizer

from tasks.tokenizing.config import TokenizeConfig
from tasks.tokenizing.division import SPLITS, split_of


def main(documents: Path, tokenizer_file: Path, out: Path) -> None:
    """Write `train.bin`, `validation.bin` and `test.bin`: uint16 ids, documents end to end."""
    shutil.rmtree(out, ignore_errors=True)  # and with it what datasets kept of the last round
    out.mkdir()
    datasets.disable_progress_bars()
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.encode_special_tokens = True

    def encode(batch: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        return {"ids": [encoding.ids for encoding in tokenizer.encode_batch_fast(batch["text"])]}

    rows = datasets.Dataset.from_parquet(
        str(documents / "part-00000.parquet"), columns=["id", "text"], cache_dir=str(out / "cache")
    )
    encoded = rows.map(
        encode,
        batched=True,
        batch_size=1000,
        remove_columns=["text"],
        features=datasets.Features(
            {"id": datasets.Value("string"), "ids": datasets.List(datasets.Value("uint16"))}
        ),
        new_fingerprint="encoded",
    )
    config = TokenizeConfig()
    files = {split: (out / f"{split}.bin").open("wb") for split in SPLITS}
    for batch in encoded.with_format("arrow").iter(1000):
        ids = batch["ids"].combine_chunks()
        starts, values = ids.offsets.to_numpy(), ids.values.to_numpy()
        for row, name in enumerate(batch["id"].to_pylist()):
            files[split_of(name, config)].write(
                np.ascontiguousarray(values[starts[row] : starts[row + 1]]).data
            )
    for file in files.values():
        file.close()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
