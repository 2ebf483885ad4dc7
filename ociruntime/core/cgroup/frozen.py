"""Whether a container is paused. Small, for every command that wants a status asks."""

from __future__ import annotations

import posix as os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.cgroup.files import CgroupRecord
    from ociruntime.core.kernel import Kernel


def freezer(record: CgroupRecord) -> tuple[str, str, str]:
    """The freezer's file and its two words; ("", "", "") where the container has none."""
    paths: dict[str, str] = record.get("paths") or {}
    if "freezer" in paths:
        return f"{paths['freezer']}/freezer.state", "FROZEN", "THAWED"
    if "" in paths:
        return f"{paths['']}/cgroup.freeze", "1", "0"
    return "", "", ""


def is_frozen(kernel: Kernel, record: CgroupRecord) -> bool:
    """Whether the container is paused, or about to be."""
    file, stopped, _ = freezer(record)
    if not file:
        return False
    try:
        fd = kernel.open(file, os.O_RDONLY)
    except OSError:
        return False
    try:
        return kernel.read(fd, 64).decode().strip() in (stopped, "FREEZING")
    except OSError:
        return False
    finally:
        kernel.close(fd)
