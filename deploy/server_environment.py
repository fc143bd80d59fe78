"""What Triton needs of its Python environment. Run by that environment's own interpreter, not imported.

Prints as JSON where the parts are. The Python backend loads a shared libpython, which Debian's and Ubuntu's
python3 come without; with `--complete` (`make install`) the distribution's package is fetched and unpacked
into the environment, for which nobody has to be root.
"""

import json
import subprocess
import sys
import sysconfig
import tempfile
from importlib import metadata, util
from pathlib import Path

VERSION = "{}.{}".format(*sys.version_info)
LIBRARY = f"libpython{VERSION}.so.1.0"


def library_folder() -> str | None:
    """The folder of the shared libpython: the interpreter's, the system's, or this environment's."""
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    roots = [Path(sys.base_prefix), Path("/usr"), Path(sys.prefix) / "usr"]
    folders = [Path(sysconfig.get_config_var("LIBDIR") or "/usr/lib"), Path("/usr/lib64")]
    folders += [root / "lib" / part for root in roots for part in ("", multiarch)]
    return next((str(folder) for folder in folders if (folder / LIBRARY).exists()), None)


def describe() -> dict[str, str | None]:
    """The versions and places that the launcher asks for."""
    spec = util.find_spec("pytriton")
    numpy = [found.version for found in metadata.distributions() if found.name == "numpy"]
    return {
        "python": VERSION,
        "numpy": numpy[0] if numpy else None,
        "package": str(Path(spec.origin).parent) if spec and spec.origin else None,
        "library": library_folder(),
    }


def fetch_library() -> None:
    """Unpack the distribution's libpython package below this environment's prefix."""
    package = f"libpython{VERSION}"
    try:
        with tempfile.TemporaryDirectory() as folder:
            command = ["apt-get", "download", "--quiet", package]
            subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, encoding="utf-8")
            for archive in Path(folder).glob("*.deb"):
                subprocess.run(["dpkg", "-x", str(archive), sys.prefix], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[0]
        sys.exit(
            f"Triton's Python backend needs {LIBRARY}, which is not installed and could not be fetched "
            f"({reason}). As root: apt-get update && apt-get install {package}; then run make again"
        )


if __name__ == "__main__":
    if "--complete" in sys.argv and library_folder() is None:
        fetch_library()
    print(json.dumps(describe()))
