"""Every rule refuses what it is for, names the property, and lets its neighbours pass."""

from __future__ import annotations

from typing import Any

import pytest

from ociruntime.core.spec import table
from ociruntime.core.spec.check import conforms
from ociruntime.core.spec.rules import CONFIG_RULES, of_config
from ociruntime.core.spec.rules_namespaces import NAMESPACE_RULES
from ociruntime.core.spec.rules_process import PROCESS_RULES
from ociruntime.core.spec.rules_resources import RESOURCE_RULES
from ociruntime.core.spec.rules_seccomp import SECCOMP_RULES

USER = [{"type": "user"}]
MAPPING = {"containerID": 0, "hostID": 1000, "size": 10}
BASE: dict[str, Any] = {"ociVersion": "1.3.0", "root": {"path": "rootfs"}}


def config(**parts: Any) -> dict[str, Any]:
    return BASE | parts


def linux(*namespaces: Any, **parts: Any) -> dict[str, Any]:
    listed = [{"type": item} if isinstance(item, str) else item for item in namespaces]
    return config(linux={"namespaces": listed} | parts)


def userns(**parts: Any) -> dict[str, Any]:
    return linux("user", **({"uidMappings": [MAPPING], "gidMappings": [MAPPING]} | parts))


def process(**parts: Any) -> dict[str, Any]:
    return config(process={"cwd": "/", "args": ["sh"]} | parts)


def resources(**parts: Any) -> dict[str, Any]:
    return linux(resources=parts)


LISTENER = {"listenerPath": "/run/listener"}


def seccomp(**parts: Any) -> dict[str, Any]:
    return linux(seccomp={"defaultAction": "SCMP_ACT_ERRNO"} | parts)


def syscall(**parts: Any) -> dict[str, Any]:
    return seccomp(syscalls=[{"names": ["read"], "action": "SCMP_ACT_ALLOW"} | parts])


# The name of the rule, the pointer it gives, and a document that breaks it and nothing else.
BROKEN: list[tuple[str, str, dict[str, Any]]] = [
    ("version", "/ociVersion", config(ociVersion="2.0.0-dev")),
    ("root", "", {"ociVersion": "1.0.0"}),
    ("bind_source", "/mounts/0", config(mounts=[{"destination": "/a", "options": ["ro", "rbind"]}])),
    ("bind_source", "/mounts/0", config(mounts=[{"destination": "/a", "source": "", "options": ["bind"]}])),
    ("idmap", "/mounts/0/uidMappings", config(mounts=[{"destination": "/a", "uidMappings": [MAPPING]}])),
    (
        "idmap",
        "/mounts/0/gidMappings",
        config(mounts=[{"destination": "/a", "gidMappings": [MAPPING], "uidMappings": []}]),
    ),
    (
        "idmap",
        "/mounts/0/options",
        config(mounts=[{"destination": "/a", "source": "/b", "options": ["bind", "ridmap"]}]),
    ),
    ("device_number", "/linux/devices/0", linux(devices=[{"type": "c", "path": "/dev/a", "major": 1}])),
    ("device_number", "/linux/devices/0", linux(devices=[{"type": "u", "path": "/dev/a", "minor": 1}])),
    ("intel_rdt", "/linux/intelRdt/closID", linux(intelRdt={"closID": "a/b"})),
    ("intel_rdt", "/linux/intelRdt/closID", linux(intelRdt={"closID": ".."})),
    ("intel_rdt", "/linux/intelRdt/l3CacheSchema", linux(intelRdt={"l3CacheSchema": "L3:0=f\nMB:0=1"})),
    ("intel_rdt", "/linux/intelRdt/schemata/1", linux(intelRdt={"schemata": ["L3:0=f", "a\nb"]})),
    ("memory_policy", "/linux/memoryPolicy/nodes", linux(memoryPolicy={"mode": "MPOL_LOCAL", "nodes": "0"})),
    ("memory_policy", "/linux/memoryPolicy", linux(memoryPolicy={"mode": "MPOL_BIND"})),
    (
        "memory_policy",
        "/linux/memoryPolicy/flags",
        linux(memoryPolicy={"mode": "MPOL_PREFERRED", "nodes": "0", "flags": ["MPOL_F_NUMA_BALANCING"]}),
    ),
    (
        "memory_policy",
        "/linux/memoryPolicy/flags",
        linux(
            memoryPolicy={"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"]}
        ),
    ),
    ("personality", "/linux/personality/flags", linux(personality={"domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]})),
    ("namespace_twice", "/linux/namespaces/2", linux("pid", "mount", {"type": "pid", "path": "/proc/1/ns/pid"})),
    ("host_name", "/hostname", config(hostname="a")),
    ("host_name", "/domainname", linux("pid") | {"domainname": "a"}),
    ("hidden_paths", "/linux/maskedPaths", linux("pid", maskedPaths=["/proc/kcore"])),
    ("hidden_paths", "/linux/readonlyPaths", linux(readonlyPaths=["/proc/sys"])),
    ("id_mappings", "/linux", linux("user", uidMappings=[MAPPING])),
    ("id_mappings", "/linux", linux("user", gidMappings=[MAPPING], uidMappings=[])),
    ("id_range", "/linux/uidMappings/0/size", userns(uidMappings=[MAPPING | {"size": 0}])),
    (
        "id_range",
        "/linux/uidMappings/1/containerID",
        userns(uidMappings=[MAPPING, MAPPING | {"hostID": 5000, "containerID": 9}]),
    ),
    (
        "id_range",
        "/linux/gidMappings/0/hostID",
        userns(gidMappings=[MAPPING | {"hostID": 1005, "containerID": 20}, MAPPING]),
    ),
    (
        "id_range",
        "/mounts/0/gidMappings/0/size",
        config(mounts=[{"destination": "/a", "uidMappings": [MAPPING], "gidMappings": [MAPPING | {"size": 0}]}]),
    ),
    ("id_range", "/linux/uidMappings/0/size", userns(uidMappings=[MAPPING | {"hostID": 2**32 - 5}])),
    ("user_unmapped", "/process/user/uid", userns() | process(user={"uid": 10, "gid": 9})),
    ("user_unmapped", "/process/user/gid", userns() | process(user={"gid": 10})),
    ("user_unmapped", "/process/user/additionalGids/1", userns() | process(user={"additionalGids": [9, 10]})),
    ("user_unmapped", "/process/user/uid", userns(uidMappings=[MAPPING | {"containerID": 1}]) | process()),
    ("time_offsets", "/linux/timeOffsets", linux("pid", timeOffsets={"boottime": {"secs": 5}})),
    (
        "time_offsets",
        "/linux/timeOffsets",
        linux({"type": "time", "path": "/a"}, timeOffsets={"boottime": {"secs": 5}}),
    ),
    ("net_devices", "/linux/netDevices", linux(netDevices={"eth0": {}})),
    ("net_devices", "/linux/netDevices", linux("network", netDevices={"eth0": {"name": "a/b"}})),
    ("net_devices", "/linux/netDevices", linux("network", netDevices={"e" * 16: {}})),
    ("net_devices", "/linux/netDevices", linux("network", netDevices={"eth0": {"name": "a"}, "a": {}})),
    ("sysctl", "/linux/sysctl/net.core.somaxconn", linux("ipc", sysctl={"net.core.somaxconn": "1"})),
    ("sysctl", "/linux/sysctl/kernel.msgmax", linux("network", sysctl={"kernel.msgmax": "1"})),
    ("sysctl", "/linux/sysctl/kernel.panic", linux("network", "ipc", "uts", sysctl={"kernel.panic": "1"})),
    ("sysctl", "/linux/sysctl/kernel.hostname", linux("uts", sysctl={"kernel.hostname": "a"})),
    (
        "sysctl",
        "/linux/sysctl/kernel.domainname",
        {**linux("uts", sysctl={"kernel.domainname": "a"}), "domainname": "b"},
    ),
    ("sysctl", "/linux/sysctl/kernel~1panic", linux("uts", sysctl={"kernel/panic": "1"})),
    ("sysctl", "/linux/sysctl/net~1..~1kernel~1panic", linux("network", sysctl={"net/../kernel/panic": "1"})),
    ("args", "/process", config(process={"cwd": "/"})),
    ("args", "/process/args", process(args=[])),
    ("env", "/process/env/1", process(env=["A=", "DEBUG"])),
    ("env", "/process/env/0", process(env=["=x"])),
    ("rlimit_twice", "/process/rlimits/1", process(rlimits=[{"type": "RLIMIT_CPU", "soft": 1, "hard": 1}] * 2)),
    ("rlimit_order", "/process/rlimits/0/soft", process(rlimits=[{"type": "RLIMIT_CPU", "soft": 2, "hard": 1}])),
    ("scheduler", "/process/scheduler/nice", process(scheduler={"policy": "SCHED_OTHER", "nice": 20})),
    ("scheduler", "/process/scheduler", process(scheduler={"policy": "SCHED_FIFO"})),
    ("scheduler", "/process/scheduler/priority", process(scheduler={"policy": "SCHED_OTHER", "priority": 1})),
    ("scheduler", "/process/scheduler/period", process(scheduler={"policy": "SCHED_RR", "priority": 1, "period": 1})),
    ("cpu_affinity", "/process/execCPUAffinity/final", process(execCPUAffinity={"initial": "0-3, 7", "final": "3-"})),
    ("cpu_affinity", "/process/execCPUAffinity/initial", process(execCPUAffinity={"initial": "3-1"})),
    ("memory_swap", "/linux/resources/memory/swap", resources(memory={"limit": 2, "swap": 1})),
    ("memory_negative", "/linux/resources/memory/limit", resources(memory={"limit": -2})),
    ("swappiness", "/linux/resources/memory/swappiness", resources(memory={"swappiness": 101})),
    ("cpu_burst", "/linux/resources/cpu/burst", resources(cpu={"quota": 5, "burst": 6})),
    ("cpu_idle", "/linux/resources/cpu/idle", resources(cpu={"idle": 2})),
    ("io_weight", "/linux/resources/blockIO/weight", resources(blockIO={"weight": 9})),
    (
        "io_weight",
        "/linux/resources/blockIO/weightDevice/0/leafWeight",
        resources(blockIO={"weightDevice": [{"major": 8, "minor": 0, "leafWeight": 1001}]}),
    ),
    (
        "weight_device",
        "/linux/resources/blockIO/weightDevice/0",
        resources(blockIO={"weightDevice": [{"major": 8, "minor": 0}]}),
    ),
    ("rdma", "/linux/resources/rdma/a~1b", resources(rdma={"a/b": {}})),
    ("unified", "/linux/resources/unified/..~1memory.max", resources(unified={"../memory.max": "1"})),
    ("unified", "/linux/resources/unified/..", resources(unified={"..": "1"})),
    ("seccomp_errno", "/linux/seccomp/defaultErrnoRet", seccomp(defaultAction="SCMP_ACT_KILL", defaultErrnoRet=1)),
    ("seccomp_errno", "/linux/seccomp/syscalls/0/errnoRet", syscall(errnoRet=1)),
    ("seccomp_listener", "/linux/seccomp/listenerMetadata", seccomp(listenerMetadata="a")),
    ("seccomp_receiver", "/linux/seccomp/syscalls/0/action", syscall(action="SCMP_ACT_NOTIFY")),
    ("seccomp_notify", "/linux/seccomp/defaultAction", seccomp(defaultAction="SCMP_ACT_NOTIFY", **LISTENER)),
    (
        "seccomp_notify",
        "/linux/seccomp/syscalls/0/names",
        seccomp(syscalls=[{"names": ["write"], "action": "SCMP_ACT_NOTIFY"}], **LISTENER),
    ),
    (
        "seccomp_argument",
        "/linux/seccomp/syscalls/0/args/0/index",
        syscall(args=[{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]),
    ),
]

KEPT: dict[str, dict[str, Any]] = {
    "a version before 1.0": config(ociVersion="0.5.0-dev"),
    "a newer minor version": config(ociVersion="1.9.0"),
    "a bind mount": config(mounts=[{"destination": "/a", "source": "/b", "options": ["bind"]}]),
    "an idmapped mount of a container with ids": userns()
    | {"mounts": [{"destination": "/a", "source": "/b", "options": ["bind", "idmap"]}]},
    "an idmapped mount with its own ids": config(
        mounts=[{"destination": "/a", "source": "/b", "uidMappings": [MAPPING], "gidMappings": [MAPPING]}]
    ),
    "a device of podman, with the bits of its type": linux(
        devices=[{"type": "c", "path": "/dev/fuse", "major": 10, "minor": 229, "fileMode": 8630}]
    ),
    "a fifo without numbers": linux(devices=[{"type": "p", "path": "/dev/fifo"}]),
    "the root class of service": linux(intelRdt={"closID": "/"}),
    "a memory policy": linux(memoryPolicy={"mode": "MPOL_BIND", "nodes": "0-1", "flags": ["MPOL_F_NUMA_BALANCING"]}),
    "a preferred policy without nodes": linux(memoryPolicy={"mode": "MPOL_PREFERRED"}),
    "a personality": linux(personality={"domain": "LINUX32", "flags": []}),
    "names in a joined namespace": linux({"type": "uts", "path": "/proc/1/ns/uts"})
    | {"hostname": "a", "domainname": "b"},
    "an empty host name without a namespace": config(hostname=""),
    "hidden paths": linux("mount", maskedPaths=["/proc/kcore"], readonlyPaths=["/proc/sys"]),
    "a user namespace joined with mappings, as podman writes it": linux(
        {"type": "user", "path": "/proc/1/ns/user"}, uidMappings=[MAPPING | {"size": 1}], gidMappings=[MAPPING]
    )
    | process(user={"uid": 7}),
    "ranges that touch": userns(uidMappings=[MAPPING, {"containerID": 10, "hostID": 1010, "size": 1}]),
    "the last id": userns(uidMappings=[{"containerID": 0, "hostID": 0, "size": 2**32 - 1}]),
    "mapped ids": userns() | process(user={"uid": 9, "gid": 9, "additionalGids": [0, 9]}),
    "time offsets": linux("time", timeOffsets={"monotonic": {"secs": -5}}),
    "network devices": linux("network", netDevices={"eth0": {"name": "net%d"}, "eth1": {"name": "net%d"}}),
    "kernel settings": linux(
        "network",
        "ipc",
        "uts",
        sysctl={
            "net.ipv4.ip_forward": "1",
            "net/ipv4/conf/eth0.1/forwarding": "1",
            "kernel.shmmax": "1",
            "fs.mqueue.msg_max": "1",
            "kernel.domainname": "a",
            "net.ipv4.conf.eth0/1.forwarding": "1",
        },
    ),
    "a process": process(
        rlimits=[{"type": "RLIMIT_CPU", "soft": 1, "hard": 1}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 2**64 - 1}],
        scheduler={"policy": "SCHED_DEADLINE", "runtime": 1, "deadline": 2, "period": 3, "nice": -20},
        execCPUAffinity={"initial": "", "final": "0-3, 7"},
    ),
    "resources of an engine": resources(
        memory={"limit": 5, "swap": 5, "swappiness": 2**64 - 1, "kernel": -1, "reservation": 0},
        cpu={"quota": -1, "burst": 100, "period": 0, "idle": 1, "shares": 0},
        blockIO={"weight": 0, "weightDevice": [{"major": 8, "minor": 0, "weight": 10}]},
        rdma={"mlx": {"hcaObjects": 0}},
        unified={"memory.high": "max"},
    ),
    "swap without a limit": resources(memory={"limit": -1, "swap": 5}),
    "a filter": seccomp(
        defaultErrnoRet=38,
        listenerPath="/run/a",
        listenerMetadata="b",
        syscalls=[
            {"names": ["read"], "action": "SCMP_ACT_TRACE", "errnoRet": 5},
            {"names": ["mount"], "action": "SCMP_ACT_NOTIFY"},
            {"names": ["write"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 5, "value": 1, "op": "SCMP_CMP_EQ"}]},
        ],
    ),
}


@pytest.mark.parametrize(
    ("name", "pointer", "document"), BROKEN, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_breaks_a_rule(name: str, pointer: str, document: dict[str, Any]) -> None:
    assert conforms(document, table.SPEC)
    (broken,) = of_config(document)  # type: ignore[arg-type]
    code, found, sentence, hint = broken
    assert (code, found) == ("config-rule-" + name.replace("_", "-"), pointer)
    assert sentence and not sentence.endswith(".") and "\n" not in sentence + hint


@pytest.mark.parametrize("name", KEPT)
def test_what_keeps_the_rules(name: str) -> None:
    assert conforms(KEPT[name], table.SPEC)
    assert list(of_config(KEPT[name])) == []  # type: ignore[arg-type]


def test_every_rule_is_tested_and_explained() -> None:
    rules = (*CONFIG_RULES, *NAMESPACE_RULES, *PROCESS_RULES, *RESOURCE_RULES, *SECCOMP_RULES)
    assert {rule.__name__ for rule in rules} == {name for name, _, _ in BROKEN}
    assert all(rule.__doc__ for rule in rules)
