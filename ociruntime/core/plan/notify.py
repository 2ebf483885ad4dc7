"""NOTIFY_SOCKET: a container that tells the service manager when it is ready (sd_notify(3), docs/compatibility.md).

The manager's own socket is not shown to the container: it gets one of ours, in a directory of the state
that is bound read-only to /run/notify, and `start` passes on what matters.
"""

from __future__ import annotations

from ociruntime.core.kernel.flags import (
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_RDONLY,
)
from ociruntime.core.plan.draft import HOST, MOUNTS, OPEN
from ociruntime.core.steps.files import MakeStateDirectory
from ociruntime.core.steps.mount import AttachBind, OpenBind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.plan.draft import Draft

PLACE = "/run/notify"
ATTRIBUTES = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC


def contribute(draft: Draft) -> None:
    """For a runtime that was started with NOTIFY_SOCKET in its environment."""
    source = f"{draft.globals.root}/{draft.id}/notify"
    draft.env["NOTIFY_SOCKET"] = f"{PLACE}/notify.sock"
    draft.add(HOST, MakeStateDirectory(path=source, mode=0o755))
    draft.add(OPEN, OpenBind(destination=PLACE, source=source, key="notify", attr_set=ATTRIBUTES))
    draft.add(
        MOUNTS, AttachBind(destination=PLACE, source=source, key="notify", shown_options="ro,nosuid,nodev,noexec")
    )
