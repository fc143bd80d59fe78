"""An existing tokenizer: a `tokenizer.json`, alone or in the folder that `save_pretrained` writes.

Of a checkpoint it may also be an older one, and is taken with whatever special tokens it has (family `own`).
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpus.errors import CorpusError
from corpus.tokenizing.config import TokenizeConfig
from corpus.tokenizing.special_tokens import Role

if TYPE_CHECKING:
    from model_code.data.vocabulary import Vocabulary

# What belongs to a tokenizer in such a folder; a model may lie beside it.
_COMPANIONS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja")
# What older ones consist of.
_OLDER = (
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
    "spm.model",
)


def load(config: TokenizeConfig) -> tuple[Any, dict[Role, str]]:
    """The `tokenizers.Tokenizer` that `config.pretrained` names, and its special tokens by role.

    Raises:
        CorpusError: it is not there, not readable, or lacks a special token that the family needs.
    """
    from tokenizers import Tokenizer

    path = tokenizer_file(config.pretrained)
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the Rust side raises plain Exception
        raise CorpusError(
            f"tokenize: {path} is no tokenizer of the `tokenizers` library ({error}); set "
            "tokenize.pretrained to another one"
        ) from error
    family = config.conventions
    named = {**family.tokens, **_named_roles(path)}
    roles = {role: token for role, token in named.items() if tokenizer.token_to_id(token) is not None}
    missing = [f"{role} ({named.get(role, 'no name for it')})" for role in family.needed if role not in roles]
    if family.sentinels and tokenizer.token_to_id("<extra_id_0>") is None:
        missing.append("sentinels (<extra_id_0>, …)")
    if missing:
        raise CorpusError(
            f"tokenize: {path} has no special token for {', '.join(missing)}, which family {config.family} "
            "needs; set tokenize.family to that of the tokenizer, or add the token to it"
        )
    return tokenizer, roles


def load_own(name: str) -> tuple[Any, Vocabulary]:
    """The tokenizer of a checkpoint, of whatever kind, and the ids that have a meaning of their own.

    Raises:
        CorpusError: there is none, or it can't be used.
    """
    from model_code.data.vocabulary import load_tokenizer, vocabulary_of
    from model_code.errors import TrainingError

    folder = _folder(name)
    if not folder.is_dir():
        tokenizer_file(name)
    try:
        return load_tokenizer(folder), vocabulary_of(folder)
    except TrainingError as error:
        raise CorpusError(f"tokenize: {error}") from error


def around_own(tokenizer: Any, vocabulary: Vocabulary, name: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The ids before and after a document: those that the tokenizer puts around a text, or its end token.

    Raises:
        CorpusError: a document would have no end.
    """
    from model_code.data.frames import frame_of

    frame = frame_of(tokenizer, vocabulary)
    if frame.after:
        return frame.before, frame.after
    if vocabulary.eos is None:
        raise CorpusError(
            f"tokenize: the tokenizer in {name} puts nothing behind a text and names no eos_token, so that "
            "documents would run into each other; name one in its tokenizer_config.json"
        )
    return frame.before, (vocabulary.eos,)


def save_own(tokenizer: Any, vocabulary: Vocabulary, name: str, directory: Path) -> None:
    """Save it in the layout that `AutoTokenizer.from_pretrained` reads; it neither pads nor cuts any more."""
    from model_code.data.vocabulary import described, save_described

    folder = _folder(name)
    directory.mkdir()
    tokenizer.save(str(directory / "tokenizer.json"))
    inputs = described(folder).get("model_input_names", ["input_ids", "attention_mask"])
    save_described(tokenizer, folder, vocabulary, directory, inputs)
    if (template := folder / "chat_template.jinja").is_file():
        shutil.copyfile(template, directory / template.name)


def _folder(name: str) -> Path:
    path = Path(name).expanduser()
    return path.parent if path.is_file() else path


def copy(name: str, directory: Path) -> bool:
    """Copy the tokenizer's files as they are; False where there is only a `tokenizer.json` to copy."""
    path = tokenizer_file(name)
    companions = [path.with_name(file) for file in _COMPANIONS if path.with_name(file).is_file()]
    if path.with_name("tokenizer_config.json") not in companions:
        return False
    directory.mkdir()
    shutil.copyfile(path, directory / "tokenizer.json")
    for file in companions:
        shutil.copyfile(file, directory / file.name)
    return True


def digest(name: str) -> str:
    """sha256 of the tokenizer's files, which the recipe only names; empty where there is none."""
    path = Path(name).expanduser()
    path = path / "tokenizer.json" if path.is_dir() else path
    own = [path] if path.is_file() else [*filter(Path.is_file, map(path.with_name, _OLDER))]
    if not own:
        return ""
    files = [*own, *filter(Path.is_file, map(path.with_name, _COMPANIONS))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def tokenizer_file(name: str) -> Path:
    """The `tokenizer.json` that a recipe names.

    Raises:
        CorpusError: there is none.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if (path / "tokenizer.json").is_file():
        return path / "tokenizer.json"
    if path.is_dir():
        raise CorpusError(
            f"tokenize: {path} holds no tokenizer.json; save it there with "
            "`AutoTokenizer.from_pretrained(...).save_pretrained(...)`, or correct tokenize.pretrained"
        )
    raise CorpusError(
        f"tokenize: pretrained: {name!r} is no file or folder here. Of the hub write id@commit with all "
        "40 digits, or fetch it with `hf download NAME --include 'tokenizer*' --include 'special*' "
        "--local-dir FOLDER` and set tokenize.pretrained to FOLDER"
    )


def _named_roles(path: Path) -> Mapping[Role, str]:
    """Special tokens by role as `tokenizer_config.json` names them; a token is a string or a mapping."""
    file = path.with_name("tokenizer_config.json")
    if not file.is_file():
        return {}
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
        tokens = {role: settings.get(f"{role}_token") for role in Role.__args__}  # type: ignore[attr-defined]
        return {
            role: token if isinstance(token, str) else token["content"]
            for role, token in tokens.items()
            if token
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorpusError(
            f"tokenize: {file} is no tokenizer configuration ({error!r}); save it anew"
        ) from error
