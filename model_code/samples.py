"""What a pretrained model makes of held-out text, for a person to read.

A causal model goes on from the beginning of a document, a masked one fills gaps in it, T5 writes what was
cut out. The checkpoint is loaded as anyone would load it, through transformers' Auto classes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM

from model_code.data.frames import frame_of
from model_code.data.shards import TokenSplit, open_split
from model_code.data.vocabulary import Vocabulary, load_tokenizer, vocabulary_of
from model_code.models.checkpoints import load_model

DOCUMENTS = 6
GIVEN, WRITTEN = 24, 32  # tokens of a document that are shown to the model, and that a causal one adds
EVERY, SPAN = 7, 3  # of the shown tokens every seventh is a gap; T5 has one gap of three
GAP = "[…]"
TEMPERATURE, TOP_K = 0.8, 50


def samples(model_dir: Path, tokens_dir: Path, objective: str, device: torch.device) -> list[dict[str, str]]:
    """A few documents of the validation split: what was `given`, what the `model` made of it, the `original`.

    `objective` is the name of what it was trained for. What is drawn has a fixed seed. Raises TrainingError
    when model or tokens can't be read.
    """
    kind, sample = _KINDS.get(objective, (AutoModelForMaskedLM, _fill))
    model = load_model(model_dir, kind).to(device).train(False)
    tokenizer, vocabulary = load_tokenizer(model_dir), vocabulary_of(model_dir)
    torch.manual_seed(0)
    with torch.inference_mode():
        return [
            sample(model, torch.tensor(document, device=device), tokenizer, vocabulary)
            for document in _documents(open_split(tokens_dir, "validation"), vocabulary)
        ]


def _documents(split: TokenSplit, vocabulary: Vocabulary) -> list[list[int]]:
    """Text tokens of evenly spread documents that are long enough for a sample, or of the longest ones."""
    special = set(vocabulary.special().tolist())
    lengths = split.offsets[1:] - split.offsets[:-1]
    long = (lengths > GIVEN + WRITTEN + 2).nonzero()[0]
    if len(long) < DOCUMENTS:
        long = (-lengths).argsort(kind="stable")[:DOCUMENTS]
    chosen = long[:: max(1, len(long) // DOCUMENTS)][:DOCUMENTS]
    texts = (split.ids[split.offsets[i] : split.offsets[i + 1]].tolist() for i in chosen)
    return [[token for token in text if token not in special][: GIVEN + WRITTEN] for text in texts]


def _continue(model: Any, document: torch.Tensor, tokenizer: Tokenizer, vocabulary: Vocabulary) -> Any:
    given = document[:GIVEN]
    if vocabulary.bos is not None:
        given = torch.cat([given.new_tensor([vocabulary.bos]), given])
    written = model.generate(
        given[None],
        attention_mask=torch.ones_like(given[None]),
        max_new_tokens=WRITTEN,
        do_sample=True,
        temperature=TEMPERATURE,
        top_k=TOP_K,
        eos_token_id=vocabulary.eos,
        pad_token_id=vocabulary.eos,
    )[0, len(given) :]
    return _shown(
        tokenizer.decode(given.tolist()),
        tokenizer.decode(written.tolist()),
        tokenizer.decode(document[GIVEN:].tolist()),
    )


def _fill(model: Any, document: torch.Tensor, tokenizer: Tokenizer, vocabulary: Vocabulary) -> Any:
    assert vocabulary.mask is not None  # a model with a masked objective was trained with it
    text = document[:GIVEN]
    # Of a text that is shorter than that the last token.
    hidden = torch.arange(max(0, min(EVERY, len(text)) - 1), len(text), EVERY)
    frame = frame_of(tokenizer, vocabulary)
    ids, places = text.new_tensor(frame.around(text.tolist())[0]), hidden + len(frame.before)
    ids[places] = vocabulary.mask
    found = model(input_ids=ids[None], attention_mask=torch.ones_like(ids[None])).logits[0, places]
    words = [
        ", ".join(tokenizer.decode([token]).strip() for token in tokens.tolist())
        for tokens in (found.argmax(-1), text[hidden])
    ]
    pieces = [text[start : start + EVERY - 1].tolist() for start in range(0, len(text), EVERY)]
    return _shown(f" {GAP} ".join(tokenizer.decode(piece).strip() for piece in pieces), *words)


def _infill(model: Any, document: torch.Tensor, tokenizer: Tokenizer, vocabulary: Vocabulary) -> Any:
    start = len(document[:GIVEN]) // 2
    before, cut, after = document[:start], document[start : start + SPAN], document[start + SPAN : GIVEN]
    sentinel, following = vocabulary.sentinels[:2]
    ids = torch.cat([before, cut.new_tensor([sentinel]), after, cut.new_tensor([vocabulary.eos])])
    written = model.generate(ids[None], max_new_tokens=2 * SPAN + 2, do_sample=False)[0].tolist()
    ends = {following, vocabulary.eos}
    until = next((place for place, token in enumerate(written) if token in ends), len(written))
    text = [tokenizer.decode(part.tolist()).strip() for part in (before, after)]
    return _shown(
        f" {GAP} ".join(text),
        tokenizer.decode(written[:until]).strip(),
        tokenizer.decode(cut.tolist()).strip(),
    )


def _shown(given: str, model: str, original: str) -> dict[str, str]:
    return {"given": given, "model": model, "original": original}


_KINDS: dict[str, tuple[Any, Callable[..., Any]]] = {
    "causal": (AutoModelForCausalLM, _continue),
    "span_corruption": (AutoModelForSeq2SeqLM, _infill),
}
