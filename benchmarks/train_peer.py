"""The peer of the training benchmarks: the Hugging Face Trainer at its best settings.

The same model, tokens and precision as our loop: bfloat16, fused AdamW, no data-loader processes, attention
as the job says. A causal model reads the corpus cut every S tokens, as `run_clm` does it, and a masked one
too when told (`run_mlm`); else it reads documents, the longer ones in pieces of S tokens, padded to the
longest of the batch.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import (
    BertForMaskedLM,
    DataCollatorForLanguageModeling,
    PreTrainedTokenizerFast,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    default_data_collator,
)

from benchmarks.train_run import TrainingMeasured
from model_code.config.pretraining import PretrainConfig
from model_code.config.strict import settings_from
from model_code.data.batches import Rows
from model_code.data.noise import Noise
from model_code.data.shards import TokenSplit, open_split
from model_code.data.vocabulary import vocabulary_of
from model_code.held_out import evaluate
from model_code.job import Job
from model_code.models.families import DECODERS, family_named
from model_code.objectives.choice import objective_of
from model_code.objectives.objective import Batch, Objective, Score
from model_code.runtime import Runtime
from model_code.training.module import TrainingModule

TensorExample = dict[str, torch.Tensor]


def train(job: Job, peer: Mapping[str, Any]) -> TrainingMeasured:
    """Train once.

    `peer` holds attention, batch_size, and maybe cut, group_by_length, sparse_prediction, evaluate.
    """
    config = settings_from(PretrainConfig, job.values)
    split = open_split(job.paths["tokens"], "train")
    causal = config.family in DECODERS
    length = config.sequence_length
    examples = slices(split, length) if causal or peer.get("cut") else pieces(split, length)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(job.paths["tokenizer"])
    masked = DataCollatorForLanguageModeling(tokenizer, mlm_probability=config.mask_rate)
    collate = _Counted(default_data_collator if causal else masked)
    torch.manual_seed(config.seed)
    model: Any = family_named(config.family).build(config.shape, vocabulary_of(job.paths["tokenizer"]))
    if config.family == "bert":  # with the head for next sentences, as ours, it gives no loss
        model = BertForMaskedLM(model.config)
    model.set_attn_implementation(peer["attention"])
    if peer.get("sparse_prediction"):
        setattr(model, "sparse_prediction", True)  # noqa: B010  the checker takes it for a layer
    clock = _Clock()
    trainer = Trainer(
        model=model,
        args=_arguments(config, peer, job.paths["output"]),
        data_collator=collate,
        callbacks=[clock],
        train_dataset=examples,
    )
    trainer.train()
    tokens = sum(collate.tokens[1 : len(clock.times)])
    loss = _held_out_loss(model, config, job) if peer.get("evaluate") else None
    return TrainingMeasured(tokens, clock.times[-1] - clock.times[0], loss)


def slices(split: TokenSplit, length: int) -> list[TensorExample]:
    """The corpus cut every `length` tokens, wherever documents end."""
    rows = torch.from_numpy(split.ids[: len(split.ids) // length * length].astype("int64")).view(-1, length)
    return [{"input_ids": row, "labels": row} for row in rows]


def pieces(split: TokenSplit, length: int) -> list[TensorExample]:
    """Each document alone, the longer ones in pieces of `length` tokens, so that no token is lost."""
    documents = (
        torch.from_numpy(split.ids[begin:end].astype("int64"))
        for begin, end in zip(split.offsets[:-1], split.offsets[1:], strict=True)
    )
    return [{"input_ids": piece} for document in documents for piece in torch.split(document, length)]


class _Counted:
    """A collator that remembers how many tokens of text each batch has, padding left out."""

    def __init__(self, collate: Any) -> None:
        self._collate, self.tokens = collate, list[int]()

    def __call__(self, examples: list[TensorExample]) -> Any:
        self.tokens.append(sum(len(example["input_ids"]) for example in examples))
        return self._collate(examples)


class _Clock(TrainerCallback):
    """CPU-seconds of the process at the end of each step; the Trainer's own runtime has its set-up in it."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.times.append(time.process_time())


def _arguments(config: PretrainConfig, peer: Mapping[str, Any], output: Path) -> TrainingArguments:
    assert config.learning_rate is not None  # it is left open only where a training starts from a checkpoint
    return TrainingArguments(
        output_dir=str(output),
        max_steps=config.steps,
        per_device_train_batch_size=peer["batch_size"],
        learning_rate=config.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=config.warmup_fraction,
        weight_decay=config.weight_decay,
        adam_beta2=config.beta2,
        max_grad_norm=config.clip,
        optim="adamw_torch_fused",
        bf16=True,
        use_cpu=True,
        train_sampling_strategy="group_by_length" if peer.get("group_by_length") else "random",
        dataloader_pin_memory=False,
        seed=config.seed,
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


def _held_out_loss(model: Any, config: PretrainConfig, job: Job) -> float:
    """The loss that our own evaluation finds, with documents alone or in their surroundings: the lower one.

    What a model of packed text without document masks expects is its surroundings.
    """
    objective = objective_of(config, vocabulary_of(job.paths["tokenizer"]))
    held_out = open_split(job.paths["tokens"], "validation")
    runtime = Runtime(torch.device("cpu"), torch.bfloat16)
    size = (config.sequence_length, config.batch_size)
    losses = [
        evaluate(TrainingModule(model, way), way, held_out, *size, runtime)["loss"]
        for way in (objective, _Unmasked(objective))
    ]
    return float(min(losses))


class _Unmasked:
    """An objective whose rows are one document each to the model, with the targets that they had."""

    def __init__(self, objective: Objective) -> None:
        self._objective = objective

    def batch(self, rows: Rows, noise: Noise) -> Batch:
        batch = self._objective.batch(rows, noise)
        places = torch.arange(rows.ids.shape[1]).expand_as(rows.ids)
        alone = {"documents": torch.zeros_like(rows.ids), "positions": places}
        return Batch({**batch.tensors, **alone}, batch.targets, batch.tokens)

    def scores(self, model: Any, tensors: Mapping[str, torch.Tensor]) -> dict[str, Score]:
        return self._objective.scores(model, tensors)
