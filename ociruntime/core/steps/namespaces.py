"""Entering and finishing namespaces (namespaces(7), user_namespaces(7), time_namespaces(7))."""

from __future__ import annotations

import posix as os

from ociruntime.core.errors import HostError, StepError
from ociruntime.core.kernel import _door
from ociruntime.core.kernel.flags import CLONE_NEWTIME, PR_SET_DUMPABLE
from ociruntime.core.rootfs import write_proc
from ociruntime.core.steps.base import Step, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.steps.base import Call, Scene

NS_GET_NSTYPE = 0xB703  # ioctl_ns(2)


class OpenNamespace(Step):
    """A namespace to join, opened and verified to be of the type that was asked for."""

    type: str = ""
    path: str = ""

    def describe(self) -> str:
        return f"exec {{ns_{self.type}}}<{quoted(self.path)}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        from ociruntime.core.plan.namespaces import FLAGS

        try:
            fd = kernel.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise StepError(
                f"cannot open {self.type} namespace {self.path}", code="namespace-path", errno=error.errno or 0
            ) from None
        try:
            found = kernel.ioctl(fd, NS_GET_NSTYPE)
        except OSError:
            found = 0
        if found != FLAGS[self.type]:
            kernel.close(fd)
            raise StepError(f"{self.path} is not a {self.type} namespace", code="namespace-type")
        scene.handles[f"ns:{self.type}"] = fd


class Unshare(Step):
    """A namespace that must be made later than the clone."""

    code = "namespace"
    flags: int = 0
    word: str = ""

    def describe(self) -> str:
        return f"unshare {self.word}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        kernel.unshare(self.flags)

    def calls(self, scene: Scene) -> list[Call]:
        return [(_door.SYS_unshare, self.flags)]


class NewNamespaces(Unshare):
    """Those that need not be there at birth."""

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        try:
            kernel.unshare(self.flags)
        except OSError as error:
            raise namespaces_refused(error) from None


def namespaces_refused(error: OSError) -> StepError:
    """clone(2) and unshare(2) refuse for the same reasons."""
    hint = {
        1: "creating these namespaces needs CAP_SYS_ADMIN, or a new user namespace",
        28: "a limit of namespaces is reached: see /proc/sys/user/max_*_namespaces",
        11: "a limit of processes is reached: see pids.max of the cgroup and ulimit -u",
        22: "the kernel may be built without one of these namespaces",
    }.get(error.errno or 0, "")
    return StepError(
        "cannot create the container's namespaces",
        code="clone",
        errno=error.errno or 0,
        origin="/linux/namespaces",
        hint=hint,
    )


class TimeOffsets(Step):
    """Offsets of the clocks, before any process is in the time namespace.

    Done by the child in its new user namespace. Files of a process that is not dumpable belong to the
    host's root (proc(5)), so for this one write it is dumpable; nobody else lives in that namespace yet.
    """

    code = "namespace"
    lines: bytes = b""

    def describe(self) -> str:
        return f"printf {self.lines.decode()!r} > /proc/self/timens_offsets"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        kernel.prctl(PR_SET_DUMPABLE, 1)
        try:
            write_proc(kernel, scene.proc, "self/timens_offsets", self.lines)
        finally:
            kernel.prctl(PR_SET_DUMPABLE, 0)


def unshare_time(kernel: Kernel, scene: Scene, lines: bytes) -> None:
    """A time namespace for the children of the caller (the parent, before the clone)."""
    kernel.unshare(CLONE_NEWTIME)
    if lines:
        write_proc(kernel, scene.proc, "self/timens_offsets", lines)


class MapIds(Step):
    """The uid or gid map of the child's user namespace."""

    kind: str = ""
    lines: bytes = b""
    euid: int = 0

    def describe(self) -> str:
        if self.euid:
            return f"new{self.kind}map $pid {self.lines.decode().replace(chr(10), ' ').strip()}"
        return f"printf {self.lines.decode()!r} > /proc/$pid/{self.kind}_map"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        if self.euid:
            from ociruntime.core.launch.rootless import map_ids

            map_ids(kernel, scene, self.kind, self.lines)
            return
        try:
            write_proc(kernel, scene.proc, f"{scene.pid}/{self.kind}_map", self.lines)
        except OSError as error:
            count = self.lines.count(b"\n")
            shown = self.lines[:60].decode().strip() + (f" … ({count} ranges)" if count > 4 else "")
            raise StepError(
                f"cannot write the {self.kind} map {shown!r}",
                code="id-map",
                errno=error.errno or 0,
                hint="ranges must not overlap, and the host side must be mapped in the runtime's own user namespace",
            ) from None


class BecomeRoot(Step):
    """uid and gid 0 of the user namespace, which has every capability in it."""

    code = "namespace"
    keep_groups: bool = False

    def describe(self) -> str:
        return f"setpriv --reuid 0 --regid 0 --{'keep' if self.keep_groups else 'clear'}-groups"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        if not self.keep_groups:
            kernel.setgroups([])
        kernel.setresgid(0)
        kernel.setresuid(0)


AF_INET, SOCK_DGRAM, SOCK_CLOEXEC = 2, 2, 0o2000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
# struct ifreq (netdevice(7)); what a loopback device is stays as it is, whatever else is in the flags
LO_UP = b"lo".ljust(16, b"\0") + IFF_UP.to_bytes(2, "little") + bytes(22)


class LoopbackUp(Step):
    """A new network namespace has a loopback device, but it is down (network_namespaces(7))."""

    def describe(self) -> str:
        return "ip link set lo up"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        fd = kernel.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC)
        try:
            kernel.ioctl(fd, SIOCSIFFLAGS, LO_UP)
        except OSError as error:
            raise HostError("cannot bring the loopback device up", errno=error.errno or 0, code="loopback") from None
        finally:
            kernel.close(fd)

    def calls(self, scene: Scene) -> list[Call]:
        """The socket is closed with all that is not the child's (child.let_go)."""
        return [
            (_door.SYS_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
            (_door.SYS_ioctl, None, SIOCSIFFLAGS, LO_UP),
        ]
