"""Whether the container's init survives its limit of memory."""

from __future__ import annotations

from ociruntime.core.plan.draft import LIMITS
from ociruntime.core.steps.survival import OutliveLimit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ociruntime.core.plan.draft import Draft
    from ociruntime.core.steps.cgroup_write import WriteCgroup


def see_survival(draft: Draft, writes: Iterable[WriteCgroup]) -> None:
    """After the limit, on v2: it kills in place of being refused."""
    for step in writes:
        path, _, name = step.path.rpartition("/")
        if name == "memory.max" and step.value != "max":
            draft.add(LIMITS, OutliveLimit(origin=step.origin, path=path))
