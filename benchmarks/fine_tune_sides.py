"""A classifier fine-tuned by our loop and by the Hugging Face Trainer: same model, examples and rates.

The Trainer pads as it does by default, to the longest text of a random batch. Both start from the weights in
JOB's `model`, read `train.jsonl` of its `data`, and are judged on its `test.jsonl` by the same code.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from transformers import (
    DataCollatorWithPadding,
    PreTrainedTokenizerFast,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from benchmarks.train_run import TrainingMeasured, timed
from model_code.config.fine_tuning import OUR_OWN, FineTuningRun
from model_code.config.strict import settings_from
from model_code.data.vocabulary import load_tokenizer, vocabulary_of
from model_code.fine_tuning import fine_tune, read_examples
from model_code.job import Job
from model_code.predict import Predictor
from model_code.runtime import prepare
from model_code.task_types.task import Settings, TaskType, task_named
from model_code.task_types.texts import bucketed_order


def run_loop(job: Job) -> TrainingMeasured:
    """Fine-tune with `model_code`."""
    config = settings_from(FineTuningRun, job.values)
    times, _ = timed(fine_tune, job)
    task, settings = _task(job, config)
    lengths = _encoded(job, task, settings, "train").lengths
    batches = [
        batch
        for epoch in range(config.epochs)
        for batch in bucketed_order(lengths, config.batch_size, config.seed, epoch)
    ]
    first, last = min(times), max(times)
    tokens = sum(int(lengths[batch].sum()) for batch in batches[first:last])
    test = read_examples(job.paths["data"] / "test.jsonl")
    predicted = Predictor(job.paths["output"] / "model").predict(test)
    accuracy = task.metrics(test, predicted, settings)["accuracy"]
    return TrainingMeasured(tokens, times[last] - times[first], accuracy=accuracy)


def run_trainer(job: Job, peer: Mapping[str, Any]) -> TrainingMeasured:
    """Fine-tune with the Hugging Face Trainer; `peer` holds `attention`, the implementation."""
    config = settings_from(FineTuningRun, job.values)
    task, settings = _task(job, config)
    data = _encoded(job, task, settings, "train")
    torch.manual_seed(config.seed)
    model: Any = task.load(job.paths["model"], vocabulary_of(job.paths["model"]), settings)
    model.set_attn_implementation(peer["attention"])
    collate, clock = _Counted(job), _Clock()
    trainer = Trainer(
        model=model,
        args=_arguments(config, job),
        data_collator=collate,
        callbacks=[clock],
        train_dataset=[
            {"input_ids": ids, "label": int(label)} for ids, label in zip(data.ids, data.targets, strict=True)
        ],
    )
    trainer.train()
    test = read_examples(job.paths["data"] / "test.jsonl")
    held_out = _encoded(job, task, settings, "test")
    predicted = task.predict(model, held_out, prepare("float32"), 64, settings)
    tokens = sum(collate.tokens[1 : len(clock.times)])
    accuracy = task.metrics(test, predicted, settings)["accuracy"]
    return TrainingMeasured(tokens, clock.times[-1] - clock.times[0], accuracy=accuracy)


def _task(job: Job, config: FineTuningRun) -> tuple[TaskType, Settings]:
    task = task_named(config.task)
    labels = task.labels_of(read_examples(job.paths["data"] / "train.jsonl"))
    sizes = {"max_length": config.max_length, "head_dropout": config.head_dropout}
    return task, Settings(config.task, tuple(labels), **sizes, options=task.Options())  # type: ignore[arg-type]


def _encoded(job: Job, task: TaskType, settings: Settings, split: str) -> Any:
    examples = read_examples(job.paths["data"] / f"{split}.jsonl")
    model = job.paths["model"]
    return task.encode(examples, load_tokenizer(model), vocabulary_of(model), settings)


class _Counted:
    """The Trainer's own collator, which remembers how many tokens of text each batch has."""

    def __init__(self, job: Job) -> None:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(job.paths["tokenizer"])
        self._collate, self.tokens = DataCollatorWithPadding(tokenizer), list[int]()

    def __call__(self, examples: list[dict[str, Any]]) -> Any:
        self.tokens.append(int(np.sum([len(example["input_ids"]) for example in examples])))
        return self._collate(examples)


class _Clock(TrainerCallback):
    """CPU-seconds of the process at the end of each step."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.times.append(time.process_time())


def _arguments(config: FineTuningRun, job: Job) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(job.paths["output"]),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch_size,
        learning_rate=config.learning_rate or OUR_OWN["learning_rate"],
        lr_scheduler_type="linear",
        warmup_steps=config.warmup_fraction,
        weight_decay=config.weight_decay,
        adam_beta2=0.98,
        max_grad_norm=config.clip,
        optim="adamw_torch_fused",
        bf16=True,
        use_cpu=True,
        dataloader_pin_memory=False,
        seed=config.seed,
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
