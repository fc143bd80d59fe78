"""Whether a Prefect or an MLflow server of the user's own can be used, found out before work begins.

Its clients would try for minutes and end with a page of Python. Here an address is asked once, for a few
seconds, in the way that the client will ask it: through the same proxies and with the same certificates.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

from corpus.proxies import reach_directly
from corpus.redaction import redacted
from tasks.contract.errors import ServerError

SECONDS = 5.0
VARIABLES = {"prefect": "PREFECT_API_URL", "mlflow": "MLFLOW_TRACKING_URI"}
TITLES = {"prefect": "Prefect", "mlflow": "MLflow"}
# What the page `/health` of either says when all is well; any web server may answer 200.
HEALTHY = {"prefect": "true", "mlflow": "OK"}
SHOWS = {"prefect": "a Prefect API, whose address ends in /api", "mlflow": "an MLflow server"}
LONGEST_ANSWER = 1000  # bytes


def check(server: str, url: str) -> None:
    """Refuse a server that can't be used.

    Args:
        server: `prefect` (its address ends in /api) or `mlflow`.

    Raises:
        ServerError: one sentence with the variable, the address, what was found and the way out.
    """
    if wrong := server_fault(server, url):
        variable, title = VARIABLES[server], TITLES[server]
        raise ServerError(
            f"{variable}={_printable(redacted(url))} {wrong}; start that {title}, put the address right, or "
            f"unset {variable}, and textmill starts a server of its own"
        )


def server_fault(server: str, url: str, seconds: float = SECONDS) -> str | None:
    """What is wrong with a server, as the rest of a sentence about it; None when its health page is right."""
    import requests

    if url != url.strip() or not url.isprintable():
        return "has blanks or a line end around it or in it"
    if not _host(url):
        return "is no address of a server (http://HOST:PORT or https://HOST)"
    reach_directly(_host(url))
    try:
        known = as_client(server)
        with requests.get(f"{url.rstrip('/')}/health", timeout=seconds, stream=True, **known) as answer:
            code, said = answer.status_code, next(answer.iter_content(LONGEST_ANSWER), b"")
    except requests.Timeout:
        return f"does not answer within {seconds:.0f} s"
    except (requests.RequestException, OSError, ValueError) as error:
        return f"does not answer ({_reason(error)})"
    if code in (401, 403):
        return f"refuses the log-in of the environment ({code})"
    if code != 200:
        return f"answers with {code}"
    if said.decode("utf-8", errors="replace").strip() != HEALTHY[server]:
        return f"answers, but not as {SHOWS[server]}"
    return None


def _printable(url: str) -> str:
    return url if url.isprintable() else repr(url)


def _host(url: str) -> str:
    """The host of an address that a client can ask, "" for any other."""
    try:
        parts = urlsplit(url)
        return (parts.hostname or "") if parts.scheme in ("http", "https") else ""
    except ValueError:  # http://[::1
        return ""


def as_client(server: str) -> dict[str, Any]:
    """Certificates and credentials for `requests`, from where the server's own client takes them."""
    get = os.environ.get
    if server == "prefect":
        key, pair = get("PREFECT_API_KEY"), get("PREFECT_API_AUTH_STRING", "")
        insecure, bundle = get("PREFECT_API_TLS_INSECURE_SKIP_VERIFY"), get("PREFECT_API_SSL_CERT_FILE")
        user, _, password = pair.partition(":")
    else:
        key, user = get("MLFLOW_TRACKING_TOKEN"), get("MLFLOW_TRACKING_USERNAME", "")
        password = get("MLFLOW_TRACKING_PASSWORD", "")
        insecure, bundle = get("MLFLOW_TRACKING_INSECURE_TLS"), get("MLFLOW_TRACKING_SERVER_CERT_PATH")
    known: dict[str, Any] = {"headers": {"Authorization": f"Bearer {key}"}} if key else {}
    if user and not key:
        known["auth"] = (user, password)
    if (insecure or "").lower() in ("1", "true"):
        known["verify"] = False
    elif bundle:
        known["verify"] = bundle
    return known


def _reason(error: Exception) -> str:
    """Why a request failed, in the words of the system, not in those of three libraries around it."""
    import socket
    import ssl

    import requests

    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy of the environment refuses or does not answer"
    inner: Any = error
    for _ in range(8):  # it stands at the end of a chain, as `reason`, as an argument or as a cause
        chain = (getattr(inner, "reason", None), *inner.args, inner.__cause__, inner.__context__)
        deeper = next((one for one in chain if isinstance(one, BaseException)), None)
        if deeper is None:
            break
        inner = deeper
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({inner.verify_message})"
    if isinstance(inner, socket.gaierror):
        return "its name is not known here"
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror.lower()
    return " ".join(str(inner).split())[:200] or type(inner).__name__
