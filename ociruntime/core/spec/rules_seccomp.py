"""Rules about the system call filter. See rules.py."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ociruntime.core.spec.finding import Finding
    from ociruntime.core.spec.types import Seccomp

# The actions that carry a number, seccomp(2): SECCOMP_RET_ERRNO and SECCOMP_RET_TRACE.
_NUMBERED = ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE")


def seccomp_errno(seccomp: Seccomp) -> Iterator[Finding]:
    """Only an action that returns a number has one (config-linux.md, "Seccomp")."""
    action = seccomp["defaultAction"]
    if "defaultErrnoRet" in seccomp and action not in _NUMBERED:
        yield "/defaultErrnoRet", f"{action} returns no errno", "SCMP_ACT_ERRNO and SCMP_ACT_TRACE do"
    for index, rule in enumerate(seccomp.get("syscalls", [])):
        if "errnoRet" in rule and rule["action"] not in _NUMBERED:
            hint = "SCMP_ACT_ERRNO and SCMP_ACT_TRACE do"
            yield f"/syscalls/{index}/errnoRet", f"{rule['action']} returns no errno", hint


def seccomp_listener(seccomp: Seccomp) -> Iterator[Finding]:
    """Metadata go to a listener (config-linux.md, "Seccomp")."""
    if seccomp.get("listenerMetadata") and not seccomp.get("listenerPath"):
        yield "/listenerMetadata", "listenerMetadata without listenerPath", ""


def seccomp_notify(seccomp: Seccomp) -> Iterator[Finding]:
    """SCMP_ACT_NOTIFY is not for write, nor for everything.

    The runtime itself needs write to hand the listener over after the filter is loaded; runc refuses both.
    """
    if seccomp["defaultAction"] == "SCMP_ACT_NOTIFY":
        yield "/defaultAction", "SCMP_ACT_NOTIFY for every system call would block the runtime", ""
    for index, rule in enumerate(seccomp.get("syscalls", [])):
        if rule["action"] == "SCMP_ACT_NOTIFY" and "write" in rule["names"]:
            yield f"/syscalls/{index}/names", "SCMP_ACT_NOTIFY for write would block the runtime", ""


def seccomp_argument(seccomp: Seccomp) -> Iterator[Finding]:
    """A system call has six arguments."""
    for index, rule in enumerate(seccomp.get("syscalls", [])):
        for number, comparison in enumerate(rule.get("args", [])):
            if comparison["index"] > 5:
                at = f"/syscalls/{index}/args/{number}/index"
                yield at, f"there is no argument {comparison['index']} of a system call", "they count from 0 to 5"


SECCOMP_RULES = (seccomp_errno, seccomp_listener, seccomp_notify, seccomp_argument)
