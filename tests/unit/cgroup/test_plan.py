"""Where a container's cgroups are, and the steps that make them, for hosts of every kind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ociruntime.core.cgroup.device_rules import DEFAULT_RULES
from ociruntime.core.errors import ConfigError, HostError
from ociruntime.core.options import CreateOptions, Globals
from ociruntime.core.plan.cgroup import choose_paths, contribute, delegated_to
from ociruntime.core.plan.draft import ATTACH, BESIDE, ENTER, HOST, LIMITS, OPEN, Draft, Host
from ociruntime.core.steps.cgroup import EnterTasks, GiveCgroup, JoinUnified, MakeCgroup, OpenCgroup, OpenTasks

V2 = Host(cgroup="v2", cgroup_mounts={"": "/cg"}, cgroup_self={"": "/user.slice/shell.scope"})
V1 = Host(
    cgroup="v1",
    cgroup_mounts={"cpu": "/cg/cpu,cpuacct", "cpuacct": "/cg/cpu,cpuacct", "pids": "/cg/pids", "": "/cg/unified"},
    cgroup_self={"cpu": "/a", "cpuacct": "/a", "pids": "/", "": "/"},
)


def drafted(host: Host, linux: dict[str, Any], *, manager: str = "", **rest: Any) -> Draft:
    spec: Any = {"ociVersion": "1.3.0", "linux": linux, **rest}
    draft = Draft(spec, "box", CreateOptions(bundle="/b"), Globals(root="/r", cgroup_manager=manager), host)
    contribute(draft)
    return draft


@pytest.mark.parametrize(
    ("host", "wanted", "paths"),
    [
        (V2, "/a//b/./c", {"": "/cg/a/b/c"}),
        (V2, "a/b", {"": "/cg/user.slice/a/b"}),  # beside the runtime's own, which has processes
        (V2, "", {"": "/cg/user.slice/box"}),
        (V1, "/x", {
            "cpu": "/cg/cpu,cpuacct/x", "cpuacct": "/cg/cpu,cpuacct/x", "pids": "/cg/pids/x", "": "/cg/unified/x",
        }),
        (V1, "", {
            "cpu": "/cg/cpu,cpuacct/a/box", "cpuacct": "/cg/cpu,cpuacct/a/box",
            "pids": "/cg/pids/box", "": "/cg/unified/box",
        }),
    ],
)  # fmt: skip
def test_paths(host: Host, wanted: str, paths: dict[str, str]) -> None:
    assert choose_paths(host, wanted, "box") == paths


@pytest.mark.parametrize("wanted", ["/../x", "a/../../b", "..", "/", "//."])
def test_a_path_that_is_no_place(wanted: str) -> None:
    with pytest.raises(ConfigError) as caught:
        choose_paths(V2, wanted, "box")
    assert caught.value.origin == "/linux/cgroupsPath"


def test_v1_makes_each_hierarchy_once_and_joins_by_itself() -> None:
    draft = drafted(V1, {"cgroupsPath": "/x"})
    made = [step.path for step in draft.stages[HOST] if isinstance(step, MakeCgroup)]
    assert made == ["/cg/cpu,cpuacct/x", "/cg/pids/x", "/cg/unified/x"]
    opened, entered = draft.stages[OPEN], draft.stages[ENTER]
    assert isinstance(opened[0], OpenCgroup)
    assert opened[0].path == "/cg/unified/x"
    assert isinstance(opened[1], OpenTasks)
    assert isinstance(entered[0], EnterTasks)
    assert opened[1].paths == entered[0].paths == ("/cg/cpu,cpuacct/x", "/cg/pids/x")
    assert isinstance(draft.stages[ATTACH][0], JoinUnified)
    assert draft.cgroup["version"] == "v1"


def test_parents_that_are_missing_are_recorded(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    host = Host(cgroup="v2", cgroup_mounts={"": str(tmp_path)}, cgroup_self={"": "/"})
    draft = drafted(host, {"cgroupsPath": "/there/new/newer/box"})
    created = [f"{tmp_path}/there/new", f"{tmp_path}/there/new/newer"]
    assert draft.cgroup == {
        "driver": "cgroupfs",
        "version": "v2",
        "paths": {"": f"{tmp_path}/there/new/newer/box"},
        "created": created,
        "devices": [],
    }
    assert draft.stages[HOST][0] == MakeCgroup(
        origin="/linux/cgroupsPath", path=f"{tmp_path}/there/new/newer/box", parents=tuple(created)
    )


def test_memory_and_processes_wait_for_the_end() -> None:
    resources = {"memory": {"limit": 5, "reservation": 4}, "pids": {"limit": 3}}
    draft = drafted(V2, {"cgroupsPath": "/x", "resources": resources})
    assert [step.describe() for step in draft.stages[LIMITS]] == [
        "echo 5 > /cg/x/memory.max",
        "echo 3 > /cg/x/pids.max",
        "grep -qx 'oom_kill 0' /cg/x/memory.events",
    ]
    assert draft.stages[BESIDE][-1].describe() == "echo 4 > /cg/x/memory.low"


def test_device_rules_name_their_property() -> None:
    host = Host(cgroup="v1", cgroup_mounts={"devices": "/cg/devices"}, cgroup_self={"devices": "/"})
    rules = [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 10, "minor": 229}]
    draft = drafted(host, {"cgroupsPath": "/x", "resources": {"devices": rules}})
    shown = [(step.describe(), step.origin) for step in draft.stages[BESIDE]]
    assert shown[2][0].startswith("echo 'c *:* m' > /cg/devices/x/devices.allow; echo 'b *:* m' > ")
    assert shown[2][0].count("echo ") == len(DEFAULT_RULES) and shown[2][1] == ""
    assert shown[0:2] == [
        ("echo a > /cg/devices/x/devices.deny", "/linux/resources/devices/0"),
        ("echo 'c 10:229 rwm' > /cg/devices/x/devices.allow", "/linux/resources/devices/1"),
    ]


def test_device_rules_are_for_nobody_in_a_user_namespace() -> None:
    host = Host(cgroup="v2", cgroup_mounts={"": "/cg"}, cgroup_self={"": "/"}, in_userns=True)
    draft = drafted(host, {"cgroupsPath": "/x", "resources": {"devices": [{"allow": False}]}})
    assert not [step for step in draft.stages[BESIDE] if "device" in step.describe()]


def test_a_host_without_device_control_is_refused() -> None:
    with pytest.raises(HostError, match="cannot restrict devices") as caught:
        drafted(V1, {"resources": {"devices": [{"allow": False}]}})
    assert caught.value.origin == "/linux/resources/devices"


def test_disabled_leaves_the_container_where_the_caller_is() -> None:
    draft = drafted(V1, {"resources": {"pids": {"limit": 3}}}, manager="disabled")
    assert not any(draft.stages.values())
    assert draft.cgroup["paths"] == {}


def test_no_hierarchy_is_fine_until_something_is_limited() -> None:
    host = Host(cgroup="none", cgroup_mounts={}, cgroup_self={})
    assert not any(drafted(host, {}).stages.values())
    with pytest.raises(HostError, match="no cgroup hierarchy is mounted"):
        drafted(host, {"resources": {"pids": {"limit": 3}}})


MOUNT = {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["rw"]}
CGROUPNS = [{"type": "cgroup"}, {"type": "mount"}]
PROCESS = {"cwd": "/", "user": {"uid": 7, "gid": 7}}


@pytest.mark.parametrize(
    ("namespaces", "mount", "owner"),
    [
        (CGROUPNS, MOUNT, 7),
        (CGROUPNS, {**MOUNT, "options": ["ro"]}, 0),
        (CGROUPNS, {**MOUNT, "destination": "/elsewhere"}, 0),
        ([{"type": "mount"}], MOUNT, 0),
        ([{"type": "cgroup", "path": "/proc/1/ns/cgroup"}], MOUNT, 0),
        ([*CGROUPNS, {"type": "user"}], MOUNT, 100007),
    ],
)
def test_who_owns_the_cgroup(namespaces: list[Any], mount: dict[str, Any], owner: int) -> None:
    linux = {"namespaces": namespaces, "uidMappings": [{"containerID": 0, "hostID": 100000, "size": 1000}]}
    draft = drafted(V2, linux, mounts=[mount], process=PROCESS)
    assert delegated_to(draft) == owner
    given = [step.uid for step in draft.stages[HOST] if isinstance(step, GiveCgroup)]
    assert given == ([owner] if owner else [])


def test_nobody_is_given_a_v1_cgroup() -> None:
    draft = drafted(V1, {"namespaces": CGROUPNS}, mounts=[MOUNT], process=PROCESS)
    assert not [step for step in draft.stages[HOST] if isinstance(step, GiveCgroup)]


@pytest.mark.parametrize(
    ("linux", "writable", "made"),
    [
        ({}, False, 0),  # nobody asks for a cgroup, and none can be had
        ({"resources": {}}, False, 0),
        ({}, True, 1),  # delegated
        ({"cgroupsPath": "/x"}, False, 1),  # asked for, so it fails when it is made, and says why
        ({"resources": {"pids": {"limit": 1}}}, False, 1),
    ],
)
def test_without_privilege_only_what_is_asked_for(
    tmp_path: Path, linux: dict[str, Any], writable: bool, made: int
) -> None:
    mount = str(tmp_path if writable else tmp_path / "nowhere")
    host = Host(euid=1000, cgroup="v2", cgroup_mounts={"": mount}, cgroup_self={"": "/shell.scope"})
    draft = drafted(host, linux)
    assert len([step for step in draft.stages[HOST] if isinstance(step, MakeCgroup)]) == made
    assert draft.cgroup["driver"] == ("cgroupfs" if made else "disabled")


@pytest.mark.parametrize(("euid", "in_userns"), [(1000, False), (0, True)])
def test_who_may_not_and_does_not_ask_stays(tmp_path: Path, euid: int, in_userns: bool) -> None:
    host = Host(
        euid=euid, in_userns=in_userns, cgroup="v2", cgroup_mounts={"": f"{tmp_path}/none"}, cgroup_self={"": "/"}
    )  # fmt: skip
    draft = drafted(host, {"resources": {"devices": [{"allow": False}]}})
    assert draft.cgroup["driver"] == "disabled"
    assert not any(draft.stages.values())
    assert drafted(host, {"cgroupsPath": "/x"}).cgroup["driver"] == "cgroupfs"
    assert drafted(host, {"resources": {"pids": {"limit": 3}}}).cgroup["driver"] == "cgroupfs"


def test_a_user_with_a_cgroup_of_his_own_gets_one_for_the_container(tmp_path: Path) -> None:
    host = Host(euid=os.geteuid() or 1, cgroup="v2", cgroup_mounts={"": str(tmp_path)}, cgroup_self={"": "/"})
    assert drafted(host, {}).cgroup["paths"] == {"": f"{tmp_path}/box"}
