"""Fine-tuning: a pretrained encoder and labelled texts in, a classifier out.

    python -m model_code.finetune JOB.json

JOB: model, data (directory with train.jsonl and validation.jsonl), labels, output, scratch, config.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import ModernBertForSequenceClassification

from model_code.classification import bucketed_order, encode, padded, read_examples
from model_code.data.vocabulary import load_tokenizer, pad_of
from model_code.errors import TrainingError
from model_code.job import Job, Reporter, config_from, fingerprint, main, write_json, write_json_lines
from model_code.metrics import classification_metrics
from model_code.models.checkpoints import load_model
from model_code.models.kernels import fast_attention
from model_code.objectives.objective import Batch, Score
from model_code.predict import logits_of
from model_code.runtime import prepare
from model_code.training.checkpoint import Checkpoints, copy_weights
from model_code.training.faults import machine_faults_told
from model_code.training.loop import Loop, Plan
from model_code.training.meter import Meter
from model_code.training.optimizer import MixedOptimizer
from model_code.training.ranks import Ranks
from model_code.training.schedule import linear
from model_code.training.step import Step


@dataclass(frozen=True)
class FinetuneConfig:
    """`patience` is the number of epochs without a better macro-F1 after which training ends."""

    labels: list[str]
    max_length: int = 128
    batch_size: int = 32
    epochs: int = 3
    learning_rate: float = 1e-3
    warmup_fraction: float = 0.1
    weight_decay: float = 0.01
    label_smoothing: float = 0.0
    class_weights: bool = False
    patience: int = 2
    head_dropout: float = 0.1
    clip: float = 1.0
    seed: int = 0
    checkpoint_every: int = 200
    precision: str = "auto"


def finetune(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Train, keep the epoch with the best validation macro-F1, write the model and its figures.

    Returns the metrics with timings. Raises TrainingError when data or model don't fit together
    or the loss stops being a number.
    """
    config = config_from(FinetuneConfig, job.values)
    runtime = prepare(config.precision)
    tokenizer = _tokenizer(job, config)
    pad = pad_of(job.paths["model"])
    train, validation = (
        read_examples(job.paths["data"] / f"{s}.jsonl", config.labels) for s in ("train", "validation")
    )
    train_ids, validation_ids = encode(tokenizer, train.texts), encode(tokenizer, validation.texts)
    lengths = np.array([len(ids) for ids in train_ids])
    steps_per_epoch = -(-len(train_ids) // config.batch_size)
    total = steps_per_epoch * config.epochs

    weights = _class_weights(train.labels, len(config.labels)) if config.class_weights else None
    order: dict[int, list[np.ndarray]] = {}

    def batches_of(place: int) -> list[Batch]:
        epoch, index = divmod(place, steps_per_epoch)
        if epoch not in order:
            order.clear()
            order[epoch] = bucketed_order(lengths, config.batch_size, config.seed, epoch)
        chosen = order[epoch][index]
        ids, mask = padded([train_ids[i] for i in chosen], pad)
        targets = torch.from_numpy(train.labels[chosen])
        weight = float(weights[targets].sum()) if weights is not None else float(len(targets))
        return [Batch({"ids": ids, "mask": mask, "targets": targets}, {"label": weight}, int(mask.sum()))]

    with machine_faults_told(job.paths["scratch"]):
        model = _classifier(job, config)
        model.to(runtime.device)  # type: ignore[arg-type]
        module = _Classification(model, weights, config.label_smoothing)
        optimizer = MixedOptimizer(model, config.learning_rate, config.weight_decay)
        loop = Loop(
            Plan(
                total_steps=total,
                steps_per_epoch=steps_per_epoch,
                learning_rate=config.learning_rate,
                factor=lambda step: linear(step, total, config.warmup_fraction),
                evaluate_every=steps_per_epoch,
                checkpoint_every=config.checkpoint_every,
                seed=config.seed,
                spikes=False,  # the loss of one small batch of labels may well leap
            ),
            model,
            Step(module, optimizer, runtime, Ranks(), config.clip),
            Checkpoints(job.paths["scratch"], fingerprint(config, *_digests(job))),
            Meter(runtime),
            reporter,
            Ranks(),
        )

        def measure() -> None:
            logits = logits_of(model, validation_ids, pad, config.batch_size, runtime)
            _keep_if_best(loop, config, classification_metrics(logits, validation.labels, config.labels))

        with fast_attention(model, runtime):
            loop.run(batches_of, measure)

    copy_weights(loop.kept, model)
    runtime = prepare("float32")  # the figures that are written are those of the model as it is served
    logits = logits_of(model, validation_ids, pad, config.batch_size, runtime)
    metrics = classification_metrics(logits, validation.labels, config.labels) | {
        "best_epoch": loop.notes["best_epoch"],
        "epochs": loop.notes["epochs"],
        "train_examples": len(train.texts),
        "validation_examples": len(validation.texts),
    }
    output = job.paths["output"]
    model.save_pretrained(output / "model")
    tokenizer.save(str(output / "model" / "tokenizer.json"))
    write_json(output / "metrics.json", metrics)
    write_json_lines(output / "history.jsonl", loop.history)
    return metrics | loop.timings()


class _Classification(nn.Module):
    """A classifier and its loss: a batch's tensors in, the score of its labels out."""

    def __init__(self, model: nn.Module, weights: torch.Tensor | None, smoothing: float) -> None:
        super().__init__()
        self.model, self.smoothing = model, smoothing
        self.weights = weights

    def forward(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, Score]:
        logits = self.model(input_ids=tensors["ids"], attention_mask=tensors["mask"]).logits.float()
        loss = cross_entropy(
            logits,
            tensors["targets"],
            weight=None if self.weights is None else self.weights.to(logits.device),
            label_smoothing=self.smoothing,
            reduction="sum",
        )
        none = torch.zeros((), device=logits.device)
        return {"label": Score(loss, none, none)}


def _keep_if_best(loop: Loop, config: FinetuneConfig, metrics: dict[str, Any]) -> None:
    """Note the figures of an epoch; keep the best weights, and end the run when patience is over."""
    epoch = loop.step // loop.plan.steps_per_epoch
    loop.reporter.event(
        "evaluation", step=loop.step, **{k: metrics[k] for k in ("loss", "accuracy", "macro_f1")}
    )
    loop.history[-1] |= {"epoch": epoch, "validation": metrics}
    if metrics["macro_f1"] > loop.notes.get("best_macro_f1", -1.0):
        loop.notes |= {"best_macro_f1": metrics["macro_f1"], "best_epoch": epoch}
        loop.kept = {name: p.detach().clone() for name, p in loop.model.named_parameters()}
    loop.notes |= {"epochs": epoch, "finished": epoch - loop.notes["best_epoch"] >= config.patience}


def _tokenizer(job: Job, config: FinetuneConfig) -> Tokenizer:
    # Saved with the model, so that whoever serves it cuts texts where training did.
    tokenizer = load_tokenizer(job.paths["model"])
    tokenizer.no_padding()
    tokenizer.enable_truncation(config.max_length)
    return tokenizer


def _classifier(job: Job, config: FinetuneConfig) -> ModernBertForSequenceClassification:
    torch.manual_seed(config.seed)  # the classification layer starts at random
    model: ModernBertForSequenceClassification = load_model(
        job.paths["model"],
        ModernBertForSequenceClassification,
        num_labels=len(config.labels),
        id2label=dict(enumerate(config.labels)),
        label2id={label: i for i, label in enumerate(config.labels)},
        classifier_pooling="mean",
        classifier_dropout=config.head_dropout,
        problem_type="single_label_classification",
    )
    if config.max_length > model.config.max_position_embeddings:
        raise TrainingError(
            f"max_length {config.max_length} is more than the "
            f"{model.config.max_position_embeddings} positions of the encoder; "
            "lower it or pretrain with more max_positions"
        )
    return model


def _class_weights(labels: np.ndarray, count: int) -> torch.Tensor:
    """Inverse frequency, 1 on average over the examples."""
    frequency = np.maximum(1, np.bincount(labels, minlength=count))
    return torch.from_numpy(len(labels) / (count * frequency)).float()


def _digests(job: Job) -> list[str]:
    files = [job.paths["model"] / "model.safetensors"]
    files += [job.paths["data"] / f"{split}.jsonl" for split in ("train", "validation")]
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]


if __name__ == "__main__":
    main(finetune, {"model", "data", "output", "scratch"})
