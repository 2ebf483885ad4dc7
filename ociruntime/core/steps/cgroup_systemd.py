"""Deeds that systemd does for us."""

from __future__ import annotations

from ociruntime.core.cgroup.files import read_text
from ociruntime.core.cgroup.host import own_paths
from ociruntime.core.cgroup.systemd import (
    device_groups,
    device_properties,
    scope_properties,
    set_properties,
    start_unit,
    stop_unit,
)
from ociruntime.core.errors import HostError
from ociruntime.core.steps.base import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ociruntime.core.cgroup.device_rules import Rule
    from ociruntime.core.cgroup.systemd import Property
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.steps.base import Scene


class StartScope(Step):
    """A transient unit with the init in it. A scope without a process cannot be, so this comes after the clone."""

    unit: str = ""
    above: str = ""  # the slice
    container_id: str = ""
    properties: tuple[Property, ...] = ()
    rules: tuple[Rule, ...] = ()  # of devices
    user: bool = False
    key: str = ""  # the hierarchy that systemd manages: "" or "name=systemd"

    def describe(self) -> str:
        words = " ".join(f"-p {name}={_shown(value)}" for name, (_, value) in self.properties)
        user = "--user " if self.user else ""
        return f"systemd-run {user}--scope --unit={self.unit} --slice={self.above} -p Delegate=yes {words}".rstrip()

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        own = scope_properties(self.above, self.container_id, scene.pid)
        if self.rules:
            # Told to systemd, so that a daemon-reload does not take devices away.
            own += device_properties(self.rules, device_groups(read_text(kernel, "/proc/devices")))
        start_unit(self.unit, [*own, *self.properties], user=self.user)
        lines = read_text(kernel, f"/proc/{scene.pid}/cgroup")
        path = own_paths(lines).get(self.key, "")
        if not path.endswith("/" + self.unit):
            raise HostError(f"systemd started {self.unit}, but the container is in {path}", code="systemd-scope")

    def undo(self, kernel: Kernel, scene: Scene) -> None:
        try:
            stop_unit(self.unit, user=self.user)
        except (HostError, OSError):
            pass  # systemd collects a scope that has become empty by itself


class SetUnit(Step):
    """Properties that wait until the init has become small."""

    unit: str = ""
    properties: tuple[Property, ...] = ()
    user: bool = False

    def describe(self) -> str:
        words = " ".join(f"{name}={_shown(value)}" for name, (_, value) in self.properties)
        return f"systemctl {'--user ' if self.user else ''}set-property --runtime {self.unit} {words}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        set_properties(self.unit, list(self.properties), user=self.user)


def _shown(value: Any) -> str:
    """A property's value, near enough to what systemd-run takes."""
    if isinstance(value, list):
        return ",".join(" ".join(item) if isinstance(item, tuple) else str(item) for item in value)
    return "infinity" if value == 2**64 - 1 else str(value)
