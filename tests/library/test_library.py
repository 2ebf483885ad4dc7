"""The runtime as a library, on real containers: results and exceptions as objects."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import ociruntime
from ociruntime import (
    AsyncRuntime,
    Bundle,
    ConfigError,
    Process,
    ProgramError,
    Runtime,
    Settings,
    StateError,
    StepError,
)
from ociruntime.model import User
from tests.e2e.box import OCIRUNTIME, Box
from tests.e2e.host import Picture

EXAMPLES = Path(__file__).parents[2] / "docs/examples"

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    before = Picture()
    name = f"library-{os.getpid()}-{tmp_path.name}"
    box = Box(tmp_path, name)
    box.process["args"] = ["sleep", "1000"]
    box.write()
    yield box
    assert before.differences(name) == []


@pytest.fixture
def runtime(box: Box) -> Runtime:
    return Runtime(Settings(program=OCIRUNTIME, root=str(box.root)))


def test_nothing_is_loaded_before_it_is_asked_for() -> None:
    script = "import sys, ociruntime; print([name for name in ('attr', 'json', 'subprocess') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-S", "-c", script], capture_output=True, text=True,
                          cwd=Path(ociruntime.__file__).parents[1], check=True).stdout == "[]\n"  # fmt: skip
    with pytest.raises(AttributeError):
        _ = ociruntime.nonsense


def test_a_life_with_objects(box: Box, runtime: Runtime) -> None:
    with runtime.create(box.name, box.bundle) as container:
        assert container.state().status == "created"
        container.start()
        state = container.state()
        assert state.status == "running" and state.pid and container.pids() == [state.pid]
        assert [entry.id for entry in runtime.list()] == [box.name]
        container.pause()
        assert str(container.state().status) == "paused"
        container.resume()
        assert container.stats()["pids"]["current"] == 1
        with pytest.raises(TimeoutError):
            container.wait(timeout=0.01)
        container.kill("KILL")
        container.wait(timeout=20)
        assert container.state().status == "stopped"
    assert runtime.list() == []


def test_exec_gives_status_and_output(box: Box, runtime: Runtime) -> None:
    with runtime.create(box.name, box.bundle) as container:
        container.start()
        process = Process(
            cwd="/",
            args=["sh", "-c", "echo out; echo err >&2; id -u; exit 3"],
            env=["PATH=/bin"],
            user=User(uid=5, gid=5),
        )
        done = container.exec(process, capture=True)
        assert (done.status, done.stdout, done.stderr) == (3, b"out\n5\n", b"err\n")
        with pytest.raises(ProgramError, match="not found"):
            container.exec(Process(cwd="/", args=["nope"], env=["PATH=/bin"], user=User(uid=0, gid=0)))


def test_failures_are_exceptions_with_facts(box: Box, runtime: Runtime) -> None:
    with pytest.raises(StateError) as missing:
        runtime.container("nobody").state()
    assert missing.value.code == "container-missing"
    box.mount("/x", "/does/not/exist", "bind", "bind")
    box.write()
    with pytest.raises(StepError) as refused:
        runtime.create(box.name, box.bundle)
    assert (refused.value.origin, refused.value.errno) == ("/mounts/4/source", 2)
    assert refused.value.place[0] > 1


def test_a_bundle_is_loaded_edited_and_saved(box: Box, runtime: Runtime) -> None:
    bundle = Bundle.load(box.bundle)
    bundle.spec.hostname = "edited"
    bundle.save()
    with runtime.create(box.name, bundle) as container:
        container.start()
        process = Process(cwd="/", args=["hostname"], env=["PATH=/bin"], user=User(uid=0, gid=0))
        assert container.exec(process, capture=True).stdout == b"edited\n"
    assert bundle.spec.process
    bundle.spec.process.cwd = "relative"
    with pytest.raises(ConfigError) as wrong:
        bundle.save()
    assert wrong.value.origin == "/process/cwd"
    assert Bundle.load(box.bundle).spec.hostname == "edited"


def test_from_many_threads(box: Box, runtime: Runtime) -> None:
    del box.linux["cgroupsPath"]
    box.write()

    def life(number: int) -> str:
        with runtime.create(f"{box.name}-{number}", box.bundle) as container:
            container.start()
            return container.state().status

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(life, range(8))) == ["running"] * 8


def test_from_an_event_loop(box: Box, runtime: Runtime) -> None:
    async def life() -> list[str]:
        ticks = []

        async def tick() -> None:
            while True:
                ticks.append(1)
                await asyncio.sleep(0)

        ticker = asyncio.create_task(tick())
        async with await AsyncRuntime(runtime).create(box.name, box.bundle) as container:
            await container.start()
            status = (await container.state()).status
        ticker.cancel()
        return [status, "free" if len(ticks) > 10 else "blocked"]

    assert asyncio.run(life()) == ["running", "free"]


def test_run_gives_status_and_output(box: Box, runtime: Runtime) -> None:
    bundle = Bundle.load(box.bundle)
    assert bundle.spec.process
    bundle.spec.process.args = ["sh", "-c", "echo out; echo err >&2; exit 3"]
    bundle.save()
    done = runtime.run(box.name, bundle, capture=True)
    assert (done.status, done.stdout, done.stderr) == (3, b"out\n", b"err\n")
    assert asyncio.run(AsyncRuntime(runtime).run(box.name, bundle, capture=True)) == done
    bundle.spec.process.args = ["nope"]
    bundle.save()
    with pytest.raises(ProgramError, match="not found") as refused:
        runtime.run(box.name, bundle, capture=True)
    assert refused.value.step == "command -v nope" and refused.value.origin == "/process/args/0"


def test_problems_of_a_bundle(box: Box) -> None:
    bundle = Bundle.load(box.bundle)
    assert bundle.spec.process
    bundle.spec.process.args = ["/nope"]
    bundle.save()
    problems = {problem.code: problem for problem in bundle.problems()}
    assert problems["host-program"].severity == "error" and problems["host-program"].line > 1
    assert "host-program" not in {problem.code for problem in bundle.problems(host=False)}


def test_the_programs_of_others_pass_a_strict_type_check(tmp_path: Path) -> None:
    for example in EXAMPLES.glob("*.py"):
        (tmp_path / example.name).write_bytes(example.read_bytes())
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert result.returncode == 0, result.stdout


def test_an_example_makes_a_bundle(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "make_a_bundle.py"), str(tmp_path / "new"), "/bin/busybox", "uname", "-n"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "example\n"), result.stderr


@pytest.mark.parametrize(
    "words", [["run_a_command.py", "BUNDLE", "--", "echo", "hello"], ["many_at_once.py", "BUNDLE", "3"]]
)
def test_the_examples_run(box: Box, words: list[str]) -> None:
    del box.linux["cgroupsPath"]
    box.write()
    command = [
        sys.executable,
        str(EXAMPLES / words[0]),
        *(str(box.bundle) if word == "BUNDLE" else word for word in words[1:]),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "hello" in result.stdout or result.stdout.count("was process") == 3
