"""The child's side of create: from the clone to the execve of the tape player.

Everything it needs is imported before the clone, by whoever imports this module: after the pivot there
is no standard library to import from.
"""

from __future__ import annotations

import posix as os

from ociruntime.core.errors import Failure, HostError, StepError
from ociruntime.core.kernel import _door
from ociruntime.core.kernel.flags import CLONE_NEWNS, PR_SET_DUMPABLE, PR_SET_PDEATHSIG
from ociruntime.core.launch import wire
from ociruntime.core.launch.act import act
from ociruntime.core.launch.player import sealed
from ociruntime.core.launch.tape import NONZERO, Tape
from ociruntime.core.launch.transcribe import inherited, transcribe
from ociruntime.core.log import LOG
from ociruntime.core.plan.draft import DEVICES, ENTER, MOUNTS, PROCESS, ROOT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from ociruntime.core.kernel import Kernel
    from ociruntime.core.launch.ahead import Ahead
    from ociruntime.core.launch.tape import Result
    from ociruntime.core.launch.wire import Wire
    from ociruntime.core.plan.draft import LastCall, Plan
    from ociruntime.core.steps.base import Scene, Step

SIGKILL = 9
SOCK_CLOEXEC = 0o2000000


class ParentGone(Exception):
    """The parent ended, so nobody will finish this container."""


def child_main(
    kernel: Kernel, plan: Plan, scene: Scene, ends: Wire, hooks: Hooks, *, ahead: Ahead | None = None
) -> NoReturn:
    """Become the container's init. Never returns, never raises: the parent hears what failed."""

    def work() -> None:
        enter = ahead.left(scene) if ahead else plan.stages[ENTER]
        _become_init(kernel, plan, scene, ends, hooks, enter=enter)

    live(work, ends, "the container's init failed", code="init")


def live(work: Callable[[], None], ends: Wire, failed: str, *, code: str) -> NoReturn:
    """The life of a process that was cloned: its work, or a report of what `failed`.

    Never returns, never raises: nothing may reach the parent's code above the clone.
    """
    try:
        work()
    except Failure as failure:
        report(ends, failure)
    except ParentGone:
        pass
    except OSError as error:
        report(ends, StepError(f"{failed}: {error}", errno=error.errno or 0, code=code))
    except BaseException as error:  # noqa: BLE001 -- whatever it is
        report(ends, HostError(f"internal error: {failed}: {type(error).__name__}: {error}", code="internal"))
    finally:
        os._exit(1)
    raise SystemExit(1)


class Hooks:
    """What the child knows of hooks: whether the parent runs some between mounts and pivot, and its own."""

    def __init__(
        self,
        wait: bool = False,
        create_container: Callable[[], None] | None = None,
        start_container: Callable[[], None] | None = None,
    ) -> None:
        self.wait = wait
        self.create_container = create_container
        self.start_container = start_container


def _become_init(
    kernel: Kernel, plan: Plan, scene: Scene, ends: Wire, hooks: Hooks, *, enter: Sequence[Step]
) -> None:
    kernel.prctl(PR_SET_PDEATHSIG, SIGKILL)
    let_go(kernel, scene, ends, scene.first_fd)
    wait_for_go(ends)
    kernel.prctl(PR_SET_DUMPABLE, 0)
    umask = kernel.umask(0)
    kernel.setsid()
    if "ns:mount" in scene.handles:
        kernel.setns(scene.handles["ns:mount"], CLONE_NEWNS)
    act(kernel, scene, enter, stage=ENTER)
    # A change of identity clears both (prctl(2), PR_SET_PDEATHSIG and PR_SET_DUMPABLE)
    kernel.prctl(PR_SET_PDEATHSIG, SIGKILL)
    kernel.prctl(PR_SET_DUMPABLE, 0)
    act(kernel, scene, plan.stages[MOUNTS], stage=MOUNTS)
    wait_for_go(ends)
    act(kernel, scene, plan.stages[DEVICES], stage=DEVICES)
    if hooks.wait:
        ends.say(wire.MOUNTED)
        wait_for_go(ends)
    if hooks.create_container:
        hooks.create_container()
    act(kernel, scene, plan.stages[ROOT], stage=ROOT)
    kernel.umask(umask)
    act(kernel, scene, plan.stages[PROCESS], stage=PROCESS)
    if hooks.start_container:
        _wait_and_run(kernel, plan, scene, ends, hooks.start_container)
    else:
        execute_player(kernel, plan, scene, ends)


def let_go(kernel: Kernel, scene: Scene, ends: Wire, first: int, *also: int) -> None:
    """Close what only the parent needs, from `first` on, before a process of the container can look (CVE-2016-9962).

    A process of the container that may trace us, not dumpable as we are, finds the rest among our descriptors.
    """
    keep = {scene.proc, scene.rootfs, ends.fileno(), *LOG.descriptors(), *scene.handles.values(), *also}
    if "start" in scene.handles:
        keep.discard(scene.handles["start"])
    for fd in sorted(keep):
        if fd >= first:
            if fd > first:
                kernel.close_range(first, 0, fd - 1)
            first = fd + 1
    kernel.close_range(first, 0)


def execute_player(kernel: Kernel, plan: Plan, scene: Scene, ends: Wire) -> None:
    """Write the tape, say ready, and hand over to the player once the parent has everything on record."""
    tape, played = _make_tape(kernel, plan, scene, waiting=True)
    _take_console(kernel, scene, ends)
    ends.say(wire.READY, played, scene.found.get("program-file", b""))
    wait_for_go(ends)
    _execute(kernel, scene, tape)


def _make_tape(kernel: Kernel, plan: Plan, scene: Scene, *, waiting: bool) -> tuple[int, bytes]:
    content, played = write_tape(plan.last, scene, waiting=waiting)
    tape = sealed(kernel, "tape", content)
    for fd in (tape, scene.handles["wait"], *inherited(plan.last, scene)):
        kernel.set_inheritable(fd)
    return tape, played


def _execute(kernel: Kernel, scene: Scene, tape: int) -> None:
    kernel.signals_default()  # what an interpreter ignores, or whoever started it, as runc and crun do
    kernel.prctl(PR_SET_PDEATHSIG, 0)
    kernel.setsigmask_empty()
    kernel.execveat(scene.handles["player"], [b"ociruntime-init", b"%d" % tape])


def _wait_and_run(kernel: Kernel, plan: Plan, scene: Scene, ends: Wire, run_hooks: Callable[[], None]) -> None:
    """startContainer hooks run at `start`, in the container, before the program: until then this interpreter waits.

    Afterwards the connection of `start` takes the place of what the tape would have waited on.
    """
    _take_console(kernel, scene, ends)
    tape, played = _make_tape(kernel, plan, scene, waiting=False)
    kernel.close(tape)  # written to learn what it plays; the real one names the connection
    ends.say(wire.READY, played, scene.found.get("program-file", b""))
    wait_for_go(ends)
    kernel.prctl(PR_SET_PDEATHSIG, 0)
    ends.close()
    connection = wire.accept(scene.handles["wait"]) if "start" not in scene.handles else scene.handles["wait"]
    if "start" in scene.handles and not kernel.read(connection, 1):
        raise ParentGone
    try:
        run_hooks()
    except Failure as failure:
        wire.Wire(wire.socket_of(connection)).say(wire.FAILED, *wire.encode_failure(failure))
        return
    scene.handles["wait"] = connection
    tape, _ = _make_tape(kernel, plan, scene, waiting=False)
    _execute(kernel, scene, tape)


def write_tape(calls: list[LastCall], scene: Scene, *, waiting: bool = True) -> tuple[bytes, bytes]:
    """The tape, and which call each of its records plays (positions in `calls`, -1 for the wait, as text)."""
    tape = Tape()
    wait = scene.handles["wait"]
    report: int | Result = wait
    if not waiting:
        pass  # somebody has waited already, and `wait` is the connection to report to
    elif "start" in scene.handles:  # run: a byte on the socket pair; its end of file is the end of the runtime
        tape.call(_door.SYS_read, wait, b"\0", 1, flags=NONZERO)
    else:
        report = tape.call(_door.SYS_accept4, wait, None, None, SOCK_CLOEXEC)
    tape.report_to(report)
    written = transcribe(tape, calls, scene, report)
    place = {id(call): position for position, call in enumerate(calls)}  # list.index would compare them one by one
    positions = [-1] * waiting + [place[id(call)] for call in written.values()]
    return tape.assemble(), ",".join([str(position) for position in positions]).encode()


def _take_console(kernel: Kernel, scene: Scene, ends: Wire) -> None:
    if scene.console >= 0:
        ends.say(wire.CONSOLE, fd=scene.handles["master"])
        for fd in (0, 1, 2):
            kernel.dup2(scene.console, fd)


def wait_for_go(ends: Wire) -> None:
    kind, _fields, _fd = ends.hear()
    if kind != wire.GO:
        raise ParentGone


def report(ends: Wire, failure: Failure) -> NoReturn:
    """Tell the parent why, if it is still there, and end."""
    ends.leave(wire.FAILED, *wire.encode_failure(failure))
