"""The container's program and its attributes; also the document of `exec --process`."""

from __future__ import annotations

from typing import Annotated, Literal

import attrs

from ociruntime.model.vocabulary import (
    ID,
    AbsolutePath,
    CPUList,
    Int32,
    Part,
    Range,
    Strings,
    Text,
    Tighter,
    UInt32,
    UInt64,
)


@attrs.define(kw_only=True)
class ConsoleSize(Part):
    """Size of the terminal in characters; ignored without one."""

    height: UInt64
    "Rows."
    width: UInt64
    "Columns."


@attrs.define(kw_only=True)
class User(Part):
    """Who the program is, in the container's user namespace."""

    uid: ID | None = None
    "User id."
    gid: ID | None = None
    "Group id."
    umask: UInt32 | None = None
    "File mode creation mask, in decimal; the caller's where it is not given."
    additional_gids: list[ID] | None = None
    "Supplementary groups."
    username: Text | None = None
    "Ignored on Linux."


@attrs.define(kw_only=True)
class Capabilities(Part):
    """The five capability sets, capabilities(7); an unknown name is only worth a warning."""

    bounding: Strings | None = None
    "Ceiling of what execve can gain."
    effective: Strings | None = None
    "What the kernel checks."
    inheritable: Strings | None = None
    "What files can pass on."
    permitted: Strings | None = None
    "What the program may make effective."
    ambient: Strings | None = None
    "What survives the execve of an ordinary file."


@attrs.define(kw_only=True)
class Rlimit(Part):
    """A resource limit, getrlimit(2)."""

    type: Annotated[
        Literal[
            "RLIMIT_AS",
            "RLIMIT_CORE",
            "RLIMIT_CPU",
            "RLIMIT_DATA",
            "RLIMIT_FSIZE",
            "RLIMIT_LOCKS",
            "RLIMIT_MEMLOCK",
            "RLIMIT_MSGQUEUE",
            "RLIMIT_NICE",
            "RLIMIT_NOFILE",
            "RLIMIT_NPROC",
            "RLIMIT_RSS",
            "RLIMIT_RTPRIO",
            "RLIMIT_RTTIME",
            "RLIMIT_SIGPENDING",
            "RLIMIT_STACK",
        ],
        Tighter("a limit that Linux does not have must be an error"),
    ]
    "Name of the limit."
    soft: UInt64
    "The limit that holds; 18446744073709551615 is unlimited."
    hard: UInt64
    "The ceiling of the soft limit."


@attrs.define(kw_only=True)
class Scheduler(Part):
    """Scheduling policy, sched_setattr(2)."""

    policy: Literal["SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE", "SCHED_DEADLINE"]
    "Scheduling policy."
    nice: Int32 | None = None
    "Niceness, for SCHED_OTHER and SCHED_BATCH."
    priority: Int32 | None = None
    "Static priority, for SCHED_FIFO and SCHED_RR."
    flags: (
        list[
            Literal[
                "SCHED_FLAG_RESET_ON_FORK",
                "SCHED_FLAG_RECLAIM",
                "SCHED_FLAG_DL_OVERRUN",
                "SCHED_FLAG_KEEP_POLICY",
                "SCHED_FLAG_KEEP_PARAMS",
                "SCHED_FLAG_UTIL_CLAMP_MIN",
                "SCHED_FLAG_UTIL_CLAMP_MAX",
            ]
        ]
        | None
    ) = None
    "Flags of sched_setattr."
    runtime: UInt64 | None = None
    "Nanoseconds per period, for SCHED_DEADLINE."
    deadline: UInt64 | None = None
    "Nanoseconds, for SCHED_DEADLINE."
    period: UInt64 | None = None
    "Nanoseconds, for SCHED_DEADLINE."


@attrs.define(kw_only=True)
class IOPriority(Part):
    """Input/output priority, ioprio_set(2)."""

    class_: Literal["IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"]
    "Scheduling class."
    priority: Annotated[int, Range(0, 7), Tighter("the kernel knows 0 to 7")] | None = None
    "0 is the highest, 7 the lowest."


@attrs.define(kw_only=True)
class ExecCPUAffinity(Part):
    """CPUs of a process that joins a running container; not for its first one."""

    initial: CPUList | None = None
    "Before it enters the container's cgroup."
    final: CPUList | None = None
    "After that."


@attrs.define(kw_only=True)
class Process(Part):
    """A program and everything it inherits."""

    cwd: Annotated[AbsolutePath, Tighter("the text wants it absolute")]
    "Working directory."
    args: Strings | None = None
    "argv, at least one entry; args[0] is looked up in the container's PATH."
    env: Strings | None = None
    "Environment, as NAME=VALUE."
    terminal: bool | None = None
    "Give the program a new pseudo-terminal as its standard streams."
    console_size: ConsoleSize | None = None
    "Size of that terminal."
    user: User | None = None
    "Who the program is."
    capabilities: Capabilities | None = None
    "What it may do."
    rlimits: list[Rlimit] | None = None
    "Resource limits, each at most once."
    no_new_privileges: bool | None = None
    "execve can gain nothing, PR_SET_NO_NEW_PRIVS."
    apparmor_profile: Text | None = None
    "AppArmor profile, changed at execve."
    selinux_label: Text | None = None
    "SELinux label, changed at execve."
    oom_score_adj: Annotated[int, Range(-1000, 1000), Tighter("the kernel knows -1000 to 1000")] | None = None
    "Written to /proc/self/oom_score_adj where it is given."
    scheduler: Scheduler | None = None
    "Scheduling policy."
    io_priority: IOPriority | None = None
    "Input/output priority."
    exec_cpu_affinity: ExecCPUAffinity | None = None
    "CPUs of a process that joins."
    command_line: Text | None = None
    "Ignored on Linux."
