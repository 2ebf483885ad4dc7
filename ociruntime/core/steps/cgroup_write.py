"""The deed of every limit, of create and of update: one value into one file of a cgroup."""

from __future__ import annotations

import posix as os

from ociruntime.core import paths
from ociruntime.core.cgroup.files import members, read_text, write_text
from ociruntime.core.cgroup.host import ROOT
from ociruntime.core.errors import HostError, StepError
from ociruntime.core.steps.base import Step, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.steps.base import Scene


class WriteCgroup(Step):
    """One value into one file of the container's cgroup."""

    path: str = ""
    value: str = ""
    instead: tuple[str, str] = ("", "")  # another file and value, where the kernel has no such file
    optional: bool = False  # a kernel without the file is fine
    late: bool = False  # would hit the runtime's own init: to be set once that has become small

    def describe(self) -> str:
        if "\n" in self.value:
            return "; ".join(f"echo {quoted(line)} > {quoted(self.path)}" for line in self.value.split("\n"))
        return f"echo {quoted(self.value)} > {quoted(self.path)}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        try:
            write_text(kernel, self.path, self.value)
        except FileNotFoundError as error:
            if self.instead[0]:
                self.path, self.value = self.instead
                self.instead = ("", "")
                self.apply(kernel, scene)
            elif not self.optional:
                raise self._no_file(kernel, error) from None
        except OSError as error:
            raise StepError(
                f'cannot write "{self.value}" to {self.path}: {os.strerror(error.errno or 0).lower()}',
                code="cgroup-write", errno=error.errno or 0, origin=self.origin, hint=self._advice(error.errno or 0),
            ) from None  # fmt: skip

    def _advice(self, errno: int) -> str:
        name = paths.basename(self.path)
        if errno == 16 and name.startswith("memory."):
            return "the processes in the cgroup use more than this limit"
        if errno in (1, 13):
            return "the runtime lacks the privilege for this property"
        return ""

    def _no_file(self, kernel: Kernel, error: OSError) -> HostError:
        """Which controller is missing, and from where (slow: only on failure)."""
        directory, _, name = self.path.rpartition("/")
        controller = name.partition(".")[0]
        what, hint = f"{name} does not exist in cgroup {directory}", "this kernel does not offer it"
        try:
            if controller not in read_text(kernel, f"{directory}/cgroup.controllers").split():
                why, hint = _undelegated(kernel, directory, controller)
                what = f'controller "{controller}" is not available in cgroup {directory}, {why}'
        except OSError:
            pass  # v1
        return HostError(what, code="cgroup-no-file", errno=error.errno or 0, origin=self.origin, hint=hint)


def _undelegated(kernel: Kernel, directory: str, controller: str) -> tuple[str, str]:
    """Why a v2 cgroup lacks a controller, and what to do (cgroups(7)). Raises OSError."""
    above = paths.dirname(directory)
    threaded = read_text(kernel, f"{directory}/cgroup.type").strip() != "domain"
    if threaded and not members(kernel, above, recursive=False):
        return f"for {above} is threaded", "only cpu, cpuset and pids work there: choose another linux.cgroupsPath"
    while not threaded and controller not in read_text(kernel, f"{above}/cgroup.controllers").split():
        directory, above = above, paths.dirname(above)
    if members(kernel, above, recursive=False) and above != ROOT:
        return (
            f"for {above} has processes of its own",
            "move them to a cgroup below it, or choose another linux.cgroupsPath",
        )
    if directory.rpartition("/")[2].startswith("user@"):
        return (
            f"for systemd does not delegate it to {directory}",
            "as root: systemctl edit user@.service, [Service], Delegate=yes",
        )
    return (
        f"for {above} does not delegate it",
        f"as root: echo +{controller} > {above}/cgroup.subtree_control, or Delegate={controller} for systemd's unit",
    )
