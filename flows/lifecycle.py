"""The pipeline, from raw text to an answering endpoint: three flows that run in turn.

corpus    collect -> validate_raw -> clean -> validate_clean -> tokenize -> validate_tokens
train     examples -> pretrain -> fine_tune -> evaluate
release   register -> export -> (index) -> deploy

A recipe without `examples` ends with its pretrained model, one without `pretrain` too with its corpus; one
for another task than the classification of texts ends with the registered model. One that starts from a
published checkpoint does not pretrain, and has no corpus where its examples are in files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from prefect import flow

from flows.recipe import Recipe, RecipeParameter
from flows.run_record import verdict_before
from flows.server_kinds import Name
from flows.session import Session
from flows.stages import (
    RELEASE,
    TRAIN,
    StageName,
    after,
    before,
    check_order,
    check_stages,
    last_stage,
    needs,
)
from tasks.checkpoints.start import Start, folder_of, start_of
from tasks.clean import clean
from tasks.collect import Snapshot, collect, snapshot
from tasks.contract.artifact import Artifact
from tasks.contract.run import PENDING, Run
from tasks.deploy import deploy
from tasks.evaluate import evaluate, require_passed
from tasks.examples import example_files, examples
from tasks.export import export
from tasks.fine_tune import fine_tune, teacher_in
from tasks.index import IndexConfig, collection_of, index
from tasks.pretrain import pretrain
from tasks.register import register
from tasks.tokenize import TokenizeConfig, tokenize
from tasks.tracking.registry import ModelVersion, champion_before, reachable
from tasks.tracking.runs import log_pretraining
from tasks.validate import validate_clean, validate_raw, validate_tokens


class Corpus(NamedTuple):
    """What the first flow makes."""

    collected: Artifact
    cleaned: Artifact
    tokens: Artifact


class Trained(NamedTuple):
    """What the second flow makes, and the champion that it was compared with."""

    examples: Artifact
    pretrained: Artifact | None
    model: Artifact
    evaluation: Artifact
    champion: ModelVersion | None


@flow(name="lifecycle", flow_run_name="{recipe.name}")
def lifecycle(
    recipe: RecipeParameter,
    start: StageName | None = None,
    until: StageName | None = None,
    refresh: tuple[StageName, ...] = (),
) -> None:
    """Run the whole pipeline.

    Args:
        recipe: the name of a built-in recipe, the path of a recipe file, or a whole recipe.
        start: the first stage that may be made; those before it must be there already.
        until: the last stage.
        refresh: stages to make anew although their artifact is there.

    Raises:
        RecipeError: the recipe has no such stage; nothing was started.
    """
    check_stages(recipe, [*refresh, *(stage for stage in (start, until) if stage)])
    check_order(start, until)
    last = until or last_stage(recipe)
    talks_to: tuple[Name, ...] = ("prefect", *needs(recipe, [*before(last), last]))
    with Session(recipe, given=before(start), refresh=refresh, skipped=after(last), needs=talks_to) as run:
        run_stages(recipe, run, lambda part: part)


def run_stages(recipe: Recipe, run: Run, call: Callable[[Any], Callable[..., Any]]) -> None:
    """Run the stages in order; `call` says whether the parts run as flows or as plain functions."""
    made = call(corpus)(recipe, run) if recipe.collect else None
    if run.skipped.issuperset(TRAIN):
        return
    trained = call(train)(recipe, run, made)
    if trained and run.skipped.issuperset(RELEASE):
        if trained.evaluation.digest != PENDING and not run.planning:
            require_passed(trained.evaluation, run)  # nothing is released, so the gate's verdict ends the run
    elif trained:
        call(release)(recipe, run, made, trained)


@flow(name="corpus", flow_run_name="corpus of {recipe.name}")
def corpus(recipe: Recipe, run: Run) -> Corpus:
    """Bring the text together, clean it, make tokens of it, and check it after each step."""
    assert recipe.collect is not None  # else this is left out
    collected = collect(snapshot(recipe.collect, run.store.home), recipe.collect, run)
    validate_raw(collected, recipe.validation.raw, run)
    cleaned = clean(collected, recipe.clean, run)
    previous = None if cleaned.digest == PENDING else verdict_before(run.store, recipe.name, cleaned)
    validate_clean(cleaned, previous, recipe.validation.clean, run)
    tokens = tokenize(cleaned, _with_tokenizer(recipe, run), run)
    validate_tokens(collected, cleaned, tokens, recipe.validation.tokens, run)
    return Corpus(collected, cleaned, tokens)


def _with_tokenizer(recipe: Recipe, run: Run) -> TokenizeConfig:
    """How to tokenize, with the folder of a tokenizer that is brought from elsewhere; a plan brings none."""
    if "tokenize" in run.skipped or not recipe.tokenize.pretrained:
        return recipe.tokenize
    named = recipe.tokenize.pretrained
    folder = folder_of(named, "tokenize.pretrained", run.store, fetch=not run.planning)
    return recipe.tokenize.model_copy(update={"pretrained": folder or named})


@flow(name="train", flow_run_name="training of {recipe.name}")
def train(recipe: Recipe, run: Run, made: Corpus | None) -> Trained | None:
    """Pretrain, fine-tune and judge.

    None where the recipe has no examples to fine-tune with: then the pretrained model is the product.
    """
    if recipe.examples is None or recipe.fine_tune is None:
        pretrained = _pretrained(recipe, run, made)
        assert pretrained is not None  # else the recipe ends with its corpus, and this is skipped
        if not run.planning and pretrained.digest != PENDING:
            log_pretraining(recipe.registration.model, pretrained, run.store)
        return None
    from_documents = made and recipe.examples.kind == "documents"
    of_documents = (made.cleaned, made.tokens) if made and from_documents else (None, None)
    labelled = examples(example_files(recipe.examples), *of_documents, recipe.examples, run)
    pretrained = _pretrained(recipe, run, made)
    start = pretrained or _start("fine_tune", recipe.fine_tune.start_from, run)
    model = fine_tune(labelled, start, teacher_in(recipe.fine_tune), recipe.fine_tune, run)
    unknown = model.digest == PENDING or (run.planning and not reachable())
    champion = None if unknown else champion_before(recipe.registration.model, model)
    tokens = made.tokens if made and pretrained else None
    evaluation = evaluate(tokens, labelled, pretrained, model, champion, recipe.evaluate, run)
    return Trained(labelled, pretrained, model, evaluation, champion)


def _pretrained(recipe: Recipe, run: Run, made: Corpus | None) -> Artifact | None:
    """The pretrained model; None where the recipe starts from a published checkpoint."""
    if recipe.pretrain is None:
        return None
    assert made is not None
    return pretrain(made.tokens, _start("pretrain", recipe.pretrain.start_from, run), recipe.pretrain, run)


def _start(stage: str, reference: str, run: Run) -> Start | None:
    """The checkpoint that a stage starts from; in a plan it is not fetched."""
    if stage in run.skipped:
        return None
    return start_of(reference, f"{stage}.start_from", run.store, fetch=not run.planning)


@flow(name="release", flow_run_name="release of {recipe.name}")
def release(recipe: Recipe, run: Run, made: Corpus | None, trained: Trained) -> None:
    """Register, export and deploy; with a collection, where one is searched."""
    searched = _searched(recipe.index, run, made, trained) if recipe.index else None
    collection = collection_of(searched, recipe.index) if searched and recipe.index else None
    registered = register(*(made or (None, None, None)), *trained, collection, recipe.registration, run)
    exported = export(trained.examples, trained.model, registered, recipe.export, run)
    if searched:
        exported = index(searched, registered, exported, recipe.index, run)
    deploy(trained.examples, registered, exported, recipe.deploy, run)


def _searched(config: IndexConfig, run: Run, made: Corpus | None, trained: Trained) -> Artifact | Snapshot:
    """Where the documents come from that the endpoint searches."""
    if from_sources := config.to_collect():
        return snapshot(from_sources, run.store.home)
    if config.of == "examples":
        return trained.examples
    assert made is not None  # a recipe without a corpus can't search it
    return made.cleaned
