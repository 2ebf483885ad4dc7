"""What the kernel means by the few error numbers that it has: looked up in the configuration and on the host.

Each riddle is a function of a Case; the first that has a hint is believed. Nothing here is loaded before something
has failed, and nothing here may fail loudly: a riddle that cannot look simply has no hint.
"""

from __future__ import annotations

import errno
import os
import resource
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import prctl

from ociruntime.core.errors import Failure
from ociruntime.explain import program
from ociruntime.explain.inside import find_inside

SYS_ADMIN = 21
LOCKED = ((os.ST_RDONLY, "ro"), (os.ST_NOSUID, "nosuid"), (os.ST_NODEV, "nodev"), (os.ST_NOEXEC, "noexec"))
MOST_RANGES = 340  # user_namespaces(7)
# Switches of distributions, and the value that forbids user namespaces to ordinary users
FORBIDDING = (("kernel/unprivileged_userns_clone", "0"), ("kernel/apparmor_restrict_unprivileged_userns", "1"))
# Directories of proc and sysfs that are for mounting on, so that they hide nothing (sysfs_create_mount_point)
EMPTY = (
    "/proc/sys/fs/binfmt_misc", "/proc/fs/nfsd", "/sys/fs/cgroup", "/sys/fs/bpf", "/sys/fs/fuse/connections",
    "/sys/fs/pstore", "/sys/fs/resctrl", "/sys/fs/selinux", "/sys/fs/smackfs", "/sys/firmware/efi/efivars",
    "/sys/kernel/config", "/sys/kernel/debug", "/sys/kernel/security", "/sys/kernel/tracing",
)  # fmt: skip
WITHOUT_PRIVILEGE = "this needs root, or a user namespace: ociruntime spec --rootless writes a configuration with one"


@attrs.frozen(kw_only=True)
class Case:
    """A failure, with the document and the bundle that it is about."""

    failure: Failure
    spec: dict[str, Any]
    bundle: str

    @property
    def errno(self) -> int:
        return self.failure.errno

    @property
    def linux(self) -> dict[str, Any]:
        found: dict[str, Any] = self.spec.get("linux", {})
        return found

    @property
    def rootfs(self) -> str:
        return os.path.join(self.bundle, self.spec.get("root", {}).get("path", "rootfs"))

    @property
    def mount(self) -> dict[str, Any]:
        """The mount that the failure is about, {} if it is about something else."""
        words = self.failure.origin.split("/")
        if words[1:2] != ["mounts"] or not words[2:]:
            return {}
        found: dict[str, Any] = self.spec["mounts"][int(words[2])]
        return found

    def new(self, kind: str) -> bool:
        """Whether the container has a namespace of this kind of its own."""
        return any(item["type"] == kind and not item.get("path") for item in self.linux.get("namespaces", []))

    @property
    def in_user_namespace(self) -> bool:
        """Whether the mounts are made by somebody who is not root of the machine."""
        return self.new("user") or not _whole("/proc/self/uid_map")


def hint(failure: Failure, spec: dict[str, Any], bundle: str) -> str:
    """The answer to the riddle, or "" where none is known."""
    case = Case(failure=failure, spec=spec, bundle=bundle)
    for riddle in RIDDLES:
        try:
            answer = riddle(case)
        except (OSError, LookupError, ValueError, TypeError):
            continue
        if answer:
            return answer
    return ""


def _text(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def _whole(path: str) -> bool:
    return _text(path).split() in (["0", "0", "4294967295"], [])


def _status(name: str) -> str:
    """A line of /proc/self/status."""
    for line in _text("/proc/self/status").splitlines():
        if line.startswith(f"{name}:"):
            return line.partition(":")[2].strip()
    return ""


def covered(place: str) -> list[str]:
    """Mount points below `place` here: what makes a new instance of its file system show more than this one."""
    points = [line.split()[4] for line in _text("/proc/self/mountinfo").splitlines()]
    below = [point for point in dict.fromkeys(points) if point.startswith(f"{place}/")]
    return [point for point in below if not f"{point}/".startswith(tuple(f"{empty}/" for empty in EMPTY))]


def ordinary_user(case: Case) -> str:
    """Without privilege and without a user namespace, the first refusal may come from anywhere."""
    kinds = [item["type"] for item in case.linux.get("namespaces", [])]
    refused = case.errno in (errno.EPERM, errno.EACCES)
    return WITHOUT_PRIVILEGE if refused and os.geteuid() != 0 and "user" not in kinds else ""


def fully_visible(case: Case) -> str:
    """A user namespace may have a new proc or sysfs only where it sees all of one (mount_too_revealing, Linux 4.2)."""
    kind = case.mount.get("type")
    if case.errno != errno.EPERM or kind not in ("proc", "sysfs") or not case.in_user_namespace:
        return ""
    owner, place = ("pid", "/proc") if kind == "proc" else ("network", "/sys")
    advice = f"or bind {place} of the host instead of type {kind} (options rbind, ro)"
    if not case.new(owner):
        return f"in a user namespace, {kind} needs a {owner} namespace of its own: add one, {advice}"
    hidden = covered(place)
    if hidden:
        shown = ", ".join(hidden[:3]) + (f" and {len(hidden) - 3} more" if len(hidden) > 3 else "")
        return (
            f"a new {kind} in a user namespace may not show more than {place} does here, and {shown} is covered: start "
            f"the outer container with all of it (podman: --security-opt unmask=ALL, kubernetes: procMount: Unmasked), "
            f"{advice}"
        )
    return f"a user namespace may mount {kind} only where it sees a whole one: {place} is none here; {advice}"


def locked_flags(case: Case) -> str:
    """Flags of mounts that came from outside cannot be loosened (mount_namespaces(7))."""
    if case.errno != errno.EPERM or "remount" not in case.mount.get("options", []) or not case.in_user_namespace:
        return ""
    source = case.mount.get("source") or ""
    path = os.path.join(case.bundle, source)
    flags = os.statvfs(path).f_flag if source and os.path.exists(path) else 0
    locked = ", ".join(word for flag, word in LOCKED if flags & flag)
    which = f": {locked}" if locked else ""
    return f"flags of a mount that a user namespace inherited are locked{which}; keep them, or mount it anew outside"


def unmapped_option(case: Case) -> str:
    """A file system whose option names an owner that the user namespace has not got (devpts and tmpfs: EINVAL)."""
    if case.errno != errno.EINVAL:
        return ""
    for option in case.mount.get("options", []):
        kind, equals, number = option.partition("=")
        if kind in ("uid", "gid") and equals and number.isdigit() and not _mapped(case, kind, int(number)):
            who = "user" if kind == "uid" else "group"
            missing = f"{who} {number} is not mapped in the user namespace"
            return f"{missing}: remove {option}, or add it to linux.{kind}Mappings"
    return ""


def _mapped(case: Case, kind: str, number: int) -> bool:
    """Whether an id exists where the mounts are made."""
    if case.new("user"):
        listed = case.linux.get(f"{kind}Mappings", [])
        return any(item["containerID"] <= number < item["containerID"] + item["size"] for item in listed)
    own = (line.split() for line in _text(f"/proc/self/{kind}_map").splitlines())
    return any(int(first) <= number < int(first) + int(count) for first, _, count in own)


def foreign_filesystem(case: Case) -> str:
    """Few file systems may be mounted in a user namespace (FS_USERNS_MOUNT)."""
    kind = case.mount.get("type", "")
    if case.errno != errno.EPERM or not case.in_user_namespace or kind in ("", "bind", "none", "cgroup"):
        return ""
    return f"{kind} cannot be mounted in a user namespace: mount it on the host, and bind it"


def unknown_filesystem(case: Case) -> str:
    """fsopen(2): ENODEV."""
    if case.errno != errno.ENODEV or not case.mount.get("type"):
        return ""
    return f"the kernel has no file system {case.mount['type']}: see /proc/filesystems, and modprobe"


def missing_component(case: Case) -> str:
    """Which component of a bind's source is not there."""
    source = case.mount.get("source")
    if case.failure.code != "bind-source-missing" or not source:
        return ""
    path = os.path.normpath(os.path.join(case.bundle, source))
    if os.path.islink(path):
        return f"{path} is a link to {os.readlink(path)}, which is not there"
    parent, name = os.path.split(path)
    while not os.path.lexists(parent):
        parent, name = os.path.split(parent)
    if not os.path.exists(parent):
        return f"{parent} is a link to {os.readlink(parent)}, which is not there"
    return f'the component "{name}" is missing in {parent}: a runtime does not create what it is asked to bind'


def file_and_directory(case: Case) -> str:
    """A file can be mounted over a file only, and what is above it must be directories (mount(2), ENOTDIR)."""
    mount = case.mount
    if case.errno not in (errno.ENOTDIR, errno.EISDIR, errno.EEXIST) or not mount:
        return ""
    destination = "/" + mount["destination"].strip("/")
    for above in _prefixes(destination)[:-1]:
        found = find_inside(case.rootfs, above)
        if found and not os.path.isdir(found):
            return f'"{above}" in the image is a file, so nothing can be mounted below it'
    found = find_inside(case.rootfs, destination)
    source = os.path.join(case.bundle, mount.get("source", ""))
    if not found or not os.path.lexists(found):
        return ""
    is_bind = {"bind", "rbind"} & set(mount.get("options", [])) or mount.get("type") == "bind"
    what = source if is_bind else f"a {mount.get('type')}"
    kinds = ["a directory" if not is_bind or os.path.isdir(source) else "a file"]
    kinds.append("a directory" if stat.S_ISDIR(os.lstat(found).st_mode) else "a file")
    if kinds[0] == kinds[1]:
        return ""
    return f'{what} is {kinds[0]}, and "{destination}" in the image is {kinds[1]}: both must be of a kind'


def _prefixes(path: str) -> list[str]:
    parts = path.strip("/").split("/")
    return ["/" + "/".join(parts[: count + 1]) for count in range(len(parts))]


def hook_not_executed(case: Case) -> str:
    """A hook that execve refused: what its file, or the way to it, tells."""
    words = case.failure.origin.split("/")
    if words[1:2] != ["hooks"] or not case.errno or not words[3:]:
        return ""
    path = case.spec["hooks"][words[2]][int(words[3])]["path"]
    found = find_inside(case.rootfs, path) if words[2] == "startContainer" else path
    if not found or not os.path.lexists(found):
        inside = " in the root file system" if words[2] == "startContainer" else ""
        return f"there is no {path}{inside}: look for it where the hook was installed, hooks have no PATH"
    if case.errno == errno.EACCES and os.path.isfile(found) and not os.stat(found).st_mode & 0o111:
        return f"it lacks the x permission: chmod +x {path}"
    return program.hint(case.errno, path, _beginning, os.uname().machine)


def _beginning(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read(4096)
    except OSError:
        return None


def noexec(case: Case) -> str:
    """A program on a mount of the configuration that has noexec."""
    name = (case.spec.get("process", {}).get("args") or [""])[0]
    if case.failure.code != "program-denied":
        return ""
    for mount in case.spec.get("mounts", []):
        place = "/" + mount["destination"].strip("/")
        if name.startswith(place + "/") and {"noexec", "rnoexec"} & set(mount.get("options", [])):
            return f"it lies on {place}, which is mounted noexec"
    if "/" in name and (found := find_inside(case.rootfs, name)) and os.path.isfile(found):
        mode = os.stat(found).st_mode
        if not mode & 0o111:
            return "it lacks the x permission: chmod +x"
        if os.statvfs(found).f_flag & os.ST_NOEXEC:
            return "the root file system lies on a noexec mount"
    return "it lacks the x permission, or lies on a noexec mount" if case.errno == errno.EACCES else ""


def clone_limits(case: Case) -> str:
    """ENOSPC: the limits of namespaces hold in every user namespace above too (namespaces(7))."""
    if case.failure.code != "clone" or case.errno != errno.ENOSPC:
        return ""
    limits = {str(path): path.read_text().strip() for path in Path("/proc/sys/user").glob("max_*_namespaces")}
    low = [f"{path} is {value}" for path, value in sorted(limits.items()) if int(value) < 10]
    return ", ".join(low) if low else "a limit of namespaces is reached, here or in a user namespace above"


def clone_refused(case: Case) -> str:
    """EPERM: who has the privilege is refused by something else."""
    if case.failure.code != "clone" or case.errno not in (errno.EPERM, errno.EACCES):
        return ""
    if case.new("user"):
        for name, bad in FORBIDDING:
            if _text(f"/proc/sys/{name}").strip() == bad and os.geteuid() != 0:
                return f"this host forbids user namespaces to ordinary users: /proc/sys/{name} is {bad}"
    privileged = int(_status("CapEff") or "0", 16) >> SYS_ADMIN & 1
    if prctl.get_seccomp() and (privileged or case.new("user")):
        return (
            "there is a seccomp filter around the runtime, as engines put around containers: start the outer container "
            "with --security-opt seccomp=unconfined, or a profile that allows clone, clone3, unshare and mount"
        )
    return ""


def mounts_filtered(case: Case) -> str:
    """Mounts are made by descriptor, so that no path can be swapped: by calls that old profiles do not know."""
    about_mounts = case.failure.origin.startswith(("/mounts", "/root"))
    if not about_mounts or case.errno not in (errno.EPERM, errno.ENOSYS) or not prctl.get_seccomp():
        return ""
    return (
        "there is a seccomp filter around the runtime, as engines put around containers: start the outer container "
        "with --security-opt seccomp=unconfined, or a profile that allows open_tree, move_mount, mount_setattr, "
        "fsopen, fsconfig and fsmount (Linux 5.12)"
    )


def clone_exhausted(case: Case) -> str:
    """EAGAIN: which of the limits of processes it is."""
    if case.failure.code != "clone" or case.errno != errno.EAGAIN:
        return ""
    for line in _text("/proc/self/cgroup").splitlines():
        _, names, path = line.split(":", 2)
        if names in ("", "pids"):
            for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/pids"):
                # A limit holds for all below it
                for above in (path.rstrip("/"), *(str(parent).rstrip("/") for parent in Path(path).parents)):
                    most = _text(f"{root}{above}/pids.max").strip()
                    if most.isdigit() and int(_text(f"{root}{above}/pids.current")) >= int(most):
                        return f"{root}{above}/pids.max is {most}, and as many run"
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if os.geteuid() and soft != resource.RLIM_INFINITY:
        return f"RLIMIT_NPROC (ulimit -u) is {soft}, and as many processes of user {os.geteuid()} run"
    return ""


def id_map(case: Case) -> str:
    """Why the kernel does not take the map (user_namespaces(7), Defining user and group ID mappings)."""
    if case.failure.code != "id-map":
        return ""
    kind = "uid" if "uidMappings" in case.failure.origin else "gid"
    wanted = case.linux.get(f"{kind}Mappings", [])
    if len(wanted) > MOST_RANGES:
        return f"{len(wanted)} ranges are more than the {MOST_RANGES} that the kernel takes"
    own = list(_own_ranges(kind))
    for mapping in wanted:
        first = mapping["hostID"]
        if not any(low <= first and first + mapping["size"] <= low + size for low, size in own):
            inside = " ".join(f"{low}-{low + size - 1}" for low, size in own)
            return f"{kind} {first} (or its range) is not mapped in the runtime's own user namespace, only {inside}"
    return ""


def _own_ranges(kind: str) -> Iterator[tuple[int, int]]:
    """The ids that the runtime itself has: first and count, adjacent lines joined."""
    for line in _text(f"/proc/self/{kind}_map").splitlines():
        first, _, size = (int(word) for word in line.split())
        yield first, size


def too_little_memory(case: Case) -> str:
    """A limit of memory that the first process does not survive."""
    limit = case.linux.get("resources", {}).get("memory", {}).get("limit") or 0
    if limit > 0 and (case.failure.code == "init-killed" or case.errno == errno.ENOMEM):
        return f"the memory limit of {limit} bytes may be too small to start anything: small programs need 4 MB"
    return ""


# Files of cgroups that say no more than "invalid", and what they take
VALUES = {
    "cpu.cfs_period_us": "a period is from 1000 to 1000000 microseconds",
    "cpu.cfs_quota_us": "a quota is at least 1000 microseconds, and within that of the cgroup above",
    "cpu.rt_runtime_us": "real-time budgets of all cgroups have to fit in that of the cgroup above, mostly 0",
    "blkio.throttle": "lsblk shows the numbers of the block devices that are there",
    "io.max": "lsblk shows the numbers of the block devices that are there",
}


def cgroup_value(case: Case) -> str:
    """What a file of a cgroup would have taken."""
    if case.failure.code != "cgroup-write":
        return ""
    path = Path(case.failure.what.partition('" to ')[2].partition(": ")[0])
    if path.name in ("cpuset.cpus", "cpuset.mems"):
        above = path.parent.parent
        for name in (f"{path.name}.effective", path.name, path.name.replace("cpuset.", "cpuset.effective_")):
            if there := _text(f"{above / name}").strip():
                return f"a list such as 0-1,3 of what the cgroup above has: {there} ({above / name})"
    return next((words for name, words in VALUES.items() if path.name.startswith(name)), "")


def no_internal_processes(case: Case) -> str:
    """EBUSY of cgroup v2: a cgroup with processes of its own cannot have controllers for its children."""
    if case.errno != errno.EBUSY or "cgroup.subtree_control" not in case.failure.what:
        return ""
    return "a cgroup that has processes of its own cannot divide itself (cgroups(7)): move them into a cgroup below"


RIDDLES: tuple[Callable[[Case], str], ...] = (
    ordinary_user,
    fully_visible,
    locked_flags,
    unmapped_option,
    foreign_filesystem,
    unknown_filesystem,
    missing_component,
    file_and_directory,
    hook_not_executed,
    noexec,
    clone_limits,
    clone_refused,
    mounts_filtered,
    clone_exhausted,
    id_map,
    too_little_memory,
    cgroup_value,
    no_internal_processes,
)
