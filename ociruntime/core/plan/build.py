"""(Spec, choices, host) to Plan: the features in the order in which their steps must run."""

from __future__ import annotations

from ociruntime.core import paths
from ociruntime.core.kernel.flags import CLONE_NEWNS
from ociruntime.core.plan import cgroup, devices, hooks, mounts, namespaces, process, root
from ociruntime.core.plan.draft import DEVICES, Draft

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.options import CreateOptions, Globals
    from ociruntime.core.plan.draft import Host, Plan
    from ociruntime.core.spec.types import Spec


def build(spec: Spec, container_id: str, options: CreateOptions, g: Globals, host: Host) -> Plan:
    """The plan of a new container. Changes nothing; raises ConfigError or HostError."""
    return draft_of(spec, container_id, options, g, host).plan()


def draft_of(spec: Spec, container_id: str, options: CreateOptions, g: Globals, host: Host) -> Draft:
    """The same, before it is closed: `explain` and NOTIFY_SOCKET want a look inside."""
    draft = Draft(spec, container_id, options, g, host)
    root.find_rootfs(draft)
    hooks.contribute(draft)
    namespaces.contribute_flags(draft)
    cgroup.contribute(draft)
    namespaces.contribute_enter(draft)
    _rarely_used(draft)
    root.contribute_begin(draft)
    mounts.contribute(draft)
    _notify(draft)
    devices.contribute(draft)
    _console(draft)
    mounts.contribute_readonly(draft)
    root.contribute_masks(draft)
    root.contribute_end(draft)
    namespaces.contribute_names(draft)
    process.contribute(draft)
    return draft


def _rarely_used(draft: Draft) -> None:
    """Features whose planners are loaded only where config.json has them."""
    linux = draft.spec.get("linux") or {}
    if linux.get("netDevices"):
        from ociruntime.core.plan import netdevices

        netdevices.contribute(draft)
    if linux.get("intelRdt") is not None:
        from ociruntime.core.plan import rdt

        rdt.contribute(draft)


def _notify(draft: Draft) -> None:
    if paths.getenv("NOTIFY_SOCKET"):
        from ociruntime.core.plan import notify

        notify.contribute(draft)


def _console(draft: Draft) -> None:
    process = draft.spec.get("process", {})
    if not process.get("terminal"):
        return
    from ociruntime.core.steps.console import Console, console_size

    draft.add(
        DEVICES,
        Console(
            origin="/process/terminal",
            size=console_size(process),
            bind=bool(draft.unshare & CLONE_NEWNS),
        ),
    )
