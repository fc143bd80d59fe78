"""What the door is told when it starts: by the command, in its environment, where no other user can read."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

HOSTS_VARIABLE, TRITON_VARIABLE = "TEXTMILL_DOOR_HOSTS", "TEXTMILL_DOOR_TRITON"
KEY_VARIABLE = "TEXTMILL_API_KEY"


@dataclass(frozen=True)
class DoorSettings:
    """Names that the door may be called by, Triton's home, and the key that has to be known, if any."""

    hosts: frozenset[str]
    triton_home: Path
    key: str | None = field(default=None, repr=False)

    @classmethod
    def from_environment(cls) -> Self:
        """As the command that started this process has chosen.

        Raises KeyError when it chose nothing: the door never stands open by oversight.
        """
        hosts = frozenset(os.environ[HOSTS_VARIABLE].split(","))
        return cls(hosts, Path(os.environ[TRITON_VARIABLE]), os.environ.get(KEY_VARIABLE) or None)


def fault_of_key(key: str) -> str:
    """Why a key can't be asked for; "" if it can. It travels in a header."""
    if not key.isascii() or not key.isprintable() or " " in key:
        return "use letters, digits and signs of ASCII, without blanks"
    return ""
