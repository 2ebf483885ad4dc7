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
CONFINING = frozenset("write close prctl setresgid setresuid capset openat2 fchdir prlimit64 seccomp".split())

LISTENER_FLAGS = 8 | 32  # SECCOMP_FILTER_FLAG_NEW_LISTENER and WAIT_KILLABLE_RECV: nobody would listen to a hook


def confine(kernel: Kernel, calls: list[LastCall], scene: Scene) -> None:
    """Make the calls that give up privileges, in the calling process, for good. Raises OSError."""
    results: dict[str, int] = {}
    for call in calls:
        if call.name not in CONFINING or (call.when and call.when not in scene.found):
            continue
        if any(isinstance(arg, ReportFd) or _missing(arg, results) for arg in call.args):
            continue  # the hand-over of the listener, which a hook does not have
        try:
            if call.name == "seccomp":
                _filter(kernel, call, scene)
            else:
                results[call.name] = kernel.syscall(call.name, *[_word(arg, scene, results) for arg in call.args])
        except OSError:
            if not call.ignore:
                raise


def _missing(arg: object, results: dict[str, int]) -> bool:
    return isinstance(arg, ResultOf) and arg.call not in results


def _filter(kernel: Kernel, call: LastCall, scene: Scene) -> None:
    operation, flags, program = call.args
    assert isinstance(operation, int) and isinstance(flags, int) and isinstance(program, Filter)
    kernel.seccomp(operation, flags & ~LISTENER_FLAGS, scene.found[program.name])


def _word(arg: object, scene: Scene, results: dict[str, int]) -> int | bytes | None:
    if isinstance(arg, Handle):
        return scene.handles[arg.name]
    if isinstance(arg, ResultOf):
        return results[arg.call]
    assert arg is None or isinstance(arg, (int, bytes))
    return arg + b"\0" if isinstance(arg, bytes) else arg
