"""A recipe: one YAML file that says what to collect, what to train and what the gate demands.

Every section is the config of the stage of the same name. Whatever is wrong in a recipe is said before
anything starts: the file, the key, the value, and what is allowed.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tasks.cleaning.config import CleanConfig
from tasks.collect import CollectConfig
from tasks.deploy import DeployConfig
from tasks.errors import RecipeError
from tasks.examples import DocumentsExamples, ExamplesConfig, FilesExamples
from tasks.export import ExportConfig
from tasks.fine_tune import FineTuneConfig
from tasks.gate import EvaluateConfig
from tasks.pretrain import PretrainConfig
from tasks.register import RegisterConfig
from tasks.registry import SERVED_TASK
from tasks.sources.files import FilesSource
from tasks.sources.hub import HubSource
from tasks.sources.packages import PackagesSource
from tasks.sources.web import WebSource
from tasks.stage import Config
from tasks.tokenize import TokenizeConfig
from tasks.validate import ValidateConfig

BUILT_IN = Path(__file__).parent / "recipes"
KINDS = {
    kind.model_fields["kind"].default: kind for kind in (PackagesSource, FilesSource, HubSource, WebSource)
}
SMOKE_SUFFIX = "-smoke"
EXAMPLES = {"files": FilesExamples, "documents": DocumentsExamples}
SOURCES = (["collect", "sources"], ["collect", "evaluation_sets"])
# Whose special tokens a model family reads: tokenize.family by pretrain.family.
TOKENS_OF = {"modernbert": "bert", "bert": "bert", "gpt2": "gpt", "llama": "llama"}
TOKENS_OF |= dict.fromkeys(["t5", "marian"], "t5")


class Recipe(Config):
    """One product: its thirteen stages, and the questions put to the endpoint when it is live.

    Without an `examples` section the line ends with the pretrained model, without a `pretrain` section too
    with the corpus.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="Lower-case letters, digits and dashes.")
    description: str = ""
    questions: tuple[str, ...] = Field((), description="Asked at the end of a run, with the served answer.")
    smoke: dict[str, Any] = Field(
        {}, description="Values by path that `--smoke` sets, for a run of less than a minute."
    )
    collect: CollectConfig
    clean: CleanConfig = CleanConfig()
    validation: ValidateConfig = Field(ValidateConfig(), alias="validate")
    tokenize: TokenizeConfig = TokenizeConfig()
    examples: ExamplesConfig | None = None
    pretrain: PretrainConfig | None = None
    fine_tune: FineTuneConfig | None = None
    evaluate: EvaluateConfig = EvaluateConfig()
    registration: RegisterConfig = Field(alias="register")
    export: ExportConfig = ExportConfig()
    deploy: DeployConfig = DeployConfig()

    @model_validator(mode="before")
    @classmethod
    def _read_and_name(cls, values: Any) -> Any:
        """A deployment may name its recipe; a model is named after the recipe unless that says otherwise.

        Examples are for fine-tuning, and what is fine-tuned has been pretrained, by the defaults if there is
        nothing to say about it.
        """
        if isinstance(values, str):
            values = _read(_find(values))
        if not isinstance(values, dict):
            return values
        completed = dict(values)
        if isinstance(values.get("name"), str):
            completed.setdefault("register", {"model": values["name"]})
        if completed.get("examples") is not None and completed.get("fine_tune") is None:
            completed["fine_tune"] = {}
        if completed.get("fine_tune") is not None and completed.get("pretrain") is None:
            completed["pretrain"] = {}
        return completed

    @property
    def is_served(self) -> bool:
        """Whether the line ends with an endpoint: classification of single texts; others are registered."""
        return (
            self.examples is not None
            and self.examples.task == SERVED_TASK
            and "second" not in self.examples.columns
        )

    @model_validator(mode="after")
    def _the_model_fits(self) -> Self:
        if self.pretrain is None or self.fine_tune is None:
            return self
        if self.examples is None:
            raise ValueError(
                "fine_tune needs examples to learn from: add the section `examples`, or leave out fine_tune, "
                "and the recipe ends with the pretrained model"
            )
        if self.pretrain.start_from or self.pretrain.family == "t5":  # T5's positions have no end
            return self
        width, positions = self.fine_tune.width, self.pretrain.shape.max_positions
        if width > positions:
            raise ValueError(
                f"fine_tune.max_length {self.fine_tune.max_length} (rows of up to {width} tokens) is "
                f"more than pretrain.max_positions {positions}; lower the one or raise the other"
            )
        return self

    @model_validator(mode="after")
    def _the_tokenizer_fits(self) -> Self:
        if self.pretrain is None:
            return self
        family, needed = self.tokenize.family, TOKENS_OF[self.pretrain.family]
        if family != needed:
            raise ValueError(
                f"tokenize.family is {family}, pretrain.family {self.pretrain.family} reads {needed}; "
                f"set tokenize.family to {needed}"
            )
        return self

    @model_validator(mode="after")
    def _mixed_sources_exist(self) -> Self:
        names = [source.name for source in self.collect.sources]
        for key, of_source in (("weights", self.clean.mix.weights), ("caps", self.clean.mix.caps)):
            if unknown := sorted(set(of_source) - set(names)):
                raise ValueError(
                    f"clean.mix.{key} names the source {unknown[0]!r}; the sources are {', '.join(names)}"
                )
        return self


def load_recipe(reference: str, overrides: Sequence[str] = (), *, smoke: bool = False) -> Recipe:
    """Read a recipe by path or by the name of a built-in one, with `key=value` overrides applied.

    Args:
        smoke: take the values of its `smoke` section, under a name of its own.

    Raises:
        RecipeError: there is no such recipe, or something in it is wrong; all faults are listed.
    """
    path = _find(reference)
    values = _read(path)
    if smoke:
        _make_small(values, path)
    for override in overrides:
        key, value = _parsed(override)
        _set(values, key, value, f"--set {override!r}")
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        faults = "\n".join(f"  {_explain(fault)}" for fault in _causes(error))
        raise RecipeError(f"{path}: the recipe is not valid, nothing was started:\n{faults}") from None


def built_in_recipes() -> list[str]:
    """The names of the recipes that come with textmill."""
    return sorted(path.stem for path in BUILT_IN.glob("*.yaml"))


def _find(reference: str) -> Path:
    path = Path(reference)
    if path.is_file():
        return path
    built_in = BUILT_IN / f"{reference}.yaml"
    if built_in.is_file():
        return built_in
    raise RecipeError(
        f"there is no recipe {reference!r}: neither a file nor one of {', '.join(built_in_recipes())}"
    )


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, which also refuses a key that occurs twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: list[Any] = []
        for key_node, _ in node.value:
            if key_node.tag != "tag:yaml.org,2002:merge":
                key = self.construct_object(key_node, deep=True)
                if key in seen:
                    message = f"the key {key!r} occurs twice"
                    raise yaml.constructor.ConstructorError(None, None, message, key_node.start_mark)
                seen.append(key)
        return super().construct_mapping(node, deep)


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise RecipeError(f"{path}: {error.strerror}") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise RecipeError(f"{path}, line {line}: not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # control characters, 31 February, ...
        raise RecipeError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise RecipeError(f"{path}: a recipe is a mapping of sections, this is {type(values).__name__}")
    return values


def _make_small(values: dict[str, Any], path: Path) -> None:
    """Put the smoke section's values in their places, and the recipe apart from the one it is made of."""
    small = values.pop("smoke", None)
    if not small or not isinstance(small, dict):
        raise RecipeError(
            f"{path}: --smoke needs a `smoke` section: values by path, for example pretrain.steps: 20"
        )
    for key, value in small.items():
        _set(values, str(key), value, f"{path}: smoke.{key}")
    if isinstance(values.get("name"), str):
        values["name"] += SMOKE_SUFFIX
    if isinstance(values.get("register"), dict):
        values["register"]["model"] = f"{values['register'].get('model')}{SMOKE_SUFFIX}"


def _parsed(override: str) -> tuple[str, Any]:
    """The path and the value of `pretrain.steps=200`; the value is read as YAML."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise RecipeError(f"--set {override!r}: write it as key=value, for example pretrain.steps=200")
    try:
        return key, yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return key, text


def _set(values: dict[str, Any], key: str, value: Any, where: str) -> None:
    """Set the value at a path with dots; `where` says in errors who wants it."""
    *parents, last = key.split(".")
    place: Any = values
    for parent in parents:
        place = _descend(place, parent, where)
    if isinstance(place, list):
        place[_index(place, last, where)] = value
    else:
        place[last] = value


def _descend(place: Any, parent: str, where: str) -> Any:
    is_list = isinstance(place, list)
    child = place[_index(place, parent, where)] if is_list else place.setdefault(parent, {})
    if not isinstance(child, dict | list):
        raise RecipeError(f"{where}: {parent} is a value, not a section")
    return child


def _index(place: list[Any], text: str, where: str) -> int:
    if text.isdecimal() and int(text) < len(place):
        return int(text)
    raise RecipeError(f"{where}: {text} is not one of the {len(place)} entries, counted from 0")


def _causes(error: ValidationError) -> list[Any]:
    """The faults without those that only follow from one further in (a list with no valid entry)."""
    faults = error.errors()
    parents = {fault["loc"][:depth] for fault in faults for depth in range(len(fault["loc"]))}
    return [fault for fault in faults if fault["loc"] not in parents]


def _explain(fault: Mapping[str, Any]) -> str:
    location = list(fault["loc"])
    allowed = _allowed_keys(location[:-1])
    if location[:2] in SOURCES:
        del location[3:4]  # the kind of the source, which is no key of the file
    elif location[:1] == ["examples"]:
        del location[1:2]  # the kind of the examples, too
    key = ".".join(map(str, location)) or "recipe"
    if fault["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(location[-1]), allowed, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"allowed here: {', '.join(allowed)}"
        return f"{key}: unknown key; {hint}"
    if fault["type"] == "missing":
        return f"{key}: is missing"
    kinds = EXAMPLES if location[:1] == ["examples"] else KINDS
    if fault["type"] == "union_tag_not_found":
        return f"{key}.kind: is missing; give one of {', '.join(kinds)}"
    if fault["type"] == "union_tag_invalid":
        return f"{key}.kind: found {fault['input']['kind']!r}; give one of {', '.join(kinds)}"
    found, wrong = fault["input"], fault["msg"].removeprefix("Value error, ")
    if isinstance(found, dict) and fault["type"] == "value_error":
        return f"{key}: {wrong}"  # values of the section that don't go together
    shown = f"a section with {len(found)} keys" if isinstance(found, dict) else repr(found)
    return f"{key}: found {shown[:200]}; {wrong}"


def _allowed_keys(location: Sequence[Any]) -> list[str]:
    model: Any = Recipe
    if list(location[:2]) in SOURCES:
        model, location = KINDS.get(location[-1]), ()
    elif list(location[:1]) == ["examples"] and len(location) > 1:
        model, location = EXAMPLES.get(location[1]), location[2:]
    for part in location:
        model = _fields(model).get(part)
    return sorted(_fields(model))


def _fields(model: Any) -> dict[str, Any]:
    model = next(iter(get_args(model)), model)  # a section that may be absent: `Section | None`
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return {}
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}
