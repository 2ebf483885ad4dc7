"""config-linux.md, seccomp: actions, operators, architectures, flags and the notify socket."""

from __future__ import annotations

import array
import json
import os
import platform
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conformance.bundle import DATA, Config
from conformance.registry import MAY, MUST, clause, each, unobservable
from conformance.saboteur import drop, put
from conformance.trial import Failed, Trial, expect, require, skip_unless

SECCOMP = "config-linux.md#seccomp"
STATE = "config-linux.md#the-container-process-state"
VALUES = "config.md#valid-values"
# system call numbers of the calls we filter, <asm/unistd.h>
NUMBERS = {
    "x86_64": {"umask": 95, "getpriority": 140, "sync": 162},
    "aarch64": {"umask": 166, "getpriority": 141, "sync": 81},
}
ARCH = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}
EPERM, ENOSYS, ENOANO = 1, 38, 55
GONE = drop("/linux/seccomp")


def _call(name: str, *args: int) -> str:
    """The deed that makes a system call."""
    table = NUMBERS.get(platform.machine(), {})
    skip_unless(name in table, f"the numbers of system calls on {platform.machine()} are not known here")
    return "syscall:" + ",".join(str(number) for number in (table[name], *args))


def _filter(t: Trial, rules: list[Config], *deeds: str, **top: Any) -> Config:
    config = t.config(*deeds)
    machine = ARCH.get(platform.machine(), "")
    config["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": [machine],
        "syscalls": rules,
        **top,
    }
    return config


def _rule(*names: str, action: str = "SCMP_ACT_ERRNO", **more: Any) -> Config:
    return {"names": list(names), "action": action, **more}


# getpriority(2) serves as the call to be filtered: runtimes themselves make calls such as getppid(2) under the filter


# ---- actions


@clause(
    "seccomp.errno",
    MUST,
    SECCOMP,
    "SCMP_ACT_ERRNO makes the call fail, by default with EPERM",
    broken_by=GONE,
)
def errno_default(t: Trial) -> None:
    seen = t.run(_filter(t, [_rule("getpriority")], _call("getpriority", 0, 0), _call("umask", 0)))
    expect([deed["errno"] for deed in seen.deeds], [EPERM, 0], "errno of a filtered call and of another")
    expect(seen["seccomp"], 2, "seccomp mode (2 is filter)")


@clause(
    "seccomp.errnoRet",
    MUST,
    SECCOMP,
    "errnoRet is the errno of the failing call",
    broken_by=drop("/linux/seccomp/syscalls/0/errnoRet"),
)
def errno_ret(t: Trial) -> None:
    seen = t.run(_filter(t, [_rule("getpriority", errnoRet=ENOANO)], _call("getpriority", 0, 0)))
    expect(seen.deed["errno"], ENOANO, "errno of the filtered call")


ENDS = {
    "SCMP_ACT_KILL": signal.SIGSYS,
    "SCMP_ACT_KILL_PROCESS": signal.SIGSYS,
    "SCMP_ACT_KILL_THREAD": signal.SIGSYS,
    "SCMP_ACT_TRAP": signal.SIGSYS,
}


@each(
    "seccomp.action.kill",
    MUST,
    SECCOMP,
    "the action ends the process with SIGSYS",
    {name: (name, GONE) for name in ENDS},
)
def kills(t: Trial, action: str) -> None:
    seen = t.run(_filter(t, [_rule("getpriority", action=action)], _call("getpriority", 0, 0)))
    expect(seen.deed["signal"], int(ENDS[action]), f"signal after {action}")


@each(
    "seccomp.action.goes-on",
    MUST,
    SECCOMP,
    "SCMP_ACT_ALLOW and SCMP_ACT_LOG let the call through, SCMP_ACT_TRACE without a tracer answers ENOSYS",
    {
        "SCMP_ACT_ALLOW": (("SCMP_ACT_ALLOW", 0), put("/linux/seccomp/syscalls/0/action", "SCMP_ACT_ERRNO")),
        "SCMP_ACT_LOG": (("SCMP_ACT_LOG", 0), put("/linux/seccomp/syscalls/0/action", "SCMP_ACT_ERRNO")),
        "SCMP_ACT_TRACE": (("SCMP_ACT_TRACE", ENOSYS), GONE),
    },
)
def goes_on(t: Trial, case: tuple[str, int]) -> None:
    action, errno = case
    # where the default is the same action libseccomp refuses the rule, so ALLOW is judged against another default
    config = _filter(t, [_rule("getpriority", action=action)], _call("getpriority", 0, 0))
    if action == "SCMP_ACT_ALLOW":
        config["linux"]["seccomp"] = _engine_profile(without="getpriority")
        config["linux"]["seccomp"]["syscalls"].insert(0, _rule("getpriority", action=action))
    expect(t.run(config).deed["errno"], errno, f"errno of a call under {action}")


@clause(
    "seccomp.defaultAction",
    MUST,
    SECCOMP,
    "calls that no rule matches get the default action",
    broken_by=put("/linux/seccomp/defaultAction", "SCMP_ACT_ALLOW"),
)
def default_action(t: Trial) -> None:
    config = t.config(_call("sync"), _call("getpriority", 0, 0))
    config["linux"]["seccomp"] = _engine_profile(without="sync")
    expect([deed["errno"] for deed in t.run(config).deeds], [EPERM, 0], "errno of an unlisted and a listed call")


def _engine_profile(*, without: str) -> Config:
    """The allow list engines use, less one call."""
    profile: Config = json.loads((DATA / "seccomp.json").read_text())
    profile["syscalls"][0]["names"].remove(without)
    if platform.machine() != "x86_64":
        profile["architectures"] = [ARCH[platform.machine()]]
    return profile


@clause(
    "seccomp.defaultErrnoRet",
    MUST,
    SECCOMP,
    "defaultErrnoRet is the errno of the default action",
    broken_by=drop("/linux/seccomp/defaultErrnoRet"),
)
def default_errno(t: Trial) -> None:
    config = t.config(_call("sync"))
    config["linux"]["seccomp"] = {**_engine_profile(without="sync"), "defaultErrnoRet": ENOANO}
    expect(t.run(config).deed["errno"], ENOANO, "errno of an unlisted call")


@clause(
    "seccomp.defaultAction.required",
    MUST,
    SECCOMP,
    "defaultAction is required",
    broken_by=GONE,
)
def default_required(t: Trial) -> None:
    config = _filter(t, [_rule("getpriority")])
    del config["linux"]["seccomp"]["defaultAction"]
    t.refused(config, "seccomp without defaultAction", at_start=True)


@each(
    "seccomp.errnoRet.unsupported",
    MUST,
    SECCOMP,
    "an errno with an action that has none is an error",
    {
        "rule": (False, drop("/linux/seccomp/syscalls/0/errnoRet")),
        "default": (True, drop("/linux/seccomp/defaultErrnoRet")),
    },
)
def errno_unsupported(t: Trial, default: bool) -> None:
    if default:
        config = _filter(t, [_rule("getpriority")], defaultErrnoRet=5)
    else:
        config = _filter(t, [_rule("getpriority", action="SCMP_ACT_KILL", errnoRet=5)])
    t.refused(config, "an errno for an action without errno", at_start=True)


# ---- arguments

# operator: (value, valueTwo, an argument that matches, one that does not)
OPERATORS = {
    "SCMP_CMP_EQ": (8, 0, 8, 9),
    "SCMP_CMP_NE": (8, 0, 9, 8),
    "SCMP_CMP_LT": (8, 0, 7, 8),
    "SCMP_CMP_LE": (8, 0, 8, 9),
    "SCMP_CMP_GT": (8, 0, 9, 8),
    "SCMP_CMP_GE": (8, 0, 8, 7),
    "SCMP_CMP_MASKED_EQ": (6, 4, 13, 14),
}


def _compare(t: Trial, argument: Config, *arguments: int) -> list[int]:
    rule = _rule("umask", errnoRet=ENOANO, args=[argument])
    seen = t.run(_filter(t, [rule], *(_call("umask", value) for value in arguments)))
    return [deed["errno"] for deed in seen.deeds]


@each(
    "seccomp.operator",
    MUST,
    SECCOMP,
    "the operator compares the argument with the value as its name says",
    {name: (name, drop("/linux/seccomp/syscalls/0/args")) for name in OPERATORS},
)
def operator(t: Trial, name: str) -> None:
    value, two, match, other = OPERATORS[name]
    argument = {"index": 0, "value": value, "valueTwo": two, "op": name}
    expect(_compare(t, argument, match, other), [ENOANO, 0], f"errno of umask({match}) and umask({other})")


@clause(
    "seccomp.args.wide",
    MUST,
    SECCOMP,
    "values are compared in all their 64 bits",
    broken_by=drop("/linux/seccomp/syscalls/0/args"),
)
def wide(t: Trial) -> None:
    argument = {"index": 0, "value": (1 << 40) + 8, "op": "SCMP_CMP_EQ"}
    expect(_compare(t, argument, (1 << 40) + 8, 8), [ENOANO, 0], "errno with equal and with half-equal argument")


@clause(
    "seccomp.args.index",
    MUST,
    SECCOMP,
    "index chooses the argument, and all of several args must match",
    broken_by=drop("/linux/seccomp/syscalls/0/args/1"),
)
def index(t: Trial) -> None:
    both = [
        {"index": 0, "value": 0, "op": "SCMP_CMP_EQ"},
        {"index": 1, "value": 1, "op": "SCMP_CMP_EQ"},
    ]
    rule = _rule("getpriority", errnoRet=ENOANO, args=both)
    calls = (_call("getpriority", 0, 1), _call("getpriority", 0, 0))
    expect([deed["errno"] for deed in t.run(_filter(t, [rule], *calls)).deeds], [ENOANO, 0], "errno")


@each(
    "seccomp.invalid",
    MUST,
    VALUES,
    "an action, operator, architecture or flag that does not exist, or a rule without names, is an error",
    {
        "action": ({"syscalls": [_rule("getpriority", action="SCMP_ACT_NOSUCH")]}, GONE),
        "default": ({"defaultAction": "SCMP_ACT_NOSUCH"}, GONE),
        "operator": (
            {"syscalls": [_rule("umask", args=[{"index": 0, "value": 1, "op": "SCMP_CMP_NOSUCH"}])]},
            GONE,
        ),
        "architecture": ({"architectures": ["SCMP_ARCH_NOSUCH"]}, GONE),
        "flag": ({"flags": ["SECCOMP_FILTER_FLAG_NOSUCH"]}, GONE),
        "index": ({"syscalls": [_rule("umask", args=[{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}])]}, GONE),
        "no-names": ({"syscalls": [_rule()]}, GONE),
    },
)
def invalid(t: Trial, change: Config) -> None:
    t.refused(_filter(t, [_rule("getpriority")], **change), f"seccomp with {change}", at_start=True)


# libseccomp cannot mix byte orders in one filter, and every machine here is little-endian
BIG_ENDIAN = ("MIPS", "MIPS64", "MIPS64N32", "PPC", "PPC64", "S390", "S390X", "PARISC", "PARISC64", "M68K", "SHEB")
ARCHITECTURES = [
    f"SCMP_ARCH_{name}"
    for name in (
        *("X86", "X86_64", "X32", "ARM", "AARCH64", "MIPS", "MIPS64", "MIPS64N32", "MIPSEL", "MIPSEL64"),
        *("MIPSEL64N32", "PPC", "PPC64", "PPC64LE", "S390", "S390X", "PARISC", "PARISC64", "RISCV64"),
        *("LOONGARCH64", "M68K", "SH", "SHEB"),
    )
]


@each(
    "seccomp.architecture",
    MAY,
    SECCOMP,
    "this architecture is accepted beside the machine's own",
    {name: (name, put("/linux/seccomp/architectures", ["SCMP_ARCH_NOSUCH"])) for name in ARCHITECTURES},
)
def architecture(t: Trial, name: str) -> None:
    machine = ARCH.get(platform.machine(), "")
    skip_unless(name.removeprefix("SCMP_ARCH_") not in BIG_ENDIAN, "one filter cannot serve both byte orders")
    config = _filter(t, [_rule("getpriority")], _call("getpriority", 0, 0), architectures=list({machine, name}))
    expect(t.run(config).deed["errno"], EPERM, "errno of a filtered call")


FLAGS = ("TSYNC", "LOG", "SPEC_ALLOW", "WAIT_KILLABLE_RECV")


@each(
    "seccomp.flag",
    MAY,
    SECCOMP,
    "this flag of seccomp(2) is accepted",
    {name: (f"SECCOMP_FILTER_FLAG_{name}", put("/linux/seccomp/flags", ["NOSUCH"])) for name in FLAGS},
)
def flag(t: Trial, name: str) -> None:
    config = _filter(t, [_rule("getpriority")], _call("getpriority", 0, 0), flags=[name])
    if name.endswith("WAIT_KILLABLE_RECV"):  # the kernel wants it only with a listener
        with _agent(t) as heard:
            config = _notifying(t, heard.path)
            config["linux"]["seccomp"]["flags"] = [name]
            t.run(config)
        return
    expect(t.run(config).deed["errno"], EPERM, "errno of a filtered call")


# ---- notify


class _Heard:
    """What an agent was sent over its socket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.messages: list[bytes] = []
        self.fds: list[int] = []
        self.closed = False

    def state(self) -> dict[str, Any]:
        """The only message, parsed."""
        if not self.messages:
            raise Failed("nothing came over the listener socket")
        return dict(json.loads(b"".join(self.messages)))


@contextmanager
def _agent(t: Trial) -> Iterator[_Heard]:
    """A seccomp agent that takes one connection and answers every notification with ENOSYS, by closing the filter."""
    heard = _Heard(t.home / "agent.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(heard.path))
        listener.listen(2)
        listener.settimeout(10)
        thread = threading.Thread(target=_listen, args=(listener, heard), daemon=True)
        thread.start()
        yield heard
        thread.join(0.1)
    thread.join(11)


def _listen(listener: socket.socket, heard: _Heard) -> None:
    try:
        connection, _ = listener.accept()
    except OSError:
        return
    with connection:
        connection.settimeout(5)
        try:
            while True:
                data, ancillary, _, _ = connection.recvmsg(1 << 16, socket.CMSG_SPACE(16))
                for _, _, raw in ancillary:
                    fds = array.array("i")
                    fds.frombytes(raw[: len(raw) - len(raw) % 4])
                    heard.fds += fds
                if not data:
                    heard.closed = True
                    break
                heard.messages.append(data)
        except OSError:
            pass
    for fd in heard.fds:
        os.close(fd)


def _notifying(t: Trial, path: Path, **more: Any) -> Config:
    rule = _rule("getpriority", action="SCMP_ACT_NOTIFY")
    return _filter(t, [rule], _call("getpriority", 0, 0), listenerPath=str(path), **more)


NO_LISTENER = drop("/linux/seccomp/listenerPath")


@clause(
    "seccomp.notify",
    MUST,
    SECCOMP,
    "with SCMP_ACT_NOTIFY the filter's descriptor goes to the listener as seccompFd",
    broken_by=NO_LISTENER,
)
def notify(t: Trial) -> None:
    with _agent(t) as heard:
        seen = t.run(_notifying(t, heard.path))
    state = heard.state()
    require(heard.fds, "no descriptor came over the listener socket")
    expect((state.get("fds"), len(heard.fds)), (["seccompFd"], 1), "fds, and how many descriptors came")
    expect(seen.deed["errno"], ENOSYS, "errno of a call whose listener went away")


@clause(
    "seccomp.notify.state",
    MUST,
    STATE,
    "the listener is told version, pid and state of the container",
    broken_by=NO_LISTENER,
)
def notify_state(t: Trial) -> None:
    with _agent(t) as heard:
        box = t.started(_notifying(t, heard.path))
        box.report()
    state = heard.state()
    require(isinstance(state.get("ociVersion"), str), f"ociVersion is {state.get('ociVersion')!r}")
    expect(state.get("pid"), box.pid, "pid")
    expect((state.get("state") or {}).get("id"), box.id, "id in state")


@clause(
    "seccomp.notify.metadata",
    MUST,
    SECCOMP,
    "listenerMetadata is passed on as metadata",
    broken_by=drop("/linux/seccomp/listenerMetadata"),
)
def notify_metadata(t: Trial) -> None:
    with _agent(t) as heard:
        t.run(_notifying(t, heard.path, listenerMetadata="some words"))
    expect(heard.state().get("metadata"), "some words", "metadata")


@clause(
    "seccomp.notify.once",
    MUST,
    SECCOMP,
    "a connection carries one state and is closed after it",
    broken_by=NO_LISTENER,
)
def notify_once(t: Trial) -> None:
    with _agent(t) as heard:
        t.run(_notifying(t, heard.path))
    heard.state()
    require(heard.closed, "the connection was left open")


@clause(
    "seccomp.notify.failure",
    MUST,
    SECCOMP,
    "a listener that cannot be reached is an error",
    broken_by=GONE,
)
def notify_failure(t: Trial) -> None:
    t.refused(_notifying(t, t.home / "nobody.sock"), "a listenerPath where nobody listens", at_start=True)


@clause(
    "seccomp.notify.ignored",
    MUST,
    SECCOMP,
    "without SCMP_ACT_NOTIFY listenerPath is ignored",
    broken_by=put("/linux/seccomp/syscalls/0/action", "SCMP_ACT_NOTIFY"),
)
def notify_ignored(t: Trial) -> None:
    config = _filter(t, [_rule("getpriority")], _call("getpriority", 0, 0), listenerPath=str(t.home / "nobody.sock"))
    expect(t.run(config).deed["errno"], EPERM, "errno of a filtered call")


@clause(
    "seccomp.notify.metadata.alone",
    MUST,
    SECCOMP,
    "listenerMetadata without listenerPath is an error",
    broken_by=GONE,
)
def metadata_alone(t: Trial) -> None:
    config = _filter(t, [_rule("getpriority")], listenerMetadata="words")
    t.refused(config, "listenerMetadata without listenerPath", at_start=True)


unobservable(
    "seccomp.notify.socket",
    MUST,
    SECCOMP,
    "the listener's socket is of family AF_UNIX and type SOCK_STREAM",
    "it is the agent that makes the socket; that the runtime connects to such a one is judged by seccomp.notify",
)
unobservable(
    "seccomp.notify.several",
    MAY,
    STATE,
    "the state may be sent by several sendmsg calls, descriptors with the first",
    "a permission to the runtime; the order is judged by seccomp.notify",
)
