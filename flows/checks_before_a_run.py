"""What can be refused before the first stage: by the recipe, this machine and the registry, not by the data.

`textmill plan` and the rest that only looks refuse the same as a run does.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from importlib.util import find_spec

from corpus.examples.same_file import also_collected
from corpus.sources import keeps_files
from corpus.tokenizing.special_tokens import TOKENS_OF
from flows import environment
from flows.recipe import Recipe
from flows.recipe_questions import check_questions
from tasks.checkpoints.start import Known, folder_of, known_start
from tasks.collect import CollectConfig
from tasks.collection.kept_sources import KeptSource
from tasks.contract.console import escaped, say
from tasks.contract.errors import CorpusError, RecipeError
from tasks.contract.store import Store
from tasks.examples import FilesExamples, read_examples
from tasks.fine_tune import FineTuneConfig
from tasks.fine_tuning.checks import (
    check_against_task,
    check_examples,
    check_label_metrics,
    check_start_options,
)
from tasks.index import IndexConfig
from tasks.pretraining.checks import check_pretraining
from tasks.tokenize import TokenizeConfig
from tasks.tracking.registered_name import check_name
from tasks.tracking.registry import reachable


def check(recipe: Recipe, skipped: Collection[str] = (), *, fetch: bool = True) -> None:
    """Refuse what a run could not do: by the recipe, by MLflow where it runs, and by examples in files.

    Args:
        skipped: stages that are not part of the run.
        fetch: bring a checkpoint that a training starts from here, or else only ask whether it can be had.

    Raises:
        RecipeError: the recipe is wrong; it names the key, the value and the way out.
        CorpusError: an example in a file is.
    """
    check_recipe(recipe, skipped, fetch=fetch)
    if recipe.index and "index" not in skipped:
        _check_searched(recipe.index)
    if recipe.examples and "examples" not in skipped:
        if "evaluate" not in skipped and reachable():
            check_name(recipe.registration.model, recipe.examples.task, recipe.examples.columns)
        if isinstance(recipe.examples, FilesExamples):
            labels = read_examples(recipe.examples).labels
            if recipe.collect and "collect" not in skipped:
                for sentence in also_collected(recipe.examples, _collected_here(recipe.collect)):
                    say(f"[yellow]examples: {escaped(sentence)}[/]")
            sizes = recipe.fine_tune.options.get("dimensions", ()) if recipe.fine_tune else ()
            known = [*labels, *map(str, sizes)]
            check_label_metrics(recipe.examples.task, recipe.evaluate.at_least, known)


def _check_searched(config: IndexConfig) -> None:
    """List what is searched where that is cheap: it is read last, after hours of training perhaps."""
    for source in config.sources:
        if not keeps_files(source.kind):
            KeptSource(source, environment.home()).list_items()


def _collected_here(config: CollectConfig) -> dict[str, str]:
    """Name and path of the sources that are files of this machine."""
    sources = {source.name: getattr(source, "path", "") for source in config.sources}
    return {name: path for name, path in sources.items() if path and "://" not in path}


def check_recipe(recipe: Recipe, skipped: Collection[str] = (), *, fetch: bool = True) -> None:
    """Refuse what a stage of this run would refuse for a reason that is known now.

    What is fetched comes last: all that can be known without it is known before.

    Args:
        skipped, fetch: as in `check`.

    Raises:
        RecipeError: it names the key, the value and the way out.
        StageError, ServerError: a checkpoint to start from can't be had now.
    """
    if "deploy" not in skipped:
        check_questions(recipe)
    if recipe.collect and "clean" not in skipped:
        _check_engine(recipe)
    if recipe.collect and "tokenize" not in skipped:
        _check_tokenizer(recipe, recipe.collect)
    kind: str | None = recipe.pretrain.family if recipe.pretrain else None
    positions, tokens = None, recipe.tokenize
    if recipe.pretrain and "pretrain" not in skipped:
        start = _check_start("pretrain", recipe.pretrain.start_from, fetch)
        kind = start.kind if start else kind
        if start and start.kind:
            _check_token_family(recipe, start.kind)
        tokens = _check_own_tokenizer(recipe, fetch)
        positions = check_pretraining(recipe.pretrain, tokens, start and start.folder)
    if recipe.examples and recipe.fine_tune and "fine_tune" not in skipped:
        _check_task(recipe, kind, positions)
        published = "" if recipe.pretrain else recipe.fine_tune.start_from
        if start := _check_start("fine_tune", published, fetch):
            _check_positions(recipe.fine_tune, start.positions)
            check_start_options(recipe.examples.task, start.folder)
            _check_task(recipe, start.kind, start.positions)
    without = recipe.pretrain is None or "pretrain" in skipped
    if recipe.collect and without and "tokenize" not in skipped:
        _check_own_tokenizer(recipe, fetch)


def _check_start(stage: str, reference: str, fetch: bool) -> Known | None:
    return known_start(reference, f"{stage}.start_from", Store(environment.home()), fetch=fetch)


def _check_engine(recipe: Recipe) -> None:
    if recipe.clean.engine == "ray" and find_spec("ray") is None:
        raise RecipeError(
            "clean.engine: ray is not installed here; install it (`pip install 'textmill[ray]'`) or set "
            "clean.engine to local"
        )
    if recipe.clean.engine == "ray" and any(letter.isspace() for letter in sys.executable):
        raise RecipeError(
            f"clean.engine: Ray can't start its workers with {sys.executable}, whose path has blanks; "
            "install textmill in another folder, or set clean.engine to local"
        )


def _check_token_family(recipe: Recipe, kind: str) -> None:
    """Refuse special tokens of another family than the checkpoint reads."""
    named = recipe.tokenize.family
    read = TOKENS_OF.get(kind, named)
    if named not in ("own", read):
        raise RecipeError(
            f"tokenize.family is {named}, and the checkpoint of pretrain.start_from, a {kind}, reads {read}; "
            "leave tokenize.family out"
        )


def _check_own_tokenizer(recipe: Recipe, fetch: bool) -> TokenizeConfig:
    """How to tokenize, with the folder of the tokenizer where one is named that is here."""
    named, store = recipe.tokenize.pretrained, Store(environment.home())
    if not named:
        return recipe.tokenize
    folder = folder_of(named, "tokenize.pretrained", store, fetch=fetch)
    config = recipe.tokenize.model_copy(update={"pretrained": folder or ""})
    if folder:
        from corpus.tokenizing import pretrained

        try:
            if config.family == "own":
                pretrained.around_own(*pretrained.load_own(folder), folder)
            else:
                pretrained.load(config)
        except CorpusError as error:
            raise RecipeError(str(error)) from error
    return config


def _check_tokenizer(recipe: Recipe, collected: CollectConfig) -> None:
    if key := recipe.tokenize.group_by:
        for source in collected.sources:
            if key not in source.meta_keys:
                have = ", ".join(source.meta_keys) or "none"
                raise RecipeError(
                    f"tokenize.group_by: documents of the source {source.name!r} have no {key!r} in their "
                    f"meta (they have {have}); correct it, or add {key!r} to the meta_fields of the source"
                )


def _check_task(recipe: Recipe, family: str | None, positions: int | None) -> None:
    assert recipe.examples is not None
    assert recipe.fine_tune is not None
    sources = recipe.collect.sources if recipe.collect else ()
    check_examples(recipe.examples, {source.name: source.meta_keys for source in sources})
    _check_positions(recipe.fine_tune, positions)
    check_against_task(recipe.examples.task, family, recipe.fine_tune, recipe.evaluate.at_least, positions)


def _check_positions(config: FineTuneConfig, positions: int | None) -> None:
    if positions is not None and config.width > positions:
        raise RecipeError(
            f"fine_tune.max_length {config.max_length} (rows of {config.width} tokens) is more than the "
            f"{positions} positions of the model; lower it"
        )
