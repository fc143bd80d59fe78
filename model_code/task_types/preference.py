"""Of two replies the better one: preference tuning of a causal model without a reward model.

Direct preference optimisation (DPO, Rafailov et al. 2023, arXiv 2305.18290): how much likelier than its
reference the model finds a reply is that reply's reward, and the one that was chosen is to have the greater.
The reference is the model as its training begins. What that finds of each reply is computed once, before the
first step, by the same weights: an adapter begins as a product of zero, so no second model is held.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy, logsigmoid
from transformers import AutoModelForCausalLM, PreTrainedModel

from model_code.data.conversations import Conversations
from model_code.data.reply_pairs import SIDES
from model_code.data.reply_pairs import parted as parted
from model_code.data.vocabulary import Vocabulary
from model_code.errors import TrainingError
from model_code.models.checkpoints import load_model
from model_code.objectives.objective import Batch, Score
from model_code.runtime import Runtime
from model_code.served.conversations import messages_of
from model_code.task_types import instructions
from model_code.task_types.baselines import Baselines, attempted
from model_code.task_types.bootstrap_metrics import Resampled, mean
from model_code.task_types.instructions import FAMILIES as FAMILIES
from model_code.task_types.instructions import FILES as FILES
from model_code.task_types.instructions import Options as InstructionsOptions
from model_code.task_types.instructions import graph as graph
from model_code.task_types.instructions import graph_example as graph_example
from model_code.task_types.instructions import how_it_is_asked as how_it_is_asked
from model_code.task_types.instructions import token_states
from model_code.task_types.task import REFERENCE, Example, Field, Settings
from model_code.task_types.texts import outputs

# What was asked, as a conversation or a text, and two replies to it.
FIELDS = {
    "messages": Field("messages", required=False),
    "prompt": Field("said", required=False),
    "chosen": Field("said"),
    "rejected": Field("said"),
}
# What is served are replies; which of two is the better one nobody asks an endpoint.
SERVED_AS = "instructions"
METRIC = "accuracy"
SELECTION = "loss"
METRICS = ("accuracy", "margin", "loss")
KEEPS_REFERENCE = True
UNBOUNDED = "compares two replies, and what is bounded is what a text does alone"


@dataclass(frozen=True)
class Options(InstructionsOptions):
    """The smaller `beta`, the further the model may go from its reference; no question takes `max_reply`."""

    beta: float = 0.1

    def __post_init__(self) -> None:
        """Raises TrainingError for a reply without room, and a loss that teaches nothing."""
        super().__post_init__()
        if self.beta <= 0:
            raise TrainingError(f"beta is {self.beta}; 0.1 is usual, and it has to be above 0")


def fault(example: Example) -> str:
    """What is wrong with a pair to learn from; "" if nothing."""
    if example["chosen"] == example["rejected"]:
        return "its chosen and its rejected reply are the same; remove it"
    if "messages" not in example:
        nothing = "it has neither messages nor a prompt, nor conversations that begin with one"
        return "" if "prompt" in example else nothing
    roles = [message["role"] for message in example["messages"]]
    if roles[-1:] != ["user"]:
        return "its last message is not by the user; the replies to that are chosen and rejected"
    said = {"messages": [*example["messages"], {"role": "assistant", "content": example["chosen"]}]}
    return instructions.fault(said)


def labels_of(examples: Sequence[Example]) -> list[str]:
    """A pair has no label."""
    return []


def check(settings: Settings, positions: int | None) -> None:
    """Raises TrainingError as for instructions."""
    instructions.check(settings, positions)


def load(directory: Path, vocabulary: Vocabulary, settings: Settings) -> PreTrainedModel:
    """The whole language model; a tuned one knows where its reference is."""
    model: Any = instructions.load(directory, vocabulary, settings)
    model.reference = directory / REFERENCE
    return model  # type: ignore[no-any-return]


@dataclass(frozen=True)
class PreferencePairs:
    """Chosen and rejected replies in turns, each with what was asked; `reference` are the logarithms of how
    likely the reference finds them, [pairs, 2], 0 as long as it was not asked.
    """

    replies: Conversations
    reference: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of both conversations of each pair, int64 [pairs]."""
        lengths: np.ndarray = self.replies.lengths.reshape(-1, 2).sum(1)
        return lengths

    def batch(self, items: np.ndarray) -> Batch:
        """Both conversations of each pair, as `Conversations` has them, and `reference` [B, 2]."""
        both = np.stack([2 * items, 2 * items + 1], 1).flatten()
        batch = self.replies.batch(both)
        tensors = dict(batch.tensors) | {"reference": torch.from_numpy(self.reference[items])}
        return Batch(tensors, {"preference": len(items)}, batch.tokens)

    def unpacked(self) -> PreferencePairs:
        """The same, each conversation in a row of its own."""
        return replace(self, replies=self.replies.unpacked())


def encode(
    examples: Sequence[Example], tokenizer: Tokenizer, vocabulary: Vocabulary, settings: Settings
) -> PreferencePairs:
    """The pairs, cut as instructions are; of a conversation its last reply alone counts.

    Raises TrainingError when an example can't be encoded, with its id.
    """
    for example in examples:
        if lacking := [side for side in SIDES if side not in example]:
            raise TrainingError(
                f"example {example.get('id', '?')}: it has no {lacking[0]} reply; two are compared, give both"
            )
    examples = [_in_texts(example) for example in examples]
    conversations = [
        {
            "id": example.get("id", "?"),
            "messages": [*messages_of(example), {"role": "assistant", "content": example[side]}],
        }
        for example in examples
        for side in SIDES
    ]
    replies = instructions.encode(conversations, tokenizer, vocabulary, settings)
    last = [_last_alone(learnt) for learnt in replies.learnt]
    return PreferencePairs(replace(replies, learnt=last), np.zeros((len(examples), 2), np.float32))


def _in_texts(example: Example) -> Example:
    try:
        return parted(example)
    except ValueError as error:
        raise TrainingError(f"example {example.get('id', '?')}: {error}") from error


def chosen_reply(example: Example) -> Example:
    """The conversation with the chosen reply alone: what a model that replies is to come near to."""
    pair = _in_texts(example)
    said = [*messages_of(pair), {"role": "assistant", "content": pair["chosen"]}]
    return {"id": example.get("id", "?"), "messages": said}


def _last_alone(learnt: Sequence[bool]) -> list[bool]:
    """The last run of what is learnt."""
    end = len(learnt) - [*reversed(learnt)].index(True)
    start = next((place + 1 for place in range(end - 1, -1, -1) if not learnt[place]), 0)
    return [start <= place < end for place in range(len(learnt))]


def begun(model: Any, data: PreferencePairs, runtime: Runtime, batch_size: int) -> PreferencePairs:
    """The pairs with what the model finds of them before it learns: it is its own reference."""
    return replace(data, reference=_all_likelihoods(model, data, runtime, batch_size))


def scores(model: Any, tensors: Mapping[str, torch.Tensor], settings: Settings) -> dict[str, Score]:
    """The loss of DPO: how surprising it is, by the rewards, that the chosen reply was chosen."""
    rewards = settings.options.beta * (likelihoods(model, tensors) - tensors["reference"])
    margins = rewards[:, 0] - rewards[:, 1]
    nothing = torch.zeros_like(margins[0])
    return {"preference": Score(-logsigmoid(margins).sum(), nothing, (margins > 0).sum())}


def likelihoods(model: Any, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The logarithms of how likely the model finds each reply of a batch, [B, 2], float32."""
    states, decode = token_states(model, tensors)
    each = -cross_entropy(decode(states).float(), tensors["targets"], reduction="none")
    sums = each.new_zeros(tensors["reference"].numel()).index_add(0, tensors["owners"], each)
    return sums.view_as(tensors["reference"])


def _all_likelihoods(model: Any, data: PreferencePairs, runtime: Runtime, batch_size: int) -> np.ndarray:
    sums = np.zeros_like(data.reference)
    for items, said in outputs(lambda b: likelihoods(model, b.tensors), model, data, runtime, batch_size):
        sums[items] = said.cpu().numpy()
    return sums


def predict(
    model: Any, data: PreferencePairs, runtime: Runtime, batch_size: int, settings: Settings
) -> list[float]:
    """By how much the reward of each chosen reply is above that of the rejected one.

    Raises TrainingError when the model's reference is not beside it.
    """
    reference: Any = load_model(model.reference, AutoModelForCausalLM).to(runtime.device)
    found = [_all_likelihoods(one, data, runtime, batch_size) for one in (model, reference)]
    rewards = settings.options.beta * (found[0].astype(np.float64) - found[1])
    return [float(margin) for margin in rewards[:, 0] - rewards[:, 1]]


def figures(
    examples: Sequence[Example], predictions: Sequence[float], settings: Settings
) -> dict[str, float]:
    """None: the loss chooses the epoch."""
    return {}


def metrics(
    examples: Sequence[Example], predictions: Sequence[float], settings: Settings
) -> dict[str, float]:
    """The share of pairs whose chosen reply has the greater reward, the mean margin, and the mean loss."""
    margins = np.array(predictions, np.float64)
    return {
        "accuracy": float(_right(margins).mean()),
        "margin": float(margins.mean()),
        "loss": float(np.logaddexp(0, -margins).mean()),
    }


def _right(margins: np.ndarray) -> np.ndarray:
    """1 where the chosen reply is preferred, 0.5 where neither is."""
    return np.asarray((np.sign(margins) + 1) / 2)


def resampled(examples: Sequence[Example], predictions: Sequence[float], settings: Settings) -> Resampled:
    """Mean accuracy of samples of the pairs."""
    return mean(_right(np.array(predictions, np.float64)))


def baselines(train: Sequence[Example], test: Sequence[Example], settings: Settings) -> Baselines:
    """To prefer neither, as the reference does, and to prefer the longer reply."""
    return attempted(
        {
            "neither": lambda: [0.0] * len(test),
            "longer": lambda: [float(np.sign(len(one["chosen"]) - len(one["rejected"]))) for one in test],
        }
    )
