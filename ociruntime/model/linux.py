"""What only Linux has: namespaces, devices, paths, kernel settings."""

from __future__ import annotations

from typing import Annotated, Literal

import attrs

from ociruntime.model.resources import Resources
from ociruntime.model.seccomp import Seccomp
from ociruntime.model.vocabulary import (
    ID,
    AbsolutePath,
    FileMode,
    Format,
    Int64,
    Laxer,
    OptionalPath,
    Part,
    Range,
    StringMap,
    Strings,
    Text,
    Tighter,
    UInt32,
)


@attrs.define(kw_only=True)
class Namespace(Part):
    """A namespace of the container's own, or one that it joins; a type not listed is inherited."""

    type: Literal["pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"]
    "Which kind, at most once each."
    path: Annotated[OptionalPath, Tighter("the text wants it absolute")] | None = None
    "The namespace to join; a new one where it is not given."


@attrs.define(kw_only=True)
class IDMapping(Part):
    """A line of /proc/PID/uid_map or gid_map, user_namespaces(7)."""

    container_id: UInt32
    "First id in the container."
    host_id: UInt32
    "First id on the host."
    size: UInt32
    "How many ids."


@attrs.define(kw_only=True)
class TimeOffset(Part):
    """How far a clock is moved, time_namespaces(7)."""

    secs: Int64 | None = None
    "Seconds, may be negative."
    nanosecs: Annotated[int, Range(0, 999_999_999), Tighter("the kernel refuses a whole second")] | None = None
    "Nanoseconds."


@attrs.define(kw_only=True)
class TimeOffsets(Part):
    """Clocks of a new time namespace."""

    monotonic: TimeOffset | None = None
    "CLOCK_MONOTONIC."
    boottime: TimeOffset | None = None
    "CLOCK_BOOTTIME."


@attrs.define(kw_only=True)
class Device(Part):
    """A device node in the container; the default ones need no entry."""

    type: Literal["c", "b", "u", "p"]
    "Character, block, unbuffered character, or fifo, as in mknod(1)."
    path: Annotated[AbsolutePath, Tighter("the text wants the full path")]
    "Path in the container."
    major: Int64 | None = None
    "Major number; needed unless it is a fifo."
    minor: Int64 | None = None
    "Minor number; needed unless it is a fifo."
    file_mode: FileMode | None = None
    "Permission bits, in decimal; the other bits are ignored."
    uid: ID | None = None
    "Owner, in the container."
    gid: ID | None = None
    "Group, in the container."


@attrs.define(kw_only=True)
class NetDevice(Part):
    """A network device of the host that moves into the container."""

    name: Text | None = None
    "Its name there; unchanged where it is not given."


@attrs.define(kw_only=True)
class IntelRdt(Part):
    """Cache and memory bandwidth by resctrl."""

    clos_id: Text | None = None
    "Class of service, a directory of resctrl; the container's id where it is not given."
    schemata: Strings | None = None
    "Lines for the schemata file, written after the other two."
    l3_cache_schema: Text | None = None
    "Line for the third level cache."
    mem_bw_schema: (
        Annotated[str, Format("bandwidth-schema", r"^MB:[^\n\u0000]*$(?!\n)", 'a line that starts with "MB:"')] | None
    ) = None
    "Line for the memory bandwidth."
    enable_monitoring: bool | None = None
    "Make a monitoring group for the container."


@attrs.define(kw_only=True)
class MemoryPolicy(Part):
    """NUMA policy of the container's memory, set_mempolicy(2)."""

    mode: Annotated[
        Literal[
            "MPOL_DEFAULT",
            "MPOL_BIND",
            "MPOL_INTERLEAVE",
            "MPOL_WEIGHTED_INTERLEAVE",
            "MPOL_PREFERRED",
            "MPOL_PREFERRED_MANY",
            "MPOL_LOCAL",
        ],
        Tighter("the text requires it"),
    ]
    "The policy."
    nodes: Text | None = None
    'NUMA nodes, as a list such as "0-3,7".'
    flags: list[Literal["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"]] | None = None
    "Flags of set_mempolicy."


@attrs.define(kw_only=True)
class Personality(Part):
    """Execution domain, personality(2)."""

    domain: Annotated[Literal["LINUX", "LINUX32"], Tighter("the text requires it")]
    "LINUX32 makes uname tell a 32 bit machine."
    flags: Strings | None = None
    "None is defined yet."


@attrs.define(kw_only=True)
class Linux(Part):
    """The linux object of config.json."""

    namespaces: list[Namespace] | None = None
    "Namespaces of the container."
    uid_mappings: list[IDMapping] | None = None
    "User ids of its user namespace."
    gid_mappings: list[IDMapping] | None = None
    "Group ids of its user namespace."
    time_offsets: TimeOffsets | None = None
    "Clocks of its time namespace."
    devices: list[Device] | None = None
    "Device nodes beside the default ones."
    net_devices: Annotated[dict[str, NetDevice], Tighter("a name is not empty and has no NUL")] | None = None
    "Network devices to move, by their name on the host."
    cgroups_path: Text | None = None
    "The container's cgroup; slice:prefix:name with the systemd driver."
    resources: Resources | None = None
    "Limits of the container's cgroup."
    rootfs_propagation: (
        Annotated[
            Literal[
                "",
                "private",
                "rprivate",
                "shared",
                "rshared",
                "slave",
                "rslave",
                "unbindable",
                "runbindable",
            ],
            Laxer("Docker and podman write the recursive forms, and runc and crun take them"),
        ]
        | None
    ) = None
    "Propagation of the root mount."
    seccomp: Seccomp | None = None
    "System call filter."
    sysctl: StringMap | None = None
    "Kernel settings of the container's namespaces, sysctl(8)."
    masked_paths: list[Annotated[AbsolutePath, Tighter("the text wants it absolute")]] | None = None
    "Paths in the container that are hidden."
    readonly_paths: list[Annotated[AbsolutePath, Tighter("the text wants it absolute")]] | None = None
    "Paths in the container that are read-only."
    mount_label: Text | None = None
    "SELinux context of the mounts."
    intel_rdt: IntelRdt | None = None
    "Cache and memory bandwidth."
    memory_policy: MemoryPolicy | None = None
    "NUMA memory policy."
    personality: Personality | None = None
    "Execution domain."
