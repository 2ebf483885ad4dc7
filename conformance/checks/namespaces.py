"""config-linux.md, namespaces and mappings; config.md, host and domain name."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from conformance import spawn
from conformance.bundle import Config
from conformance.registry import MUST, SHOULD, clause, each, unobservable
from conformance.saboteur import drop, put
from conformance.trial import Container, Trial, expect, require

NAMESPACES = "config-linux.md#namespaces"
MAPPINGS = "config-linux.md#user-namespace-mappings"
# name in config.json: (file in /proc/PID/ns, place in our plain configuration's list)
KINDS = {
    "pid": "pid",
    "network": "net",
    "mount": "mnt",
    "ipc": "ipc",
    "uts": "uts",
    "user": "user",
    "cgroup": "cgroup",
    "time": "time",
}


def _host(kind: str) -> str:
    return os.readlink(f"/proc/self/ns/{KINDS[kind]}")


def _of(pid: int, kind: str) -> str:
    return os.readlink(f"/proc/{pid}/ns/{KINDS[kind]}")


def _list(config: Config) -> list[Config]:
    listed: list[Config] = config["linux"]["namespaces"]
    return listed


def _only(t: Trial, *kinds: str, deeds: tuple[str, ...] = ()) -> Config:
    """A configuration with just these namespaces, and nothing in it that needs others."""
    config = t.config(*deeds)
    config["linux"]["namespaces"] = [{"type": kind} for kind in kinds if kind != "user"]
    config["mounts"] = [one for one in config["mounts"] if one["type"] != "sysfs"]
    if "uts" not in kinds:
        config.pop("hostname")
    return t.own_user_namespace(config) if "user" in kinds else config


EXTRA = ("pid", "mount", "uts", "ipc", "network")


@each(
    "namespaces.new",
    MUST,
    NAMESPACES,
    "a namespace listed without path is new",
    {kind: (kind, put("/linux/namespaces", [{"type": k} for k in EXTRA if k != kind])) for kind in KINDS},
)
def new(t: Trial, kind: str) -> None:
    seen = t.run(_only(t, *dict.fromkeys((*EXTRA, kind))))
    require(seen["namespaces"][KINDS[kind]] is not None, f"no {kind} namespace to be seen")
    require(seen["namespaces"][KINDS[kind]] != _host(kind), f"the {kind} namespace is the host's")


@each(
    "namespaces.supported",
    SHOULD,
    NAMESPACES,
    "this namespace type is supported",
    {kind: (kind, put("/linux/namespaces/-1/type", "nosuch")) for kind in KINDS},
)
def supported(t: Trial, kind: str) -> None:
    t.demand(t.create(_only(t, *dict.fromkeys((*(k for k in EXTRA if k != kind), kind)))).created, "create")


@each(
    "namespaces.inherited",
    MUST,
    NAMESPACES,
    "a namespace that is not listed is the runtime's",
    {
        kind: (kind, put("/linux/namespaces/-", {"type": kind}))
        for kind in ("pid", "network", "ipc", "uts", "cgroup", "time")
    },
)
def inherited(t: Trial, kind: str) -> None:
    seen = t.run(_only(t, *(other for other in EXTRA if other != kind)))
    expect(seen["namespaces"][KINDS[kind]], _host(kind), f"{kind} namespace")


@each(
    "namespaces.path",
    MUST,
    NAMESPACES,
    "the container is placed in the namespace at path",
    {
        kind: (kind, drop("/linux/namespaces/-1/path"))
        for kind in ("pid", "network", "ipc", "uts", "cgroup", "mount", "time", "user")
    },
)
def joined(t: Trial, kind: str) -> None:
    own = dict.fromkeys((*EXTRA, kind))
    pid = _unshared(t) if kind == "mount" else t.paused(_only(t, *own)).pid
    config = _only(t, *(other for other in EXTRA if other != kind))
    _list(config).append({"type": kind, "path": f"/proc/{pid}/ns/{KINDS[kind]}"})
    expect(t.run(config)["namespaces"][KINDS[kind]], _of(pid, kind), f"{kind} namespace")


def _unshared(t: Trial) -> int:
    """A process of ours in a mount namespace that still shows the host's files; it ends with the trial."""
    with spawn.memory_file() as quiet:
        argv = (spawn.find("unshare"), "--mount", str(t.probe), "pause")
        pid = spawn.spawn(argv, stdin=quiet, stdout=quiet, stderr=quiet)
    t.undo.append(lambda: os.kill(pid, signal.SIGKILL))
    t.until(lambda: _of(pid, "mount") != _host("mount"), "unshare(1) to unshare")
    return pid


@each(
    "namespaces.path.type",
    MUST,
    NAMESPACES,
    "a path to a namespace of another type is an error",
    {
        kind: (kind, drop("/linux/namespaces/-1/path"))
        for kind in ("pid", "network", "ipc", "uts", "cgroup", "mount", "time")
    },
)
def wrong_type(t: Trial, kind: str) -> None:
    other = "uts" if kind != "uts" else "ipc"
    config = _only(t, *(one for one in EXTRA if one != kind))
    _list(config).append({"type": kind, "path": f"/proc/self/ns/{KINDS[other]}"})
    t.refused(config, f"a {kind} namespace whose path is one of type {other}")


@each(
    "namespaces.path.invalid",
    MUST,
    NAMESPACES,
    "the path of a namespace is absolute, exists and is a namespace",
    {
        "relative": ("proc/self/ns/net", drop("/linux/namespaces/-1/path")),
        "missing": ("/proc/self/ns/nosuch", drop("/linux/namespaces/-1/path")),
        "no-namespace": ("/etc/hostname", drop("/linux/namespaces/-1/path")),
    },
)
def bad_path(t: Trial, path: str) -> None:
    config = _only(t, "pid", "mount", "ipc", "uts")
    _list(config).append({"type": "network", "path": path})
    t.refused(config, f"a network namespace at {path!r}")


@clause(
    "namespaces.duplicate",
    MUST,
    NAMESPACES,
    "the same type twice is an error",
    broken_by=drop("/linux/namespaces/-1"),
)
def duplicate(t: Trial) -> None:
    config = t.config()
    _list(config).append({"type": "network"})
    t.refused(config, "two network namespaces")


@clause(
    "namespaces.type.unknown",
    MUST,
    "config.md#valid-values",
    "a namespace type that does not exist is an error",
    broken_by=drop("/linux/namespaces/-1"),
)
def unknown(t: Trial) -> None:
    config = t.config()
    _list(config).append({"type": "nosuch"})
    t.refused(config, "a namespace of type nosuch")


@clause(
    "namespaces.type.required",
    MUST,
    NAMESPACES,
    "a namespace needs a type",
    broken_by=drop("/linux/namespaces/-1"),
)
def type_required(t: Trial) -> None:
    config = t.config()
    _list(config).append({})
    t.refused(config, "a namespace without type")


# ---- what they isolate


@clause(
    "namespaces.pid.sight",
    MUST,
    NAMESPACES,
    "in a new pid namespace only the container's processes are seen",
    broken_by=put("/linux/namespaces", [{"type": "mount"}, {"type": "uts"}]),
)
def pid_sight(t: Trial) -> None:
    seen = t.run(t.config("list:/proc"))
    expect((seen["pid"], seen["ppid"]), (1, 0), "pid and parent")
    expect([name for name in seen.deed["names"] if name.isdigit()], ["1"], "processes in /proc")


@clause(
    "namespaces.network.own",
    MUST,
    NAMESPACES,
    "a new network namespace has a network stack of its own",
    broken_by=drop("/linux/namespaces/1"),
)
def network_own(t: Trial) -> None:
    seen = t.run(t.config("read:/proc/net/dev"))
    names = {line.partition(":")[0].strip() for line in seen.deed["text"].splitlines()[2:]}
    ours = {line.partition(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()[2:]}
    require("lo" in names, f"no loopback device: {sorted(names)}")
    shared = {name for name in names & ours if name.startswith(("eth", "en", "wl", "veth", "docker"))}
    expect(shared, set(), "devices shared with the host")


@clause(
    "namespaces.mount.own",
    MUST,
    NAMESPACES,
    "mounts made inside are not seen on the host",
    broken_by=drop("/mounts"),
)
def mount_own(t: Trial) -> None:
    config = t.program(t.grant(t.config(), "CAP_SYS_ADMIN"), "serve", "mount:x,/mnt,tmpfs")
    with _serving(t, config) as box:
        expect(box.report().deed["errno"], 0, "errno of mounting inside")
        outside = Path("/proc/self/mountinfo").read_text()
        require(str(box.bundle.rootfs) not in outside, "a mount of the container is seen on the host")


class _serving:
    """A started container whose probe stays; it ends with the trial."""

    def __init__(self, t: Trial, config: Config) -> None:
        self.box = t.created(config)

    def __enter__(self) -> Container:
        self.box.start()
        return self.box

    def __exit__(self, *_: object) -> None:
        self.box.call("kill", self.box.id, "KILL")


@clause(
    "namespaces.ipc.own",
    MUST,
    NAMESPACES,
    "System V objects made inside are not seen outside",
    broken_by=drop("/linux/namespaces/2"),
)
def ipc_own(t: Trial) -> None:
    key = 0x434F4E46
    box = t.started(t.config(f"shm:{key}"))
    expect(box.report().deed["errno"], 0, "errno of shmget inside")
    keys = [line.split()[0] for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]]
    if str(key) in keys:
        ident = next(line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:])
        spawn.call((spawn.find("ipcrm"), "-m", ident))
    require(str(key) not in keys, "the host sees a shared memory segment made inside")


@clause(
    "namespaces.uts.own",
    MUST,
    NAMESPACES,
    "the host name can be changed inside without changing the host's",
    broken_by=put("/process/args", ["/probe", "report"]),
)
def uts_own(t: Trial) -> None:
    before = os.uname().nodename
    config = t.grant(t.config("hostname:changed", "read:/proc/sys/kernel/hostname"), "CAP_SYS_ADMIN")
    seen = t.run(config)
    expect(seen["deeds"][1:] and seen.deeds[1].get("text"), "changed\n", "host name inside after sethostname")
    expect(os.uname().nodename, before, "host name of the host")


@clause(
    "namespaces.cgroup.view",
    MUST,
    NAMESPACES,
    "in a new cgroup namespace the container's cgroup is the root of what is seen",
    broken_by=drop("/linux/namespaces/-1"),
)
def cgroup_view(t: Trial) -> None:
    seen = t.run(_only(t, *EXTRA, "cgroup"))
    paths = {line.split(":", 2)[2] for line in seen["cgroup"] or ()}
    require(paths <= {"/"} | {p for p in paths if p.startswith("/..")} and "/" in paths, f"cgroups seen: {paths}")


@clause(
    "namespaces.time.offsets",
    MUST,
    "config-linux.md#offset-for-time-namespace",
    "timeOffsets shift the clocks of a new time namespace",
    broken_by=drop("/linux/timeOffsets"),
)
def time_offsets(t: Trial) -> None:
    config = _only(t, *EXTRA, "time")
    config["linux"]["timeOffsets"] = {"monotonic": {"secs": 5000, "nanosecs": 7}, "boottime": {"secs": 90000}}
    text = (t.run(config)["timens_offsets"] or "").split()
    expect(text, ["monotonic", "5000", "7", "boottime", "90000", "0"], "timens_offsets")


# ---- user namespace mappings


@clause(
    "namespaces.user.mappings",
    MUST,
    MAPPINGS,
    "uidMappings and gidMappings are the maps of the new user namespace",
    broken_by=put("/linux/gidMappings/0/hostID", 400000),
)
def mappings(t: Trial) -> None:
    config = t.own_user_namespace(t.config())
    config["linux"]["uidMappings"] = [
        {"containerID": 0, "hostID": 100000, "size": 1000},
        {"containerID": 1000, "hostID": 200000, "size": 10},
    ]
    config["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 300000, "size": 500}]
    seen = t.run(config)
    expect(seen["uid_map"].split(), ["0", "100000", "1000", "1000", "200000", "10"], "uid_map")
    expect(seen["gid_map"].split(), ["0", "300000", "500"], "gid_map")


@each(
    "namespaces.user.mappings.required",
    MUST,
    MAPPINGS,
    "containerID, hostID and size of a mapping are required",
    {
        key: (key, put("/linux/uidMappings", [{"containerID": 0, "hostID": 100000, "size": 65536}]))
        for key in ("containerID", "hostID", "size")
    },
)
def mapping_required(t: Trial, key: str) -> None:
    config = t.own_user_namespace(t.config())
    config["linux"]["uidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    del config["linux"]["uidMappings"][0][key]
    t.refused(config, f"a uid mapping without {key}")


unobservable(
    "namespaces.user.mappings.many",
    MUST,
    MAPPINGS,
    "the number of mappings may be limited by the kernel",
    "a property of the kernel",
)


# ---- names


@clause(
    "config.hostname", MUST, "config.md#hostname", "processes inside see the host name", broken_by=drop("/hostname")
)
def hostname(t: Trial) -> None:
    config = t.config()
    config["hostname"] = "blue.example"
    expect(t.run(config)["hostname"], "blue.example", "host name")


@clause(
    "config.domainname",
    MUST,
    "config.md#domainname",
    "processes inside see the domain name",
    broken_by=drop("/domainname"),
)
def domainname(t: Trial) -> None:
    config = t.config()
    config["ociVersion"] = "1.1.0"
    config["domainname"] = "green.example"
    expect(t.run(config)["domainname"], "green.example", "domain name")


@each(
    "config.hostname.host",
    MUST,
    "config.md#hostname",
    "setting the host or domain name of a container with its own uts namespace leaves the host's alone",
    {"hostname": ("hostname", ()), "domainname": ("domainname", ())},
)
def host_keeps_name(t: Trial, what: str) -> None:
    before = os.uname().nodename, Path("/proc/sys/kernel/domainname").read_text()
    config = t.config()
    config[what] = "other.example"
    t.create(config)
    expect((os.uname().nodename, Path("/proc/sys/kernel/domainname").read_text()), before, "names of the host")
