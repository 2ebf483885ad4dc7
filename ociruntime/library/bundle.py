"""A bundle: a directory with a root file system and a configuration (bundle.md)."""

from __future__ import annotations

import json
from pathlib import Path

import attrs

from ociruntime.model import Spec, from_json, to_json


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
