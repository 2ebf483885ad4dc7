"""The systemd driver: the container's cgroup is a transient scope that systemd makes."""

from __future__ import annotations

from ociruntime.core.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.plan.draft import Draft
    from ociruntime.core.spec.types import Resources


def contribute_systemd(draft: Draft, wanted: str, resources: Resources) -> None:
    """The scope and its properties."""
    raise HostError(
        "the systemd cgroup driver is not available",
        code="cgroup-systemd", hint="run without --systemd-cgroup",
    )  # fmt: skip
