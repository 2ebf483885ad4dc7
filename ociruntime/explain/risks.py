"""Choices in a configuration that give the container more of the host than most programs need.

Each risk is a generator over a right document; its name makes the code, risk-NAME, and its docstring
is what `ociruntime explain CODE` shows. They are warnings: an engine may have its reasons.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ociruntime.core.spec.finding import Finding
    from ociruntime.core.spec.types import Spec

# Sharing these with the host is seldom meant; a shared network or UTS namespace often is.
_SHARED = {
    "mount": "mounts of the container are mounts of the host",
    "pid": "the container sees and can signal the host's processes",
    "ipc": "the container reaches the host's shared memory and message queues",
    "network": "the container has the host's network devices and abstract sockets",
}
# capabilities(7): what each is worth to someone who wants to leave the container.
_CAPABILITIES = {
    "CAP_SYS_ADMIN": "it can mount, and undo most of what confines it",
    "CAP_SYS_MODULE": "it can load code into the kernel",
    "CAP_SYS_RAWIO": "it can reach the memory and ports of the machine",
    "CAP_DAC_READ_SEARCH": "it can open any file of a file system by handle, outside of its root too",
    "CAP_SYS_BOOT": "it can replace the kernel",
    "CAP_SYS_TIME": "it can set the clock of the host",
    "CAP_BPF": "it can load programs into the kernel",
    "CAP_PERFMON": "it can read the memory of the kernel",
    "CAP_MAC_ADMIN": "it can change the security policy",
    "CAP_SYSLOG": "it can read the kernel's log, and addresses in it",
}
_PRECIOUS = ("/", "/boot", "/dev", "/etc", "/lib", "/proc", "/root", "/run", "/sys", "/usr", "/var", "/var/run")


def _types(spec: Spec) -> set[str]:
    return {item["type"] for item in spec.get("linux", {}).get("namespaces", [])}


def _options(mount: Any) -> list[str]:
    options: list[str] = mount.get("options", [])
    return options


def _is_bind(mount: Any) -> bool:
    return "bind" in _options(mount) or "rbind" in _options(mount)


def _is_writable(mount: Any) -> bool:
    return "ro" not in _options(mount) and "rro" not in _options(mount)


def host_namespace(spec: Spec) -> Iterator[Finding]:
    """A namespace that is not listed is the host's (config-linux.md, "Namespaces")."""
    for type, consequence in _SHARED.items():
        if type not in _types(spec):
            hint = f'add {{"type": "{type}"}} to linux.namespaces'
            yield "/linux/namespaces", f"the {type} namespace is the host's: {consequence}", hint


def joined_host_namespace(spec: Spec) -> Iterator[Finding]:
    """A namespace that is joined by path may be the host's own."""
    for index, item in enumerate(spec.get("linux", {}).get("namespaces", [])):
        path = item.get("path")
        own = "mnt" if item["type"] == "mount" else "net" if item["type"] == "network" else item["type"]
        try:
            same = bool(path) and os.path.samefile(str(path), f"/proc/self/ns/{own}")
        except OSError:
            same = False
        if same:
            yield f"/linux/namespaces/{index}/path", f"{path} is the {item['type']} namespace of this host", ""


def mappings(spec: Spec) -> Iterator[Finding]:
    """Mappings of ids belong to a user namespace; without one they are ignored, and root is the host's."""
    linux = spec.get("linux", {})
    if "user" not in _types(spec) and (linux.get("uidMappings") or linux.get("gidMappings")):
        name = "uidMappings" if linux.get("uidMappings") else "gidMappings"
        yield f"/linux/{name}", f"{name} without a user namespace", 'add {"type": "user"} to linux.namespaces'


def capability(spec: Spec) -> Iterator[Finding]:
    """Some capabilities are as good as the host, unless a user namespace of its own weakens them."""
    if "user" in _types(spec):
        return
    sets = spec.get("process", {}).get("capabilities", {})
    for index, name in enumerate(sets.get("bounding", [])):
        if name in _CAPABILITIES:
            yield f"/process/capabilities/bounding/{index}", f"{name}: {_CAPABILITIES[name]}", ""


def no_seccomp(spec: Spec) -> Iterator[Finding]:
    """Without a filter, all of the kernel is open to attack."""
    seccomp = spec.get("linux", {}).get("seccomp")
    if seccomp is None:
        yield "/linux", "no system call is filtered", "add linux.seccomp, such as the default profile of an engine"
    elif seccomp["defaultAction"] in ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG") and not seccomp.get("syscalls"):
        yield "/linux/seccomp", "the filter allows every system call", ""


def privileges(spec: Spec) -> Iterator[Finding]:
    """A file with the set-user-id bit makes its caller root, unless noNewPrivileges says no."""
    process = spec.get("process", {})
    if process and process.get("user", {}).get("uid") and not process.get("noNewPrivileges"):
        hint = "set noNewPrivileges to true"
        yield "/process", "set-user-id programs may make this user root in the container", hint


def writable_cgroup(spec: Spec) -> Iterator[Finding]:
    """Who may write to cgroups can lift its own limits, on v1 even run programs on the host (release_agent)."""
    for index, mount in enumerate(spec.get("mounts", [])):
        if mount.get("type") in ("cgroup", "cgroup2") and _is_writable(mount):
            hint = "" if "cgroup" in _types(spec) else "add ro, or a cgroup namespace"
            if hint or mount["type"] == "cgroup":
                yield f"/mounts/{index}", f"cgroups are writable at {mount['destination']}", hint or "add ro"


def writable_proc(spec: Spec) -> Iterator[Finding]:
    """procfs and sysfs hold settings of the kernel; engines make them read-only and hide parts."""
    linux = spec.get("linux", {})
    hidden = [*linux.get("readonlyPaths", []), *linux.get("maskedPaths", [])]
    for index, mount in enumerate(spec.get("mounts", [])):
        at, place = f"/mounts/{index}", mount["destination"].rstrip("/")
        if "user" in _types(spec) or _is_bind(mount) or not _is_writable(mount):
            continue
        if mount.get("type") == "sysfs":
            yield at, f"sysfs is writable at {mount['destination']}", "add ro"
        if mount.get("type") == "proc":
            for name in ("sys", "sysrq-trigger"):
                if f"{place}/{name}" not in hidden and place not in hidden:
                    yield at, f"{place}/{name} is writable", f"add {place}/{name} to linux.readonlyPaths"
            if f"{place}/kcore" not in hidden:
                yield at, f"{place}/kcore shows the memory of the host", f"add {place}/kcore to linux.maskedPaths"


def all_devices(spec: Spec) -> Iterator[Finding]:
    """Without a rule that denies all devices first, those that the container can make are open to it."""
    rules = spec.get("linux", {}).get("resources", {}).get("devices", [])
    for index, rule in enumerate(rules):
        if rule["allow"] and rule.get("type", "a") in ("a", "") and "major" not in rule and "minor" not in rule:
            yield f"/linux/resources/devices/{index}", "every device of the host is allowed", ""
    if "user" not in _types(spec) and not [rule for rule in rules if not rule["allow"]]:
        hint = 'begin linux.resources.devices with {"allow": false, "access": "rwm"}'
        yield "/linux/resources" if "resources" in spec.get("linux", {}) else "/linux", "no device is denied", hint


def precious_bind(spec: Spec) -> Iterator[Finding]:
    """Some directories and sockets of the host are as good as the host itself."""
    for index, mount in enumerate(spec.get("mounts", [])):
        source = os.path.normpath(mount.get("source") or ".")
        if not _is_bind(mount):
            continue
        if source in _PRECIOUS and _is_writable(mount):
            yield f"/mounts/{index}/source", f"{source} of the host is writable in the container", "add ro"
        elif os.path.basename(source) in ("docker.sock", "podman.sock", "containerd.sock", "crio.sock"):
            yield f"/mounts/{index}/source", f"who can write to {source} can start containers on the host", ""


def propagation(spec: Spec) -> Iterator[Finding]:
    """Mounts made in the container reach the host through a shared mount, mount_namespaces(7)."""
    if spec.get("linux", {}).get("rootfsPropagation") in ("shared", "rshared"):
        yield "/linux/rootfsPropagation", "mounts of the container may appear on the host", ""
    for index, mount in enumerate(spec.get("mounts", [])):
        if "rshared" in _options(mount) or "shared" in _options(mount):
            yield f"/mounts/{index}", f"mounts beneath {mount['destination']} appear on the host", ""


RISKS: tuple[Callable[[Any], Iterator[Finding]], ...] = (
    host_namespace,
    joined_host_namespace,
    mappings,
    capability,
    no_seccomp,
    privileges,
    writable_cgroup,
    writable_proc,
    all_devices,
    precious_bind,
    propagation,
)
