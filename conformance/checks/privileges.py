"""config.md, Linux process: capabilities, no_new_privs, labels, OOM score, scheduling and I/O priority."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from conformance.bundle import CAPABILITIES, Config
from conformance.host import Hierarchies
from conformance.registry import MUST, SHOULD, clause, each, unobservable
from conformance.saboteur import drop, put
from conformance.trial import Seen, Trial, expect, require, skip_unless

LINUX = "config.md#linux-process"

# capabilities(7), <linux/capability.h>
NAMES = [
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP"),
    *("LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER"),
    *("SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE"),
    *("SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP"),
    *("MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF"),
    "CHECKPOINT_RESTORE",
]
SETS = ("effective", "bounding", "inheritable", "permitted", "ambient")


def names(mask: int) -> set[str]:
    """The capabilities of a set."""
    return {f"CAP_{name}" for bit, name in enumerate(NAMES) if mask >> bit & 1}


def ours() -> set[str]:
    """The capabilities this suite may grant."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("CapBnd"))
    return names(int(line.split()[1], 16))


SOME = ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"]
MORE = [*SOME, "CAP_SYS_CHROOT"]
MORE_OF_ALL = put("/process/capabilities", {"bounding": MORE, "permitted": MORE, "effective": MORE})


def _caps(t: Trial, sets: dict[str, list[str]], uid: int = 0) -> Seen:
    config = t.config(capabilities=sets)
    config["process"]["user"]["uid"] = uid
    return t.run(config)


@each(
    "process.capabilities",
    MUST,
    LINUX,
    "each of the five sets holds exactly the capabilities listed for it",
    {
        "effective": ((0, "effective", SOME), MORE_OF_ALL),
        "permitted": ((0, "permitted", SOME), MORE_OF_ALL),
        "bounding": ((0, "bounding", MORE), put("/process/capabilities/bounding", [*MORE, "CAP_MKNOD"])),
        "inheritable": ((1000, "inheritable", SOME), put("/process/capabilities/inheritable", SOME[:1])),
        "ambient": ((1000, "ambient", SOME), put("/process/capabilities/ambient", [])),
    },
)
def capability_set(t: Trial, case: tuple[int, str, list[str]]) -> None:
    uid, name, wanted = case
    if name in ("effective", "permitted"):
        # execve(2) as root gives bounding | inheritable, so the sets of a root process show only together
        sets = {"bounding": SOME, "permitted": SOME, "effective": SOME}
    elif name == "bounding":
        sets = {"bounding": MORE, "permitted": MORE, "effective": MORE}
    else:
        sets = {kind: SOME for kind in ("bounding", "permitted", "effective", "inheritable", "ambient")}
    expect(names(_caps(t, sets, uid)["capabilities"][name]), set(wanted), f"{name} set")


@clause(
    "process.capabilities.none",
    MUST,
    LINUX,
    "sets that are not listed are empty",
    broken_by=put("/process/capabilities", {"bounding": SOME, "effective": SOME, "permitted": SOME}),
)
def no_capabilities(t: Trial) -> None:
    seen = _caps(t, {})["capabilities"]
    expect({name: names(seen[name]) for name in SETS}, {name: set() for name in SETS}, "capabilities")


@clause(
    "process.capabilities.absent",
    MUST,
    LINUX,
    "without capabilities the program keeps none that would be the host's",
    broken_by=put("/process/capabilities", {kind: [*CAPABILITIES, "CAP_SYS_ADMIN"] for kind in SETS[:4]}),
)
def absent_capabilities(t: Trial) -> None:
    config = t.config()
    del config["process"]["capabilities"]
    seen = names(t.run(config)["capabilities"]["effective"])
    require("CAP_SYS_ADMIN" not in seen, f"effective capabilities without process.capabilities: {sorted(seen)}")


@clause(
    "process.capabilities.user",
    MUST,
    LINUX,
    "a program that is not root has effective capabilities only through the ambient set",
    broken_by=put("/process/user/uid", 0),
)
def user_capabilities(t: Trial) -> None:
    sets = {kind: SOME for kind in ("bounding", "permitted", "effective")}
    seen = _caps(t, sets, 1000)["capabilities"]
    expect((names(seen["effective"]), names(seen["bounding"])), (set(), set(SOME)), "effective and bounding set")


@each(
    "process.capabilities.known",
    MUST,
    LINUX,
    "every capability of capabilities(7) can be granted by its name",
    {f"CAP_{name}": (f"CAP_{name}", put("/process/capabilities", {})) for name in NAMES},
)
def capability_known(t: Trial, name: str) -> None:
    skip_unless(name in ours(), f"this host does not let us grant {name}")
    sets = {kind: [name] for kind in ("bounding", "permitted", "effective")}
    expect(names(_caps(t, sets)["capabilities"]["effective"]), {name}, "effective set")


def _unknown(t: Trial) -> Config:
    config = t.config()
    for listed in config["process"]["capabilities"].values():
        listed.append("CAP_NO_SUCH_THING")
    return config


@clause(
    "process.capabilities.unknown",
    SHOULD,
    LINUX,
    "a capability that cannot be granted does not make the runtime fail",
    broken_by=put("/process/user/uid", 4294967296),
)
def unknown_capability(t: Trial) -> None:
    seen = t.run(_unknown(t))
    expect(names(seen["capabilities"]["effective"]), set(CAPABILITIES), "the other capabilities")


@clause(
    "process.capabilities.unknown.warning",
    MUST,
    LINUX,
    "a capability that cannot be granted is logged as a warning",
    broken_by=put("/process/capabilities", {}),
)
def unknown_capability_warns(t: Trial) -> None:
    outcome = t.create(_unknown(t)).created
    require(b"CAP_NO_SUCH_THING" in outcome.stderr, f"no word about CAP_NO_SUCH_THING: {outcome.tell()}")


# ---- no_new_privs


@clause(
    "process.noNewPrivileges",
    MUST,
    LINUX,
    "with noNewPrivileges the program cannot gain privileges",
    broken_by=put("/process/noNewPrivileges", False),
)
def no_new_privs(t: Trial) -> None:
    expect(t.run(_setuid(t, True)).deed.get("text"), "1000\n", "effective uid of a set-user-id program")


@clause(
    "process.noNewPrivileges.flag",
    MUST,
    LINUX,
    "noNewPrivileges sets no_new_privs, its absence does not",
    broken_by=put("/process/noNewPrivileges", True),
)
def no_new_privs_flag(t: Trial) -> None:
    expect(t.run(t.config(noNewPrivileges=True))["no_new_privs"], 1, "no_new_privs with noNewPrivileges")
    config = t.config()
    del config["process"]["noNewPrivileges"]
    expect(t.run(config)["no_new_privs"], 0, "no_new_privs without noNewPrivileges")


@clause(
    "process.noNewPrivileges.off",
    MUST,
    LINUX,
    "without noNewPrivileges a set-user-id program works",
    broken_by=put("/process/noNewPrivileges", True),
)
def setuid_works(t: Trial) -> None:
    expect(t.run(_setuid(t, False)).deed.get("text"), "0\n", "effective uid of a set-user-id program")


def _setuid(t: Trial, value: bool) -> Config:
    target = t.shared / "suid"
    target.write_bytes(t.probe.read_bytes())
    target.chmod(0o4755)
    config = t.share(t.config("run:/shared/suid euid", noNewPrivileges=value))
    config["process"]["user"] |= {"uid": 1000, "gid": 1000}
    return config


# ---- labels


@clause(
    "process.apparmorProfile",
    MUST,
    LINUX,
    "the program runs under the AppArmor profile",
    broken_by=drop("/process/apparmorProfile"),
)
def apparmor(t: Trial) -> None:
    skip_unless(Path("/sys/kernel/security/apparmor/profiles").exists(), "this host has no AppArmor")
    expect((t.run(t.config(apparmorProfile="unconfined"))["apparmor"] or "").strip("\n\0"), "unconfined", "profile")


@clause(
    "process.apparmorProfile.unknown",
    MUST,
    "runtime.md#create",
    "an AppArmor profile that cannot be applied is an error",
    broken_by=drop("/process/apparmorProfile"),
)
def apparmor_unknown(t: Trial) -> None:
    t.refused(t.config(apparmorProfile="no-such-profile"), "an AppArmor profile that does not exist", at_start=True)


@clause(
    "process.selinuxLabel",
    MUST,
    LINUX,
    "the program runs under the SELinux label",
    broken_by=drop("/process/selinuxLabel"),
)
def selinux(t: Trial) -> None:
    skip_unless(Path("/sys/fs/selinux/enforce").exists(), "this host has no SELinux")
    label = "system_u:system_r:container_t:s0"
    expect((t.run(t.config(selinuxLabel=label))["apparmor"] or "").strip("\n\0"), label, "label")


@clause(
    "process.selinuxLabel.unavailable",
    MUST,
    "runtime.md#create",
    "an SELinux label on a host without SELinux is an error",
    broken_by=drop("/process/selinuxLabel"),
)
def selinux_unavailable(t: Trial) -> None:
    skip_unless(not Path("/sys/fs/selinux/enforce").exists(), "this host has SELinux")
    t.refused(t.config(selinuxLabel="system_u:system_r:container_t:s0"), "an SELinux label", at_start=True)


# ---- OOM score


def _score() -> int:
    return int(Path("/proc/self/oom_score_adj").read_text())


@clause(
    "process.oomScoreAdj",
    MUST,
    LINUX,
    "oom_score_adj is as given",
    broken_by=drop("/process/oomScoreAdj"),
)
def oom(t: Trial) -> None:
    value = min(1000, _score() + 100)
    expect((t.run(t.config(oomScoreAdj=value))["oom_score_adj"] or "").strip(), str(value), "oom_score_adj")


@clause(
    "process.oomScoreAdj.unset",
    MUST,
    LINUX,
    "without oomScoreAdj the value is not changed",
    broken_by=put("/process/oomScoreAdj", 777),
)
def oom_unset(t: Trial) -> None:
    expect((t.run(t.config())["oom_score_adj"] or "").strip(), str(_score()), "oom_score_adj")


@each(
    "process.oomScoreAdj.invalid",
    MUST,
    "config.md#valid-values",
    "an oomScoreAdj out of range is an error",
    {"high": (1001, drop("/process/oomScoreAdj")), "low": (-1001, drop("/process/oomScoreAdj"))},
)
def oom_invalid(t: Trial, value: int) -> None:
    t.refused(t.config(oomScoreAdj=value), f"oomScoreAdj {value}", at_start=True)


# ---- scheduling

RESET_ON_FORK = 1
DEADLINE = {"runtime": 10_000_000, "deadline": 30_000_000, "period": 30_000_000}
SCHEDULERS: dict[str, tuple[Config, dict[str, int]]] = {
    "SCHED_OTHER": ({"policy": "SCHED_OTHER"}, {"policy": 0, "nice": 0}),
    "nice": ({"policy": "SCHED_OTHER", "nice": 7}, {"policy": 0, "nice": 7}),
    "SCHED_FIFO": ({"policy": "SCHED_FIFO", "priority": 11}, {"policy": 1, "priority": 11}),
    "SCHED_RR": ({"policy": "SCHED_RR", "priority": 12}, {"policy": 2, "priority": 12}),
    "SCHED_BATCH": ({"policy": "SCHED_BATCH", "nice": 5}, {"policy": 3, "nice": 5}),
    "SCHED_IDLE": ({"policy": "SCHED_IDLE"}, {"policy": 5}),
    "SCHED_DEADLINE": ({"policy": "SCHED_DEADLINE", **DEADLINE}, {"policy": 6, **DEADLINE}),
    "reset-on-fork": (
        {"policy": "SCHED_BATCH", "flags": ["SCHED_FLAG_RESET_ON_FORK"]},
        {"policy": 3, "flags": RESET_ON_FORK},
    ),
}


def _real_time(t: Trial, config: Config) -> None:
    """A v1 cgroup with a real-time budget: kernels with RT_GROUP_SCHED give a new one none (sched(7))."""
    hierarchies = Hierarchies.read()
    root = hierarchies.roots.get("cpu", Path("/nowhere"))
    if hierarchies.version != 1 or not (root / "cpu.rt_runtime_us").exists():
        return
    for group in (root / t.group, root / t.group / "rt"):
        group.mkdir(exist_ok=True)
        (group / "cpu.rt_runtime_us").write_text("10000")
    t.tolerated.add(f"{t.group}/rt")
    t.undo.append(lambda: (root / t.group / "cpu.rt_runtime_us").write_text("0"))
    t.undo.append(lambda: (root / t.group / "rt" / "cpu.rt_runtime_us").write_text("0"))
    config["linux"]["cgroupsPath"] = f"/{t.group}/rt"


@each(
    "process.scheduler",
    MUST,
    LINUX,
    "the program runs under the scheduling policy with its nice value, priority, flags and times",
    {
        name: (case, put("/process/scheduler", {"policy": "SCHED_OTHER", "nice": 3}))
        for name, case in SCHEDULERS.items()
    },
)
def scheduler(t: Trial, case: tuple[Config, dict[str, int]]) -> None:
    given, wanted = case
    config = t.config(scheduler=given)
    if given["policy"] in ("SCHED_FIFO", "SCHED_RR"):
        _real_time(t, config)
    before = os.getpriority(os.PRIO_PROCESS, 0)
    os.setpriority(os.PRIO_PROCESS, 0, before + 1)  # so that nothing is right by inheritance
    try:
        seen = t.run(config)["scheduler"] or {}
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)
    expect({key: seen.get(key) for key in wanted}, wanted, "sched_getattr(2)")


@clause(
    "process.scheduler.invalid",
    MUST,
    "config.md#valid-values",
    "a scheduling policy that does not exist is an error",
    broken_by=drop("/process/scheduler"),
)
def scheduler_invalid(t: Trial) -> None:
    t.refused(t.config(scheduler={"policy": "SCHED_NOSUCH"}), "the policy SCHED_NOSUCH", at_start=True)


@clause(
    "process.scheduler.flag.invalid",
    MUST,
    "config.md#valid-values",
    "a scheduling flag that does not exist is an error",
    broken_by=drop("/process/scheduler"),
)
def scheduler_flag_invalid(t: Trial) -> None:
    given = {"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_NOSUCH"]}
    t.refused(t.config(scheduler=given), "the flag SCHED_FLAG_NOSUCH", at_start=True)


CLASSES = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}


@each(
    "process.ioPriority",
    MUST,
    LINUX,
    "the program has the I/O scheduling class and priority",
    {name: (name, drop("/process/ioPriority")) for name in CLASSES},
)
def io_priority(t: Trial, name: str) -> None:
    seen = t.run(t.config(ioPriority={"class": name, "priority": 6}))["ioprio"]
    expect(seen, {"class": CLASSES[name], "priority": 6}, "ioprio_get(2)")


@each(
    "process.ioPriority.invalid",
    MUST,
    "config.md#valid-values",
    "an I/O class or priority that does not exist is an error",
    {
        "class": ({"class": "IOPRIO_CLASS_NOSUCH", "priority": 1}, drop("/process/ioPriority")),
        "priority": ({"class": "IOPRIO_CLASS_BE", "priority": 8}, drop("/process/ioPriority")),
    },
)
def io_priority_invalid(t: Trial, value: Any) -> None:
    t.refused(t.config(ioPriority=value), f"ioPriority {value}", at_start=True)


unobservable(
    "process.scheduler.SCHED_ISO",
    MUST,
    LINUX,
    "SCHED_ISO is a scheduling policy",
    "no kernel implements it (sched(7)); the runtime can only fail",
)
