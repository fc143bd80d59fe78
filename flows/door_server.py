"""The door as a server of this home: OpenAI's API and a page in front of Triton (deploy/door)."""

from __future__ import annotations

import json
import os
from pathlib import Path

from deploy.door import settings
from flows import environment, login
from flows.server_kinds import ModuleServer, Name
from tasks.contract.errors import ServerError

MOST_CONNECTIONS = 128


class Door(ModuleServer):
    """What nobody needs for a run: when it can't be started, that is said, and all else goes on."""

    name: Name = "door"
    ports = ("door",)
    health_page = version_page = "/health"

    def arguments(self, address: list[str], home: Path) -> list[str]:
        return [
            *("uvicorn", "--factory", "deploy.door.application:door", *address),
            *("--log-level", "warning", "--no-access-log", "--no-server-header", "--no-proxy-headers"),
            *("--limit-concurrency", str(MOST_CONNECTIONS), "--timeout-graceful-shutdown", "5"),
        ]

    def told(self, home: Path, port: int) -> dict[str, str]:
        key = os.environ.get(settings.KEY_VARIABLE, "")
        if fault := settings.fault_of_key(key):
            raise ServerError(f"the door can't ask for the key in {settings.KEY_VARIABLE}: {fault}")
        return {
            settings.HOSTS_VARIABLE: ",".join(login.hosts_of(port)),
            settings.TRITON_VARIABLE: str(home / "triton"),
            settings.KEY_VARIABLE: key,
        }

    def is_as_told(self) -> bool:
        """Whether the one that runs asks for the key that is set now, and takes all names that are.

        Where none is set now it keeps its own: a schedule knows no key, and must not open the door.
        """
        running = self.running()
        process = running.process.found() if running else None
        if running is None or process is None:
            return False
        has, wanted = process.environ(), self.told(environment.home(), running.ports[self.name])
        key, hosts = wanted[settings.KEY_VARIABLE], wanted[settings.HOSTS_VARIABLE].split(",")
        new_hosts = {*hosts} - {*has.get(settings.HOSTS_VARIABLE, "").split(",")}
        return not new_hosts and key in ("", has.get(settings.KEY_VARIABLE))

    def version_in(self, page: str) -> str:
        return str(json.loads(page)["version"])
