"""The tokens that the training benchmarks train on: English docstrings, and a vocabulary made of them.

    python -m benchmarks.train_tokens MEGABYTES     prints the folder, e.g. for `benchmarks.train_gpu`

Byte-level BPE of 8,192 entries, each document as `[CLS] text [SEP]`, and `[SEP]` is the end of text too: one
corpus serves masked and causal models. Every twentieth document is held out.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.data_documents import prepared

VOCABULARY = 8192
HELD_OUT_EVERY = 20
_BATCH = 1000
# All roles that a model of any family may ask for.
_ROLES = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
    "bos_token": "[CLS]",
    "eos_token": "[SEP]",
}


def prepared_tokens(megabytes: float) -> Path:
    """A folder with `tokens/` and `tokenizer/`, beside the documents that it is made of; made once."""
    documents = prepared(megabytes)
    folder = documents.with_name(f"tokens-{megabytes:g}")
    if not folder.exists():
        partial = folder.with_suffix(f".{os.getpid()}")
        shutil.rmtree(partial, ignore_errors=True)
        table = pq.read_table(documents, columns=["text", "language"])
        texts = table.filter(pc.equal(table["language"], "en"))["text"].to_pylist()
        _write(partial, texts)
        partial.rename(folder)
    return folder


def _write(folder: Path, texts: list[str]) -> None:
    from model_code.data.shards import SplitWriter

    tokenizer = _trained(texts)
    (folder / "tokenizer").mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer" / "tokenizer.json"))
    (folder / "tokenizer" / "tokenizer_config.json").write_text(json.dumps(_ROLES), encoding="utf-8")
    held_out = texts[::HELD_OUT_EVERY]
    del texts[::HELD_OUT_EVERY]
    for split, part in (("train", texts), ("validation", held_out)):
        with SplitWriter(folder / "tokens", split, VOCABULARY) as writer:
            for start in range(0, len(part), _BATCH):
                found = [encoding.ids for encoding in tokenizer.encode_batch(part[start : start + _BATCH])]
                writer.write(np.concatenate(found), np.array([len(ids) for ids in found]))


def _trained(texts: Iterable[str]) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

    special = list(dict.fromkeys(_ROLES.values()))
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    ends = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    return tokenizer


if __name__ == "__main__":
    print(prepared_tokens(float(sys.argv[1])))
