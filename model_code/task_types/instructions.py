"""A reply to what was said so far: instruction tuning of a causal model.

How a conversation becomes tokens is said where it is served, too (`model_code/served/conversations.py`): its
turns end to end, closed by the end token. That is the one token that every causal model has, so no vocabulary
grows, and an adapter fits the model that it was made for as it stands. A checkpoint with a chat template of
its own keeps to that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, PreTrainedModel

from model_code.data.chat_template import LearntTemplate, named_tokens
from model_code.data.conversations import Conversations, Questions
from model_code.data.vocabulary import TEMPLATE, Vocabulary
from model_code.errors import TrainingError
from model_code.models import steps
from model_code.models.architectures import writers
from model_code.models.checkpoints import load_model
from model_code.models.families import DECODERS
from model_code.objectives.cross_entropy import Decode, scored
from model_code.objectives.objective import Batch, Score
from model_code.runtime import Runtime
from model_code.served.conversations import Turns, fault_of_turns, messages_of
from model_code.served.writing import tidied
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
    if fault := fault_of_turns(roles):
        return fault
    if roles[-1] != "assistant":
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
    if has_own_template(vocabulary):
        return _as_its_template_says(examples, tokenizer, vocabulary, settings)
    turns_of = Turns(tokenizer, begin_of_row(vocabulary), vocabulary.eos)
    ids, learnt, questions = [], [], []
    conversations = turns_of.of([messages_of(example) for example in examples])
    for example, whole in zip(examples, conversations, strict=True):
        try:
            turns = turns_of.fitting(whole, settings.max_length, settings.options.max_reply)
        except ValueError as error:
            raise TrainingError(f"example {example.get('id', '?')}: {error}") from error
        reply = turns[-1]
        tokens = turns_of.begin + [token for turn in turns for token in turn.head + turn.said]
        to_learn = [False] * len(turns_of.begin)
        for turn in turns:
            to_learn += [False] * len(turn.head) + [turn.learnt] * len(turn.said)
        ids.append(tokens[: settings.max_length])
        learnt.append(to_learn[: settings.max_length])
        questions.append(tokens[: len(tokens) - len(reply.said)])
    return Conversations(ids, learnt, questions, vocabulary.eos, settings.max_length, tokenizer, vocabulary)


def begin_of_row(vocabulary: Vocabulary) -> list[int]:
    """What every row begins with."""
    return [] if vocabulary.bos is None else [vocabulary.bos]


def has_own_template(vocabulary: Vocabulary) -> bool:
    """Whether the checkpoint came with a chat template."""
    return vocabulary.template not in ("", FILES[TEMPLATE])


def _as_its_template_says(
    examples: Sequence[Example], tokenizer: Tokenizer, vocabulary: Vocabulary, settings: Settings
) -> Conversations:
    template, length = LearntTemplate(tokenizer, vocabulary), settings.max_length
    told = [
        template.told(messages_of(example), length, settings.options.max_reply, example.get("id", "?"))
        for example in examples
    ]
    ids, learnt, questions = ([*column] for column in zip(*told, strict=True))
    return Conversations(ids, learnt, questions, template.end, length, tokenizer, vocabulary)


def graph_example(model: Any, batch: int, length: int, read: int) -> dict[str, torch.Tensor]:
    """Inputs of the graph that is served: tokens after others that were read."""
    return steps.example_of_prompt(model, batch, length, read)


def graph(model: Any, tensors: Mapping[str, torch.Tensor], settings: Settings) -> dict[str, torch.Tensor]:
    """What is served of the model: the next token, and what it has read."""
    return steps.after_prompt(model, **tensors)


def how_it_is_asked(model: Any, tokenizer: Tokenizer, vocabulary: Vocabulary) -> dict[str, Any]:
    """What serving has to know besides: how a conversation becomes tokens, and which one ends a reply."""
    known = {"begin": begin_of_row(vocabulary), "past": steps.shape_of_past(model)}
    if has_own_template(vocabulary):
        end = LearntTemplate(tokenizer, vocabulary).end
        named = named_tokens(tokenizer, vocabulary)
        return {**known, "ends": [end], "template": vocabulary.template, "named": named}
    return {**known, "ends": [vocabulary.eos], "template": "", "named": {}}


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
            replies[item] = tidied(text)
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
