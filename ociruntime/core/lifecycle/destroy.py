"""Taking a container away: its processes, its cgroups, its state directory, and the poststop hooks."""

from __future__ import annotations

import select

from ociruntime.core.cgroup.files import write_text
from ociruntime.core.cgroup.remove import remove_cgroups
from ociruntime.core.errors import Failure, StateError
from ociruntime.core.jsonio import dumps
from ociruntime.core.lifecycle.kill import signal_init
from ociruntime.core.state.status import STOPPED, document_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ociruntime.core.kernel import Kernel
    from ociruntime.core.state.store import Container

SIGKILL = 9
FROZEN_ELSEWHERE_MS = 500
PATIENCE_MS = 10_000


def kill_init(kernel: Kernel, document: dict[str, Any]) -> None:
    """End init and wait until it is gone. Raises StateError when the kernel does not let it die in time."""
    pid = document.get("pid", 0)
    try:
        pidfd = kernel.pidfd_open(pid) if pid else -1
    except ProcessLookupError:
        return
    if pidfd < 0:
        return
    try:
        if signal_init(kernel, document, SIGKILL):
            from ociruntime.core.lifecycle.kill import _thaw

            _thaw(kernel, document)
            waiter = select.poll()
            waiter.register(pidfd, select.POLLIN)
            if not waiter.poll(FROZEN_ELSEWHERE_MS):
                _bring_home(kernel, document, pid)
            if not waiter.poll(PATIENCE_MS):
                raise StateError(
                    f"the container's init (process {pid}) does not die",
                    code="init-stuck",
                    hint=f"it hangs in the kernel: look at /proc/{pid}/stack",
                )
    finally:
        kernel.close(pidfd)


def _bring_home(kernel: Kernel, document: dict[str, Any], pid: int) -> None:
    """Somebody may have moved it to another v1 freezer, and frozen that one: the container's own is thawed."""
    home = ((document.get("cgroup") or {}).get("paths") or {}).get("freezer")
    if home:
        try:
            write_text(kernel, f"{home}/cgroup.procs", str(pid))
        except OSError:
            pass  # gone meanwhile, or removed by hand


def destroy(kernel: Kernel, container: Container, document: dict[str, Any]) -> None:
    """Remove everything that create made (runtime.md, Lifecycle 12 and 13). May be called again after a failure."""
    kill_init(kernel, document)
    if document.get("cgroup"):
        remove_cgroups(kernel, document["cgroup"])
    if document.get("rdt"):
        from ociruntime.core.resctrl import remove

        remove(kernel, document["rdt"])
    container.remove()
    run_poststop(kernel, container, document)


def run_poststop(kernel: Kernel, container: Container, document: dict[str, Any]) -> None:
    """Each of them, whatever the others did: a failure is a warning only."""
    hooks = (document.get("hooks") or {}).get("poststop")
    if not hooks:
        return
    from ociruntime.core.launch.hooks import open_outputs, run_hook
    from ociruntime.core.log import LOG

    state = dumps(document_for(container, document, STOPPED)).encode()
    outputs: dict[int, int] = {}
    try:
        outputs = open_outputs(kernel, document.get("annotations") or {})
    except Failure as failure:
        LOG.warning(failure.line())
    for index, hook in enumerate(hooks):
        try:
            run_hook(kernel, hook, state, "poststop", f"/hooks/poststop/{index}", outputs=outputs)
        except Failure as failure:
            LOG.warning(failure.line())
