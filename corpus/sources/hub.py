"""Text in a Hugging Face data set, from the hub or from a local copy, through `datasets`.

No code of a data set is ever run. What is read is a commit: the one that `revision` names, or else the
newest, which is looked up and noted in every document's URI.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from corpus.documents import Document, Item, OnSkip
from corpus.errors import SourceError
from corpus.reading.class_names import classes_in, with_class_names
from corpus.reading.dotted_paths import meta_of, text_of
from corpus.reading.locations import version_and_state
from corpus.reading.skipped import Skipped
from corpus.watcher import NOBODY, Watcher
from model_code.config.strict import StrictModel

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SECONDS = 10.0
_COPY = "copy the data set with save_to_disk on a machine that can reach it, and set `dataset` to that folder"


class HubSource(StrictModel):
    """A Hugging Face data set."""

    kind: Literal["huggingface"] = "huggingface"
    dataset: str = Field(min_length=1, description="hub id, folder of save_to_disk, or folder of data files")
    name: str = Field(default="huggingface", min_length=1, description="value of the documents' `source`")
    license: str | None = Field(default=None, description="licence of all documents of this source")
    config_name: str | None = Field(default=None, description="the data set's configuration")
    split: str = Field(default="train", min_length=1, description="split to read")
    revision: str | None = Field(
        default=None, description="commit or tag on the hub; none: the newest commit, looked up at every run"
    )
    streaming: bool = Field(
        default=False, description="read from the hub row by row; nothing is stored but the documents"
    )
    text_field: str = Field(
        default="text", min_length=1, description="column that holds the text; dots lead into nested ones"
    )
    meta_fields: tuple[str, ...] = Field(default=(), description="columns copied into the documents' `meta`")
    max_document_bytes: int = Field(default=10_000_000, ge=1, description="larger documents are left out")

    @property
    def meta_keys(self) -> tuple[str, ...]:
        """What documents may have in their `meta`."""
        return self.meta_fields


CONFIG, CODE = HubSource, ()


def place(config: HubSource) -> str:
    """The folder of a local copy, or the hub that the environment names."""
    folder = Path(config.dataset)
    return str(folder.resolve()) if folder.exists() else os.environ.get("HF_ENDPOINT", "")


def items(config: HubSource, known: Mapping[str, str], watcher: Watcher = NOBODY) -> Iterator[Item]:
    """The one split; its version is the commit, for a local copy a digest of its files' sizes and times.

    When the newest commit can't be looked up, the one that was read last (`known`) is taken, with a warning.

    Raises:
        SourceError: there is no such data set, or the hub can't be reached and nothing was read before.
    """
    uri = f"hf:{config.dataset}/{config.config_name or 'default'}/{config.split}"
    if Path(config.dataset).exists():
        yield Item(uri, *_version_and_state(Path(config.dataset)))
    elif config.revision and _COMMIT.fullmatch(config.revision):
        yield Item(uri, config.revision)
    else:
        try:
            yield Item(uri, _commit(config, config.revision))
        except SourceError as error:
            if uri not in known:
                raise
            watcher.warn(f"{error}; going on with commit {known[uri][:12]}, which was read before")
            yield Item(uri, known[uri])


def read(config: HubSource, item: Item, on_skip: OnSkip) -> Iterator[Document]:
    """One document per row in the data set's order; rows without text are skipped.

    Raises:
        SourceError: the hub can't be reached, the split does not exist, or a row has no `text_field`.
    """
    is_local = Path(config.dataset).exists()
    commit = "" if is_local else f"@{item.version}"
    rows = _load(config, None if is_local else item.version)
    classes = classes_in(rows.features.to_dict() if rows.features else None)
    for number, row in enumerate(rows):
        uri = f"hf:{config.dataset}{commit}/{config.split}#{number}"
        try:
            text, meta = (
                text_of(row, config.text_field),
                meta_of(with_class_names(row, classes), config.meta_fields),
            )
        except Skipped as error:
            if number == 0:  # a data set has the same columns in every row
                raise SourceError(f"{config.dataset}: {error.detail}; set text_field") from error
            on_skip(uri, error.reason, error.detail)
            continue
        if not text.strip():
            on_skip(uri, "empty", "")
        elif len(text.encode("utf-8", "surrogatepass")) > config.max_document_bytes:
            on_skip(uri, "too large", f"more than max_document_bytes ({config.max_document_bytes})")
        else:
            yield Document(
                text=text,
                source=config.name,
                uri=uri,
                license=config.license,
                meta=meta,
                extractor=f"datasets {version('datasets')}",
            )


def reader_version() -> str:
    """The version of `datasets`."""
    return version("datasets")


def _version_and_state(folder: Path) -> tuple[str, str]:
    """Digests: of the names, sizes and times of a folder's files, and of what the disk says of them."""
    version, state = sha256(), sha256()
    for path in sorted([folder, *folder.rglob("*")]):
        if path.is_file():
            stated = version_and_state(path)
            version.update(f"{path.relative_to(folder)} {stated[0]}\n".encode())
            state.update(f"{stated[1]}\n".encode())
    return version.hexdigest(), state.hexdigest()


def _commit(config: HubSource, revision: str | None) -> str:
    """The commit that a revision names now.

    Raises:
        SourceError: the hub can't be reached within seconds, or has no such data set or revision.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        info = HfApi().dataset_info(config.dataset, revision=revision, timeout=_SECONDS)
    except HfHubHTTPError as error:
        raise SourceError(
            f"{config.dataset}: the Hugging Face hub has no such data set or revision "
            f"({_first_line(error)}); check `dataset` and `revision`, log in if it is private"
        ) from error
    except ValueError as error:
        raise SourceError(f"{config.dataset}: neither a folder nor the id of a data set ({error})") from error
    except Exception as error:  # the client has changed its HTTP library, and with it the errors, twice
        raise SourceError(
            f"{config.dataset}: the Hugging Face hub can't be reached ({_first_line(error)}); {_COPY}"
        ) from error
    return str(info.sha)


def _load(config: HubSource, commit: str | None) -> Any:
    from datasets import disable_progress_bars, load_dataset, load_from_disk
    from datasets.exceptions import DatasetNotFoundError
    from huggingface_hub.constants import is_offline_mode
    from huggingface_hub.errors import OfflineModeIsEnabled

    disable_progress_bars()
    local = Path(config.dataset)
    if commit and not is_offline_mode():
        _commit(config, commit)  # `datasets` would try for half a minute
    try:
        if (local / "dataset_dict.json").exists():
            return load_from_disk(str(local))[config.split]
        if (local / "state.json").exists():
            return load_from_disk(str(local))
        return load_dataset(
            config.dataset,
            config.config_name,
            split=config.split,
            revision=commit,
            streaming=config.streaming,
            # What `datasets` keeps of a folder goes by the times of its files alone.
            download_mode="force_redownload" if local.exists() else None,
        )
    except (ConnectionError, OfflineModeIsEnabled) as error:
        raise SourceError(
            f"{config.dataset}: the Hugging Face hub can't be reached ({_first_line(error)}); {_COPY}"
        ) from error
    except (DatasetNotFoundError, KeyError, ValueError, OSError) as error:
        raise SourceError(
            f"{config.dataset}: split {config.split!r} can't be loaded ({_first_line(error)})"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).split("\n", maxsplit=1)[0][:300]
