"""A plan as a script that runs: `ociruntime explain --format shell BUNDLE > script; sh script`.

The commands are those of the plan, in an order that a shell can keep. Two things differ from what the runtime does:
the script joins the cgroups itself before it makes namespaces, and at the end capsh changes the root and gives up
privileges in one process, because after pivot_root the tools of the host would be gone. What no tool can do is told.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ociruntime.core.errors import HostError
from ociruntime.core.paths import dirname
from ociruntime.core.plan.capabilities import NAMES
from ociruntime.core.plan.draft import ATTACH, ENTER, HOST, LIMITS, MOUNTS, PROCESS, ROOT
from ociruntime.core.plan.namespaces import FLAGS
from ociruntime.core.steps.base import quoted
from ociruntime.explain.inside import find_inside

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ociruntime.core.plan.draft import Plan

# unshare(1) and nsenter(1) say net
WORDS = {"network": "net"}
TASKS = "echo 0 | tee "
# Deeds of the last stages that a shell or a tool can do to itself; the others belong to capsh, or are only told.
OWN = ("echo ", "ionice ", "taskset ", "umask ", "chrt ")
MOST = (1 << 64) - 1  # RLIM_INFINITY
ROOTFS = re.compile(r"(?<![\w/.-])rootfs(?=[/\s]|$)")


def script(plan: Plan, spec: Mapping[str, Any]) -> str:
    """The text of the script. Raises HostError for a plan that tools cannot carry out."""
    if plan.unshare & FLAGS["user"] or any(join.type == "user" for join in plan.joins):
        raise HostError(
            "a user namespace cannot be set up by a script",
            code="explain-shell", origin="/linux/namespaces", hint="--format text shows the steps",
        )  # fmt: skip
    inner = "\n".join(["set -e", f"cd {quoted(dirname(plan.rootfs))}", *_inside(plan, spec)])
    return "\n".join(
        [
            "#!/bin/sh",
            f"# container {plan.id}, bundle {plan.bundle}: made by `ociruntime explain --format shell`",
            "# Remove its cgroups afterwards: rmdir those below.",
            "set -ef",
            "PID=$$ pid=$$",
            *_outside(plan),
            f"exec {' '.join(_namespaces(plan))} sh -c {quoted(inner)}",
            "",
        ]
    )


def _outside(plan: Plan) -> Iterator[str]:
    yield "\n# on the host"
    yield from _deeds(plan, HOST)
    yield "\n# into the cgroups, and their limits"
    for step in plan.stages[ATTACH]:
        if not step.describe().startswith("prlimit "):  # the process sets its own below
            words = step.describe()
            if "/proc/self/fd/" in words:
                owner = words.split()[1]
                words = f"for n in 0 1 2; do [ ! -p /dev/fd/$n ] || chown {owner} /dev/fd/$n; done"
            yield from _deed(words, step.origin)
    for step in plan.stages[ENTER]:
        if step.describe().startswith(TASKS):
            # The one that writes is the one that moves: the shell itself
            files = step.describe().removeprefix(TASKS)
            yield f"for tasks in {files}; do echo 0 > $tasks; done"
    yield from _deeds(plan, LIMITS)
    yield "\n# the first process of the container"


def _namespaces(plan: Plan) -> Iterator[str]:
    """nsenter for those to join, unshare for new ones, as one command."""
    if plan.joins:
        yield "nsenter"
        yield from [f"--{WORDS.get(join.type, join.type)}={quoted(join.path)}" for join in plan.joins]
    new = [WORDS.get(kind, kind) for kind, flag in FLAGS.items() if plan.unshare & flag]
    yield "unshare"
    yield from [f"--{word}" for word in new]
    if "pid" in new:
        yield "--fork --kill-child"


def _deeds(plan: Plan, stage: str) -> Iterator[str]:
    for step in plan.stages[stage]:
        yield from _deed(step.describe(), step.origin)


def _deed(words: str, origin: str) -> Iterator[str]:
    if origin:
        yield f"# {origin}"
    yield words


def _inside(plan: Plan, spec: Mapping[str, Any]) -> Iterator[str]:
    name = quoted(plan.rootfs.rpartition("/")[2])
    yield "# in the namespaces"
    for step in plan.stages[ENTER]:
        words = step.describe()
        if not words.startswith((TASKS, "unshare ")):
            yield from _deed(words, step.origin)
    for step in (*plan.stages[MOUNTS], *plan.stages[ROOT]):
        words = step.describe()
        # capsh --chroot takes the place of the one, mount --bind opens its source itself
        if "pivot_root" not in words and not words.startswith("exec {"):
            words = ROOTFS.sub(lambda _: name, words)
            words = f"mount -o remount,bind,ro {name}" if words == "mount -o remount,bind,ro /" else words
            yield from _deed(_where_it_is(words), step.origin)
    yield "\n# the program"
    for step in plan.stages[PROCESS]:
        words = step.describe()
        if words.startswith(OWN):
            yield from _deed(words, step.origin)
    yield from _program(spec, plan.rootfs, name)


def _where_it_is(words: str) -> str:
    """A path that is not there needs no mask, and has to be made before something is mounted on it."""
    if words.startswith("[ -d "):
        return "\n".join(f"[ ! -e {line.split()[2]} ] || {{ {line}; }}" for line in words.splitlines())
    apart = words.partition(" && ")[0].split()
    if words.startswith("mount --rbind ") and "remount" in words and apart[2] == apart[3]:
        return f"[ ! -e {apart[2]} ] || {{ {words}; }}"
    if words.startswith("mount -t "):
        return f"[ -e {apart[-1]} ] || mkdir -p {apart[-1]}\n{words}"
    if words.startswith(("mount --bind ", "mount --rbind ")) and apart[2] != apart[3]:
        source, target = apart[2:4]
        made = f"if [ -d {source} ]; then mkdir -p {target}; else mkdir -p ${{t%/*}} && touch {target}; fi"
        return f"t={target}\n[ -e {target} ] || {made}\n{words}"
    return words


def _path_of(program: str, process: Mapping[str, Any], rootfs: str) -> str:
    """The program's path in the container, as execvp(3) finds it; links stay, for busybox goes by its name."""
    path = next((entry[5:] for entry in process.get("env", []) if entry.startswith("PATH=")), "")
    places = [] if "/" in program else [f"{directory}/{program}" for directory in path.split(":")]
    return next((place for place in places if find_inside(rootfs, place)), program)


def _program(spec: Mapping[str, Any], rootfs: str, name: str) -> Iterator[str]:
    """capsh does in one process what the tape does: root, bounding set, identity, noNewPrivileges, program."""
    process = spec.get("process", {})
    user = process.get("user", {})
    args = process.get("args", ["sh"])
    kept = process.get("capabilities", {}).get("bounding", [])
    dropped = ",".join(word.lower() for word in NAMES if word not in kept)
    words = ["env -i", quoted(*process.get("env", [])), "$(command -v capsh)", f"--chroot={name}"]
    words += [f"--drop={dropped}"] if dropped else []
    words += ["--no-new-privs"] if process.get("noNewPrivileges") else []
    words.append(f"--groups={','.join(str(group) for group in user.get('additionalGids', []))}")
    words += [f"--gid={user.get('gid', 0)}", f"--uid={user.get('uid', 0)}"]
    for limit in process.get("rlimits", []):
        soft, hard = [str(limit[name]) if 0 <= limit[name] < MOST else "unlimited" for name in ("soft", "hard")]
        yield f"prlimit --pid $$ --{limit['type'].removeprefix('RLIMIT_').lower()}={soft}:{hard}"
    if spec.get("linux", {}).get("seccomp"):
        yield "# linux.seccomp is left out: no tool loads a filter"
    if process.get("cwd", "/") != "/":
        yield f"# process.cwd {quoted(process['cwd'])} is left out: the program begins in /"
    yield f"exec {' '.join(words)} --shell={quoted(_path_of(args[0], process, rootfs))} -- {quoted(*args[1:])}"
