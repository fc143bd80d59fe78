"""The peer of `data_duplicates`: datatrove's four MinHash steps. Runs in `.venv-bench`.

    .venv-bench/bin/python benchmarks/data_duplicates_peer.py FEW.jsonl DOCUMENTS.jsonl OUT.json

128 permutations in 16 bands of 8, shingles of five words. The steps are called one after the other,
without datatrove's executor and readers; words come from the regular expression of `data_filters_peer.py`
in place of spaCy, NLTK and jieba. Needs nothing of ours.
"""

import json
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_filters_peer import RegexTokenizer
from datatrove.data import Document
from datatrove.pipeline.dedup import minhash
from datatrove.utils.logging import logger

BANDS, ROWS = 16, 8
LINES_TO_BUFFER = 4096  # its default of 5 is slower


def main(few: str, lines: str, out: str) -> None:
    """Write a number per document that its cluster shares, and the CPU-seconds that took."""
    logger.remove()
    minhash.load_word_tokenizer = RegexTokenizer
    minhash.tqdm = lambda files, desc: files
    cluster(few)
    started = time.process_time()
    clusters = cluster(lines)
    Path(out).write_text(
        json.dumps({"seconds": time.process_time() - started, "clusters": clusters}), encoding="utf-8"
    )


def cluster(lines: str) -> list[int]:
    """Run the four steps in a temporary folder; the cluster of each document."""
    with tempfile.TemporaryDirectory() as scratch:
        return four_steps(lines, Path(scratch))


def four_steps(lines: str, scratch: Path) -> list[int]:
    """Run signature, buckets, cluster and filter; the cluster of each document."""
    config = minhash.MinhashConfig(n_grams=5, num_buckets=BANDS, hashes_per_bucket=ROWS)
    signed, paired, clustered = (str(scratch / name) for name in ("signatures", "buckets", "clusters"))
    minhash.MinhashDedupSignature(signed, config).run(documents(lines))
    for band in range(BANDS):
        buckets = minhash.MinhashDedupBuckets(signed, paired, config=config, lines_to_buffer=LINES_TO_BUFFER)
        buckets.run(None, rank=band, world_size=BANDS)
    minhash.MinhashDedupCluster(paired, clustered, config, True, lines_to_buffer=LINES_TO_BUFFER).run()
    for _ in minhash.MinhashDedupFilter(clustered, lines_to_buffer=LINES_TO_BUFFER).run(documents(lines)):
        pass
    with Path(lines).open("rb") as file:
        found = [-1 - number for number, _ in enumerate(file)]  # a document without duplicates is alone
    for document, number in struct.iter_unpack("<2I", Path(clustered, "000000.clusters").read_bytes()):
        found[document] = number
    return found


def documents(lines: str) -> Iterator[Any]:
    """The documents, as the steps want them."""
    with Path(lines).open(encoding="utf-8") as file:
        for number, line in enumerate(file):
            yield Document(text=json.loads(line)["text"], id=str(number))


if __name__ == "__main__":
    main(*sys.argv[1:])
