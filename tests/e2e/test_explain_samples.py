"""Every sample bundle made twice, by the runtime and by the script of `explain`: both are looked at and compared."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bundles.build import catalogue
from tests.e2e.box import OCIRUNTIME, Box
from tests.e2e.host import Picture, processes

pytestmark = pytest.mark.skipif(not shutil.which("capsh"), reason="needs capsh (libcap2-bin)")

KINDS = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
CREDENTIALS = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs")
LIMITS = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "pids.max", "devices.list", "cpu.shares",
          "cpuset.cpus", "cpuset.mems", "memory.max", "memory.swap.max", "cpu.weight", "cpu.max")  # fmt: skip
ELSEWHERE = {"pod": "three bundles, see below", "debian": "its root has to be downloaded"}


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """Only its place, name and calls are of use here; the bundle is a sample's."""
    before = Picture()
    for path in (tmp_path, *tmp_path.parents):
        if str(path).startswith("/tmp/"):
            path.chmod(path.stat().st_mode | 0o011)  # containers with ids of their own have to come by
    name = f"e2e-{os.getpid()}-{tmp_path.name}"
    box = Box(tmp_path, name)
    yield box
    box.call("delete", "--force", name)
    assert before.differences(name) == []


def build(box: Box, sample: str) -> dict[str, Any]:
    """A sample in place of the box's own bundle; its document, with the box's cgroup."""
    words = ["--rootfs", str(box.rootfs)] if sample == "alpine" else []
    out = box.place / "sample"
    command = [sys.executable, "-m", "bundles", sample, "--out", str(out), *words]
    subprocess.run(command, check=True, capture_output=True)
    box.bundle, box.rootfs = out, out / "rootfs"
    document: dict[str, Any] = json.loads((out / "config.json").read_text())
    document["linux"]["cgroupsPath"] = f"/{box.name}"
    document["process"]["terminal"] = False
    box.spec = document
    return document


def look(pid: int) -> dict[str, Any]:
    """A process as its own /proc shows it, apart from what differs each time."""
    place = Path(f"/proc/{pid}")
    status = dict(line.split(":", 1) for line in (place / "status").read_text().splitlines())
    mounts = [line.partition(" - ") for line in (place / "mountinfo").read_text().splitlines()]
    host = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in KINDS}
    return {
        "namespaces": [kind for kind in KINDS if os.readlink(place / "ns" / kind) != host[kind]],
        "mounts": sorted((here.split()[4], here.split()[5], what.split()[0]) for here, _, what in mounts),
        "credentials": {name: status[name].split() for name in CREDENTIALS},
        "maps": [(place / f"{kind}_map").read_text() for kind in ("uid", "gid")],
        "rlimits": (place / "limits").read_text(),
        "oom": (place / "oom_score_adj").read_text(),
        "limits": cgroup_limits(place),
        "environment": sorted((place / "environ").read_bytes().split(b"\0")),
        "cwd": os.path.relpath(os.readlink(place / "cwd"), os.readlink(place / "root")),
        "hostname": subprocess.run(["nsenter", f"--uts=/proc/{pid}/ns/uts", "hostname"], capture_output=True,
                                   check=True).stdout,
    }  # fmt: skip


def cgroup_limits(place: Path) -> dict[str, str]:
    found = {}
    for line in (place / "cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        name = names.partition(",")[0].removeprefix("name=") or "unified"
        for root in (f"/sys/fs/cgroup/{name}", "/sys/fs/cgroup"):
            for limit in LIMITS:
                if (file := Path(f"{root}{path}/{limit}")).exists():
                    found[f"{names} {limit}"] = file.read_text()
    return found


@contextmanager
def by_runtime(box: Box) -> Iterator[int]:
    box.up(*box.process["args"])
    yield box.pid()
    box.delete("--force")


@contextmanager
def by_script(box: Box) -> Iterator[int]:
    box.write()
    path = script(box, box.bundle, box.name)
    mark = f"MARK={box.name}"
    with subprocess.Popen(["sh", path], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as running:
        deadline = time.monotonic() + 20
        while not (inits := [pid for pid in processes(mark) if is_program(pid, mark)]):
            assert running.poll() is None and time.monotonic() < deadline
        yield inits[0]
        os.kill(inits[0], 9)
    assert running.returncode  # unshare(1) has its own idea of which


def is_program(pid: int, mark: str) -> bool:
    """Whether it is the program, no longer the tool that executes it."""
    try:
        place = Path(f"/proc/{pid}")
        return mark.encode() in (place / "environ").read_bytes() and b"capsh" not in (place / "cmdline").read_bytes()
    except OSError:
        return False


def script(box: Box, bundle: Path, name: str) -> Path:
    written = box.call("explain", "--format", "shell", "--id", name, str(bundle))
    assert written.status == 0, written
    path = box.place / f"script-{bundle.name}"
    path.write_text(written.out)
    return path


def waiting(sample: str, program: str) -> list[str]:
    """What a sample has to wait with, so that it can be looked at."""
    if sample in ("hostbox", "tour"):
        return [program, "-c", "exec 9<> <(:); read -u 9"]
    return [program, "-c", "import time; time.sleep(1000)"] if sample == "python" else ["/bin/sleep", "1000"]


@pytest.mark.parametrize("sample", [name for name in catalogue() if name not in ELSEWHERE])
def test_the_same_container(box: Box, sample: str) -> None:
    document = build(box, sample)
    document["process"]["args"] = waiting(sample, document["process"]["args"][0])
    document["process"]["env"].append(f"MARK={box.name}")
    looks = []
    ways: tuple[Callable[[Box], Any], ...] = (by_runtime, by_script)
    for way in ways:
        with way(box) as pid:
            looks.append(look(pid))
    expected, made = looks
    assert made == expected


@pytest.mark.parametrize("sample", [name for name in catalogue() if name not in ELSEWHERE])
def test_the_same_words(box: Box, sample: str) -> None:
    build(box, sample)
    box.write()
    expected = box.call("run", box.name)
    (box.rootfs / "witness.log").unlink(missing_ok=True)
    result = subprocess.run(["sh", script(box, box.bundle, box.name)], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (expected.status, expected.err)
    assert plain(result.stdout) == plain(expected.out)
    assert result.stdout or sample == "alpine", "an image of somebody's, whose shell has nothing to say"


def plain(text: str) -> list[str]:
    """Without what differs: numbers of processes and times, the filter that no tool loads, a hook that may be late."""
    lines = [re.sub(r"Seccomp: \d", "", line) for line in text.splitlines() if "poststart" not in line]
    return [re.sub(r" *\d+(\.\d+)? ?(?=ms|)", "N", line) for line in lines]


def test_a_pod_shares_its_namespaces(box: Box) -> None:
    build_pod = [sys.executable, "-m", "bundles", "pod", "--out", str(box.place / "pod")]
    subprocess.run(build_pod, check=True, capture_output=True)
    pod = box.place / "pod"
    with subprocess.Popen(["sh", script(box, pod / "pause", box.name)], stdin=subprocess.DEVNULL) as pause:
        wait_for(lambda: (pod / "pause/uts").is_symlink())
        with subprocess.Popen(["sh", script(box, pod / "web", f"{box.name}-web")], stdin=subprocess.DEVNULL) as web:
            path = script(box, pod / "client", f"{box.name}-client")
            said = subprocess.run(["sh", path], capture_output=True, text=True, check=True, timeout=60).stdout
            end(web, b"httpd")
        end(pause, b"tail")
    assert "over localhost: hello from web" in said and "hostname: pod" in said and "from-web" in said


def wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def end(running: subprocess.Popen[bytes], name: bytes) -> None:
    """End the program of a script by its name, and with it the container."""
    found = [int(pid.name) for pid in Path("/proc").glob("[0-9]*") if descends(pid, running.pid) and runs(pid, name)]
    assert len(found) == 1
    os.kill(found[0], 9)


def runs(place: Path, name: bytes) -> bool:
    return (place / "cmdline").read_bytes().split(b"\0")[0].endswith(name)


def descends(place: Path, ancestor: int) -> bool:
    try:
        parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return False
    return parent == ancestor or (parent > 1 and descends(Path(f"/proc/{parent}"), ancestor))


def test_elsewhere_is_about_samples() -> None:
    assert set(ELSEWHERE) < set(catalogue()) and OCIRUNTIME
