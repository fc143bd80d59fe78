"""The contract that all stages share.

A stage is a pure function from artifacts and its own config to one artifact:

    @stage()
    def clean(corpus: Artifact, config: CleanConfig, workspace: Workspace) -> None: ...

It is called as `clean(corpus, recipe.clean, run)`. The decorator computes the key, looks for a sound
artifact with that key, and only when there is none lets the function write one: under a lock, in a
directory of its own that becomes visible in one step. Inside a Prefect flow the call is a Prefect task
with the same cache key; elsewhere (`clean.fn(...)`, tests, `--only`) it is a plain call.

A stage is never tried again by itself: the next run goes on from what is there.
"""

from __future__ import annotations

import inspect
import re
import shutil
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from typing import Any, Literal

from pydantic import BaseModel

from corpus.redaction import redacted
from deploy.errors import TritonError
from model_code.config.strict import Config
from tasks.contract import console, disk
from tasks.contract.artifact import (
    Artifact,
    Manifest,
    canonical,
    content_digest,
    describe_files,
    sha256_text,
)
from tasks.contract.code_fingerprint import code_fingerprint
from tasks.contract.errors import ServerError, StageError, TextmillError
from tasks.contract.run import PENDING, Run, StageOutcome
from tasks.contract.workspace import Workspace

QUOTED = re.compile(r"(?<=['\"])[^'\"]{30,}(?=['\"])")
IsCurrent = Callable[[Manifest, Any, Run], bool]


class Stage:
    """A stage function with the contract around it; made by `@stage()`."""

    def __init__(
        self,
        function: Callable[..., None],
        runs: Sequence[str],
        libraries: Sequence[str],
        is_current: IsCurrent,
    ) -> None:
        self.function = function
        self.name = function.__name__
        self.runs, self.libraries = runs, libraries
        self.is_current = is_current
        *self.input_names, _, _ = inspect.signature(function).parameters
        self.__doc__ = function.__doc__
        self.__name__ = self.name

    def key(self, inputs: Sequence[BaseModel | None], config: Config) -> str:
        """sha256 of the stage's name, its inputs' content, its config and its code."""
        named = dict(zip(self.input_names, map(_identity, inputs), strict=True))
        return sha256_text(
            canonical(
                {
                    "stage": self.name,
                    "inputs": named,
                    "config": config.what_counts(),
                    "code": self.code,
                }
            )
        )

    @cached_property
    def code(self) -> str:
        """The fingerprint of the code that makes this stage's artifact, and of its libraries' versions."""
        code = code_fingerprint([self.function.__module__, *self.runs])
        return sha256_text(canonical([code, {library: version(library) for library in self.libraries}]))

    def __call__(self, *arguments: Any) -> Artifact:
        """Find or make the artifact: `stage(*inputs, config, run)`; a Prefect task when in a flow.

        Raises:
            CorpusError, StageError: the stage says no.
            StageError: its artifact is not there and may not be made in this run.
        """
        *inputs, config, run = arguments
        if self.name in run.skipped:
            return self._outcome(run, StageOutcome(stage=self.name, state="skipped", key=""))
        key = self.key(inputs, config)
        started = time.monotonic()
        found = None if self.name in run.refresh else self._found(key, config, run)
        if found is None and (run.planning or any(_is_pending(i) for i in inputs)):
            return self._outcome(run, StageOutcome(stage=self.name, state="pending", key=key))
        if found is None and self.name in run.given:
            raise StageError(
                f"{self.name}: its artifact is not in {run.store.home}, or was made from other inputs or by "
                f"other code; run the recipe without --only and --from, or with --from {self.name}"
            )
        if found is None:
            run.check()
            started = time.monotonic()  # the check's seconds are not the stage's
        try:
            if console.in_prefect_run() and not run.planning:
                artifact = self._task(refresh=found is None)(inputs, config, run, key)
            else:
                artifact = found.artifact if found else self._make(inputs, config, run, key)
        except BaseException as error:
            message = str(error) if isinstance(error, TextmillError) else redacted(repr(error))
            seconds = time.monotonic() - started
            failed = StageOutcome(stage=self.name, state="failed", key=key, message=message, seconds=seconds)
            self._outcome(run, failed)
            raise
        now = run.store.manifest(self.name, key)
        digest = now.digest if now else artifact.digest
        state: Literal["cached", "made"] = "cached" if found else "made"
        seconds = time.monotonic() - started
        return self._outcome(
            run, StageOutcome(stage=self.name, state=state, key=key, digest=digest, seconds=seconds)
        )

    def fn(self, *arguments: Any) -> Artifact:
        """Find or make the artifact without Prefect: `stage.fn(*inputs, config, run)`."""
        *inputs, config, run = arguments
        key = self.key(inputs, config)
        found = None if self.name in run.refresh else self._found(key, config, run)
        return found.artifact if found else self._make(inputs, config, run, key)

    def _outcome(self, run: Run, outcome: StageOutcome) -> Artifact:
        run.record(outcome)
        return Artifact(stage=outcome.stage, key=outcome.key, digest=outcome.digest)

    def _found(self, key: str, config: Config, run: Run) -> Manifest | None:
        manifest = run.store.manifest(self.name, key)
        if manifest is None:
            return None
        if damaged := run.store.damage(manifest):
            console.say(f"[yellow]{self.name}: the stored artifact is damaged ({damaged[0]}); made anew")
            return None
        return manifest if self.is_current(manifest, config, run) else None

    def _task(self, *, refresh: bool) -> Any:
        from prefect import task
        from prefect.cache_policies import CacheKeyFnPolicy

        make = task(
            name=self.name,
            task_run_name=self.name,
            description=inspect.getdoc(self.function),
            cache_policy=CacheKeyFnPolicy(cache_key_fn=lambda context, parameters: parameters["key"]),
            persist_result=True,
            result_serializer="json",
            refresh_cache=refresh,
        )
        return make(self._make)

    def _make(self, inputs: Sequence[Any], config: Config, run: Run, key: str) -> Artifact:
        """Write the artifact under its lock, or take the one that another run has just written."""
        try:
            with run.store.lock(self.name, key, blocking=False) as free:
                if not free:
                    console.say(f"{self.name}: another run is making this artifact; waiting for it")
            with run.store.lock(self.name, key):
                found = None if self.name in run.refresh else self._found(key, config, run)
                if found:
                    return found.artifact
                return self._write(inputs, config, run, key)
        except TextmillError:
            raise
        except TritonError as error:
            raise StageError(f"{self.name}: {error}") from error
        except OSError as error:
            raise StageError(f"{self.name}: {disk.explain(error, run.store.home)}") from error
        except Exception as error:
            if refused := disk.cause(error):
                raise StageError(f"{self.name}: {disk.explain(refused, run.store.home)}") from error
            if refused_by := _refusal(error):
                raise ServerError(f"{self.name}: {refused_by}") from error
            raise self._unexpected(error, key, run) from None

    def _unexpected(self, error: Exception, key: str, run: Run) -> StageError:
        """An error nobody foresaw: one line for the person who watches, the traceback in a file."""
        place = run.store.scratch(self.name, key) / "traceback.txt"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
        first_line = QUOTED.sub("…", str(error).partition("\n")[0])  # it may quote the text it is about
        return StageError(
            f"{self.name}: {type(error).__name__}: {first_line[:300]}; the whole traceback is in {place}"
        )

    def _write(self, inputs: Sequence[Any], config: Config, run: Run, key: str) -> Artifact:
        started = time.monotonic()
        directory = run.store.begin(self.name, key)
        workspace = Workspace(self.name, key, run.store, directory)
        try:
            self.function(*inputs, config, workspace)
            files = describe_files(directory, frozenset(workspace.volatile))
            manifest = Manifest(
                stage=self.name,
                key=key,
                digest=content_digest(self.name, files),
                inputs=dict(zip(self.input_names, map(_identity, inputs), strict=True)),
                config=config.what_counts(),
                code=self.code,
                files=files,
                counts=workspace.counts,
                metrics=workspace.metrics,
                external=workspace.external,
                seconds=round(time.monotonic() - started, 3),
                made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            )
            run.store.publish(directory, manifest)
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise
        console.show_markdown(self.name, _page(manifest, workspace.shown), f"What {self.name} made")
        return manifest.artifact


def stage(
    *,
    runs: Sequence[str] = (),
    libraries: Sequence[str] = (),
    is_current: IsCurrent = lambda manifest, config, run: True,
) -> Callable[[Callable[..., None]], Stage]:
    """Make a function a stage.

    Args:
        runs: modules that the stage runs without importing them (a child process), or packages whose every
            file counts ("deploy."); they belong to the code fingerprint.
        libraries: distributions whose own data decide what comes out (language tables, conversions): with
            another version of one the artifact is made anew.
        is_current: whether what an artifact stands for still holds outside the store, for stages whose
            effect is elsewhere (a model version is registered, an endpoint answers).
    """
    return lambda function: Stage(function, runs, libraries, is_current)


def _refusal(error: BaseException) -> str | None:
    from tasks.tracking.registry import refusal

    return refusal(error)


def _identity(value: Any) -> Any:
    """An input as it enters the key: an artifact by its content, anything else by its fields."""
    if isinstance(value, Artifact):
        return {"stage": value.stage, "digest": value.digest}
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


def _is_pending(value: Any) -> bool:
    return getattr(value, "digest", None) == PENDING


def _page(manifest: Manifest, shown: Sequence[str]) -> str:
    rows: list[tuple[str, object]] = [*manifest.counts.items(), *manifest.metrics.items()]
    rows += [("seconds", manifest.seconds), ("digest", f"`{manifest.digest[:16]}`")]
    rows += [(name, value) for name, value in manifest.external.items()]
    return "\n\n".join([console.markdown_table(["", ""], rows), *shown])
