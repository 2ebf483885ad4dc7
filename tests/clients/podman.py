"""podman with its own storage and configuration, as root or as an ordinary user."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tests.clients import host
from tests.clients.home import Home
from tests.clients.host import Done, Terminal
from tests.clients.notes import block

LIMITS = '\n[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n'
"""Podman raises hard limits by default, which needs CAP_SYS_RESOURCE."""

CONFIG = """\
[engine]
cgroup_manager = "{manager}"
events_logger = "file"
tmp_dir = "{folder}/podman/tmp"
{notes}
[network]
network_backend = "netavark"
network_config_dir = "{folder}/podman/networks"
"""

STORAGE = """\
[storage]
driver = "{driver}"
graphroot = "{folder}/podman/storage"
runroot = "{folder}/podman/run"
"""


def configure(home: Home, manager: str) -> dict[str, str]:
    """Write the configuration that podman and buildah share; the environment that names it."""
    folder = home.folder / "podman"
    folder.mkdir(exist_ok=True)
    config, storage = folder / f"containers-{manager}.conf", folder / "storage.conf"
    # What people paste, but for the default: each test names its runtime, and crun must stay the other's.
    notes = block("podman", "toml").replace('[engine]\nruntime = "ociruntime"\n', "")
    text = CONFIG.format(manager=manager, folder=home.folder, notes=notes)
    config.write_text(text + ("" if host.may_raise_limits() else LIMITS))
    storage.write_text(STORAGE.format(folder=home.folder, driver="overlay" if host.has_overlay() else "vfs"))
    return {"CONTAINERS_CONF": str(config), "CONTAINERS_STORAGE_CONF": str(storage)}


def manager() -> str:
    """The cgroup manager that podman itself would choose here."""
    return "systemd" if host.has_systemd() and host.cgroup_version() == 2 else "cgroupfs"


class Podman:
    """The command `podman`, always with one runtime and one cgroup manager."""

    def __init__(self, home: Home, runtime: Path | None, cgroups: str | None = None) -> None:
        self.home, self.runtime = home, runtime
        self.environment = configure(home, cgroups or manager())
        self._made = False
        self._line: list[str | Path] = [*home.prefix, "podman", *(["--runtime", "ociruntime"] if runtime else [])]

    def __call__(
        self, *args: str | Path, stdin: str | None = None, descriptor: Path | None = None, activated: bool = False
    ) -> Done:
        """Run podman; `descriptor` is a file that it has open as descriptor 3, `activated` as systemd would do it."""
        self._made |= args[0] in ("create", "play", "pod") or (args[0] == "run" and "--rm" not in args)
        line = [*self._line, *args]
        if descriptor:
            told = "LISTEN_FDS=1 LISTEN_PID=$$" if activated else ""
            line = ["sh", "-c", f'{told} exec "$@" 3< "$0"', descriptor, *line]
        # conmon leaves a file `oom` where it was started, if the container ran out of memory.
        return host.run(line, env=self.environment, stdin=stdin, cwd=self.home.folder)

    def ok(self, *args: str | Path, stdin: str | None = None) -> str:
        """Run a command that must succeed; its output."""
        done = self(*args, stdin=stdin)
        assert done.status == 0, f"podman {args}: {done}"
        return done.text

    def terminal(self, *args: str, rows: int = 24, columns: int = 80) -> Terminal:
        return Terminal([*self._line, *args], rows=rows, columns=columns, env=self.environment)

    def need_image(self) -> None:
        """Load the image unless it is there."""
        loaded = self.home.folder / "podman/loaded"
        if not loaded.exists():
            self.ok("load", "-q", "-i", self.home.archive)
            loaded.touch()

    def inspect(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ok("container", "inspect", name))[0]
        return found

    def status(self, name: str) -> str:
        text: str = self.inspect(name)["State"]["Status"]
        return text

    def pid(self, name: str) -> int:
        number: int = self.inspect(name)["State"]["Pid"]
        return number

    def remove_all(self) -> None:
        """Remove what `run --rm` has not removed by itself; in an emulated guest each podman takes seconds."""
        if self._made:
            # A container that ends while podman stops it is an error to podman: the next attempt finds it stopped.
            host.until(lambda: self("pod", "rm", "-f", "-a", "-t", "0").status == 0, "podman pod rm")
            host.until(self._remove_containers, "podman rm: what it removes stays busy")
            if not rootless():
                remove_pod_cgroups()

    def _remove_containers(self) -> bool:
        """False while podman's own clean-up, after a container's end, still holds files of it."""
        done = self("rm", "-f", "-a", "-t", "0")
        assert done.status == 0 or "device or resource busy" in done.err, done
        return done.status == 0


def remove_pod_cgroups() -> None:
    """Remove what podman 4.3 leaves of a pod in the hierarchies that have no controller of cgroup v1."""
    for name in ("systemd", "unified"):
        for folder in Path("/sys/fs/cgroup", name, "libpod_parent").glob("[0-9a-f]" * 64):
            folder.rmdir()


def rootless() -> bool:
    return os.geteuid() != 0


def has_cgroup() -> bool:
    """Whether containers have one: as an ordinary user only where systemd delegates it, in the unified hierarchy."""
    return not rootless() or (host.has_systemd() and host.cgroup_version() == 2)
