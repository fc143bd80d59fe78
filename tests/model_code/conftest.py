"""Tiny corpora, tokenizers and models that train in seconds, on the real code."""

import fcntl
import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

from model_code.fine_tuning import fine_tune
from model_code.job import Job, Reporter
from model_code.pretraining import pretrain
from tests.token_shards import write_split

WORDS = [
    a + b for a in ("ba", "ke", "li", "mo", "nu", "pa", "ri", "so") for b in ("ra", "te", "vi", "zo", "du")
]
TINY: dict[str, Any] = {
    "layers": 2,
    "width": 32,
    "heads": 2,
    "intermediate": 48,
    "max_positions": 64,
    "local_attention": 16,
    "sequence_length": 32,
    "batch_size": 8,
    "steps": 200,
    "checkpoint_every": 10,
}


def sentences(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, weights=range(1, 41), k=rng.randint(4, 20))) for _ in range(count)]


def quiet_reporter() -> Reporter:
    return Reporter(io.StringIO())


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `tokenizer/` and `tokens/`."""
    home = tmp_path_factory.mktemp("corpus")
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    texts = sentences(400, seed=1)
    tokenizer.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=120, special_tokens=special, show_progress=False)
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    (home / "tokenizer").mkdir()
    tokenizer.save(str(home / "tokenizer" / "tokenizer.json"))
    for split, part in (("train", texts[40:]), ("validation", texts[:40])):
        ids = [encoding.ids for encoding in tokenizer.encode_batch(part)]
        write_split(home / "tokens", split, ids, tokenizer.get_vocab_size())
    return home


def pretrain_job(corpus: Path, home: Path, **config: Any) -> dict[str, Any]:
    paths = {"tokens": corpus / "tokens", "tokenizer": corpus / "tokenizer"}
    paths |= {"output": home / "output", "scratch": home / "scratch"}
    values = TINY | config
    if values.get("family", "modernbert") != "modernbert":
        del values["local_attention"]  # a size of that family alone
    return {name: str(path) for name, path in paths.items()} | {"config": values}


def run_pretrain(raw: dict[str, Any]) -> dict[str, Any]:
    values = dict(raw)
    config = values.pop("config")
    return pretrain(Job({name: Path(value) for name, value in values.items()}, config), quiet_reporter())


def written_history(output: Path) -> list[dict[str, Any]]:
    """The rows of a run's loss curve."""
    return [json.loads(line) for line in (output / "history.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="session")
def pretrained(corpus: Path, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of one undisturbed pretraining, which the first worker that needs it makes for all."""
    with (shared / "pretrained.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "pretrained").exists():
            home = tmp_path_factory.mktemp("pretraining")
            run_pretrain(pretrain_job(corpus, home))
            (home / "output").rename(shared / "pretrained")
    return shared / "pretrained"


def toy_examples(count: int, seed: int) -> list[dict[str, str]]:
    """Sentences whose label is the keyword that one of their words is."""
    rng = random.Random(seed)
    rows = []
    for sentence in sentences(count, seed):
        label = rng.choice(["bara", "sozo", "mote"])
        words = [word for word in sentence.split() if word not in ("bara", "sozo", "mote")]
        words.insert(rng.randint(0, len(words)), label)
        rows.append({"text": " ".join(words), "label": label})
    return rows


def fine_tune_job(pretrained: Path, home: Path, train: int = 480, **config: Any) -> Job:
    data = home / "data"
    data.mkdir(parents=True, exist_ok=True)
    for split, count, seed in (("train", train, 3), ("validation", 60, 4)):
        rows = toy_examples(count, seed)
        (data / f"{split}.jsonl").write_text(
            "".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8"
        )
    paths = {
        "model": pretrained / "model",
        "data": data,
        "output": home / "output",
        "scratch": home / "scratch",
    }
    values = {
        "max_length": 64,
        "batch_size": 16,
        "epochs": 4,
        "learning_rate": 5e-3,
        "task": "classification",
    }
    return Job(paths, values | config)


@pytest.fixture(scope="session")
def classifier(pretrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model directory of a classifier that learned the toy task."""
    home = tmp_path_factory.mktemp("classifier")
    fine_tune(fine_tune_job(pretrained, home), quiet_reporter())
    return home / "output" / "model"
