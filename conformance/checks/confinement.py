"""config-linux.md, what is left: masked and read-only paths, propagation, sysctl, personality, memory policy, RDT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from conformance import host
from conformance.bundle import Bundle, Config
from conformance.registry import MAY, MUST, clause, each, unobservable
from conformance.saboteur import drop, fail, put
from conformance.trial import Trial, expect, require, skip_unless

MASKED = "config-linux.md#masked-paths"
READONLY = "config-linux.md#readonly-paths"
PROPAGATION = "config-linux.md#rootfs-mount-propagation"
SYSCTL = "config-linux.md#sysctl"
RDT = "config-linux.md#intelrdt"
POLICY = "config-linux.md#memory-policy"
EROFS = 30


# ---- masked and read-only paths


def _secret(t: Trial) -> Any:
    bundle = t.bundle()
    (bundle.rootfs / "etc/secret").write_text("secret")
    (bundle.rootfs / "etc/dir").mkdir()
    (bundle.rootfs / "etc/dir/inner").write_text("secret")
    return bundle


@each(
    "maskedPaths",
    MUST,
    MASKED,
    "what is at a masked path cannot be read",
    {"file": ("/etc/secret", drop("/linux/maskedPaths")), "directory": ("/etc/dir", drop("/linux/maskedPaths"))},
)
def masked(t: Trial, path: str) -> None:
    config = t.config(f"read:{path}", f"list:{path}", f"read:{path}/inner")
    config["linux"]["maskedPaths"] = [path]
    text, names, inner = t.run(config, bundle=_secret(t)).deeds
    require("secret" not in (text.get("text") or ""), f"{path} can be read")
    expect(names.get("names", []), [], f"names in {path}")
    require(inner["errno"], f"{path}/inner can be read")


@clause(
    "maskedPaths.missing",
    MUST,
    "runtime.md#create",
    "a masked path that does not exist is no error: there is nothing to read",
    broken_by=fail("create"),
)
def masked_missing(t: Trial) -> None:
    config = t.config()
    config["linux"]["maskedPaths"] = ["/no/such/path", "/proc/no-such-file"]
    t.run(config)


@each(
    "readonlyPaths",
    MUST,
    READONLY,
    "nothing can be written at a read-only path",
    {
        "directory": ("/etc/dir", drop("/linux/readonlyPaths")),
        "file": ("/etc/secret", drop("/linux/readonlyPaths")),
        "proc": ("/proc/sys", drop("/linux/readonlyPaths")),
    },
)
def readonly(t: Trial, path: str) -> None:
    target = {"/etc/dir": "/etc/dir/inner", "/proc/sys": "/proc/sys/net/ipv4/ip_forward"}.get(path, path)
    config = t.config(f"write:{target}=0", f"read:{target}")
    config["linux"]["readonlyPaths"] = [path]
    write, read = t.run(config, bundle=_secret(t)).deeds
    expect((write["errno"], read["errno"]), (EROFS, 0), f"errno of writing and reading {target}")


@clause(
    "readonlyPaths.missing",
    MUST,
    "runtime.md#create",
    "a read-only path that does not exist is no error: there is nothing to write",
    broken_by=fail("create"),
)
def readonly_missing(t: Trial) -> None:
    config = t.config()
    config["linux"]["readonlyPaths"] = ["/no/such/path"]
    t.run(config)


@each(
    "paths.absolute",
    MUST,
    MASKED,
    "masked and read-only paths are absolute",
    {
        "masked": ("maskedPaths", drop("/linux/maskedPaths")),
        "readonly": ("readonlyPaths", drop("/linux/readonlyPaths")),
    },
)
def absolute(t: Trial, name: str) -> None:
    config = t.config()
    config["linux"][name] = ["etc"]
    t.refused(config, f"a relative path in {name}", at_start=True)


# ---- propagation of the root

EVENTS = {"shared": ({"shared"}, set()), "slave": ({"master"}, {"shared"}), "private": (set(), {"shared", "master"})}


def _shared_root(t: Trial, propagation: str) -> tuple[Config, Any]:
    """A bundle on a shared mount of the host, and a configuration with this propagation."""
    place = t.home / "shared-host"
    place.mkdir()
    t.tool("mount", "-t", "tmpfs", "shared-host", str(place))
    t.later("umount", "-R", "-l", str(place))
    t.tool("mount", "--make-shared", str(place))
    place.chmod(0o755)

    bundle = Bundle.make(place / "bundle", t.probe)
    config = t.config()
    config["linux"]["rootfsPropagation"] = propagation
    return config, bundle


@each(
    "rootfsPropagation",
    MUST,
    PROPAGATION,
    "the root mount has this propagation",
    {
        "shared": ("shared", put("/linux/rootfsPropagation", "private")),
        "slave": ("slave", put("/linux/rootfsPropagation", "private")),
        "private": ("private", put("/linux/rootfsPropagation", "shared")),
        "unbindable": ("unbindable", put("/linux/rootfsPropagation", "private")),
    },
)
def propagation(t: Trial, name: str) -> None:
    config, bundle = _shared_root(t, name)
    tags = t.run(config, bundle=bundle).mount("/").tags
    there, absent = {**EVENTS, "unbindable": ({"unbindable"}, {"shared"})}[name]
    require(there <= tags and not absent & tags, f"/ with propagation {name} is {sorted(tags) or ['private']}")


@each(
    "rootfsPropagation.events",
    MUST,
    PROPAGATION,
    "a slave root receives mounts of the host, a private one does not",
    {
        "slave": (("slave", True), put("/linux/rootfsPropagation", "private")),
        "private": (("private", False), put("/linux/rootfsPropagation", "rslave")),
    },
)
def propagation_events(t: Trial, case: tuple[str, bool]) -> None:
    name, arrives = case
    config, bundle = _shared_root(t, name)
    config = t.program(config, "pause")
    box = t.started(config, bundle=bundle)
    t.tool("mount", "-t", "tmpfs", "late", str(bundle.rootfs / "mnt"))
    inside = Path(f"/proc/{box.pid}/mountinfo").read_text()
    expect(" /mnt " in inside, arrives, f"a mount of the host seen in a {name} root")


@clause(
    "rootfsPropagation.host",
    MUST,
    PROPAGATION,
    "mounts of the container never reach the host, unless the root is shared",
    broken_by=(),
)
def never_to_host(t: Trial) -> None:
    config, bundle = _shared_root(t, "slave")
    config = t.program(t.grant(config, "CAP_SYS_ADMIN"), "serve", "mount:x,/mnt,tmpfs")
    box = t.started(config, bundle=bundle)
    expect(box.report().deed["errno"], 0, "errno of mounting inside")
    outside = Path("/proc/self/mountinfo").read_text()
    require(f"{bundle.rootfs}/mnt" not in outside, "the host sees a mount made inside")


# ---- sysctl


@clause("sysctl", MUST, SYSCTL, "kernel parameters of the container are set", broken_by=drop("/linux/sysctl"))
def sysctl(t: Trial) -> None:
    config = t.config("read:/proc/sys/net/ipv4/ip_forward", "read:/proc/sys/kernel/msgmax")
    config["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.msgmax": "9999"}
    before = Path("/proc/sys/kernel/msgmax").read_text()
    seen = [deed.get("text") for deed in t.run(config).deeds]
    expect(seen, ["1\n", "9999\n"], "values inside")
    expect(Path("/proc/sys/kernel/msgmax").read_text(), before, "kernel.msgmax of the host")


@each(
    "sysctl.host",
    MUST,
    "runtime.md#create",
    "a kernel parameter that would change the host is an error",
    {
        "not-namespaced": (("kernel.panic", "77", ""), drop("/linux/sysctl")),
        "shared-namespace": (("kernel.msgmax", "8191", "ipc"), drop("/linux/sysctl")),
        "traversal": (("net./../kernel/panic", "77", ""), drop("/linux/sysctl")),
    },
)
def sysctl_host(t: Trial, case: tuple[str, str, str]) -> None:
    name, value, without = case
    before = {path: Path(path).read_text() for path in ("/proc/sys/kernel/panic", "/proc/sys/kernel/msgmax")}
    config = t.config()
    config["linux"]["namespaces"] = [one for one in config["linux"]["namespaces"] if one["type"] != without]
    config["linux"]["sysctl"] = {name: value}
    box = t.create(config)
    for path, text in before.items():
        if Path(path).read_text() != text:
            Path(path).write_text(text)
            require(False, f"{name} was changed on the host")
    require(not box.created.ok, f"the sysctl {name} was accepted")


# ---- personality

PER_LINUX32 = 8


@each(
    "personality",
    MAY,
    "config-linux.md",
    "the execution domain is the one asked for",
    {
        "LINUX32": (("LINUX32", PER_LINUX32), drop("/linux/personality")),
        "LINUX": (("LINUX", 0), put("/linux/personality/domain", "LINUX32")),
    },
)
def personality(t: Trial, case: tuple[str, int]) -> None:
    name, value = case
    config = t.config()
    config["linux"]["personality"] = {"domain": name}
    expect(t.run(config)["personality"] & 0xFF, value, "personality(2)")


# ---- memory policy (1.3.0)

MODES = {
    "MPOL_DEFAULT": (0, None),
    "MPOL_PREFERRED": (1, "0"),
    "MPOL_BIND": (2, "0"),
    "MPOL_INTERLEAVE": (3, "0"),
    "MPOL_LOCAL": (4, None),
    "MPOL_PREFERRED_MANY": (5, "0"),
    "MPOL_WEIGHTED_INTERLEAVE": (6, "0"),
}


@each(
    "memoryPolicy",
    MUST,
    POLICY,
    "the program runs under the NUMA memory policy",
    {
        name: (name, put("/linux/memoryPolicy", {"mode": "MPOL_BIND" if name != "MPOL_BIND" else "MPOL_LOCAL"}))
        for name in MODES
    },
)
def memory_policy(t: Trial, name: str) -> None:
    number, nodes = MODES[name]
    config = t.config()
    config["linux"]["memoryPolicy"] = {"mode": name} | ({"nodes": nodes} if nodes else {})
    seen = t.run(config)["mempolicy"]
    skip_unless(seen is not None, "this kernel has no NUMA memory policy")
    expect(seen["mode"] & 0xFF, number, f"mode of get_mempolicy(2) for {name}")


@each(
    "memoryPolicy.flags",
    MUST,
    POLICY,
    "the flags of set_mempolicy(2) are set",
    {
        "MPOL_F_STATIC_NODES": (("MPOL_F_STATIC_NODES", 1 << 15), drop("/linux/memoryPolicy")),
        "MPOL_F_RELATIVE_NODES": (("MPOL_F_RELATIVE_NODES", 1 << 14), drop("/linux/memoryPolicy")),
        "MPOL_F_NUMA_BALANCING": (("MPOL_F_NUMA_BALANCING", 1 << 13), drop("/linux/memoryPolicy")),
    },
)
def memory_policy_flags(t: Trial, case: tuple[str, int]) -> None:
    name, bit = case
    config = t.config()
    config["linux"]["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "0", "flags": [name]}
    seen = t.run(config)["mempolicy"]
    skip_unless(seen is not None, "this kernel has no NUMA memory policy")
    require(seen["mode"] & bit, f"mode of get_mempolicy(2) is {seen['mode']:#x}")


@each(
    "memoryPolicy.invalid",
    MUST,
    POLICY,
    "a mode or flag that does not exist, or nodes where none may or some must be, is an error",
    {
        "mode": ({"mode": "MPOL_NOSUCH"}, drop("/linux/memoryPolicy")),
        "flag": ({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_NOSUCH"]}, drop("/linux/memoryPolicy")),
        "nodes-missing": ({"mode": "MPOL_BIND"}, drop("/linux/memoryPolicy")),
        "nodes-forbidden": ({"mode": "MPOL_LOCAL", "nodes": "0"}, drop("/linux/memoryPolicy")),
        "nodes-nonsense": ({"mode": "MPOL_BIND", "nodes": "x"}, drop("/linux/memoryPolicy")),
    },
)
def memory_policy_invalid(t: Trial, value: Any) -> None:
    config = t.config()
    config["linux"]["memoryPolicy"] = value
    t.refused(config, f"memoryPolicy {value}", at_start=True)


# ---- labels and RDT


@clause(
    "mountLabel",
    MUST,
    "config-linux.md#mount-label",
    "mounts of the container have the SELinux context",
    broken_by=drop("/linux/mountLabel"),
)
def mount_label(t: Trial) -> None:
    skip_unless(Path("/sys/fs/selinux/enforce").exists(), "this host has no SELinux")
    config = t.config()
    config["linux"]["mountLabel"] = "system_u:object_r:container_file_t:s0"
    options = t.run(config).mount("/dev").super_options
    require(any("container_file_t" in option for option in options), f"options of /dev: {sorted(options)}")


def _resctrl() -> Path | None:
    return next(iter(host.mount_points("resctrl")), None)


@clause(
    "intelRdt.unmounted",
    MUST,
    RDT,
    "intelRdt without a mounted resctrl file system is an error",
    broken_by=drop("/linux/intelRdt"),
)
def rdt_unmounted(t: Trial) -> None:
    skip_unless(_resctrl() is None, "this host has resctrl mounted")
    config = t.config()
    config["linux"]["intelRdt"] = {"closID": "conformance", "l3CacheSchema": "L3:0=f"}
    t.refused(config, "intelRdt on a host without resctrl")


RULES = {
    "tasks": "the container's process is written to tasks of the directory closID",
    "closID.root": "closID / is the default class",
    "closID.unset": "without closID the directory has the container's id",
    "closID.create": "a closID directory that does not exist is created, where a schema is given",
    "closID.compare": "an existing closID directory has to have the schema given",
    "closID.preconfigured": "without a schema the closID directory has to exist",
    "schemata.order": "l3CacheSchema is written first, memBwSchema next, schemata last",
    "schemata.write": "schemas are written to the schemata file",
    "schemata.untouched": "without a schema no schemata file is written",
    "removed": "a directory the runtime made, with no closID set, is removed at delete",
    "kept": "other directories are not removed at delete",
    "monitoring": "enableMonitoring makes a MON group named after the container and removes it",
    "unset": "without intelRdt no resctrl file system is touched",
    "schema.format": "schemas have no newlines, and memBwSchema starts with MB:",
}
for _name, _text in RULES.items():
    unobservable(
        f"intelRdt.{_name}",
        MUST,
        RDT,
        _text,
        "needs a CPU with Resource Director Technology and resctrl mounted, which CI hosts and guests do not have",
    )
