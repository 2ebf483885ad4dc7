"""Bundles made of one static program: the smallest root file system a container can have."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import attrs

Config = dict[str, Any]

OCI_VERSION = "1.0.2"  # old enough for every runtime in use; later properties are checked with their own version
DIRECTORIES = ("proc", "sys", "dev", "tmp", "etc", "run", "mnt")
DATA = Path(__file__).with_name("data")

# What engines grant a container that asks for nothing special.
CAPABILITIES = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
]
MASKED = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
]
READONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]


def mount(destination: str, kind: str, source: str, *options: str) -> Config:
    """One entry of ``mounts``."""
    return {"destination": destination, "type": kind, "source": source, "options": list(options)}


def _namespaces(*kinds: str) -> list[Config]:
    return [{"type": kind} for kind in kinds]


PROC = mount("/proc", "proc", "proc", "nosuid", "noexec", "nodev")
DEV = mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k")
DEVPTS = mount("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")
SHM = mount("/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k")
MQUEUE = mount("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev")
SYS = mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro")
CGROUP = mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", "ro")


def minimal(*args: str) -> Config:
    """About what ``runc spec`` writes: five namespaces, the usual file systems, three capabilities, no filter."""
    caps = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
    return copy.deepcopy(
        {
            "ociVersion": OCI_VERSION,
            "process": {
                "terminal": False,
                "user": {"uid": 0, "gid": 0},
                "args": ["/probe", *args],
                "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/", "TERM=xterm"],
                "cwd": "/",
                "capabilities": {kind: caps for kind in ("bounding", "effective", "permitted")},
                "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
                "noNewPrivileges": True,
            },
            "root": {"path": "rootfs", "readonly": True},
            "hostname": "conformance",
            "mounts": [PROC, DEV, DEVPTS, SHM, MQUEUE, SYS, CGROUP],
            "linux": {
                "namespaces": _namespaces("pid", "network", "ipc", "uts", "mount", "cgroup"),
                "resources": {"devices": [{"allow": False, "access": "rwm"}]},
                "maskedPaths": MASKED,
                "readonlyPaths": READONLY,
            },
        }
    )


def engine(*args: str) -> Config:
    """What a container engine asks for by default, its seccomp profile included."""
    config = minimal(*args)
    process = config["process"]
    process["capabilities"] = {kind: list(CAPABILITIES) for kind in ("bounding", "effective", "permitted")}
    process["env"] += ["HOME=/root", "HOSTNAME=conformance"]
    process["oomScoreAdj"] = 0
    process.pop("rlimits")
    process["noNewPrivileges"] = False
    config["root"]["readonly"] = False
    config["mounts"] = [PROC, DEV, DEVPTS, SYS, CGROUP, MQUEUE, SHM]
    devices = [
        {"allow": False, "access": "rwm"},
        *(
            {"allow": True, "type": "c", "major": major, "minor": minor, "access": "rwm"}
            for major, minor in ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2))
        ),
        {"allow": True, "type": "c", "major": 136, "access": "rwm"},
        {"allow": True, "type": "c", "access": "m"},
        {"allow": True, "type": "b", "access": "m"},
    ]
    config["linux"]["resources"] = {
        "devices": devices,
        "cpu": {"shares": 1024},
        "memory": {"limit": 512 << 20},
        "pids": {"limit": 512},
    }
    config["linux"]["seccomp"] = json.loads((DATA / "seccomp.json").read_text())
    return config


@attrs.frozen
class Bundle:
    """A bundle directory under our hands."""

    path: Path

    @classmethod
    def make(cls, path: Path, probe: Path) -> Bundle:
        """Lay out ``path`` with a root file system that holds the probe and empty mount points."""
        rootfs = path / "rootfs"
        rootfs.mkdir(parents=True)
        rootfs.chmod(0o755)  # whatever the caller's umask is
        for name in DIRECTORIES:
            (rootfs / name).mkdir()
            (rootfs / name).chmod(0o1777 if name == "tmp" else 0o755)
        shutil.copy(probe, rootfs / "probe")
        (rootfs / "probe").chmod(0o755)
        return cls(path)

    @property
    def rootfs(self) -> Path:
        """The directory that becomes the container's root."""
        return self.path / "rootfs"

    def write(self, config: Config | str | bytes) -> None:
        """Write ``config.json``; text and bytes go in as they are."""
        raw = json.dumps(config) if isinstance(config, dict) else config
        (self.path / "config.json").write_bytes(raw.encode() if isinstance(raw, str) else raw)
