"""What each command loads, seen from a real interpreter: the list that keeps a start fast (design, section 4).

A thousand lines of our own cost half a millisecond, a foreign module up to ten. Budgets are rounded up;
raise one when the command really has more to do, and say in the commit what for.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ociruntime.commands.spec import example
from tests.law.source import CHECKOUT, lines

BUSYBOX = Path("/bin/busybox")
pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(not BUSYBOX.exists(), reason="needs busybox-static"),
]

# As the launcher starts it: isolated, without site.
BOOT = f"""\
import sys
sys.path += [{str(CHECKOUT)!r}, {sysconfig.get_path("platlib")!r}]
from ociruntime.__main__ import main
main(sys.argv)
"""

# What the interpreter itself loads at its start.
BARE = {"sys", "builtins", "io", "abc", "codecs", "zipimport", "time", "marshal"}
BARE |= {"encodings", "posix", "errno", "site", "winreg"}
# Small C extensions, 0.4 ms at most.
SMALL = {"fcntl", "select", "resource", "termios", "pwd"}

# command: files and lines of our own that it may load
BUDGETS = {
    "create": (95, 9750),
    "start": (32, 2550),
    "state": (31, 2400),
    "kill": (33, 2550),
    "delete": (34, 2620),
    "list": (31, 2450),
    "exec": (75, 7400),
    "ps": (31, 2450),
    "pause": (31, 2500),
    "resume": (31, 2500),
    "update": (41, 3500),
    "run": (98, 10300),
}
# Commands that act on a container that exists do not plan one; update plans limits.
NO_PLAN = {"start", "state", "kill", "delete", "list", "ps", "pause", "resume"}


class Loaded(NamedTuple):
    own: set[str]
    foreign: set[str]


class Runner:
    """Runs commands on one state directory and looks at what they load."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "root"
        self.bundle = directory / "bundle"
        self.id = f"law-{os.getpid()}"
        self.errors = directory / "stderr"
        self._make_bundle()

    def _make_bundle(self) -> None:
        rootfs = self.bundle / "rootfs"
        for name in ("bin", "proc", "dev", "sys", "tmp"):
            (rootfs / name).mkdir(parents=True)
        shutil.copy(BUSYBOX, rootfs / "bin/sleep")
        config = example(cgroup_namespace=False)
        config["process"] |= {"terminal": False, "args": ["sleep", "1000"]}
        config["process"].pop("rlimits")
        config["linux"]["cgroupsPath"] = f"/{self.id}"
        (self.bundle / "config.json").write_text(json.dumps(config))

    def run(self, *words: str) -> Loaded:
        command = [sys.executable, "-I", "-S", "-X", "importtime", "-c", BOOT, "--root", str(self.root), *words]
        # a file, not a pipe: the container inherits stderr and would keep a pipe open
        with self.errors.open("w") as errors:
            status = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=errors, timeout=60).returncode
        text = self.errors.read_text()
        said = [line for line in text.splitlines() if not line.startswith("import time:")]
        assert status == 0, f"{words}: {said}"
        names = {line.rpartition("|")[2].strip() for line in text.splitlines() if line.startswith("import time:")}
        own = {name for name in names if name.partition(".")[0] == "ociruntime"}
        foreign = {name for name in names - own if not name.startswith("_") and name != "imported package"}
        return Loaded(own, {name for name in foreign if name.partition(".")[0] not in BARE})

    def close(self) -> None:
        command = [sys.executable, "-I", "-S", "-c", BOOT, "--root", str(self.root), "delete", "--force", self.id]
        subprocess.run(command, check=True, timeout=60)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Loaded]]:
    """What each command loads, over the life of two containers."""
    runner = Runner(tmp_path_factory.mktemp("law"))
    seen = {}
    try:
        seen["create"] = runner.run("create", "--bundle", str(runner.bundle), runner.id)
        seen["start"] = runner.run("start", runner.id)
        for command in ("state", "pause", "resume", "ps"):
            seen[command] = runner.run(command, *["--format=json"][: command == "ps"], runner.id)
        seen["update"] = runner.run("update", "--pids-limit", "50", runner.id)
        seen["exec"] = runner.run("exec", runner.id, "sleep", "0")
        seen["list"] = runner.run("list")
        seen["kill"] = runner.run("kill", runner.id, "KILL")
        seen["delete"] = runner.run("delete", "--force", runner.id)
        seen["run"] = runner.run("run", "--detach", "--bundle", str(runner.bundle), runner.id)
        yield seen
    finally:
        runner.close()


@pytest.mark.parametrize("command", BUDGETS)
def test_no_foreign_modules(command: str, loaded: dict[str, Loaded]) -> None:
    assert loaded[command].foreign <= SMALL


@pytest.mark.parametrize("command", BUDGETS)
def test_lines_of_our_own(command: str, loaded: dict[str, Loaded]) -> None:
    sizes = {}
    for module in loaded[command].own:
        path = module.replace(".", "/")
        name = f"{path}.py" if (CHECKOUT / f"{path}.py").is_file() else f"{path}/__init__.py"
        sizes[module] = lines(name) if (CHECKOUT / name).is_file() else 0  # the door is in C
    files, total = BUDGETS[command]
    assert len(sizes) <= files
    assert sum(sizes.values()) <= total, sorted(sizes.items(), key=lambda item: -item[1])


@pytest.mark.parametrize("command", BUDGETS)
def test_nothing_of_the_comfortable_tier(command: str, loaded: dict[str, Loaded]) -> None:
    comfortable = ("ociruntime.model", "ociruntime.explain", "ociruntime.docsgen", "ociruntime.version")
    assert not [name for name in loaded[command].own if name.startswith(comfortable)]


@pytest.mark.parametrize("command", sorted(NO_PLAN))
def test_no_planning_for_a_container_that_exists(command: str, loaded: dict[str, Loaded]) -> None:
    assert not [
        name for name in loaded[command].own if name.startswith(("ociruntime.core.plan", "ociruntime.core.spec"))
    ]


@pytest.mark.parametrize("command", BUDGETS)
def test_one_command_does_not_load_another(command: str, loaded: dict[str, Loaded]) -> None:
    commands = {name.rpartition(".")[2] for name in loaded[command].own if name.startswith("ociruntime.commands.")}
    shared = {"selection", "descriptors"}
    assert commands - shared <= ({"run", "create"} if command == "run" else {command})


def test_the_image_holds_nothing_else(loaded: dict[str, Loaded]) -> None:
    """What native/image.c keeps in a file is the hot tier, and no more of the standard library than a command has.

    What a create and a run load is in its first part, which is read, and not mapped, by every start.
    """
    code = f"""\
import sys
sys.path += [{str(CHECKOUT)!r}, {sysconfig.get_path("platlib")!r}]
before = set(sys.modules)
from ociruntime.core import _jsonio  # built into our interpreter, files in this one
from ociruntime.core.kernel import _door
from ociruntime import image
image.prepare()
image._practise()  # once more, for prepare() makes nothing of its failure
print(*sorted(set(sys.modules) - before))
image.prepare_rare()
print(*sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    hot, everything = (set(line.split()) for line in done.stdout.splitlines())
    names = everything
    built_in = {"ociruntime.core.kernel._door", "ociruntime.core._jsonio"}
    own = {name for name in names if name.startswith("ociruntime")}
    assert len(own) > 150
    assert loaded["create"].own | loaded["run"].own <= hot | built_in
    comfortable = ("ociruntime.model", "ociruntime.explain", "ociruntime.docsgen")
    assert not [name for name in own if name.startswith(comfortable)]
    assert {name for name in names - own if not name.startswith("_")} <= SMALL | {"gc"}
