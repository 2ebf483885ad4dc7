"""config-linux.md, default file systems and devices; runtime-linux.md, links in /dev; network devices."""

from __future__ import annotations

import os
from typing import Any

from conformance import spawn
from conformance.bundle import Config, mount
from conformance.checks.resources import opens
from conformance.registry import MAY, MUST, SHOULD, clause, each, unobservable
from conformance.saboteur import Sabotage, drop, put
from conformance.trial import Skipped, Trial, expect, require

DEVICES = "config-linux.md#devices"
DEFAULT = "config-linux.md#default-devices"
LINKS = "runtime-linux.md#dev-symbolic-links"
NETWORK = "config-linux.md#network-devices"
EPERM = 1

NODES = {
    "/dev/null": (1, 3),
    "/dev/zero": (1, 5),
    "/dev/full": (1, 7),
    "/dev/random": (1, 8),
    "/dev/urandom": (1, 9),
    "/dev/tty": (5, 0),
}


def _other(at: str, source: str) -> Sabotage:
    """The wrong runtime puts something else at ``at``."""
    return put("/mounts/-", mount(at, "none", source, "bind"))


@each(
    "devices.default",
    MUST,
    DEFAULT,
    "the default devices are there and are what they are called",
    {at.removeprefix("/dev/"): (at, _other(at, "/dev/full" if at != "/dev/full" else "/dev/null")) for at in NODES},
)
def default(t: Trial, at: str) -> None:
    seen = t.run(t.config(f"stat:{at}", f"openr:{at}"))
    node = seen.deeds[0]
    expect((node.get("kind"), node.get("major"), node.get("minor")), ("c", *NODES[at]), at)
    if at != "/dev/tty":  # without a terminal there is nothing behind it
        expect(seen.deeds[1]["errno"], 0, f"errno of opening {at}")


@clause(
    "devices.default.usable",
    MUST,
    DEFAULT,
    "every user can read and write the default devices",
    broken_by=put("/linux/devices", [{"type": "c", "path": "/dev/null", "major": 1, "minor": 3, "fileMode": 0o600}]),
)
def default_usable(t: Trial) -> None:
    config = t.config(*(f"open:{at}" for at in ("/dev/null", "/dev/zero", "/dev/full")))
    config["process"]["user"] |= {"uid": 1000, "gid": 1000}
    expect([deed["errno"] for deed in t.run(config).deeds], [0, 0, 0], "errno of opening null, zero and full")


@clause(
    "devices.ptmx",
    MUST,
    DEFAULT,
    "/dev/ptmx is the container's /dev/pts/ptmx",
    broken_by=put("/mounts/2/destination", "/mnt"),
)
def ptmx(t: Trial) -> None:
    one, other = t.run(t.config("stat:/dev/ptmx", "stat:/dev/pts/ptmx")).deeds
    expect((one.get("major"), one.get("minor")), (5, 2), "numbers of /dev/ptmx")
    expect((one.get("dev"), one.get("ino")), (other.get("dev"), other.get("ino")), "file system and inode")


LINK_TARGETS = {
    "/dev/fd": "/proc/self/fd",
    "/dev/stdin": "/proc/self/fd/0",
    "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2",
}


@each(
    "devices.links",
    MUST,
    LINKS,
    "the link in /dev leads to /proc/self/fd",
    {at.removeprefix("/dev/"): (at, _other(at, "/etc/hostname")) for at in LINK_TARGETS},
)
def link(t: Trial, at: str) -> None:
    node = t.run(t.config(f"lstat:{at}")).deed
    expect((node.get("kind"), node.get("target")), ("link", LINK_TARGETS[at]), at)


FILE_SYSTEMS = {"/proc": "proc", "/sys": "sysfs", "/dev/pts": "devpts", "/dev/shm": "tmpfs"}


@each(
    "filesystems.default",
    SHOULD,
    "config-linux.md#default-filesystems",
    "this file system is available, of this type",
    {
        at.lstrip("/").replace("/", "-"): (
            at,
            put("/mounts", [{"destination": "/proc", "type": "proc", "source": "x"}]),
        )
        for at in ("/sys", "/dev/pts", "/dev/shm")
    }
    | {"proc": ("/proc", drop("/mounts/0"))},
)
def file_system(t: Trial, at: str) -> None:
    expect(t.run(t.config()).mount(at).kind, FILE_SYSTEMS[at], f"file system at {at}")


# ---- devices that are asked for


def _with(t: Trial, *deeds: str, **device: Any) -> Config:
    config = t.config(*deeds)
    config["linux"]["devices"] = [device]
    rule = {"allow": True, "access": "rwm"}
    config["linux"]["resources"] = {"devices": [rule]}
    return config


@each(
    "devices.listed",
    MUST,
    DEVICES,
    "a listed device is available in the container, of its type and numbers",
    {
        "character": (("c", 1, 11), drop("/linux/devices")),
        "unbuffered": (("u", 1, 11), drop("/linux/devices")),
        "block": (("b", 7, 200), drop("/linux/devices")),
        "fifo": (("p", None, None), drop("/linux/devices")),
    },
)
def listed(t: Trial, case: tuple[str, int | None, int | None]) -> None:
    kind, major, minor = case
    numbers = {} if major is None else {"major": major, "minor": minor}
    node = t.run(_with(t, "stat:/dev/mine", type=kind, path="/dev/mine", **numbers)).deed
    expect(node.get("kind"), {"u": "c"}.get(kind, kind), "type of /dev/mine")
    if numbers:
        expect((node.get("major"), node.get("minor")), (major, minor), "numbers of /dev/mine")


@clause(
    "devices.listed.mode",
    MUST,
    DEVICES,
    "fileMode, a decimal number, is the mode of the device",
    broken_by=put("/linux/devices/0/fileMode", 0o600),
)
def mode(t: Trial) -> None:
    node = t.run(_with(t, "stat:/dev/mine", type="c", path="/dev/mine", major=1, minor=3, fileMode=0o613)).deed
    expect(node.get("mode"), 0o613, "mode of /dev/mine")


@clause(
    "devices.listed.owner",
    MUST,
    DEVICES,
    "uid and gid own the device, as the container counts",
    broken_by=drop("/linux/devices/0/uid"),
)
def owner(t: Trial) -> None:
    node = t.run(_with(t, "stat:/dev/mine", type="c", path="/dev/mine", major=1, minor=3, uid=12, gid=34)).deed
    expect((node.get("owner"), node.get("group")), (12, 34), "owner and group of /dev/mine")


@clause(
    "devices.listed.anywhere",
    MAY,
    DEVICES,
    "the path of a device may be outside of /dev",
    broken_by=drop("/linux/devices"),
)
def anywhere(t: Trial) -> None:
    node = t.run(_with(t, "stat:/opt/deep/mine", type="c", path="/opt/deep/mine", major=1, minor=3)).deed
    expect((node.get("kind"), node.get("major"), node.get("minor")), ("c", 1, 3), "/opt/deep/mine")


@each(
    "devices.listed.conflict",
    MUST,
    DEVICES,
    "a file at path that is not the requested device is an error",
    {"file": ("file", drop("/linux/devices")), "other": ("other", drop("/linux/devices"))},
)
def conflict(t: Trial, what: str) -> None:
    bundle = t.bundle()
    target = bundle.rootfs / "opt-device"
    if what == "file":
        target.write_text("a file")
    else:
        os.mknod(target, 0o20666, os.makedev(1, 5))
    config = _with(t, type="c", path="/opt-device", major=1, minor=3)
    box = t.create(config, bundle=bundle)
    t.no_hang(box.created)
    require(not box.created.ok, f"a {what} file at the device's path was accepted")


@clause(
    "devices.listed.numbers",
    MUST,
    DEVICES,
    "major and minor are required, except for a fifo",
    broken_by=drop("/linux/devices"),
)
def numbers(t: Trial) -> None:
    t.refused(_with(t, type="c", path="/dev/mine"), "a character device without numbers")


@clause(
    "devices.listed.type",
    MUST,
    "config.md#valid-values",
    "a device type that does not exist is an error",
    broken_by=drop("/linux/devices"),
)
def kind(t: Trial) -> None:
    t.refused(_with(t, type="x", path="/dev/mine", major=1, minor=3), "a device of type x")


unobservable(
    "devices.listed.once",
    SHOULD,
    DEVICES,
    "the same type and numbers are not used for several devices",
    "a rule for authors of configurations, not for runtimes",
)
unobservable(
    "devices.listed.means",
    MAY,
    DEVICES,
    "the runtime supplies devices however it likes",
    "a permission to the runtime; that they work is judged by devices.listed",
)


@clause(
    "devices.unlisted",
    MAY,
    DEVICES,
    "a device that is neither listed nor a default cannot be used",
    broken_by=put("/linux/resources", {"devices": [{"allow": True, "access": "rwm"}]}),
)
def unlisted(t: Trial) -> None:
    expect(opens(t, {"allow": False, "access": "rwm"}), [EPERM], "errno of opening a device that is not listed")


# ---- network devices (1.3.0)


def _network(t: Trial, *names: str) -> None:
    """veth pairs on the host; the named ends are there for the runtime to move."""
    for name in names:
        try:
            ip = spawn.find("ip")
        except FileNotFoundError as failure:
            raise Skipped(str(failure)) from None
        made = spawn.call((ip, "link", "add", name, "type", "veth", "peer", "name", f"{name}p"))
        if not made.ok:
            raise Skipped(f"this kernel makes no network device to move: {made.words()}")
        t.later("ip", "link", "del", f"{name}p")


def _moving(t: Trial, *deeds: str, **devices: Config) -> Config:
    config = t.config(*deeds)
    config["ociVersion"] = "1.3.0"
    config["linux"]["netDevices"] = devices
    return config


@clause(
    "netDevices.moved",
    MUST,
    NETWORK,
    "a network device of the host is available in the container under its name, and up",
    broken_by=drop("/linux/netDevices"),
)
def moved(t: Trial) -> None:
    _network(t, "cfm0")
    seen = t.run(_moving(t, "interface:cfm0", cfm0={})).deed
    expect((seen["errno"], seen.get("up")), (0, 1), "errno and up flag of the device inside")


@clause(
    "netDevices.renamed",
    MUST,
    NETWORK,
    "name is the device's name in the container",
    broken_by=drop("/linux/netDevices/cfm1/name"),
)
def renamed(t: Trial) -> None:
    _network(t, "cfm1")
    seen = t.run(_moving(t, "interface:inner7", cfm1={"name": "inner7"})).deed
    expect((seen["errno"], seen.get("up")), (0, 1), "errno and up flag of inner7 inside")


@clause(
    "netDevices.template",
    MUST,
    NETWORK,
    "a name ending in %d is a template that the kernel fills",
    broken_by=drop("/linux/netDevices/cfm2/name"),
)
def template(t: Trial) -> None:
    _network(t, "cfm2")
    expect(t.run(_moving(t, "interface:tpl0", cfm2={"name": "tpl%d"})).deed["errno"], 0, "errno of tpl0 inside")


@clause(
    "netDevices.attributes",
    MUST,
    NETWORK,
    "the device keeps its attributes",
    broken_by=drop("/linux/netDevices"),
)
def attributes(t: Trial) -> None:
    _network(t, "cfm3")
    t.tool("ip", "link", "set", "cfm3", "mtu", "1234")
    expect(t.run(_moving(t, "interface:cfm3", cfm3={})).deed.get("mtu"), 1234, "MTU inside")


@clause(
    "netDevices.addresses",
    MUST,
    NETWORK,
    "the device keeps its permanent global addresses",
    broken_by=drop("/linux/netDevices"),
)
def addresses(t: Trial) -> None:
    _network(t, "cfm4")
    t.tool("ip", "addr", "add", "192.0.2.7/24", "dev", "cfm4")
    seen = t.run(_moving(t, "read:/proc/net/fib_trie", cfm4={}))
    require("192.0.2.7" in seen.deed.get("text", ""), "the address is not in the container")


NOT_MOVED = (drop("/linux/netDevices"), put("/ociVersion", "1.0.2"))


@each(
    "netDevices.impossible",
    MUST,
    NETWORK,
    "a device that cannot be moved, or a name taken inside, is an error",
    {
        "missing": ("cfnone", NOT_MOVED),
        "taken": ("cfm5", NOT_MOVED),
    },
)
def impossible(t: Trial, name: str) -> None:
    if name == "cfm5":
        _network(t, name)
        t.refused(_moving(t, cfm5={"name": "lo"}), "a device renamed to lo")
    else:
        t.refused(_moving(t, cfnone={}), "a network device that does not exist")


unobservable(
    "netDevices.lifecycle",
    MUST,
    NETWORK,
    "the runtime does not manage the device once it is in the container",
    "the absence of an action; the kernel undoes the same things at the end of the namespace",
)
unobservable(
    "netDevices.back",
    MUST,
    NETWORK,
    "the runtime does not move the device out before deletion",
    "afterwards it cannot be told from the kernel's own return of physical devices",
)
