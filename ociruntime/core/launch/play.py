"""The last calls of a plan, made by an interpreter: what a startContainer hook must not be without.

Such a hook is a program of the image. Run with what the container's init has, it would be root with every
capability; so, as with runc, it first becomes the process's user with the process's capabilities, limits, label
and system call filter.
"""

from __future__ import annotations

from ociruntime.core.plan.last import Filter, Handle, ReportFd, ResultOf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.plan.draft import LastCall
    from ociruntime.core.steps.base import Scene

# Not the tape's own affairs (the listener, descriptors), and not the program
CONFINING = frozenset("openat write close prctl setresgid setresuid capset openat2 fchdir prlimit64 seccomp".split())

LISTENER_FLAGS = 8 | 32  # SECCOMP_FILTER_FLAG_NEW_LISTENER and WAIT_KILLABLE_RECV: nobody would listen to a hook


def confine(kernel: Kernel, calls: list[LastCall], scene: Scene) -> None:
    """Make the calls that give up privileges, in the calling process, for good. Raises OSError."""
    results: dict[str, int] = {}
    for call in calls:
        if call.name not in CONFINING or (call.when and call.when not in scene.found):
            continue
        if any(
            isinstance(arg, ReportFd) or (isinstance(arg, ResultOf) and arg.call not in results) for arg in call.args
        ):
            continue
        try:
            results[call.name] = _make(kernel, call, scene, results)
        except OSError:
            if not call.ignore:
                raise


def _make(kernel: Kernel, call: LastCall, scene: Scene, results: dict[str, int]) -> int:
    if call.name == "seccomp":
        operation, flags, program = call.args
        assert isinstance(operation, int) and isinstance(flags, int) and isinstance(program, Filter)
        kernel.seccomp(operation, flags & ~LISTENER_FLAGS, scene.found[program.name])
        return -1
    args: list[int | bytes | None] = []
    for arg in call.args:
        if isinstance(arg, Handle):
            args.append(scene.handles[arg.name])
        elif isinstance(arg, ResultOf):
            args.append(results[arg.call])
        else:
            assert arg is None or isinstance(arg, (int, bytes))
            args.append(arg + b"\0" if isinstance(arg, bytes) else arg)
    return kernel.syscall(call.name, *args)
