"""Fixtures for the samples: a place for bundles, the runtimes of this host, and the look behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field, frozen

from bundles.build import Container, Request, build, catalogue
from bundles.running import Plan, identity
from bundles.samples.network import interface
from conformance.host import complete_hierarchies
from tests.docs.console import cgroups

DEADLINE = 300  # seconds for one command; only reached when something hangs
OCIRUNTIME = Path(os.environ.get("OCIRUNTIME", ".venv/bin/ociruntime")).absolute()
USERS = {65534, 100000, 101000, 12345}  # who the containers of the samples are, as the host counts
RUNTIMES = ("ociruntime", "runc", "crun")


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory for bundles that other users may enter (pytest's own is closed to them)."""
    path = Path(tempfile.mkdtemp(prefix="bundles-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@frozen
class Held:
    """A container that waits for us to have looked at it."""

    pid: int  # of its init, as the host counts
    said: str  # what it printed until then

    def namespace(self, kind: str) -> str:
        """The identity of one of its namespaces, like `net:[4026531840]`."""
        return os.readlink(f"/proc/{self.pid}/ns/{kind}")

    def status(self, name: str) -> str:
        """A field of proc_pid_status(5)."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:"))

    def cgroup(self, controller: str) -> Path:
        """Its cgroup for one controller, in whichever version has it."""
        mounted = Path("/sys/fs/cgroup", controller)
        lines = [line.split(":") for line in Path(f"/proc/{self.pid}/cgroup").read_text().splitlines()]
        v1 = [path for _, names, path in lines if controller in names.split(",")]
        v2 = [path for number, _, path in lines if number == "0"]
        return mounted / v1[0].lstrip("/") if v1 else Path("/sys/fs/cgroup") / v2[0].lstrip("/")


@define
class Box:
    """A sample, and how to run it with one runtime. Everything of it has `id` in its name."""

    runtime: str
    place: Path
    id: str
    containers: list[Container] = field(factory=list)

    @property
    def out(self) -> Path:
        return self.place / "bundle"

    @property
    def root(self) -> Path:
        return self.place / "state"

    @property
    def rootfs(self) -> Path:
        return self.out / "rootfs"

    @property
    def plan(self) -> Plan:
        return Plan(self.runtime, self.out, self.containers, self.id, self.root)

    def build(self, name: str, *command: str, **request: Any) -> None:
        """Build a sample; `command` replaces the program of its last container."""
        self.containers = build(catalogue()[name], Request(self.out, command=command, **request))

    def run(self, *arguments: str) -> str:
        """Run a sample by `python -m bundles`, as a user would; returns what its containers printed."""
        name, *more = arguments
        options = ["--runtime", self.runtime, "--root", str(self.root), "--out", str(self.out), "--id", self.id]
        said = subprocess.run(
            [sys.executable, "-m", "bundles", name, "--run", *options, *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEADLINE,
        )
        assert said.returncode == 0, said.stdout
        return said.stdout

    def call(self, *words: str) -> str:
        """One command of the runtime; returns its output."""
        with tempfile.TemporaryFile("w+") as output:  # not a pipe: `create` leaves it to the container
            done = subprocess.run(
                [self.runtime, "--root", str(self.root), *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=DEADLINE,
                check=False,
            )
            output.seek(0)
            said = output.read()
        assert done.returncode == 0, said
        return said

    def held(self, name: str = "") -> Held:
        """A look at a container that runs in the background, by its name in the sample."""
        argv = [self.runtime, "--root", str(self.root), "state", f"{self.id}-{name}" if name else self.id]
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            # `crun run` writes the state while the program already runs.
            if done.returncode == 0 and (state := json.loads(done.stdout))["status"] == "running":
                return Held(state["pid"], "")
        raise AssertionError(f"{self.id} {name} does not run: {done.stdout}{done.stderr}")

    def start(self) -> None:
        """Start all containers in the background."""
        for container in self.containers:
            name = f"{self.id}-{container.name}" if container.name else self.id
            self.call("create", "--bundle", str(self.out / container.name), name)
            self.call("start", name)

    @contextmanager
    def hold(self, sample: str, script: str = ":", shell: str = "/bin/sh", **request: Any) -> Iterator[Held]:
        """Run a shell script in a sample of one container, and keep it there until the block ends."""
        self.build(sample, shell, "-c", f"{script}\necho ready; read line || true", **request)
        pipe = subprocess.PIPE
        with (
            tempfile.TemporaryDirectory() as scratch,
            subprocess.Popen(
                self.plan.front(), stdin=pipe, stdout=pipe, text=True, **identity(self.containers[0], Path(scratch))
            ) as running,
        ):
            assert running.stdin and running.stdout
            said = []
            for line in running.stdout:
                if line == "ready\n":
                    break
                said.append(line)
            else:
                raise AssertionError(f"the container ended before it was ready: {said}")
            yield Held(self.held().pid, "".join(said))
            running.stdin.close()
            assert running.wait(DEADLINE) == 0

    def clean(self) -> None:
        """Remove all containers that are there."""
        for state in self.root.glob("*"):
            subprocess.run(
                [self.runtime, "--root", str(self.root), "delete", "--force", state.name],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=DEADLINE,
                check=False,
            )


def leftovers(box: Box) -> dict[str, Sequence[str]]:
    """What of a box is still on the host, by kind."""
    found = {
        "mounts": [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(box.place) in line],
        "cgroups": [str(path) for path in cgroups() if box.id in path.name],
        "states": [str(path) for path in box.root.glob("*")],
        "links": [name for name in os.listdir("/sys/class/net") if name == interface(box.out)],
        "processes": [str(path.parent) for path in Path("/proc").glob("[0-9]*/mountinfo") if _lives_in(path, box)],
    }
    return {kind: things for kind, things in found.items() if things}


def _lives_in(mountinfo: Path, box: Box) -> bool:
    try:
        return str(box.place) in mountinfo.read_text()
    except OSError:
        return False  # it has ended meanwhile


def unusable(runtime: str) -> str:
    """Why a runtime cannot be used on this host, "" where it can: it has to run `true` in a busybox."""
    path = str(OCIRUNTIME) if runtime == "ociruntime" else shutil.which(runtime) or ""
    if not os.access(path, os.X_OK):
        return f"{runtime}: not installed"
    with tempfile.TemporaryDirectory(prefix="bundles-test-") as scratch:
        os.chmod(scratch, 0o755)
        box = Box(path, Path(scratch), f"bundles-probe-{os.getpid()}")
        box.build("busybox", "true")
        done = subprocess.run(box.plan.front(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        box.clean()
    return "" if done.returncode == 0 else f"{runtime}: cannot run `true` here: {done.stderr.strip()}"


_unusable: dict[str, str] = {}


@pytest.fixture(scope="module")  # a package's would last to the end of everything, and others count mounts
def complete() -> Iterator[None]:
    """crun refuses a host where v2 owns a controller, which an unmounted hierarchy gives back at any later time."""
    with complete_hierarchies():
        yield


@pytest.fixture(params=RUNTIMES)
def box(request: pytest.FixtureRequest, place: Path, complete: None) -> Iterator[Box]:
    """A sample to be, once per runtime; fails where the test leaves something on the host."""
    name: str = request.param
    if os.geteuid() != 0:
        pytest.skip("containers with all namespaces need root")
    if name not in _unusable:
        _unusable[name] = unusable(name)
    if _unusable[name]:
        pytest.skip(_unusable[name])
    path = str(OCIRUNTIME) if name == "ociruntime" else shutil.which(name) or name
    made = Box(path, place, f"{place.name}-{name}")
    made.root.mkdir()
    yield made
    made.clean()
    if (owner := os.stat("/dev/null").st_uid) in USERS:
        os.chown("/dev/null", 0, 0)
        pytest.fail(f"the runtime has given the host's /dev/null to user {owner}")
    assert leftovers(made) == {}
