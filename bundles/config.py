"""The config.json that every sample starts from, and how a sample changes it.

A change is a JSON merge patch (RFC 7386): objects are merged, `None` removes a property, everything
else, lists included, replaces. So a sample shows exactly what differs from `DEFAULT`, and the few lists
that are worth extending have a name or a function here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

Json = dict[str, Any]

PATH: Final = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def mount(destination: str, kind: str, options: str = "", source: str = "") -> Json:
    """One entry of `mounts`; `options` as in fstab(5), separated by commas."""
    entry: Json = {"destination": destination, "type": kind, "source": source or kind}
    return entry | ({"options": options.split(",")} if options else {})


def bind(source: str, destination: str, options: str = "ro,nosuid,nodev") -> Json:
    """A mount that shows a file or directory of the host in the container."""
    return mount(destination, "bind", f"rbind,{options}", source)


def namespaces(*new: str, **joined: str) -> list[Json]:
    """Entries of `linux.namespaces`: `new` ones by type, `joined` ones by type and path."""
    return [{"type": kind} for kind in new] + [{"type": kind, "path": path} for kind, path in joined.items()]


def capabilities(*names: str) -> Json:
    """`process.capabilities` for a program of the root user that has, and can ever have, just `names`.

    The inheritable and ambient sets stay empty: they carry privilege over execve(2) for programs of
    other users, see capabilities(7).
    """
    return {kind: list(names) for kind in ("bounding", "effective", "permitted")}


def id_maps(uid: int, gid: int, size: int = 1) -> Json:
    """Both id maps of a user namespace: 0 inside is `uid` (or `gid`) outside, and so on for `size` ids."""

    def id_map(first: int) -> list[Json]:
        return [{"containerID": 0, "hostID": first, "size": size}]

    return {"uidMappings": id_map(uid), "gidMappings": id_map(gid)}


MOUNTS: Final = [
    mount("/proc", "proc", "nosuid,noexec,nodev"),
    mount("/dev", "tmpfs", "nosuid,strictatime,mode=755,size=65536k"),
    mount("/dev/pts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"),
    mount("/dev/shm", "tmpfs", "nosuid,noexec,nodev,mode=1777,size=65536k", source="shm"),
    mount("/dev/mqueue", "mqueue", "nosuid,noexec,nodev"),
    mount("/sys", "sysfs", "nosuid,noexec,nodev,ro"),
]

# Files that tell about, or steer, the machine as a whole: no namespace makes them the container's own.
MASKED: Final = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
]
READ_ONLY: Final = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]

NAMESPACES: Final = ("pid", "network", "ipc", "uts", "mount")

DEFAULT: Final[Json] = {
    "ociVersion": "1.0.2",
    "process": {
        "terminal": False,
        "user": {"uid": 0, "gid": 0},
        "args": ["sh"],
        "env": [PATH, "TERM=xterm"],
        "cwd": "/",
        "capabilities": capabilities("CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"),
        "noNewPrivileges": True,
    },
    "root": {"path": "rootfs", "readonly": False},
    "hostname": "box",
    "mounts": MOUNTS,
    "linux": {
        "namespaces": namespaces(*NAMESPACES),
        # First nothing; the runtime adds null, zero, full, random, urandom, tty, console and ptys.
        "resources": {"devices": [{"allow": False, "access": "rwm"}]},
        "maskedPaths": MASKED,
        "readonlyPaths": READ_ONLY,
    },
}


def merge(document: Any, patch: Any) -> Any:
    """`document` with a merge patch laid over it (RFC 7386, section 2); neither argument is changed."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(document) if isinstance(document, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


def config(*patches: Json) -> Json:
    """`DEFAULT` with all patches laid over it, one after the other."""
    document = DEFAULT
    for patch in patches:
        document = merge(document, patch)
    return document


def shell(script: str, interpreter: Sequence[str] = ("/bin/sh", "-c")) -> Json:
    """The change that runs a shell script as the container's program."""
    return {"process": {"args": [*interpreter, script.strip()]}}
