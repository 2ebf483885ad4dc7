"""Who is in a container's cgroups, and signalling all of them."""

from __future__ import annotations

from ociruntime.core.cgroup.files import members, write_text
from ociruntime.core.cgroup.freezer import is_frozen, order

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.cgroup.files import CgroupRecord
    from ociruntime.core.kernel import Kernel

SIGKILL = 9


def main_path(record: CgroupRecord) -> str:
    """The one directory that tells who is in the container; "" where it has no cgroup.

    On a hybrid host not the unified one: a client that knows v1 alone may have moved a process into those only.
    """
    paths: dict[str, str] = record.get("paths") or {}
    for controller in ("devices", "pids", "freezer", "memory", ""):
        if controller in paths:
            return paths[controller]
    return next(iter(paths.values()), "")


def pids(kernel: Kernel, record: CgroupRecord, *, recursive: bool = True) -> list[int]:
    """The processes of the container, in the runtime's pid namespace, sorted; [] where there is no cgroup."""
    path = main_path(record)
    return sorted(set(members(kernel, path, recursive=recursive))) if path else []


def signal_all(kernel: Kernel, record: CgroupRecord, signal: int = SIGKILL) -> int:
    """Send a signal to every process of the container; how many of them were signalled one by one.

    SIGKILL goes through cgroup.kill (Linux 5.14) where the container has a unified cgroup, at once for
    those that are being forked as well; then, and without it, process by process while they are frozen.
    """
    unified = (record.get("paths") or {}).get("")
    if unified and signal == SIGKILL:
        try:
            write_text(kernel, f"{unified}/cgroup.kill", "1")
        except OSError:
            pass  # an older kernel, or gone: the list below decides
    if not pids(kernel, record):
        return 0
    frozen = is_frozen(kernel, record)
    if not frozen:
        order(kernel, record, stop=True)  # without waiting: nobody forks between the list and the signal, at best
    try:
        return _signal_each(kernel, record, signal)
    finally:
        # v1: SIGKILL reaches a frozen task only when it is thawed.
        if not frozen or signal == SIGKILL:
            order(kernel, record, stop=False)


def _signal_each(kernel: Kernel, record: CgroupRecord, signal: int) -> int:
    """Signal by pidfd, and only what is still listed after it was opened: a pid may be recycled meanwhile."""
    done: set[int] = set()
    for _ in range(8):
        handles = {}
        for pid in pids(kernel, record):
            if pid not in done:
                try:
                    handles[pid] = kernel.pidfd_open(pid)
                except OSError:
                    continue
        still = set(pids(kernel, record)) if handles else set()
        for pid, fd in handles.items():
            if pid in still:
                try:
                    kernel.pidfd_send_signal(fd, signal)
                except ProcessLookupError:
                    pass
                done.add(pid)
            kernel.close(fd)
        if not handles:
            break
    return len(done)
