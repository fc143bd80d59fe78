"""Ports for servers that a test starts."""

from __future__ import annotations

import random
import socket

# Below those that the system gives to outgoing connections, which would take one before the server does.
RANGE = range(18_000, 32_000)


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody listens on, drawn at random: tests run side by side."""
    found: list[int] = []
    for port in random.SystemRandom().sample(RANGE, len(RANGE)):
        if len(found) == count:
            break
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
    return found
