"""What a configuration must keep and no schema can say: a flat list of small rules.

A rule is a generator: for each way in which the document breaks it, it yields the JSON pointer of the
property at fault, a sentence, and a hint ("" for none). Its name makes the code of the error,
`namespace_twice` is config-rule-namespace-twice, and its docstring is what `ociruntime explain CODE`
shows. A rule may take for granted that the document fits the table. Rules about the process, the
resources and the filter stand in their own modules, because other commands need them alone.
"""

from __future__ import annotations

from ociruntime.core.paths import getenv
from ociruntime.core.spec.finding import apply
from ociruntime.core.spec.rules_namespaces import NAMESPACE_RULES
from ociruntime.core.spec.rules_process import PROCESS_RULES
from ociruntime.core.spec.rules_resources import RESOURCE_RULES
from ociruntime.core.spec.rules_seccomp import SECCOMP_RULES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ociruntime.core.spec.finding import Broken, Finding
    from ociruntime.core.spec.types import Linux, Spec

IMPLEMENTED = "1.3.0"


def of_config(spec: Spec) -> Iterator[Broken]:
    """All broken rules of a configuration, in the order of the lists."""
    yield from apply(CONFIG_RULES, spec, "")
    yield from apply(NAMESPACE_RULES, spec, "")
    if "process" in spec:
        yield from apply(PROCESS_RULES, spec["process"], "/process")
    linux: Linux = spec.get("linux", {})
    if "resources" in linux:
        yield from apply(RESOURCE_RULES, linux["resources"], "/linux/resources")
    if "seccomp" in linux:
        yield from apply(SECCOMP_RULES, linux["seccomp"], "/linux/seccomp")


def version(spec: Spec) -> Iterator[Finding]:
    """ociVersion has a major version that this runtime knows.

    Minor versions only add (config.md, "Specification version"), and what a document needs of a newer
    one shows itself as an unknown property; engines are often ahead of their runtime.
    """
    given = spec["ociVersion"]
    if int(given.partition(".")[0]) > 1:
        yield "/ociVersion", f'ociVersion "{given}" is too new', f"this runtime implements {IMPLEMENTED}"


def root(spec: Spec) -> Iterator[Finding]:
    """A Linux container has a root file system (config.md, "Root")."""
    if "root" not in spec:
        yield "", 'the property "root" is missing', "a Linux container needs a root file system"


def bind_source(spec: Spec) -> Iterator[Finding]:
    """A bind mount says what it binds."""
    for index, mount in enumerate(spec.get("mounts", [])):
        options = mount.get("options", [])
        if ("bind" in options or "rbind" in options) and not mount.get("source"):
            yield f"/mounts/{index}", f"the bind mount on {mount['destination']} has no source", ""


def idmap(spec: Spec) -> Iterator[Finding]:
    """An idmapped mount has user and group ids, its own or those of the container (config.md, "Mounts")."""
    mapped = any([item["type"] == "user" for item in spec.get("linux", {}).get("namespaces", [])])
    for index, mount in enumerate(spec.get("mounts", [])):
        users, groups = mount.get("uidMappings"), mount.get("gidMappings")
        options = mount.get("options", [])
        if bool(users) != bool(groups):
            given, missing = ("uid", "gid") if users else ("gid", "uid")
            yield (
                f"/mounts/{index}/{given}Mappings",
                f"the mount on {mount['destination']} has {given}Mappings without {missing}Mappings",
                "",
            )
        elif not users and not mapped and ("idmap" in options or "ridmap" in options):
            yield (
                f"/mounts/{index}/options",
                f"the mount on {mount['destination']} is to be idmapped, but has no id mappings",
                "give it uidMappings and gidMappings, or the container a user namespace",
            )


def device_number(spec: Spec) -> Iterator[Finding]:
    """A device node has a major and a minor number, unless it is a fifo (config-linux.md, "Devices")."""
    for index, device in enumerate(spec.get("linux", {}).get("devices", [])):
        for name in ("major", "minor"):
            if device["type"] != "p" and name not in device:
                yield f"/linux/devices/{index}", f"the device {device['path']} has no {name} number", ""


def intel_rdt(spec: Spec) -> Iterator[Finding]:
    """A class of service is one directory of resctrl, a schema one line (config-linux.md, "IntelRdt")."""
    rdt = spec.get("linux", {}).get("intelRdt", {})
    clos = rdt.get("closID", "")
    if clos in (".", "..") or ("/" in clos and clos != "/") or "\n" in clos:
        yield "/linux/intelRdt/closID", f'the closID "{clos}" is no name of a directory', ""
    if "\n" in rdt.get("l3CacheSchema", ""):
        yield "/linux/intelRdt/l3CacheSchema", "the l3CacheSchema has more than one line", "use schemata"
    for index, line in enumerate(rdt.get("schemata", [])):
        if "\n" in line:
            yield f"/linux/intelRdt/schemata/{index}", "an entry of schemata has more than one line", ""


def memory_policy(spec: Spec) -> Iterator[Finding]:
    """MPOL_DEFAULT and MPOL_LOCAL take no nodes, MPOL_BIND and the interleaving need some, set_mempolicy(2)."""
    policy = spec.get("linux", {}).get("memoryPolicy")
    if policy is None:
        return
    mode, nodes = policy["mode"], policy.get("nodes")
    if mode in ("MPOL_DEFAULT", "MPOL_LOCAL") and nodes:
        yield "/linux/memoryPolicy/nodes", f"{mode} takes no nodes", ""
    if mode in ("MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_WEIGHTED_INTERLEAVE", "MPOL_PREFERRED_MANY") and not nodes:
        yield "/linux/memoryPolicy", f"{mode} needs nodes", ""
    flags = policy.get("flags", [])
    if "MPOL_F_RELATIVE_NODES" in flags and "MPOL_F_STATIC_NODES" in flags:
        yield "/linux/memoryPolicy/flags", "MPOL_F_RELATIVE_NODES and MPOL_F_STATIC_NODES exclude each other", ""
    if "MPOL_F_NUMA_BALANCING" in flags and mode != "MPOL_BIND":
        yield "/linux/memoryPolicy/flags", f"MPOL_F_NUMA_BALANCING does not go with {mode}", "it needs MPOL_BIND"


def personality(spec: Spec) -> Iterator[Finding]:
    """No flag of a personality is defined yet (config-linux.md, "Personality")."""
    for flag in spec.get("linux", {}).get("personality", {}).get("flags", []):
        yield "/linux/personality/flags", f'the personality flag "{flag}" is not supported', "none is defined yet"


def seccomp_receiver(spec: Spec) -> Iterator[Finding]:
    """SCMP_ACT_NOTIFY waits for a listener: listenerPath, or what crun takes in its place.

    Without a listener, such a system call fails with ENOSYS, seccomp_unotify(2).
    """
    seccomp = spec.get("linux", {}).get("seccomp", {})
    in_its_place = spec.get("annotations", {}).get("run.oci.seccomp.receiver") or getenv("RUN_OCI_SECCOMP_RECEIVER")
    if seccomp.get("listenerPath") or in_its_place:
        return
    for index, rule in enumerate(seccomp.get("syscalls", [])):
        if rule["action"] == "SCMP_ACT_NOTIFY":
            yield f"/linux/seccomp/syscalls/{index}/action", "SCMP_ACT_NOTIFY needs a listener", "set listenerPath"


CONFIG_RULES = (
    version, root, bind_source, idmap, device_number, intel_rdt, memory_policy, personality, seccomp_receiver,
)  # fmt: skip
