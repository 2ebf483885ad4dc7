"""/process (config.md): what the program finds itself with."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import pytest

from tests.e2e.box import Box


def status_of(box: Box) -> dict[str, str]:
    """/proc/self/status of the program."""
    outcome = box.run("cat", "/proc/self/status")
    assert outcome.status == 0, outcome
    return {name: value.strip() for name, _, value in (line.partition(":") for line in outcome.lines)}


def refused(box: Box, origin: str, *words: str) -> None:
    """`run` fails for the property, in one line and one record, and says these words."""
    outcome = box.run()
    assert outcome.status == 1, outcome
    assert len(outcome.err.splitlines()) == 1 and "Traceback" not in outcome.err
    (record,) = box.records()
    assert record["origin"] == origin, record
    assert all(word in outcome.err for word in words), outcome.err


def test_env_and_home(box: Box) -> None:
    box.process["env"] = ["PATH=/bin", "A=1", "EMPTY=", "A=2"]
    lines = box.run("env").lines
    assert "HOME=/root" in lines and "A=2" in lines and "EMPTY=" in lines and "A=1" not in lines


def test_cwd_is_made_before_the_root_is_read_only(box: Box) -> None:
    box.process["cwd"] = "/work/deep"
    box.spec["root"]["readonly"] = True
    assert box.run("pwd; touch x").lines == ["/work/deep"]


def test_cwd_is_made_where_it_is_missing(box: Box) -> None:
    box.process["cwd"] = "/work/deep"
    assert box.run("pwd").out == "/work/deep\n"


def test_user_groups_and_umask(box: Box) -> None:
    box.process["user"] = {"uid": 1000, "gid": 1001, "additionalGids": [5, 7], "umask": 0o27}
    status = status_of(box)
    assert status["Uid"].split() == ["1000"] * 4 and status["Gid"].split() == ["1001"] * 4
    assert status["Groups"].split() == ["5", "7"] and status["Umask"] == "0027"


CHOWN, KILL, NET = 1 << 0, 1 << 5, 1 << 10


def test_five_capability_sets(box: Box) -> None:
    sets = ["CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
    box.process["user"] = {"uid": 1000, "gid": 1000}
    box.process["capabilities"] = {
        "bounding": sets,
        "permitted": sets,
        "effective": sets[:2],
        "inheritable": sets[:2],
        "ambient": sets[:1],
    }
    status = status_of(box)
    assert int(status["CapBnd"], 16) == CHOWN | KILL | NET
    assert int(status["CapInh"], 16) == CHOWN | KILL
    assert int(status["CapAmb"], 16) == CHOWN
    assert int(status["CapPrm"], 16) == int(status["CapEff"], 16) == CHOWN  # what execve leaves (capabilities(7))


def test_root_keeps_its_bounding_set_and_nothing_inheritable(box: Box) -> None:
    box.process["capabilities"] = {kind: ["CAP_KILL"] for kind in ("bounding", "effective", "permitted")}
    status = status_of(box)
    assert (int(status["CapEff"], 16), int(status["CapBnd"], 16), int(status["CapInh"], 16)) == (KILL, KILL, 0)


def test_without_capabilities_there_are_none(box: Box) -> None:
    del box.process["capabilities"]
    assert int(status_of(box)["CapEff"], 16) == 0


def test_an_unknown_capability_is_a_warning(box: Box) -> None:
    box.process["capabilities"]["bounding"].append("CAP_FLY")
    done = box.run("true")
    assert (done.status, done.err, box.records()) == (0, "", [])  # the container's own stderr, and a log of errors
    done = box.call("--log-format", "text", "run", box.name)
    assert (done.status, done.err) == (0, "")
    (line,) = box.log.read_text().splitlines()
    assert "level=warning" in line and "CAP_FLY" in line


def test_a_failure_is_the_only_record_beside_a_warning(box: Box) -> None:
    """podman reads the log of a create that failed as one document."""
    box.process["capabilities"]["bounding"].append("CAP_FLY")
    assert box.run("no-such-program", "-x").status == 1
    (record,) = box.records()
    assert record["level"] == "error"


@pytest.mark.parametrize("wanted", [True, False])
def test_no_new_privileges(box: Box, wanted: bool) -> None:
    box.process["noNewPrivileges"] = wanted
    assert status_of(box)["NoNewPrivs"] == str(int(wanted))


def test_rlimits(box: Box) -> None:
    box.process["rlimits"] = [
        {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
        {"type": "RLIMIT_STACK", "soft": 1 << 20, "hard": 1 << 21},
    ]
    text = box.run("grep -E 'open files|core file|stack' /proc/self/limits | tr -s ' '").out
    assert "Max open files 100 200 files" in text
    assert "Max core file size 0 0 bytes" in text
    assert "Max stack size 1048576 2097152 bytes" in text


def test_rlimit_duplicate_and_unknown(box: Box) -> None:
    box.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 1, "hard": 1}] * 2
    refused(box, "/process/rlimits/1", "RLIMIT_NOFILE")
    box.log.unlink()
    box.process["rlimits"] = [{"type": "RLIMIT_MOON", "soft": 1, "hard": 1}]
    refused(box, "/process/rlimits/0/type", "RLIMIT_MOON")


def test_rlimit_unknown(box: Box) -> None:
    box.process["rlimits"] = [{"type": "RLIMIT_LUCK", "soft": 1, "hard": 1}]
    refused(box, "/process/rlimits/0/type", "RLIMIT_LUCK")


def test_oom_score(box: Box) -> None:
    box.process["oomScoreAdj"] = 777
    assert box.run("cat", "/proc/self/oom_score_adj").out == "777\n"


def test_oom_score_untouched(box: Box) -> None:
    with open("/proc/self/oom_score_adj") as file:
        own = file.read()
    assert box.run("cat", "/proc/self/oom_score_adj").out == own


@pytest.mark.parametrize(
    ("scheduler", "policy", "nice"),
    [
        ({"policy": "SCHED_BATCH", "nice": 5}, 3, 5),
        ({"policy": "SCHED_IDLE"}, 5, os.nice(0)),  # which has none of its own
        ({"policy": "SCHED_OTHER", "nice": 19}, 0, 19),
    ],
)
def test_scheduler(box: Box, scheduler: dict[str, Any], policy: int, nice: int) -> None:
    box.process["scheduler"] = scheduler
    box.up()
    assert os.sched_getscheduler(box.pid()) == policy
    assert os.getpriority(os.PRIO_PROCESS, box.pid()) == nice


def test_io_priority(box: Box) -> None:
    box.process["ioPriority"] = {"class": "IOPRIO_CLASS_BE", "priority": 6}
    assert box.run("ionice", "-p", "1").out.strip() == "best-effort: prio 6"


def test_personality(box: Box) -> None:
    box.linux["personality"] = {"domain": "LINUX32"}
    assert box.run("uname", "-m").out == "i686\n"


def test_only_three_descriptors(box: Box) -> None:
    """CVE-2024-21626: anything else that is open is a way to the host."""
    with open(os.devnull) as leaked:
        os.set_inheritable(leaked.fileno(), True)
        outcome = box.run("ls /proc/1/fd; true", pass_fds=(leaked.fileno(),))
    assert outcome.lines == ["0", "1", "2"]


def with_descriptor_3(box: Box, *words: str, env: str = "") -> list[str]:
    """What the container prints when the runtime is started with a file open at descriptor 3."""
    (box.place / "file").write_text("kept")
    box.write()
    command = " ".join([box.runtime, "--root", str(box.root), "run", *words, box.name])
    script = f"exec 3<{box.place}/file; {env} exec {command}"
    result = subprocess.run(["sh", "-c", script], cwd=box.bundle, capture_output=True, text=True, check=True)
    return result.stdout.splitlines()


def test_preserved_descriptors(box: Box) -> None:
    box.process["args"] = ["sh", "-c", "cat <&3"]
    assert with_descriptor_3(box, "--preserve-fds", "1") == ["kept"]


def test_a_descriptor_to_preserve_that_is_closed(box: Box) -> None:
    outcome = box.run("true", options=("--preserve-fds", "40"))
    assert outcome.status == 1 and "unable to stat preserved-fd" in outcome.err


@pytest.mark.parametrize("number", range(3, 24))
def test_cwd_through_a_descriptor_is_refused(box: Box, number: int) -> None:
    """CVE-2024-21626: create and exec with a working directory that is a descriptor of the host."""
    (box.rootfs / "link").symlink_to(f"/proc/self/fd/{number}")
    for cwd in (f"/proc/self/fd/{number}", "/link"):
        box.process["cwd"] = cwd
        outcome = box.run("ls ..")
        assert outcome.status == 1 or "bin" in outcome.out, outcome


def test_the_executable_is_never_the_hosts(box: Box) -> None:
    """CVE-2019-5736: /proc/self/exe as the program leads to sealed memory, not to the interpreter."""
    script = box.rootfs / "bin/trap"
    script.write_text("#!/proc/self/exe\n")
    script.chmod(0o755)
    outcome = box.run("/bin/trap", "x")
    assert outcome.status != 0
    box.up()
    for pid in (box.pid(),):
        assert "python" not in os.readlink(f"/proc/{pid}/exe")


def test_labels_that_the_host_cannot_apply(box: Box) -> None:
    if os.path.isdir("/sys/kernel/security/apparmor"):
        pytest.skip("this host has AppArmor")
    box.process["apparmorProfile"] = "box"
    refused(box, "/process/apparmorProfile", "apparmor")


def test_selinux_label_on_a_host_without(box: Box) -> None:
    if os.path.isdir("/sys/fs/selinux"):
        pytest.skip("this host has SELinux")
    box.process["selinuxLabel"] = "system_u:system_r:container_t:s0"
    refused(box, "/process/selinuxLabel", "selinux")


def test_listen_fds(box: Box) -> None:
    """Socket activation (sd_listen_fds(3)): the descriptors and what tells of them."""
    box.process["args"] = ["sh", "-c", "cat <&3; echo; env | grep LISTEN | sort"]
    assert with_descriptor_3(box, env="LISTEN_PID=$$ LISTEN_FDS=1") == ["kept", "LISTEN_FDS=1", "LISTEN_PID=1"]


def test_listen_fdnames_are_kept(box: Box) -> None:
    box.process["args"] = ["sh", "-c", "env | grep LISTEN | sort"]
    told = with_descriptor_3(box, env="LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web")
    assert told == ["LISTEN_FDNAMES=web", "LISTEN_FDS=1", "LISTEN_PID=1"]


def test_listen_fds_of_another_process_are_not_passed_on(box: Box) -> None:
    """Those variables are for the process that LISTEN_PID names (sd_listen_fds(3)); runc the same."""
    box.process["args"] = ["sh", "-c", "env | grep LISTEN; ls /proc/self/fd | wc -l"]
    assert with_descriptor_3(box, env="LISTEN_FDS=1") == ["4"]  # three, and that of ls
