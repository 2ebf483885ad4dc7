"""What a container may leave on the host, as a picture to compare before and after."""

from __future__ import annotations

import os
from pathlib import Path


def mounts() -> list[str]:
    return [" " + line.split(" ", 4)[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]


def cgroups() -> set[str]:
    """Every cgroup directory of every hierarchy."""
    return {directory for directory, _, _ in os.walk("/sys/fs/cgroup", followlinks=False)}


def processes(marker: str) -> dict[int, str]:
    """Processes that carry the marker in their environment or command line."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or entry.name == str(os.getpid()):
            continue
        try:
            text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if marker.encode() in text:
            found[int(entry.name)] = text[:200].decode(errors="replace")
    return found


def devices() -> dict[str, tuple[int, int, int]]:
    """The host's standard devices: mode, owner, number. A runtime that follows links changes these."""
    wanted = ("null", "zero", "full", "random", "urandom", "tty", "console", "ptmx")
    infos = {name: os.stat(f"/dev/{name}") for name in wanted if os.path.exists(f"/dev/{name}")}
    return {name: (info.st_mode, info.st_uid, info.st_rdev) for name, info in infos.items()}


class Picture:
    """Taken before a test; `differences` lists what a test left behind."""

    def __init__(self) -> None:
        self.mounts = mounts()
        self.cgroups = cgroups()
        self.devices = devices()

    def differences(self, marker: str) -> list[str]:
        # Other programs mount things meanwhile; ours would be in the test's directory or over the host's own
        ours = (marker.rpartition("-")[2], " /proc", " /dev", " /sys", " / ", " /run ")
        new = [line for line in mounts() if line not in self.mounts]
        left = [f"mount {line}" for line in new if any(part in line.partition(" - ")[0] for part in ours)]
        left += [f"cgroup {path}" for path in cgroups() - self.cgroups if marker in path]
        left += [f"process {pid}: {text}" for pid, text in processes(marker).items()]
        left += [f"device {name}" for name, info in devices().items() if self.devices.get(name) != info]
        return left
