"""One call of the runtime's program: its words, its log, and its failure as an exception."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import attrs

from ociruntime.core import errors
from ociruntime.core.errors import Failure, HostError


def find_program() -> str:
    """The `ociruntime` beside this interpreter, or on PATH. Raises HostError."""
    beside = Path(sys.executable).parent / "ociruntime"
    found = str(beside) if beside.exists() else shutil.which("ociruntime")
    if not found:
        raise HostError("the program ociruntime is not installed", code="installation", hint="pip install ociruntime")
    return found


@attrs.frozen
class Settings:
    """The options before the command, the same for all calls of a Runtime."""

    program: str = attrs.field(factory=find_program)
    root: str | None = None
    systemd_cgroup: bool = False

    def words(self, log: str, *command: str) -> list[str]:
        """A whole command line; the log is JSON in a file of its own."""
        options = ["--log", log, "--log-format", "json"]
        if self.root is not None:
            options += ["--root", self.root]
        if self.systemd_cgroup:
            options.append("--systemd-cgroup")
        return [self.program, *options, *command]


def failure_of(status: int, log: bytes, said: bytes) -> Failure:
    """The exception for a call that failed: rebuilt from its log, with the runtime's own words otherwise."""
    records = [json.loads(line) for line in log.splitlines() if line.startswith(b"{")]
    for record in reversed(records):
        if record.get("level") == "error":
            return _rebuilt(record)
    words = said.decode(errors="replace").strip().splitlines()
    return Failure(words[-1] if words else f"the runtime ended with status {status}")


def _rebuilt(record: dict[str, Any]) -> Failure:
    kind = getattr(errors, record.get("kind", ""), Failure)
    failure: Failure = kind(
        record["msg"],
        code=record.get("code", ""),
        origin=record.get("origin", ""),
        errno=record.get("errno", 0),
        hint=record.get("hint", ""),
    )
    failure.step = record.get("step", failure.step)
    failure.place = (record.get("line", 0), record.get("column", 0))
    return failure


def exec_words(pid_file: str, process: str) -> list[str]:
    """`exec` of a process document, in the foreground: its end is the process's."""
    return ["exec", "--pid-file", pid_file, "--process", process]
