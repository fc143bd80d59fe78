"""Whatever a folder holds that can't be started from is one sentence, by its names, JSON and headers "
"alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from model_code.dry_run import plan
from model_code.errors import TrainingError
from model_code.fine_tuning import fine_tune
from model_code.job import Job, Reporter
from model_code.models.folder import check_folder, is_used, parameters_in, used_files
from model_code.pretraining import pretrain
from tests.checkpoints import write_checkpoint
from tests.model_code.conftest import quiet_reporter


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("published") / "tiny")


@pytest.fixture
def folder(published: Path, tmp_path: Path) -> Path:
    return shutil.copytree(published, tmp_path / "tiny")


def put(folder: Path, name: str, **values: object) -> None:
    """Change values of a JSON file in a folder."""
    path = folder / name
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    path.write_text(json.dumps(known | values), encoding="utf-8")


def in_shards(folder: Path) -> None:
    """Divide the weights into two shards with an index, as large models are published."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    parts = {"model-00001-of-00002.safetensors": names[:5], "model-00002-of-00002.safetensors": names[5:]}
    for file, own in parts.items():
        save_file({name: tensors[name] for name in own}, folder / file, {"format": "pt"})
    put(folder, "model.safetensors.index.json", weight_map={n: f for f, own in parts.items() for n in own})


def only_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def gguf(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-Q4_K_M.gguf")


def adapter(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    put(folder, "adapter_config.json", base_model_name_or_path="someone/base")


def missing_shard(folder: Path) -> None:
    in_shards(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()


def shard_elsewhere(folder: Path) -> None:
    in_shards(folder)
    put(folder, "model.safetensors.index.json", weight_map={"a": "../other.safetensors"})


def cut(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-10])


def cut_in_a_module(folder: Path) -> None:
    (folder / "2_Dense").mkdir()
    save_file({"linear.weight": torch.ones(3)}, folder / "2_Dense" / "model.safetensors")
    whole = (folder / "2_Dense" / "model.safetensors").read_bytes()
    (folder / "2_Dense" / "model.safetensors").write_bytes(whole[:-1])


def no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").unlink()


def code_of_the_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    put(folder, "tokenizer_config.json", auto_map={"AutoTokenizer": ["x.Y", None]})


REFUSED: list[tuple[Callable[[Path], object], str]] = [
    (only_pickle, r"no model\.safetensors \(its weights are pytorch_model\.bin alone, and no pickle is read"),
    (
        lambda f: (f / "model.safetensors").unlink(),
        r"has no model\.safetensors \(no weights\); take a revision",
    ),
    (gguf, "holds GGUF files, which are for inference; name the folder of the original model"),
    (adapter, "is an adapter without its base; merge the two with peft"),
    (
        missing_shard,
        r"1 of 2 shards that model\.safetensors\.index\.json names are not there, model-00002-of",
    ),
    (shard_elsewhere, r"names '\.\./other\.safetensors', which is no safetensors file beside it"),
    (lambda f: (in_shards(f), put(f, "model.safetensors.index.json", weight_map=[])), "lists no weights"),
    (cut, r"model\.safetensors: has 8\d,\d+ of 8\d,\d+ bytes; copy it again"),
    (cut_in_a_module, r"2_Dense/model\.safetensors: has \d+ of \d+ bytes"),
    (
        lambda f: (f / "model.safetensors").write_bytes(b"\x00" * 9),
        "is no safetensors file, or its beginning",
    ),
    (lambda f: (f / "model.safetensors").write_bytes(b""), r"its beginning is damaged \(0 bytes\)"),
    (
        lambda f: (f / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid"),
        "is a pointer of Git LFS, not the file itself; fetch it with `git lfs pull`",
    ),
    (
        lambda f: (f / "config.json").unlink(),
        r"has no config\.json; name a folder that `save_pr",
    ),
    (lambda f: (f / "config.json").write_bytes(b"{"), r"config\.json: can't be read as JSON"),
    (lambda f: (f / "config.json").write_bytes(b"[]"), r"config\.json: holds a list, not an object"),
    (lambda f: (f / "config.json").write_bytes(b"{}"), "names no model_type"),
    (
        lambda f: put(f, "config.json", model_type="novel", auto_map={"AutoModel": "novel.Model"}),
        r"the architecture novel brings code of its own \(auto_map\), which is never run, and transformers",
    ),
    (
        lambda f: put(f, "config.json", model_type="novel"),
        "the architecture novel is unknown, and transformers",
    ),
    (
        lambda f: put(f, "config.json", quantization_config={"quant_method": "awq"}),
        r"its weights are quantised \(awq\), and those can't be trained; name the model that",
    ),
    (no_tokenizer, r"has no tokenizer \(tokenizer\.json, vocab\.txt, a SentencePiece model"),
    (code_of_the_tokenizer, r"its tokenizer needs code of its own \(auto_map\), which is never run"),
    (shutil.rmtree, "there is no such folder; name the folder of a checkpoint"),
]


@pytest.mark.parametrize(("spoil", "said"), REFUSED)
def test_what_can_not_be_started_from_is_one_sentence(
    folder: Path, spoil: Callable[[Path], object], said: str
) -> None:
    spoil(folder)
    with pytest.raises(TrainingError, match=said) as caught:
        check_folder(folder, "checkpoints/tiny")
    assert str(caught.value).startswith("checkpoints/tiny: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("train", [fine_tune, pretrain, plan])
@pytest.mark.parametrize(
    ("spoil", "said"),
    [kind for kind in REFUSED if kind[0] in (only_pickle, gguf, adapter, missing_shard, no_tokenizer, cut)]
    + [(code_of_the_tokenizer, "its tokenizer needs code of its own")],
)
def test_the_trainers_refuse_the_same_without_the_pipeline(
    train: Callable[[Job, Reporter], object], spoil: Callable[[Path], object], said: str, folder: Path
) -> None:
    """Where they run alone, on a machine with nothing else; before any other file is looked for."""
    spoil(folder)
    values: dict[str, Any] = {"task": "classification"} if train is fine_tune else {"steps": 1}
    paths = {name: folder.parent / name for name in ("data", "tokens", "tokenizer", "output", "scratch")}
    if train is plan:
        del paths["tokenizer"]
    with pytest.raises(TrainingError, match=said):
        train(Job(paths | {"model": folder}, values | {"start_from": str(folder)}), quiet_reporter())


def test_what_can_be_started_from_is_described(folder: Path) -> None:
    assert check_folder(folder)["model_type"] == "bert"
    whole = parameters_in(folder)
    in_shards(folder)
    assert check_folder(folder)["model_type"] == "bert"
    assert parameters_in(folder) == whole == 21_440


def test_code_that_transformers_has_itself_is_not_needed(folder: Path) -> None:
    put(folder, "config.json", auto_map={"AutoModel": "modeling.Model"})  # as older releases of a model say
    assert check_folder(folder)


def test_only_weights_json_and_vocabularies_are_used(folder: Path) -> None:
    for name in ("modeling.py", "training_args.bin", "README.md", "model.onnx", "other.safetensors"):
        (folder / name).write_text("x", encoding="utf-8")
    assert used_files(folder) == [
        *("1_Pooling/config.json", "config.json", "model.safetensors", "tokenizer.json"),
        *("tokenizer_config.json", "vocab.txt"),
    ]
    used = ("spiece.model", "source.spm", "merges.txt", "chat_template.jinja", "2_Dense/model.safetensors")
    unused = ("onnx/config.json", "a/1_Pooling/config.json", "requirements.txt", "rust_model.ot", "x.pkl")
    assert all(map(is_used, used))
    assert not any(map(is_used, unused))
