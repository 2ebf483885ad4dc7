"""From a bundle to running containers, and back to nothing.

The commands are the same five for every runtime; `Plan` holds them as data, so that they can be printed
for people who want to type them.
"""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from .build import Container
from .errors import BundleError

RUNTIMES: Final = ("ociruntime", "runc")


def find_runtime(asked: str | None) -> str:
    """The runtime asked for, or the first of `RUNTIMES` that is on PATH, as a path."""
    for name in (asked,) if asked else RUNTIMES:
        if path := shutil.which(name):
            return os.path.abspath(path)
    raise BundleError(f"{asked or ' or '.join(RUNTIMES)}: no such runtime on PATH; choose one with --runtime")


@frozen
class Plan:
    """The commands that run a sample: each container but the last in the background, the last in front."""

    runtime: str
    bundle: Path
    containers: Sequence[Container]
    id: str
    root: Path | None = None  # the runtime's --root

    def before(self) -> list[list[str]]:
        """Commands that start the containers in the background."""
        return [
            self._command(*verb, self._id(container))
            for container in self.containers[:-1]
            for verb in (["create", "--bundle", str(self.bundle / container.name)], ["start"])
        ]

    def front(self) -> list[str]:
        """The command that runs the last container and waits for its end."""
        last = self.containers[-1]
        return self._command("run", "--bundle", str(self.bundle / last.name), self._id(last))

    def after(self) -> list[list[str]]:
        """Commands that remove whatever still is there."""
        return [self._command("delete", "--force", self._id(c)) for c in reversed(self.containers)]

    def text(self) -> str:
        """All of it for a person to type; `run` deletes its own container."""
        background = [argv for argv, _ in zip(self.after()[1:], self.containers[:-1], strict=True)]
        return "\n".join(shlex.join(argv) for argv in [*self.before(), self.front(), *background])

    def _id(self, container: Container) -> str:
        return f"{self.id}-{container.name}" if container.name else self.id

    def _command(self, *words: str) -> list[str]:
        return [self.runtime, *(["--root", str(self.root)] if self.root else []), *words]


def run(plan: Plan) -> int:
    """Run the containers of a plan; returns the exit status of the last one, after all are gone."""
    with tempfile.TemporaryDirectory(prefix="bundle-run-") as scratch:
        whose = identity(plan.containers[-1], Path(scratch))
        try:
            for argv in plan.before():
                done = subprocess.run(argv, stdin=subprocess.DEVNULL, check=False, **whose)
                if done.returncode != 0:
                    raise BundleError(f"{shlex.join(argv)}: exit status {done.returncode}")
            return subprocess.run(plan.front(), check=False, **whose, **_stdio(plan.containers[-1])).returncode
        finally:
            for argv in plan.after():
                # A missing container is fine here; anything else shows as a leftover below.
                subprocess.run(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, **whose)


def identity(container: Container, scratch: Path) -> dict[str, Any]:
    """Arguments for subprocess.run: who the runtime runs as, and where that user's state directory is."""
    if not container.rootless or container.owner is None or os.geteuid() != 0:
        return {}
    os.chown(scratch, container.owner, container.owner)
    environment = dict(os.environ, XDG_RUNTIME_DIR=str(scratch), HOME=str(scratch), USER=f"uid{container.owner}")
    return {"user": container.owner, "group": container.owner, "extra_groups": [], "env": environment}


def _stdio(container: Container) -> dict[str, Any]:
    """Arguments for subprocess.run that keep devices of the host out of the hands of another user.

    A runtime gives the container's user its standard streams by fchown(2). Where a stream is /dev/null,
    crun 1.8.1 so gives away the host's; a pipe is nobody's loss. A terminal stays.
    """
    if container.owner is None:
        return {}
    streams = {"stdin": sys.stdin, "stdout": sys.stdout, "stderr": sys.stderr}
    modes = {name: os.fstat(stream.fileno()).st_mode for name, stream in streams.items() if not stream.isatty()}
    return {name: subprocess.PIPE for name, mode in modes.items() if stat.S_ISCHR(mode)}


def remove(bundle: Path) -> None:
    """Remove a bundle, unless something is mounted in it: then `BundleError`, because removing would
    reach through the mount."""
    inside = f" {bundle.resolve()}/"
    left = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if inside in line]
    if left:
        raise BundleError(f"{bundle}: still has mounts in it, not removed; see findmnt, then umount -R")
    shutil.rmtree(bundle)
