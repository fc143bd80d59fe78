"""What cleaning does with a document: one section per step, in the order in which they apply.

The defaults keep most true documentation and prose, English and Chinese. The thresholds of the
filters are in `rule_sets.py`; a recipe changes single ones under `filters.thresholds`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, field_validator, model_validator

from corpus.cleaning.filters.rule_sets import check_thresholds
from model_code.config.strict import OUTSIDE_KEY, Config

Language = Literal["ar", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "tr", "uk", "zh"]
ANY, NONE = "any", "none"
RuleSet = Literal["basic", "gopher_quality", "gopher_repetition", "c4", "fineweb"]
PersonalData = Literal[
    "email",
    "phone",
    "ip_address",
    "card",
    "chinese_id",
    "passport",
    "iban",
    "api_key",
    "private_key",
]

BUILT_IN_LISTS = ("groups", "toxicity")


class BoilerplateConfig(Config):
    """Lines that many documents of one source share: page headers, footers, licence notes."""

    min_share: float = Field(
        default=0.05, gt=0, le=1, description="a line in at least this share of a source's documents goes"
    )
    min_documents: int = Field(default=20, ge=2, description="and in at least so many documents")
    min_characters: int = Field(default=20, ge=1, description="shorter lines always stay")


class RepairConfig(Config):
    """Mojibake, Unicode form, control characters and white space are always repaired."""

    simplified_chinese: bool = Field(default=False, description="turn traditional characters into simplified")


class FiltersConfig(Config):
    """Which rule sets a document has to pass."""

    sets: tuple[RuleSet, ...] = Field(default=("basic",), description="rule sets, applied in this order")
    thresholds: dict[str, dict[str, float]] = Field(
        default={}, description="changes to the rule sets' table: language (or `all`) -> rule -> threshold"
    )

    @field_validator("thresholds")
    @classmethod
    def _exist(cls, thresholds: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        check_thresholds(thresholds)
        return thresholds


def _without_rules(values: Any) -> Any:
    if values != NONE and not isinstance(values, dict | FiltersConfig):
        raise ValueError(f"give {NONE}, or a section with sets and thresholds")
    return {"sets": ()} if values == NONE else values


Filters = Annotated[
    FiltersConfig, BeforeValidator(_without_rules, json_schema_input_type=FiltersConfig | Literal["none"])
]


class PersonalDataConfig(Config):
    """Personal data and secrets, which are replaced by placeholders such as `<EMAIL>`."""

    mask: tuple[PersonalData, ...] = Field(
        default=get_args(PersonalData),
        description="what is replaced; an empty list leaves everything in the text",
    )
    consistent: bool = Field(
        default=False, description="number the placeholders, equal values of a document alike: `<EMAIL_1>`"
    )


class WordListsConfig(Config):
    """Word lists that are counted in every document; they filter only where a limit is set.

    Two are built in: `toxicity` and `groups` (terms for groups of people).
    """

    lists: dict[str, tuple[str, ...]] = Field(
        default={},
        description="more lists, or others for the built-in ones: name -> entries, or a file with one a line",
    )
    max_share: dict[str, float] = Field(
        default={}, description="list -> most words of it among a document's words; without: counted only"
    )

    @field_validator("lists", mode="before")
    @classmethod
    def _read_files(cls, lists: Any) -> Any:
        """Entries take the place of file names, so that a changed file is a changed config."""
        if not isinstance(lists, dict):
            return lists
        return {
            name: _entries(name, value) if isinstance(value, str) else value for name, value in lists.items()
        }

    @model_validator(mode="after")
    def _limits_of_known_lists(self) -> Self:
        known = sorted({*BUILT_IN_LISTS, *self.lists})
        if unknown := sorted(set(self.max_share) - set(known)):
            raise ValueError(f"max_share: no word list {unknown[0]!r}; the lists are {', '.join(known)}")
        return self


class DecontaminateConfig(Config):
    """How documents are compared with the recipe's evaluation sets (`collect.evaluation_sets`)."""

    ngram: int = Field(default=13, ge=5, description="a shared run of so many words drops a document")
    ngram_characters: int = Field(
        default=20, ge=5, description="the same in scripts without spaces, in characters"
    )


class DuplicatesConfig(Config):
    """Near duplicates by MinHash; exact ones always go."""

    near: float = Field(
        default=0.8, ge=0.5, le=1, description="least Jaccard similarity of five-unit shingles; 1: exact only"
    )
    permutations: int = Field(default=128, ge=16, le=1024, description="length of a MinHash signature")
    seed: int = Field(default=0, ge=0, lt=2**32, description="seed of the permutations")


class MixConfig(Config):
    """How much of each source is kept; drawn by document id, so the same documents stay next month."""

    weights: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        default={}, description="source -> share of its documents to keep, 0 to 1"
    )
    caps: dict[str, Annotated[int, Field(ge=0)]] = Field(
        default={}, description="source -> most documents to keep"
    )
    temperature: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="1 keeps the sources' sizes; below 1 larger sources are thinned towards size^temperature",
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="another seed keeps other documents")


class CleanConfig(Config):
    """Everything that cleaning does, and on what it runs."""

    languages: Annotated[tuple[Language, ...], Field(min_length=1)] | Literal["any"] = Field(
        default=("en", "zh"),
        description="languages kept (ISO 639-1); any: all, and texts of which nobody can tell it",
    )
    boilerplate: BoilerplateConfig = BoilerplateConfig()
    repair: RepairConfig = RepairConfig()
    filters: Filters = Field(
        default=FiltersConfig(), description="what a document has to pass; none: nothing, as with no sets"
    )
    personal_data: PersonalDataConfig = PersonalDataConfig()
    word_lists: WordListsConfig = WordListsConfig()
    decontaminate: DecontaminateConfig = DecontaminateConfig()
    duplicates: DuplicatesConfig = DuplicatesConfig()
    mix: MixConfig = MixConfig()
    engine: Annotated[Literal["local", "ray"], OUTSIDE_KEY] = Field(
        default="local", description="where batches are cleaned; the result is the same"
    )
    ray_address: Annotated[str, OUTSIDE_KEY] = Field(
        default="auto", description="address of a running Ray cluster, for `engine: ray`"
    )
    workers: Annotated[int | None, OUTSIDE_KEY] = Field(
        default=None, ge=1, description="processes of the local engine; none: one per core"
    )


def _entries(name: str, path: str) -> tuple[str, ...]:
    """The lines of a word list's file, without blank ones and comments."""
    try:
        lines = Path(path).expanduser().read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise ValueError(f"word list {name!r}: {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"word list {name!r}: {path}: not UTF-8 (byte {error.start})") from None
    entries = tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    if not entries:
        raise ValueError(f"word list {name!r}: {path} has no entry; put one on each line")
    return entries
