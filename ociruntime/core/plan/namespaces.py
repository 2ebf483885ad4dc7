"""config.json /linux/namespaces and what belongs to them: id maps, time offsets, names, sysctl."""

from __future__ import annotations

from ociruntime.core.errors import ConfigError
from ociruntime.core.kernel.flags import (
    CLONE_NEWCGROUP,
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWTIME,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
)
from ociruntime.core.plan.draft import ATTACH, ENTER, OPEN, ROOT, Join
from ociruntime.core.steps.namespaces import (
    BecomeRoot,
    LoopbackUp,
    MapIds,
    OpenNamespace,
    TimeOffsets,
    Unshare,
)
from ociruntime.core.steps.root import SetDomainname, SetHostname, SetSysctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.plan.draft import Draft
    from ociruntime.core.spec.types import IDMapping
    from ociruntime.core.spec.types import TimeOffsets as Offsets

FLAGS = {
    "pid": CLONE_NEWPID,
    "network": CLONE_NEWNET,
    "mount": CLONE_NEWNS,
    "ipc": CLONE_NEWIPC,
    "uts": CLONE_NEWUTS,
    "user": CLONE_NEWUSER,
    "cgroup": CLONE_NEWCGROUP,
    "time": CLONE_NEWTIME,
}

# Their names below /proc/PID/ns (namespaces(7))
FILES = {
    "pid": "pid_for_children",
    "network": "net",
    "mount": "mnt",
    "ipc": "ipc",
    "uts": "uts",
    "user": "user",
    "cgroup": "cgroup",
    "time": "time_for_children",
}


def contribute_flags(draft: Draft) -> None:
    """Which namespaces are new and which are joined; the handles of the joined ones come first."""
    linux = draft.spec.get("linux") or {}
    for index, namespace in enumerate(linux.get("namespaces") or []):
        kind, path = namespace["type"], namespace.get("path") or ""
        origin = f"/linux/namespaces/{index}"
        if path:
            draft.joins.append(Join(type=kind, path=path, origin=origin))
            draft.add(OPEN, OpenNamespace(origin=f"{origin}/path", type=kind, path=path))
        else:
            draft.unshare |= FLAGS[kind]
    draft.lends = lends(draft)


def lends(draft: Draft) -> bool:
    """Whether the init may borrow the runtime's memory until it executes the player (native/borrow.h).

    Only where no process of a container can see it, for it is alone in a new pid namespace; where it keeps the
    runtime's user and time namespaces, which processes with one memory must have in common (unshare(2), clone(2));
    and where it has no hooks to run, which is a matter of forks and of waiting for `start`. Without privilege the
    runtime would lose its own procfs: its memory is no longer dumpable. And what both write into a log or a trace, as
    --debug and --trace have it, is not to be shared.
    """
    hooks = draft.spec.get("hooks") or {}
    return (
        draft.host.lends
        and not (draft.globals.debug or draft.globals.trace)
        and bool(draft.unshare & CLONE_NEWPID)
        and not draft.unshare & (CLONE_NEWUSER | CLONE_NEWTIME)
        and not any(join.type in ("user", "time", "mount") for join in draft.joins)
        and not (hooks.get("createContainer") or hooks.get("startContainer"))
        and not (draft.host.euid or draft.host.in_userns)
    )


def new_user(draft: Draft) -> bool:
    return bool(draft.unshare & CLONE_NEWUSER)


def enters_user(draft: Draft) -> bool:
    """Whether the container's user namespace is another than the runtime's."""
    return new_user(draft) or any(join.type == "user" for join in draft.joins)


def contribute_enter(draft: Draft) -> None:
    """What finishes the new namespaces once the child lives in them."""
    linux = draft.spec.get("linux") or {}
    if new_user(draft):
        for kind in ("uid", "gid"):
            ranges = (linux.get("uidMappings") if kind == "uid" else linux.get("gidMappings")) or []
            draft.add(
                ATTACH,
                MapIds(origin=f"/linux/{kind}Mappings", kind=kind, lines=_map_lines(ranges), euid=draft.host.euid),
            )
    if enters_user(draft):
        draft.add(ENTER, BecomeRoot(origin="/linux/namespaces", keep_groups=draft.host.euid != 0))
    if draft.unshare & CLONE_NEWCGROUP:
        draft.add(ENTER, Unshare(origin="/linux/namespaces", flags=CLONE_NEWCGROUP, word="--cgroup"))
    if draft.unshare & CLONE_NEWTIME:
        _time(draft, offset_lines(linux.get("timeOffsets", {})))
    if draft.unshare & CLONE_NEWNET:
        draft.add(ENTER, LoopbackUp(origin="/linux/namespaces"))


def _time(draft: Draft, lines: bytes) -> None:
    """Offsets are written before any process lives in the namespace (time_namespaces(7))."""
    if not new_user(draft):
        draft.time_offsets = lines
        return
    # Owned by the container's user namespace, so made in it, and entered at the next execve (Linux 6.3)
    draft.add(ENTER, Unshare(origin="/linux/namespaces", flags=CLONE_NEWTIME, word="--time"))
    if lines:
        draft.add(ENTER, TimeOffsets(origin="/linux/timeOffsets", lines=lines))


def contribute_names(draft: Draft) -> None:
    """Host name, domain name and kernel parameters, all properties of a namespace."""
    spec = draft.spec
    if spec.get("hostname"):
        draft.add(ROOT, SetHostname(origin="/hostname", name=spec["hostname"]))
    if spec.get("domainname"):
        draft.add(ROOT, SetDomainname(origin="/domainname", name=spec["domainname"]))
    for key, value in ((spec.get("linux") or {}).get("sysctl") or {}).items():
        pointer = key.replace("~", "~0").replace("/", "~1")
        draft.add(ROOT, SetSysctl(origin=f"/linux/sysctl/{pointer}", key=key, value=value))


def offset_lines(offsets: Offsets) -> bytes:
    """/proc/PID/timens_offsets as time_namespaces(7) wants it: clock, seconds, nanoseconds."""
    clocks = {"monotonic": offsets.get("monotonic"), "boottime": offsets.get("boottime")}
    return b"".join(
        b"%s %d %d\n" % (name.encode(), offset.get("secs", 0), offset.get("nanosecs", 0))
        for name, offset in clocks.items()
        if offset is not None
    )


def _map_lines(ranges: list[IDMapping]) -> bytes:
    if not ranges:
        raise ConfigError(
            "a new user namespace needs uid and gid mappings",
            code="config-missing",
            origin="/linux/uidMappings",
            hint="add linux.uidMappings and linux.gidMappings",
        )
    return b"".join(b"%d %d %d\n" % (entry["containerID"], entry["hostID"], entry["size"]) for entry in ranges)
