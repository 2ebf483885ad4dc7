"""config.json /linux/seccomp (config-linux.md, Seccomp): the filter, and who hears of its notifications.

The filter itself is compiled by core/seccomp, or found in its cache, by a step of the parent.
"""

from __future__ import annotations

from ociruntime.core import paths
from ociruntime.core.errors import ConfigError
from ociruntime.core.plan.draft import ATTACH, OPEN, LastCall
from ociruntime.core.plan.last import AddressOfResult, Filter, ReportFd, ResultOf
from ociruntime.core.plan.process import BPF_DATA
from ociruntime.core.steps.seccomp import PrepareFilter, TakeFilter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from ociruntime.core.plan.draft import Draft
    from ociruntime.core.spec.types import Spec
    from ociruntime.core.steps.base import Step

# linux/seccomp.h
SECCOMP_SET_MODE_FILTER = 1
FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": 1,
    "SECCOMP_FILTER_FLAG_LOG": 2,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 4,
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": 32,
}
TSYNC, SPEC_ALLOW, NEW_LISTENER, WAIT_KILLABLE_RECV = 1, 4, 8, 32

NOTIFY = "SCMP_ACT_NOTIFY"


# Annotations of crun's, and a variable of its environment
RECEIVER, RECEIVER_VARIABLE = "run.oci.seccomp.receiver", "RUN_OCI_SECCOMP_RECEIVER"
FAIL_UNKNOWN = "run.oci.seccomp_fail_unknown_syscall"

INSTRUCTION = 8  # sizeof(struct sock_filter)
MOST_INSTRUCTIONS = 4096  # BPF_MAXINSNS (linux/bpf_common.h)
RETURN, RET_USER_NOTIF = 0x06, 0x7FC0  # BPF_RET | BPF_K, and the upper half of what it returns (linux/seccomp.h)


def contribute(draft: Draft) -> tuple[LastCall, tuple[LastCall, ...]]:
    """The step that finds the filter, the call that installs it, and the calls that hand its listener over."""
    profile = profile_of(draft.spec)
    step, call, after = plan_filter(profile)
    # A child with our memory finds in it what is taken there only after the clone
    draft.add(ATTACH if draft.lends else OPEN, step)
    draft.listener = {key: profile[key] for key in ("listenerPath", "listenerMetadata") if key in profile}
    return call, after


def profile_of(spec: Spec) -> dict[str, Any]:
    """linux.seccomp with what crun's annotations make of it, under their own names. Raises ConfigError."""
    annotations = spec.get("annotations") or {}
    profile: dict[str, Any] = dict((spec.get("linux") or {}).get("seccomp") or {})
    receiver = profile.get("listenerPath") or annotations.get(RECEIVER) or paths.getenv(RECEIVER_VARIABLE)
    if receiver:
        if not receiver.startswith("/"):  # start and exec may be called anywhere
            raise ConfigError(
                f"the seccomp receiver {receiver!r} is not an absolute path", code="seccomp-notify",
                origin="/linux/seccomp/listenerPath" if profile.get("listenerPath") else f"/annotations/{RECEIVER}",
            )  # fmt: skip
        profile["listenerPath"] = receiver
    if annotations.get(FAIL_UNKNOWN, "0") != "0":
        profile[FAIL_UNKNOWN] = True
    if annotations.get(BPF_DATA):
        profile[BPF_DATA] = annotations[BPF_DATA]
    return profile


def plan_filter(
    seccomp: Mapping[str, Any], origin: str = "/linux/seccomp"
) -> tuple[Step, LastCall, tuple[LastCall, ...]]:
    """Same, for `exec` too, where there is no draft."""
    if BPF_DATA in seccomp:
        return _plan_program(seccomp)
    listener = uses_notify(seccomp, origin)
    flags = filter_flags(seccomp, listener, origin)
    step = PrepareFilter(origin=origin, profile=dict(seccomp), flags=flags)
    count = sum(len(rule.get("names") or ()) for rule in seccomp.get("syscalls") or ())
    call = LastCall(
        name="seccomp",
        args=(SECCOMP_SET_MODE_FILTER, flags, Filter(name="seccomp")),
        shown=f"# seccomp filter: {seccomp.get('defaultAction')} by default, {count} system calls listed",
        origin=origin,
    )
    return step, call, tuple(_hand_over(origin)) if listener else ()


def _plan_program(profile: Mapping[str, Any]) -> tuple[Step, LastCall, tuple[LastCall, ...]]:
    """The same for a filter that comes as instructions; the rest of linux.seccomp does not count, as with crun."""
    from binascii import Error, a2b_base64

    origin = f"/annotations/{BPF_DATA}"
    try:
        program = a2b_base64(profile[BPF_DATA], strict_mode=True)
    except (Error, ValueError):
        program = b""
    if not program or len(program) % INSTRUCTION or len(program) > MOST_INSTRUCTIONS * INSTRUCTION:
        raise ConfigError(
            "the seccomp filter is no base64 of 1 to 4096 instructions of 8 bytes", code="seccomp-data", origin=origin
        )
    returned = [int.from_bytes(program[i + 4 : i + 8], "little") >> 16 for i in _returns(program)]
    listener = RET_USER_NOTIF in returned and bool(profile.get("listenerPath"))
    flags = SPEC_ALLOW | (NEW_LISTENER if listener else 0)
    call = LastCall(
        name="seccomp",
        args=(SECCOMP_SET_MODE_FILTER, flags, Filter(name="seccomp")),
        shown=f"# seccomp filter: {len(program) // INSTRUCTION} instructions as given",
        origin=origin,
    )
    return TakeFilter(origin=origin, program=program), call, tuple(_hand_over(origin)) if listener else ()


def _returns(program: bytes) -> list[int]:
    """Where the instructions that return a constant begin."""
    starts = range(0, len(program), INSTRUCTION)
    return [at for at in starts if int.from_bytes(program[at : at + 2], "little") == RETURN]


def uses_notify(seccomp: Mapping[str, Any], origin: str) -> bool:
    """Whether some system call asks the listener; refused where that could only hang.

    The player tells `start` with write(2) which descriptor the listener is: if that call, or any, waits for the
    listener, nobody can answer. The same limit as runc's.
    """
    used = False
    if seccomp.get("defaultAction") == NOTIFY:
        raise ConfigError(
            "SCMP_ACT_NOTIFY cannot be the default action", code="seccomp-notify", origin=f"{origin}/defaultAction"
        )
    for index, rule in enumerate(seccomp.get("syscalls") or ()):
        if rule.get("action") != NOTIFY:
            continue
        used = True
        if "write" in rule.get("names") or ():
            raise ConfigError(
                "SCMP_ACT_NOTIFY cannot be used for the write syscall", code="seccomp-notify",
                origin=f"{origin}/syscalls/{index}/names",
            )  # fmt: skip
    if used and not seccomp.get("listenerPath"):
        raise ConfigError(
            "SCMP_ACT_NOTIFY needs a listener", code="seccomp-notify", origin=origin,
            hint="set linux.seccomp.listenerPath",
        )  # fmt: skip
    if seccomp.get("listenerMetadata") and not seccomp.get("listenerPath"):
        raise ConfigError(
            "listenerMetadata without listenerPath", code="seccomp-notify", origin=f"{origin}/listenerMetadata"
        )
    return used


def filter_flags(seccomp: Mapping[str, Any], listener: bool, origin: str) -> int:
    """Flags of seccomp(2). Without `flags` at all: SPEC_ALLOW, as with runc since 1.2."""
    wanted = seccomp.get("flags")
    if wanted is None:
        return SPEC_ALLOW | (NEW_LISTENER if listener else 0)
    flags = NEW_LISTENER if listener else 0
    for index, flag in enumerate(wanted):
        if flag not in FLAGS:
            raise ConfigError(
                f"seccomp flag {flag!r} is unknown", code="config-unknown-value", origin=f"{origin}/flags/{index}",
                hint="known: " + ", ".join(FLAGS),
            )  # fmt: skip
        flags |= FLAGS[flag]
    if listener:
        flags &= ~TSYNC  # the two exclude each other (seccomp(2), EINVAL), and the player has one thread
    else:
        flags &= ~WAIT_KILLABLE_RECV  # only with a listener (seccomp(2), EINVAL)
    return flags


def _hand_over(origin: str) -> Iterator[LastCall]:
    """Tell `start` the number of the listener's descriptor, wait until it has a copy, close ours.

    `start` takes it with pidfd_getfd(2), sends it to listenerPath, and answers with one byte. So a program
    never runs before its listener listens.
    """
    shown = "# hand the listener of the filter over"
    yield LastCall(name="write", args=(ReportFd(), AddressOfResult(call="seccomp"), 8), shown=shown, origin=origin)
    yield LastCall(name="read", args=(ReportFd(), bytes(8), 1), origin=origin, nonzero=True)
    yield LastCall(name="close", args=(ResultOf(call="seccomp"),), origin=origin)
