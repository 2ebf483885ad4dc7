"""A bundle: a directory with a root file system and a configuration (bundle.md)."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import attrs

from ociruntime.explain.problem import Problem
from ociruntime.library.command import find_program
from ociruntime.model import Spec, from_json, to_json


def default_spec(*args: str, rootfs: str = "rootfs") -> Spec:
    """The configuration of `ociruntime spec` to begin with, without a terminal, for this program and its arguments."""
    from ociruntime.commands.spec import example

    spec = from_json(Spec, example(cgroup_namespace=False))
    assert spec.process and spec.root
    spec.process.terminal = False
    spec.process.args = list(args)
    spec.root.path = rootfs
    return spec


@attrs.define
class Bundle:
    """A bundle on disk and its configuration in memory; `save` writes the one to the other."""

    path: Path
    spec: Spec

    @classmethod
    def load(cls, path: str | Path) -> Bundle:
        """Read and check config.json. Raises ConfigError with line and column."""
        from ociruntime.core.spec.load import load_config

        path = Path(path).absolute()
        document, _ = load_config(str(path / "config.json"))
        return cls(path=path, spec=from_json(Spec, dict(document)))

    @classmethod
    def new(cls, path: str | Path, spec: Spec) -> Bundle:
        """A bundle with this configuration, written at once."""
        bundle = cls(path=Path(path).absolute(), spec=spec)
        bundle.path.mkdir(parents=True, exist_ok=True)
        bundle.save()
        return bundle

    def problems(self, *, host: bool = True) -> list[Problem]:
        """All that is wrong with the bundle on disk, and what deserves a warning, as `ociruntime validate` says it.

        `host` is whether this host shall run it. Nothing is raised.
        """
        words = [find_program(), "validate", "--format", "json", *([] if host else ["--no-host"]), str(self.path)]
        said = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False).stdout
        return [Problem(**problem) for problem in json.loads(said)["problems"]]

    def check(self) -> None:
        """Judge the configuration in memory as `create` would. Raises ConfigError."""
        from ociruntime.core.spec.check import check

        check(to_json(self.spec))

    def save(self) -> None:
        """Write config.json, complete or not at all. Raises ConfigError for what would be refused."""
        self.check()
        hidden = self.path / ".config.json"
        hidden.write_text(json.dumps(to_json(self.spec), indent=2) + "\n")
        hidden.rename(self.path / "config.json")
