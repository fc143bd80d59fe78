"""A folder that holds a published checkpoint: what of it is used, and what can't be started from.

Only JSON and the headers of safetensors files are read, so both who names a folder and who trains from it can
ask, at once and before anything costs hours. A pickle is never opened and no code of a model is ever run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from model_code.errors import TrainingError

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt", ".h5", ".msgpack", ".ot")
# Vocabularies that are neither JSON nor of one of these endings; all lie beside config.json.
_VOCABULARIES = frozenset({"vocab.txt", "merges.txt", "dict.txt", "bpe.codes"})
_ENDINGS = (".json", ".model", ".spm", ".jinja")
# What makes a tokenizer; the other JSON files describe one.
_TOKENIZERS = frozenset({"tokenizer.json", "vocab.txt", "vocab.json"})
# sentence-transformers: `1_Pooling/config.json`, `2_Dense/model.safetensors`.
_MODULE = re.compile(r"\d+_\w+")
TEMPLATES = "additional_chat_templates"
_LFS = b"version https://git-lfs"
_LENGTH = 8  # bytes that tell how long the header of a safetensors file is
_LONGEST_HEADER = 100_000_000  # bytes, as the library has it


def is_used(name: str) -> bool:
    """Whether a file, by its path in the folder, may be read: weights, JSON, vocabularies and templates."""
    *folders, file = name.split("/")
    if not all(folder == TEMPLATES or _MODULE.fullmatch(folder) for folder in folders):
        return False
    return len(folders) < 2 and (file.endswith((*_ENDINGS, ".safetensors")) or file in _VOCABULARIES)


def files_in(folder: Path) -> list[str]:
    """The files of a folder by their path in it, one level deep, sorted."""
    found = [path for path in [*folder.glob("*"), *folder.glob("*/*")] if path.is_file()]
    return sorted(path.relative_to(folder).as_posix() for path in found)


def used_files(folder: Path) -> list[str]:
    """The files that a training reads: of the weights those that transformers loads."""
    names = files_in(folder)
    weights = set(weights_of(folder, names, str(folder)))
    return [name for name in names if is_used(name) and (name in weights or not is_weights(name))]


def is_weights(name: str) -> bool:
    """Whether a file holds weights of the model itself, not of a module beside it."""
    return name.endswith(".safetensors") and "/" not in name


def check_folder(folder: Path, place: str = "") -> dict[str, Any]:
    """Refuse what can't be started from; returns what its config.json says.

    Args:
        folder: what `save_pretrained` writes, or a copy of a model of the hub.
        place: how messages name it; the path where it is left out.

    Raises TrainingError: no folder; no configuration or one of a model that needs code of its own, of an
    adapter, or of quantised weights; weights that are missing, cut short or no safetensors; no tokenizer.
    """
    place = place or str(folder)
    if not folder.is_dir():
        raise TrainingError(f"{place}: {_what_is_there(folder)}; name the folder of a checkpoint")
    names = files_in(folder)
    check_names(names, place)
    config = check_config(folder, place)
    weights = weights_of(folder, names, place)
    for name in [*weights, *(n for n in names if is_used(n) and n.endswith(".safetensors") and "/" in n)]:
        _check_whole(folder / name, f"{place}: {name}")
    return config


def check_names(names: Collection[str], place: str) -> None:
    """Refuse a checkpoint by the names of its files. Raises TrainingError as `check_folder`."""
    has_weights = WEIGHTS in names or INDEX in names
    if any(name.endswith(".gguf") for name in names) and not has_weights:
        raise TrainingError(
            f"{place}: holds GGUF files, which are for inference; name the folder of the original model, "
            "with its config.json and safetensors"
        )
    if "adapter_config.json" in names and not has_weights:
        raise TrainingError(
            f"{place}: is an adapter without its base; merge the two with peft (`AutoPeftModelFor….from_"
            "pretrained(FOLDER).merge_and_unload().save_pretrained(MERGED)`), save the tokenizer there, and "
            "name MERGED"
        )
    if CONFIG not in names:
        raise TrainingError(
            f"{place}: has no config.json; name a folder that `save_pretrained` wrote, or that was copied "
            "whole from the hub"
        )
    if not has_weights:
        pickles = sorted(name for name in names if name.endswith(_PICKLES) and "/" not in name)
        found = f"its weights are {pickles[0]} alone, and no pickle is read here" if pickles else "no weights"
        raise TrainingError(
            f"{place}: has no model.safetensors ({found}); take a revision of the model that has "
            "safetensors, or convert it where you trust its author "
            "(`AutoModel….from_pretrained(OLD).save_pretrained(NEW)`)"
        )
    if not any(name in _TOKENIZERS or name.endswith((".model", ".spm")) for name in names):
        raise TrainingError(
            f"{place}: has no tokenizer (tokenizer.json, vocab.txt, a SentencePiece model, …); copy the "
            "files of the model's own tokenizer into it"
        )


def check_config(folder: Path, place: str) -> dict[str, Any]:
    """Refuse a checkpoint by its config.json, which is returned. Raises TrainingError as `check_folder`."""
    config = _read(folder / CONFIG, f"{place}: {CONFIG}")
    kind = config.get("model_type")
    if not isinstance(kind, str):
        raise TrainingError(
            f"{place}: config.json names no model_type; copy it again from where it was published"
        )
    if not _is_known(kind):
        from transformers import __version__

        needs = (
            "brings code of its own (auto_map), which is never run" if "auto_map" in config else "is unknown"
        )
        raise TrainingError(
            f"{place}: the architecture {kind} {needs}, and transformers {__version__} has none of this "
            "name; choose a model of one that it has"
        )
    if not (folder / "tokenizer.json").is_file():
        check_tokenizer_code(folder, place)
    quantized = config.get("quantization_config") or config.get("compression_config")
    if quantized:
        method = quantized.get("quant_method", "unknown") if isinstance(quantized, dict) else "unknown"
        raise TrainingError(
            f"{place}: its weights are quantised ({method}), and those can't be trained; name the model that "
            "it was made from (fine_tune.lora.quantize makes four-bit weights of that)"
        )
    return config


def check_tokenizer_code(folder: Path, place: str) -> None:
    """Refuse a tokenizer without a `tokenizer.json` that transformers would run a file of the folder for.

    Raises TrainingError when its description names such code, or can't be read.
    """
    described = folder / "tokenizer_config.json"
    if described.is_file() and "auto_map" in _read(described, f"{place}: {described.name}"):
        raise TrainingError(
            f"{place}: its tokenizer needs code of its own (auto_map), which is never run; put a "
            "tokenizer.json into it, or choose another model"
        )


def weights_of(folder: Path, names: Collection[str], place: str) -> list[str]:
    """The names of the weight files that transformers loads: the one, or those that the index lists.

    `names` are the files that there are, in the folder or where it is fetched from.

    Raises TrainingError when the index can't be read, or names a file that is not there.
    """
    if WEIGHTS in names:
        return [WEIGHTS]
    if INDEX not in names:
        return []
    named = _read(folder / INDEX, f"{place}: {INDEX}").get("weight_map")
    if not isinstance(named, dict) or not named or not all(isinstance(file, str) for file in named.values()):
        raise TrainingError(f"{place}: {INDEX} lists no weights; copy it again from where it was published")
    shards = sorted(set(named.values()))
    if foreign := [shard for shard in shards if "/" in shard or not shard.endswith(".safetensors")]:
        raise TrainingError(
            f"{place}: {INDEX} names {foreign[0]!r}, which is no safetensors file beside it; choose another "
            "model"
        )
    if missing := [shard for shard in shards if shard not in names]:
        raise TrainingError(
            f"{place}: {len(missing)} of {len(shards)} shards that {INDEX} names are not there, {missing[0]} "
            "among them; copy them too"
        )
    return shards


def parameters_in(folder: Path) -> int:
    """How many numbers the weights of a checked folder are; what is kept beside them as integers is none."""
    return sum(
        _product(tensor["shape"])
        for name in weights_of(folder, files_in(folder), str(folder))
        for tensor in _tensors(folder / name)
        if tensor["dtype"].startswith(("F", "BF"))
    )


def _is_known(kind: str) -> bool:
    from transformers import CONFIG_MAPPING

    return kind in CONFIG_MAPPING


def _check_whole(path: Path, place: str) -> None:
    """Compare the size of a safetensors file with what its header says."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(len(_LFS))
    if start == _LFS:
        raise TrainingError(
            f"{place}: is a pointer of Git LFS, not the file itself; fetch it with `git lfs pull`"
        )
    try:
        ends = [tensor["data_offsets"][1] for tensor in _tensors(path)]
        length = int.from_bytes(start[:_LENGTH], "little")
        expected = _LENGTH + length + max(ends, default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise TrainingError(
            f"{place}: is no safetensors file, or its beginning is damaged ({size:,} bytes); copy it again"
        ) from error
    if size != expected:
        raise TrainingError(f"{place}: has {size:,} of {expected:,} bytes; copy it again")


def _tensors(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH), "little")
        if not 0 < length <= _LONGEST_HEADER:
            raise ValueError(length)
        header = json.loads(file.read(length))
    yield from (tensor for name, tensor in header.items() if name != "__metadata__")


def _product(shape: list[int]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total


def _read(path: Path, place: str) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{place}: can't be read as JSON ({error}); copy it again") from error
    if not isinstance(values, dict):
        raise TrainingError(f"{place}: holds a {type(values).__name__}, not an object; copy it again")
    return values


def _what_is_there(path: Path) -> str:
    if not path.is_file():
        return "there is no such folder"
    if path.suffix == ".gguf":
        return "is a GGUF file, which is for inference"
    return "is a file"
