"""Run the real Triton Inference Server as a local process, without Docker.

The wheel `nvidia-pytriton` carries the server binary and the Python backend; only these files are used,
from an environment of their own (the server needs NumPy 1, the pipeline has NumPy 2). The server outlives
the command that started it; `<home>/server.json` says which process it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from deploy import access, hidden_arguments, installation
from deploy.errors import TritonError
from deploy.installation import Installation
from deploy.processes import LOOPBACK, Process, is_free, owner, wait_until_ended, works_in

HOST = LOOPBACK
STOP_SECONDS = 15.0
ANSWER_SECONDS = 10.0
REPOSITORY, BACKENDS, ENVIRONMENT = "models", "backends", "environment"  # in the home
# The home as the server and the processes of its models see it: it is their working directory. They are
# started by a line of shell without quotes, and their Python knows ASCII only; so the names of the home and
# of the environment, which may have blanks, quotes and any letters, never reach them.
SEEN = Path("/proc/self/cwd")
SHARED_MEMORY = Path("/dev/shm")
HARMLESS_LOG = ("nvml", "dcgm", "cuda", "gpu")


@dataclass(frozen=True)
class TritonServer:
    """One running server: its process (deploy/processes.py) and addresses.

    `key` is what its control API demands; a server of an older version had none.
    """

    home: str
    repository: str
    pid: int
    started: str
    http_port: int
    grpc_port: int
    metrics_port: int
    key: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """The HTTP address."""
        return f"http://{HOST}:{self.http_port}"


def start(
    home: Path,
    *,
    http_port: int = 8000,
    grpc_port: int = 8001,
    metrics_port: int = 8002,
    timeout: float = 60.0,
) -> TritonServer:
    """Start the server, detached, and return once it is ready; a running one of this home is returned as is.

    It serves nothing yet: what was live is loaded afterwards, each endpoint by itself.

    Args:
        home: folder for the model repository (`models`), the backends, `triton.log` and `server.json`. Any
            name does.
        timeout: seconds until the server must be ready.

    Raises:
        TritonError: not installed, a port is taken, or the server did not become ready.
    """
    home = home.resolve()
    repository = home / REPOSITORY
    home.mkdir(parents=True, exist_ok=True)
    repository.mkdir(parents=True, exist_ok=True)
    with _lock(home):
        if running := find(home):
            return running
        installed = installation.find()
        stop(home)  # what a killed server left behind
        for port in (http_port, grpc_port, metrics_port):
            if not is_free(port):
                raise TritonError(
                    f"port {port} on {HOST} can't be used by Triton: it is taken by {owner(port)}; end it or "
                    "choose another port"
                )
        installation.lay_out_backends(home / BACKENDS, installed)
        ports = {"http_port": http_port, "grpc_port": grpc_port, "metrics_port": metrics_port}
        log_start = _log(home).stat().st_size if _log(home).exists() else 0
        key = access.new_key()
        process = _launch(home, installed, _arguments(home, ports), access.flags(key))
        started = Process.named(process.pid).started
        server = TritonServer(str(home), str(repository), process.pid, started, **ports, key=key)
        _write_record(server)
        try:
            _wait_until_ready(server, process, timeout, log_start)
        except BaseException:
            stop(home)
            raise
        return server


def find(home: Path) -> TritonServer | None:
    """The server of this home when its process lives and answers `/v2/health/live`, else None.

    One that an older version started, which anybody can command, counts as none: the next start replaces it.
    """
    home = home.resolve()
    server = _read_record(home)
    # Started before the home got its place here, its record names another.
    if server is None or server.home != str(home) or not server.key or _process(server, home) is None:
        return None
    return server if _answers(server, "live") else None


def recorded(home: Path) -> TritonServer | None:
    """The server that was started here and not ended since, whether its process lives or not."""
    return _read_record(home.resolve())


def lives(home: Path) -> bool:
    """Whether the process of the recorded server does; it may be busy and not answer."""
    home = home.resolve()
    server = _read_record(home)
    return server is not None and _process(server, home) is not None


def stop(home: Path) -> bool:
    """End the server of this home and what it left behind; says whether one was running.

    Only the recorded process is ended (pid and create time), never one that inherited its number.
    """
    home = home.resolve()
    server = _read_record(home)
    process = _process(server, home) if server else None
    if process:
        process.terminate()
        for stubborn in wait_until_ended([process], STOP_SECONDS):
            stubborn.kill()
            wait_until_ended([stubborn], STOP_SECONDS)
    _sweep(home)
    _record(home).unlink(missing_ok=True)
    return process is not None


def _arguments(home: Path, ports: dict[str, int]) -> list[str]:
    flags = {
        "model-repository": SEEN / REPOSITORY,
        "backend-directory": SEEN / BACKENDS,
        "model-control-mode": "explicit",
        "exit-timeout-secs": 5,
        "allow-gpu-metrics": "false",
        "http-address": HOST,
        "grpc-address": HOST,
        "metrics-address": HOST,
        **{name.replace("_", "-"): port for name, port in ports.items()},
    }
    region = f"shm-region-prefix-name={_shared_memory_prefix(home)}"
    return [
        "--disable-auto-complete-config",
        *(f"--{flag}={value}" for flag, value in flags.items()),
        f"--backend-config=python,{region}",
    ]


def _launch(
    home: Path, installed: Installation, arguments: list[str], secret: list[str]
) -> subprocess.Popen[bytes]:
    (home / ENVIRONMENT).unlink(missing_ok=True)
    (home / ENVIRONMENT).symlink_to(installed.root)
    # A short list instead of os.environ: no secret of the caller reaches the server or its models.
    variables = {
        "PATH": f"{SEEN / ENVIRONMENT / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "LD_LIBRARY_PATH": f"{installed.libraries}:{installed.libpython}",
        "OPENBLAS_NUM_THREADS": "1",  # several wait for each other on a busy machine
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TOKENIZERS_PARALLELISM": "false",
        "ORT_DISABLE_TELEMETRY": "1",
    }
    with _log(home).open("ab") as log:
        return hidden_arguments.spawn(
            [installed.server / "bin" / "tritonserver", *arguments],
            secret,
            variables,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _wait_until_ready(
    server: TritonServer, process: subprocess.Popen[bytes], timeout: float, log_start: int
) -> None:
    deadline = time.monotonic() + timeout
    while not _answers(server, "ready"):
        if process.poll() is not None:
            raise TritonError(f"Triton did not start: {_complaints(server, log_start)}")
        if time.monotonic() > deadline:
            raise TritonError(f"Triton is not ready after {timeout:g} s: {_complaints(server, log_start)}")
        time.sleep(0.1)


def _complaints(server: TritonServer, log_start: int) -> str:
    """The last errors this start wrote to the log, without the lines that every CPU machine gets."""
    with _log(Path(server.home)).open("rb") as log:
        log.seek(log_start)
        lines = log.read().decode("utf-8", errors="replace").splitlines()
    telling = [line for line in lines if line and not any(word in line.lower() for word in HARMLESS_LOG)]
    errors = [line for line in telling if line.startswith("E") or line.startswith("error")]
    # A Python backend's traceback follows its reason on the same line, after an escaped "At:".
    reasons = [line.split(r"\n\nAt:")[0] for line in (errors or telling)[-5:]]
    shown = "\n".join(reasons) or "it wrote nothing"
    return f"{shown}\nThe whole log: {_log(Path(server.home))}"


def _answers(server: TritonServer, question: str) -> bool:
    # Whoever is busy gets the time: a server taken for dead would be ended, with what it is answering.
    connection = http.client.HTTPConnection(HOST, server.http_port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", f"/v2/health/{question}")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _sweep(home: Path) -> None:
    """Remove this home's orphaned stubs and shared memory; both carry the home's own prefix."""
    prefix = _shared_memory_prefix(home)
    for process in psutil.process_iter(["name", "cmdline"]):
        arguments = " ".join(process.info["cmdline"] or ())
        if "triton_python_backend_stub" in arguments and prefix in arguments:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    for region in SHARED_MEMORY.glob(f"{prefix}*"):
        region.unlink(missing_ok=True)


def _shared_memory_prefix(home: Path) -> str:
    return f"triton_textmill_{hashlib.sha256(str(home).encode()).hexdigest()[:12]}_"


def _process(server: TritonServer, home: Path) -> psutil.Process | None:
    """The server's process if it lives and works here: a record is copied with its home, a process is not."""
    process = Process(server.pid, server.started).found()
    return process if process and works_in(process.pid, home) else None


def _read_record(home: Path) -> TritonServer | None:
    try:
        return TritonServer(**json.loads(_record(home).read_text(encoding="utf-8")))
    except (FileNotFoundError, json.JSONDecodeError, TypeError):
        return None


def _write_record(server: TritonServer) -> None:
    """Nobody else may read it: it holds the key. By hand, since `deploy` imports nothing of ours."""
    record = _record(Path(server.home))
    fresh = record.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(asdict(server)), encoding="utf-8")
    fresh.replace(record)


def _record(home: Path) -> Path:
    return home / "server.json"


def _log(home: Path) -> Path:
    return home / "triton.log"


@contextlib.contextmanager
def _lock(home: Path) -> Iterator[None]:
    """Two commands that start at once end with one server."""
    with (home / "start.lock").open("w", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
