"""Hugging Face checkpoints from disk or hub: safetensors only, no remote code."""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import PreTrainedConfig, PreTrainedModel

from model_code.data.vocabulary import Vocabulary
from model_code.errors import TrainingError
from model_code.models.architectures import body_lacks, note_weights
from model_code.models.families import Family, family_named
from model_code.models.shape import Shape

_COMMIT = re.compile(r"[0-9a-f]{40}")
# Published embeddings are filled up to a multiple of this with rows that stand for no token (T5, GPT-NeoX).
_ROUNDED = 128
_OWN_TOKENIZER = "encode the corpus with the tokenizer of that model (tokenize.pretrained)"


def load_model(directory: Path, kind: Any = None, **config: Any) -> Any:
    """Load a checkpoint as `kind` (a model class, or one of the Auto classes), or as what it was saved from.

    Weights are float32, whatever they were saved as. A head that the checkpoint lacks, or has for other
    labels, is random; `random_weights` and `left_weights` of the model name what is, and what was not needed.
    Raises TrainingError when the directory holds no such model.
    """
    described = described_in(directory)
    try:
        if kind is None:
            kind = getattr(transformers, described.architectures[0])
        model, info = _loaded(directory, kind, **config)
        if body_lacks(model, info) and hasattr(model, model.base_model_prefix):
            # Llama for question answering calls its body otherwise than all other classes of Llama do.
            body, info_of_body = _loaded(directory, transformers.AutoModel, config=model.config)
            setattr(model, model.base_model_prefix, body)
            own = {name for name in info["missing_keys"] if not name.startswith(model.base_model_prefix)}
            info = info_of_body | {"missing_keys": own | info_of_body["missing_keys"]}
    except Exception as error:  # transformers and safetensors share no base class
        raise TrainingError(f"{directory}: the model can't be loaded ({error}); train it again") from error
    note_weights(model, directory, info)
    return model


def _loaded(directory: Path, kind: Any, **config: Any) -> Any:
    return kind.from_pretrained(
        directory,
        local_files_only=True,
        use_safetensors=True,
        dtype=torch.float32,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
        **config,
    )


def described_in(directory: Path) -> Any:
    """The configuration of a checkpoint. Raises TrainingError when the directory holds none."""
    if not (directory / "config.json").is_file():
        raise TrainingError(f"{directory}: no config.json; name the model directory of a finished training")
    try:
        return transformers.AutoConfig.from_pretrained(directory, local_files_only=True)
    except Exception as error:  # transformers and the hub's client share no base class
        raise TrainingError(f"{directory}: the model can't be loaded ({error}); train it again") from error


def initial_model(
    family_name: str, shape: Shape, vocabulary: Vocabulary, start_from: str = ""
) -> PreTrainedModel:
    """The float32 model that training begins with: random, or the checkpoint `start_from`.

    A checkpoint is a local folder or `id@commit` of the hub. It brings its own sizes; of `shape` only the
    dropout counts. Heads that it lacks are random and named on stderr. Raises TrainingError when it can't be
    had, is damaged, is of another family or for another vocabulary.
    """
    family = family_named(family_name)
    if not start_from:
        return family.build(shape, vocabulary)
    config = _config_of(start_from, family_name, family, shape, vocabulary)
    source, revision = _source(start_from)
    try:
        loaded: Any = family.PRETRAINED.from_pretrained(
            source,
            config=config,
            revision=revision or "main",
            local_files_only=revision is None,
            use_safetensors=True,
            dtype=torch.float32,
            attn_implementation="sdpa",
            output_loading_info=True,
        )
    except Exception as error:  # transformers and safetensors share no base class
        raise TrainingError(_unusable(start_from, error)) from error
    model, info = loaded
    _name_missing(start_from, sorted(info["missing_keys"]), family)
    for name, weight in model.named_parameters():
        if not weight.isfinite().all():
            raise TrainingError(_unusable(start_from, f"{name} holds numbers that are not finite"))
    return model  # type: ignore[no-any-return]


def unloaded_model(
    family_name: str, shape: Shape, vocabulary: Vocabulary, start_from: str = ""
) -> PreTrainedModel:
    """The architecture of `initial_model` with random weights, for counting under fake or meta tensors.

    Raises TrainingError like it, but looks at no weights.
    """
    family = family_named(family_name)
    if not start_from:
        return family.build(shape, vocabulary)
    return family.PRETRAINED(_config_of(start_from, family_name, family, shape, vocabulary))


def digest_of(start_from: str) -> str:
    """The sha256 of a folder's configuration and weights; "" for random weights and for the hub's commits."""
    folder = Path(start_from)
    if not start_from or not folder.is_dir():
        return ""
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("config.json"), *folder.glob("*.safetensors")]):
        with path.open("rb") as file:
            digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def require_positions(model: PreTrainedModel, sequence_length: int) -> None:
    """Raise TrainingError when sequences are longer than the positions of the model; T5's are unlimited."""
    _require_positions(model.config, sequence_length)


def _require_positions(config: PreTrainedConfig, sequence_length: int) -> None:
    positions = getattr(config, "max_position_embeddings", None)
    if positions is not None and sequence_length > positions:
        raise TrainingError(
            f"sequence_length {sequence_length} is more than the {positions} positions of the model; "
            "lower it, or raise max_positions of a model that starts at random"
        )


def _source(start_from: str) -> tuple[str, str | None]:
    """A folder and None, or the id of a hub repository and a commit."""
    if Path(start_from).is_dir():
        return start_from, None
    name, _, commit = start_from.rpartition("@")
    if not name or not _COMMIT.fullmatch(commit):
        raise TrainingError(
            f"start_from {start_from!r} is neither a folder nor a model of the hub with its commit; "
            "write id@commit with all 40 digits, as the page of its files shows them"
        )
    return name, commit


def check_start(
    start_from: str, family_name: str, sequence_length: int, vocabulary: int | None
) -> int | None:
    """Refuse a checkpoint that a training could not start from, as far as a folder's config.json tells it.

    `vocabulary` is the size that the tokenizer will have, None where that is not known. Of a model of the hub
    only the name is looked at. Returns the positions, None where they are not known or have no end.

    Raises TrainingError when it can't be used.
    """
    _, revision = _source(start_from)
    if revision is not None:
        return None
    theirs = _their_config(start_from, family_name, family_named(family_name), {})
    if vocabulary is not None:
        _require_rows(start_from, theirs.vocab_size, vocabulary)
    _require_positions(theirs, sequence_length)
    return getattr(theirs, "max_position_embeddings", None)


def _config_of(
    start_from: str, family_name: str, family: Family, shape: Shape, vocabulary: Vocabulary
) -> PreTrainedConfig:
    config = _their_config(start_from, family_name, family, shape.dropouts(family.DROPOUT))
    with torch.device("meta"):
        ours = family.build(shape, vocabulary).config
    _require_vocabulary(start_from, config, ours)
    config._attn_implementation = "sdpa"
    return config


def _their_config(
    start_from: str, family_name: str, family: Family, dropouts: dict[str, float]
) -> PreTrainedConfig:
    source, revision = _source(start_from)
    kind = family.PRETRAINED.config_class
    assert kind is not None
    try:
        values, _ = kind.get_config_dict(source, revision=revision, local_files_only=revision is None)
        config = kind.from_dict(values, **dropouts)
    except Exception as error:  # transformers and the hub's client share no base class
        raise TrainingError(_unusable(start_from, error)) from error
    found = values.get("model_type")
    if found is None:
        raise TrainingError(_unusable(start_from, "it has no config.json that names a model_type"))
    if found != kind.model_type:
        raise TrainingError(
            f"start_from {start_from} is a model of the family {found}, family is {family_name}; "
            "change one of the two"
        )
    return config


def _require_rows(start_from: str, rows: int, entries: int) -> None:
    if not entries <= rows < entries + _ROUNDED:
        raise TrainingError(
            f"start_from {start_from} has a vocabulary of {rows}, the tokenizer {entries} entries; "
            f"{_OWN_TOKENIZER}"
        )


def _require_vocabulary(start_from: str, theirs: PreTrainedConfig, ours: PreTrainedConfig) -> None:
    _require_rows(start_from, theirs.vocab_size, ours.vocab_size)
    for role in ("pad", "eos"):
        ids = [getattr(config, f"{role}_token_id", None) for config in (theirs, ours)]
        if all(isinstance(token, int) for token in ids) and ids[0] != ids[1]:
            raise TrainingError(
                f"start_from {start_from} has the id {ids[0]} for {role}, the tokenizer {ids[1]}; "
                f"{_OWN_TOKENIZER}"
            )


def _name_missing(start_from: str, missing: list[str], family: Family) -> None:
    if foreign := [name for name in missing if not name.startswith(family.HEADS)]:
        raise TrainingError(
            _unusable(start_from, f"it lacks {len(foreign)} weights, {foreign[0]} among them")
        )
    if missing:
        print(f"start_from {start_from} lacks {', '.join(missing)}; they begin at random", file=sys.stderr)


def _unusable(start_from: str, error: object) -> str:
    reason = str(error).strip().split("\n")[0].rstrip(".")
    if Path(start_from).is_dir():
        return f"start_from {start_from}: the model can't be loaded ({reason}); copy its folder again"
    name, _, commit = start_from.rpartition("@")
    return (
        f"start_from {start_from}: the hub can't be reached or has no such model ({reason}); fetch it where "
        f"there is a connection with `hf download {name} --revision {commit} --local-dir FOLDER` and "
        "set start_from to FOLDER"
    )
