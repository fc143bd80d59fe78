"""A reply to what was said so far: instruction tuning of a causal model.

A conversation is its turns end to end, each a role and what was said, both closed by the end token:

    user<end>What is a stride?<end>assistant<end>The step from one row to the next.<end>

Nobody can forge a turn: special tokens in a text are text here, so that the end token comes from this module
alone. It is also the one token that every causal model has, so no vocabulary grows, and an adapter fits the
model that it was made for as it stands. A checkpoint with a chat template of its own keeps to that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, PreTrainedModel

from model_code.data.chat_template import ChatTemplate
from model_code.data.conversations import Conversations, Questions
from model_code.data.vocabulary import TEMPLATE, Vocabulary
from model_code.errors import TrainingError
from model_code.models.architectures import writers
from model_code.models.checkpoints import load_model
from model_code.models.families import DECODERS
from model_code.objectives.cross_entropy import Decode, scored
from model_code.objectives.objective import Batch, Score
from model_code.runtime import Runtime
from model_code.task_types import seq2seq
from model_code.task_types.baselines import Baselines, attempted
from model_code.task_types.bootstrap_metrics import Resampled, mean
from model_code.task_types.task import Example, Field, Settings
from model_code.task_types.texts import outputs
from model_code.task_types.words import composed

FAMILIES = writers()
# Either a conversation that ends with a reply, or what was asked and the reply to it.
FIELDS = {
    "messages": Field("messages", required=False),
    "prompt": Field("text", required=False),
    "response": Field("text", required=False, target=True),
}
METRIC = "rouge_l"
SCALE = 100
SELECTION = "loss"
METRICS = ("exact_match", *seq2seq.METRICS)
FILES = {
    # The same text by transformers' `apply_chat_template`. What others then encode takes an end token in a
    # text for a real one, so there it is taken out.
    TEMPLATE: "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ message['role'] + eos_token + message['content'] | replace(eos_token, '') + eos_token }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant' + eos_token }}{% endif %}"
}
ROLES = ("system", "user", "assistant")


@dataclass(frozen=True)
class Options:
    """A reply is never longer than `max_reply` tokens, the end token included."""

    max_reply: int = 64

    def __post_init__(self) -> None:
        """Raises TrainingError for a reply without room."""
        if self.max_reply < 2:
            raise TrainingError(f"max_reply is {self.max_reply}; the least is 2, a token and the end")


def fault(example: Example) -> str:
    """What is wrong with a conversation to learn from; "" if nothing."""
    if "messages" not in example:
        both = "prompt" in example and "response" in example
        return "" if both else "it has neither messages nor a prompt with its response"
    roles = [message["role"] for message in example["messages"]]
    turns = roles[1:] if roles[:1] == ["system"] else roles
    if not turns or turns != (["user", "assistant"] * len(turns))[: len(turns)]:
        return (
            f"its messages are by {', '.join(roles) or 'nobody'}; after at most one of the system, "
            "user and assistant take turns"
        )
    if turns[-1] != "assistant":
        return "its last message is not by the assistant, so there is no reply to learn from"
    return ""


def truth(example: Example) -> dict[str, str]:
    """The last reply."""
    return {"response": messages_of(example)[-1]["content"]}


def labels_of(examples: Sequence[Example]) -> list[str]:
    """A reply has no label."""
    return []


def check(settings: Settings, positions: int | None) -> None:
    """Raises TrainingError for smoothed labels, which there are none, and for a reply that fills a row."""
    if settings.label_smoothing:
        raise TrainingError(f"label_smoothing is not for the task {settings.task}; leave it out")
    if settings.options.max_reply >= settings.max_length:
        raise TrainingError(
            f"max_reply {settings.options.max_reply} leaves no room for a question in a max_length of "
            f"{settings.max_length}; lower the one or raise the other"
        )


def load(directory: Path, vocabulary: Vocabulary, settings: Settings) -> PreTrainedModel:
    """The whole language model: it was pretrained with all that the task needs."""
    vocabulary.need("eos", why="a model that replies")
    check(settings, None)
    model: PreTrainedModel = load_model(directory, AutoModelForCausalLM)
    return model


def encode(
    examples: Sequence[Example], tokenizer: Tokenizer, vocabulary: Vocabulary, settings: Settings
) -> Conversations:
    """Conversations of `max_length` tokens at most; a question leaves room for a reply of `max_reply`.

    Where one is too long its oldest turns are left out, then its last question is cut, then its reply.
    Raises TrainingError when a system message alone is too long.
    """
    assert vocabulary.eos is not None  # `load` needs it
    if vocabulary.template not in ("", FILES[TEMPLATE]):
        return _as_its_template_says(examples, tokenizer, vocabulary, settings)
    begin = [] if vocabulary.bos is None else [vocabulary.bos]
    ids, learnt, questions = [], [], []
    for example, turns in zip(examples, _turns(examples, tokenizer, vocabulary.eos), strict=True):
        *before, reply = turns
        room = settings.max_length - settings.options.max_reply - len(begin) - len(reply.head)
        turns = [*_newest(before, room, example.get("id", "?")), reply]
        tokens = begin + [token for turn in turns for token in turn.head + turn.said]
        to_learn = [False] * len(begin)
        for turn in turns:
            to_learn += [False] * len(turn.head) + [turn.learnt] * len(turn.said)
        ids.append(tokens[: settings.max_length])
        learnt.append(to_learn[: settings.max_length])
        questions.append(tokens[: len(tokens) - len(reply.said)])
    return Conversations(ids, learnt, questions, vocabulary.eos, settings.max_length, tokenizer, vocabulary)


def _as_its_template_says(
    examples: Sequence[Example], tokenizer: Tokenizer, vocabulary: Vocabulary, settings: Settings
) -> Conversations:
    template, length = ChatTemplate(tokenizer, vocabulary), settings.max_length
    told = [
        template.told(messages_of(example), length, settings.options.max_reply, example.get("id", "?"))
        for example in examples
    ]
    ids, learnt, questions = ([*column] for column in zip(*told, strict=True))
    return Conversations(ids, learnt, questions, template.end, length, tokenizer, vocabulary)


@dataclass(frozen=True)
class _Turn:
    """Token ids of who speaks and of what is said, the end token after each."""

    head: list[int]
    said: list[int]
    learnt: bool
    system: bool

    def __len__(self) -> int:
        return len(self.head) + len(self.said)


def _turns(examples: Sequence[Example], tokenizer: Tokenizer, end: int) -> Iterator[list[_Turn]]:
    """The turns of each example; the last is the assistant's, with nothing said where there is no reply."""
    text = Tokenizer.from_str(tokenizer.to_str())
    text.no_truncation()
    text.no_padding()
    text.encode_special_tokens = True  # what spells a special token is text
    roles = dict(zip(ROLES, text.encode_batch(list(ROLES), add_special_tokens=False), strict=True))
    heads = {role: [*encoding.ids, end] for role, encoding in roles.items()}
    conversations = [messages_of(example) for example in examples]
    contents = [message["content"] for messages in conversations for message in messages]
    encodings = iter(text.encode_batch(contents, add_special_tokens=False))
    for messages in conversations:
        turns = [
            _Turn(heads[role], [*next(encodings).ids, end], role == "assistant", role == "system")
            for role in (message["role"] for message in messages)
        ]
        if not turns[-1].learnt:
            turns.append(_Turn(heads["assistant"], [], True, False))
        yield turns


def messages_of(example: Example) -> list[dict[str, str]]:
    """A conversation as it was, or as a prompt begins it and a response, if there is one, ends it."""
    if "messages" in example:
        return list(example["messages"])
    said = {"user": example.get("prompt"), "assistant": example.get("response")}
    return [{"role": role, "content": text} for role, text in said.items() if text is not None]


def _newest(turns: list[_Turn], room: int, id: str) -> list[_Turn]:
    """What fits of the turns before a reply: the system's, and of the others the newest, the last one cut."""
    first, rest = [turn for turn in turns if turn.system], [turn for turn in turns if not turn.system]
    while (over := sum(map(len, first + rest)) - room) > 0 and len(rest) > 1:
        rest = rest[2:]  # a question with its reply
    if over <= 0:
        return first + rest
    question = rest[-1]
    *said, end = question.said
    if over >= len(said):
        raise TrainingError(
            f"example {id}: its messages leave no room for a question and a reply; shorten the one of the "
            "system, raise fine_tune.max_length or lower max_reply"
        )
    return [*first, replace(question, said=[*said[:-over], end])]


def scores(model: Any, tensors: Mapping[str, torch.Tensor], settings: Settings) -> dict[str, Score]:
    """Cross-entropy of the assistant's tokens, each given what was said before it."""
    states, decode = token_states(model, tensors)
    return {"reply": scored(states, tensors["targets"], decode)}


def token_states(model: Any, tensors: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, Decode]:
    """What the model knows where each token to be learnt follows, [N, D], and what makes logits of it."""
    places = tensors["places"]
    if family := DECODERS.get(model.config.model_type):
        states = family.hidden_states(model, tensors["ids"], tensors["documents"], tensors["positions"])
        return states.flatten(0, 1).index_select(0, places), lambda states: family.logits(model, states)
    mask = (tensors["documents"] >= 0).long()  # of rows with one conversation each
    said = model(input_ids=tensors["ids"], attention_mask=mask, use_cache=False).logits.flatten(0, 1)
    return said.index_select(0, places), lambda said: said


def predict(
    model: Any, data: Conversations, runtime: Runtime, batch_size: int, settings: Settings
) -> list[str]:
    """The last reply of each conversation as the model writes it, always with the likeliest token."""

    def written(batch: Batch) -> list[list[int]]:
        asked = batch.tensors["input_ids"]
        ids: torch.Tensor = model.generate(
            input_ids=asked,
            attention_mask=batch.tensors["attention_mask"],
            max_new_tokens=settings.options.max_reply,
            do_sample=False,
            repetition_penalty=1.0,  # as the checkpoint may have it
            eos_token_id=data.end,
            pad_token_id=data.pad,
        )
        return ids[:, asked.shape[1] :].tolist()

    replies = [""] * len(data.ids)
    for items, ids in outputs(written, model, Questions(data), runtime, batch_size):
        for item, text in zip(items, data.tokenizer.decode_batch(ids, skip_special_tokens=True), strict=True):
            replies[item] = text.strip()
    return replies


def figures(examples: Sequence[Example], predictions: Sequence[str], settings: Settings) -> dict[str, float]:
    """None: the loss chooses the epoch, since writing takes longer than reading."""
    return {}


def metrics(examples: Sequence[Example], predictions: Sequence[str], settings: Settings) -> dict[str, float]:
    """The share of replies that are right to the letter, from 0 to 100, and the figures of written texts."""
    references = [composed(messages_of(example)[-1]["content"].strip()) for example in examples]
    written = map(composed, predictions)
    exact = np.mean([text == reference for text, reference in zip(written, references, strict=True)])
    pairs = [{"target": reference} for reference in references]
    return {"exact_match": 100 * float(exact)} | seq2seq.metrics(pairs, predictions, settings)


def resampled(examples: Sequence[Example], predictions: Sequence[str], settings: Settings) -> Resampled:
    """Mean ROUGE-L of samples of the examples."""
    replies = [messages_of(example)[-1]["content"].strip() for example in examples]
    return mean(seq2seq.rouge(replies, predictions)["rouge_l"])


def baselines(train: Sequence[Example], test: Sequence[Example], settings: Settings) -> Baselines:
    """The commonest reply, and the reply to the training question that is most like the one asked."""
    known, asked = ([_exchange(example) for example in examples] for examples in (train, test))
    counts = Counter(exchange["target"] for exchange in known)
    commonest = max(sorted(counts), key=lambda reply: counts[reply])
    return attempted(
        {
            "commonest": lambda: [commonest] * len(test),
            "nearest": lambda: seq2seq.nearest(known, [exchange["source"] for exchange in asked]),
        }
    )


def _exchange(example: Example) -> dict[str, str]:
    """The last question and its reply."""
    question, reply = (message["content"] for message in messages_of(example)[-2:])
    return {"source": question, "target": reply}
