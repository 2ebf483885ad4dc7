"""What this host is, as far as it changes what can be asked of a runtime on it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs

CGROUP = Path("/sys/fs/cgroup")


def mount_points(kind: str) -> dict[Path, set[str]]:
    """Mount points of a file system type in our mount namespace, each with its super options."""
    found: dict[Path, set[str]] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        fields = right.split()
        if fields[0] == kind:
            found[Path(left.split()[4])] = set(fields[2].split(","))
    return found


@attrs.frozen
class Hierarchies:
    """The cgroup hierarchies that hold controllers: one for v2, one per controller (or pair) for v1.

    ``version`` is 2 for a unified host, 1 when controllers sit in v1 hierarchies (hybrid hosts too), 0 for neither.
    """

    version: int
    roots: dict[str, Path]

    @classmethod
    def read(cls) -> Hierarchies:
        """From our own mount table."""
        unified = mount_points("cgroup2")
        if CGROUP in unified:
            return cls(2, {"": CGROUP})
        roots: dict[str, Path] = {}
        for point, options in mount_points("cgroup").items():
            named = [option[5:] for option in options if option.startswith("name=")]
            for controller in named or sorted(options - {"rw", "ro", "xattr", "noprefix", "clone_children"}):
                roots.setdefault(controller, point)
        return cls(1 if roots else 0, roots)

    def all_roots(self) -> set[Path]:
        """Every mount point under which a runtime may make cgroups, the hybrid v2 tree included."""
        return set(self.roots.values()) | set(mount_points("cgroup2"))

    def has(self, controller: str) -> bool:
        """Whether a limit on ``controller`` can be set here."""
        if self.version == 2:
            return controller in (CGROUP / "cgroup.controllers").read_text().split()
        return controller in self.roots


def make_group(name: str) -> None:
    """Make a cgroup ``name`` in every hierarchy, ready for children (v1 cpusets start out empty)."""
    for root in Hierarchies.read().all_roots():
        group = root / name
        with suppress(OSError):
            group.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            with suppress(OSError):
                if (group / setting).read_text().strip() == "" and Hierarchies.read().version == 1:
                    (group / setting).write_text((root / setting).read_text())


def groups_under(name: str) -> list[Path]:
    """Every cgroup below ``name``, and every one two levels deep named after it, in any hierarchy, deepest first."""
    found: list[Path] = []
    for root in Hierarchies.read().all_roots():
        tops = [root / name, *(path for path in _two_levels(root) if f"{name}-" in path.name)]
        for top in tops:
            # os.walk ignores what others remove under its feet
            found += [Path(path) for path, _, _ in os.walk(top, topdown=False) if path != str(root / name)]
    return list(dict.fromkeys(found))


def _two_levels(root: Path) -> Iterator[Path]:
    for path, names, _ in os.walk(root):
        yield from (Path(path, one) for one in names)
        if path != str(root):
            names.clear()


def remove_group(name: str) -> None:
    """Remove what `make_group` made and all that is left below it."""
    for path in [*groups_under(name), *(root / name for root in Hierarchies.read().all_roots())]:
        with suppress(OSError):
            path.rmdir()


@contextmanager
def complete_hierarchies() -> Iterator[str]:
    """Mount the v1 hugetlb hierarchy if this host has that controller unmounted; unmount it afterwards.

    crun before 1.9 refuses every container on a v1 host where a controller listed in /proc/cgroups is not mounted under
    /sys/fs/cgroup. The sentence yielded says what was done, empty for nothing.
    """
    point = CGROUP / "hugetlb"
    listed = {line.split()[0] for line in Path("/proc/cgroups").read_text().splitlines()[1:]}
    hierarchies = Hierarchies.read()
    if hierarchies.version != 1 or "hugetlb" not in listed or hierarchies.has("hugetlb") or os.geteuid():
        yield ""
        return
    try:
        point.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "cgroup", "-o", "hugetlb", "cgroup", point], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as failure:
        yield f"could not mount {point}: {failure}"
        return
    try:
        yield f"mounted {point} for the time of this run (some runtimes refuse a host without it)"
    finally:
        subprocess.run(["umount", point], check=False, capture_output=True)
        with suppress(OSError):
            point.rmdir()


def describe() -> dict[str, str]:
    """The lines a reader needs to judge a result from this host."""
    hierarchies = Hierarchies.read()
    lsm = Path("/sys/kernel/security/lsm")
    return {
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpus": str(os.cpu_count()),
        "cgroup": f"v{hierarchies.version}: " + " ".join(sorted(filter(None, hierarchies.roots))),
        "lsm": lsm.read_text() if lsm.exists() else "unknown",
        "user": "root" if os.geteuid() == 0 else f"uid {os.geteuid()}",
        "systemd": "yes" if Path("/run/systemd/system").is_dir() else "no",
        "tools": " ".join(tool for tool in ("criu", "newuidmap", "mount", "ip") if shutil.which(tool)),
    }
