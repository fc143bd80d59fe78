"""A registered version with its build in MLflow, for the tests of what is done with one."""

from __future__ import annotations

import shutil
from pathlib import Path

from tasks.contract.artifact import Artifact, sha256_text
from tasks.contract.run import Run
from tasks.contract.workspace import Workspace
from tasks.deploy import DeployConfig, deploy
from tasks.register import registered_version
from tasks.tracking.version_files import EXPORTED, join_version
from tests.deploy.conftest import SENTENCES, Bundle
from tests.published import publish
from tests.release_artifacts import Release

TEXTS = [*SENTENCES, "snow", "a bank"]


class Candidate:
    """A registered version with its build, before it is deployed.

    Args:
        built: what its `export` made, and what is among the version's files.
        exported: what the artifact of `export` holds, when that is another.
    """

    def __init__(self, home: Path, name: str, built: Bundle, exported: Bundle | None = None) -> None:
        self.home, self.config = home, DeployConfig(compare=6)
        self.release = Release(home, name, texts=TEXTS, others={"seed": built.folder.name})
        self.registered = self.release.register()
        self.version = registered_version(self.registered, Workspace("deploy", "k", self.release.store, home))
        folder = shutil.copytree(built.folder, home / f"{name}-{built.folder.name}")
        join_version(EXPORTED, self.version, folder, {})
        key = sha256_text(f"{name} {built.folder}")
        directory = self.release.store.begin("export", key)
        shutil.copytree((exported or built).folder, directory / "onnx")
        self.exported = publish(self.release.store, directory, "export", key)

    def deploy(self, *, refresh: bool = False) -> Artifact:
        """Run the stage."""
        inputs = (self.release.made["examples"], self.registered, self.exported)
        return deploy.fn(*inputs, self.config, Run(self.home, refresh=["deploy"] if refresh else []))
