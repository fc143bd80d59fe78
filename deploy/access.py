"""Who may command Triton: whoever knows the key of this start.

Triton's control API loads models, and a Python model is a program: without a key, every local user, and every
web page through a plain form, could run code as the server's owner. Questions, metadata and health stay open.
"""

from __future__ import annotations

import secrets

RESTRICTED = ("model-repository", "shared-memory", "model-config", "statistics", "trace", "logging")
HEADER = "textmill-key"  # of an HTTP request


def new_key() -> str:
    """A key for one start of the server: 256 random bits in hexadecimal."""
    return secrets.token_hex(32)


def flags(key: str) -> list[str]:
    """The server's arguments that demand the key; they hold it, so nobody else may see them."""
    demand = f"{','.join(RESTRICTED)}:{HEADER}={key}"
    return [f"--http-restricted-api={demand}", f"--grpc-restricted-protocol={demand}"]


def grpc_headers(key: str) -> dict[str, str]:
    """The metadata of a gRPC call to a restricted API."""
    return {f"triton-grpc-protocol-{HEADER}": key}
