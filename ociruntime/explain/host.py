"""What this host cannot do for a configuration: looked up before anything is tried.

Each check is a generator over a Site (the document, where its bundle is, and the facts that plans
depend on); its name makes the code, host-NAME, and its docstring is what `ociruntime explain CODE`
shows. Nothing is changed, and what cannot be known before it is tried is not guessed at.
"""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from ociruntime.core.plan.capabilities import NAMES, NUMBERS
from ociruntime.explain.inside import find_inside, find_program

if TYPE_CHECKING:
    from ociruntime.core.plan.draft import Host
    from ociruntime.core.spec.finding import Finding
    from ociruntime.core.spec.types import Process, Spec

NS_GET_NSTYPE = 0xB703  # linux/nsfs.h
_NAMESPACES = {
    "cgroup": ("cgroup", 0x02000000),
    "ipc": ("ipc", 0x08000000),
    "mount": ("mnt", 0x00020000),
    "network": ("net", 0x40000000),
    "pid": ("pid", 0x20000000),
    "time": ("time", 0x00000080),
    "user": ("user", 0x10000000),
    "uts": ("uts", 0x04000000),
}
_HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
_SECCOMP = {
    "SCMP_ACT_LOG": "log",
    "SCMP_ACT_NOTIFY": "user_notif",
    "SCMP_ACT_KILL_PROCESS": "kill_process",
}


@attrs.frozen(kw_only=True)
class Site:
    """A configuration at its place on this host."""

    spec: Spec
    bundle: str
    "Absolute path of the bundle."
    host: Host

    @property
    def rootfs(self) -> str:
        """Absolute path of the root file system."""
        return os.path.realpath(os.path.join(self.bundle, self.spec.get("root", {}).get("path", "rootfs")))

    @property
    def process(self) -> Process:
        """The process, or one that asks for nothing."""
        return self.spec.get("process") or {"cwd": "/"}

    @property
    def new_namespaces(self) -> dict[str, int]:
        """Types of the new namespaces, with their index in the list."""
        listed = self.spec.get("linux", {}).get("namespaces", [])
        return {item["type"]: index for index, item in enumerate(listed) if not item.get("path")}

    def can(self, capability: str) -> bool:
        """Whether the runtime itself has a capability here."""
        return bool(self.host.capabilities >> NUMBERS[capability] & 1)


def _read(path: str) -> str:
    """A file of procfs or sysfs, "" where it is not there."""
    try:
        return Path(path).read_text(errors="replace").strip()
    except OSError:
        return ""


def rootfs(site: Site) -> Iterator[Finding]:
    """The root file system is a directory (config.md, "Root")."""
    if "root" in site.spec and not os.path.isdir(site.rootfs):
        what = "is not a directory" if os.path.exists(site.rootfs) else "does not exist"
        yield "/root/path", f"the root file system {site.rootfs} {what}", "unpack an image there, or correct root.path"


def mount_source(site: Site) -> Iterator[Finding]:
    """What a bind mount binds exists."""
    for index, mount in enumerate(site.spec.get("mounts", [])):
        options = mount.get("options", [])
        source = mount.get("source")
        if source and ("bind" in options or "rbind" in options):
            path = os.path.join(site.bundle, source)
            if not os.path.lexists(path):
                yield f"/mounts/{index}/source", f"the source {path} does not exist", _first_missing(path)


def _first_missing(path: str) -> str:
    parent = os.path.dirname(path)
    while not os.path.lexists(parent):
        path, parent = parent, os.path.dirname(parent)
    return f"{path} is the first component that is missing"


def mount_type(site: Site) -> Iterator[Finding]:
    """The kernel knows the file system, or may load a module for it."""
    known = {line.split("\t")[-1] for line in _read("/proc/filesystems").splitlines()}
    for index, mount in enumerate(site.spec.get("mounts", [])):
        options, type = mount.get("options", []), mount.get("type", "")
        if known and type and type not in known | {"none", "bind", "cgroup"} and not {"bind", "rbind"} & set(options):
            yield f"/mounts/{index}/type", f'the kernel has no file system "{type}" loaded', ""


def namespace(site: Site) -> Iterator[Finding]:
    """The kernel has the type of namespace, and allows another one, namespaces(7)."""
    for type, index in site.new_namespaces.items():
        at, (own, _) = f"/linux/namespaces/{index}", _NAMESPACES[type]
        if not os.path.lexists(f"/proc/self/ns/{own}"):
            yield at, f"the kernel has no {type} namespaces", ""
        elif _read(f"/proc/sys/user/max_{own}_namespaces") == "0":
            yield at, f"{type} namespaces are forbidden", f"set /proc/sys/user/max_{own}_namespaces"


def namespace_path(site: Site) -> Iterator[Finding]:
    """A path leads to a namespace of the right type (config-linux.md, "Namespaces")."""
    for index, item in enumerate(site.spec.get("linux", {}).get("namespaces", [])):
        path = item.get("path")
        if not path:
            continue
        at = f"/linux/namespaces/{index}/path"
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            yield at, f"{path}: {(error.strerror or '').lower()}", ""
            continue
        try:
            type = fcntl.ioctl(fd, NS_GET_NSTYPE)
            if type != _NAMESPACES[item["type"]][1]:
                names = [name for name, (_, flag) in _NAMESPACES.items() if flag == type]
                yield at, f"{path} is a {''.join(names)} namespace, not a {item['type']} namespace", ""
        except OSError:
            yield at, f"{path} is no namespace", ""
        finally:
            os.close(fd)


def rootless(site: Site) -> Iterator[Finding]:
    """Who is not root needs a user namespace, and a helper for more than its own id, newuidmap(1)."""
    if site.host.euid == 0:
        return
    linux = site.spec.get("linux", {})
    if "user" not in site.new_namespaces and "user" not in [item["type"] for item in linux.get("namespaces", [])]:
        yield "/linux/namespaces", "a user other than root needs a user namespace", "ociruntime spec --rootless has one"
    for kind, mappings in (("uid", linux.get("uidMappings", [])), ("gid", linux.get("gidMappings", []))):
        if sum(mapping["size"] for mapping in mappings) > 1 and shutil.which(f"new{kind}map") is None:
            yield f"/linux/{kind}Mappings", f"more than one id needs new{kind}map", "install uidmap or shadow-utils"


def rlimit(site: Site) -> Iterator[Finding]:
    """A hard limit is raised by CAP_SYS_RESOURCE alone, and open files never above fs.nr_open, setrlimit(2)."""
    for index, item in enumerate(site.process.get("rlimits", [])):
        number = getattr(resource, item["type"], None)
        if number is None:
            continue
        _, hard = resource.getrlimit(number)
        at, wanted = f"/process/rlimits/{index}/hard", item["hard"]
        most = _read("/proc/sys/fs/nr_open") if item["type"] == "RLIMIT_NOFILE" else ""
        if most and wanted > int(most):
            yield at, f"{item['type']} cannot be above {most}", "that is /proc/sys/fs/nr_open"
        elif hard != resource.RLIM_INFINITY and wanted > hard and not site.can("CAP_SYS_RESOURCE"):
            yield at, f"{item['type']} cannot be raised above {hard}", "that needs CAP_SYS_RESOURCE"


def oom_score(site: Site) -> Iterator[Finding]:
    """The score is lowered by CAP_SYS_RESOURCE alone, proc(5)."""
    wanted = site.process.get("oomScoreAdj")
    own = _read("/proc/self/oom_score_adj")
    if wanted is not None and own and wanted < int(own) and not site.can("CAP_SYS_RESOURCE"):
        yield (
            "/process/oomScoreAdj",
            f"oomScoreAdj cannot be lowered from {own} to {wanted}",
            "it needs CAP_SYS_RESOURCE",
        )


def capability(site: Site) -> Iterator[Finding]:
    """What the runtime has not got it cannot give; a user namespace of its own gives the container all."""
    if "user" in site.new_namespaces:
        return
    for index, name in enumerate(site.process.get("capabilities", {}).get("bounding", [])):
        if name in NAMES and not site.can(name):
            yield f"/process/capabilities/bounding/{index}", f"{name} cannot be granted, the runtime has not got it", ""


def apparmor(site: Site) -> Iterator[Finding]:
    """The profile is loaded, aa-status(8)."""
    profile = site.process.get("apparmorProfile")
    if not profile or profile == "unconfined":
        return
    loaded = _read("/sys/kernel/security/apparmor/profiles")
    if not _read("/sys/module/apparmor/parameters/enabled").startswith("Y"):
        yield "/process/apparmorProfile", "this host has no AppArmor", "remove apparmorProfile"
    elif loaded and not [line for line in loaded.splitlines() if line.rpartition(" (")[0] == profile]:
        yield "/process/apparmorProfile", f"the AppArmor profile {profile} is not loaded", "load it by apparmor_parser"


def selinux(site: Site) -> Iterator[Finding]:
    """A label needs SELinux."""
    labels = [("/process/selinuxLabel", site.process.get("selinuxLabel"))]
    labels.append(("/linux/mountLabel", site.spec.get("linux", {}).get("mountLabel")))
    for at, label in labels:
        if label and not os.path.exists("/sys/fs/selinux/enforce"):
            yield at, "this host has no SELinux", "remove the label"


def seccomp(site: Site) -> Iterator[Finding]:
    """The kernel knows the actions of the filter, seccomp(2)."""
    profile = site.spec.get("linux", {}).get("seccomp")
    if profile is None:
        return
    known = _read("/proc/sys/kernel/seccomp/actions_avail").split()
    if not known:
        yield "/linux/seccomp", "the kernel has no seccomp filters", ""
        return
    actions = [("/linux/seccomp/defaultAction", profile["defaultAction"])]
    for index, rule in enumerate(profile.get("syscalls", [])):
        actions.append((f"/linux/seccomp/syscalls/{index}/action", rule["action"]))
    for at, action in actions:
        if action in _SECCOMP and _SECCOMP[action] not in known:
            yield at, f"the kernel has no {action}", ""


def hook(site: Site) -> Iterator[Finding]:
    """A hook is an executable file; those of startContainer are looked for in the container."""
    hooks: dict[str, Any] = dict(site.spec.get("hooks", {}))
    for name in _HOOKS:
        for index, item in enumerate(hooks.get(name, [])):
            path = item["path"]
            if name == "startContainer":
                inside = find_inside(site.rootfs, path)
                missing = inside is None and not _is_mounted(site, path)
            else:
                missing = not os.path.exists(path)
            at = f"/hooks/{name}/{index}/path"
            if missing:
                yield at, f"the hook {path} does not exist", ""
            elif name != "startContainer" and not os.access(path, os.X_OK):
                yield at, f"the hook {path} is not executable", f"chmod +x {path}"


def program(site: Site) -> Iterator[Finding]:
    """The program is in the root file system, in PATH where its name has no slash (execvp(3))."""
    arguments = site.process.get("args")
    if not arguments or not os.path.isdir(site.rootfs):
        return
    name, env = arguments[0], site.process.get("env", [])
    path = next((entry[5:] for entry in reversed(env) if entry.startswith("PATH=")), "/bin:/usr/bin")
    tried = find_program(site.rootfs, name, path, site.process.get("cwd", "/"))
    if isinstance(tried, str):
        mode = os.stat(tried).st_mode
        if stat.S_ISDIR(mode):
            yield "/process/args/0", f"{name} is a directory", ""
        elif not mode & 0o111:
            yield "/process/args/0", f"{name} is not executable", f"chmod +x {tried}"
    elif not [place for place in tried if _is_mounted(site, place)]:
        where = f"in {', '.join(tried)}" if "/" not in name else "in the root file system"
        yield "/process/args/0", f"the program {name} is not there {where}", ""


def _is_mounted(site: Site, path: str) -> bool:
    """Whether a mount of the document brings the file, so that the root file system says nothing about it."""
    for mount in site.spec.get("mounts", []):
        place = "/" + mount["destination"].strip("/")
        if path == place or path.startswith(place.rstrip("/") + "/"):
            return True
    return False


def net_device(site: Site) -> Iterator[Finding]:
    """A network device that moves is there."""
    for name in site.spec.get("linux", {}).get("netDevices", {}):
        if not os.path.exists(f"/sys/class/net/{name}"):
            yield "/linux/netDevices", f"there is no network device {name}", ""


def sysctl(site: Site) -> Iterator[Finding]:
    """The kernel has the setting."""
    for name in site.spec.get("linux", {}).get("sysctl", {}):
        dot, slash = name.find("."), name.find("/")
        swapped = name if 0 <= slash < dot or dot < 0 else name.translate(str.maketrans("./", "/."))
        if not os.path.exists(f"/proc/sys/{swapped}"):
            at = "/linux/sysctl/" + name.replace("~", "~0").replace("/", "~1")
            yield at, f"the kernel has no setting {name} here", ""


Check = Callable[[Site], Iterator["Finding"]]

# What makes create or start fail, and what may only differ from what was meant.
IMPOSSIBLE: tuple[Check, ...] = (
    rootfs,
    mount_source,
    namespace,
    namespace_path,
    rootless,
    rlimit,
    oom_score,
    apparmor,
    selinux,
    seccomp,
    hook,
    program,
    net_device,
)
DOUBTFUL: tuple[Check, ...] = (mount_type, capability, sysctl)
