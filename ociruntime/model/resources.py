"""Limits of a cgroup; also the document of `update --resources`."""

from __future__ import annotations

from typing import Annotated, Literal

import attrs

from ociruntime.model.vocabulary import (
    Format,
    Int64,
    Part,
    StringMap,
    Text,
    Tighter,
    UInt16,
    UInt32,
    UInt64,
)


@attrs.define(kw_only=True)
class DeviceRule(Part):
    """Which device nodes may be used; later rules win."""

    allow: bool
    "Allow or deny."
    type: Annotated[Literal["", "a", "b", "c"], Tighter("the text knows all, block and character")] | None = None
    'All ("a", also where it is not given), block or character devices.'
    major: Int64 | None = None
    "Major number; all of them where it is not given."
    minor: Int64 | None = None
    "Minor number; all of them where it is not given."
    access: (
        Annotated[
            str, Format("device-access", r"^[rwm]*$(?!\n)", 'letters of "rwm"'), Tighter("the text knows r, w and m")
        ]
        | None
    ) = None
    "Letters: read, write, mknod."


@attrs.define(kw_only=True)
class Pids(Part):
    """Number of tasks."""

    limit: Int64
    "-1 is unlimited."


@attrs.define(kw_only=True)
class Memory(Part):
    """Memory in bytes; -1 is unlimited."""

    limit: Int64 | None = None
    "Hard limit."
    reservation: Int64 | None = None
    "What is left to the container when memory is short."
    swap: Int64 | None = None
    "Memory and swap together."
    kernel: Int64 | None = None
    "Kernel memory; deprecated."
    kernel_tcp: Int64 | None = None
    "Kernel memory of TCP buffers."
    swappiness: UInt64 | None = None
    "0 to 100; only cgroup v1."
    disable_oom_killer: bool | None = None
    "Stop the container instead of killing in it; only cgroup v1."
    use_hierarchy: bool | None = None
    "Count children too; only cgroup v1."
    check_before_update: bool | None = None
    "Refuse a limit below what is in use already."


@attrs.define(kw_only=True)
class CPU(Part):
    """Processor time and processors."""

    shares: UInt64 | None = None
    "Weight against other cgroups."
    quota: Int64 | None = None
    "Microseconds per period; -1 is unlimited."
    burst: UInt64 | None = None
    "Microseconds that may be saved up, at most the quota."
    period: UInt64 | None = None
    "Length of a period in microseconds."
    realtime_runtime: Int64 | None = None
    "Microseconds per realtimePeriod for real-time tasks; only cgroup v1."
    realtime_period: UInt64 | None = None
    "Microseconds; only cgroup v1."
    cpus: Text | None = None
    'Processors, as a list such as "0-3,7".'
    mems: Text | None = None
    "Memory nodes, as such a list."
    idle: Int64 | None = None
    "1 makes all of the cgroup SCHED_IDLE."


@attrs.define(kw_only=True)
class WeightDevice(Part):
    """Weight of the container's input and output on one device."""

    major: Int64
    "Major number."
    minor: Int64
    "Minor number."
    weight: UInt16 | None = None
    "10 to 1000."
    leaf_weight: UInt16 | None = None
    "The same for the cgroup's own tasks; only cgroup v1."


@attrs.define(kw_only=True)
class ThrottleDevice(Part):
    """Limit of the container's input or output on one device."""

    major: Int64
    "Major number."
    minor: Int64
    "Minor number."
    rate: Annotated[UInt64, Tighter("the text requires it")]
    "Bytes or operations per second."


@attrs.define(kw_only=True)
class BlockIO(Part):
    """Input and output of block devices."""

    weight: UInt16 | None = None
    "10 to 1000; 0 leaves it."
    leaf_weight: UInt16 | None = None
    "The same for the cgroup's own tasks; only cgroup v1."
    weight_device: list[WeightDevice] | None = None
    "Weights by device."
    throttle_read_bps_device: list[ThrottleDevice] | None = None
    "Bytes read per second."
    throttle_write_bps_device: list[ThrottleDevice] | None = None
    "Bytes written per second."
    throttle_read_iops_device: list[ThrottleDevice] | None = None
    "Reads per second."
    throttle_write_iops_device: list[ThrottleDevice] | None = None
    "Writes per second."


@attrs.define(kw_only=True)
class HugepageLimit(Part):
    """Limit of huge pages of one size."""

    page_size: Annotated[str, Format("page-size", r"^[1-9][0-9]*[KMG]B$(?!\n)", 'a page size such as "2MB"')]
    "Size of the pages."
    limit: UInt64
    "Bytes."


@attrs.define(kw_only=True)
class InterfacePriority(Part):
    """Priority of traffic that leaves by one interface."""

    name: Text
    "Interface in the runtime's network namespace."
    priority: UInt32
    "Priority."


@attrs.define(kw_only=True)
class Network(Part):
    """Marks of network traffic; only cgroup v1."""

    class_id: UInt32 | None = None
    "Class of the packets, net_cls."
    priorities: list[InterfacePriority] | None = None
    "Priorities by interface, net_prio."


@attrs.define(kw_only=True)
class Rdma(Part):
    """Limits of one RDMA device."""

    hca_handles: UInt32 | None = None
    "Handles."
    hca_objects: UInt32 | None = None
    "Objects."


@attrs.define(kw_only=True)
class Resources(Part):
    """Limits of the container's cgroup."""

    devices: list[DeviceRule] | None = None
    "Device rules, in order."
    memory: Memory | None = None
    "Memory."
    cpu: CPU | None = None
    "Processors."
    pids: Pids | None = None
    "Tasks."
    block_io: BlockIO | None = None
    "Block devices."
    hugepage_limits: list[HugepageLimit] | None = None
    "Huge pages."
    network: Network | None = None
    "Network traffic."
    rdma: Annotated[dict[str, Rdma], Tighter("a name is not empty and has no NUL")] | None = None
    "RDMA devices by name."
    unified: StringMap | None = None
    "cgroup v2 files and what is written to them."
