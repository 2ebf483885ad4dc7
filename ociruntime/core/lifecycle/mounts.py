"""mounts add, mounts remove: more mounts, or fewer, in a container that lives (crun's command)."""

from __future__ import annotations

import posix as os

from ociruntime.core.cgroup.join import Way
from ociruntime.core.errors import StateError
from ociruntime.core.jsonio import loads
from ociruntime.core.kernel import Kernel
from ociruntime.core.kernel.flags import CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER, O_PATH, PR_SET_DUMPABLE
from ociruntime.core.launch import wire
from ociruntime.core.launch.act import act
from ociruntime.core.launch.child import let_go, live, wait_for_go
from ociruntime.core.launch.enter import Door, join_namespaces
from ociruntime.core.lifecycle.probe import probe_host
from ociruntime.core.options import CreateOptions
from ociruntime.core.plan import mounts as planner
from ociruntime.core.plan.draft import DEVICES, MOUNTS, OPEN, Draft
from ociruntime.core.plan.namespaces import FLAGS
from ociruntime.core.rootfs import open_proc
from ociruntime.core.spec.check import check
from ociruntime.core.state.status import CREATED, RUNNING, is_alive, status
from ociruntime.core.state.store import CONFIG, open_container
from ociruntime.core.steps.base import Scene
from ociruntime.core.steps.mount import OpenBind
from ociruntime.core.steps.unmount import RemoveMount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ociruntime.core.options import Globals
    from ociruntime.core.spec.types import Spec


def add(container_id: str, mounts: list[Any], g: Globals) -> None:
    """Make these mounts, entries of /mounts, in the container. Raises Failure; mounts before the failing one stay."""
    _change(container_id, mounts, g, adding=True)


def remove(container_id: str, mounts: list[Any], g: Globals) -> None:
    """Take away what is mounted on the destinations of these entries. Raises Failure."""
    _change(container_id, mounts, g, adding=False)


def _change(container_id: str, mounts: list[Any], g: Globals, *, adding: bool) -> None:
    kernel = Kernel()
    container = open_container(kernel, container_id, g)
    container.lock()
    document = container.load()
    if status(container, document) not in (RUNNING, CREATED):
        raise StateError("container not running", code="mounts-status")
    spec: Spec = loads(container.read(CONFIG), f"{container.path}/{CONFIG}")  # type: ignore[assignment]
    spec = {**spec, "mounts": mounts}
    check(spec, "the list of mounts")
    options = CreateOptions(bundle=document["bundle"])
    draft = Draft(spec, container_id, options, g, probe_host(kernel))
    draft.cgroup = document.get("cgroup") or {}
    flags = 0
    for namespace in (spec.get("linux") or {}).get("namespaces") or []:
        flags |= FLAGS[namespace["type"]]
    if not flags & CLONE_NEWNS:
        raise StateError("the container has no mount namespace of its own", code="mounts-namespace")
    draft.unshare = flags & CLONE_NEWUSER  # who is asked whether a source can be reached
    if adding:
        _plan(draft)
    else:
        for index, mount in enumerate(mounts):
            origin = f"/mounts/{index}/destination"
            draft.add(MOUNTS, RemoveMount(origin=origin, destination=planner.normal(mount["destination"])))
    _enter_and_act(kernel, draft, document, flags)


def _plan(draft: Draft) -> None:
    """As for `create`, but for the sources of binds: they are the host's, and the child has left it."""
    planner.contribute(draft)
    planner.contribute_readonly(draft)
    steps = draft.stages[MOUNTS] + draft.stages.pop(DEVICES)
    draft.stages[OPEN] += [step for step in steps if isinstance(step, OpenBind)]
    draft.stages[MOUNTS] = [step for step in steps if not isinstance(step, OpenBind)]


def _enter_and_act(kernel: Kernel, draft: Draft, document: dict[str, Any], flags: int) -> None:
    try:
        pidfd = kernel.pidfd_open(document["pid"])
    except ProcessLookupError:
        raise StateError("container not running", code="mounts-status") from None
    if not is_alive(kernel, document):
        raise StateError("container not running", code="mounts-status")
    if os.geteuid() == 0:
        kernel.prctl(PR_SET_DUMPABLE, 0)
    scene = Scene()
    scene.proc = open_proc(kernel)
    act(kernel, scene, draft.stages[OPEN])
    door = Door(pidfd, flags & ~CLONE_NEWPID, Way(-1, [], "", {}), "")
    ends, theirs = wire.pair()
    if flags & CLONE_NEWPID:
        # A procfs shows the pid namespace of who mounts it, which is entered by being born there
        kernel.setns(pidfd, CLONE_NEWPID)
    pid = kernel.clone3(0)
    if pid == 0:
        ends.close()
        live(lambda: _work(kernel, draft, scene, theirs, door), theirs, "cannot enter the container", code="enter")
    theirs.close()
    ends.say(wire.GO)
    try:
        ends.expect()
    finally:
        kernel.waitpid(pid)


def _work(kernel: Kernel, draft: Draft, scene: Scene, ends: wire.Wire, door: Door) -> None:
    """In the container."""
    let_go(kernel, scene, ends, 3, door.pidfd)
    wait_for_go(ends)
    join_namespaces(kernel, door)
    kernel.umask(0)
    kernel.chdir("/")
    scene.rootfs = kernel.open("/", O_PATH | os.O_DIRECTORY)
    act(kernel, scene, draft.stages[MOUNTS])
    ends.say(wire.READY, b"", b"")
