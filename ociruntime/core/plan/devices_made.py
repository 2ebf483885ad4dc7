"""Devices that a container with a user namespace asks for, and that the host has not got, or has otherwise."""

from __future__ import annotations

import posix as os

from ociruntime.core.plan.draft import OPEN
from ociruntime.core.plan.process import on_the_host
from ociruntime.core.steps.devices_made import OpenDevice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.plan.draft import Draft
    from ociruntime.core.steps.devices import BindDevice


def _host_has(step: BindDevice, owner: tuple[int, int]) -> bool:
    """Whether the host's own device is the one that was asked for, owner (on the host) and mode included."""
    try:
        info = os.stat(step.path)
    except OSError:
        return False
    return (info.st_mode, info.st_rdev, (info.st_uid, info.st_gid)) == (step.mode, step.number, owner)


def make_where_missing(draft: Draft, step: BindDevice, index: int) -> None:
    """Where the host has not got such a device, have one made and opened by the parent.

    Root of the container can do little with a /dev/fuse of mode 0600 that belongs to the host's root.
    """
    linux = draft.spec.get("linux") or {}
    uid = on_the_host(linux.get("uidMappings"), step.owner[0])
    gid = on_the_host(linux.get("gidMappings"), step.owner[1])
    if uid < 0 or gid < 0 or _host_has(step, (uid, gid)):
        return
    step.key = f"device{index}"
    draft.add(
        OPEN,
        OpenDevice(
            origin=step.origin, path=step.path, mode=step.mode, number=step.number, owner=(uid, gid),
            directory=f"{draft.globals.root}/{draft.id}", key=step.key,
        ),
    )  # fmt: skip
