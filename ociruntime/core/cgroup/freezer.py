"""Pausing a container: the freezer controller of v1, cgroup.freeze of v2 (Linux 5.2)."""

from __future__ import annotations

import posix as os
import select
import time

from ociruntime.core import paths
from ociruntime.core.cgroup.files import read_text, write_text
from ociruntime.core.cgroup.frozen import freezer, is_frozen
from ociruntime.core.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.cgroup.files import CgroupRecord
    from ociruntime.core.kernel import Kernel

PATIENCE = 10.0  # seconds; a task in uninterruptible sleep cannot be frozen


def freeze(kernel: Kernel, record: CgroupRecord) -> None:
    """Stop all processes, and return when they have stopped. Raises HostError, and thaws again, where some do not."""
    file, stopped, running = freezer(record)
    if not file:
        raise HostError("cannot pause: the container has no freezer cgroup", code="cgroup-no-controller")
    write_text(kernel, file, stopped)
    deadline = time.monotonic() + PATIENCE
    while not _settled(kernel, file, stopped):
        if time.monotonic() >= deadline:
            write_text(kernel, file, running)
            raise HostError(
                f"cannot pause: not all processes stop within {PATIENCE:.0f} s",
                code="cgroup-freeze", hint="one of them is in uninterruptible sleep (state D in ps)",
            )  # fmt: skip
        _wait_for_freezer(kernel, file)
        if file.endswith(".state"):
            write_text(kernel, file, stopped)  # v1: a process that joined or forked meanwhile needs another try


def _settled(kernel: Kernel, file: str, stopped: str) -> bool:
    if file.endswith(".state"):
        return read_text(kernel, file).strip() == stopped
    return "\nfrozen 1" in "\n" + read_text(kernel, f"{paths.dirname(file)}/cgroup.events")


def _wait_for_freezer(kernel: Kernel, file: str) -> None:
    """v2 announces it in cgroup.events; v1 announces nothing, so look again in a millisecond."""
    poll = select.poll()
    if file.endswith(".state"):
        poll.poll(1)
        return
    events = kernel.open(f"{paths.dirname(file)}/cgroup.events", os.O_RDONLY)
    try:
        poll.register(events, select.POLLPRI)
        if b"frozen 1" not in kernel.read(events):
            poll.poll(200)
    finally:
        kernel.close(events)


def thaw(kernel: Kernel, record: CgroupRecord) -> None:
    """Let all processes go on."""
    file, _, running = freezer(record)
    if not file:
        raise HostError("cannot resume: the container has no freezer cgroup", code="cgroup-no-controller")
    write_text(kernel, file, running)


def order(kernel: Kernel, record: CgroupRecord, *, stop: bool) -> None:
    """Give the freezer its order without waiting, if there is one."""
    file, stopped, running = freezer(record)
    if file:
        try:
            write_text(kernel, file, stopped if stop else running)
        except OSError:
            pass


__all__ = ["freeze", "is_frozen", "order", "thaw"]
