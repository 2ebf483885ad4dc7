"""What create and run share: from a bundle to an init that is ready to be started.

Nothing happens to the host before the plan is complete and <root>/<id>/ says what is going to happen.
"""

from __future__ import annotations

import posix as os
import time

from ociruntime.core import paths
from ociruntime.core.errors import HookError
from ociruntime.core.jsonio import dumps
from ociruntime.core.kernel.flags import CLONE_NEWPID
from ociruntime.core.launch.child import Hooks
from ociruntime.core.launch.parent import Launch
from ociruntime.core.lifecycle.probe import probe_host
from ociruntime.core.lifecycle.report import check_terminal, connect_watchers, write_pid_file
from ociruntime.core.log import LOG, tell
from ociruntime.core.plan.build import build
from ociruntime.core.plan.hooks import SHOWN
from ociruntime.core.plan.program import socket_activation
from ociruntime.core.spec.load import load_config
from ociruntime.core.state.status import CREATED, CREATING, document_for
from ociruntime.core.state.store import CONFIG, reserve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ociruntime.core.kernel import Kernel
    from ociruntime.core.launch.hooks import Program
    from ociruntime.core.options import CreateOptions, Globals
    from ociruntime.core.plan.draft import Plan
    from ociruntime.core.spec.types import Spec

LATER_HOOKS = ("poststart", "poststop")
PIDFD_RECEIVER = "run.oci.pidfd_receiver"  # an annotation of crun's, the same as --pidfd-socket


class Created:
    """A container whose init is parked (create) or waits on our socket pair (run)."""

    def __init__(self, spec: Spec, launch: Launch, master: int) -> None:
        self.spec = spec
        self.launch = launch
        self.master = master  # of its terminal, -1 without one


def bring_up(kernel: Kernel, container_id: str, options: CreateOptions, g: Globals, *, listen: bool) -> Created:
    """Create the container (runtime.md, Lifecycle 1 to 5). On failure the host is as before, and a Failure says why."""
    spec, raw = load_config(options.config or f"{options.bundle}/config.json")
    check_terminal(bool(spec.get("process", {}).get("terminal")), options)
    plan = build(spec, container_id, options, g, probe_host(kernel))
    tell(plan.warnings, plan.remarks)
    container = reserve(kernel, container_id, g)
    launch = Launch(kernel, plan, container, new_document(spec, plan, options))
    try:
        container.save(launch.document)
        activated, _ = socket_activation(paths.environ("LISTEN_"), os.getpid())
        launch.prepare(options.preserve_fds + activated, listen=listen)
        console = _connect_console(options)
        watchers = connect_watchers(options.pidfd_socket, (spec.get("annotations") or {}).get(PIDFD_RECEIVER, ""))
        child_hooks, parent_hooks = _hooks(kernel, spec, launch)
        launch.clone(child_hooks)
        launch.let_work()
        container.write(CONFIG, raw)  # for exec and others, which have to wait for the lock
        master = launch.set_up(parent_hooks, wait=child_hooks.wait)
        container.save(launch.document)
        if console:
            send_console(console, master)
            master = -1
        launch.park()
        for watcher in watchers:
            watcher.tell(launch.scene.pid, b"standard")
        if options.pid_file:
            write_pid_file(kernel, options.pid_file, launch.scene.pid)
    except HookError:
        # A hook has seen the container, so those that are to see its end do (runtime.md, Lifecycle 3 to 6 and 13)
        from ociruntime.core.lifecycle.destroy import run_poststop

        launch.abort()
        run_poststop(kernel, container, launch.document)
        raise
    except BaseException:
        launch.abort()
        raise
    LOG.release()
    return Created(spec, launch, master)


def new_document(spec: Spec, plan: Plan, options: CreateOptions) -> dict[str, Any]:
    """state.json before the first effect: enough for `delete` to clean up whatever a killed create leaves."""
    now = time.time_ns()
    hooks = spec.get("hooks") or {}
    return {
        "ociVersion": spec["ociVersion"],
        "id": plan.id,
        "pid": 0,
        "startTime": 0,
        "bundle": options.bundle,
        "rootfs": plan.rootfs,
        "created": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 10**9)) + f".{now % 10**9:09d}Z",
        "annotations": spec.get("annotations") or {},
        "uid": os.geteuid(),
        "cgroup": plan.cgroup,
        **({"rdt": plan.rdt} if plan.rdt else {}),
        "hooks": {kind: hooks[kind] for kind in LATER_HOOKS if hooks.get(kind)},  # type: ignore[literal-required]
        "last": [],
        "listener": plan.listener,
        "program": "process" in spec,
        "keyring": not options.no_new_keyring,
        "pidNamespace": bool(plan.unshare & CLONE_NEWPID),
    }


def _hooks(kernel: Kernel, spec: Spec, launch: Launch) -> tuple[Hooks, Any]:
    """Hooks as child and parent run them. Their code is loaded only where there are any."""
    hooks: dict[str, Any] = dict(spec.get("hooks") or {})
    outputs: dict[int, int] = {}
    if hooks and spec.get("annotations"):
        from ociruntime.core.launch.hooks import open_outputs

        outputs = open_outputs(kernel, spec["annotations"])
        # By name, since the child closes what has none
        launch.scene.handles.update({f"hooks:{number}": fd for number, fd in outputs.items()})

    def run(kind: str, pid: int, status: str) -> None:
        if hooks.get(kind):
            from ociruntime.core.launch.hooks import run_hooks

            state = document_for(launch.container, {**launch.document, "pid": pid}, status)
            program = as_program(kernel, spec, launch) if kind == "startContainer" else None
            run_hooks(
                kernel, hooks[kind], dumps(state).encode(), kind, f"/hooks/{kind}", program=program, outputs=outputs
            )  # fmt: skip

    def create_container() -> None:
        run("createContainer", kernel.getpid(), CREATING)

    def start_container() -> None:
        run("startContainer", kernel.getpid(), CREATED)

    if hooks.get("createContainer") or hooks.get("startContainer"):
        # There is no library to load from after the pivot
        from ociruntime.core.launch import hooks as _hooks_module
        from ociruntime.core.launch import play as _play_module

        assert _hooks_module and _play_module

    child = Hooks(
        wait=any(hooks.get(kind) for kind in SHOWN),
        create_container=create_container if hooks.get("createContainer") else None,
        start_container=start_container if hooks.get("startContainer") else None,
    )
    return child, run


def as_program(kernel: Kernel, spec: Spec, launch: Launch) -> Program:
    """What startContainer hooks share with the program, as with runc and crun: environment, user, privileges."""
    from ociruntime.core.launch.hooks import Program
    from ociruntime.core.launch.play import confine

    scene = launch.scene
    pairs = (paths.fsencode(entry).partition(b"=") for entry in spec.get("process", {}).get("env", []))
    environ = {name: value for name, equals, value in pairs if equals}
    if "HOME" in scene.found:
        environ[b"HOME"] = scene.found["HOME"]
    return Program(environ=environ, confine=lambda: confine(kernel, launch.plan.last, scene))


def _connect_console(options: CreateOptions) -> Any:
    if not options.console_socket:
        return None
    from ociruntime.core.launch.console import connect

    return connect(options.console_socket)


def send_console(console: Any, master: int) -> None:
    """Exactly one descriptor, in one message (docs/compatibility.md)."""
    from ociruntime.core.launch.console import send

    send(console, master)
