"""How much personal data is found, how much else is taken for it, and how fast.

    python -m benchmarks.data_personal [--quick] [--documents PATH]

Recall and precision on planted documents (`tests/corpus/cleaning/personal_data/planted.py`), made anew from
another seed in every round: a value counts as found when all of it is masked under its kind, and a find is
right when it takes at most three characters more. Speed is that of masking the documents of the other
benchmarks, in CPU-seconds of one core.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks import data_documents
from benchmarks.bench import ROUNDS, Result, around, machine, run
from corpus.cleaning.config import PersonalDataConfig
from corpus.cleaning.personal_data.masking import find, mask
from tests.corpus.cleaning.personal_data.planted import Label, Language, planted_documents
from tests.corpus.cleaning.personal_data.planted_score import Score, score

BAR = 1.0
# What recall and precision have to reach: over all kinds, and for each.
LEAST_OVERALL, LEAST_PER_KIND = 0.98, 0.95
LANGUAGES: tuple[Language, ...] = ("en", "zh")
FIRST_SEED = 1000


def measure(arguments: argparse.Namespace) -> Result:
    """Find the planted values of several seeds; the ratio is the worst figure over what it has to be."""
    documents, megabytes = (300, 4) if arguments.quick else (1500, 24)
    rounds = [
        {language: _scores(language, FIRST_SEED + number, documents) for language in LANGUAGES}
        for number in range(ROUNDS)
    ]
    speeds = _speeds(data_documents.prepared(megabytes, arguments.documents))
    rows = [
        [language, kind, *_figures([scores[language][kind] for scores in rounds])]
        for language in LANGUAGES
        for kind in rounds[0][language]
    ]
    return Result(
        name="data_personal",
        title="Personal data: what is found of planted values, and what else",
        columns=["language", "kind", "planted", "recall", "precision"],
        rows=rows,
        ratios=[min(map(_share_of_demand, scores.values())) for scores in rounds],
        bar=BAR,
        lower_is_better=False,
        note=f"Ratio: the smallest of recall and precision over what they have to be, {LEAST_OVERALL} over "
        f"all kinds and {LEAST_PER_KIND} for each; {ROUNDS} rounds of {documents:,} documents per language. "
        f"Masking: {around(speeds, 0)} MB per CPU-second. {machine(['numba', 'pyarrow'])}.",
    )


def _scores(language: Language, seed: int, count: int) -> dict[str, Score]:
    documents = planted_documents(language, seed, count)
    return score(documents, [[Label(*found) for found in find(document.text)] for document in documents])


def _figures(scores: Sequence[Score]) -> list[str]:
    """A table's row: how many values there were, and recall and precision with their spread."""
    planted = sum(one.planted for one in scores)
    return [
        f"{planted:,}",
        around([one.recall for one in scores], 3),
        around([one.precision for one in scores], 3),
    ]


def _share_of_demand(scores: dict[str, Score]) -> float:
    """The smallest figure of a language over what is demanded of it."""
    return min(
        min(one.recall, one.precision) / (LEAST_OVERALL if kind == "all" else LEAST_PER_KIND)
        for kind, one in scores.items()
    )


def _speeds(documents: Path) -> list[float]:
    """MB per CPU-second of masking, per round."""
    texts = pq.read_table(documents, columns=["text"])["text"].combine_chunks()
    batches = [texts.slice(start, 1024) for start in range(0, len(texts), 1024)]
    megabytes = pc.sum(pc.binary_length(texts)).as_py() / 1e6
    speeds = []
    for _ in range(ROUNDS + 1):  # the first compiles
        started = time.process_time()
        for batch in batches:
            mask(batch, PersonalDataConfig())
        speeds.append(megabytes / (time.process_time() - started))
    return speeds[1:]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--documents", type=Path, help="Parquet with `text` and `language`, to mask instead")
    return run(measure, parser)


if __name__ == "__main__":
    sys.exit(main())
