"""Plans without root: an invented host, a bundle in a temporary directory, and a look at the steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ociruntime.core.options import CreateOptions, Globals
from ociruntime.core.plan.build import build
from ociruntime.core.plan.draft import Host, Plan
from ociruntime.core.steps.base import Step

NAMESPACES = ("pid", "network", "ipc", "uts", "mount")


def spec(**changes: Any) -> dict[str, Any]:
    """A small spec; keyword arguments replace its top-level properties, `linux` is merged."""
    document: dict[str, Any] = {
        "ociVersion": "1.3.0",
        "root": {"path": "rootfs"},
        "process": {"args": ["true"], "cwd": "/", "user": {"uid": 0, "gid": 0}},
        "linux": {"namespaces": [{"type": kind} for kind in NAMESPACES]},
    }
    document["linux"].update(changes.pop("linux", {}))
    document.update(changes)
    return document


def plan(place: Path, document: dict[str, Any], host: Host | None = None, **options: Any) -> Plan:
    (place / "rootfs").mkdir(exist_ok=True)
    return build(
        document,  # type: ignore[arg-type]
        "planned",
        CreateOptions(bundle=str(place), **options),
        Globals(root=str(place / "state")),
        host or Host(cgroup="none"),
    )


def steps(plan: Plan, stage: str, kind: type[Step] | None = None) -> list[Any]:
    return [step for step in plan.stages[stage] if kind is None or isinstance(step, kind)]


def told(plan: Plan, stage: str) -> list[str]:
    """What the steps of a stage say of themselves."""
    return [step.describe() for step in plan.stages[stage]]
