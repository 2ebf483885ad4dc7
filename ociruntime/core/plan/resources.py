"""config.json /linux/resources: every property as one write into a file of a cgroup.

Shared by create (in a plan) and update (over the saved record). What the two versions of cgroups have in
common is here, their files are in resources_v1 and resources_v2; only the host's is loaded.
"""

from __future__ import annotations

from ociruntime.core import paths
from ociruntime.core.errors import ConfigError, HostError
from ociruntime.core.steps.cgroup_write import WriteCgroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Part = Mapping[str, Any]  # spec.types.Resources, or a part of it

POINTER = "/linux/resources"


def as_meant(resources: Part, spec_version: str) -> Part:
    """Until 1.3 zero was how clients left pids.limit out: podman 4.3 writes it for --pids-limit -1."""
    pids = resources.get("pids") or {}
    if pids.get("limit") == 0 and int(spec_version.split(".")[1]) < 3:
        return {**resources, "pids": {**pids, "limit": -1}}
    return resources


def resource_writes(version: str, paths: dict[str, str], resources: Part) -> list[WriteCgroup]:
    """The writes for all properties but devices, in an order that a new cgroup accepts.

    Raises ConfigError for a value that cannot be, HostError for a controller that the host lacks.
    """
    if version == "v2":
        from ociruntime.core.plan.resources_v2 import v2_writes

        return v2_writes(Writes(paths, unified=True), resources)
    from ociruntime.core.plan.resources_v1 import v1_writes

    return v1_writes(Writes(paths, unified=False), resources)


class Writes:
    """The list while it is being made."""

    def __init__(self, paths: dict[str, str], *, unified: bool) -> None:
        self.paths = paths
        self.unified = unified
        self.steps: list[WriteCgroup] = []

    def directory(self, controller: str, origin: str) -> str:
        """Where the files of a controller are."""
        path = self.paths.get("" if self.unified else controller)
        if path is None:
            raise HostError(
                f"cannot set {origin.removeprefix(POINTER + '/')}: container has no {controller} cgroup",
                code="cgroup-no-controller", origin=origin,
                hint=f"the host has not mounted the {controller} controller, or this user may not make cgroups in it",
            )  # fmt: skip
        return path

    def add(self, file: str, value: object, origin: str, *, optional: bool = False, late: bool = False) -> WriteCgroup:
        """Write `value` to `file` for the property at `origin` (below /linux/resources)."""
        pointer = f"{POINTER}/{origin}"
        path = f"{self.directory(file.partition('.')[0], pointer)}/{file}"
        step = WriteCgroup(origin=pointer, path=path, value=str(value), optional=optional, late=late)
        self.steps.append(step)
        return step

    def add_either(self, first: tuple[str, object], second: tuple[str, object], origin: str) -> None:
        """Write the first value to the first file, or where the kernel has no such file the second to the second."""
        step = self.add(*first, origin)
        step.instead = (f"{paths.dirname(step.path)}/{second[0]}", str(second[1]))


def token(text: str) -> str:
    """One part of a JSON pointer (RFC 6901)."""
    return text.replace("~", "~0").replace("/", "~1")


def limit_text(number: int) -> str:
    """A limit of v2 and of pids: negative means none."""
    return "max" if number < 0 else str(number)


def add_hugepages(writes: Writes, resources: Part) -> None:
    """Reserved pages first, as far as the kernel has them (5.7), then used ones."""
    usage, reserved = ("max", "rsvd.max") if writes.unified else ("limit_in_bytes", "rsvd.limit_in_bytes")
    for index, limit in enumerate(resources.get("hugepageLimits") or []):
        size, origin = limit["pageSize"], f"hugepageLimits/{index}"
        if "/" in size or not size.endswith("B") or not size[:1].isdigit():
            raise ConfigError(
                f'pageSize "{size}" is not a size like "2MB"',
                code="cgroup-page-size", origin=f"{POINTER}/{origin}/pageSize",
            )  # fmt: skip
        writes.add(f"hugetlb.{size}.{reserved}", limit["limit"], origin, optional=True)
        writes.add(f"hugetlb.{size}.{usage}", limit["limit"], origin)


def add_rdma(writes: Writes, resources: Part) -> None:
    """rdma.max takes one device a time; what is not given stays as it is."""
    for device, limit in (resources.get("rdma") or {}).items():
        words = [device]
        for key, name in (("hcaHandles", "hca_handle"), ("hcaObjects", "hca_object")):
            if key in limit:
                words.append(f"{name}={limit[key]}")
        writes.add("rdma.max", " ".join(words), f"rdma/{token(device)}")


def add_pids(writes: Writes, resources: Part) -> None:
    """Zero is a limit (since 1.3 of the specification): the init runs and may not fork.

    Late, for the clone of the init into its cgroup would count (EAGAIN), and so would hooks.
    """
    limit = (resources.get("pids") or {}).get("limit")
    if limit is not None:
        writes.add("pids.max", limit_text(limit), "pids/limit", late=True)
