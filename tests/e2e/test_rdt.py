"""/linux/intelRdt (config-linux.md, IntelRdt), on a directory that behaves like resctrl.

Few machines have the hardware, so the runtime is started by way of a few lines that put a pretended mount
point in the place of the real one, and give new directories there the files that the kernel would.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import ociruntime
from tests.e2e.box import Box

WRAPPER = """#!{python} -IS
import os, shutil, sys
sys.path[:0] = [{source!r}, *{paths!r}]
from ociruntime.core import resctrl
from ociruntime.core.kernel import Kernel
TREE = {tree!r}
mkdirat, unlinkat = Kernel.mkdirat, Kernel.unlinkat
def make(self, at, name, mode):
    mkdirat(self, at, name, mode)
    if name.startswith(TREE):
        if os.path.exists(TREE + "/full"):
            os.rmdir(name)
            raise OSError(28, "No space left on device")
        os.mkdir(name + "/mon_groups")
        for file in ("tasks", "schemata"):
            open(f"{{name}}/{{file}}", "w").close()
def remove(self, at, name, *, directory=False):
    if name.startswith(TREE):
        shutil.rmtree(name)
    else:
        unlinkat(self, at, name, directory=directory)
write = Kernel.write
def append(self, fd, data):  # the kernel keeps what was written before
    if os.readlink(f"/proc/self/fd/{{fd}}").startswith(TREE):
        os.lseek(fd, 0, os.SEEK_END)
    return write(self, fd, data)
Kernel.mkdirat, Kernel.unlinkat, Kernel.write = make, remove, append
if {mounted}:
    resctrl.find_root = lambda kernel: TREE
from ociruntime.__main__ import main
main(sys.argv)
"""


class Tree:
    """The pretended resctrl, with the root class of service."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self, name: str, schemata: str = "") -> Path:
        directory = self.path / name
        (directory / "mon_groups").mkdir(parents=True)
        (directory / "tasks").touch()
        (directory / "schemata").write_text(schemata)
        return directory

    def lines(self, name: str, file: str) -> list[str]:
        return (self.path / name / file).read_text().splitlines()

    def pids(self, name: str) -> str:
        return (self.path / name / "tasks").read_text()


@pytest.fixture
def tree(box: Box) -> Tree:
    tree = Tree(box.place / "resctrl")
    tree.make(".")
    install(box, tree)
    return tree


def install(box: Box, tree: Tree, *, mounted: bool = True) -> None:
    source = str(Path(ociruntime.__file__).parents[1])
    wrapper = box.place / "runtime"
    text = WRAPPER.format(python=sys.executable, source=source, paths=sys.path, tree=str(tree.path), mounted=mounted)
    wrapper.write_text(text)
    wrapper.chmod(0o755)
    box.runtime = str(wrapper)


def test_a_class_of_its_own_is_made_and_removed(box: Box, tree: Tree) -> None:
    box.linux["intelRdt"] = {"l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=70", "schemata": ["L2:0=3"]}
    box.up()
    assert tree.lines(box.name, "schemata") == ["L3:0=f", "MB:0=70", "L2:0=3"]
    assert tree.pids(box.name) == str(box.pid())
    assert box.delete("--force").status == 0
    assert not (tree.path / box.name).exists()


def test_nothing_given_writes_no_schemata(box: Box, tree: Tree) -> None:
    box.linux["intelRdt"] = {}
    box.up()
    assert tree.lines(box.name, "schemata") == []
    assert tree.pids(box.name) == str(box.pid())


def test_not_set_touches_nothing(box: Box, tree: Tree) -> None:
    box.up()
    assert sorted(entry.name for entry in tree.path.iterdir()) == ["mon_groups", "schemata", "tasks"]
    assert tree.pids(".") == ""


def test_a_named_class_is_made_and_stays(box: Box, tree: Tree) -> None:
    box.linux["intelRdt"] = {"closID": "gold", "l3CacheSchema": "L3:0=f"}
    box.up()
    assert tree.lines("gold", "schemata") == ["L3:0=f"]
    box.delete("--force")
    assert (tree.path / "gold").is_dir()


def test_a_named_class_that_agrees_is_used(box: Box, tree: Tree) -> None:
    tree.make("gold", "    L3:0=00f;1=ff\n    MB:0=100\n")
    box.linux["intelRdt"] = {"closID": "gold", "l3CacheSchema": "L3:0=f"}
    box.up()
    assert tree.pids("gold") == str(box.pid())
    assert len(tree.lines("gold", "schemata")) == 2


def test_a_named_class_that_differs_is_an_error(box: Box, tree: Tree) -> None:
    tree.make("gold", "L3:0=ff\n")
    box.linux["intelRdt"] = {"closID": "gold", "l3CacheSchema": "L3:0=f"}
    outcome = box.create("true")
    assert outcome.status == 1 and "exists and differs from 'L3:0=f'" in outcome.err


def test_a_named_class_without_schemata_must_exist(box: Box, tree: Tree) -> None:
    box.linux["intelRdt"] = {"closID": "gold"}
    outcome = box.create("true")
    assert outcome.status == 1 and "there is no class of service" in outcome.err
    tree.make("gold")
    assert box.create("true").status == 0


def test_the_root_class(box: Box, tree: Tree) -> None:
    box.linux["intelRdt"] = {"closID": "/"}
    box.up()
    assert tree.pids(".") == str(box.pid())
    box.delete("--force")
    assert tree.path.is_dir()


def test_monitoring_has_a_group_that_goes_with_the_container(box: Box, tree: Tree) -> None:
    tree.make("gold")
    box.linux["intelRdt"] = {"closID": "gold", "enableMonitoring": True}
    box.up()
    group = f"gold/mon_groups/{box.name}"
    assert tree.pids(group) == str(box.pid())
    box.delete("--force")
    assert not (tree.path / group).exists()
    assert (tree.path / "gold").is_dir()


def test_stats_of_the_class_and_of_the_container(box: Box, tree: Tree) -> None:
    """The intel_rdt member of events, in runc's shape."""
    (tree.path / "schemata").write_text("    MB:0=100\n    L3:0=ff\n")
    tree.make("gold", "    MB:0=20\n    L3:0=f0\n")
    files = {
        "info/L3/cbm_mask": "ff", "info/L3/min_cbm_bits": "2", "info/L3/num_closids": "16",
        "info/MB/bandwidth_gran": "10", "info/MB/min_bandwidth": "10",
    }  # fmt: skip
    box.linux["intelRdt"] = {"closID": "gold", "enableMonitoring": True}
    box.up()
    group = f"gold/mon_groups/{box.name}/mon_data"
    files |= {
        f"{group}/mon_L3_00/mbm_total_bytes": "7", f"{group}/mon_L3_00/mbm_local_bytes": "5",
        f"{group}/mon_L3_00/llc_occupancy": "9", f"{group}/mon_L3_01/llc_occupancy": "Unavailable",
    }  # fmt: skip
    for name, text in files.items():
        (tree.path / name).parent.mkdir(parents=True, exist_ok=True)
        (tree.path / name).write_text(text + "\n")
    assert json.loads(box.call("events", "--stats", box.name).out)["data"]["intel_rdt"] == {
        "l3_cache_info": {"cbm_mask": "ff", "min_cbm_bits": 2, "num_closids": 16},
        "mem_bw_info": {"bandwidth_gran": 10, "min_bandwidth": 10},
        "l3_cache_schema_root": "L3:0=ff",
        "mem_bw_schema_root": "MB:0=100",
        "l3_cache_schema": "L3:0=f0",
        "mem_bw_schema": "MB:0=20",
        "schemata": ["MB:0=20", "L3:0=f0"],
        "mbm_stats": [{"mbm_total_bytes": 7, "mbm_local_bytes": 5}, {}],
        "cmt_stats": [{"llc_occupancy": 9}, {}],
    }


def test_no_more_groups_is_an_error_that_leaves_nothing(box: Box, tree: Tree) -> None:
    tree.make("gold")
    (tree.path / "full").touch()
    box.linux["intelRdt"] = {"closID": "gold", "enableMonitoring": True}
    outcome = box.create("true")
    assert outcome.status == 1 and "cannot make the monitoring group" in outcome.err
    assert box.records()[-1]["origin"] == "/linux/intelRdt/enableMonitoring"


def test_a_failed_create_removes_its_class(box: Box, tree: Tree) -> None:
    box.linux["intelRdt"] = {"l3CacheSchema": "L3:0=f"}
    box.process["args"] = ["/no/such/program"]
    box.write()
    assert box.call("create", box.name).status == 1
    assert not (tree.path / box.name).exists()


def test_exec_is_a_task_too(box: Box, tree: Tree) -> None:
    box.linux["intelRdt"] = {"enableMonitoring": True}
    box.up()
    before = tree.pids(box.name)
    assert box.exec("true", options=("--pid-file", str(box.place / "pid"))).status == 0
    pid = (box.place / "pid").read_text()
    assert tree.pids(box.name) == before + pid
    assert tree.pids(f"{box.name}/mon_groups/{box.name}") == before + pid


def test_update_writes_schemata(box: Box, tree: Tree) -> None:
    box.linux["intelRdt"] = {"l3CacheSchema": "L3:0=f"}
    box.up()
    outcome = box.call("update", "--mem-bw-schema", "MB:0=50", "--l3-cache-schema=L3:0=3", box.name)
    assert outcome.status == 0, outcome
    assert tree.lines(box.name, "schemata") == ["L3:0=f", "L3:0=3", "MB:0=50"]


def test_update_without_a_class_is_an_error(box: Box, tree: Tree) -> None:
    box.up()
    outcome = box.call("update", "--l3-cache-schema", "L3:0=3", box.name)
    assert outcome.status == 1 and "no class of service" in outcome.err
    assert box.call("update", "--mem-bw-schema", "L3:0=3", box.name).status == 1


def test_without_resctrl_it_is_an_error(box: Box, tree: Tree) -> None:
    if " - resctrl " in Path("/proc/self/mountinfo").read_text():
        pytest.skip("this machine has resctrl")
    install(box, tree, mounted=False)
    box.linux["intelRdt"] = {}
    outcome = box.create("true")
    assert outcome.status == 1 and "no resctrl file system is mounted" in outcome.err
