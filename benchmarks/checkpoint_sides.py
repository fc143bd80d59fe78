"""A published checkpoint fine-tuned by our loop and by plain transformers: same examples, rates and epochs.

Plain transformers is what its documentation shows: AutoTokenizer, an AutoModel with the task's head, and the
Trainer at its fastest settings here (batches grouped by length, padded to their longest, plain attention on a
CPU, fused AdamW, bfloat16 where the processor has it). Both look at the validation examples after each epoch,
keep the best one by the same figure, and are judged on the test examples by the same metrics.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset, SequentialSampler
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    EvalPrediction,
    Trainer,
    TrainingArguments,
)

from model_code.config.fine_tuning import FineTuningConfig
from model_code.fine_tuning import fine_tune, read_examples
from model_code.job import Job, Reporter
from model_code.models.architectures import layer_weights
from model_code.predict import Predictor
from model_code.runtime import prepare
from model_code.task_types.task import Example, Prediction, Settings, options_of, task_named

IGNORED = -100  # torch's cross entropy passes over these


@dataclass(frozen=True)
class Paths:
    """The checkpoint, the folder of the examples stage, and an empty folder for what is made."""

    checkpoint: Path
    examples: Path
    made: Path


@dataclass(frozen=True)
class CheckpointMeasured:
    """The figure on the test examples, and the CPU-seconds from the checkpoint to the finished model."""

    figure: float
    cpu_seconds: float


def run_loop(task: str, metric: str, changes: Mapping[str, Any], paths: Paths) -> CheckpointMeasured:
    """Fine-tune with `model_code`; all that `changes` doesn't name is as by default."""
    config = _config(paths, changes).model_dump(mode="json") | {"task": task}
    job_paths = {"model": paths.checkpoint, "data": paths.examples}
    for name in ("output", "scratch"):
        (paths.made / name).mkdir(parents=True)
        job_paths[name] = paths.made / name
    start = time.process_time()
    fine_tune(Job(job_paths, config), Reporter(io.StringIO()))
    seconds = time.process_time() - start
    predictor, test = Predictor(paths.made / "output" / "model"), _split(paths, "test")
    figures = predictor.task.metrics(test, predictor.predict(test), predictor.settings)
    return CheckpointMeasured(figures[metric], seconds)


def run_plain(task: str, metric: str, changes: Mapping[str, Any], paths: Paths) -> CheckpointMeasured:
    """Fine-tune with the Trainer, at the rates that our loop takes."""
    config, of = _config(paths, changes), task_named(task)
    bfloat16 = prepare("auto", deterministic=False).compute is torch.bfloat16
    splits = {name: sorted(_split(paths, name), key=_length) for name in ("train", "validation", "test")}
    labels = of.labels_of(splits["train"])
    settings = Settings(task, tuple(labels), options=options_of(of, {}))
    start = time.process_time()
    torch.manual_seed(config.seed)
    tokenizer = AutoTokenizer.from_pretrained(paths.checkpoint)
    way: _Texts = (_Words if task == "token_classification" else _Texts)(tokenizer, labels, config.max_length)
    model = way.kind.from_pretrained(
        paths.checkpoint, num_labels=len(labels), id2label=dict(enumerate(labels))
    )
    if not torch.cuda.is_available():
        model.set_attn_implementation("eager")  # quicker than sdpa on a CPU, and what our loop takes there

    def figures(outcome: EvalPrediction) -> dict[str, float]:
        validation = splits["validation"]
        return of.figures(validation, way.predictions(validation, outcome), settings)

    rate = config.settled(layer_weights(model)).learning_rate
    trainer = _InOrder(
        model=model,
        args=_arguments(config, rate, of.SELECTION, bfloat16, paths.made),
        data_collator=way.collate,
        compute_metrics=figures,
        train_dataset=_Rows(way.rows(splits["train"])),
        eval_dataset=_Rows(way.rows(splits["validation"])),
    )
    trainer.train()
    trainer.save_model(str(paths.made / "model"))
    seconds = time.process_time() - start
    trainer.compute_metrics = None  # they are of the validation examples
    answers = trainer.predict(_Rows(way.rows(splits["test"])))
    predicted = way.predictions(splits["test"], answers)
    return CheckpointMeasured(of.metrics(splits["test"], predicted, settings)[metric], seconds)


def run_published(task: str, metric: str, paths: Paths) -> CheckpointMeasured:
    """The vectors of the checkpoint as it was published, by sentence-transformers, without any training."""
    from sentence_transformers import SentenceTransformer

    of, test = task_named(task), _split(paths, "test")
    start = time.process_time()
    model = SentenceTransformer(str(paths.checkpoint), device="cpu")
    sides = [model.encode([example[side] for example in test]) for side in ("first", "second")]
    predicted = [{"first": first, "second": second} for first, second in zip(*sides, strict=True)]
    seconds = time.process_time() - start
    settings = Settings(task, options=options_of(of, {}))
    return CheckpointMeasured(of.metrics(test, predicted, settings)[metric], seconds)


def _config(paths: Paths, changes: Mapping[str, Any]) -> FineTuningConfig:
    return FineTuningConfig.model_validate({"start_from": str(paths.checkpoint), **changes})


def _split(paths: Paths, name: str) -> list[Example]:
    return read_examples(paths.examples / f"{name}.jsonl")


def _length(example: Example) -> int:
    return sum(len(example[name]) for name in ("text", "second", "words") if name in example)


class _InOrder(Trainer):
    """The Trainer, which judges examples as they are ordered, the shortest first, not grouped at random."""

    def _get_eval_sampler(self, eval_dataset: Any) -> SequentialSampler:
        return SequentialSampler(eval_dataset)


class _Rows(Dataset[dict[str, Any]]):
    """Encoded examples, as the Trainer reads them."""

    def __init__(self, rows: Sequence[dict[str, Any]]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: int) -> dict[str, Any]:
        return self._rows[place]


class _Texts:
    """One label for a text or a pair, as transformers' documentation does it."""

    kind: Any = AutoModelForSequenceClassification

    def __init__(self, tokenizer: Any, labels: Sequence[str], max_length: int) -> None:
        self._tokenizer, self._labels, self._max_length = tokenizer, list(labels), max_length
        self.collate: Callable[..., Any] = DataCollatorWithPadding(tokenizer)

    def rows(self, examples: Sequence[Example]) -> list[dict[str, Any]]:
        texts = [[e[side] for e in examples] for side in ("text", "second") if side in examples[0]]
        encoded = self._tokenizer(*texts, truncation=True, max_length=self._max_length)
        return [
            {name: values[place] for name, values in encoded.items()}
            | {"labels": self._labels.index(example["label"])}
            for place, example in enumerate(examples)
        ]

    def predictions(self, examples: Sequence[Example], outcome: Any) -> list[Prediction]:
        return [self._labels[best] for best in outcome.predictions.argmax(-1)]


class _Words(_Texts):
    """A tag for each word, learnt and read at its first token."""

    kind = AutoModelForTokenClassification

    def __init__(self, tokenizer: Any, labels: Sequence[str], max_length: int) -> None:
        super().__init__(tokenizer, labels, max_length)
        self.collate = DataCollatorForTokenClassification(tokenizer)

    def rows(self, examples: Sequence[Example]) -> list[dict[str, Any]]:
        encoded = self._encoded([example["words"] for example in examples])
        rows = []
        for place, example in enumerate(examples):
            row = {name: values[place] for name, values in encoded.items()}
            row["labels"] = [IGNORED] * len(row["input_ids"])
            for token, word in _first_tokens(encoded.word_ids(place)):
                row["labels"][token] = self._labels.index(example["tags"][word])
            rows.append(row)
        return rows

    def predictions(self, examples: Sequence[Example], outcome: Any) -> list[Prediction]:
        tagged = []
        for example, scores in zip(examples, outcome.predictions, strict=True):
            encoded = self._encoded([example["words"]])
            tags = ["O"] * len(example["words"])  # of a word that was cut or has no token
            for token, word in _first_tokens(encoded.word_ids(0)):
                tags[word] = self._labels[scores[token].argmax()]
            tagged.append(tags)
        return tagged

    def _encoded(self, words: list[Sequence[str]]) -> Any:
        return self._tokenizer(words, is_split_into_words=True, truncation=True, max_length=self._max_length)


def _first_tokens(words: Sequence[int | None]) -> list[tuple[int, int]]:
    """The first token of each word, with the word."""
    before = (None, *words[:-1])
    return [
        (token, word)
        for token, (word, last) in enumerate(zip(words, before, strict=True))
        if word is not None and word != last
    ]


def _arguments(
    config: FineTuningConfig, rate: float | None, selection: str, bfloat16: bool, made: Path
) -> TrainingArguments:
    assert rate is not None
    return TrainingArguments(
        output_dir=str(made),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=64,
        learning_rate=rate,
        lr_scheduler_type="linear",
        warmup_steps=config.warmup_fraction,
        weight_decay=config.weight_decay,
        adam_beta2=0.98,  # as in our loop
        max_grad_norm=config.clip,
        optim="adamw_torch_fused",
        bf16=bfloat16,
        train_sampling_strategy="group_by_length",
        eval_strategy="epoch",
        save_strategy="epoch",
        save_only_model=True,
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model=selection,
        greater_is_better=True,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=False,
        seed=config.seed,
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
