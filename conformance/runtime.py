"""A runtime, known by its command line alone."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from conformance import spawn
from conformance.spawn import Outcome

GLOBAL_ROOT = "--root"


@attrs.frozen
class Runtime:
    """How to start a runtime: its name in reports, the words before the command, and its state directory."""

    name: str
    argv: tuple[str, ...]
    root: Path
    timeout: float = 20.0

    @classmethod
    def parse(cls, given: str, home: Path, *, timeout: float = 20.0) -> Runtime:
        """From ``runc``, ``/usr/bin/runc --debug`` or ``name=/path/to/runtime --option``.

        Raises:
            FileNotFoundError: the program is not there.
        """
        name, equals, words = given.partition("=")
        if not equals or "/" in name or " " in name:
            name, words = "", given
        argv = shlex.split(words)
        program = spawn.find(argv[0])
        name = name or Path(program).name
        return cls(name, (program, *argv[1:]), home / "state" / name, timeout)

    def command(self, verb: str, *args: str) -> tuple[str, ...]:
        """The whole command line of one operation."""
        return (*self.argv, GLOBAL_ROOT, str(self.root), verb, *args)

    def call(self, verb: str, *args: str, **how: Any) -> Outcome:
        """Run one operation to its end (see `spawn.call` for ``how``)."""
        how.setdefault("timeout", self.timeout)
        return spawn.call(self.command(verb, *args), **how)

    def version(self) -> str:
        """What ``--version`` prints, one line."""
        said = spawn.call((*self.argv, "--version"), timeout=self.timeout)
        lines = [line.strip() for line in said.stdout.decode("utf-8", "replace").splitlines() if line.strip()]
        return lines[0] if lines else f"(no version: {said.tell()})"

    def state(self, container: str) -> Mapping[str, Any] | None:
        """The parsed answer to ``state``, or None when there is none."""
        said = self.call("state", container)
        if not said.ok:
            return None
        answer = json.loads(said.stdout)
        return answer if isinstance(answer, dict) else None
