"""Runs the commands that a page shows, and compares what they print with what the page says.

A block fenced as `console` holds commands after `$ ` (continued after `> `), each with its output:

    ```console
    $ echo one; echo two
    one
    ...
    ```

A line `...` stands for any number of lines, `…` for any text within a line. A command that shows no
output has to succeed. One shell runs the whole page, in a new directory. A word after `console` says
where the block holds: `cgroup-v1` or `cgroup-v2`.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from attrs import frozen

DEADLINE: Final = 300  # seconds for one command; only reached when something hangs
REPOSITORY: Final = Path(__file__).parents[2]
ELLIPSIS: Final = "\u2026"

HERE: Final = {"cgroup-v2" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "cgroup-v1"}


@frozen
class Command:
    """One command of a page, with what it is to print."""

    line: int
    text: str
    output: str


def commands(page: Path) -> list[Command]:
    """All commands of the blocks that hold on this host, in order."""
    found: list[Command] = []
    fence, holds = "", False
    for number, line in enumerate(page.read_text().splitlines(), start=1):
        if line.startswith("```"):
            fence = "" if fence else line
            kind, *conditions = fence.removeprefix("```").split() or [""]
            holds = kind == "console" and set(conditions) <= HERE
        elif not holds:
            continue
        elif line.startswith("$ "):
            found.append(Command(number, line[2:], ""))
        elif not found:
            raise ValueError(f"{page}:{number}: output before the first command")
        else:
            last = found.pop()
            more = line.startswith("> ") or line == ">"
            text, output = (
                (last.text + "\n" + line[2:], last.output) if more else (last.text, last.output + line + "\n")
            )
            found.append(Command(last.line, text, output))
    return found


def matches(shown: str, printed: str) -> bool:
    """Whether a page's output, with its `...` and `…`, describes what was printed."""
    pattern = "".join(
        "(?:.*\n)*" if line == "...\n" else ".*".join(re.escape(part) for part in line.split(ELLIPSIS))
        for line in shown.splitlines(keepends=True)
    )
    lines = "".join(line.rstrip() + "\n" for line in printed.splitlines())
    return re.fullmatch(pattern, lines) is not None


class Shell:
    """A bash that runs one command after the other."""

    def __init__(self, place: Path, runtime: str) -> None:
        self.place = place
        self._work = place / "work"
        self._control = place / "control"
        for directory in (self._work, self._control, self._control / "bin"):
            directory.mkdir()
            directory.chmod(0o755)
        (self._control / "bin/ociruntime").symlink_to(runtime)
        # A link to the interpreter of a virtual environment would not find its packages.
        (self._control / "bin/python3").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        (self._control / "bin/python3").chmod(0o755)
        (self._control / "stdin").touch()  # not /dev/null: a runtime may give its stdin to another user
        path = f"{self._control}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        self._process = subprocess.Popen(
            ["/bin/bash", "--noprofile", "--norc"],
            cwd=self._work,
            env={"PATH": path, "LC_ALL": "C", "HOME": str(self._work), "PYTHONPATH": str(REPOSITORY)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    @property
    def pid(self) -> int:
        """What the page knows as `$$`, by which it tells its cgroups from those of others."""
        return self._process.pid

    def run(self, command: str) -> tuple[str, int]:
        """Output, standard error included, and exit status of one command."""
        assert self._process.stdin and self._process.stdout
        (self._control / "command").write_text(command + "\n")
        control = self._control
        line = f". {control}/command <{control}/stdin >{control}/output 2>&1; echo $?\n"
        self._process.stdin.write(line.encode())
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], DEADLINE)[0]:
            raise TimeoutError(f"{command!r}: no end within {DEADLINE} s")
        status = int(self._process.stdout.readline())
        printed = (self._control / "output").read_text(errors="replace")
        # bash tells of a killed command by file and line; at a prompt it tells of neither.
        return printed.replace(f"{control}/command: line ", "bash: line "), status

    def close(self) -> None:
        """End the shell; what it left running is the page's fault, see `end_leftovers`."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def shell(runtime: str) -> Iterator[Shell]:
    """A shell in a new directory; raises AssertionError if a mount or process of it is there afterwards."""
    place = Path(tempfile.mkdtemp(prefix="console-"))
    place.chmod(0o755)
    opened = Shell(place, runtime)
    try:
        yield opened
    finally:
        opened.close()
        left = end_leftovers(place) + remove_cgroups(opened.pid)
        shutil.rmtree(place)
    assert left == [], f"left behind: {left}"


def check(page: Path, runtime: str) -> int:
    """Run all commands of a page; raises AssertionError for the first that prints something else.

    Returns how many were run. Nothing of the page may be left on the host.
    """
    todo = commands(page)
    with shell(runtime) as opened:
        for command in todo:
            printed, status = opened.run(command.text)
            where = f"{page.name}:{command.line}: $ {command.text}"
            assert matches(command.output, printed), f"{where}\nshown:\n{command.output}\nprinted:\n{printed}"
            assert command.output or status == 0, f"{where}\nexit status {status}"
    return len(todo)


def end_leftovers(place: Path) -> list[str]:
    """Unmount and end what on the host has to do with a directory; returns what that was."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(place) in line]
    processes = [path.parent.name for path in Path("/proc").glob("[0-9]*/cwd") if _leads(path, place)]
    for target in reversed(mounts):
        subprocess.run(["umount", "--lazy", target], check=True)
    for pid in processes:
        os.kill(int(pid), signal.SIGKILL)
    return mounts + [f"process {pid}" for pid in processes]


def cgroups() -> Iterator[Path]:
    """All cgroups of the host. Others come and go meanwhile, which `Path.glob` does not bear."""
    for here, _, _ in os.walk("/sys/fs/cgroup"):
        yield Path(here)


def remove_cgroups(pid: int) -> list[str]:
    """Remove the cgroups whose names end in `-PID`, with all that is in them; returns what they were."""
    groups = [path for path in cgroups() if path.name.endswith(f"-{pid}")]
    deadline = time.monotonic() + DEADLINE
    for group in groups:
        while group.exists() and time.monotonic() < deadline:
            for member in (group / "cgroup.procs").read_text().split():
                os.kill(int(member), signal.SIGKILL)
            with suppress(OSError):  # busy until the last one is reaped
                group.rmdir()
    return [str(group) for group in groups]


def _leads(link: Path, place: Path) -> bool:
    try:
        return os.readlink(link).startswith(str(place))
    except OSError:
        return False  # it has ended meanwhile
