"""The switch from one served version to the next, without a failed request.

    stage_version   a new version is loaded beside the live one and answers as `<name>-candidate`
    go_live         `<name>` answers from it; the version before stays loaded, one step away
    roll_back       `<name>` answers from the version before
    discard         a staged version that was judged unfit disappears

Nothing that answers is ever loaded again for the sake of another version. A restarted server serves what was
live after `revive`; the version before is then loaded by `roll_back`.
One deployment at a time: the caller sees to it that two don't run for the same name.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from deploy import client
from deploy import repository as models
from deploy.errors import TritonError
from deploy.live_since import noted
from deploy.triton_server import TritonServer

KEEP = 3  # versions of an endpoint on disk, where a recipe says nothing else


def stage_version(server: TritonServer, name: str, version: int, exported: Path) -> str:
    """Load a version beside the live one and try it; the arguments are those of `add_version`.

    Returns:
        The model to ask (`<name>-candidate`) before the version goes live.

    Raises:
        TritonError: the version is live already, or Triton can't load or run it; then nothing of it is
            left and the live version has answered all along.
    """
    repository = Path(server.repository)
    if version == models.pinned_version(repository, name):
        raise TritonError(
            f"version {version} of {name} is live and can't be replaced; register a new version"
        )
    candidate = name + models.CANDIDATE
    models.add_version(repository, name, version, exported)
    try:
        _load_parts(server, name, version)
        models.write_endpoint(repository, candidate, name, version)
        client.load(candidate, server)
        client.probe(candidate, http_port=server.http_port)
    except BaseException:
        with contextlib.suppress(TritonError):
            discard(server, name, version)
        raise
    return candidate


def go_live(server: TritonServer, name: str, version: int, keep: int = KEEP) -> int | None:
    """Answer `<name>` from a staged version; the version before stays loaded for `roll_back`.

    Of older versions the newest stay on disk, so that `keep` are there in all.

    Returns:
        The version that was live before, None for the first.

    Raises:
        TritonError: no such version on disk, or it does not answer; then the version before goes on.
    """
    repository = Path(server.repository)
    previous = models.pinned_version(repository, name)
    if previous == version:
        revive(server, name)
    else:
        _switch(server, name, version, previous)
        _unload_others(server, name, version, previous)
        # What an older textmill deployed can't be gone back to.
        known = set(models.versions(repository, name))
        before = {previous or version} & known
        # One that is newer than these was gone back from.
        older = sorted(number for number in known if number < min({version, *before}))
        newest = older[max(0, len(older) - (keep - 2)) :]
        _remove_others(server, name, keep={version, *before, *newest})
    return previous


def revive(server: TritonServer, name: str) -> None:
    """Make the live version answer after a restart or the death of a process; one that answers goes on.

    Raises:
        TritonError: nothing is live, or it still does not answer.
    """
    version = models.pinned_version(Path(server.repository), name)
    if version is None:
        raise TritonError(f"no version of {name} is live; deploy one with `textmill run`")
    _demand_answer(server, name, version)


def rebuild(server: TritonServer, name: str, version: int, exported: Path) -> None:
    """Write the files of the live version anew, since they are damaged, and answer from them.

    Raises:
        TritonError: Triton can't load or run them.
    """
    repository = Path(server.repository)
    models.add_version(repository, name, version, exported)
    models.write_endpoint(repository, name, name, version)
    _load_parts(server, name, version)
    _demand_answer(server, name, version)


def roll_back(server: TritonServer, name: str) -> int:
    """Answer `<name>` from the version before and return its number.

    Raises:
        TritonError: as `version_before`, or it does not answer; then the live one goes on.
    """
    version = version_before(Path(server.repository), name)
    go_live(server, name, version)
    return version


def version_before(repository: Path, name: str) -> int:
    """The version that `roll_back` goes back to: the newest on disk that is older than the live one.

    Raises:
        TritonError: nothing is live, or there is no older version.
    """
    live = models.pinned_version(repository, name)
    if live is None:
        there = ", ".join(endpoints(repository))
        known = f"the endpoints are {there}" if there else "nothing is deployed here yet"
        raise TritonError(f"there is no endpoint {name!r}; {known}")
    older = [version for version in models.versions(repository, name) if version < live]
    if not older:
        raise TritonError(
            f"{name} has no version before {live} to go back to; `textmill deploy {name}@VERSION` serves any "
            "registered one"
        )
    return older[-1]


def discard(server: TritonServer, name: str, version: int) -> None:
    """Remove a version that is not live from the disk and from the server.

    Raises:
        TritonError: the version is live, or the server can't be reached (the disk is clean by then).
    """
    repository = Path(server.repository)
    if version == models.pinned_version(repository, name):
        raise TritonError(f"version {version} of {name} is live; roll back before it can be discarded")
    _remove_others(server, name, keep=set(models.versions(repository, name)) - {version})


def endpoints(repository: Path) -> list[str]:
    """The endpoints that are live according to the disk: what a restarted server has to serve."""
    return [name for name in models.endpoints(repository) if not name.endswith(models.CANDIDATE)]


def _switch(server: TritonServer, name: str, version: int, previous: int | None) -> None:
    repository = Path(server.repository)
    before = models.endpoint_config(repository, name)
    with noted(Path(server.home), name, version):
        models.write_endpoint(repository, name, name, version)
        try:
            _demand_answer(server, name, version)
        except BaseException:
            with contextlib.suppress(TritonError):
                if previous is None:
                    models.remove_endpoint(repository, name)
                    client.unload(name, server)
                else:
                    models.restore_endpoint(repository, name, previous, before)
                    client.load(name, server)
            raise


def _demand_answer(server: TritonServer, name: str, version: int) -> None:
    """Load the ensemble as it is on disk; where that does not help, start the version's processes anew."""
    client.load(name, server)
    if client.ready_version(name, http_port=server.http_port) == version:
        return
    # A dead process goes unnoticed: Triton loads again only what looks modified.
    models.touch(Path(server.repository), name, version)
    _load_parts(server, name, version)
    client.load(name, server)
    served = client.ready_version(name, http_port=server.http_port)
    if served != version:
        raise TritonError(f"{name} should answer from version {version}, but version {served} answers")


def _unload_others(server: TritonServer, name: str, version: int, before: int | None) -> None:
    """Versions that only lie on the disk take no memory."""
    for number in models.versions(Path(server.repository), name):
        if number not in (version, before):
            client.unload(models.model_of(name, number), server)


def _load_parts(server: TritonServer, name: str, version: int) -> None:
    """Load what the endpoint's step is to be; one that writes is that itself."""
    if not models.writes(Path(server.repository), name, version):
        client.load(models.model_of(name, version), server)


def _remove_others(server: TritonServer, name: str, keep: set[int]) -> None:
    """Remove the candidate and all versions not in `keep`, from the disk and then from the server."""
    repository, candidate = Path(server.repository), name + models.CANDIDATE
    models.remove_endpoint(repository, candidate)
    for model in [candidate, *models.prune(repository, name, keep)]:
        client.unload(model, server)
