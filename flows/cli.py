"""The command `textmill`.

Everything heavy is imported inside the functions, so that `--help` answers at once. Exit codes: 0 done,
1 a gate or a stage said no, 2 usage or recipe error.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

app = typer.Typer(
    name="textmill",
    help="Raw text in, a served language model out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

corpus_app = typer.Typer(help="Look at the corpus that the last run of a recipe made.", no_args_is_help=True)
app.add_typer(corpus_app, name="corpus")

RecipeArgument = Annotated[str, typer.Argument(help="A recipe file, or the name of a built-in recipe.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="Override a value: pretrain.steps=200.")]
Stages = Annotated[list[str] | None, typer.Option("--refresh", help="Make this stage anew. Repeatable.")]
Smoke = Annotated[bool, typer.Option("--smoke", help="The small form of the recipe: a minute or two.")]


@app.command()
def run(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    only: Annotated[str | None, typer.Option(help="Run this stage alone, without Prefect.")] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="Begin here; earlier stages must be there.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="End with this stage.")] = None,
    refresh: Stages = None,
    smoke: Smoke = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what pretraining would need: memory, FLOPs, hours.")
    ] = False,
) -> None:
    """Run a recipe through all stages, and ask the endpoint its questions."""
    with _errors(writes=True):
        from flows import command

        loaded = command.load(recipe, overrides or [], smoke=smoke)
        others = [stage for stage in refresh or [] if stage != only]
        if only and (start or until or others):
            raise typer.BadParameter("--only runs one stage: leave out --from, --until and other --refresh")
        if dry_run:
            command.dry_run(loaded)
        elif only:
            command.run_one(loaded, only, refresh=bool(refresh))
        else:
            command.run_all(loaded, start, until, refresh or [])


@app.command()
def new(
    files: Annotated[
        list[str],
        typer.Argument(help="Files of examples, two parallel ones, or a folder: CSV, JSON, CoNLL, SQuAD, …"),
    ],
    start_from: Annotated[
        str, typer.Option(help="The checkpoint: a folder, id@commit of the hub, models:/NAME@alias.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing, take the guesses.")] = False,
    force: Annotated[bool, typer.Option(help="Write over a recipe of this name.")] = False,
) -> None:
    """Look at labelled files and write a recipe for them, with what was seen and guessed in comments."""
    with _errors():
        from flows import new_recipe

        new_recipe.new(files, start_from=start_from, yes=yes, force=force)


@app.command()
def plan(
    recipe: RecipeArgument, overrides: Overrides = None, refresh: Stages = None, smoke: Smoke = False
) -> None:
    """Show what a run would make and what it would find, without running anything."""
    with _errors():
        from flows import command

        command.plan(command.load(recipe, overrides or [], smoke=smoke), refresh or [])


@app.command()
def tune(recipe: RecipeArgument, overrides: Overrides = None, smoke: Smoke = False) -> None:
    """Try out micro-batches and learning rates for a recipe's pretraining, in a minute or so."""
    with _errors(writes=True):
        from flows import command

        command.tune(command.load(recipe, overrides or [], smoke=smoke))


# Its name until 0.1; goes with the next release.
app.command("find", hidden=True)(tune)


@app.command()
def ask(
    texts: Annotated[list[str], typer.Argument(help="Texts or questions.")],
    model: Annotated[str | None, typer.Option(help="The endpoint, when there are several.")] = None,
    other: Annotated[
        str | None, typer.Option("--with", help="The context of questions, or the second text of pairs.")
    ] = None,
    top: Annotated[
        int | None, typer.Option(min=1, help="So many hits; of labels, show only so many on a terminal.")
    ] = None,
) -> None:
    """Ask the served model: bars, marked entities and answers on a terminal, JSON lines when piped."""
    with _errors():
        from flows import question

        if sys.stdout.isatty():
            return question.show(texts, model, other, top)
        is_utf8 = sys.stdout.encoding.lower().replace("-", "") == "utf8"  # what readers of JSON expect
        for asked, answer in question.ask(texts, model, other, top or question.HITS):
            print(json.dumps(question.as_json(asked, answer), ensure_ascii=not is_utf8))


@app.command("deploy")
def deploy_version(
    reference: Annotated[
        str,
        typer.Argument(
            metavar="NAME[@ALIAS|@VERSION]",
            help="The endpoint, and which version of the registered model; NAME alone is its champion.",
        ),
    ],
    canary: Annotated[
        str | None, typer.Option(help="Try it first: it answers this share of the requests, such as 10%.")
    ] = None,
    shadow: Annotated[
        str | None, typer.Option(help="The same, and clients get the live version's answers.")
    ] = None,
) -> None:
    """Let an endpoint answer from a registered version, and make that the champion; repairs it, too."""
    with _errors(writes=True):
        from flows import switching

        switching.deploy(reference, canary, shadow)


@app.command()
def rollback(name: Annotated[str, typer.Argument(help="The endpoint.")]) -> None:
    """Let an endpoint answer from the version before, and make that the champion."""
    with _errors(writes=True):
        from flows import switching

        switching.rollback(name)


@app.command()
def gate(
    name: Annotated[str, typer.Argument(help="The registered model.")],
    challenger: Annotated[str, typer.Argument(help="The version to judge: a number or an alias.")],
    against: Annotated[
        str | None, typer.Option(help="The version to compare with; without it, the champion.")
    ] = None,
) -> None:
    """Judge a registered version again by what was kept of it; nothing is changed. 1: it may not go live."""
    with _errors():
        from flows import judging

        passed = judging.gate(name, challenger, against)
    if not passed:
        raise typer.Exit(1)


@app.command()
def up() -> None:
    """Start Prefect, MLflow, Triton and the door on loopback, as far as they don't run."""
    with _errors(writes=True):
        from flows import servers, status_lines

        print("starting Prefect, MLflow, Triton and the door", flush=True)
        status_lines.show(servers.up())


@app.command()
def down() -> None:
    """End the servers that textmill started."""
    with _errors():
        from flows import servers

        ended = servers.down()
        print(f"ended {', '.join(ended)}" if ended else "no server was running")


@app.command()
def status() -> None:
    """Ask every server and endpoint: where they are, what is live and since when; 1 when one is silent."""
    with _errors():
        from flows import servers, status_lines

        status_lines.show(servers.status())


@app.command()
def env() -> None:
    """Print the variables by which other programs find the servers and log in, as lines for a shell."""
    with _errors():
        import shlex

        from flows import servers

        for name, value in servers.process_variables().items():
            print(f"export {name}={shlex.quote(value)}")


@app.command()
def runs(
    recipe: Annotated[str | None, typer.Option(help="Only runs of this recipe.")] = None,
    last: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20,
) -> None:
    """List past runs with their verdict and version."""
    with _errors():
        from flows import command

        command.list_runs(recipe, last)


@app.command()
def gc(
    keep: Annotated[int, typer.Option(min=0, help="Runs of each recipe whose artifacts stay.")] = 5,
) -> None:
    """Remove artifacts that none of the last runs refers to."""
    with _errors():
        from flows import command

        command.collect_garbage(keep)


@corpus_app.command("show")
def corpus_show(
    recipe: RecipeArgument,
    dropped: Annotated[
        str | None, typer.Option(help="What this filter dropped, beside kept documents.")
    ] = None,
    kept: Annotated[bool, typer.Option("--kept", help="Only documents that were kept.")] = False,
    source: Annotated[str | None, typer.Option(help="Only documents of this source.")] = None,
    language: Annotated[str | None, typer.Option(help="Only documents in this language (en, zh).")] = None,
    search: Annotated[str | None, typer.Option(help="Only documents that contain this text.")] = None,
    page: Annotated[int, typer.Option(min=1, help="Which page.")] = 1,
    count: Annotated[int, typer.Option(min=1, max=1000, help="Documents on a page.")] = 5,
    seed: Annotated[int, typer.Option(help="Another seed shows them in another order.")] = 0,
    characters: Annotated[int, typer.Option(min=1, help="How much of each text.")] = 800,
) -> None:
    """Read kept and dropped documents side by side, with the value that dropped them."""
    with _errors():
        if dropped and kept:
            raise typer.BadParameter("--kept leaves dropped documents out: give one of --kept and --dropped")
        from flows import command, corpus_show
        from flows.last_corpus import last_corpus
        from tasks.contract.console import console

        selection = corpus_show.Selection(
            dropped, kept, source, language, search, page, count, seed, characters
        )
        corpus_show.show(last_corpus(command.load(recipe, []).name), selection, console)


@corpus_app.command("stats")
def corpus_stats(recipe: RecipeArgument) -> None:
    """Draw the funnel, languages, lengths, duplicates, sources, personal data and word lists."""
    with _errors():
        from flows import command, corpus_stats
        from flows.last_corpus import last_corpus
        from tasks.contract.console import console

        corpus_stats.draw(last_corpus(command.load(recipe, []).name), console)


def main() -> None:
    """The entry point."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a bar that the locale can't print must not end a run
    app()


@contextmanager
def _errors(*, writes: bool = False) -> Iterator[None]:
    """Print what a user can put right as one message, and leave with the code that belongs to it.

    `writes` is for commands that need room in the home; the others go on where it is full.
    """
    from corpus import proxies
    from deploy.errors import TritonError
    from flows import home
    from tasks.contract.errors import RecipeError, TextmillError

    try:
        os.environ.update(proxies.variables())
        home.check(writes=writes)
        yield
    except (TextmillError, TritonError) as error:
        _complain(str(error))
        raise typer.Exit(2 if isinstance(error, RecipeError) else 1) from None
    except KeyboardInterrupt:
        _complain("interrupted; run the same command again to go on")
        raise typer.Exit(130) from None
    except BrokenPipeError:
        raise typer.Exit(0) from None
    except Exception as error:
        if (said := _foreseen(error)) is None:
            raise
        _complain(said)
        raise typer.Exit(1) from None


def _foreseen(error: Exception) -> str | None:
    """A sentence about an error of the disk or of a server that went away, however libraries wrap it."""
    from flows import environment
    from tasks.contract import disk

    refused = disk.cause(error) or (error if isinstance(error, OSError) else None)
    if refused is not None and type(refused).__module__ == "builtins":
        return disk.explain(refused, environment.home())
    from tasks.tracking.registry import refusal

    if said := refusal(error):
        return said
    if type(error).__module__.partition(".")[0] in ("httpx", "httpcore", "prefect") or "reach API" in str(
        error
    ):
        return (
            f"the Prefect server at {os.environ.get('PREFECT_API_URL', '')} went away ({str(error)[:200]}); "
            "try `textmill up` and run again, it goes on where it was"
        )
    return None


def _complain(message: str) -> None:
    from corpus.redaction import redacted

    red: Callable[[str], str] = (lambda text: typer.style(text, fg="red")) if sys.stderr.isatty() else str
    print(red("error: ") + redacted(message), file=sys.stderr)
