"""The log-in at our Prefect and MLflow servers: one random key per home, in a file that only its owner reads.

It never stands on a command line, in a log or in a record: other users see the first, and copies are made of
the others. Our own processes find it in their environment, browsers get it by links of `textmill status`.
"""

import json
import os
import secrets
from pathlib import Path
from urllib.parse import quote

from deploy.processes import LOOPBACK
from tasks.contract.errors import ServerError
from tasks.tracking import auth_middleware

ON_VARIABLE, HOSTS_VARIABLE = "TEXTMILL_LOGIN", "TEXTMILL_HOSTS"


def is_on() -> bool:
    """Whether servers that start now ask who is there: yes, unless TEXTMILL_LOGIN=off.

    Raises ServerError for another value.
    """
    value = os.environ.get(ON_VARIABLE) or "on"
    if value not in ("on", "off"):
        raise ServerError(f"{ON_VARIABLE}={value!r}: give `on` or `off`")
    return value == "on"


def key_file(home: Path) -> Path:
    """Where the key of a home's servers lies."""
    return home / "servers" / "key"


def login_key(home: Path) -> str | None:
    """The key of a home's servers; None before one of them was started, or where it can't be read."""
    try:
        return key_file(home).read_text(encoding="utf-8").strip()
    except OSError:
        return None


def make_key(home: Path) -> None:
    """Make the key unless it is there; only for who holds the lock of the home's servers."""
    if login_key(home) is None:
        # Not by `corpus.atomic`: the key is never for a moment in a file that others may read.
        temporary = key_file(home).with_suffix(".new")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as output:
            output.write(secrets.token_urlsafe(24))
        temporary.replace(key_file(home))


def header(home: Path) -> dict[str, str]:
    """The header that logs in at a home's servers."""
    secret = login_key(home)
    return {"Authorization": auth_middleware.basic(secret)} if secret else {}


def server_environment(server: str, home: Path, port: int) -> dict[str, str]:
    """What the middleware of a server is told, and what the server is told about itself.

    Raises ServerError for a wrong value of TEXTMILL_LOGIN.
    """
    hosts = hosts_of(port)
    origins = ",".join(f"{scheme}://{host}" for host in hosts for scheme in ("http", "https"))
    told = {
        auth_middleware.HOSTS_VARIABLE: ",".join(hosts),
        auth_middleware.KEY_FILE_VARIABLE: str(key_file(home)) if is_on() else "",
    }
    if server == "mlflow":
        return told | {
            "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(hosts),
            "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": origins,
        }
    return told | {
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": origins,
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        # Its pages ask the address that they came from, whatever it is called.
        "PREFECT_SERVER_UI_API_URL": "/api",
    }


def hosts_of(port: int) -> list[str]:
    """The names that a server of ours may be called by: those of loopback, and what TEXTMILL_HOSTS adds."""
    added = os.environ.get(HOSTS_VARIABLE, "").split(",")
    own = [f"{name}:{port}" for name in (LOOPBACK, "localhost", "[::1]")]
    return own + [host.strip() for host in added if host.strip()]


def client_environment(server: str, home: Path) -> dict[str, str]:
    """The variables by which a server's own clients log in; none before there is a key."""
    secret = login_key(home)
    if secret is None:
        return {}
    if server == "mlflow":
        return {"MLFLOW_TRACKING_USERNAME": auth_middleware.USER, "MLFLOW_TRACKING_PASSWORD": secret}
    # Only some of Prefect's WebSocket clients send the first, all of them send the second.
    return {
        "PREFECT_API_AUTH_STRING": f"{auth_middleware.USER}:{secret}",
        "PREFECT_CLIENT_CUSTOM_HEADERS": json.dumps(_custom_headers() | header(home)),
    }


def link(page: str, home: Path) -> str:
    """A page of our servers as a link that logs in; where nobody has to, the page itself."""
    secret = login_key(home)
    if secret is None or not is_on():
        return page
    scheme, _, rest = page.partition("://")
    host, slash, path = rest.partition("/")
    target = f"?next={quote(slash + path, safe='/')}" if path else ""
    return f"{scheme}://{auth_middleware.USER}:{secret}@{host}{auth_middleware.LOGIN_PAGE}{target}"


def _custom_headers() -> dict[str, str]:
    """Headers that the user has set for Prefect's clients, without the one that is ours to set."""
    try:
        headers = json.loads(os.environ.get("PREFECT_CLIENT_CUSTOM_HEADERS") or "{}")
    except ValueError:
        return {}  # Prefect says what is wrong with it
    return {name: value for name, value in headers.items() if name.lower() != "authorization"}
