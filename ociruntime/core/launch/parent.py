"""The parent's side of create: everything around the clone, and taking it all back when something fails."""

from __future__ import annotations

import _socket
import select

from ociruntime.core import paths
from ociruntime.core.errors import StateError
from ociruntime.core.kernel.flags import CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWUTS, CLOSE_RANGE_CLOEXEC
from ociruntime.core.launch import wire
from ociruntime.core.launch.act import act, undo
from ociruntime.core.launch.ahead import Ahead
from ociruntime.core.launch.child import Hooks, child_main
from ociruntime.core.launch.clone import clone_init
from ociruntime.core.launch.player import open_player
from ociruntime.core.plan.draft import ATTACH, BESIDE, ENTER, HOST, LIMITS, OPEN
from ociruntime.core.plan.hooks import SHOWN
from ociruntime.core.rootfs import open_proc
from ociruntime.core.state.status import start_time
from ociruntime.core.state.store import SOCKET
from ociruntime.core.steps.base import Scene
from ociruntime.core.steps.namespaces import NewNamespaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from ociruntime.core.kernel import Kernel
    from ociruntime.core.plan.draft import LastCall, Plan
    from ociruntime.core.state.store import Container
    from ociruntime.core.steps.base import Step

    RunHooks = Callable[[str, int, str], None]  # kind of hook, pid of the container, status to show

NEED_NOT_BE_BORN_IN = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS


class Launch:
    """One create in progress. `document` is the state document, saved by the caller before the first step."""

    def __init__(self, kernel: Kernel, plan: Plan, container: Container, document: dict[str, Any]) -> None:
        self.kernel = kernel
        self.plan = plan
        self.container = container
        self.document = document
        self.scene = Scene()
        self.done: list[Step] = []
        self.ends: wire.Wire | None = None

    def prepare(self, preserve: int, *, listen: bool) -> None:
        """Handles for the child: procfs, the player, and the way in which `start` will reach it."""
        check_preserved(self.kernel, preserve)
        scene = self.scene
        scene.first_fd = 3 + preserve
        self.kernel.close_range(scene.first_fd, CLOSE_RANGE_CLOEXEC)
        scene.proc = open_proc(self.kernel)
        scene.handles["player"] = open_player(self.kernel)
        scene.handles["wait"] = self._listen() if listen else self._socketpair()

    def _listen(self) -> int:
        """The socket on which init waits. Its name is below the state directory, whatever that one's length."""
        listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        listener.bind(f"/proc/self/fd/{self.container.fd}/{SOCKET}")
        listener.listen(1)
        return listener.detach()

    def _socketpair(self) -> int:
        """For `run`, which is its own `start`: no name, and nobody else can connect."""
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        self.scene.handles["start"] = ours.detach()
        return theirs.detach()

    def clone(self, hooks: Hooks) -> None:
        """Effects on the host, then the child, up to its being ready to go."""
        kernel, plan, scene = self.kernel, self.plan, self.scene
        act(kernel, scene, plan.stages[HOST], self.done, stage=HOST)
        act(kernel, scene, plan.stages[OPEN], stage=OPEN)
        if plan.lends:
            self._lend(hooks)
        else:
            self._copy(hooks)
        act(kernel, scene, plan.stages[ATTACH], self.done, stage=ATTACH)
        self.document["pid"] = scene.pid
        self.document["startTime"] = start_time(kernel, scene.pid)

    def _copy(self, hooks: Hooks) -> None:
        """A child with a copy of our memory."""
        self.ends, theirs = wire.pair()
        if clone_init(self.kernel, self.plan, self.scene, self.kernel.clone3) == 0:
            # It closes what is the parent's, the lock and this end of the wire first of all; nothing may fail here,
            # where a failure would be taken for the parent's
            child_main(self.kernel, self.plan, self.scene, theirs, hooks)
        theirs.close()

    def _lend(self, hooks: Hooks) -> None:
        """A child in our memory (native/borrow.h), which goes ahead as far as it can without us."""
        kernel, plan, scene = self.kernel, self.plan, self.scene
        ours, theirs = wire.pair(wire.Turns)
        self.ends = ours

        def lend(flags: int, cgroup: int) -> int:
            ahead, later = None, 0
            in_place = cgroup or scene.cgroup < 0  # a cgroup namespace begins where its maker is
            if in_place and all(step.beside for step in plan.stages[ATTACH]):
                later = flags & NEED_NOT_BE_BORN_IN
                ahead = Ahead([NewNamespaces(flags=later)] * bool(later) + plan.stages[ENTER], scene)

            def life() -> NoReturn:
                child_main(kernel, plan, scene.copy(), theirs, hooks, ahead=ahead)

            calls = ahead.calls if ahead else []
            return kernel.borrow(flags & ~later, cgroup, (theirs.fileno(), ours.fileno()), life, calls)

        clone_init(kernel, plan, scene, lend)
        theirs.close()

    def let_work(self) -> None:
        """Let the child mount, and set what its cgroups limit meanwhile."""
        assert self.ends is not None
        self.ends.say(wire.GO)
        act(self.kernel, self.scene, self.plan.stages[BESIDE], stage=BESIDE)
        try:
            self.ends.say(wire.GO)
        except (BrokenPipeError, ConnectionResetError):
            pass  # what failed there is the next that will be heard

    def set_up(self, run_hooks: RunHooks, *, wait: bool) -> int:
        """Hear that it has, and tell the document what the player will play. Returns the master of its terminal, -1
        without one. Raises what failed there.
        """
        assert self.ends is not None
        if wait:
            self.ends.expect()
            for hooks_of, status in SHOWN.items():
                run_hooks(hooks_of, self.scene.pid, status)
            self.ends.say(wire.GO)
        kind, ready, master = self.ends.expect()
        if kind == wire.CONSOLE:
            kind, ready, _ = self.ends.expect()
        self.document["last"] = describe_tape(self.plan.last, ready[0])
        self.document["file"] = paths.fsdecode(ready[1])
        return master

    def park(self) -> None:
        """The process id is on record: let the child execute the player. Raises what the kernel says to that."""
        assert self.ends is not None
        self.ends.say(wire.GO)
        self.ends.expect()
        act(self.kernel, self.scene, self.plan.stages[LIMITS], stage=LIMITS)
        for name in ("wait", "player"):
            self.kernel.close(self.scene.handles.pop(name))
        if "netlink:container" in self.scene.handles:
            from ociruntime.core.steps.netdevices import close_sides

            close_sides(self.kernel, self.scene)

    def abort(self) -> None:
        """Leave the host as it was: no process, no cgroup, no state directory. Never raises."""
        if self.ends:
            self.ends.close()  # a child whose process id got lost ends by that
        end(self.kernel, self.scene.pid)
        undo(self.kernel, self.scene, self.done)
        try:
            self.container.remove()
        except OSError:
            pass  # `delete --force` can try again


def end(kernel: Kernel, pid: int) -> None:
    """Kill a child and reap it; 0 is none. Never raises, and gives up after 10 seconds: it may hang in the kernel."""
    if not pid:
        return
    try:
        kernel.kill(pid, 9)
        waiter = select.poll()
        waiter.register(kernel.pidfd_open(pid), select.POLLIN)
        if waiter.poll(10_000):
            kernel.waitpid(pid)  # at once, unless somebody traces it
    except OSError:
        pass  # gone already


def describe_tape(calls: list[LastCall], played: bytes) -> list[list[int | str]]:
    """[first record, what it does, origin] for each deed of the tape, so that `start` can name the one that failed.

    A record without words of its own belongs to the deed before it.
    """
    told: list[list[int | str]] = []
    for index, position in enumerate(played.split(b",")):
        call = calls[int(position)] if position != b"-1" else None
        if call and call.shown:
            told.append([index, call.shown, call.origin])
    return told


def check_preserved(kernel: Kernel, preserve: int) -> None:
    """--preserve-fds counts descriptors that must be open (runc's words)."""
    for fd in range(3, 3 + preserve):
        try:
            kernel.fstat(fd)
        except OSError as error:
            raise StateError(
                f"unable to stat preserved-fd {fd} (of {preserve})",
                code="preserve-fds",
                errno=error.errno or 0,
                hint="open it, or lower --preserve-fds",
            ) from None
