"""Namespaces, root, masks, devices, names and terminal to steps."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from ociruntime.core.errors import ConfigError, HostError, StepError
from ociruntime.core.kernel import _door
from ociruntime.core.kernel.flags import (
    CLONE_NEWCGROUP,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWTIME,
    CLONE_NEWUSER,
    MS_REC,
    MS_SHARED,
    MS_SLAVE,
)
from ociruntime.core.launch.ahead import Ahead
from ociruntime.core.plan.draft import ATTACH, DEVICES, ENTER, MOUNTS, OPEN, ROOT, Host
from ociruntime.core.steps.base import Scene
from ociruntime.core.steps.cgroup import EnterTasks
from ociruntime.core.steps.console import Console
from ociruntime.core.steps.devices import BindDevice, MakeDevice
from ociruntime.core.steps.masks import MaskPaths, ReadonlyPath, null_device
from ociruntime.core.steps.namespaces import BecomeRoot, LoopbackUp, MapIds, OpenNamespace, TimeOffsets, Unshare
from ociruntime.core.steps.root import (
    ChangeRoot,
    MoveRoot,
    OpenRootfs,
    PivotRoot,
    PrivateParent,
    RootPropagation,
    RootReadonly,
    SetPropagation,
    sysctl_path,
)
from tests.unit.plan.drafts import NAMESPACES, plan, spec, steps, told
from tests.unit.recorder import Recorder

MAPS = [{"containerID": 0, "hostID": 100000, "size": 65536}]


NO_CGROUPS = Host(cgroup="none")


def with_namespaces(*kinds: str, **more: Any) -> dict[str, Any]:
    linux = {"namespaces": [{"type": kind} for kind in kinds], **more}
    if "user" in kinds:
        linux.update(uidMappings=MAPS, gidMappings=MAPS)
    return spec(linux=linux)


def test_new_namespaces_are_flags(tmp_path: Path) -> None:
    found = plan(tmp_path, with_namespaces("pid", "network", "mount", "cgroup", "time"))
    assert found.unshare == CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWTIME
    assert [step.flags for step in steps(found, ENTER, Unshare)] == [CLONE_NEWCGROUP]


def test_an_init_that_nobody_can_see_borrows_memory(tmp_path: Path) -> None:
    alone = with_namespaces("pid", "network", "mount")
    assert plan(tmp_path, alone).lends
    pod = spec(linux={"namespaces": [{"type": "pid"}, {"type": "network", "path": "/run/netns/x"}]})
    assert plan(tmp_path, pod).lends


@pytest.mark.parametrize(
    ("document", "host"),
    [
        (with_namespaces("mount", "network"), NO_CGROUPS),
        (with_namespaces("pid", "mount", "user"), NO_CGROUPS),
        (with_namespaces("pid", "mount", "time"), NO_CGROUPS),
        (with_namespaces("pid", "mount"), Host(cgroup="none", euid=1000)),
        (with_namespaces("pid", "mount"), Host(cgroup="none", in_userns=True)),
        (spec(linux={"namespaces": [{"type": "mount"}, {"type": "pid", "path": "/proc/1/ns/pid"}]}), NO_CGROUPS),
        (spec(linux={"namespaces": [{"type": "pid"}, {"type": "mount", "path": "/proc/1/ns/mnt"}]}), NO_CGROUPS),
        (spec(linux={"namespaces": [{"type": "pid"}, {"type": "user", "path": "/proc/1/ns/user"}]}), NO_CGROUPS),
        ({**with_namespaces("pid", "mount"), "hooks": {"startContainer": [{"path": "/bin/true"}]}}, NO_CGROUPS),
        ({**with_namespaces("pid", "mount"), "hooks": {"createContainer": [{"path": "/bin/true"}]}}, NO_CGROUPS),
    ],
)
def test_any_other_has_a_copy(tmp_path: Path, document: dict[str, Any], host: Host) -> None:
    assert not plan(tmp_path, document, host).lends


def test_what_goes_ahead_are_system_calls_up_to_the_first_step_that_is_more(monkeypatch: pytest.MonkeyPatch) -> None:
    first, more, last = Unshare(flags=CLONE_NEWCGROUP), BecomeRoot(), LoopbackUp()
    ahead = Ahead([first, more, last], Scene())
    assert ahead.calls == [(_door.SYS_unshare, CLONE_NEWCGROUP)]
    monkeypatch.setattr(_door, "made", lambda: 1)
    assert ahead.left(Scene()) == [more, last]
    monkeypatch.setattr(_door, "made", lambda: 0)
    assert ahead.left(Scene()) == [first, more, last]


def test_a_step_of_which_a_call_has_failed_is_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks, lo = EnterTasks(paths=("/cg/pids/x", "/cg/cpu/x")), LoopbackUp()
    scene = Scene()
    scene.handles = {"/cg/pids/x/tasks": 8, "/cg/cpu/x/tasks": 9}
    ahead = Ahead([tasks, lo], scene)
    assert ahead.calls[:2] == [(_door.SYS_write, 8, b"0", 1), (_door.SYS_write, 9, b"0", 1)]
    assert [call[0] for call in ahead.calls[2:]] == [_door.SYS_socket, _door.SYS_ioctl]
    for made, left, handles in ((1, [tasks, lo], 2), (2, [lo], 0), (3, [lo], 0), (4, [], 0)):
        monkeypatch.setattr(_door, "made", lambda made=made: made)
        childs = scene.copy()
        assert (ahead.left(childs), len(childs.handles)) == (left, handles)
    assert len(scene.handles) == 2


def test_joined_namespaces_are_opened_and_verified(tmp_path: Path) -> None:
    document = spec(linux={"namespaces": [{"type": "mount"}, {"type": "network", "path": "/run/netns/x"}]})
    found = plan(tmp_path, document)
    assert [(join.type, join.path) for join in found.joins] == [("network", "/run/netns/x")]
    (step,) = steps(found, OPEN, OpenNamespace)
    assert step.origin == "/linux/namespaces/1/path" and not found.unshare & CLONE_NEWNET
    assert steps(found, ENTER, LoopbackUp) == []
    with pytest.raises(StepError, match="is not a network namespace"):
        step.apply(Recorder(open=9, ioctl=CLONE_NEWPID), Scene())


def test_a_user_namespace_is_mapped_by_the_parent_and_finished_by_the_child(tmp_path: Path) -> None:
    found = plan(tmp_path, with_namespaces("mount", "user"))
    assert found.unshare == CLONE_NEWNS | CLONE_NEWUSER
    assert [(step.kind, step.lines) for step in steps(found, ATTACH, MapIds)] == [
        ("uid", b"0 100000 65536\n"),
        ("gid", b"0 100000 65536\n"),
    ]
    assert len(steps(found, ENTER, BecomeRoot)) == 1


@pytest.mark.parametrize("kinds", [("mount", "time"), ("mount", "time", "user")])
def test_time_offsets(tmp_path: Path, kinds: tuple[str, ...]) -> None:
    offsets = {"boottime": {"secs": 5}, "monotonic": {"secs": -1, "nanosecs": 7}}
    found = plan(tmp_path, with_namespaces(*kinds, timeOffsets=offsets))
    lines = b"monotonic -1 7\nboottime 5 0\n"
    if "user" in kinds:
        assert found.time_offsets == b"" and steps(found, ENTER, TimeOffsets)[0].lines == lines
    else:
        assert found.time_offsets == lines and not steps(found, ENTER, TimeOffsets)


def test_the_way_into_the_root(tmp_path: Path) -> None:
    assert steps(plan(tmp_path, spec()), ROOT, PivotRoot)
    assert steps(plan(tmp_path, spec(), no_pivot=True), ROOT, MoveRoot)
    without = plan(tmp_path, with_namespaces("pid", "uts"))
    assert steps(without, ROOT, ChangeRoot) and steps(without, MOUNTS, OpenRootfs)


def test_a_root_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file or directory") as caught:
        plan(tmp_path, spec(root={"path": "nowhere"}))
    assert caught.value.origin == "/root/path"


def test_the_hosts_root_is_no_root(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="host"):
        plan(tmp_path, spec(root={"path": "/"}))


@pytest.mark.parametrize(("word", "first"), [("", MS_SLAVE), ("rshared", MS_SHARED), ("runbindable", MS_SLAVE)])
def test_propagation(tmp_path: Path, word: str, first: int) -> None:
    found = plan(tmp_path, spec(linux={"rootfsPropagation": word} if word else {}))
    assert steps(found, MOUNTS, SetPropagation)[0].change == first | MS_REC
    assert len(steps(found, MOUNTS, PrivateParent)) == (word == "rshared")
    assert len(steps(found, ROOT, RootPropagation)) == bool(word)


def test_readonly_comes_after_the_pivot(tmp_path: Path) -> None:
    found = plan(tmp_path, spec(root={"path": "rootfs", "readonly": True}))
    kinds = [type(step) for step in found.stages[ROOT]]
    assert kinds.index(RootReadonly) > kinds.index(PivotRoot)


def test_masked_and_readonly_paths(tmp_path: Path) -> None:
    found = plan(tmp_path, spec(linux={"maskedPaths": ["/a", "/b"], "readonlyPaths": ["/c"]}))
    assert steps(found, DEVICES, MaskPaths)[0].paths == ("/a", "/b")
    assert steps(found, DEVICES, ReadonlyPath)[0].origin == "/linux/readonlyPaths/0"


def test_a_false_null_device_is_refused() -> None:
    regular = os.stat_result((stat.S_IFREG, *[0] * 9))
    with pytest.raises(HostError, match="not the null device"):
        null_device(Recorder(open=5, fstat=regular))


def test_a_missing_path_needs_no_mask() -> None:
    kernel = Recorder(openat2=FileNotFoundError(2, "no"))
    MaskPaths(paths=("/gone",)).apply(kernel, Scene())
    ReadonlyPath(path="/gone").apply(kernel, Scene())
    assert not kernel.named("move_mount")


@pytest.mark.parametrize(("kinds", "kind"), [(NAMESPACES, MakeDevice), ((*NAMESPACES, "user"), BindDevice)])
def test_default_devices(tmp_path: Path, kinds: tuple[str, ...], kind: type[MakeDevice]) -> None:
    made = steps(plan(tmp_path, with_namespaces(*kinds)), DEVICES, kind)
    assert [step.path for step in made] == [
        f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty")
    ]


def test_in_a_nested_runtime_devices_are_bound(tmp_path: Path) -> None:
    assert steps(plan(tmp_path, spec(), Host(cgroup="none", in_userns=True)), DEVICES, BindDevice)


def test_a_bound_dev_is_left_alone(tmp_path: Path) -> None:
    entry = {"destination": "/dev", "source": "/dev", "options": ["rbind"]}
    document = spec(mounts=[entry], linux={"devices": [{"type": "c", "path": "/dev/x", "major": 1, "minor": 3}]})
    assert steps(plan(tmp_path, document), DEVICES, MakeDevice) == []


def test_the_last_mount_on_dev_is_what_counts(tmp_path: Path) -> None:
    tmpfs, bind = {"destination": "/dev", "type": "tmpfs"}, {"destination": "/dev/", "source": "/x", "type": "bind"}
    made = [steps(plan(tmp_path, spec(mounts=order)), DEVICES, MakeDevice) for order in ([tmpfs, bind], [bind, tmpfs])]
    assert [bool(each) for each in made] == [False, True]


def test_listed_devices(tmp_path: Path) -> None:
    devices = [
        {"type": "b", "path": "/dev/a", "major": 7, "minor": 1, "fileMode": 0o600, "uid": 5},
        {"type": "p", "path": "/dev/null"},
    ]
    made = {step.path: step for step in steps(plan(tmp_path, spec(linux={"devices": devices})), DEVICES, MakeDevice)}
    assert made["/dev/a"].mode == stat.S_IFBLK | 0o600 and made["/dev/a"].owner == (5, 0)
    assert made["/dev/a"].number == os.makedev(7, 1)
    assert stat.S_ISFIFO(made["/dev/null"].mode)  # the listed one, instead of the default


def test_names_and_sysctl(tmp_path: Path) -> None:
    document = spec(hostname="h", domainname="d", linux={"sysctl": {"net.ipv4.ip_forward": "1"}})
    lines = told(plan(tmp_path, document), ROOT)
    assert lines[-3:] == ["hostname h", "domainname d", "sysctl -w net.ipv4.ip_forward=1"]


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        ("net/ipv4/conf/eth0.1/rp_filter", "net/ipv4/conf/eth0.1/rp_filter"),
    ],
)
def test_a_sysctl_as_a_path(key: str, path: str) -> None:
    assert sysctl_path(key) == path


def test_a_terminal(tmp_path: Path) -> None:
    process = {"args": ["sh"], "cwd": "/", "terminal": True, "consoleSize": {"height": 3, "width": 4}}
    (step,) = steps(plan(tmp_path, spec(process=process)), DEVICES, Console)
    assert step.size == (3, 4) and step.bind


def test_planning_changes_nothing(tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    plan(tmp_path, spec(mounts=[{"destination": "/x", "type": "tmpfs"}]))
    assert sorted(tmp_path.rglob("*")) == [*before, tmp_path / "rootfs"]


def test_every_step_describes_itself_and_knows_its_origin(tmp_path: Path) -> None:
    document = spec(
        hostname="h",
        mounts=[{"destination": "/proc", "type": "proc"}, {"destination": "/d", "source": "/s", "options": ["bind"]}],
        linux={"maskedPaths": ["/a"], "readonlyPaths": ["/b"], "resources": {"pids": {"limit": 5}}},
    )
    mounts = {"": "/sys/fs/cgroup"}
    found = plan(tmp_path, document, Host(cgroup="v2", cgroup_mounts=mounts, cgroup_self={"": "/"}))
    for stage in found.stages.values():
        for step in stage:
            assert step.describe()
            assert step.origin == "" or step.origin.startswith("/")
