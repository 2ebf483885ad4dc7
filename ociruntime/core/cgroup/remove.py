"""Removing a container's cgroups: only what belongs to it, depth first, and with patience for dying processes."""

from __future__ import annotations

import posix as os
import select
import time

from ociruntime.core.cgroup.files import members, subdirectories
from ociruntime.core.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.cgroup.files import CgroupRecord
    from ociruntime.core.kernel import Kernel

PATIENCE = 5.0  # seconds for processes that have been killed to leave
EBUSY = 16
SHARED_OR_GONE = (EBUSY, 39, 2)  # ENOTEMPTY, ENOENT


def remove_tree(kernel: Kernel, path: str, deadline: float) -> None:
    """Remove a cgroup and the cgroups in it; one that is gone is fine.

    deadline: by time.monotonic(). Raises HostError where processes are still inside then, OSError otherwise.
    """
    while True:
        try:
            kernel.unlinkat(None, path, directory=True)
            return
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != EBUSY:
                raise
        for child in subdirectories(kernel, path):
            remove_tree(kernel, child, deadline)
        if time.monotonic() >= deadline:
            inside = members(kernel, path)
            raise HostError(
                f"cannot remove cgroup {path}: {len(inside)} process(es) in it",
                code="cgroup-busy", errno=EBUSY, hint=f"end them: {' '.join(map(str, inside[:8]))}" if inside else "",
            )  # fmt: skip
        wait_for_exit(kernel, path, deadline)


def wait_for_exit(kernel: Kernel, path: str, deadline: float) -> None:
    """Wait until something may have left the cgroup: a process of it ended, or (v2) its events file says so."""
    poll = select.poll()
    fds = []
    limit = deadline - time.monotonic()
    try:
        try:
            events = kernel.open(f"{path}/cgroup.events", os.O_RDONLY)
        except FileNotFoundError:
            pass  # v1
        else:
            fds.append(events)
            if b"populated 0" in kernel.read(events):
                limit = min(limit, 0.001)  # empty by now, so try again; but do not spin if that is refused
            poll.register(events, select.POLLPRI)
        for pid in members(kernel, path, recursive=False)[:64]:
            try:
                fds.append(kernel.pidfd_open(pid))
            except OSError:
                continue
            poll.register(fds[-1], select.POLLIN)
        if not fds:
            # v1 lists no zombies, but keeps the cgroup for them until their parent has waited for them.
            limit = min(limit, 0.002)
        poll.poll(max(0, int(limit * 1000)) or 1)
    finally:
        for fd in fds:
            kernel.close(fd)


def remove_made(kernel: Kernel, made: tuple[str, ...]) -> None:
    """Take back directories that a failing create has made, outermost first; what others use meanwhile stays."""
    for path in reversed(made):
        try:
            remove_tree(kernel, path, time.monotonic() + (PATIENCE if path == made[-1] else 0))
        except (OSError, HostError):
            return


def remove_cgroups(kernel: Kernel, record: CgroupRecord, patience: float = PATIENCE) -> None:
    """Remove all cgroups of a container, and the parents that its create made, if nobody else uses them.

    What still runs in them has outlived the container's init, and is killed. Raises HostError where
    processes stay inside for longer than `patience` seconds.
    """
    if record.get("driver") == "systemd":
        from ociruntime.core.cgroup.systemd import stop_unit

        stop_unit(record["unit"], user=bool(record.get("user")))
    deadline = time.monotonic() + patience
    asked = False
    for path in dict.fromkeys((record.get("paths") or {}).values()):
        if _gone(kernel, path):
            continue
        if not asked:
            from ociruntime.core.cgroup.processes import signal_all

            signal_all(kernel, record)
            asked = True
        remove_tree(kernel, path, deadline)
    for path in reversed(record.get("created") or []):
        try:
            kernel.unlinkat(None, path, directory=True)
        except OSError as error:
            if error.errno not in SHARED_OR_GONE:
                raise


def _gone(kernel: Kernel, path: str) -> bool:
    try:
        kernel.unlinkat(None, path, directory=True)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
