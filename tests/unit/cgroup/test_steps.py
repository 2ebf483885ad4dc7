"""The deeds, on directories that look like cgroups, and on a kernel that takes notes."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from ociruntime.core.cgroup.files import members, subdirectories
from ociruntime.core.cgroup.freezer import freeze, is_frozen
from ociruntime.core.cgroup.join import Way, open_way, sub_paths
from ociruntime.core.cgroup.remove import remove_cgroups, remove_tree
from ociruntime.core.cgroup.stats import oom_kills, stats
from ociruntime.core.cgroup.update import update
from ociruntime.core.errors import ConfigError, HostError, StateError, StepError
from ociruntime.core.kernel import Kernel
from ociruntime.core.steps.base import Scene
from ociruntime.core.steps.cgroup import (
    EnableControllers,
    EnterTasks,
    GiveCgroup,
    InheritCpuset,
    JoinUnified,
    MakeCgroup,
)
from ociruntime.core.steps.cgroup_write import WriteCgroup
from ociruntime.core.steps.survival import OutliveLimit
from tests.unit.recorder import Recorder

KERNEL = Kernel()


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def scene_of(pid: int) -> Scene:
    scene = Scene()
    scene.pid = pid
    return scene


def test_make_and_undo_take_only_what_was_made(tmp_path: Path) -> None:
    step = MakeCgroup(path=f"{tmp_path}/a/b/c", parents=(f"{tmp_path}/a", f"{tmp_path}/a/b"))
    (tmp_path / "a").mkdir()  # somebody was faster
    step.apply(KERNEL, Scene())
    assert (tmp_path / "a/b/c").is_dir()
    step.undo(KERNEL, Scene())
    assert os.listdir(tmp_path) == ["a"]
    assert os.listdir(tmp_path / "a") == []
    step.undo(KERNEL, Scene())


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"x/cgroup.procs": "12\n"}, "is not empty: 1 process"),
        ({"x/cgroup.procs": "", "x/below/cgroup.procs": "12\n13\n"}, "is not empty: 2 process"),
        ({"x/cgroup.procs": "", "x/freezer.state": "FROZEN\n"}, "unexpectedly frozen"),
        ({"x/cgroup.procs": "", "x/cgroup.freeze": "1\n"}, "unexpectedly frozen"),
    ],
)
def test_an_occupied_or_frozen_cgroup_is_refused(tmp_path: Path, files: dict[str, str], words: str) -> None:
    tree(tmp_path, files)
    step = MakeCgroup(path=f"{tmp_path}/x")
    with pytest.raises(StateError, match=words):
        step.apply(KERNEL, Scene())
    step.undo(KERNEL, Scene())
    assert (tmp_path / "x").is_dir()


@pytest.mark.parametrize("events", ["oom 1\noom_kill 1\noom_group_kill 0\n", None])
def test_an_init_that_its_limit_has_killed(tmp_path: Path, events: str | None) -> None:
    tree(tmp_path, {"memory.events": events} if events else {})
    step = OutliveLimit(path=str(tmp_path), origin="/linux/resources/memory/limit")
    with subprocess.Popen(["sleep", "0.2"]) as init, pytest.raises(StepError, match="init was killed") as caught:
        step.apply(KERNEL, scene_of(init.pid))
    assert (caught.value.code, caught.value.origin) == ("init-killed", step.origin)
    with pytest.raises(StepError, match="init was killed"):
        step.apply(KERNEL, scene_of(init.pid))  # reaped


@pytest.mark.parametrize("count", [0, 1])
def test_an_init_that_lives_whoever_was_killed_before(tmp_path: Path, count: int) -> None:
    tree(tmp_path, {"memory.events": f"oom 0\noom_kill {count}\noom_group_kill 0\n"})
    OutliveLimit(path=str(tmp_path)).apply(KERNEL, scene_of(os.getpid()))


def test_an_idle_cgroup_is_used(tmp_path: Path) -> None:
    tree(tmp_path, {"x/cgroup.procs": "", "x/freezer.state": "THAWED\n"})
    MakeCgroup(path=f"{tmp_path}/x").apply(KERNEL, Scene())


def test_a_refused_directory_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(StepError, match=r"cannot create cgroup /x: permission denied") as caught:
        MakeCgroup(path="/x").apply(Recorder(mkdirat=PermissionError(13, "no")), Scene())
    assert "delegated" in caught.value.hint


def test_cpuset_takes_after_its_parents(tmp_path: Path) -> None:
    tree(tmp_path, {"cpuset.cpus": "0-3\n", "cpuset.mems": "0\n", "a/cpuset.cpus": "", "a/cpuset.mems": "1\n"})
    tree(tmp_path, {"a/x/cpuset.cpus": "\n", "a/x/cpuset.mems": ""})
    InheritCpuset(root=str(tmp_path), path=f"{tmp_path}/a/x").apply(KERNEL, Scene())
    assert [(tmp_path / place / "cpuset.cpus").read_text() for place in ("a", "a/x")] == ["0-3", "0-3"]
    assert [(tmp_path / place / "cpuset.mems").read_text() for place in ("a", "a/x")] == ["1\n", "1"]


def test_controllers_are_enabled_from_the_root_down(tmp_path: Path) -> None:
    tree(tmp_path, {"cgroup.controllers": "cpu memory pids\n", "cgroup.subtree_control": "memory\n"})
    tree(tmp_path, {"a/cgroup.subtree_control": "", "a/b/cgroup.subtree_control": "untouched"})
    step = EnableControllers(root=str(tmp_path), path=f"{tmp_path}/a/b")
    step.apply(KERNEL, Scene())
    assert (tmp_path / "cgroup.subtree_control").read_text().startswith("+cpu +pids")
    assert (tmp_path / "a/cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    assert (tmp_path / "a/b/cgroup.subtree_control").read_text() == "untouched"


def test_nothing_is_written_where_all_is_enabled(tmp_path: Path) -> None:
    tree(tmp_path, {"cgroup.controllers": "cpu\n", "cgroup.subtree_control": "", "a/cgroup.subtree_control": "cpu\n"})
    EnableControllers(root=str(tmp_path), path=f"{tmp_path}/a/b").apply(KERNEL, Scene())
    assert (tmp_path / "cgroup.subtree_control").read_text() == ""


def test_each_line_is_a_write_of_its_own() -> None:
    kernel = Recorder(open=7)
    WriteCgroup(path="/x/io.max", value="8:0 rbps=1\n8:1 rbps=2").apply(kernel, Scene())
    assert kernel.named("write") == [("write", 7, b"8:0 rbps=1"), ("write", 7, b"8:1 rbps=2")]


def test_the_other_name_of_a_file(tmp_path: Path) -> None:
    tree(tmp_path, {"io.weight": ""})
    WriteCgroup(path=f"{tmp_path}/io.bfq.weight", value="10", instead=(f"{tmp_path}/io.weight", "1")).apply(
        KERNEL, Scene()
    )
    assert (tmp_path / "io.weight").read_text() == "1"


def test_a_file_that_may_be_missing(tmp_path: Path) -> None:
    WriteCgroup(path=f"{tmp_path}/hugetlb.2MB.rsvd.max", value="1", optional=True).apply(KERNEL, Scene())
    assert os.listdir(tmp_path) == []


def test_a_controller_that_is_not_delegated_is_named(tmp_path: Path) -> None:
    above, own = tmp_path / "user@1000.service", tmp_path / "user@1000.service/box"
    own.mkdir(parents=True)
    tree(tmp_path, {"cgroup.controllers": "cpu pids memory\n", "cgroup.procs": ""})
    tree(above, {"cgroup.controllers": "cpu pids\n", "cgroup.procs": ""})
    tree(own, {"cgroup.controllers": "cpu pids\n", "cgroup.type": "domain\n"})

    def refused(file: str) -> HostError:
        with pytest.raises(HostError) as caught:
            WriteCgroup(path=f"{own}/{file}", value="1", origin="/o").apply(KERNEL, Scene())
        assert caught.value.origin == "/o"
        return caught.value

    missing = refused("memory.max")
    assert missing.what.endswith(f"is not available in cgroup {own}, for systemd does not delegate it to {above}")
    assert "systemctl edit user@.service" in missing.hint
    assert refused("pids.maximum").what == f"pids.maximum does not exist in cgroup {own}"
    (tmp_path / "cgroup.procs").write_text("7\n")
    assert refused("memory.max").what.endswith(f"for {tmp_path} has processes of its own")
    (own / "cgroup.type").write_text("threaded\n")
    assert refused("memory.max").what.endswith(f"for {above} is threaded")
    (above / "cgroup.procs").write_text("7\n")
    assert refused("memory.max").what.endswith(f"for {above} has processes of its own")


def test_a_refused_value_is_quoted() -> None:
    kernel = Recorder(open=7, write=OSError(22, "Invalid argument"))
    with pytest.raises(StepError, match=r'cannot write "x" to /c/cpu\.max: invalid argument') as caught:
        WriteCgroup(path="/c/cpu.max", value="x").apply(kernel, Scene())
    assert caught.value.errno == 22
    assert kernel.named("close") == [("close", 7)]


def test_only_delegated_files_change_hands() -> None:
    kernel = Recorder(open=7, read=b"cgroup.procs\nmemory.oom.group\n")
    GiveCgroup(path="/c", uid=5).apply(kernel, Scene())
    assert [call[1:] for call in kernel.named("chown")] == [
        ("/c", 5, -1),
        ("/c/cgroup.procs", 5, -1),
        ("/c/memory.oom.group", 5, -1),
    ]


def test_a_child_cloned_into_its_cgroup_is_not_moved() -> None:
    scene = Scene()
    scene.pid = 9
    scene.handles["cgroup-joined"] = 3
    kernel = Recorder(open=7)
    JoinUnified(path="/c").apply(kernel, scene)
    assert kernel.calls == []
    del scene.handles["cgroup-joined"]
    JoinUnified(path="/c").apply(kernel, scene)
    assert kernel.named("write") == [("write", 7, b"9")]


def test_the_child_moves_its_own_thread_and_keeps_no_handle() -> None:
    scene = Scene()
    scene.handles = {"/a/tasks": 4, "/b/tasks": 5}
    kernel = Recorder()
    EnterTasks(paths=("/a", "/b")).apply(kernel, scene)
    assert kernel.calls == [("write", 4, b"0"), ("close", 4), ("write", 5, b"0"), ("close", 5)]
    assert scene.handles == {}


# --- the verbs over a record ------------------------------------------------------------------------


def test_who_is_inside(tmp_path: Path) -> None:
    tree(tmp_path, {"cgroup.procs": "1\n2\n", "a/cgroup.procs": "3\n", "a/b/cgroup.procs": "4\n"})
    assert sorted(members(KERNEL, str(tmp_path))) == [1, 2, 3, 4]
    assert members(KERNEL, str(tmp_path), recursive=False) == [1, 2]
    assert members(KERNEL, f"{tmp_path}/gone") == []


def test_links_are_no_children(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").symlink_to("/")
    assert subdirectories(KERNEL, str(tmp_path)) == [f"{tmp_path}/a"]


@pytest.mark.parametrize("state", ["FROZEN", "FREEZING", "THAWED"])
def test_frozen_on_v1(tmp_path: Path, state: str) -> None:
    tree(tmp_path, {"freezer.state": state + "\n"})
    assert is_frozen(KERNEL, {"paths": {"freezer": str(tmp_path)}}) == (state != "THAWED")


def test_frozen_on_v2_and_without_cgroups(tmp_path: Path) -> None:
    tree(tmp_path, {"cgroup.freeze": "1\n"})
    assert is_frozen(KERNEL, {"paths": {"": str(tmp_path)}})
    assert not is_frozen(KERNEL, {"paths": {}})
    assert not is_frozen(KERNEL, {"paths": {"": f"{tmp_path}/gone"}})
    with pytest.raises(HostError, match="no freezer"):
        freeze(KERNEL, {})


def test_removal_spares_what_others_use(tmp_path: Path) -> None:
    (tmp_path / "a/b/x").mkdir(parents=True)
    (tmp_path / "a/other").mkdir()
    record = {"paths": {"cpu": f"{tmp_path}/a/b/x"}, "created": [f"{tmp_path}/a", f"{tmp_path}/a/b"]}
    remove_cgroups(KERNEL, record)
    assert os.listdir(tmp_path / "a") == ["other"]
    remove_cgroups(KERNEL, record)


def test_removal_gives_up_and_says_who_is_inside(tmp_path: Path) -> None:
    tree(tmp_path, {"x/cgroup.procs": "", "x/cgroup.events": "populated 1\n"})

    class Busy(Kernel):
        """A cgroup with a process in it, and without a kernel to wait for it."""

        def unlinkat(self, at: int | None, name: str, *, directory: bool = False) -> None:
            raise OSError(16, "Device or resource busy")

    (tmp_path / "x/cgroup.procs").write_text(f"{os.getpid()}\n")
    with pytest.raises(HostError, match="1 process") as caught:
        remove_tree(Busy(), f"{tmp_path}/x", time.monotonic())
    assert str(os.getpid()) in caught.value.hint


@pytest.mark.parametrize("wanted", ["../x", "a/../../b", "cpu:.."])
def test_a_sub_cgroup_stays_inside(wanted: str) -> None:
    with pytest.raises(ConfigError, match="leads out"):
        sub_paths({"paths": {"": "/c", "cpu": "/d"}}, (wanted,))


def test_a_sub_cgroup_by_a_path_that_looks_absolute() -> None:
    assert sub_paths({"paths": {"": "/c", "cpu": "/d"}}, ("/a/./b/",)) == {"": "/c/a/b", "cpu": "/d/a/b"}


def test_sub_cgroups_of_single_controllers() -> None:
    record = {"paths": {"": "/c", "cpu": "/d", "pids": "/e", "memory": "/f"}}
    wanted = ("cpu,pids:a", "memory:b/c")
    assert sub_paths(record, wanted) == {"": "/c", "cpu": "/d/a", "pids": "/e/a", "memory": "/f/b/c"}
    with pytest.raises(ConfigError, match="has no rdma cgroup"):
        sub_paths(record, ("rdma:x",))


def test_a_sub_cgroup_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="does not exist"):
        open_way(KERNEL, {"paths": {"": str(tmp_path)}}, ("gone",))


def test_a_sub_cgroup_of_some_hierarchies(tmp_path: Path) -> None:
    """Without controllers a path counts where there is such a cgroup."""
    tree(tmp_path, {"pids/tasks": "", "pids/sub/tasks": "", "cpu/tasks": ""})
    record = {"paths": {"pids": f"{tmp_path}/pids", "cpu": f"{tmp_path}/cpu"}}
    way = open_way(KERNEL, record, ("sub",))
    opened = [os.readlink(f"/proc/self/fd/{fd}") for fd in way.tasks]
    way.close(KERNEL)
    assert opened == [f"{tmp_path}/pids/sub/tasks", f"{tmp_path}/cpu/tasks"]
    with pytest.raises(StateError, match="does not exist"):
        open_way(KERNEL, record, ("cpu:sub",))


def test_where_a_divided_cgroup_takes_newcomers(tmp_path: Path) -> None:
    """Once the container has enabled controllers below, only its leaves can hold processes."""
    tree(
        tmp_path,
        {"x/cgroup.subtree_control": "memory\n", "x/init.scope/cgroup.procs": "", "42/cgroup": "0::/x/init.scope\n"},
    )

    class Here(Kernel):
        def open(self, name: str, flags: int, mode: int = 0o666, *, at: int | None = None) -> int:
            return super().open(name.replace("/proc/42", f"{tmp_path}/42"), flags, mode, at=at)

    kernel = Here()
    # As in a container whose mount of the hierarchy begins at its own cgroup.
    way = open_way(kernel, {"paths": {"": f"{tmp_path}/x"}}, init=42)
    assert way.unified == f"{tmp_path}/x/init.scope"
    assert os.readlink(f"/proc/self/fd/{way.clone}") == way.unified
    way.close(kernel)


def test_update_tries_again_what_another_value_was_in_the_way_of(tmp_path: Path) -> None:
    kernel = Recorder(open=7, write=iter([OSError(22, ""), 0, 0]))
    record = {"version": "v1", "paths": {"memory": "/m"}}
    update(kernel, record, {"memory": {"limit": 30, "swap": 40}})
    assert [call[1] for call in kernel.named("open")] == [
        "/m/memory.limit_in_bytes",
        "/m/memory.memsw.limit_in_bytes",
        "/m/memory.limit_in_bytes",
    ]


def test_update_refuses_a_limit_below_what_is_used(tmp_path: Path) -> None:
    tree(tmp_path, {"memory.current": "500\n", "memory.max": "max"})
    record = {"version": "v2", "paths": {"": str(tmp_path)}}
    with pytest.raises(ConfigError, match="unable to set memory limit to 400"):
        update(KERNEL, record, {"memory": {"limit": 400, "checkBeforeUpdate": True}})
    update(KERNEL, record, {"memory": {"limit": 600, "checkBeforeUpdate": True}})
    assert (tmp_path / "memory.max").read_text() == "600"


RULES = [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 10, "access": "rw"}]


def test_update_leaves_device_rules_that_are_in_force_already(tmp_path: Path) -> None:
    """Engines repeat them with each update, and a hook may have added a device since (GPUs)."""
    kernel = Recorder(open=7)
    record = {"version": "v1", "paths": {"devices": "/d"}, "devices": RULES}
    update(kernel, record, {"devices": RULES})
    assert kernel.calls == []
    # Rootless: nobody may set any, so none are on record.
    update(kernel, {"version": "v1", "paths": {"devices": "/d"}}, {"devices": RULES})
    assert kernel.calls == []


@pytest.mark.parametrize(
    ("listed", "first"),
    [
        (RULES, [("/d/devices.deny", b"a"), ("/d/devices.allow", b"c 10:* rw")]),
        ([], [("/d/devices.allow", b"a")]),
        (RULES[1:], [("/d/devices.allow", b"a"), ("/d/devices.allow", b"c 10:* rw")]),
    ],
)
def test_update_of_device_rules_on_v1(listed: list[Any], first: list[tuple[str, bytes]]) -> None:
    kernel = Recorder(open=7)
    record = {"version": "v1", "paths": {"devices": "/d"}, "devices": [{"allow": True}]}
    update(kernel, record, {"devices": listed})
    files = [call[1] for call in kernel.named("open")]
    values = [call[2] for call in kernel.named("write")]
    assert list(zip(files, values, strict=False))[: len(first)] == first
    assert record["devices"] == listed


V2_FILES = {
    "cpu.stat": "usage_usec 10\nuser_usec 6\nsystem_usec 4\nnr_periods 3\nnr_throttled 2\nthrottled_usec 1\n",
    "memory.current": "100\n",
    "memory.max": "200\n",
    "memory.swap.current": "10\n",
    "memory.swap.max": "50\n",
    "memory.stat": "anon 1\nfile 7\n",
    "memory.events": "low 0\nmax 4\noom_kill 2\n",
    "pids.current": "3\n",
    "pids.max": "max\n",
    "io.stat": "8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n",
    "cpuset.cpus": "0-2,5\n",
    "io.pressure": "some avg10=0.50 avg60=0.00 avg300=0.00 total=9\n",
    "hugetlb.2MB.current": "4\n",
    "hugetlb.2MB.rsvd.current": "9\n",
    "hugetlb.2MB.events": "max 1\n",
}


def test_stats_of_v2(tmp_path: Path) -> None:
    record = {"version": "v2", "paths": {"": str(tree(tmp_path, V2_FILES))}}
    data = stats(KERNEL, record)
    assert data["cpu"] == {
        "usage": {"total": 10000, "kernel": 4000, "user": 6000},
        "throttling": {"periods": 3, "throttledPeriods": 2, "throttledTime": 1000},
    }
    assert data["memory"]["usage"] == {"limit": 200, "usage": 100, "max": 0, "failcnt": 4}
    assert data["memory"]["swap"]["limit"] == 250
    assert data["memory"]["swap"]["usage"] == 110
    assert data["memory"]["cache"] == 7
    assert data["pids"] == {"current": 3, "limit": 0}
    assert data["blkio"]["ioServicedRecursive"][1] == {"major": 8, "minor": 16, "op": "Write", "value": 4}
    assert data["blkio"]["psi"]["some"]["avg10"] == 0.5
    assert data["cpuset"]["cpus"] == [0, 1, 2, 5]
    assert data["hugetlb"] == {"2MB": {"usage": 4, "max": 0, "failcnt": 1}}
    assert oom_kills(KERNEL, record) == 2


def test_stats_of_v1(tmp_path: Path) -> None:
    tree(
        tmp_path,
        {
            "cpuacct/cpuacct.usage": "70\n",
            "cpuacct/cpuacct.usage_percpu": "30 40 \n",
            "cpuacct/cpuacct.usage_all": "cpu user system\n0 10 20\n1 30 10\n",
            "cpuacct/cpuacct.stat": "user 2\nsystem 1\n",
            "cpu/cpu.stat": "nr_periods 1\nnr_throttled 0\nthrottled_time 5\n",
            "memory/memory.usage_in_bytes": "5\n",
            "memory/memory.stat": "cache 3\nrss 2\n",
            "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
            "blkio/blkio.throttle.io_serviced_recursive": "8:0 Read 5\n8:0 Total 5\nTotal 5\n",
        },
    )
    record = {"version": "v1", "paths": {name: f"{tmp_path}/{name}" for name in ("cpu", "cpuacct", "memory", "blkio")}}
    data = stats(KERNEL, record)
    assert data["cpu"]["usage"] == {
        "total": 70, "percpu": [30, 40], "kernel": 10**7, "user": 2 * 10**7,
        "percpu_kernel": [20, 10], "percpu_user": [10, 30],
    }  # fmt: skip
    assert data["memory"]["usage"]["usage"] == 5
    assert data["memory"]["cache"] == 3
    assert data["blkio"]["ioServicedRecursive"] == [
        {"major": 8, "minor": 0, "op": "Read", "value": 5},
        {"major": 8, "minor": 0, "op": "Total", "value": 5},
    ]
    assert data["pids"] == {"current": 0, "limit": 0}
    assert oom_kills(KERNEL, record) == 1


def test_who_may_not_move_a_process_is_told_how(tmp_path: Path) -> None:
    way = Way(-1, [], "/c", {"driver": "cgroupfs"})
    with pytest.raises(HostError, match="cannot join the container's cgroup /c") as caught:
        way.push(Recorder(open=PermissionError(13, "no")), 5)
    assert "systemd-run" in caught.value.hint
    Way(-1, [], "", {}).push(Recorder(), 5)
