"""Where the engines of one test session live: a folder, a network namespace, and their configuration."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.clients import host


@dataclass(frozen=True)
class Home:
    """One folder for every engine, removed at the end of the session."""

    folder: Path
    archive: Path
    """The image, for `load`."""
    prefix: tuple[str, ...]
    """Before each engine's command: enters the network namespace."""

    @staticmethod
    @contextlib.contextmanager
    def open(folder: Path, archive: Path) -> Iterator[Home]:
        """Make the network namespace; engines may then make bridges and packet filters as they like."""
        if os.geteuid() != 0:
            yield Home(folder, archive, ())
            return
        namespace = folder / "netns"
        namespace.touch()
        subprocess.run(["unshare", f"--net={namespace}", "ip", "link", "set", "lo", "up"], check=True)
        try:
            yield Home(folder, archive, ("nsenter", f"--net={namespace}"))
        finally:
            subprocess.run(["umount", namespace], check=True)

    def links(self) -> set[str]:
        """The names of the network interfaces there."""
        lines = host.run([*self.prefix, "ip", "-o", "link"]).out.splitlines()
        return {line.split()[1].rstrip(":").partition("@")[0] for line in lines}
