"""What is mounted for a mount of type cgroup, on hosts of every kind."""

from __future__ import annotations

from typing import Any

import pytest

from ociruntime.core.errors import HostError, StepError
from ociruntime.core.kernel.flags import CLONE_NEWCGROUP, CLONE_NEWNS, MOUNT_ATTR_RDONLY
from ociruntime.core.options import CreateOptions, Globals
from ociruntime.core.plan.cgroup_mount import contribute_mount
from ociruntime.core.plan.draft import MOUNTS, OPEN, Draft, Host, Join
from ociruntime.core.steps.cgroup_mount import LinkControllers, MountUnified
from ociruntime.core.steps.mount import MakeReadOnly, MountFilesystem, OpenBind
from tests.unit.recorder import Recorder

V2 = Host(cgroup="v2", cgroup_mounts={"": "/cg"}, cgroup_self={"": "/me"})
V1 = Host(
    cgroup="v1",
    cgroup_mounts={
        "cpu": "/cg/cpu,cpuacct",
        "cpuacct": "/cg/cpu,cpuacct",
        "name=systemd": "/cg/systemd",
        "": "/cg/unified",
    },
    cgroup_self={"cpu": "/me", "cpuacct": "/me", "name=systemd": "/me", "": "/me"},
)
MOUNT: Any = {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro", "nosuid"]}


def drafted(
    host: Host, *, own: bool, paths: dict[str, str] | None = None, mount: Any = MOUNT, driver: str = "cgroupfs"
) -> Draft:
    draft = Draft({"ociVersion": "1.3.0"}, "box", CreateOptions(bundle="/b"), Globals(root="/r"), host)
    draft.unshare = CLONE_NEWNS | (CLONE_NEWCGROUP if own else 0)
    if paths is None:
        paths = {controller: f"{point}/box" for controller, point in host.cgroup_mounts.items()}
    draft.cgroup = {"paths": paths, "driver": driver}
    contribute_mount(draft, mount, "/mounts/4")
    return draft


def sources(draft: Draft) -> list[tuple[str, str, bool]]:
    """Every bind: from where, to where, and whether it is read-only."""
    steps = [step for stage in (OPEN, MOUNTS) for step in draft.stages[stage] if isinstance(step, OpenBind)]
    return [(step.source, step.destination, bool(step.attr_set & MOUNT_ATTR_RDONLY)) for step in steps]


def test_v2_with_a_namespace_is_a_new_instance() -> None:
    (step,) = drafted(V2, own=True).stages[MOUNTS]
    assert isinstance(step, MountUnified)
    assert (step.fstype, step.fallback, step.origin) == ("cgroup2", "/cg/box", "/mounts/4")
    assert step.attr_set & MOUNT_ATTR_RDONLY


def test_a_joined_namespace_is_one_of_its_own() -> None:
    draft = Draft({"ociVersion": "1.3.0"}, "box", CreateOptions(bundle="/b"), Globals(root="/r"), V2)
    draft.joins.append(Join(type="cgroup", path="/proc/7/ns/cgroup", origin=""))
    contribute_mount(draft, MOUNT, "/mounts/4")
    assert isinstance(draft.stages[MOUNTS][0], MountUnified)


def test_v2_without_a_namespace_is_the_containers_directory() -> None:
    assert sources(drafted(V2, own=False)) == [("/cg/box", "/sys/fs/cgroup", True)]
    writable = {**MOUNT, "options": []}
    assert sources(drafted(V2, own=False, mount=writable)) == [("/cg/box", "/sys/fs/cgroup", False)]


@pytest.mark.parametrize("host", [V1, V2], ids=["v1", "v2"])
def test_a_scope_is_opened_once_systemd_has_made_it(host: Host) -> None:
    """For which it wants to know the child."""
    binds = [[step for step in drafted(host, own=False, driver=driver).stages[OPEN]] for driver in DRIVERS]
    assert [bool(each) for each in binds] == [True, False]


DRIVERS = ("cgroupfs", "systemd")


def test_without_a_cgroup_of_its_own_nothing_can_be_written() -> None:
    """CVE-2023-25809: the whole hierarchy of the host, writable."""
    writable = {**MOUNT, "options": ["rw"]}
    assert sources(drafted(V2, own=False, paths={}, mount=writable)) == [("/cg/me", "/sys/fs/cgroup", True)]
    for _, _, readonly in sources(drafted(V1, own=False, paths={}, mount=writable)):
        assert readonly
    (step,) = drafted(V2, own=True, paths={}, mount=writable).stages[MOUNTS]
    assert isinstance(step, MountUnified)
    assert step.fallback_attr & MOUNT_ATTR_RDONLY


def test_v1_without_a_namespace() -> None:
    draft = drafted(V1, own=False)
    assert sources(draft) == [
        ("/cg/cpu,cpuacct/box", "/sys/fs/cgroup/cpu,cpuacct", True),
        ("/cg/systemd/box", "/sys/fs/cgroup/systemd", True),
    ]
    first, *_, links, last = draft.stages[MOUNTS]
    assert isinstance(first, MountFilesystem)
    assert (first.fstype, first.destination) == ("tmpfs", "/sys/fs/cgroup")
    assert isinstance(links, LinkControllers)
    assert links.links == (("cpu", "cpu,cpuacct"), ("cpuacct", "cpu,cpuacct"))
    assert isinstance(last, MakeReadOnly)


def test_v1_with_a_namespace() -> None:
    mounted = [step for step in drafted(V1, own=True).stages[MOUNTS] if isinstance(step, MountFilesystem)]
    assert [(step.fstype, step.destination, step.data) for step in mounted[1:]] == [
        ("cgroup", "/sys/fs/cgroup/cpu,cpuacct", ("cpu", "cpuacct")),
        ("cgroup", "/sys/fs/cgroup/systemd", ("name=systemd",)),
    ]
    assert all(step.attr_set & MOUNT_ATTR_RDONLY for step in mounted[1:])


def test_the_unified_hierarchy_of_a_hybrid_host_on_request() -> None:
    mount = {**MOUNT, "type": "cgroup2"}
    assert sources(drafted(V1, own=False, mount=mount)) == [("/cg/unified/box", "/sys/fs/cgroup", True)]
    legacy = Host(cgroup="v1", cgroup_mounts={"cpu": "/cg/cpu"}, cgroup_self={"cpu": "/"})
    with pytest.raises(HostError, match="no unified hierarchy") as caught:
        drafted(legacy, own=False, mount=mount)
    assert caught.value.origin == "/mounts/4"


def test_a_host_without_cgroups() -> None:
    with pytest.raises(HostError, match="the host has none"):
        drafted(Host(cgroup="none", cgroup_mounts={}, cgroup_self={}), own=True)


@pytest.mark.parametrize("refusal", [PermissionError(1, "no"), OSError(16, "busy")])
def test_a_refused_instance_falls_back_to_the_directory(refusal: OSError) -> None:
    kernel = Recorder(fsopen=5, fsconfig_create=refusal, fscontext_message="", open_tree=6)
    step = MountUnified(fstype="cgroup2", fallback="/cg/box", fallback_attr=MOUNT_ATTR_RDONLY)
    assert step.make(kernel) == 6
    assert kernel.named("open_tree")[0][2] == "/cg/box"
    assert kernel.named("mount_setattr") == [("mount_setattr", 6, 0, MOUNT_ATTR_RDONLY)]


def test_another_refusal_stays_one() -> None:
    kernel = Recorder(fsopen=5, fsconfig_create=OSError(22, "no"), fscontext_message="cgroup2: unknown option")
    with pytest.raises(StepError, match="unknown option"):
        MountUnified(fstype="cgroup2", fallback="/cg/box").make(kernel)
