"""A plan as a script that runs: `ociruntime explain --format shell BUNDLE > script; sh script`.

The commands are those of the plan, in an order that a shell can keep:

    the script               makes cgroups, hears which number the first process has, writes its id maps,
                             runs its hooks, and removes the cgroups at the end
    a shell in namespaces    mounts, gives names; then capsh(1) changes the root and gives up privileges in one
                             process, because after pivot_root(2) the tools of the host would be gone

What no tool can do is told in a comment.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ociruntime.core.errors import HostError
from ociruntime.core.plan.capabilities import NAMES
from ociruntime.core.plan.draft import ATTACH, BESIDE, DEVICES, ENTER, HOST, LIMITS, MOUNTS, OPEN, PROCESS, ROOT
from ociruntime.core.plan.hooks import SHOWN
from ociruntime.core.plan.namespaces import FLAGS
from ociruntime.core.steps.base import quoted
from ociruntime.core.steps.cgroup import EnterTasks
from ociruntime.core.steps.namespaces import BecomeRoot
from ociruntime.core.steps.program import home_of
from ociruntime.core.steps.root import MountRootfs, OpenRootfs
from ociruntime.explain.hooks import command as hook_command
from ociruntime.explain.inside import find_inside
from ociruntime.explain.shell_steps import IMPOSSIBLE, WHILE_IT_WAITS, command, id_maps

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ociruntime.core.plan.draft import Plan
    from ociruntime.core.steps.base import Step

# unshare(1) and nsenter(1) say net
WORDS = {"network": "net"}
MOST = (1 << 64) - 1  # RLIM_INFINITY
ROOTFS = re.compile(r"(?<![\w/.-])rootfs(?=[/\s]|$)")

BEGIN = """\
# For images that you trust: unlike the runtime, mount(8) follows their links.
set -ef
pid=$$ made= helper= meet="""
CLEAN_UP = """\
clean_up() {
    rm -f "$meet"
    [ ! "$helper" ] || { kill $helper; wait $helper; } 2> /dev/null || :
    for group in $made; do # its processes may need a moment to die
        for n in 1 2 3 4 5; do rmdir $group 2> /dev/null && break || sleep 0.2; done
    done
}
trap clean_up EXIT
"""
MEETING = """
# a place to meet the first process of the container
meet=$(mktemp -u)
mkfifo -m 600 "$meet"
export meet"""
WAIT = """\
    # it is there: this is its number
    read -r pid < "$meet"
    [ "$pid" ] && trap 'echo stop > "$meet"' EXIT"""
READY = 'echo $pid > "$meet"; read -r word < "$meet"; [ "$word" = go ]'
NUMBER = "read -r pid rest < /proc/self/stat"


def script(plan: Plan, spec: Mapping[str, Any]) -> str:
    """The text of the script. Raises HostError for a plan that tools cannot carry out."""
    return "\n".join([*Script(plan, spec).lines(), ""])


class Script:
    """One script being written."""

    def __init__(self, plan: Plan, spec: Mapping[str, Any]) -> None:
        self.plan = plan
        self.spec = spec
        self.hooks: Mapping[str, Any] = spec.get("hooks") or {}
        self.maps = id_maps([*plan.stages[OPEN], *plan.stages[MOUNTS], *plan.stages[DEVICES]])
        waiting = [step for step in plan.stages[ATTACH] if isinstance(step, WHILE_IT_WAITS)]
        self.waiting = waiting
        self.parent_hooks = [kind for kind in SHOWN if self.hooks.get(kind)]
        self.new_user = bool(plan.unshare & FLAGS["user"])
        self.meets = bool(waiting or self.parent_hooks or self.hooks.get("poststart"))
        self._refuse()

    def _refuse(self) -> None:
        for steps in self.plan.stages.values():
            for step in steps:
                if isinstance(step, IMPOSSIBLE):
                    raise HostError(
                        "a scope of systemd cannot be made by a script", code="explain-shell",
                        origin=step.origin, hint="leave out --systemd-cgroup, or see the steps by --format text",
                    )  # fmt: skip

    def lines(self) -> Iterator[str]:
        plan = self.plan
        bundle = " ".join(plan.bundle.split("\n"))
        yield f"#!/bin/sh\n# container {plan.id}, bundle {bundle}: made by `ociruntime explain --format shell`"
        yield BEGIN
        if self.hooks:
            form = self._state("STATUS").replace("\\", "\\\\").replace("%", "%%")
            form = form.replace('"pid": 1', '"pid": %d').replace("STATUS", "%s")
            yield f'state() {{ printf {quoted(form)} "$1" "$pid"; }}'
        yield CLEAN_UP
        yield "# on the host"
        yield from self._deeds([*plan.stages[HOST], *plan.stages[BESIDE]])
        if self.meets:
            yield MEETING
            yield from self._helper()
        inside = "\n".join(self._inside())
        end = "END"
        while f"\n{end}\n" in inside:
            end += "-"
        yield f"\ninside() {{ cat <<'{end}'\n{inside}\n{end}\n}}"
        yield "\n# the first process of the container, from within the cgroups"
        yield "set +e"
        yield "(\nset -e"
        yield from self._first_process()
        yield ")"
        yield "status=$?; set -e"
        if self.hooks.get("poststart"):  # these come first, however short the program was; where it never ran, none do
            yield "{ [ $status = 0 ] || kill $helper; wait $helper; } 2> /dev/null || :; helper="
        yield from self._hooks("poststop", "stopped")
        yield "exit $status"

    def _helper(self) -> Iterator[str]:
        """What the script does while the first process waits, in the background."""
        yield "\n# on the host, while it waits"
        yield "("
        yield WAIT
        yield from self._deeds(self.waiting)
        yield '    trap - EXIT; echo go > "$meet"'
        if self.parent_hooks:
            yield WAIT.replace("this is its number", "its mounts are made")
            for kind in self.parent_hooks:
                yield from self._hooks(kind, SHOWN[kind])
            yield '    trap - EXIT; echo go > "$meet"'
        if self.hooks.get("poststart"):
            yield WAIT.replace("this is its number", "the program begins")
            yield "    trap - EXIT; trap '' TERM"  # whoever cleans up waits for these
            yield from self._hooks("poststart", "running")
        yield ") & helper=$!"

    def _first_process(self) -> Iterator[str]:
        """In a shell of its own, which moves itself: the script stays where it was, and cleans up."""
        plan = self.plan
        yield from self._deeds(step for step in plan.stages[ATTACH] if not isinstance(step, WHILE_IT_WAITS))
        yield from self._deeds(step for step in plan.stages[ENTER] if isinstance(step, EnterTasks))
        yield from self._deeds(plan.stages[LIMITS])
        root = [step.describe() for step in plan.stages[ENTER] if isinstance(step, BecomeRoot)]
        shell = "sh -efc"
        if self.new_user:
            # Before its ids are mapped it is nobody, and keeps its power over the namespaces by --keep-caps
            begin = quoted(f'{NUMBER}; {READY}; exec {root[0]} sh -efc "$1"')
            shell = f"sh -efc {begin} sh"
        yield f'exec {" ".join(self._namespaces())} {shell} "$(inside)"'

    def _namespaces(self) -> Iterator[str]:
        """nsenter for those to join, unshare for new ones, as one command."""
        plan = self.plan
        if plan.joins:
            yield "nsenter"
            yield from [f"--{WORDS.get(join.type, join.type)}={quoted(join.path)}" for join in plan.joins]
        new = [WORDS.get(kind, kind) for kind, flag in FLAGS.items() if plan.unshare & flag]
        if not new:
            return
        yield "unshare"
        yield from [f"--{word}" for word in new]
        if "user" in new:
            yield "--keep-caps"
        for clock, offset in (self.spec.get("linux", {}).get("timeOffsets") or {}).items():
            yield f"--{clock}={offset.get('secs', 0)}"
        if "pid" in new or "time" in new:
            yield "--fork --kill-child"

    def _inside(self) -> Iterator[str]:
        plan = self.plan
        yield "# in the namespaces"
        if self.meets:
            yield NUMBER
            if not self.new_user:
                yield READY
        yield from self._deeds(step for step in plan.stages[ENTER] if not isinstance(step, EnterTasks))
        for step in [*plan.stages[MOUNTS], *plan.stages[DEVICES]]:
            yield from (ROOTFS.sub(".", line) for line in self._deed(step))
            if isinstance(step, (MountRootfs, OpenRootfs)):
                yield f"cd {quoted(plan.rootfs)}"
        if self.parent_hooks:
            yield f"\n# hooks of the host\n{READY}"
        yield from self._hooks("createContainer", "creating")
        yield "\n# names, and what belongs to the new root"
        for step in plan.stages[ROOT]:
            yield from (ROOTFS.sub(".", line) for line in self._deed(step))
        yield from self._hooks("startContainer", "created", before="chroot . ")
        yield "\n# the program"
        yield from self._deeds(plan.stages[PROCESS])
        if self.hooks.get("poststart"):
            yield 'echo $pid > "$meet"'
        yield from _program(self.spec, plan.rootfs)

    def _deeds(self, steps: Iterable[Step]) -> Iterator[str]:
        for step in steps:
            yield from self._deed(step)

    def _deed(self, step: Step) -> Iterator[str]:
        words = command(step, self.maps)
        if words and step.origin:
            yield f"# {step.origin}"
        if words:
            yield words

    def _hooks(self, kind: str, status: str, before: str = "") -> Iterator[str]:
        inner = kind in ("createContainer", "startContainer")
        for index, hook in enumerate(self.hooks.get(kind) or ()):
            yield f"# /hooks/{kind}/{index}"
            # The function of the script is not there inside
            given = f"printf '%s' {quoted(self._state(status))}" if inner else f"state {status}"
            yield f"{given} | {before}{hook_command(hook, kind)}"

    def _state(self, status: str) -> str:
        plan = self.plan
        return json.dumps({"ociVersion": self.spec["ociVersion"], "id": plan.id, "status": status, "pid": 1,
                           "bundle": plan.bundle, "annotations": self.spec.get("annotations") or {}})  # fmt: skip


def _path_of(program: str, process: Mapping[str, Any], rootfs: str) -> str:
    """The program's path in the container, as execvp(3) finds it; links stay, for busybox goes by its name."""
    path = next((entry[5:] for entry in process.get("env", []) if entry.startswith("PATH=")), "")
    places = [] if "/" in program else [f"{directory}/{program}" for directory in path.split(":")]
    return next((place for place in places if find_inside(rootfs, place)), program)


def _home(process: Mapping[str, Any], rootfs: str) -> list[str]:
    """HOME for an environment without one, from the image's /etc/passwd."""
    if any(entry.startswith("HOME=") and entry != "HOME=" for entry in process.get("env", [])):
        return []
    passwd = find_inside(rootfs, "/etc/passwd")
    content = Path(passwd).read_bytes() if passwd and Path(passwd).is_file() else b""
    home = home_of(content, process.get("user", {}).get("uid", 0)).decode("utf-8", "surrogateescape")
    return [f"HOME={home or '/'}"]


def _program(spec: Mapping[str, Any], rootfs: str) -> Iterator[str]:
    """capsh does in one process what the tape does: root, bounding set, identity, noNewPrivileges, program."""
    process = spec.get("process", {})
    args = process.get("args") or ["sh"]
    for limit in process.get("rlimits", []):
        soft, hard = [str(limit[name]) if 0 <= limit[name] < MOST else "unlimited" for name in ("soft", "hard")]
        yield f"prlimit --pid $$ --{limit['type'].removeprefix('RLIMIT_').lower()}={soft}:{hard}"
    if spec.get("linux", {}).get("seccomp"):
        yield "# left out: linux.seccomp, no tool loads a filter"
    program, arguments = _path_of(args[0], process, rootfs), args[1:]
    cwd = process.get("cwd") or "/"
    if cwd != "/" and find_inside(rootfs, "/bin/sh"):
        arguments = ["-c", 'cd "$0" && exec "$@"', cwd, program, *arguments]
        program = "/bin/sh"
    elif cwd != "/":
        yield f"# left out: process.cwd {quoted(cwd)}, there is no shell to go there; the program begins in /"
    environment = quoted(*_home(process, rootfs), *process.get("env", []))
    words = [environment, "$(command -v capsh)", "--chroot=.", *_privileges(process)]
    yield f"exec env -i {' '.join(words)} --shell={quoted(program)} -- {quoted(*arguments)}".rstrip()


def _privileges(process: Mapping[str, Any]) -> Iterator[str]:
    """What the program may do, and as whom. An id is changed after the bounding set, and before the ambient one."""
    user, sets = process.get("user", {}), process.get("capabilities", {})
    dropped = [name.lower() for name in NAMES if name not in sets.get("bounding", [])]
    if dropped:
        yield f"--drop={','.join(dropped)}"
    if process.get("noNewPrivileges"):
        yield "--no-new-privs"
    ambient = [name.lower() for name in sets.get("ambient", []) if name in sets.get("inheritable", [])]
    inheritable = [name.lower() for name in sets.get("inheritable", []) if name in NAMES]
    yield f"--inh={','.join(inheritable)}"
    groups = user.get("additionalGids") or []
    yield f"--groups={','.join(str(group) for group in groups)}"
    yield f"--gid={user.get('gid', 0)}"
    yield from ["--keep=1"] if ambient else []
    yield f"--uid={user.get('uid', 0)}"
    if ambient:
        yield quoted(f"--caps={','.join(ambient)}+p {','.join(inheritable)}+i")
        yield f"--addamb={','.join(ambient)}"
