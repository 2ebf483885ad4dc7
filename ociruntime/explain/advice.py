"""What is allowed in a configuration and probably not meant, or going to go away.

Each piece of advice is a generator over a right document; its name makes the code, advice-NAME, and
its docstring is what `ociruntime explain CODE` shows.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ociruntime.core.plan.capabilities import NAMES
from ociruntime.core.spec.rules import IMPLEMENTED
from ociruntime.explain.position import escape_pointer
from ociruntime.model import Spec as SpecClass
from ociruntime.model.reflect import Kind, ListOf, MapOf, ObjectOf, properties

if TYPE_CHECKING:
    from ociruntime.core.spec.finding import Finding
    from ociruntime.core.spec.types import Spec

SETS = ("bounding", "effective", "inheritable", "permitted", "ambient")


def unknown_property(spec: Spec) -> Iterator[Finding]:
    """A property that the specification does not know is ignored (config.md, "Extensibility")."""
    yield from _unknown(spec, ObjectOf(SpecClass), "")


def _unknown(value: Any, kind: Kind, at: str) -> Iterator[Finding]:
    if isinstance(kind, ListOf):
        for index, item in enumerate(value):
            yield from _unknown(item, kind.item, f"{at}/{index}")
    elif isinstance(kind, MapOf):
        for name, item in value.items():
            yield from _unknown(item, kind.item, f"{at}/{escape_pointer(name)}")
    elif isinstance(kind, ObjectOf):
        known = {item.name: item.kind for item in properties(kind.cls)}
        for name, item in value.items():
            inner = f"{at}/{escape_pointer(name)}"
            if name in known:
                yield from _unknown(item, known[name], inner)
            else:
                close = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
                hint = f'did you mean "{close[0]}"?' if close else ""
                yield inner, f'the property "{name}" is unknown and ignored', hint


def unknown_capability(spec: Spec) -> Iterator[Finding]:
    """A capability that nobody knows is ignored (config.md, "Linux Process")."""
    for kind, names in spec.get("process", {}).get("capabilities", {}).items():
        for index, name in enumerate(names if kind in SETS and isinstance(names, list) else ()):
            if name not in NAMES:
                close = difflib.get_close_matches(str(name), NAMES, n=1, cutoff=0.75)
                hint = f'did you mean "{close[0]}"?' if close else ""
                yield f"/process/capabilities/{kind}/{index}", f'the capability "{name}" is unknown and ignored', hint


def newer_version(spec: Spec) -> Iterator[Finding]:
    """The document may use what this runtime does not know yet."""
    major, minor = (int(number) for number in spec["ociVersion"].split(".")[:2])
    if (major, minor) > tuple(int(number) for number in IMPLEMENTED.split(".")[:2]):
        yield "/ociVersion", f"this runtime implements {IMPLEMENTED} and ignores what is newer", ""


def relative_destination(spec: Spec) -> Iterator[Finding]:
    """The destination of a mount should be absolute; a relative one counts from / (config.md, "Mounts")."""
    for index, mount in enumerate(spec.get("mounts", [])):
        if not mount["destination"].startswith("/"):
            yield f"/mounts/{index}/destination", f'the destination "{mount["destination"]}" counts from /', ""


def old_hook(spec: Spec) -> Iterator[Finding]:
    """prestart hooks are deprecated in favour of the three others of create (config.md, "POSIX-platform Hooks")."""
    if spec.get("hooks", {}).get("prestart"):
        hint = "createRuntime, createContainer and startContainer say where they run"
        yield "/hooks/prestart", "prestart hooks are deprecated", hint


def no_program(spec: Spec) -> Iterator[Finding]:
    """A container without a process can be created, but not started (runtime.md, "Start")."""
    if "process" not in spec:
        yield "", "without process the container can be created, but not started", ""


def unused_console_size(spec: Spec) -> Iterator[Finding]:
    """consoleSize is for a terminal (config.md, "Process")."""
    process = spec.get("process", {})
    if "consoleSize" in process and not process.get("terminal"):
        yield "/process/consoleSize", "consoleSize is ignored without a terminal", ""


REFUSING = ("SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_ERRNO", "SCMP_ACT_TRAP")


def filtered_execve(spec: Spec) -> Iterator[Finding]:
    """A filter that refuses execve refuses the program itself: it is in force when the program is executed."""
    seccomp = spec.get("linux", {}).get("seccomp")
    if not seccomp or seccomp["defaultAction"] not in REFUSING:
        return
    rules = [rule for rule in seccomp.get("syscalls", []) if "execve" in rule["names"]]
    if not rules or all(rule["action"] in REFUSING for rule in rules):
        hint = "allow execve, and exit_group with it"
        yield "/linux/seccomp", "the filter refuses execve, so the program cannot be started", hint


ADVICE: tuple[Callable[[Any], Iterator[Finding]], ...] = (
    unknown_property,
    unknown_capability,
    newer_version,
    relative_destination,
    old_hook,
    no_program,
    unused_console_size,
    filtered_execve,
)
