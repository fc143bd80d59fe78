"""A folder as sentence-transformers reads it: how vectors are pooled, and what is put before texts.

`modules.json` lists what a text goes through: a Transformer, a Pooling, and mostly a Normalize. It is written
with the keys of version 2 of the library, which 6.2.0 reads too; the library itself is not needed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model_code.data.vocabulary import load_tokenizer
from model_code.errors import TrainingError
from model_code.models.pooling import poolings_in

MODULES, PROMPTS, LENGTH = "modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"
POOLING = "1_Pooling"
# The keys of `1_Pooling/config.json`; newer versions write one, `pooling_mode`, and read these too.
_KEYS = {
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}
_LATER = ("weightedmean", "lasttoken")  # keys that version 2.0 does not know
# What the library calls the prompts of the two sides, the first that a folder has.
_NAMES = {"first_prompt": ("query",), "second_prompt": ("document", "passage", "corpus")}
# Of the other encoder-decoders it takes what the decoder says.
_ENCODERS = frozenset({"t5", "mt5", "umt5", "longt5"})
_ENCODER_ALONE = "train the encoder alone from a copy of the folder without modules.json"


def options_in(folder: Path) -> dict[str, Any]:
    """`pooling`, `first_prompt` and `second_prompt` of a folder; nothing where it has no `modules.json`.

    Raises TrainingError when it has a module that is not trained here, or one that can't be read.
    """
    kinds = _kinds(folder)
    if not kinds:
        return {}
    described = _pooling(_modules(folder)[1]["path"], folder)
    prompts = _prompts(folder)
    if not described.get("include_prompt", True) and any(prompts.values()):
        raise TrainingError(
            f"{folder}: its prompts are left out of the pooling (include_prompt), which is not done here; "
            f"start from another model, or {_ENCODER_ALONE}"
        )
    _require_own_case(folder)
    found = {"pooling": described["pooling"]}
    for option, names in _NAMES.items():
        found[option] = next((prompts[name] for name in names if prompts.get(name)), "")
    return found


def tell_new_length(folder: Path) -> None:
    """Say that vectors get the length 1 where those of the folder's model had any."""
    kinds = _kinds(folder)
    if kinds and "Normalize" not in kinds:
        print(
            f"{folder}: its vectors have any length; those of the new model have the length 1, and its "
            "modules.json a Normalize",
            file=sys.stderr,
        )


def files_for(
    config: Any, pooling: str, first_prompt: str, second_prompt: str, max_length: int, source: Path
) -> dict[str, str]:
    """The files by which sentence-transformers gives the same vectors as we do, by their paths.

    `config` is that of the model, `source` the folder that it began with, whose other prompts are kept. None
    where the library reads such a model otherwise than by its encoder, which is said.
    """
    if config.is_encoder_decoder and config.model_type not in _ENCODERS:
        print(
            f"sentence-transformers has no encoder of {config.model_type} alone: no modules.json is written",
            file=sys.stderr,
        )
        return {}
    kinds = {"": "Transformer", POOLING: "Pooling", "2_Normalize": "Normalize"}
    modules = [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for n, (path, kind) in enumerate(kinds.items())
    ]
    used = poolings_in(pooling)
    keys = {key: name in used for name, key in _KEYS.items() if name in used or name not in _LATER}
    pools = {"word_embedding_dimension": config.hidden_size, **keys}
    theirs = _read(source / PROMPTS) if (source / PROMPTS).is_file() else {}
    prompts = _prompts(source) | {"query": first_prompt, "document": second_prompt}
    described = {**theirs, "prompts": prompts, "similarity_fn_name": "cosine"}
    described.setdefault("default_prompt_name", None)
    files = {
        MODULES: modules,
        f"{POOLING}/config.json": pools,
        PROMPTS: described,
        LENGTH: {"max_seq_length": max_length, "do_lower_case": False},
    }
    return {path: json.dumps(values, indent=2, ensure_ascii=False) + "\n" for path, values in files.items()}


def _modules(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _read(folder / MODULES, list)
    if not all(isinstance(one, dict) and isinstance(one.get("type"), str) for one in found):
        raise TrainingError(f"{folder}: {MODULES} has a module without a type; copy it again")
    return sorted(found, key=lambda module: module.get("idx", 0))


def _kinds(folder: Path) -> list[str]:
    """The kinds of modules that a text goes through, refused unless they are those that we have."""
    if not (folder / MODULES).is_file():
        return []
    modules = _modules(folder)
    kinds = [module["type"].rpartition(".")[2] for module in modules]
    for place, kind in enumerate(kinds):
        if kind != ("Transformer", "Pooling", "Normalize")[min(place, 2)]:
            where = modules[place].get("path") or "in the folder itself"
            raise TrainingError(
                f"{folder}: {MODULES} has a {kind} ({where}) as module {place + 1}, which is not trained "
                f"here; start from a model of Transformer, Pooling and Normalize alone, or {_ENCODER_ALONE}"
            )
    if len(kinds) < 2:
        raise TrainingError(f"{folder}: {MODULES} lists no Pooling; copy it again, or {_ENCODER_ALONE}")
    return kinds


def _pooling(path: str, folder: Path) -> dict[str, Any]:
    """The configuration of a pooling, with `pooling` as we write it."""
    described: dict[str, Any] = _read(folder / path / "config.json")
    named = described.get("pooling_mode")
    if named is None:
        named = [name for name, key in _KEYS.items() if described.get(key)] or ["mean"]
    names = named if isinstance(named, str) else "+".join(map(str, named))
    try:
        return described | {"pooling": "+".join(poolings_in(names))}
    except ValueError as error:
        raise TrainingError(f"{folder}: {path}/config.json: {error}") from error


def _prompts(folder: Path) -> dict[str, str]:
    described = _read(folder / PROMPTS) if (folder / PROMPTS).is_file() else {}
    prompts = described.get("prompts") or {}
    if not isinstance(prompts, Mapping) or not all(isinstance(text, str) for text in prompts.values()):
        raise TrainingError(f"{folder}: {PROMPTS}: its prompts are no texts by their names; correct it")
    return dict(prompts)


def _require_own_case(folder: Path) -> None:
    """The library may lower-case texts before the tokenizer does; a tokenizer that doesn't is refused."""
    for path in sorted(folder.glob("sentence_*_config.json")):
        if not _read(path).get("do_lower_case"):
            continue
        normalizer = load_tokenizer(folder).normalizer
        if normalizer is None or normalizer.normalize_str("A") != "a":
            raise TrainingError(
                f"{folder}: {path.name} lower-cases texts (do_lower_case) and the tokenizer does not; put a "
                "Lowercase into the normalizer of tokenizer.json, and set do_lower_case to false"
            )


def _read(path: Path, kind: type = dict) -> Any:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path}: can't be read as JSON ({error}); copy it again") from error
    if not isinstance(found, kind):
        raise TrainingError(f"{path}: holds a {type(found).__name__}, not a {kind.__name__}; copy it again")
    return found
