"""A recipe: one YAML file that says what to collect, what to train and what the gate demands.

Every section is the config of the stage of the same name. Whatever is wrong in a recipe is said before
anything starts: the file, the key, the value, and what is allowed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import (
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    GetPydanticSchema,
    ValidationError,
    model_validator,
)

from corpus.cleaning.config import CleanConfig
from corpus.cleaning.personal_data import patterns
from corpus.redaction import redacted, texts_in
from corpus.tokenizing.special_tokens import TOKENS_OF
from flows import recipe_file
from flows.recipe_faults import faults
from model_code.config.pretraining import PretrainConfig
from model_code.config.strict import Config
from tasks.collect import CollectConfig
from tasks.contract.errors import RecipeError
from tasks.deploy import DeployConfig
from tasks.evaluation.gate import EvaluateConfig
from tasks.examples import ExamplesConfig
from tasks.export import ExportConfig
from tasks.fine_tune import FineTuneConfig
from tasks.index import IndexConfig
from tasks.register import RegisterConfig
from tasks.tokenize import TokenizeConfig
from tasks.validate import ValidateConfig

SECRETS = (patterns.api_key, patterns.private_key)
PERSONAL = {
    "an e-mail address": patterns.email,
    "a phone number": patterns.phone,
    "an account number": patterns.iban,
    "a card's number": patterns.card,
    "a passport's number": patterns.passport,
    "an identity number": patterns.chinese_id,
    "an IP address": patterns.ip_address,
}


def _what_may_be_left_out(schema: dict[str, Any]) -> None:
    """A model is named after its recipe, so no form has to ask for it."""
    schema["required"] = [name for name in schema["required"] if name != "register"]


Said = Annotated[str, Field(pattern=r"\S")]


class Recipe(Config):
    """One product: its stages, and the questions put to the endpoint when it is live.

    Without an `examples` section the pipeline ends with the pretrained model, without a `pretrain` section
    too with the corpus. With `fine_tune.start_from` it starts from a published checkpoint: nothing is
    pretrained, and where examples are in files nothing is collected.
    """

    model_config = ConfigDict(protected_namespaces=(), json_schema_extra=_what_may_be_left_out)

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=100, description="Lower-case letters, digits and dashes."
    )
    description: str = ""
    questions: tuple[Said | dict[str, Said], ...] = Field(
        (),
        description="Asked at the end of a run, with the served answer: texts, or the strings of each by "
        "their names where there are two, such as {question: …, context: …}.",
    )
    smoke: dict[str, Any] = Field(
        {}, description="Values by path that `--smoke` sets, for a run of a minute or two."
    )
    collect: CollectConfig | None = None
    clean: CleanConfig = CleanConfig()
    validation: ValidateConfig = Field(ValidateConfig(), alias="validate")
    tokenize: TokenizeConfig = TokenizeConfig()
    examples: ExamplesConfig | None = None
    pretrain: PretrainConfig | None = None
    fine_tune: FineTuneConfig | None = None
    evaluate: EvaluateConfig = EvaluateConfig()
    registration: RegisterConfig = Field(alias="register")
    export: ExportConfig = ExportConfig()
    index: IndexConfig | None = None
    deploy: DeployConfig = DeployConfig()

    @model_validator(mode="before")
    @classmethod
    def _read_and_name(cls, values: Any) -> Any:
        """A deployment may name its recipe; a model is named after the recipe unless that says otherwise.

        Examples are for fine-tuning, and what is fine-tuned has been pretrained, by the defaults if there is
        nothing to say about it, or is a published checkpoint. One that reads a corpus brings its tokenizer;
        what was pretrained further is fine-tuned with the values for a published one.
        """
        if isinstance(values, str):
            values = recipe_file.read(recipe_file.find(values))
        if not isinstance(values, dict):
            return values
        completed = dict(values)
        name = values.get("name")
        completed.setdefault("register", {"model": name if isinstance(name, str) else "unnamed"})
        if completed.get("examples") is not None and completed.get("fine_tune") is None:
            completed["fine_tune"] = {}
        tuning = completed.get("fine_tune")
        published = isinstance(tuning, dict) and tuning.get("start_from")
        if tuning is not None and not published and completed.get("pretrain") is None:
            completed["pretrain"] = {}
        pretraining = completed.get("pretrain")
        further = isinstance(pretraining, dict) and pretraining.get("start_from")
        if start := further or (completed.get("collect") is not None and published):
            usual: dict[str, dict[str, Any]] = {"tokenize": {"pretrained": start, "family": "own"}}
            if further:
                usual["fine_tune"] = {"start_from": start}
            else:  # no model reads these tokens
                usual["validate"] = {"tokens": {"max_unknown_share": 1.0}}
            for section, unset in usual.items():
                if section != "fine_tune":
                    completed[section] = values.get(section) or {}
                if isinstance(said := completed.get(section), dict):
                    completed[section] = said | {k: v for k, v in unset.items() if not said.get(k)}
        return completed

    @property
    def start_from(self) -> str:
        """The published checkpoint that a training starts from; empty where none is named."""
        if self.pretrain:
            return self.pretrain.start_from
        return self.fine_tune.start_from if self.fine_tune else ""

    @model_validator(mode="after")
    def _it_starts_from_text_or_a_checkpoint(self) -> Self:
        published = self.fine_tune.start_from if self.fine_tune else ""
        if published and self.pretrain and (further := self.pretrain.start_from):
            if published != further:
                raise ValueError(
                    f"fine_tune.start_from is {published}, pretrain.start_from {further}: what is fine-tuned "
                    "is the checkpoint that was pretrained further; leave out fine_tune.start_from"
                )
            published = ""
        if published and self.pretrain:
            raise ValueError(
                "fine_tune.start_from starts from a published checkpoint, so nothing is pretrained: leave "
                "out pretrain, or set pretrain.start_from instead to pretrain the checkpoint further"
            )
        documents = self.examples if self.examples and self.examples.kind == "documents" else None
        if published and documents and not self.collect:
            raise ValueError(
                "examples of documents come from a corpus: add the section `collect`, or take examples in "
                "files"
            )
        theirs = self.tokenize.pretrained
        if published and documents and documents.mask_names and theirs != published:
            raise ValueError(
                f"mask_names writes the mask token of tokenize.pretrained ({theirs}), which may mean nothing "
                f"to the model of fine_tune.start_from ({published}): leave out tokenize.pretrained"
            )
        if published and self.collect and not documents and not self._searches_its_corpus:
            raise ValueError(
                "collect makes a corpus that nothing reads: examples are in files and fine_tune.start_from "
                "names the model; leave out collect"
            )
        if self.collect is None and not published:
            raise ValueError(
                "collect is missing: say where text comes from, or let fine_tune.start_from name a published "
                "checkpoint to start from (then examples in files are enough)"
            )
        if self.collect is None and (idle := [name for name, section in self._of_a_corpus() if section]):
            raise ValueError(f"without collect there is no corpus to {idle[0]}: leave out {', '.join(idle)}")
        if published and self.evaluate.max_perplexity is not None:
            raise ValueError(
                "evaluate.max_perplexity is of a pretrained model, and fine_tune.start_from leaves out "
                "pretrain; leave it out"
            )
        return self

    @property
    def _searches_its_corpus(self) -> bool:
        return self.index is not None and self.index.of == "corpus"

    @model_validator(mode="after")
    def _there_is_something_to_search(self) -> Self:
        if self.index is None:
            return self
        if self.examples is None or self.examples.task != "matching":
            task = self.examples.task if self.examples else "no examples"
            raise ValueError(
                f"index is what a model of the task matching searches, and this recipe has {task}; leave "
                "it out"
            )
        if self._searches_its_corpus and self.collect is None:
            raise ValueError(
                "index.of is corpus, and without collect there is none: add the section `collect`, or name "
                "index.sources"
            )
        return self

    def _of_a_corpus(self) -> list[tuple[str, bool]]:
        """The sections that only a corpus needs, and whether the recipe says anything in them."""
        return [
            ("clean", self.clean != CleanConfig()),
            ("validate", self.validation != ValidateConfig()),
            ("tokenize", self.tokenize != TokenizeConfig()),
        ]

    @model_validator(mode="after")
    def _the_model_fits(self) -> Self:
        if self.fine_tune and self.examples is None:
            raise ValueError(
                "fine_tune needs examples to learn from: add the section `examples`, or leave out fine_tune, "
                "and the recipe ends with the pretrained model"
            )
        if self.pretrain is None or self.fine_tune is None:
            return self
        if self.pretrain.start_from or self.pretrain.family == "t5":  # T5's positions have no end
            return self
        width, positions = self.fine_tune.width, self.pretrain.shape.max_positions
        if width > positions:
            raise ValueError(
                f"fine_tune.max_length {self.fine_tune.max_length} (rows of up to {width} tokens) is "
                f"more than pretrain.max_positions {positions}; lower the one or raise the other"
            )
        return self

    def as_used(self) -> dict[str, Any]:
        """The recipe as JSON, without sections that have nothing to say."""
        idle = {"collect", "clean", "validation", "tokenize"} if self.collect is None else set()
        idle |= set() if self.pretrain else {"pretrain"}
        return self.model_dump(mode="json", by_alias=True, exclude=idle)

    @model_validator(mode="after")
    def _the_tokenizer_fits(self) -> Self:
        if self.pretrain is None or not self.pretrain.family:
            return self
        if self.pretrain.start_from and self.tokenize.family == "own":
            return self
        family, needed = self.tokenize.family, TOKENS_OF[self.pretrain.family]
        if family != needed:
            raise ValueError(
                f"tokenize.family is {family}, pretrain.family {self.pretrain.family} reads {needed}; "
                f"set tokenize.family to {needed}"
            )
        return self

    @model_validator(mode="after")
    def _holds_no_character_that_can_not_be_kept(self) -> Self:
        """Files, databases and command lines take neither NUL nor half a character."""
        for key, text in texts_in(self.model_dump(mode="json", by_alias=True)):
            if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
                raise ValueError(
                    f"{key}: found {text[:60]!r}, with a NUL or a byte that is no UTF-8; take it out"
                )
        return self

    @model_validator(mode="after")
    def _holds_no_secret(self) -> Self:
        """Prefect keeps the whole recipe, and so do the run's record and its report."""
        for key, text in texts_in(self.model_dump(mode="json", by_alias=True)):
            if redacted(text) != text or any(any(secret(text)) for secret in SECRETS):
                raise ValueError(
                    f"{key} holds a password, a token or a key, and recipes are kept in databases; put it "
                    "into the environment, where the client of the source looks for it"
                )
        return self

    @model_validator(mode="after")
    def _asks_nothing_personal(self) -> Self:
        """Questions are as people write them, and they are kept where the recipe is kept."""
        for number, question in enumerate(self.questions):
            said = question if isinstance(question, str) else "\n".join(question.values())
            for what, detector in PERSONAL.items():
                if any(detector(said)):
                    raise ValueError(
                        f"questions[{number}] holds {what}, and recipes are kept in databases; ask with an "
                        "invented one of the same form, such as name@example.com, or without it"
                    )
        return self

    @model_validator(mode="after")
    def _mixed_sources_exist(self) -> Self:
        if self.collect is None:
            return self
        names = [source.name for source in self.collect.sources]
        for key, of_source in (("weights", self.clean.mix.weights), ("caps", self.clean.mix.caps)):
            if unknown := sorted(set(of_source) - set(names)):
                raise ValueError(
                    f"clean.mix.{key} names the source {unknown[0]!r}; the sources are {', '.join(names)}"
                )
        return self


def _named_or_written_out(core: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
    named = {
        "type": "string",
        "title": "by name",
        "description": "A built-in recipe, or a recipe file's path.",
    }
    return {"anyOf": [named, handler(core)]}


# A recipe as the parameter of a flow, which forms and deployments give by its name.
RecipeParameter = Annotated[Recipe, GetPydanticSchema(get_pydantic_json_schema=_named_or_written_out)]


def load_recipe(reference: str, overrides: Sequence[str] = (), *, smoke: bool = False) -> Recipe:
    """Read a recipe by path or by the name of a built-in one, with `key=value` overrides applied.

    Args:
        smoke: take the values of its `smoke` section, under a name of its own.

    Raises:
        RecipeError: there is no such recipe, or something in it is wrong; all faults are listed.
    """
    path = recipe_file.find(reference)
    values = recipe_file.read(path)
    if smoke:
        recipe_file.make_small(values, path)
    for text in overrides:
        recipe_file.override(values, text)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        lines = "\n".join(f"  {fault}" for fault in faults(error, Recipe))
        raise RecipeError(f"{path}: the recipe is not valid, nothing was started:\n{lines}") from None
