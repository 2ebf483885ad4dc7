"""From a process object to steps and last calls, without a kernel."""

from __future__ import annotations

from typing import Any

import pytest

from ociruntime.core.errors import ConfigError, HostError
from ociruntime.core.options import CreateOptions, ExecOptions, Globals
from ociruntime.core.plan import process
from ociruntime.core.plan.attributes import RLIMITS, memory_policy, scheduler
from ociruntime.core.plan.capabilities import ALL, SYS_ADMIN
from ociruntime.core.plan.draft import ATTACH, HOST, LIMITS, OPEN, PROCESS, Draft, Host, LastCall, Plan
from ociruntime.core.plan.exec import plan_exec
from ociruntime.core.plan.last import Found, Strings
from ociruntime.core.plan.process import ProcessPlan, Surroundings, plan_process
from ociruntime.core.plan.program import socket_activation
from ociruntime.core.steps.base import quoted
from ociruntime.core.steps.labels import CheckAppArmor
from ociruntime.core.steps.process import (
    CheckIds,
    JoinKeyring,
    NoNewPrivileges,
    RaiseHardLimit,
    SetAffinity,
    SetGroups,
    SetUmask,
)
from ociruntime.core.steps.program import EnterCwd, FindHome, FindProgram

FILTER = LastCall(name="seccomp", args=(1, 0, b""))
PR_SET_KEEPCAPS, PR_CAPBSET_DROP, PR_CAP_AMBIENT = 8, 24, 47


def document(**more: Any) -> dict[str, Any]:
    return {
        "cwd": "/",
        "args": ["sh", "-c", "true"],
        "env": ["PATH=/bin", "HOME=/root"],
        "user": {"uid": 0, "gid": 0},
        **more,
    }


def plan(wanted: dict[str, Any], **around: Any) -> ProcessPlan:
    return plan_process(wanted, Surroundings(id="c", **around))


def calls(made: ProcessPlan) -> list[str]:
    return [call.name for call in made.last]


def step(made: ProcessPlan, kind: type, stage: str = PROCESS) -> Any:
    return next(one for one in made.stages[stage] if isinstance(one, kind))


def refusal(wanted: dict[str, Any], **around: Any) -> Any:
    with pytest.raises((ConfigError, HostError)) as caught:
        plan(wanted, **around)
    return caught.value


def draft(wanted: dict[str, Any], **spec: Any) -> Draft:
    whole: Any = {"ociVersion": "1.3.0", "process": wanted, **spec}
    return Draft(whole, "c", CreateOptions(bundle="/b", preserve_fds=2), Globals(root="/r"), Host())


# --- the program ---------------------------------------------------------------------------------


def test_execve_is_last_and_gets_argv_and_environment() -> None:
    last = plan(document()).last[-1]
    assert last.name == "execve" and last.origin == "/process/args"
    assert last.args == (
        Found(name="program"),
        Strings(items=(b"sh", b"-c", b"true")),
        Strings(items=(b"PATH=/bin", b"HOME=/root"), found=()),
    )


def test_of_two_variables_the_last_counts_in_the_place_of_the_first() -> None:
    made = plan(document(env=["A=1", "HOME=/h", "B=2", "A=3"]))
    assert made.env.strings == (b"A=3", b"HOME=/h", b"B=2")


@pytest.mark.parametrize("env", [["A=1"], ["HOME=", "A=1"]])
def test_a_missing_home_is_found_in_the_container(env: list[str]) -> None:
    made = plan(document(env=env, user={"uid": 7, "gid": 8}))
    assert step(made, FindHome).uid == 7
    assert made.last[-1].args[2] == Strings(items=(b"A=1",), found=("HOME",))


@pytest.mark.parametrize("entry", ["NAME", "=value", "", "A=\0"])
def test_an_environment_that_nobody_could_read_back(entry: str) -> None:
    assert refusal(document(env=["OK=1", entry])).origin == "/process/env/1"


@pytest.mark.parametrize("args", [[], None])
def test_args_need_one_entry(args: Any) -> None:
    assert refusal(document(args=args)).origin == "/process/args"


def test_a_nul_in_an_argument() -> None:
    assert refusal(document(args=["sh", "a\0b"])).origin == "/process/args/1"


def test_the_containers_path_is_searched_as_the_user() -> None:
    found = step(plan(document(user={"uid": 7, "gid": 8})), FindProgram)
    assert (found.name, found.path, found.uid, found.gid) == ("sh", "/bin", 7, 8)
    assert step(plan(document(env=[])), FindProgram).path is None


def test_dac_override_in_the_ambient_set_lets_the_user_execute_what_root_may() -> None:
    sets = {kind: ["CAP_DAC_OVERRIDE"] for kind in ("bounding", "effective", "permitted", "inheritable", "ambient")}
    assert step(plan(document(user={"uid": 7, "gid": 8}, capabilities=sets)), FindProgram).uid == 0


def test_exec_names_its_own_document() -> None:
    assert refusal(document(args=[]), origin="").origin == "/args"
    made = plan(document(), origin="", make_cwd=False)
    assert step(made, EnterCwd).make is False and made.last[-1].origin == "/args"


# --- identity ------------------------------------------------------------------------------------


def test_root_keeps_capabilities_without_keepcaps() -> None:
    made = plan(document())
    assert not [call for call in made.last if call.name == "prctl" and call.args[0] == PR_SET_KEEPCAPS]


def test_the_order_of_identity() -> None:
    made = plan(document(user={"uid": 7, "gid": 8}))
    order = [call.args[0] if call.name == "prctl" else call.name for call in made.last]
    assert order == [
        *[PR_CAPBSET_DROP] * 64, PR_SET_KEEPCAPS, "setresgid", "setresuid", "capset", PR_CAP_AMBIENT,
        "openat2", "fchdir", "close_range", "execve",
    ]  # fmt: skip


def test_only_numbers_that_no_kernel_has_may_fail_to_be_dropped() -> None:
    drops = [call for call in plan(document()).last if call.name == "prctl" and call.args[0] == PR_CAPBSET_DROP]
    assert [call.args[1] for call in drops if not call.ignore] == list(range(41))


def test_ambient_capabilities_are_raised_after_capset() -> None:
    sets = {kind: ["CAP_KILL"] for kind in ("bounding", "effective", "permitted", "inheritable", "ambient")}
    made = plan(document(user={"uid": 7, "gid": 8}, capabilities=sets))
    at = calls(made).index("capset")
    assert [call.args[1:3] for call in made.last[at + 1 : at + 3]] == [(4, 0), (2, 5)]  # CLEAR_ALL, RAISE CAP_KILL


def test_groups() -> None:
    made = plan(document(user={"uid": 7, "gid": 8, "additionalGids": [5, 6]}))
    assert step(made, SetGroups).groups == (5, 6)
    assert not [one for one in plan(document(), keep_groups=True).stages[PROCESS] if isinstance(one, SetGroups)]


def test_keep_original_groups_is_an_annotation() -> None:
    kept = draft(document(), annotations={"run.oci.keep_original_groups": "1"})
    process.contribute(kept)
    assert not [one for one in kept.stages[PROCESS] if isinstance(one, SetGroups)]


def test_ids_are_checked_in_the_container() -> None:
    found = step(plan(document(user={"uid": 7, "gid": 8})), CheckIds)
    assert (found.uid, found.gid, found.origin) == (7, 8, "/process/user")
    assert not [one for one in plan(document(), every_id=True).stages[PROCESS] if isinstance(one, CheckIds)]


@pytest.mark.parametrize(("in_userns", "checked"), [(False, 0), (True, 1)])
def test_in_the_initial_user_namespace_there_is_nothing_to_check(in_userns: bool, checked: int) -> None:
    made = draft(document())
    made.host.in_userns = in_userns
    process.contribute(made)
    assert len([one for one in made.stages[PROCESS] if isinstance(one, CheckIds)]) == checked


# --- seccomp -------------------------------------------------------------------------------------


def tail(made: ProcessPlan) -> list[str]:
    return calls(made)[calls(made).index("close_range") :]


def test_with_no_new_privileges_only_execve_meets_the_filter() -> None:
    made = plan(document(noNewPrivileges=True), seccomp=FILTER)
    assert tail(made) == ["close_range", "seccomp", "execve"]
    assert isinstance(made.stages[PROCESS][-1], NoNewPrivileges)


def test_without_it_sys_admin_is_kept_until_the_filter_is_in() -> None:
    made = plan(document(), seccomp=FILTER)
    assert tail(made) == ["close_range", "seccomp", "capset", "execve"]
    first, second = [call.args[1] for call in made.last if call.name == "capset"]
    assert isinstance(first, bytes) and isinstance(second, bytes)
    assert int.from_bytes(first[:4], "little") == int.from_bytes(first[4:8], "little") == SYS_ADMIN
    assert second == bytes(24)


def test_a_program_with_sys_admin_needs_no_second_capset() -> None:
    sets = {kind: ["CAP_SYS_ADMIN"] for kind in ("bounding", "effective", "permitted")}
    assert tail(plan(document(capabilities=sets), seccomp=FILTER)) == ["close_range", "seccomp", "execve"]


def test_a_filter_that_cannot_be_loaded_is_told_at_once() -> None:
    problem = refusal(document(), seccomp=FILTER, grantable=ALL & ~SYS_ADMIN)
    assert problem.origin == "/process/noNewPrivileges"
    plan(document(noNewPrivileges=True), seccomp=FILTER, grantable=ALL & ~SYS_ADMIN)


# --- labels --------------------------------------------------------------------------------------


def test_labels_are_written_first_of_all_and_checked_before_the_clone() -> None:
    made = plan(document(apparmorProfile="prof", selinuxLabel="a:b:c"))
    assert calls(made)[:6] == ["openat2", "write", "close"] * 2
    assert [call.args[1] for call in made.last[:6] if call.name == "write"] == [b"a:b:c", b"exec prof"]
    assert [one.origin for one in made.stages[HOST]] == ["/process/apparmorProfile", "/process/selinuxLabel"]


def test_no_label_no_procfs() -> None:
    assert "write" not in calls(plan(document())) and HOST not in plan(document()).stages


# --- limits and attributes -----------------------------------------------------------------------


def limit(name: str, soft: int, hard: int) -> dict[str, Any]:
    return {"type": name, "soft": soft, "hard": hard}


def test_limits_get_room_from_the_parent_and_are_set_by_the_player() -> None:
    made = plan(document(rlimits=[limit("RLIMIT_NOFILE", 5, 9)]))
    room = step(made, RaiseHardLimit, ATTACH)
    assert (room.number, room.hard, room.origin) == (7, 9, "/process/rlimits/0")
    call = next(call for call in made.last if call.name == "prlimit64")
    assert call.args == (0, 7, (5).to_bytes(8, "little") + (9).to_bytes(8, "little"), None)
    assert calls(made).index("prlimit64") > calls(made).index("setresuid")


def test_all_sixteen_limits_have_the_kernels_numbers() -> None:
    import resource

    assert len(RLIMITS) == 16
    known = {name: number for name, number in RLIMITS.items() if hasattr(resource, name)}
    assert len(known) > 10 and all(getattr(resource, name) == number for name, number in known.items())


@pytest.mark.parametrize("unlimited", [-1, 2**64 - 1])
def test_unlimited(unlimited: int) -> None:
    room = step(plan(document(rlimits=[limit("RLIMIT_CORE", unlimited, unlimited)])), RaiseHardLimit, ATTACH)
    assert room.hard == 2**64 - 1 and "unlimited" in room.describe()


@pytest.mark.parametrize(
    ("limits", "origin"),
    [
        ([limit("RLIMIT_NONE", 1, 1)], "/process/rlimits/0/type"),
        ([limit("RLIMIT_CPU", 1, 1), limit("RLIMIT_CPU", 2, 2)], "/process/rlimits/1"),
        ([limit("RLIMIT_CPU", 2, 1)], "/process/rlimits/0/soft"),
    ],
)
def test_limits_that_cannot_be(limits: list[Any], origin: str) -> None:
    assert refusal(document(rlimits=limits)).origin == origin


def test_oom_score_adj_waits_for_a_memory_of_its_own() -> None:
    made = plan_process(document(oomScoreAdj=5), Surroundings(id="x", lends=True))
    assert [step.describe() for step in made.stages[LIMITS]] == ["echo 5 > /proc/$pid/oom_score_adj"]


def test_oom_score_adj_zero_is_set_and_absent_is_left_alone() -> None:
    assert plan(document(oomScoreAdj=0)).stages[ATTACH][0].describe() == "echo 0 > /proc/$pid/oom_score_adj"
    assert ATTACH not in plan(document()).stages


def test_umask() -> None:
    assert step(plan(document(user={"uid": 0, "gid": 0, "umask": 0})), SetUmask).mask == 0
    assert not [one for one in plan(document()).stages[PROCESS] if isinstance(one, SetUmask)]


def test_the_session_keyring() -> None:
    assert step(plan(document()), JoinKeyring).name == "_ses.c"
    assert step(plan(document(), new_user=True), JoinKeyring).search == 0x8
    assert not [one for one in plan(document(), keyring=False).stages[PROCESS] if isinstance(one, JoinKeyring)]


def test_struct_sched_attr() -> None:
    wanted = {
        "policy": "SCHED_DEADLINE",
        "flags": ["SCHED_FLAG_RESET_ON_FORK"],
        "runtime": 3,
        "deadline": 4,
        "period": 5,
    }
    attributes = scheduler(wanted, "/s").attributes
    assert int.from_bytes(attributes[:4], "little") == len(attributes) == 48
    assert attributes[4:8] == b"\6\0\0\0" and attributes[8:16] == b"\1" + bytes(7)
    assert [int.from_bytes(attributes[at : at + 8], "little") for at in (24, 32, 40)] == [3, 4, 5]
    assert scheduler({"policy": "SCHED_OTHER", "nice": -5}, "/s").attributes[16:20] == b"\xfb\xff\xff\xff"


def test_clamp_flags_need_the_longer_struct() -> None:
    attributes = scheduler({"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_UTIL_CLAMP_MIN"]}, "/s").attributes
    assert attributes[:4] == b"\x38\0\0\0" and len(attributes) == 56


@pytest.mark.parametrize(
    ("wanted", "origin"),
    [
        ({"policy": "SCHED_NONE"}, "/process/scheduler/policy"),
        ({"policy": "SCHED_RR", "flags": ["X"]}, "/process/scheduler/flags/0"),
    ],
)
def test_unknown_words_of_the_scheduler(wanted: dict[str, Any], origin: str) -> None:
    assert refusal(document(scheduler=wanted)).origin == origin


@pytest.mark.parametrize("wanted", [{"class": "IOPRIO_CLASS_BE", "priority": 8}, {"class": "X"}])
def test_io_priorities_that_cannot_be(wanted: dict[str, Any]) -> None:
    assert refusal(document(ioPriority=wanted)).origin.startswith("/process/ioPriority/")


@pytest.mark.parametrize(
    ("wanted", "mode", "mask"),
    [
        ({"mode": "MPOL_DEFAULT"}, 0, b""),
        ({"mode": "MPOL_PREFERRED"}, 1, b""),
        (
            {"mode": "MPOL_BIND", "nodes": "0-1,64", "flags": ["MPOL_F_STATIC_NODES"]},
            2 | 1 << 15,
            b"\3" + bytes(7) + b"\1" + bytes(7),
        ),
    ],
)
def test_memory_policies(wanted: dict[str, Any], mode: int, mask: bytes) -> None:
    made = memory_policy(wanted, "/m")
    assert (made.mode, made.nodes) == (mode, mask)


@pytest.mark.parametrize(
    "wanted",
    [
        {"mode": "MPOL_NONE"}, {"mode": "MPOL_BIND"}, {"mode": "MPOL_LOCAL", "nodes": "0"},
        {"mode": "MPOL_BIND", "nodes": "1-0"}, {"mode": "MPOL_BIND", "nodes": "x"},
        {"mode": "MPOL_BIND", "nodes": "9999"}, {"mode": "MPOL_BIND", "nodes": "0", "flags": ["X"]},
    ],
)  # fmt: skip
def test_memory_policies_that_cannot_be(wanted: dict[str, Any]) -> None:
    assert refusal(document(), linux={"memoryPolicy": wanted}).origin.startswith("/linux/memoryPolicy/")


@pytest.mark.parametrize("wanted", [{"domain": "VMS"}, {"domain": "LINUX", "flags": ["x"]}])
def test_personalities_that_cannot_be(wanted: dict[str, Any]) -> None:
    assert refusal(document(), linux={"personality": wanted}).origin.startswith("/linux/personality/")


# --- the container's draft -----------------------------------------------------------------------


def test_a_document_without_process_plans_nothing() -> None:
    empty = draft({})
    process.contribute(empty)
    assert not empty.last and not any(empty.stages.values())


def test_preserved_and_activated_descriptors_stay_open(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setenv("LISTEN_FDS", "3")
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    made = draft(document())
    made.env["NOTIFY_SOCKET"] = "/run/notify/notify.sock"
    process.contribute(made)
    assert next(call for call in made.last if call.name == "close_range").args[0] == 3 + 3 + 2
    strings: Any = made.last[-1].args[2]
    assert strings.items[2:] == (b"LISTEN_FDS=3", b"LISTEN_PID=1", b"NOTIFY_SOCKET=/run/notify/notify.sock")


@pytest.mark.parametrize(
    "environ", [{}, {"LISTEN_FDS": "2", "LISTEN_PID": "1"}, {"LISTEN_FDS": "x", "LISTEN_PID": "9"}]
)
def test_descriptors_for_somebody_else_are_not_passed_on(environ: dict[str, str]) -> None:
    assert socket_activation(environ, 9) == (0, {})


def test_names_of_activated_descriptors() -> None:
    environ = {"LISTEN_FDS": "1", "LISTEN_PID": "9", "LISTEN_FDNAMES": "web"}
    assert socket_activation(environ, 9) == (1, {"LISTEN_FDS": "1", "LISTEN_PID": "1", "LISTEN_FDNAMES": "web"})


def test_the_filter_is_prepared_by_the_parent() -> None:
    made = draft(document(noNewPrivileges=True), linux={"seccomp": {"defaultAction": "SCMP_ACT_ALLOW"}})
    process.contribute(made)
    assert made.stages[OPEN][0].origin == "/linux/seccomp"
    borrowing = draft(document(), linux={"seccomp": {"defaultAction": "SCMP_ACT_ALLOW"}})
    borrowing.lends = True
    process.contribute(borrowing)
    assert borrowing.stages[ATTACH][0].origin == "/linux/seccomp", "the child finds it in the memory that it borrows"
    assert "seccomp" in [call.name for call in made.last]


# --- exec ----------------------------------------------------------------------------------------


def plan_of_exec(wanted: dict[str, Any], spec: dict[str, Any] | None = None, **more: Any) -> Plan:
    whole: Any = {"ociVersion": "1.3.0", **(spec or {})}
    return plan_exec(whole, "c", ExecOptions(process=wanted), 0, **more)


def cpus(made: Plan, stage: str) -> list[tuple[int, ...]]:
    return [one.cpus for one in made.stages[stage] if isinstance(one, SetAffinity)]


def test_affinity_of_exec_before_and_after_the_cgroup() -> None:
    made = plan_of_exec(document(execCPUAffinity={"initial": "1", "final": "0-2,5"}))
    assert (cpus(made, OPEN), cpus(made, PROCESS)) == ([(1,)], [(0, 1, 2, 5)])
    assert isinstance(made.stages[PROCESS][0], SetAffinity)


def test_exec_takes_over_the_profile_that_confines_the_container() -> None:
    container = {"process": document(apparmorProfile="own")}
    for wanted, profile in ((document(), "own"), (document(apparmorProfile="other"), "other")):
        made = plan_of_exec(wanted, container)
        assert [one.profile for one in made.stages[HOST] if isinstance(one, CheckAppArmor)] == [profile]


def test_the_containers_affinity_is_for_exec_only() -> None:
    container = {"process": document(execCPUAffinity={"final": "3"})}
    assert cpus(plan_of_exec(document(), container), PROCESS) == [(3,)]
    assert cpus(plan_of_exec(document(execCPUAffinity={"final": "4"}), container), PROCESS) == [(4,)]
    assert not [one for one in plan(container["process"]).stages[PROCESS] if isinstance(one, SetAffinity)]


def test_an_empty_final_list_leaves_the_cpus_to_the_cpuset() -> None:
    made = plan_of_exec(document(execCPUAffinity={"initial": "0", "final": ""}))
    assert (cpus(made, OPEN), cpus(made, PROCESS)) == ([(0,)], [])


def test_exec_grants_what_the_runtime_has_or_what_a_user_namespace_gives() -> None:
    sets = {kind: ["CAP_KILL"] for kind in ("bounding", "effective", "permitted")}
    assert plan_of_exec(document(capabilities=sets), capabilities=0).warnings
    inside = {"linux": {"namespaces": [{"type": "user"}]}}
    assert not plan_of_exec(document(capabilities=sets), inside, capabilities=0).warnings


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["sh", "-c", "echo hi"], "sh -c 'echo hi'"),
        (["", "a'b", "$x", "/a-b_c.d"], "'' 'a'\\''b' '$x' /a-b_c.d"),
    ],
)
def test_words_as_a_shell_takes_them(words: list[str], text: str) -> None:
    import shlex

    assert quoted(*words) == text
    assert shlex.split(text) == words
