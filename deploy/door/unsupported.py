"""What of OpenAI's API the endpoints here can't do: refused by its name, with the way out, and never ignored.

A value that asks for nothing (`n: 1`, no tools) is taken, since clients send it unasked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from deploy.door.bodies import shown
from deploy.door.refusals import Refusal

_NO_TOOLS = "the models here call no tools; describe in the messages what the reply is to be"
_PENALTY = "give `repetition_penalty` instead (1 is none), which the models here know"
_NO_LOGPROBS = "the endpoints say no probabilities of tokens; leave it away"
_TEXT_ONLY = "the models here read and write text alone; leave it away"
# Of each the values that ask for nothing, and what to do instead.
NOT_DONE: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "n": ((1,), "a request has one choice; send one for each"),
    "best_of": ((1,), "a request has one choice; send one for each"),
    "tools": (([],), _NO_TOOLS),
    "tool_choice": (("none", "auto"), _NO_TOOLS),
    "parallel_tool_calls": ((True, False), _NO_TOOLS),
    "functions": (([],), _NO_TOOLS),
    "function_call": (("none", "auto"), _NO_TOOLS),
    "response_format": (({"type": "text"},), "replies are plain text; check them where they are read"),
    "logprobs": ((False,), _NO_LOGPROBS),
    "top_logprobs": ((), _NO_LOGPROBS),
    "logit_bias": (({},), "no token can be made likelier by itself; leave it away"),
    "frequency_penalty": ((0,), _PENALTY),
    "presence_penalty": ((0,), _PENALTY),
    "echo": ((False,), "the prompt is not repeated; put it before the text yourself"),
    "suffix": (("",), "models here go on from a text and fill nothing in; leave it away"),
    "modalities": ((["text"],), _TEXT_ONLY),
    "audio": ((), _TEXT_ONLY),
    "prediction": ((), "nothing is made faster by it here; leave it away"),
    "reasoning_effort": (("none",), "the models here don't think before they reply; leave it away"),
    "verbosity": ((), "bound the length with `max_tokens`"),
    "store": ((False,), "nothing is kept here; leave it away"),
    "metadata": (({},), "nothing is kept here; leave it away"),
    "service_tier": (("auto", "default"), "there is one tier; leave it away"),
    "web_search_options": ((), "nothing is searched on the web; leave it away"),
    "moderation": ((), "nothing is moderated; leave it away"),
}
# Who asks, for OpenAI's own accounts: no answer depends on it.
WHO_ASKS = ("user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention")


def refuse_unsupported(said: Mapping[str, Any], known: Collection[str]) -> None:
    """Raises Refusal for the first parameter that can't be honoured, or that there is not."""
    for name, value in said.items():
        if name in known or name in WHO_ASKS or value is None:
            continue
        if name not in NOT_DONE:
            raise Refusal(
                400,
                f"there is no parameter {shown(name)} here; there are {', '.join(sorted(known))}",
                name,
                "unknown_parameter",
            )
        asks_nothing, way_out = NOT_DONE[name]
        if not any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in asks_nothing):
            raise Refusal(400, f"{name} can't be honoured: {way_out}", name, "unsupported_parameter")
