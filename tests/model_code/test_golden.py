"""The loss curve of every objective, in float32, against the one that is kept in `golden/`.

After a change that is meant to move the curves, write them anew and say why:

    python -m tests.model_code.test_golden
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from model_code.data.shards import SplitWriter
from tests.model_code.conftest import run_pretrain, sentences

GOLDEN = Path(__file__).with_name("golden")
SIZES = {"layers": 2, "width": 32, "heads": 2, "intermediate": 48, "max_positions": 64}
STEPS = {
    "sequence_length": 32,
    "batch_size": 8,
    "steps": 50,
    "learning_rate": 0.003,
    "precision": "float32",
    "optimizer": "adamw",
}
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<s>", "</s>"]
# Every word of the sentences is a syllable of the first kind and one of the second.
SYLLABLES = ["ba", "ke", "li", "mo", "nu", "pa", "ri", "so", "##ra", "##te", "##vi", "##zo", "##du"]
# What surrounds a document, and the settings.
CURVES: dict[str, tuple[tuple[str, str], dict[str, Any]]] = {
    "bert-masked-whole-words": (
        ("[CLS]", "[SEP]"),
        {"family": "bert", "objective": "masked", "mask_rate": 0.15, "whole_words": True},
    ),
    "bert-next-sentence": (
        ("[CLS]", "[SEP]"),
        {"family": "bert", "objective": "masked_next_sentence", "mask_rate": 0.15},
    ),
    "modernbert-masked": (
        ("[CLS]", "[SEP]"),
        {
            "family": "modernbert",
            "mask_rate": 0.3,
            "local_attention": 16,
            "optimizer": "muon",
            "muon_learning_rate": 0.001,
        },
    ),
    "gpt2-causal": (("", "</s>"), {"family": "gpt2"}),
    "llama-causal": (("<s>", "</s>"), {"family": "llama", "kv_heads": 1, "z_loss": 1e-4}),
    "t5-span-corruption": (("", "</s>"), {"family": "t5"}),
    "marian-span-corruption": (("", "</s>"), {"family": "marian"}),
}


def tokenizer() -> Tokenizer:
    """One tokenizer with the roles of every family, made without training."""
    sentinels = [f"<extra_id_{number}>" for number in reversed(range(10))]
    entries = {piece: number for number, piece in enumerate([*SPECIAL, *SYLLABLES, *sentinels])}
    made = Tokenizer(models.WordPiece(entries, unk_token="[UNK]"))
    made.pre_tokenizer, made.decoder = pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
    return made


def curve(name: str, home: Path) -> dict[str, Any]:
    """Losses of 50 steps and on the validation split, computed in `home`."""
    (begin, end), settings = CURVES[name]
    made, texts = tokenizer(), sentences(400, seed=1)
    (home / "tokenizer").mkdir(parents=True)
    made.save(str(home / "tokenizer" / "tokenizer.json"))
    around = [[made.token_to_id(token)] if token else [] for token in (begin, end)]
    for split, part in (("train", texts[40:]), ("validation", texts[:40])):
        with SplitWriter(home / "tokens", split, made.get_vocab_size(), *around) as writer:
            for encoding in made.encode_batch(part):
                writer.write(np.array(encoding.ids), np.array([len(encoding.ids)]))
    paths = {part: str(home / part) for part in ("tokens", "tokenizer", "output", "scratch")}
    metrics = run_pretrain({**paths, "config": {**SIZES, **STEPS, **settings}})
    history = map(json.loads, (home / "output" / "history.jsonl").read_text(encoding="utf-8").splitlines())
    return {"losses": [row["loss"] for row in history], "validation": metrics["loss"]}


@pytest.mark.parametrize("name", CURVES)
def test_the_curve_is_the_golden_one(name: str, tmp_path: Path) -> None:
    golden = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    found = curve(name, tmp_path)
    assert len(golden["losses"]) == 50
    assert found["losses"] == pytest.approx(golden["losses"], rel=1e-4)
    assert found["validation"] == pytest.approx(golden["validation"], rel=1e-4)
    assert golden["losses"][-1] < 0.95 * golden["losses"][0]


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for each in CURVES:
        with tempfile.TemporaryDirectory() as folder:
            (GOLDEN / f"{each}.json").write_text(
                json.dumps(curve(each, Path(folder))) + "\n", encoding="utf-8"
            )
