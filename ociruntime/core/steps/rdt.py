"""Classes of service and monitoring groups (core/resctrl.py)."""

from __future__ import annotations

from ociruntime.core.cgroup.files import write_text
from ociruntime.core.errors import StepError
from ociruntime.core.resctrl import compare, write_schemata
from ociruntime.core.steps.base import Step, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.steps.base import Scene


class MakeClos(Step):
    """The class of service: a new directory with what it shall have, or one that exists and has it already."""

    path: str = ""
    lines: tuple[str, ...] = ()
    own: bool = False  # the container's, under its id: it must not exist yet
    make: bool = True  # False for the root of resctrl, which exists
    made: bool = False

    def describe(self) -> str:
        words = [f"mkdir {quoted(self.path)}"] if self.make and (self.own or self.lines) else []
        words += [f"echo {quoted(line)} > {quoted(self.path)}/schemata" for line in self.lines]
        return " && ".join(words) or f"test -d {quoted(self.path)}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        if self.make and (self.own or self.lines):
            self._mkdir(kernel)
        if self.made:
            write_schemata(kernel, self.path, self.lines)
            return
        try:
            different = compare(kernel, self.path, self.lines)
        except FileNotFoundError:
            raise StepError(
                f"there is no class of service {self.path}",
                code="rdt-missing",
                errno=2,
                hint="make it, or give l3CacheSchema, memBwSchema or schemata",
            ) from None
        if different:
            raise StepError(f"{self.path}/schemata exists and differs from {different!r}", code="rdt-differs")

    def _mkdir(self, kernel: Kernel) -> None:
        try:
            kernel.mkdirat(None, self.path, 0o755)
            self.made = True
        except FileExistsError:
            if self.own:
                raise
        except OSError as error:
            hint = "the processor has no more classes of service" if error.errno == 28 else ""
            raise StepError(f"mkdir {quoted(self.path)}", code="rdt-clos", errno=error.errno or 0, hint=hint) from None

    def undo(self, kernel: Kernel, scene: Scene) -> None:
        if self.made:
            _rmdir(kernel, self.path)


class MakeMonitor(Step):
    """A group that is measured on its own."""

    path: str = ""
    made: bool = False

    def describe(self) -> str:
        return f"mkdir {quoted(self.path)}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        try:
            kernel.mkdirat(None, self.path, 0o755)
        except OSError as error:
            hint = "the processor cannot measure more groups" if error.errno == 28 else ""
            raise StepError(
                f"cannot make the monitoring group {self.path}", code="rdt-monitor", errno=error.errno or 0, hint=hint
            ) from None
        self.made = True

    def undo(self, kernel: Kernel, scene: Scene) -> None:
        if self.made:
            _rmdir(kernel, self.path)


class JoinClos(Step):
    """The container's init becomes a task of a class or a group; its children are born there."""

    path: str = ""

    def describe(self) -> str:
        return f"echo $pid > {quoted(self.path)}/tasks"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        write_text(kernel, f"{self.path}/tasks", str(scene.pid))


def _rmdir(kernel: Kernel, path: str) -> None:
    try:
        kernel.unlinkat(None, path, directory=True)
    except OSError:
        pass  # gone, or somebody else's by now
