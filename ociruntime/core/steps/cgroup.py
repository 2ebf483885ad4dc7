"""Deeds on control groups."""

from __future__ import annotations

import posix as os

from ociruntime.core import paths
from ociruntime.core.cgroup.files import EOPNOTSUPP, members, read_text, write_text
from ociruntime.core.errors import StateError, StepError
from ociruntime.core.kernel import _door
from ociruntime.core.kernel.flags import O_PATH
from ociruntime.core.steps.base import Step, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.steps.base import Call, Scene

EPERM, EACCES, EROFS = 1, 13, 30
JOINED = "cgroup-joined"  # the handle whose presence says that clone3 put the child into scene.cgroup


class MakeCgroup(Step):
    """The container's directory in one hierarchy, and its parents.

    One that exists is used when nothing lives in it and it is not frozen (config-linux.md, Cgroups Path):
    the limits of one container would otherwise rule another's processes.
    """

    path: str = ""
    parents: tuple[str, ...] = ()  # those that planning found missing, outermost first
    made: tuple[str, ...] = ()  # set by apply, for undo

    def describe(self) -> str:
        return f"mkdir {'-p ' if self.parents else ''}{quoted(self.path)}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        for path in (*self.parents, self.path):
            try:
                kernel.mkdirat(None, path, 0o755)
            except FileExistsError:
                if path == self.path:
                    self._refuse_occupied(kernel)
            except OSError as error:
                raise self._explained(path, error) from None
            else:
                self.made = (*self.made, path)

    def undo(self, kernel: Kernel, scene: Scene) -> None:
        if self.made:
            from ociruntime.core.cgroup.remove import remove_made

            remove_made(kernel, self.made)
            self.made = ()

    def _refuse_occupied(self, kernel: Kernel) -> None:
        inside = members(kernel, self.path)
        if inside:
            raise StateError(
                f"container's cgroup is not empty: {len(inside)} process(es) found in {self.path}",
                code="cgroup-busy", origin=self.origin, hint="choose another linux.cgroupsPath or end these processes",
            )  # fmt: skip
        for name, words in (("freezer.state", ("FROZEN", "FREEZING")), ("cgroup.freeze", ("1",))):
            try:
                state = read_text(kernel, f"{self.path}/{name}").strip()
            except OSError:
                continue
            if state in words:
                raise StateError(
                    f"container's cgroup unexpectedly frozen: {self.path}",
                    code="cgroup-frozen", origin=self.origin, hint=f"thaw it by way of {self.path}/{name}",
                )  # fmt: skip

    def _explained(self, path: str, error: OSError) -> StepError:
        hint = ""
        if error.errno == EROFS:
            hint = (
                "the runtime is in a container whose cgroups are read-only: mount them there with rw, or leave "
                "the new container in the runtime's own cgroup with --rootless=true"
            )
        elif error.errno in (EPERM, EACCES):
            hint = (
                "the cgroup above is not delegated to this user: use --systemd-cgroup, or a scope of your own "
                "(systemd-run --user --scope -p Delegate=yes ociruntime ...)"
            )
        return StepError(
            f"cannot create cgroup {path}: {os.strerror(error.errno or 0).lower()}",
            code="cgroup-create", errno=error.errno or 0, origin=self.origin, hint=hint,
        )  # fmt: skip


class InheritCpuset(Step):
    """Give a new v1 cpuset the processors and memory nodes of its parent: it begins with none, and takes nobody in.

    So do the parents, those that somebody else has made included.
    """

    root: str = ""  # the mount point
    path: str = ""

    def describe(self) -> str:
        place = quoted(self.path)
        return f"for f in cpuset.cpus cpuset.mems; do cat {place}/../$f > {place}/$f; done"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        for name in ("cpuset.cpus", "cpuset.mems"):
            self._inherited(kernel, self.path, name)

    def _inherited(self, kernel: Kernel, directory: str, name: str) -> str:
        """The content of a cpuset's file, taken from the one above where it was empty."""
        content = read_text(kernel, f"{directory}/{name}").strip()
        if not content and directory != self.root:
            content = self._inherited(kernel, paths.dirname(directory), name)
            write_text(kernel, f"{directory}/{name}", content)
        return content


class EnableControllers(Step):
    """Let the cgroups on the way down have every controller of the root (cgroups(7), cgroup.subtree_control).

    A controller that cannot be enabled is no error here: only a limit that needs it is, and names it.
    """

    root: str = ""  # the mount point
    path: str = ""  # the container's directory

    def describe(self) -> str:
        return (
            f"for d in {quoted(*self.above())}; do "
            "sed 's/[a-z_]*/+&/g' $d/cgroup.controllers > $d/cgroup.subtree_control; done"
        )

    def above(self) -> list[str]:
        """The cgroups above the container's, from the root down."""
        found = [self.root]
        for name in paths.dirname(self.path[len(self.root) + 1 :]).split("/"):
            if name:
                found.append(f"{found[-1]}/{name}")
        return found

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        above = self.above()
        wanted = set(read_text(kernel, f"{self.root}/cgroup.controllers").split())
        if wanted <= set(read_text(kernel, f"{above[-1]}/cgroup.subtree_control").split()):
            return
        for directory in above:
            file = f"{directory}/cgroup.subtree_control"
            missing = wanted - set(read_text(kernel, file).split())
            if not missing:
                continue
            try:
                write_text(kernel, file, " ".join(f"+{name}" for name in sorted(missing)))
            except OSError:
                # One refusal refuses all: try each. EBUSY: the cgroup has processes of its own.
                for name in sorted(missing):
                    try:
                        write_text(kernel, file, f"+{name}")
                    except OSError:
                        continue


class GiveCgroup(Step):
    """Make the container's user the owner of its v2 cgroup, so that it can divide it further (config-linux.md).

    Only the files that the kernel calls safe to give away change hands.
    """

    path: str = ""
    uid: int = 0

    def describe(self) -> str:
        return f"(cd {quoted(self.path)} && chown {self.uid} . $(cat /sys/kernel/cgroup/delegate))"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        try:
            names = read_text(kernel, "/sys/kernel/cgroup/delegate").split()
        except OSError:
            names = ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"]
        kernel.chown(self.path, self.uid, -1)
        for name in names:
            try:
                kernel.chown(f"{self.path}/{name}", self.uid, -1)
            except FileNotFoundError:
                continue


class FilterDevices(Step):
    """Attach the program that decides on device access in a v2 cgroup (BPF_PROG_TYPE_CGROUP_DEVICE)."""

    path: str = ""
    rules: tuple[tuple[bool, str, int, int, str], ...] = ()  # allow, type, major, minor (-1: any), access

    def describe(self) -> str:
        from ociruntime.core.cgroup.device_rules import rule_text

        return f"# device filter of {self.path}: " + ", ".join(rule_text(rule) for rule in self.rules)

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        from ociruntime.core.cgroup.devices import replace_filter

        replace_filter(kernel, self.path, self.rules)


class OpenCgroup(Step):
    """A handle on the container's cgroup in the unified hierarchy, for clone3(CLONE_INTO_CGROUP)."""

    path: str = ""

    def describe(self) -> str:
        return f"exec {{cgroup}}<{quoted(self.path)}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        scene.cgroup = kernel.open(self.path, O_PATH | os.O_DIRECTORY)


class JoinUnified(Step):
    """Move the init into its unified cgroup, unless clone3 has started it there.

    This takes milliseconds (the kernel waits for an RCU grace period), CLONE_INTO_CGROUP does not.
    """

    beside = True
    path: str = ""

    def describe(self) -> str:
        return f"echo $pid > {quoted(self.path)}/cgroup.procs  # unless cloned into it"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        if JOINED in scene.handles:
            return
        try:
            write_text(kernel, f"{self.path}/cgroup.procs", str(scene.pid))
        except OSError as error:
            kind = f"{self.path}/cgroup.type"
            if error.errno != EOPNOTSUPP or read_text(kernel, kind) != "domain invalid\n":
                raise
            write_text(kernel, kind, "threaded")  # the cgroup above is: there is no other way to live below it
            write_text(kernel, f"{self.path}/cgroup.procs", str(scene.pid))


class OpenTasks(Step):
    """The parent opens the `tasks` files of the v1 cgroups: the kernel judges a move by who opened the file."""

    paths: tuple[str, ...] = ()

    def describe(self) -> str:
        return "; ".join(f"exec {{tasks{number}}}>{quoted(path)}/tasks" for number, path in enumerate(self.paths))

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        for path in self.paths:
            scene.handles[f"{path}/tasks"] = kernel.open(f"{path}/tasks", os.O_WRONLY)


class EnterTasks(Step):
    """The child moves itself, its only thread, by writing 0 to `tasks`.

    Anybody else's write to cgroup.procs takes the lock against forks of all processes and waits 5 to
    12 ms for an RCU grace period; moving one's own single thread skips it (Linux 5.5, cgroup_procs_write_start).
    """

    paths: tuple[str, ...] = ()

    def describe(self) -> str:
        return f"echo 0 | tee {quoted(*(f'{path}/tasks' for path in self.paths))}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        for path in self.paths:
            fd = scene.handles.pop(f"{path}/tasks")
            try:
                kernel.write(fd, b"0")
            except OSError as error:
                raise StepError(
                    f"cannot join cgroup {path}: {os.strerror(error.errno or 0).lower()}",
                    code="cgroup-join", errno=error.errno or 0, origin=self.origin,
                ) from None  # fmt: skip
            finally:
                kernel.close(fd)

    def calls(self, scene: Scene) -> list[Call]:
        return [(_door.SYS_write, scene.handles[f"{path}/tasks"], b"0", 1) for path in self.paths]

    def taken(self, scene: Scene) -> None:
        for path in self.paths:
            del scene.handles[f"{path}/tasks"]
