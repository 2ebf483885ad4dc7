"""Rules about namespaces, and about what would leak to the host without one. See rules.py."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ociruntime.core.spec.finding import Finding
    from ociruntime.core.spec.types import IDMapping, Spec

# Which namespace owns a kernel setting: whole names, then prefixes. namespaces(7), sysctl of Linux 6.18.
_SYSCTL_OWNER = {
    "kernel.domainname": "uts",
    "kernel.msgmax": "ipc",
    "kernel.msgmnb": "ipc",
    "kernel.msgmni": "ipc",
    "kernel.sem": "ipc",
    "kernel.shmall": "ipc",
    "kernel.shmmax": "ipc",
    "kernel.shmmni": "ipc",
    "kernel.shm_rmid_forced": "ipc",
}
_SYSCTL_PREFIX = (("net.", "network"), ("fs.mqueue.", "ipc"), ("user.", "user"))


def _namespaces(spec: Spec) -> dict[str, str]:
    """The namespaces that are not the host's, with the path of a joined one."""
    return {item["type"]: item.get("path", "") for item in spec.get("linux", {}).get("namespaces", [])}


def namespace_twice(spec: Spec) -> Iterator[Finding]:
    """A type of namespace is listed once (config-linux.md, "Namespaces")."""
    seen: set[str] = set()
    for index, item in enumerate(spec.get("linux", {}).get("namespaces", [])):
        if item["type"] in seen:
            yield f"/linux/namespaces/{index}", f'the namespace type "{item["type"]}" is listed twice', ""
        seen.add(item["type"])


def host_name(spec: Spec) -> Iterator[Finding]:
    """hostname and domainname need a UTS namespace, or they would rename the host."""
    for name in ("hostname", "domainname"):
        if spec.get(name) and "uts" not in _namespaces(spec):
            yield f"/{name}", f"{name} would change the host's", 'add {"type": "uts"} to linux.namespaces'


def hidden_paths(spec: Spec) -> Iterator[Finding]:
    """maskedPaths and readonlyPaths need a mount namespace, or they would cover the host's files."""
    linux = spec.get("linux", {})
    for name in ("maskedPaths", "readonlyPaths"):
        if linux.get(name) and "mount" not in _namespaces(spec):
            hint = 'add {"type": "mount"} to linux.namespaces'
            yield f"/linux/{name}", f"{name} would cover files of the host", hint


def id_mappings(spec: Spec) -> Iterator[Finding]:
    """A new user namespace has user and group ids.

    Mappings without one, or beside the path of one, are ignored: podman writes them, runc and crun take them.
    """
    linux = spec.get("linux", {})
    namespaces = _namespaces(spec)
    for kind in ("uid", "gid"):
        mappings = linux.get("uidMappings") if kind == "uid" else linux.get("gidMappings")
        if not mappings and namespaces.get("user") == "":
            yield "/linux", f"the new user namespace has no {kind}Mappings", f"add linux.{kind}Mappings"


def id_range(spec: Spec) -> Iterator[Finding]:
    """Ranges of ids are not empty, end below 2^32 and do not overlap, user_namespaces(7)."""
    linux = spec.get("linux", {})
    lists = [
        ("/linux/uidMappings", linux.get("uidMappings", [])),
        ("/linux/gidMappings", linux.get("gidMappings", [])),
    ]
    for index, mount in enumerate(spec.get("mounts", [])):
        lists.append((f"/mounts/{index}/uidMappings", mount.get("uidMappings", [])))
        lists.append((f"/mounts/{index}/gidMappings", mount.get("gidMappings", [])))
    for at, mappings in lists:
        if mappings:
            yield from _ranges(at, mappings)


def _ranges(at: str, mappings: list[IDMapping]) -> Iterator[Finding]:
    for index, mapping in enumerate(mappings):
        if mapping["size"] == 0:
            yield f"{at}/{index}/size", "the range of ids is empty", ""
    for side in ("containerID", "hostID"):
        end, before = 0, -1
        starts = [mapping["containerID"] if side == "containerID" else mapping["hostID"] for mapping in mappings]
        for index in sorted(range(len(mappings)), key=starts.__getitem__):
            if before >= 0 and starts[index] < end:
                yield f"{at}/{index}/{side}", f"the range of ids overlaps that of entry {before}", ""
            end, before = starts[index] + mappings[index]["size"], index
            if end > 2**32 - 1:
                yield f"{at}/{index}/size", f"the range of ids ends at {end}", "the last id is 4294967294"


def user_unmapped(spec: Spec) -> Iterator[Finding]:
    """The process's ids exist in the container's new user namespace, or setuid(2) would fail."""
    linux, user = spec.get("linux", {}), spec.get("process", {}).get("user", {})
    if _namespaces(spec).get("user") != "":
        return
    groups = linux.get("gidMappings", [])
    wanted = [("uid", user.get("uid", 0), linux.get("uidMappings", [])), ("gid", user.get("gid", 0), groups)]
    wanted += [(f"additionalGids/{index}", gid, groups) for index, gid in enumerate(user.get("additionalGids", []))]
    for name, number, mappings in wanted if "process" in spec else ():
        if mappings and not _mapped(number, mappings):
            kind = "user" if name == "uid" else "group"
            hint = f"add it to linux.{kind[0]}idMappings"
            yield f"/process/user/{name}", f"the {kind} id {number} is not mapped in the user namespace", hint


def _mapped(number: int, mappings: list[IDMapping]) -> bool:
    return any([0 <= number - mapping["containerID"] < mapping["size"] for mapping in mappings])


def time_offsets(spec: Spec) -> Iterator[Finding]:
    """Clocks are set when a time namespace is made, time_namespaces(7)."""
    if not spec.get("linux", {}).get("timeOffsets"):
        return
    path = _namespaces(spec).get("time")
    if path is None:
        yield "/linux/timeOffsets", "timeOffsets without a time namespace", 'add {"type": "time"} to linux.namespaces'
    elif path:
        yield "/linux/timeOffsets", f"timeOffsets for the existing time namespace {path}", "its clocks are set already"


def net_devices(spec: Spec) -> Iterator[Finding]:
    """Network devices move into a network namespace, and their names are names of devices."""
    devices = spec.get("linux", {}).get("netDevices", {})
    if devices and "network" not in _namespaces(spec):
        hint = 'add {"type": "network"} to linux.namespaces'
        yield "/linux/netDevices", "netDevices without a network namespace", hint
    seen: set[str] = set()
    for name, device in devices.items():
        for given in (name, device.get("name") or name):
            if not _device_name(given):
                yield "/linux/netDevices", f'"{given}" cannot be the name of a network device', ""
                break
        new = device.get("name") or name
        if new in seen and "%d" not in new:
            yield "/linux/netDevices", f'two network devices would be named "{new}"', ""
        seen.add(new)


def _device_name(name: str) -> bool:
    """dev_valid_name of the kernel: less than IFNAMSIZ bytes, no slash, colon or space."""
    if name in (".", "..") or len(name.encode()) >= 16:
        return False
    return not [letter for letter in name if letter in "/:" or letter.isspace()]


def sysctl(spec: Spec) -> Iterator[Finding]:
    """Kernel settings belong to a namespace of the container, or they would change the host."""
    settings = spec.get("linux", {}).get("sysctl", {})
    namespaces = _namespaces(spec) if settings else {}
    for name in settings:
        at = "/linux/sysctl/" + name.replace("~", "~0").replace("/", "~1")
        dotted = _dotted(name)
        owner = _SYSCTL_OWNER.get(dotted) or next(
            (type for prefix, type in _SYSCTL_PREFIX if dotted.startswith(prefix)), ""
        )
        if ".." in dotted.replace("/", "."):
            yield at, f'"{name}" is no kernel setting', ""
        elif dotted == "kernel.domainname" and spec.get("domainname", settings[name]) != settings[name]:
            yield at, f'the kernel setting "{name}" and the property "domainname" differ', "leave one of them out"
        elif dotted == "kernel.hostname":
            yield at, f'the kernel setting "{name}" is the host name', 'use the property "hostname"'
        elif not owner:
            yield at, f'the kernel setting "{name}" belongs to no namespace, it would change the host', ""
        elif owner not in namespaces:
            hint = f'add {{"type": "{owner}"}} to linux.namespaces'
            yield at, f'the kernel setting "{name}" would change the host\'s {owner} namespace', hint


def _dotted(name: str) -> str:
    """A setting as sysctl(8) reads it: the first separator found is the separator, the other a character."""
    dot, slash = name.find("."), name.find("/")
    if slash < 0 or 0 <= dot < slash:
        return name
    return "".join([{"/": ".", ".": "/"}.get(letter, letter) for letter in name])


NAMESPACE_RULES = (
    namespace_twice,
    host_name,
    hidden_paths,
    id_mappings,
    id_range,
    user_unmapped,
    time_offsets,
    net_devices,
    sysctl,
)
