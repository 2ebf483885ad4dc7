"""Names, properties and plans of the systemd driver, without systemd."""

from __future__ import annotations

from typing import Any

import pytest

from ociruntime.core.cgroup.device_rules import effective_rules
from ociruntime.core.cgroup.systemd import (
    INFINITY,
    bit_mask,
    device_groups,
    device_properties,
    late_properties,
    limit_properties,
    own_user_manager,
    slice_path,
    unit_of,
)
from ociruntime.core.errors import ConfigError, HostError
from ociruntime.core.options import CreateOptions, Globals
from ociruntime.core.plan.cgroup import contribute
from ociruntime.core.plan.cgroup_systemd import variant
from ociruntime.core.plan.draft import ATTACH, ENTER, HOST, LIMITS, Draft, Host
from ociruntime.core.steps.cgroup_systemd import StartScope


@pytest.mark.parametrize(
    ("wanted", "user", "unit"),
    [
        ("", False, ("system.slice", "ociruntime-box.scope")),
        ("", True, ("user.slice", "ociruntime-box.scope")),
        ("a-b.slice:docker:12", False, ("a-b.slice", "docker-12.scope")),
        (":crio:12", False, ("system.slice", "crio-12.scope")),
        ("x.slice::12", False, ("x.slice", "12.scope")),
    ],
)
def test_units(wanted: str, user: bool, unit: tuple[str, str]) -> None:
    assert unit_of(wanted, "box", user=user) == unit


@pytest.mark.parametrize("wanted", ["/a/b", "a:b", "a:b:", "a:b:c:d", "a:b:c/d", "a.slice:b:c.slice"])
def test_paths_of_another_form(wanted: str) -> None:
    with pytest.raises(ConfigError) as caught:
        unit_of(wanted, "box", user=False)
    assert caught.value.origin == "/linux/cgroupsPath"


def test_slices_lie_in_each_other() -> None:
    assert slice_path("a-b-c.slice") == "/a.slice/a-b.slice/a-b-c.slice"
    assert slice_path("-.slice") == ""
    for name in ("a", "-a.slice", "a--b.slice", ".slice"):
        with pytest.raises(ConfigError, match="is not the name of a slice"):
            slice_path(name)


@pytest.mark.parametrize(
    ("resources", "v2", "v1"),
    [
        ({"cpu": {"shares": 1024}}, [("CPUWeight", ("t", 100))], [("CPUShares", ("t", 1024))]),
        (
            {"cpu": {"quota": 12345, "period": 50000}},
            # 24.69 % of a processor becomes 25 %
            [("CPUQuotaPeriodUSec", ("t", 50000)), ("CPUQuotaPerSecUSec", ("t", 250000))],
            [("CPUQuotaPeriodUSec", ("t", 50000)), ("CPUQuotaPerSecUSec", ("t", 250000))],
        ),
        ({"cpu": {"quota": -1}}, [("CPUQuotaPerSecUSec", ("t", INFINITY))], [("CPUQuotaPerSecUSec", ("t", INFINITY))]),
        ({"cpu": {"cpus": "0-2,9"}}, [("AllowedCPUs", ("ay", [7, 2]))], []),
        ({"blockIO": {"weight": 10}}, [("IOWeight", ("t", 1))], [("BlockIOWeight", ("t", 10))]),
    ],
)
def test_limits_as_properties(resources: dict[str, Any], v2: list[Any], v1: list[Any]) -> None:
    assert limit_properties("v2", resources) == v2
    assert limit_properties("v1", resources) == v1


def test_processes_as_properties() -> None:
    for limit, wanted in ((0, 1), (5, 5), (-1, INFINITY)):
        assert late_properties("v2", {"pids": {"limit": limit}}) == [("TasksMax", ("t", wanted))]
        assert late_properties("v1", {"pids": {"limit": limit}}) == [("TasksMax", ("t", wanted))]


def test_memory_as_properties() -> None:
    given = {"memory": {"limit": 100, "swap": 150, "reservation": 50}, "unified": {"memory.high": "80"}}
    assert late_properties("v2", given) == [
        ("MemoryMax", ("t", 100)),
        ("MemoryLow", ("t", 50)),
        ("MemorySwapMax", ("t", 50)),
        ("MemoryHigh", ("t", 80)),
    ]
    assert late_properties("v1", given) == [("MemoryLimit", ("t", 100))]
    assert late_properties("v2", {"memory": {"limit": -1}})[0] == ("MemoryMax", ("t", INFINITY))


def test_masks() -> None:
    assert bit_mask("0") == [1]
    assert bit_mask("8, 1-2") == [6, 1]


GROUPS = device_groups("Character devices:\n  1 mem\n136 pts\n\nBlock devices:\n  8 sd\n 65 sd\n")


def test_devices_as_properties() -> None:
    rules = effective_rules(
        [
            {"allow": True, "type": "c", "major": 99, "minor": 1},
            {"allow": False, "access": "rwm"},
            {"allow": True, "type": "b", "major": 8, "access": "r"},
        ]
    )
    policy, reset, allowed = device_properties(rules, GROUPS)
    assert policy == ("DevicePolicy", ("s", "strict"))
    assert reset == ("DeviceAllow", ("a(ss)", []))
    entries = allowed[1][1]
    assert entries[0] == ("block-sd", "r")
    assert ("char-*", "m") in entries and ("block-*", "m") in entries
    assert ("/dev/char/1:3", "rwm") in entries and ("char-pts", "rwm") in entries
    assert not [name for name, _ in entries if "99" in name]


@pytest.mark.parametrize("major", [77, -1])
def test_devices_that_systemd_cannot_name_are_left_to_the_program(major: int) -> None:
    rules = effective_rules(
        [{"allow": False}, {"allow": True, "type": "c", "major": major, "minor": -1 if major > 0 else 3}]
    )
    assert device_properties(rules, GROUPS) == [("DevicePolicy", ("s", "auto"))]


def test_where_a_user_has_units() -> None:
    manager = "/user.slice/user-1000.slice/user@1000.service"
    assert own_user_manager("/user.slice/user-1000.slice/session-3.scope", 0) == manager
    assert own_user_manager(manager + "/app.slice/x.scope", 0) == manager
    assert own_user_manager("/system.slice/cron.service", 1000) == manager


def drafted(host: Host, linux: dict[str, Any], **rest: Any) -> Draft:
    spec: Any = {"ociVersion": "1.3.0", "linux": linux, **rest}
    draft = Draft(spec, "box", CreateOptions(bundle="/b"), Globals(root="/r", systemd_cgroup=True), host)
    contribute(draft)
    return draft


def test_a_plan_on_v2() -> None:
    host = Host(cgroup="v2", cgroup_mounts={"": "/cg"}, cgroup_self={"": "/x"})
    resources = {"cpu": {"shares": 1024}, "pids": {"limit": 3}, "memory": {"limit": 9}, "devices": [{"allow": False}]}
    draft = drafted(host, {"cgroupsPath": "machine.slice:libpod:box", "resources": resources})
    path = "/cg/machine.slice/libpod-box.scope"
    assert draft.cgroup == {
        "driver": "systemd", "version": "v2", "paths": {"": path}, "created": [],
        "unit": "libpod-box.scope", "user": False, "devices": [{"allow": False}],
    }  # fmt: skip
    assert draft.stages[HOST] == []
    scope, *rest = draft.stages[ATTACH]
    assert isinstance(scope, StartScope)
    assert scope.describe() == (
        "systemd-run --scope --unit=libpod-box.scope --slice=machine.slice -p Delegate=yes -p CPUWeight=100"
    )
    assert [step.describe().partition(":")[0] for step in rest] == [
        f"# device filter of {path}",
        f"echo 100 > {path}/cpu.weight",
    ]
    assert [step.describe() for step in draft.stages[LIMITS]] == [
        "systemctl set-property --runtime libpod-box.scope TasksMax=3 MemoryMax=9",
        f"grep -qx 'oom_kill 0' {path}/memory.events",
        f"echo 9 > {path}/memory.max",
        f"echo 3 > {path}/pids.max",
    ]


def test_a_plan_on_v1_makes_and_joins_what_systemd_does_not() -> None:
    mounts = {"pids": "/cg/pids", "name=systemd": "/cg/systemd", "": "/cg/unified"}
    draft = drafted(Host(cgroup="v1", cgroup_mounts=mounts, cgroup_self={}), {"cgroupsPath": "a.slice::box"})
    assert [step.describe() for step in draft.stages[HOST]] == ["mkdir -p /cg/pids/a.slice/box.scope"]
    assert [step.describe() for step in draft.stages[ENTER]] == ["echo 0 | tee /cg/pids/a.slice/box.scope/tasks"]
    assert draft.cgroup["created"] == ["/cg/pids/a.slice"]


def test_a_host_without_systemd() -> None:
    with pytest.raises(HostError, match="systemd does not manage"):
        drafted(Host(cgroup="v1", cgroup_mounts={"pids": "/cg/pids"}, cgroup_self={}), {})


def test_a_user_has_a_systemd_of_his_own() -> None:
    host = Host(
        euid=1000, cgroup="v2", cgroup_mounts={"": "/cg"}, cgroup_self={"": "/user.slice/user-1000.slice/s.scope"}
    )
    draft = drafted(host, {"resources": {"devices": [{"allow": False}]}})
    paths: Any = draft.cgroup["paths"]
    assert paths[""] == ("/cg/user.slice/user-1000.slice/user@1000.service/user.slice/ociruntime-box.scope")
    scope = draft.stages[ATTACH][0]
    assert isinstance(scope, StartScope)
    assert scope.user and scope.rules == ()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", ("b", True)),
        ("'a b'", ("s", "a b")),
        ('"x"', ("s", "x")),
        ("uint64 5000000", ("t", 5000000)),
        ("-3", ("i", -3)),
        ("['a', 'b']", ("as", ["a", "b"])),
        ("[]", ("as", [])),
        ("inactive", None),
        ("[1]", None),
        ("double 1", None),
        ("", None),
    ],
)
def test_values_of_annotations(text: str, value: object) -> None:
    assert variant(text) == value


def test_annotations_become_properties() -> None:
    host = Host(cgroup="v2", cgroup_mounts={"": "/cg"}, cgroup_self={"": "/"})
    draft = drafted(host, {}, annotations={"org.systemd.property.TimeoutStopUSec": "uint64 5", "other": "x"})
    scope = draft.stages[ATTACH][0]
    assert isinstance(scope, StartScope)
    assert scope.properties == (("TimeoutStopUSec", ("t", 5)),)
    for name, text in (("PIDs", "x y"), ("a b", "true")):
        with pytest.raises(ConfigError) as caught:
            drafted(host, {}, annotations={f"org.systemd.property.{name}": text})
        assert caught.value.origin == f"/annotations/org.systemd.property.{name}"
