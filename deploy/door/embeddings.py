"""/v1/embeddings: vectors of texts, from endpoints of the task `matching`."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from deploy.door.bodies import one_of, texts_of, whole
from deploy.door.endpoints import ServedEndpoint, files_of, settings_of
from deploy.door.refusals import Refusal
from deploy.door.triton import AsyncTriton
from deploy.door.unsupported import refuse_unsupported
from deploy.door.writing_requests import way_to

MOST_TEXTS = 2048
SIDES = ("first", "second")  # which text of a pair one is; the model may have a prompt for each
FORMATS = ("float", "base64")


async def embeddings(
    triton: AsyncTriton, home: Path, endpoint: ServedEndpoint, said: Mapping[str, Any]
) -> dict[str, Any]:
    """The body of the answer. Raises Refusal for what can't be honoured."""
    if not endpoint.embeds:
        raise Refusal(400, f"{endpoint.name} gives no vectors; {way_to(endpoint)}", "model")
    refuse_unsupported(said, ("model", "input", "encoding_format", "dimensions", "side"))
    texts = texts_of(said.get("input"), "input", MOST_TEXTS)
    form, side = one_of(said, "encoding_format", FORMATS), one_of(said, "side", SIDES)
    dimensions = _dimensions(said, settings_of(files_of(home, endpoint.name, endpoint.version)))
    questions = [{"text": text} for text in texts]
    answers, version = await triton.answers(endpoint.name, ["text"], questions, {"side": side})
    files = files_of(home, endpoint.name, version)
    tokens = await asyncio.to_thread(_tokens, files, texts, side)
    vectors = [_encoded(answer["embedding"], dimensions, form) for answer in answers]
    return {
        "object": "list",
        "model": endpoint.name,
        "data": [
            {"object": "embedding", "index": index, "embedding": vector}
            for index, vector in enumerate(vectors)
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _dimensions(said: Mapping[str, Any], settings: Mapping[str, Any]) -> int | None:
    """To how many numbers vectors are to be cut, None for all. Raises Refusal for what was not trained."""
    wanted = whole(said, "dimensions", 1, 2**31 - 1)
    trained = sorted({*settings["options"].get("dimensions", ()), settings["dimensions"]})
    if wanted is not None and wanted not in trained:
        there = ", ".join(map(str, trained))
        raise Refusal(
            400,
            f"dimensions is {wanted}, and this model was trained for {there}; give one of them, or none",
            "dimensions",
            "unsupported_parameter",
        )
    return wanted


def _encoded(vector: Sequence[float], dimensions: int | None, form: str) -> list[float] | str:
    """As a list, or the bytes of float32, the low ones first, in base64; what is cut has length 1 again."""
    numbers = np.asarray(vector, "<f4")[:dimensions]
    if dimensions is not None:
        numbers = numbers / max(float(np.linalg.norm(numbers)), 1e-12)
    return numbers.tolist() if form == "float" else base64.b64encode(numbers.astype("<f4").tobytes()).decode()


def _tokens(files: Path, texts: Sequence[str], side: str) -> int:
    """How many tokens of these texts the model reads, special ones included."""
    tokenizer, prompts = _tokenizer(files, (files / "tokenizer.json").stat().st_mtime_ns)
    encodings = tokenizer.encode_batch([prompts[side] + text for text in texts])
    return sum(len(encoding.ids) for encoding in encodings)


@lru_cache(maxsize=8)
def _tokenizer(files: Path, changed: int) -> tuple[Any, Mapping[str, str]]:
    from tokenizers import Tokenizer

    settings = settings_of(files)
    tokenizer = Tokenizer.from_file(str(files / "tokenizer.json"))
    tokenizer.enable_truncation(settings["max_length"])
    tokenizer.no_padding()
    return tokenizer, {side: settings["options"].get(f"{side}_prompt", "") for side in SIDES}
