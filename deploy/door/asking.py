"""/ask/NAME: a question to an endpoint of any task that does not write, and its whole answer.

OpenAI's API has nothing for labels, entities, answers in a context or hits; docs/serving.md says what each
task is asked and answers.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from deploy.door.bodies import one_of, shown, text_of, whole
from deploy.door.embeddings import SIDES
from deploy.door.endpoints import ServedEndpoint
from deploy.door.refusals import Refusal
from deploy.door.triton import AsyncTriton
from deploy.door.writing_requests import way_to

DIVISIONS = ("spaces", "signs", "characters")
MOST_HITS = 100


def parameters_of(endpoint: ServedEndpoint) -> list[str]:
    """What may be said to an endpoint besides the strings of a question."""
    if endpoint.task == "token_classification":
        return ["divided"]
    if endpoint.embeds:
        return ["side", "k"] if endpoint.searches else ["side"]
    return []


async def ask(triton: AsyncTriton, endpoint: ServedEndpoint, said: Mapping[str, Any]) -> dict[str, Any]:
    """The answer, with the version that gave it and the milliseconds that Triton took. Raises Refusal."""
    if endpoint.writes:
        raise Refusal(400, f"{endpoint.name} writes texts; {way_to(endpoint)}", "model")
    known = [*endpoint.inputs, *parameters_of(endpoint)]
    if unknown := [name for name in said if name not in known]:
        raise Refusal(
            400, f"a question has no {shown(unknown[0])} here; there are {', '.join(known)}", unknown[0]
        )
    question = {name: text_of(said.get(name), name) for name in endpoint.inputs}
    begun = time.perf_counter()
    (answer,), version = await triton.answers(endpoint.name, endpoint.inputs, [question], _besides(said))
    milliseconds = round((time.perf_counter() - begun) * 1000, 2)
    return {"model": endpoint.name, "version": int(version), "milliseconds": milliseconds, "answer": answer}


def _besides(said: Mapping[str, Any]) -> dict[str, Any]:
    besides: dict[str, Any] = {}
    if "divided" in said:
        besides["divided"] = one_of(said, "divided", DIVISIONS)
    if "side" in said:
        besides["side"] = one_of(said, "side", SIDES)
    if said.get("k") is not None:
        besides["k"] = whole(said, "k", 1, MOST_HITS)
    return besides
