"""`explain --format shell`: the script makes what the runtime makes, seen from inside."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.box import Box, Outcome

pytestmark = pytest.mark.skipif(not shutil.which("capsh"), reason="needs capsh (libcap2-bin)")

KINDS = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
LOOK = """
hostname; id -u; id -g; id -G; ls -ld /proc/self/fd/0 /dev/null /etc | cut -c1-10
awk '{ print $5, $6 }' /proc/self/mountinfo | sort
grep -E 'Cap|NoNewPrivs' /proc/self/status
sort /proc/self/limits
cat /proc/self/oom_score_adj
ip link show lo 2>/dev/null | head -n 1
env | sort
"""


def explain(box: Box, *options: str) -> Outcome:
    return box.call("explain", "--id", box.name, *options, str(box.bundle))


def script(box: Box) -> Path:
    written = explain(box, "--format", "shell")
    assert written.status == 0, written
    path = box.place / "script"
    path.write_text(written.out)
    return path


def run_script(box: Box) -> str:
    result = subprocess.run(["sh", script(box)], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert result.returncode == 0 and not result.stderr, result
    return result.stdout


def namespaces(text: str) -> dict[str, bool]:
    """Which namespaces are the host's."""
    inside = dict(re.findall(r"(\w+):(\[\d+\])", text))
    return {kind: os.readlink(f"/proc/self/ns/{kind}") == f"{kind}:{inside[kind]}" for kind in KINDS}


@pytest.mark.parametrize("user", [0, 1000])
def test_the_script_makes_the_same_container(box: Box, user: int) -> None:
    volume = box.place / "volume"
    volume.mkdir()
    box.mount("/data/volume", volume, "bind", "bind", "ro", "nosuid")
    box.mount("/tmp", "tmpfs", "tmpfs", "noexec", "size=1m")
    box.process["user"] = {"uid": user, "gid": user, "additionalGids": [7, 9]}
    box.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]
    box.linux["resources"]["pids"] = {"limit": 33}
    box.linux["maskedPaths"] = ["/proc/keys", "/sys/firmware", "/not/there"]
    box.linux["readonlyPaths"] = ["/proc/sys", "/proc/not-there"]
    box.spec["root"]["readonly"] = True
    expected = box.run(LOOK)
    assert expected.status == 0, expected
    assert run_script(box).splitlines() == expected.lines


def test_the_script_makes_the_same_namespaces(box: Box) -> None:
    look = "for kind in " + " ".join(KINDS) + "; do readlink /proc/self/ns/$kind; done"
    expected = namespaces(box.run(look).out)
    assert expected["user"] and not expected["pid"]
    assert namespaces(run_script(box)) == expected
    (line,) = Path("/proc/self/cgroup").read_text().splitlines()[:1]
    assert box.name not in line, "the caller stays where it was"


@pytest.mark.parametrize("shift", [0, 100_000])
def test_the_script_makes_the_same_user_namespace(box: Box, shift: int) -> None:
    for path in (box.place, *box.place.parents):
        if str(path).startswith("/tmp/"):
            path.chmod(path.stat().st_mode | 0o011)  # the container's root has to come by
    box.namespaces("user", "mount", "pid", "uts", "network", "ipc", "cgroup")
    box.linux["uidMappings"] = box.linux["gidMappings"] = [{"containerID": 0, "hostID": shift, "size": 1001}]
    box.process["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [7]}
    box.process["capabilities"]["inheritable"] = box.process["capabilities"]["ambient"] = ["CAP_KILL"]
    box.linux["maskedPaths"] = ["/proc/keys", "/sys/firmware"]
    box.linux["readonlyPaths"] = ["/proc/sys"]
    look = LOOK + "cat /proc/self/uid_map"
    expected = box.run(look)
    assert expected.status == 0 and str(shift) in expected.lines[-1], expected
    assert run_script(box).splitlines() == expected.lines


def test_names_with_blanks_and_quotes(box: Box) -> None:
    volume = box.place / "a volume's"
    volume.mkdir()
    (volume / "it").touch()
    box.bundle = box.bundle.rename(box.place / "my $(touch bundle)")
    box.mount("/da ta", volume, "bind", "bind", "ro")
    box.process.update(cwd="/da ta", env=["PATH=/bin", "HOME=/", "ODD=$(id) 'x' \"y\" END"])
    text = "pwd; ls; echo \"$ODD\"; echo 'END'\nEND\n:"
    expected = box.run(f"END() {{ echo end; }}; {text}")
    assert expected.lines == ["/da ta", "it", "$(id) 'x' \"y\" END", "END", "end"]
    assert run_script(box).splitlines() == expected.lines


def test_hooks_run_where_they_do(box: Box) -> None:
    box.spec["hooks"] = {}
    for kind in ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"):
        words = "s=$(sed -n 's/.*status\": *\"\\([a-z]*\\).*/\\1/p'); "
        place = "/log" if kind == "startContainer" else box.rootfs / "log"
        more = {"env": ["PATH=/usr/bin:/bin"], "timeout": 10}
        hook = {"path": "/bin/sh", "args": ["sh", "-c", f"{words} echo {kind} $s $(hostname) >> {place}"], **more}
        box.spec["hooks"][kind] = [hook]
    log = box.rootfs / "log"
    log.touch()
    assert box.run("true").status == 0
    expected = log.read_text()
    log.write_text("")
    assert run_script(box) == ""
    assert log.read_text() == expected
    assert expected.startswith("prestart created") and "\npoststop stopped" in expected


def test_a_script_that_fails_leaves_nothing(box: Box) -> None:
    box.namespaces("user", "mount", "pid", "uts")
    box.linux["uidMappings"] = box.linux["gidMappings"] = [{"containerID": 0, "hostID": 0, "size": 1000}]
    box.write()
    path = script(box)
    path.write_text(path.read_text().replace("mount -t proc ", "mount -t nothing "))
    result = subprocess.run(["sh", path], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert result.returncode != 0 and "rootfs/proc" in result.stderr


def test_a_scope_of_systemd_is_refused(box: Box) -> None:
    box.linux["cgroupsPath"] = f"system.slice:box:{box.name}"
    box.write()
    written = box.call("--systemd-cgroup", "explain", "--format", "shell", str(box.bundle))
    assert written.status == 1 and box.records()[-1]["code"] == "explain-shell"


def test_json_has_lines(box: Box) -> None:
    box.write()
    plan = json.loads(explain(box, "--format", "json").out)
    steps = {step["origin"]: step for stage in plan["stages"] for step in stage["steps"]}
    text = (box.bundle / "config.json").read_text().splitlines()
    assert '"hostname"' in text[steps["/hostname"]["line"] - 1]
    assert steps["/hostname"]["describe"] == f"hostname {box.spec['hostname']}"
    assert [stage["stage"] for stage in plan["stages"]][:3] == ["host", "open", "clone"]


def test_no_colour_in_a_pipe(box: Box) -> None:
    box.write()
    assert "\x1b" not in explain(box).out
