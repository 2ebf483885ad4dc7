"""Which cgroup hierarchies this host has, and where the runtime itself is in them.

One read of /proc/self/cgroup, and on hosts with v1 hierarchies one of /proc/self/mountinfo. A host is

    v2     /sys/fs/cgroup is the unified hierarchy
    v1     controllers are in v1 hierarchies. A cgroup2 mount beside them ("hybrid") holds no resources, but
           the container gets a cgroup in it too, under the key "": clone3 can start the init in it, and
           cgroup.kill ends all of its processes at once. runc joins it as well.
    none   nothing is mounted
"""

from __future__ import annotations

from ociruntime.core.cgroup.files import read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.plan.draft import Host

ROOT = "/sys/fs/cgroup"


def probe_cgroups(kernel: Kernel, host: Host) -> None:
    """Fill in host.cgroup, host.cgroup_mounts and host.cgroup_self."""
    host.cgroup, host.cgroup_mounts, host.cgroup_self = _probe(kernel)


def _probe(kernel: Kernel) -> tuple[str, dict[str, str], dict[str, str]]:
    own = own_paths(read_text(kernel, "/proc/self/cgroup"))
    try:
        # Only cgroup2 has this file. mountinfo grows with every mount of the host: not read where it can be avoided.
        kernel.stat(f"{ROOT}/cgroup.controllers")
        kernel.stat(ROOT + own.get("", "/"))
    except OSError:
        return from_tables(read_text(kernel, "/proc/self/mountinfo"), own)
    return "v2", {"": ROOT}, {"": own.get("", "/")}


def own_paths(text: str) -> dict[str, str]:
    """/proc/PID/cgroup (cgroups(7)) as controller to path; a path outside of our cgroup namespace becomes "/"."""
    found = {}
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if path.startswith("/.."):
            path = "/"
        for controller in controllers.split(","):
            found[controller] = path.removesuffix(" (deleted)")
    return found


def from_tables(mountinfo: str, own: dict[str, str]) -> tuple[str, dict[str, str], dict[str, str]]:
    """Version, mount points and own paths, from the text of /proc/self/mountinfo and what own_paths found."""
    mounts: dict[str, str] = {}
    selves: dict[str, str] = {}
    for line in mountinfo.splitlines():
        place, _, source = line.partition(" - cgroup")
        if not source:
            continue
        fields = place.split(" ")
        root, point = plain(fields[3]), plain(fields[4])
        unified = source.startswith("2 ")
        options = source.rpartition(" ")[2].split(",")
        for controller in own:
            # The first mount of a hierarchy counts; a later one may be a bind mount of some corner of it.
            if controller not in mounts and (unified if not controller else not unified and controller in options):
                mounts[controller] = point
                selves[controller] = beneath(root, own[controller])
    if any(mounts):
        return "v1", mounts, selves
    return ("v2" if mounts else "none"), mounts, selves


def beneath(root: str, path: str) -> str:
    """A cgroup's path as seen from a mount whose root is not the hierarchy's: a bind mount, as in a container."""
    if root in ("/", "") or root.startswith("/.."):
        return path
    if path == root:
        return "/"
    return path[len(root) :] if path.startswith(root + "/") else "/"


def plain(field: str) -> str:
    """A field of mountinfo without its octal escapes (proc(5))."""
    if "\\" not in field:
        return field
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, character)
    return field
