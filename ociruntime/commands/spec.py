"""Write a config.json to begin with, for a container that runs a shell in a read-only root file system.

With --rootless the container gets a user namespace in which the caller is root. A config.json that
exists is not overwritten.
"""

from __future__ import annotations

import posix as os

from ociruntime.cli import Arguments, Option
from ociruntime.core import paths
from ociruntime.core.errors import HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SUMMARY = "write a config.json to begin with"
USAGE = "[options]"
OPERANDS = (0, 0)
OPTIONS = (
    Option(
        names=("--bundle", "-b"),
        kind="str",
        metavar="DIR",
        default=".",
        help="root of the bundle",
    ),
    Option(
        names=("--file", "-f"),
        kind="str",
        metavar="FILE",
        default="config.json",
        help="its name there, or an absolute path",
    ),
    Option(names=("--rootless",), help="for a caller without privilege"),
)

_CAPABILITIES = ("CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE")
_MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/sys/firmware",
    "/proc/scsi",
)
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
# destination, type, source, options
_MOUNTS = (
    ("/proc", "proc", "proc", ()),
    ("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
    (
        "/dev/pts",
        "devpts",
        "devpts",
        ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
    ),
    ("/dev/shm", "tmpfs", "shm", ("nosuid", "noexec", "nodev", "mode=1777", "size=65536k")),
    ("/dev/mqueue", "mqueue", "mqueue", ("nosuid", "noexec", "nodev")),
    ("/sys", "sysfs", "sysfs", ("nosuid", "noexec", "nodev", "ro")),
    ("/sys/fs/cgroup", "cgroup", "cgroup", ("nosuid", "noexec", "nodev", "relatime", "ro")),
)


def _mount(destination: str, kind: str, source: str, options: tuple[str, ...]) -> dict[str, Any]:
    mount: dict[str, Any] = {"destination": destination, "type": kind, "source": source}
    if options:
        mount["options"] = list(options)
    return mount


def example(*, cgroup_namespace: bool) -> dict[str, Any]:
    """The configuration that `runc spec` writes; members in the order of the specification's types."""
    namespaces = ["pid", "network", "ipc", "uts", "mount"] + ["cgroup"] * cgroup_namespace
    return {
        "ociVersion": "1.3.0",
        "process": {
            "terminal": True,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": {kind: list(_CAPABILITIES) for kind in ("bounding", "effective", "permitted", "ambient")},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "runc",
        "mounts": [_mount(*row) for row in _MOUNTS],
        "linux": {
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "namespaces": [{"type": kind} for kind in namespaces],
            "maskedPaths": list(_MASKED),
            "readonlyPaths": list(_READ_ONLY),
        },
    }


def rootless(spec: dict[str, Any], uid: int, gid: int) -> dict[str, Any]:
    """The same for a caller without privilege, who becomes root of a user namespace."""
    linux = spec["linux"]
    namespaces = [entry for entry in linux["namespaces"] if entry["type"] != "network"]
    mounts = []
    for row in _MOUNTS:
        if row[0] == "/sys":
            # A new sysfs needs a network namespace of our own, so the host's has to do.
            row = ("/sys", "none", "/sys", ("rbind", "nosuid", "noexec", "nodev", "ro"))
        mounts.append(_mount(*row[:3], tuple(option for option in row[3] if not option.startswith("gid="))))
    mappings = {
        "uidMappings": [{"containerID": 0, "hostID": uid, "size": 1}],
        "gidMappings": [{"containerID": 0, "hostID": gid, "size": 1}],
    }
    rest = {name: linux[name] for name in ("maskedPaths", "readonlyPaths")}
    return {
        **spec,
        "mounts": mounts,
        "linux": {**mappings, "namespaces": [*namespaces, {"type": "user"}], **rest},
    }


def run(args: Arguments) -> int:
    path = paths.join(args.text("--bundle"), args.text("--file", "config.json"))
    spec = example(cgroup_namespace=paths.exists("/sys/fs/cgroup/cgroup.controllers"))
    if args.flag("--rootless"):
        spec = rootless(spec, os.geteuid(), os.getegid())
    from ociruntime.core.jsonio import dumps
    from ociruntime.core.log import write

    # One space a level, then a tab for each: no string in the example begins a line.
    lines = [
        "\t" * (len(line) - len(line.lstrip(" "))) + line.lstrip(" ") for line in dumps(spec, indent=1).split("\n")
    ]
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except FileExistsError:
        raise UsageError(f"file {path} exists, remove it first", code="spec-exists") from None
    except OSError as error:
        raise HostError(f"open {path}", code="spec-write", errno=error.errno or 0) from None
    write(descriptor, "\n".join(lines))
    os.close(descriptor)
    return 0
