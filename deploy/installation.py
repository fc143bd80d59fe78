"""The files of the Triton server: where they are, whether they can work, and its backends in one folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import TritonError

# Says where the server's files are, and which libpython its Python backend loads.
DESCRIBE = Path(__file__).with_name("server_environment.py")
SEPARATORS = ":;"  # of the folders in PATH and LD_LIBRARY_PATH


@dataclass(frozen=True)
class Installation:
    """The files of the server's environment."""

    root: Path
    server: Path
    libraries: Path
    python: str
    libpython: Path


def find() -> Installation:
    """Locate the server's files in `$TEXTMILL_TRITON_ENV`, or in `.venv-triton` here or beside the code.

    Raises:
        TritonError: there are none, or they can't work as they are.
    """
    named = os.environ.get("TEXTMILL_TRITON_ENV")
    candidates = [Path(named)] if named else [Path.cwd(), Path(__file__).resolve().parents[1]]
    roots = candidates if named else [folder / ".venv-triton" for folder in candidates]
    # Not resolved: a virtual environment's python is a link, and its place says what is installed.
    root = next((root.absolute() for root in roots if (root / "bin" / "python").exists()), None)
    if root is None:
        places = " or ".join(str(place) for place in roots)
        raise TritonError(f"the Triton server is not installed: no {places}; run `make install`")
    if any(separator in str(root) for separator in SEPARATORS):
        raise TritonError(
            f"the Triton server can't be found by the system in {root}: ':' and ';' separate folders there; "
            "move it, or set TEXTMILL_TRITON_ENV to a copy of it elsewhere"
        )
    result = subprocess.run(
        [root / "bin" / "python", "-I", DESCRIBE],
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
    )
    if result.returncode:
        raise TritonError(f"{root}/bin/python does not work: {result.stderr.strip()}; run `make install`")
    parts = json.loads(result.stdout)
    if parts["package"] is None:
        raise TritonError(f"{root} has no nvidia-pytriton; run `make install`")
    # With NumPy 2 the backend doesn't fail: it passes wrong numbers on.
    if not (parts["numpy"] or "").startswith("1."):
        raise TritonError(f"{root} has NumPy {parts['numpy']}, Triton needs 1.x; run `make install`")
    if parts["library"] is None:
        raise TritonError(
            f"Triton's Python backend needs the shared library libpython{parts['python']}.so.1.0, which is "
            f"not on this machine; `apt-get install libpython{parts['python']}`"
        )
    package = Path(parts["package"])
    return Installation(
        root=root,
        server=package / "tritonserver",
        libraries=package.parent / "nvidia_pytriton.libs",
        python=parts["python"],
        libpython=Path(parts["library"]),
    )


def lay_out_backends(backends: Path, installation: Installation) -> None:
    """Copy the backends together (Triton refuses links that leave the backend directory)."""
    shutil.rmtree(backends, ignore_errors=True)
    (backends / "python").mkdir(parents=True)
    packaged = installation.server / "backends" / "python"
    stub = installation.server / "python_backend_stubs" / installation.python / "triton_python_backend_stub"
    for source in (packaged / "libtriton_python.so", packaged / "triton_python_backend_utils.py", stub):
        shutil.copyfile(source, backends / "python" / source.name)  # the mode is ours, not the package's
    (backends / "python" / stub.name).chmod(0o700)
