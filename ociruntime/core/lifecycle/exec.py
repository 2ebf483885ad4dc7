"""exec: one more process in a container, with the surroundings of its own."""

from __future__ import annotations

import _socket
import posix as os

from ociruntime.core import paths
from ociruntime.core.cgroup.join import open_way
from ociruntime.core.errors import StateError
from ociruntime.core.jsonio import loads
from ociruntime.core.kernel import Kernel
from ociruntime.core.kernel.flags import (
    CLONE_INTO_CGROUP,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLOSE_RANGE_CLOEXEC,
    PR_SET_CHILD_SUBREAPER,
    PR_SET_DUMPABLE,
)
from ociruntime.core.launch import wire
from ociruntime.core.launch.act import act
from ociruntime.core.launch.clone import NOT_INTO_CGROUP, clone_beyond
from ociruntime.core.launch.enter import Door, enter_main, join_namespaces
from ociruntime.core.launch.parent import check_preserved, describe_tape, end
from ociruntime.core.launch.player import open_player
from ociruntime.core.lifecycle.begin import begin, hear_beginning
from ociruntime.core.lifecycle.probe import last_capability
from ociruntime.core.lifecycle.report import check_terminal, connect_watchers, write_pid_file
from ociruntime.core.log import LOG, tell
from ociruntime.core.plan.draft import ATTACH, HOST, OPEN, Plan
from ociruntime.core.plan.exec import plan_exec
from ociruntime.core.plan.namespaces import FLAGS
from ociruntime.core.plan.program import socket_activation
from ociruntime.core.rootfs import open_proc
from ociruntime.core.state.status import CREATING, PAUSED, RUNNING, STOPPED, document_for, is_alive, status
from ociruntime.core.state.store import CONFIG, open_container
from ociruntime.core.steps.base import Scene

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ociruntime.core.options import ExecOptions, Globals
    from ociruntime.core.spec.types import Spec
    from ociruntime.core.state.store import Container


def exec(container_id: str, options: ExecOptions, g: Globals) -> int:
    """Run a process in the container: its exit status (128 + signal), or 0 with detach. Raises Failure."""
    kernel = Kernel()
    container = open_container(kernel, container_id, g)
    document = container.load()
    _require_alive(status(container, document), options)
    check_terminal(bool(options.process.get("terminal")), options)
    spec: Spec = loads(container.read(CONFIG), f"{container.path}/{CONFIG}")  # type: ignore[assignment]
    container.close()  # nothing of the state may be open when a child is born into the container
    signals = -1
    if not options.detach:
        from ociruntime.core.lifecycle import foreground

        kernel.prctl(PR_SET_CHILD_SUBREAPER, 1)
        signals = foreground.block_signals()
    entry = Entry(kernel, container, document, spec, options)
    try:
        master = entry.bring_in()
    except BaseException:
        entry.abort()
        raise
    LOG.release()
    if options.detach:
        return 0
    return foreground.wait(kernel, entry.scene.pid, signals, master)


def _require_alive(word: str, options: ExecOptions) -> None:
    if word in (STOPPED, CREATING):
        reason = "a stopped" if word == STOPPED else "an unfinished"
        raise StateError(f"cannot exec in {reason} container", code="exec-status")
    if word == PAUSED and not options.ignore_paused:
        raise StateError("cannot exec in a paused container (use --ignore-paused to override)", code="exec-paused")


class Entry:
    """One exec in progress."""

    def __init__(
        self, kernel: Kernel, container: Container, document: dict[str, Any], spec: Spec, options: ExecOptions
    ) -> None:
        self.kernel = kernel
        self.document = document
        self.options = options
        self.spec = spec
        self.container = container
        self.scene = Scene()
        self.joined = False  # clone3 has started the child in its cgroup

    def bring_in(self) -> int:
        """The process in the container, its program executed. Returns the master of its terminal or -1."""
        kernel, scene, options = self.kernel, self.scene, self.options
        activated, _ = socket_activation(paths.environ("LISTEN_"), os.getpid())
        preserve = options.preserve_fds + activated
        check_preserved(kernel, preserve)
        scene.first_fd = 3 + preserve
        kernel.close_range(scene.first_fd, CLOSE_RANGE_CLOEXEC)
        if os.geteuid() == 0:
            kernel.prctl(PR_SET_DUMPABLE, 0)
        console = self._connect_console()
        watchers = connect_watchers(options.pidfd_socket)
        own, last, keyring = kernel.capget()[1], last_capability(kernel), self.document.get("keyring", True)
        plan = plan_exec(self.spec, self.container.id, options, preserve, own, last_capability=last, keyring=keyring)
        tell(plan.warnings, plan.remarks)
        door = self._open_door()
        self._prepare(plan)
        ends = self._clone(plan, door)
        act(kernel, scene, plan.stages[ATTACH], stage=ATTACH)
        if self.document.get("rdt"):
            from ociruntime.core import resctrl

            resctrl.join(kernel, self.document["rdt"], scene.pid)
        ends.say(wire.GO)
        master, played, file = hear_ready(ends)
        told = {
            "last": describe_tape(plan.last, played),
            "file": paths.fsdecode(file),
            "rootfs": f"/proc/{self.document['pid']}/root",
        }
        if console:
            from ociruntime.core.launch.console import send

            send(console, master)
            master = -1
        elif master >= 0:
            from ociruntime.core.lifecycle.foreground import copy_size

            copy_size(kernel, master)  # before the program can ask
        ends.say(wire.GO)
        ends.expect()
        kernel.close(scene.handles.pop("wait"))
        for watcher in watchers:
            watcher.tell(scene.pid, b"setns")
        if options.pid_file:
            write_pid_file(kernel, options.pid_file, scene.pid)
        begin(kernel, scene.handles["start"])
        hear_beginning(kernel, scene.handles.pop("start"), told, self._hand_over)
        return master

    def _hand_over(self, number: int) -> None:
        """The listener of the seccomp filter, to who wants it."""
        from ociruntime.core.launch import listener

        state = document_for(self.container, self.document, RUNNING)
        listener.hand_over(self.kernel, number, self.scene.pid, self.document["listener"], state)

    def _connect_console(self) -> Any:
        if not self.options.console_socket:
            return None
        from ociruntime.core.launch.console import connect

        return connect(self.options.console_socket)

    def _open_door(self) -> Door:
        """Handles on the container: taken first, and only then is it known to be the one on record."""
        kernel, document = self.kernel, self.document
        flags = 0
        for namespace in (self.spec.get("linux") or {}).get("namespaces") or []:
            flags |= FLAGS[namespace["type"]]
        try:
            pidfd = kernel.pidfd_open(document["pid"])
        except ProcessLookupError:
            raise StateError("cannot exec in a stopped container", code="exec-status") from None
        record = document.get("cgroup") or {}
        way = open_way(kernel, record, self.options.cgroup, document["pid"])
        if not is_alive(kernel, document):
            raise StateError("cannot exec in a stopped container", code="exec-status")
        return Door(pidfd, flags, way, "" if flags & CLONE_NEWNS else document["rootfs"])

    def _prepare(self, plan: Plan) -> None:
        kernel, scene = self.kernel, self.scene
        scene.proc = open_proc(kernel)
        scene.handles["player"] = open_player(kernel)
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        scene.handles["start"], scene.handles["wait"] = ours.detach(), theirs.detach()
        act(kernel, scene, plan.stages[HOST], stage=HOST)
        act(kernel, scene, plan.stages[OPEN], stage=OPEN)

    def _clone(self, plan: Plan, door: Door) -> wire.Wire:
        kernel, scene = self.kernel, self.scene
        ends, theirs = wire.pair()
        if not door.namespaces & CLONE_NEWPID:
            pid = self._clone_into(door)
        elif os.geteuid() == 0:
            # The pid namespace is entered by being born in it
            kernel.setns(door.pidfd, CLONE_NEWPID)
            door.namespaces &= ~CLONE_NEWPID
            pid = self._clone_into(door)
        else:
            # Without privilege only the container's user namespace gives the right to enter the others
            pid = clone_beyond(kernel, 0, lambda: join_namespaces(kernel, door))
            door.namespaces = 0
        if pid == 0:
            enter_main(kernel, plan, scene, theirs, door)  # closes the parent's end first
        scene.pid = pid
        theirs.close()
        if not self.joined:
            door.way.push(kernel, pid)
        return ends

    def _clone_into(self, door: Door) -> int:
        if door.way.clone >= 0:
            try:
                pid = self.kernel.clone3(CLONE_INTO_CGROUP, cgroup=door.way.clone)
                self.joined = True
                return pid
            except OSError as error:
                if error.errno not in NOT_INTO_CGROUP:
                    raise
        return self.kernel.clone3(0)

    def abort(self) -> None:
        """No child of ours may linger: unreaped it would keep the container's pid namespace from ending."""
        end(self.kernel, self.scene.pid)


def hear_ready(ends: wire.Wire) -> tuple[int, bytes, bytes]:
    """The child's console, if it has one, what its tape plays, and the program's file."""
    kind, fields, master = ends.expect()
    if kind == wire.CONSOLE:
        kind, fields, _ = ends.expect()
    return master, fields[0], fields[1]
