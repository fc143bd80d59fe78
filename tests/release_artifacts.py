"""Small artifacts of the stages before the release, and a real classifier that nobody trained."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertForSequenceClassification

from model_code.task_types.task import Settings, write_settings
from tasks.contract.artifact import Artifact, Manifest, sha256_text
from tasks.contract.run import Run
from tasks.contract.store import Store
from tasks.register import RegisterConfig, register
from tasks.tracking.registry import SearchedCollection
from tests.published import publish

LABELS = ("garden", "harbour", "kitchen")
TEXTS = [
    "who watered the roses",
    "did they anchor the ferry beside the pier at high tide",
    "soup",
    "看海",
    "the loaf was baked in the oven before dinner and nobody in town tasted it",
]
FIGURES = {"accuracy": 0.75, "f1_macro": 0.8}
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def write_classifier(folder: Path, seed: int = 2) -> Path:
    """A BERT of one layer with weights drawn from a seed, as fine-tuning writes it; its answers differ."""
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        TEXTS, trainers.BpeTrainer(vocab_size=300, special_tokens=SPECIAL, initial_alphabet=alphabet)
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    names = {"id2label": dict(enumerate(LABELS)), "label2id": {label: n for n, label in enumerate(LABELS)}}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        # Weights of the usual size would give every text the same answer.
        config = BertConfig(
            vocab_size=tokenizer.get_vocab_size(),
            max_position_embeddings=64,
            initializer_range=0.5,
            pad_token_id=0,
            **sizes,
            **names,
        )
        model = BertForSequenceClassification(config)
        torch.nn.init.normal_(model.classifier.bias)  # one of zeros would be left out of an ONNX build
        torch.nn.init.normal_(model.classifier.weight)
        model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    write_settings(Settings("classification", LABELS, max_length=48), folder)
    return folder


def evaluation(*, passed: bool = True, **other: Any) -> dict[str, Any]:
    """What `evaluation.json` says, as far as the release reads it."""
    demand = {"name": "f1_macro", "demand": "at least 0.9", "actual": 0.8, "passed": passed}
    return {
        "task": "classification",
        "labels": list(LABELS),
        "test_examples": len(TEXTS),
        "test_examples_in_training": 0,
        "pretrained": {"loss": 3.0, "perplexity": 20.0},
        "model": FIGURES,
        "baselines": {"majority": {"accuracy": 0.5, "f1_macro": 0.25}},
        "seeds": {},
        "gate": {
            "verdict": "promote" if passed else "keep",
            "needs": 0,
            "says": "promote" if passed else "keep",
            "passed": passed,
            "demands": [demand],
        },
    } | other


class Release:
    """A home with all that `register` reads, and the stage's config.

    Args:
        checkpoint: a folder with a model; without it there is one that can't be loaded.
        others: further files of the fine-tuned artifact, by name.
        collection: what the endpoint is to search.
    """

    def __init__(
        self,
        home: Path,
        model: str,
        *,
        checkpoint: Path | None = None,
        task: str = "classification",
        texts: Sequence[str] = TEXTS,
        second: bool = False,
        judged: Mapping[str, Any] | None = None,
        others: Mapping[str, str] | None = None,
        collection: SearchedCollection | None = None,
    ) -> None:
        self.home, self.store, self.config = home, Store(home), RegisterConfig(model=model)
        self.collection = collection
        pair = {"second": "another"} if second else {}
        test = [{"id": str(n), "text": text, "label": LABELS[0]} | pair for n, text in enumerate(texts)]
        history = "".join(json.dumps({"step": step, "loss": 3.0 - step}) + "\n" for step in range(2))

        def model_files(directory: Path) -> None:
            if checkpoint:
                shutil.copytree(checkpoint, directory / "model")
            _fill(directory, {"history.jsonl": history, **(others or {})})
            if not checkpoint:
                _fill(directory, {"model/config.json": "{}"})

        lines = "".join(json.dumps(example) + "\n" for example in test)
        read = {"test.jsonl": lines, "report.json": json.dumps({"task": task})}
        said = json.dumps(dict(judged or evaluation()))
        self.made = {
            "collect": self._publish("collect", {"ledger": "1"}, config={"sources": "s3://me:secret@there"}),
            "clean": self._publish("clean", {"text": "1"}, counts={"kept": 40}),
            "tokenize": self._publish("tokenize", {"text": "1"}),
            "examples": self._publish(
                "examples", read, counts={"train": 30}, config={"task": task, "columns": dict(pair)}
            ),
            "pretrain": self._publish(
                "pretrain", {"history.jsonl": history}, config={"family": "bert", "steps": 2}
            ),
            "fine_tune": self._publish(
                "fine_tune", model_files, config={"max_length": 48}, metrics={"best_epoch": 2, "seed": 7}
            ),
            "evaluate": self._publish(
                "evaluate",
                {"evaluation.json": said, "loss_curves.png": "png", "predictions.parquet": "kept"},
            ),
        }

    def register(self, champion: Any = None) -> Artifact:
        """Run the stage."""
        return register.fn(*self.made.values(), champion, self.collection, self.config, Run(self.home))

    def manifest(self, artifact: Artifact) -> Manifest:
        """What the store says about an artifact that is there."""
        found = self.store.manifest(artifact.stage, artifact.key)
        assert found
        return found

    def made_by(self, stage: str) -> list[Manifest]:
        """What there is of a stage."""
        return [manifest for manifest in self.store.manifests() if manifest.stage == stage]

    def _publish(
        self, stage: str, files: Mapping[str, str] | Callable[[Path], None], **described: Any
    ) -> Artifact:
        key = sha256_text(stage)
        directory = self.store.begin(stage, key)
        if callable(files):
            files(directory)
        else:
            _fill(directory, files)
        return publish(self.store, directory, stage, key, **described)


def _fill(directory: Path, files: Mapping[str, str]) -> None:
    for name, content in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(content, encoding="utf-8")
