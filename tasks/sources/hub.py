"""Text in a Hugging Face data set, from the hub or from a local copy, through `datasets`.

No code of a data set is ever run. A pinned `revision` is what makes a hub source reproducible.
"""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from tasks.documents import Document, OnSkip
from tasks.errors import SourceError

if TYPE_CHECKING:
    from datasets import Dataset


class HubSource(BaseModel):
    """A Hugging Face data set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["huggingface"] = "huggingface"
    dataset: str = Field(min_length=1, description="hub id, folder of save_to_disk, or folder of data files")
    name: str = Field(default="huggingface", min_length=1, description="value of the documents' `source`")
    license: str | None = Field(default=None, description="licence of all documents of this source")
    config_name: str | None = Field(default=None, description="the data set's configuration")
    split: str = Field(default="train", min_length=1, description="split to read")
    revision: str | None = Field(default=None, description="commit or tag on the hub")
    text_field: str = Field(default="text", min_length=1, description="column that holds the text")


def documents(config: HubSource, skipped: OnSkip) -> Iterator[Document]:
    """One document per row in the data set's order; rows without text are `skipped`.

    Raises:
        SourceError: the hub can't be reached, the data set or split does not exist, or it has
            no `text_field` column of strings.
    """
    rows = _load(config)
    if config.text_field not in rows.column_names:
        raise SourceError(
            f"{config.dataset}: no column {config.text_field!r}; the columns are "
            f"{', '.join(rows.column_names)}; set text_field"
        )
    revision = f"@{config.revision}" if config.revision else ""
    for number, text in enumerate(rows[config.text_field]):
        uri = f"hf:{config.dataset}{revision}/{config.split}#{number}"
        if text is not None and not isinstance(text, str):
            raise SourceError(
                f"{config.dataset}: column {config.text_field!r} holds {type(text).__name__}, not text"
            )
        if text and text.strip():
            yield Document(text, config.name, uri, config.license)
        else:
            skipped(uri, "empty")


def fingerprint(config: HubSource) -> str:
    """Changes with the config, and for a local copy with the bytes of its files."""
    digest = sha256(config.model_dump_json().encode())
    for path in sorted(Path(config.dataset).rglob("*")):
        if path.is_file():
            digest.update(f"\n{path.relative_to(config.dataset)} ".encode())
            with path.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()


def _load(config: HubSource) -> "Dataset":
    from datasets import Dataset, disable_progress_bars, load_dataset, load_from_disk
    from datasets.exceptions import DatasetNotFoundError
    from huggingface_hub.errors import OfflineModeIsEnabled

    disable_progress_bars()
    local = Path(config.dataset)
    try:
        if (local / "dataset_dict.json").exists():
            return load_from_disk(str(local))[config.split]
        if (local / "state.json").exists():
            loaded = load_from_disk(str(local))
        else:
            loaded = load_dataset(
                config.dataset, config.config_name, split=config.split, revision=config.revision
            )
    except (ConnectionError, OfflineModeIsEnabled) as error:
        raise SourceError(
            f"{config.dataset}: the Hugging Face hub can't be reached ({_first_line(error)}); "
            f"copy the data set with save_to_disk on a machine that can, and set `dataset` to that folder"
        ) from error
    except (DatasetNotFoundError, KeyError, ValueError, OSError) as error:
        raise SourceError(
            f"{config.dataset}: split {config.split!r} can't be loaded ({_first_line(error)})"
        ) from error
    assert isinstance(loaded, Dataset)  # a split was named, so this is one data set
    return loaded


def _first_line(error: Exception) -> str:
    return str(error).split("\n", maxsplit=1)[0][:300]
