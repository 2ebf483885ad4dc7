"""One step of a plan as a command that really runs: what a shell has to do besides the words of describe().

A shell has no descriptors of mounts that are in no tree yet, and no step of it may fail for what the runtime takes
as it is: a path that is not there needs no mask, and a mount point that is missing is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ociruntime.core.paths import dirname
from ociruntime.core.steps import (
    cgroup,
    cgroup_systemd,
    console,
    devices,
    devices_made,
    labels,
    masks,
    mount,
    netdevices,
    process,
    program,
    rdt,
    root,
    stdio,
)
from ociruntime.core.steps import namespaces as ns
from ociruntime.core.steps.base import in_rootfs, quoted
from ociruntime.core.steps.copylink import CopyLink
from ociruntime.core.steps.idmap import OpenIdmappedBind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ociruntime.core.steps.base import Step

# What the script does in another way: unshare(1), nsenter(1) and capsh(1) have options for it, mount(8) opens the
# source of a bind itself, and the shell moves itself into its cgroups.
ELSEWHERE: tuple[type[Step], ...] = (
    mount.OpenBind, mount.OpenFilesystem, root.OpenRootfs, root.PivotRoot, root.MoveRoot, root.ChangeRoot,
    cgroup.OpenCgroup, cgroup.OpenTasks, ns.OpenNamespace, ns.Unshare, ns.TimeOffsets, ns.BecomeRoot,
    process.RaiseHardLimit, process.CheckIds, process.SetGroups, process.NoNewPrivileges,
    program.EnterCwd, program.FindHome, program.FindProgram, labels.OpenLabelProc, devices_made.OpenDevice,
)  # fmt: skip

# What no tool can do for the program, or only one that is seldom there.
LEFT_OUT: tuple[type[Step], ...] = (
    process.JoinKeyring, process.SetMemoryPolicy, process.SetPersonality, console.Console, stdio.GiveConsole,
)  # fmt: skip

# What the parent does while the first process waits: it needs that one's number, or what it has made.
WHILE_IT_WAITS: tuple[type[Step], ...] = (ns.MapIds, netdevices.MoveDevice, rdt.JoinClos)


def command(step: Step, maps: Mapping[str, str]) -> str:
    """The command of a step, "" where it is done elsewhere; `maps` are the id maps of binds by their key."""
    if isinstance(step, mount.AttachBind) and not step.follow:
        return f"# left out, for mount(8) follows links: {step.describe()}"
    if isinstance(step, mount.AttachBind):
        return _bind(step, maps.get(step.key, ""))
    if isinstance(step, ELSEWHERE):
        return ""
    if isinstance(step, LEFT_OUT):
        return f"# left out: {step.describe()}"
    for kind, words in WORDS.items():
        if isinstance(step, kind):
            return words(step)
    return step.describe()


def id_maps(steps: list[Step]) -> dict[str, str]:
    """X-mount.idmap of mount(8), since util-linux 2.39, for the binds that have one."""
    found = [step for step in steps if isinstance(step, OpenIdmappedBind)]
    return {step.key: step.describe().split()[3] for step in found}


def _made(place: str, *, directory: bool) -> str:
    """The mount point, where it is missing."""
    if directory:
        return f"mkdir -p {quoted(place)}"
    return f"[ -e {quoted(place)} ] || {{ mkdir -p {quoted(dirname(place))} && touch {quoted(place)}; }}"


def _bind(step: mount.AttachBind, id_map: str) -> str:
    source, place = quoted(step.source), in_rootfs(step.destination)
    kind = f"if [ -d {source} ]; then {_made(place, directory=True)}; else {_made(place, directory=False)}; fi"
    words = step.describe()
    return f"{kind}\n{words.replace('bind ', f'bind -o {id_map} ', 1) if id_map else words}"


def _filesystem(step: Any) -> str:
    words: str = step.describe().partition("  #")[0]
    if step.fstype == "tmpfs":  # made read-only by a step of its own, when everything in it is there
        words = words.replace(" -o ro ", " ").replace("-o ro,", "-o ").replace(",ro,", ",").replace(",ro ", " ")
    place = in_rootfs(step.destination)
    made = f"{_made(place, directory=True)}\n{words}"
    if not isinstance(step, mount.MountTmpfsCopy):
        return made
    inside = quoted(place)
    return f"copy=$(mktemp -d)\ncp -a {inside}/. $copy\n{made}\ncp -a $copy/. {inside}\nrm -rf $copy"


def _masks(step: Any) -> str:
    places = [quoted(in_rootfs(path)) for path in step.paths]
    lines = zip(places, step.describe().split("\n"), strict=True)
    return "\n".join(f"[ ! -e {place} ] || {{ {line}; }}" for place, line in lines)


def _readonly(step: Any) -> str:
    return f"[ ! -e {quoted(in_rootfs(step.path))} ] || {{ {step.describe()}; }}"


def _device(step: Any) -> str:
    place = quoted(in_rootfs(step.path))
    owner = f" && chown {step.owner[0]}:{step.owner[1]} {place}" if any(step.owner) else ""
    return f"[ -e {place} ] || {{ {_above(step)} && {step.describe()}{owner}; }}"


def _bound_device(step: Any) -> str:
    place = quoted(in_rootfs(step.path))
    # A file among devices has the options that a tmpfs for them would have
    made = f"[ -c {place} ] || {{ {_above(step)} && {step.describe()}; }}"
    return f"{made} && mount -o remount,bind,nosuid,noexec {place}"


def _above(step: devices.Device) -> str:
    return _made(dirname(in_rootfs(step.path)), directory=True)


def _links(step: Any) -> str:
    lines = step.describe().split("; ")
    return "\n".join(f"[ -L {line.split()[-1]} ] || [ -e {line.split()[-1]} ] || {line}" for line in lines)


def _copied_link(step: Any) -> str:
    place = in_rootfs(step.destination)
    return f"[ -L {quoted(place)} ] || {{ mkdir -p {quoted(dirname(place))} && {step.describe()}; }}"


def _pipes(step: Any) -> str:
    owner = f"{step.uid}:{step.gid}"
    return f"for n in 0 1 2; do [ ! -p /dev/fd/$n ] || chown {owner} /dev/fd/$n; done"


def _cgroup(step: Any) -> str:
    return f'{step.describe()}\nmade="{" ".join(quoted(path) for path in (step.path, *step.parents[::-1]))} $made"'


def _tasks(step: Any) -> str:
    """The one that writes is the one that moves: the shell itself."""
    return f"for tasks in {quoted(*(f'{path}/tasks' for path in step.paths))}; do echo 0 > $tasks; done"


def _root(step: Any) -> str:
    """The root is not the root yet: capsh changes it last."""
    words: str = step.describe()
    return words.removesuffix("/") + "rootfs"


WORDS: dict[type[Step], Callable[[Any], str]] = {
    mount.MountFilesystem: _filesystem,
    masks.MaskPaths: _masks,
    masks.ReadonlyPath: _readonly,
    root.RootPropagation: _root,
    root.RootReadonly: _root,
    devices.MakeDevice: _device,
    devices.BindDevice: _bound_device,
    devices.DefaultLinks: _links,
    CopyLink: _copied_link,
    stdio.GivePipes: _pipes,
    cgroup.MakeCgroup: _cgroup,
    cgroup.EnterTasks: _tasks,
    cgroup.EnableControllers: lambda step: f"{step.describe()} || :",
    cgroup.JoinUnified: lambda step: f"echo 0 > {quoted(step.path)}/cgroup.procs",
}
# A scope is systemd's to make, for a process that is there already.
IMPOSSIBLE: tuple[type[Step], ...] = (cgroup_systemd.StartScope,)
