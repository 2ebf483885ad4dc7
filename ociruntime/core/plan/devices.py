"""Default devices and links, and config.json /linux/devices (config-linux.md)."""

from __future__ import annotations

import _stat as stat
import posix as os

from ociruntime.core.errors import ConfigError
from ociruntime.core.plan.draft import DEVICES
from ociruntime.core.plan.mounts import normal
from ociruntime.core.plan.namespaces import enters_user
from ociruntime.core.steps.devices import BindDevice, DefaultLinks, MakeDevice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.plan.draft import Draft
    from ociruntime.core.spec.types import Device

DEFAULT = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}

TYPES = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}


def contribute(draft: Draft) -> None:
    """Nothing where /dev itself is a bind mount: it is the caller's then, and complete."""
    bound = _dev_is_bound(draft)
    devices = (draft.spec.get("linux") or {}).get("devices") or []
    listed = {normal(device["path"]) for device in devices}
    kind = BindDevice if _must_bind(draft) else MakeDevice
    if not bound:
        for name, (major, minor) in DEFAULT.items():
            if f"/dev/{name}" not in listed:
                number = os.makedev(major, minor)
                draft.add(DEVICES, kind(path=f"/dev/{name}", mode=stat.S_IFCHR | 0o666, number=number))
    for index, device in enumerate(devices):
        if not bound or not normal(device["path"]).startswith("/dev/"):
            step = _listed(device, f"/linux/devices/{index}", kind)
            if isinstance(step, BindDevice) and not draft.host.euid:
                from ociruntime.core.plan.devices_made import make_where_missing

                make_where_missing(draft, step, index)
            draft.add(DEVICES, step)
    if not bound:
        draft.add(DEVICES, DefaultLinks())


def _listed(device: Device, origin: str, kind: type[MakeDevice] | type[BindDevice]) -> MakeDevice | BindDevice:
    fifo = device["type"] == "p"
    form = TYPES.get(device["type"])
    if form is None:
        raise ConfigError(
            f"device type {device['type']!r} is unknown", origin=f"{origin}/type", code="config-unknown-value"
        )
    return (MakeDevice if fifo else kind)(
        origin=origin,
        path=normal(device["path"]),
        mode=form | (device.get("fileMode") or 0o666) & 0o7777,
        number=0 if fifo else os.makedev(device.get("major", 0), device.get("minor", 0)),
        owner=(device.get("uid") or 0, device.get("gid") or 0),
    )


def _must_bind(draft: Draft) -> bool:
    """mknod(2) of a device is for the initial user namespace only (user_namespaces(7))."""
    return enters_user(draft) or draft.host.in_userns


def _dev_is_bound(draft: Draft) -> bool:
    """The last mount there counts, which covers the others: a tmpfs, and then the host's /dev over it."""
    bound = False
    for mount in draft.spec.get("mounts") or []:
        if normal(mount["destination"]) == "/dev":
            options = mount.get("options") or []
            bound = "bind" in options or "rbind" in options or mount.get("type") == "bind"
    return bound
