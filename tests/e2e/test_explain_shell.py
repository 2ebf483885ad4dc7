"""`explain --format shell`: the script makes what the runtime makes, seen from inside."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
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


def cgroups(name: str) -> list[Path]:
    """The container's cgroups, in all hierarchies; those of others come and go meanwhile."""
    return [Path(place) for place, _, _ in os.walk("/sys/fs/cgroup") if place.endswith(f"/{name}")]


@pytest.fixture
def scripted(box: Box) -> Iterator[Box]:
    """A box whose cgroups, which the script leaves, are removed."""
    yield box
    for path in cgroups(box.name):
        deadline = time.monotonic() + 10
        while path.exists():
            try:
                path.rmdir()
            except OSError:  # who has just died is still counted
                assert time.monotonic() < deadline, path
                os.sched_yield()


def explain(box: Box, *options: str) -> Outcome:
    return box.call("explain", "--id", box.name, *options, str(box.bundle))


def run_script(box: Box) -> str:
    written = explain(box, "--format", "shell")
    assert written.status == 0, written
    script = box.place / "script"
    script.write_text(written.out)
    result = subprocess.run(["sh", script], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, result
    return result.stdout


def namespaces(text: str) -> dict[str, bool]:
    """Which namespaces are the host's."""
    inside = dict(re.findall(r"(\w+):(\[\d+\])", text))
    return {kind: os.readlink(f"/proc/self/ns/{kind}") == f"{kind}:{inside[kind]}" for kind in KINDS}


@pytest.mark.parametrize("user", [0, 1000])
def test_the_script_makes_the_same_container(scripted: Box, user: int) -> None:
    box = scripted
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
    limits = [file.read_text() for path in cgroups(box.name) if (file := path / "pids.max").exists()]
    assert "33\n" in limits


def test_the_script_makes_the_same_namespaces(scripted: Box) -> None:
    look = "for kind in " + " ".join(KINDS) + "; do readlink /proc/self/ns/$kind; done"
    expected = namespaces(scripted.run(look).out)
    assert expected["user"] and not expected["pid"]
    assert namespaces(run_script(scripted)) == expected
    (line,) = Path("/proc/self/cgroup").read_text().splitlines()[:1]
    assert scripted.name not in line, "the caller stays where it was"


def test_a_user_namespace_is_refused(box: Box) -> None:
    box.namespaces("user", "mount", "pid", "uts")
    box.linux["uidMappings"] = box.linux["gidMappings"] = [{"containerID": 0, "hostID": 0, "size": 1000}]
    box.write()
    outcome = explain(box, "--format", "shell")
    assert outcome.status == 1 and box.records()[-1]["code"] == "explain-shell"


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


@pytest.mark.parametrize("sample", ["busybox", "limits", "hostbox"])
def test_a_sample_says_the_same(scripted: Box, sample: str) -> None:
    box = scripted
    bundle = box.place / "sample"
    subprocess.run([sys.executable, "-m", "bundles", sample, "--out", bundle], check=True, capture_output=True)
    document = json.loads((bundle / "config.json").read_text())
    document["linux"]["cgroupsPath"] = f"/{box.name}"
    document["process"]["terminal"] = False
    box.bundle, box.spec = bundle, document
    box.write()
    expected = box.call("run", "--bundle", str(bundle), box.name)
    numbers = re.compile(r" *\d+")  # those of processes, and their column
    said = run_script(box).splitlines()
    assert [numbers.sub("N", line) for line in said] == [numbers.sub("N", line) for line in expected.lines]
    assert said
