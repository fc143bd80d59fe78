"""The contract, on a small stage: keys, cached hits, damage, kills, races, full disks, Prefect."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from tasks.contract import console
from tasks.contract.artifact import Artifact, Manifest
from tasks.contract.errors import StageError
from tasks.contract.run import PENDING, Run, StageOutcome
from tasks.contract.stage import Stage, stage
from tasks.contract.workspace import Workspace
from tests.tasks.contract.counting import CountConfig, count, double, outcomes, walk

ROOT = Path(__file__).parents[3]


def test_second_run_finds_what_the_first_made(tmp_path: Path) -> None:
    first, second = outcomes(tmp_path), outcomes(tmp_path)
    assert [o.state for o in first + second] == ["made", "made", "cached", "cached"]
    assert [(o.key, o.digest) for o in first] == [(o.key, o.digest) for o in second]


def test_digest_does_not_depend_on_place_or_on_volatile_files(tmp_path: Path) -> None:
    here, there = outcomes(tmp_path / "a"), outcomes(tmp_path / "another")
    assert [(o.key, o.digest) for o in here] == [(o.key, o.digest) for o in there]
    clocks = {path.read_bytes() for path in tmp_path.glob("*/artifacts/count/*/clock.txt")}
    assert len(clocks) == 2


def test_key_sees_name_config_input_content_and_code(monkeypatch: pytest.MonkeyPatch) -> None:
    same = Artifact(stage="count", key="k", digest="d")
    keys = {
        double.key([same], CountConfig()),
        double.key([same], CountConfig(upto=4)),
        double.key([same.model_copy(update={"digest": "e"})], CountConfig()),
        Stage(double.function, ["corpus.documents"], (), double.is_current).key([same], CountConfig()),
        count.key([], CountConfig()),
    }
    assert len(keys) == 5
    assert double.key([same.model_copy(update={"key": "j"})], CountConfig()) in keys
    renamed = Stage(double.function, (), (), double.is_current)
    renamed.name = "triple"
    assert renamed.key([same], CountConfig()) not in keys


class Champion(BaseModel):
    version: int


@stage()
def compare(champion: Champion | None, config: CountConfig, workspace: Workspace) -> None:
    time.sleep(0.02)


def test_an_input_that_is_no_artifact_counts_by_its_fields_and_one_may_be_missing(tmp_path: Path) -> None:
    inputs = (None, Champion(version=1), Champion(version=2))
    assert len({compare.key([champion], CountConfig()) for champion in inputs}) == 3
    assert compare.key([Champion(version=1)], CountConfig()) == compare.key([inputs[1]], CountConfig())
    for champion in inputs:
        compare.fn(champion, CountConfig(), Run(tmp_path))
    recorded = [manifest.inputs["champion"] for manifest in Run(tmp_path).store.manifests()]
    assert sorted(recorded, key=str) == [None, {"version": 1}, {"version": 2}]


def test_an_artifact_says_how_many_seconds_it_took(tmp_path: Path) -> None:
    before = time.monotonic()
    compare.fn(None, CountConfig(), Run(tmp_path))
    [manifest] = Run(tmp_path).store.manifests()
    assert 0.02 <= manifest.seconds <= time.monotonic() - before + 0.001


@pytest.mark.parametrize("file", ["numbers.txt", "clock.txt"])
def test_flipped_byte_is_noticed_and_made_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    made = outcomes(tmp_path)
    path = tmp_path / "artifacts" / "count" / made[0].key[:32] / file
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    again = outcomes(tmp_path)
    assert [o.state for o in again] == ["made", "cached"]
    assert again[0].digest == made[0].digest
    assert f"count: the stored artifact is damaged ({file}); made anew" in capsys.readouterr().out


def test_damaged_manifest_is_made_anew(tmp_path: Path) -> None:
    made = outcomes(tmp_path)
    manifest = tmp_path / "artifacts" / "count" / made[0].key[:32] / "manifest.json"
    manifest.write_text(manifest.read_text(encoding="utf-8")[:50], encoding="utf-8")
    assert walk(tmp_path) == ["count made", "double cached"]
    assert Manifest.model_validate_json(manifest.read_bytes()).digest == made[0].digest


def test_refresh_given_skipped_and_planning(tmp_path: Path) -> None:
    assert walk(tmp_path, planning=True) == ["count pending", "double pending"]
    assert not (tmp_path / "artifacts").exists()
    with pytest.raises(StageError, match=r"^count: its artifact is not in .* with --from count$"):
        walk(tmp_path, given=["count"])
    assert walk(tmp_path, skipped=["double"]) == ["count made", "double skipped"]
    assert walk(tmp_path, planning=True) == ["count cached", "double pending"]
    assert walk(tmp_path, given=["count"]) == ["count cached", "double made"]
    assert walk(tmp_path, refresh=["count"]) == ["count made", "double cached"]
    assert walk(tmp_path, planning=True, refresh=["double"]) == ["count cached", "double pending"]


def test_in_a_flow_only_what_is_found_may_come_from_prefects_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Prefect makes of it is in test_stage_in_prefect.py."""
    refreshed: list[bool] = []

    def task(self: Stage, *, refresh: bool) -> Callable[..., Artifact]:
        refreshed.append(refresh)
        return self._make

    monkeypatch.setattr(Stage, "_task", task)
    monkeypatch.setattr(console, "in_prefect_run", lambda: True)
    monkeypatch.setattr(console, "show_markdown", lambda *page: None)
    assert walk(tmp_path) == ["count made", "double made"]
    assert walk(tmp_path) == ["count cached", "double cached"]
    assert walk(tmp_path, refresh=["double"]) == ["count cached", "double made"]
    assert refreshed == [True, True, False, False, False, True]
    assert walk(tmp_path, planning=True) == ["count cached", "double cached"]
    assert len(refreshed) == 6


def test_prefect_keeps_the_result_under_the_key_of_the_stage() -> None:
    task = count._task(refresh=True)
    assert (task.name, task.persist_result, task.refresh_cache) == ("count", True, True)
    assert not count._task(refresh=False).refresh_cache
    assert task.cache_policy.compute_key(None, {"key": "k", "config": 1}, {}) == "k"


def test_the_check_comes_once_before_the_first_stage_that_is_made(tmp_path: Path) -> None:
    def refuse() -> None:
        raise StageError("double can't be made of this")

    checks: list[str] = []
    with pytest.raises(StageError, match="of this"):
        walk(tmp_path, check=refuse)
    assert not list(tmp_path.glob("artifacts/*/*"))
    walk(tmp_path, check=lambda: checks.append("now"))
    assert checks == ["now"]
    assert walk(tmp_path, check=refuse) == ["count cached", "double cached"]
    assert walk(tmp_path, check=refuse, planning=True) == ["count cached", "double cached"]


def test_what_does_not_hold_outside_the_store_is_made_anew(tmp_path: Path) -> None:
    holds: list[bool] = [False, False, True]
    outside = Stage(count.function, (), (), lambda manifest, config, run: holds.pop(0))
    run = Run(tmp_path)
    first = outside.fn(CountConfig(), run)
    assert outside.fn(CountConfig(), run) == first
    assert holds == [True]
    assert outside.fn(CountConfig(), run) == first
    assert holds == []


def test_pending_input_is_never_used(tmp_path: Path) -> None:
    artifact = Artifact(stage="count", key="k", digest=PENDING)
    assert double(artifact, CountConfig(), Run(tmp_path)).digest == PENDING


def test_vanished_input_is_named(tmp_path: Path) -> None:
    gone = Artifact(stage="count", key="0" * 64, digest="f" * 64)
    with pytest.raises(StageError, match="the artifact ffffffffffff is no longer in"):
        double.fn(gone, CountConfig(), Run(tmp_path))


def test_expected_errors_pass_and_unexpected_ones_leave_a_traceback(tmp_path: Path) -> None:
    found: list[StageOutcome] = []
    run = Run(tmp_path, record=found.append)
    with pytest.raises(StageError, match=r"^first\nsecond$"):
        count(CountConfig(fails="expected"), run)
    with pytest.raises(StageError, match=r"^count: RuntimeError: first; the whole traceback is in ") as error:
        count(CountConfig(fails="unexpected"), run)
    [traceback] = tmp_path.glob("scratch/*/traceback.txt")
    assert str(error.value).endswith(str(traceback))
    assert "RuntimeError: first\nsecond" in traceback.read_text(encoding="utf-8")
    assert [(o.state, o.message) for o in found][1] == ("failed", str(error.value))
    assert list((tmp_path / "artifacts" / "count").iterdir()) == []


def test_configs_refuse_unknown_keys_and_are_frozen() -> None:
    with pytest.raises(ValidationError):
        CountConfig(uptoo=1)  # type: ignore[call-arg]
    with pytest.raises(ValidationError):
        CountConfig().upto = 2  # type: ignore[misc]


SLOW = """
import sys
from pathlib import Path
from model_code.config.strict import Config
from tasks.contract.run import Run
from tasks.contract.stage import stage
from tasks.contract.workspace import Workspace

@stage()
def slow(config: Config, workspace: Workspace) -> None:
    for number in range(10):
        (workspace.directory / f"{number}.txt").write_text(str(number) * 1000)
        if number == 5:
            print("half", flush=True)
            sys.stdin.readline()

print(slow.fn(Config(), Run(Path(sys.argv[1]))).digest, flush=True)
"""


@pytest.fixture
def start() -> Iterator[Callable[[Path], subprocess.Popen[str]]]:
    """Start the slow stage in a process of its own; it says `half` and goes on after a line of input."""
    started: list[subprocess.Popen[str]] = []

    def begin(home: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", SLOW, str(home)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True, encoding="utf-8"
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_killed_writer_leaves_nothing_visible_and_the_next_makes_the_same(
    tmp_path: Path, start: Callable[[Path], subprocess.Popen[str]]
) -> None:
    killed, undisturbed = start(tmp_path / "a"), start(tmp_path / "b")
    assert said(killed) == "half"
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert list(Run(tmp_path / "a").store.manifests()) == []
    assert len(list((tmp_path / "a").glob("artifacts/slow/.*.tmp/*.txt"))) == 6
    again = start(tmp_path / "a")
    digests = {process.communicate("go on\n")[0].split()[-1] for process in (again, undisturbed)}
    assert len(digests) == 1
    [artifact] = (tmp_path / "a" / "artifacts" / "slow").iterdir()
    assert len(list(artifact.iterdir())) == 11


def test_two_at_once_end_with_one_artifact(
    tmp_path: Path, start: Callable[[Path], subprocess.Popen[str]]
) -> None:
    first = start(tmp_path)
    assert said(first) == "half"
    second = start(tmp_path)
    assert said(second) == "slow: another run is making this artifact; waiting for it"
    made, _ = first.communicate("go on\n")
    found, error = second.communicate()
    assert (found, error) == (made, "")  # and not "half": it wrote nothing itself
    assert len(list((tmp_path / "artifacts" / "slow").iterdir())) == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount a small file system to fill")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_full_disk_is_said_and_cleared(small_disk: Path) -> None:
    home = small_disk / "home"

    @stage()
    def fill(config: CountConfig, workspace: Workspace) -> None:
        (workspace.directory / "zeros").write_bytes(bytes(config.upto))

    with pytest.raises(StageError, match=r"^fill: the disk is full while writing .*`textmill gc`"):
        fill.fn(CountConfig(upto=2_000_000), Run(home))
    assert list((home / "artifacts" / "fill").iterdir()) == []
    # It fits to the last page, but then there is no room for the manifest.
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    with pytest.raises(StageError, match="the disk is full"):
        fill.fn(CountConfig(upto=free), Run(home))
    assert list((home / "artifacts" / "fill").iterdir()) == []
    assert fill.fn(CountConfig(upto=100_000), Run(home)).digest != PENDING


@pytest.fixture
def foreign_folder() -> Iterator[Path]:
    """A folder that this process may neither read nor write."""
    if os.geteuid():
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0)
            yield Path(folder)
            Path(folder).chmod(0o700)
    else:
        with tempfile.TemporaryDirectory() as folder:
            os.seteuid(65534)
            yield Path(folder)
            os.seteuid(0)


def test_missing_permission_is_said(foreign_folder: Path) -> None:
    for home in (foreign_folder, foreign_folder / "home"):
        with pytest.raises(StageError, match=r"count: no permission to write .*TEXTMILL_HOME"):
            count(CountConfig(), Run(home))


def test_another_version_of_a_library_is_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def of_version(number: str) -> str:
        monkeypatch.setattr("tasks.contract.stage.version", lambda library: number)
        return stage(libraries=("ftfy",))(count.function).code

    assert of_version("6.3.1") == of_version("6.3.1") != of_version("6.4")


def test_what_an_unforeseen_error_quotes_stays_in_its_file(tmp_path: Path) -> None:
    error = ValueError("could not convert string to float: 'The zebra whispered purple thunder yesterday.'")
    said = str(count._unexpected(error, "k" * 64, Run(tmp_path)))
    assert "count: ValueError: could not convert string to float: '…'" in said
    [traceback] = tmp_path.glob("scratch/*/traceback.txt")
    assert "purple thunder" in traceback.read_text(encoding="utf-8")
