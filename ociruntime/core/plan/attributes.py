"""Limits, priorities and policies of a process: the specification's words to the kernel's numbers."""

from __future__ import annotations

from ociruntime.core.errors import ConfigError
from ociruntime.core.steps.process import (
    UNLIMITED,
    SetAffinity,
    SetIoPriority,
    SetMemoryPolicy,
    SetPersonality,
    SetScheduler,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from ociruntime.core.steps.base import Step

# asm-generic/resource.h; the same numbers on x86_64 and aarch64
RLIMITS = {
    "RLIMIT_" + name: number
    for number, name in enumerate(
        "CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME".split()
    )
}

# linux/sched.h; 4 was reserved for SCHED_ISO and never implemented
POLICIES = {"SCHED_" + name: number for number, name in enumerate("OTHER FIFO RR BATCH ISO IDLE DEADLINE".split())}
SCHED_FLAGS = {
    "SCHED_FLAG_" + name: 1 << bit
    for bit, name in enumerate(
        "RESET_ON_FORK RECLAIM DL_OVERRUN KEEP_POLICY KEEP_PARAMS UTIL_CLAMP_MIN UTIL_CLAMP_MAX".split()
    )
}
SCHED_UTIL_CLAMP = 0x60

IO_CLASSES = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}

DOMAINS = {"LINUX": 0, "LINUX32": 8}  # linux/personality.h: PER_LINUX, PER_LINUX32

# linux/mempolicy.h
MEMORY_MODES = {
    "MPOL_" + name: number
    for number, name in enumerate("DEFAULT PREFERRED BIND INTERLEAVE LOCAL PREFERRED_MANY WEIGHTED_INTERLEAVE".split())
}
MEMORY_FLAGS = {"MPOL_F_NUMA_BALANCING": 1 << 13, "MPOL_F_RELATIVE_NODES": 1 << 14, "MPOL_F_STATIC_NODES": 1 << 15}

MOST_NODES = 1024  # CONFIG_NODES_SHIFT is at most 10
MOST_CPUS = 8192  # CONFIG_NR_CPUS is at most that


def limits(document: Mapping[str, Any], origin: str) -> list[dict[str, Any]]:
    """The fields of a Limit step for each entry of rlimits; a type given twice is an error (config.md)."""
    found: dict[str, dict[str, Any]] = {}
    for index, entry in enumerate(document.get("rlimits") or ()):
        name, here = entry["type"], f"{origin}/rlimits/{index}"
        number = _word(RLIMITS, name, "resource limit", f"{here}/type")
        if name in found:
            raise ConfigError(f"{name} is set twice", code="rlimit-twice", origin=here)
        # Go clients write -1 for "unlimited"
        soft, hard = entry["soft"] & UNLIMITED, entry["hard"] & UNLIMITED
        if soft > hard:
            raise ConfigError(
                f"the soft limit {soft} of {name} is above its hard limit {hard}", code="rlimit-order",
                origin=f"{here}/soft",
            )  # fmt: skip
        found[name] = {"origin": here, "name": name, "number": number, "soft": soft, "hard": hard}
    return list(found.values())


def attributes(document: Mapping[str, Any], origin: str, linux: Mapping[str, Any]) -> Iterator[Step]:
    """The steps of everything that is set once, by the child, and survives execve."""
    if document.get("scheduler"):
        yield scheduler(document["scheduler"], f"{origin}/scheduler")
    if document.get("ioPriority"):
        yield io_priority(document["ioPriority"], f"{origin}/ioPriority")
    if linux.get("memoryPolicy"):
        yield memory_policy(linux["memoryPolicy"], "/linux/memoryPolicy")
    if linux.get("personality"):
        yield personality(linux["personality"], "/linux/personality")


def affinity(document: Mapping[str, Any], which: str, origin: str) -> list[Step]:
    """A step for "initial" or "final" of execCPUAffinity; none where that leaves the CPUs to the cpuset."""
    text = (document.get("execCPUAffinity") or {}).get(which) or ""
    here = f"{origin}/execCPUAffinity/{which}"
    cpus = numbers(text, MOST_CPUS, here)
    return [SetAffinity(origin=here, cpus=tuple(sorted(cpus)), shown=text)] if cpus else []


def scheduler(wanted: Mapping[str, Any], origin: str) -> SetScheduler:
    """process.scheduler as struct sched_attr (sched_setattr(2)); absent numbers are 0."""
    policy = _word(POLICIES, wanted["policy"], "scheduling policy", f"{origin}/policy")
    flags = _flags(SCHED_FLAGS, wanted.get("flags") or (), "scheduler flag", f"{origin}/flags")
    number = wanted.get
    attributes = (
        policy.to_bytes(4, "little")
        + flags.to_bytes(8, "little")
        + (number("nice") or 0).to_bytes(4, "little", signed=True)
        + (number("priority") or 0).to_bytes(4, "little", signed=True)
        + b"".join((number(key) or 0).to_bytes(8, "little") for key in ("runtime", "deadline", "period"))
    )
    if flags & SCHED_UTIL_CLAMP:
        attributes += bytes(8)  # the two clamps; only the longer struct has them (SCHED_ATTR_SIZE_VER1)
    size = (len(attributes) + 4).to_bytes(4, "little")
    options = [f"--{wanted['policy'].removeprefix('SCHED_').lower()}"]
    options += [f"--sched-{key} {number(key)}" for key in ("runtime", "deadline", "period") if number(key)]
    shown = f"chrt {' '.join(options)} --pid {number('priority') or 0} $$"
    if number("nice"):
        shown += f" && renice --priority {number('nice')} $$"
    return SetScheduler(origin=origin, attributes=size + attributes, policy=wanted["policy"], shown=shown)


def io_priority(wanted: Mapping[str, Any], origin: str) -> SetIoPriority:
    """process.ioPriority; 0 is the highest of eight levels."""
    kind = _word(IO_CLASSES, wanted["class"], "I/O priority class", f"{origin}/class")
    priority = wanted.get("priority") or 0
    if not 0 <= priority <= 7:
        raise ConfigError(f"I/O priority {priority} is not between 0 and 7", code="range", origin=f"{origin}/priority")
    return SetIoPriority(origin=origin, kind=kind, priority=priority)


def personality(wanted: Mapping[str, Any], origin: str) -> SetPersonality:
    """linux.personality; the specification defines no flags yet."""
    if wanted.get("flags"):
        raise ConfigError("no personality flags are supported", code="personality-flags", origin=f"{origin}/flags")
    return SetPersonality(
        origin=origin, persona=_word(DOMAINS, wanted["domain"], "execution domain", f"{origin}/domain")
    )


def memory_policy(wanted: Mapping[str, Any], origin: str) -> SetMemoryPolicy:
    """linux.memoryPolicy; which modes take nodes is set_mempolicy(2)'s rule."""
    word = wanted["mode"]
    mode = _word(MEMORY_MODES, word, "memory policy", f"{origin}/mode")
    nodes = wanted.get("nodes") or ""
    if nodes and word in ("MPOL_DEFAULT", "MPOL_LOCAL"):
        raise ConfigError(f"{word} takes no nodes", code="memory-nodes", origin=f"{origin}/nodes")
    if not nodes and word in ("MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_WEIGHTED_INTERLEAVE", "MPOL_PREFERRED_MANY"):
        raise ConfigError(f"{word} needs nodes", code="memory-nodes", origin=f"{origin}/nodes", hint='e.g. "0-1"')
    flags = _flags(MEMORY_FLAGS, wanted.get("flags") or (), "memory policy flag", f"{origin}/flags")
    mask = _node_mask(nodes, f"{origin}/nodes")
    return SetMemoryPolicy(origin=origin, mode=mode | flags, nodes=mask, words=f"{word} {nodes}".strip())


def _node_mask(nodes: str, origin: str) -> bytes:
    """A list such as "0-3,7" as a bit mask of whole 64 bit words, b"" for none."""
    mask = 0
    for number in numbers(nodes, MOST_NODES, origin):
        mask |= 1 << number
    return mask.to_bytes((mask.bit_length() + 63) // 64 * 8, "little")


def numbers(text: str, most: int, origin: str) -> set[int]:
    """The numbers of a list such as "0-3,7" (cpuset(7), List Format), all below `most`. Raises ConfigError."""
    found: set[int] = set()
    for part in text.split(",") if text else ():
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ConfigError(f"{text!r} is not a list of numbers", code="list", origin=origin, hint='e.g. "0-3,7"')
        low, high = int(first), int(last or first)
        if not low <= high < most:
            raise ConfigError(f"{part!r} is not a range of numbers below {most}", code="list", origin=origin)
        found.update(range(low, high + 1))
    return found


def _word(table: Mapping[str, int], word: str, what: str, origin: str) -> int:
    if word not in table:
        raise ConfigError(
            f"{what} {word!r} is unknown", code="config-unknown-value", origin=origin, hint="known: " + ", ".join(table)
        )
    return table[word]


def _flags(table: Mapping[str, int], words: Any, what: str, origin: str) -> int:
    flags = 0
    for index, word in enumerate(words):
        flags |= _word(table, word, what, f"{origin}/{index}")
    return flags
