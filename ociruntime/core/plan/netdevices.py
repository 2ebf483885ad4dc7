"""config.json /linux/netDevices: network devices of the host that go to the container."""

from __future__ import annotations

from ociruntime.core.plan.draft import ATTACH
from ociruntime.core.steps.netdevices import MoveDevice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.plan.draft import Draft


def contribute(draft: Draft) -> None:
    """One step per device; the rules have seen that there is a network namespace and that the names fit."""
    for name, device in ((draft.spec.get("linux") or {}).get("netDevices") or {}).items():
        pointer = name.replace("~", "~0").replace("/", "~1")
        draft.add(
            ATTACH, MoveDevice(origin=f"/linux/netDevices/{pointer}", name=name, new=(device or {}).get("name") or name)
        )
