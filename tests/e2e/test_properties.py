"""Properties of config.json that no other module is about, each seen from inside of a container."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.e2e.box import Box


@pytest.mark.parametrize("version", ["1.0.0", "1.0.2-dev", "1.1.0", "1.2.1", "1.3.0", "1.3.1+build.7", "1.9.0"])
def test_versions_that_are_accepted(box: Box, version: str) -> None:
    """Those of `features`, and later minor ones, which only add."""
    box.spec["ociVersion"] = version
    assert box.run("true").status == 0


@pytest.mark.parametrize("version", ["2.0.0", "1.0", "one", ""])
def test_versions_that_are_not(box: Box, version: str) -> None:
    box.spec["ociVersion"] = version
    outcome = box.run("true")
    assert outcome.status == 1 and box.records()[-1]["origin"] == "/ociVersion"


def test_the_versions_of_features_are_accepted(box: Box) -> None:
    features = json.loads(box.call("features").out)
    for name in ("ociVersionMin", "ociVersionMax"):
        box.spec["ociVersion"] = features[name]
        assert box.run("true").status == 0


def test_unknown_and_foreign_properties_are_ignored(box: Box) -> None:
    box.spec["com.example.unknown"] = {"a": [1]}
    box.spec["windows"] = {"layerFolders": ["c"]}
    box.linux["unheardOf"] = True
    assert box.run("true").status == 0


def test_annotations_are_in_the_state(box: Box) -> None:
    box.spec["annotations"] = {"org.example.a": "1", "empty": ""}
    assert box.create("true").status == 0
    assert box.state()["annotations"] == {"org.example.a": "1", "empty": ""}


def test_run_oci_keep_original_groups(box: Box) -> None:
    """What podman sends for --group-add keep-groups."""
    box.spec["annotations"] = {"run.oci.keep_original_groups": "1"}
    box.process["user"] = {"uid": 1000, "gid": 1000}
    assert box.run("grep ^Groups: /proc/self/status", extra_groups=[4711, 4712]).out.split()[1:] == ["4711", "4712"]


def test_without_the_annotation_groups_are_dropped(box: Box) -> None:
    box.process["user"] = {"uid": 1000, "gid": 1000}
    assert box.run("grep ^Groups: /proc/self/status", extra_groups=[4711, 4712]).out.split()[1:] == []


@pytest.mark.parametrize(
    "name",
    [
        "org.systemd.property.TimeoutStopUSec",
        "run.oci.mount_context_type",
        "run.oci.systemd.subgroup",
        "run.oci.handler",
        "org.criu.config",
    ],
)
def test_annotations_of_engines_stop_nobody(box: Box, name: str) -> None:
    """They are for systemd, SELinux or other runtimes; a container without those starts all the same."""
    box.spec["annotations"] = {name: "uint64 5"}
    assert box.run("true").status == 0


@pytest.mark.parametrize(
    ("policy", "seen"),
    [
        ({"mode": "MPOL_BIND", "nodes": "0"}, "bind:0"),
        ({"mode": "MPOL_INTERLEAVE", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}, "interleave=static:0"),
        ({"mode": "MPOL_PREFERRED", "nodes": "0"}, "prefer:0"),
        ({"mode": "MPOL_PREFERRED_MANY", "nodes": "0", "flags": ["MPOL_F_RELATIVE_NODES"]}, "prefer (many)=relative:0"),
        ({"mode": "MPOL_WEIGHTED_INTERLEAVE", "nodes": "0"}, "weighted interleave:0"),
        ({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_NUMA_BALANCING"]}, "bind=balancing:0"),
        ({"mode": "MPOL_LOCAL"}, "local"),
        ({"mode": "MPOL_DEFAULT"}, "default"),
    ],
)
def test_memory_policy(box: Box, policy: dict[str, object], seen: str) -> None:
    if not Path("/proc/self/numa_maps").exists():
        pytest.skip("this kernel has no memory policies (CONFIG_NUMA)")
    box.linux["memoryPolicy"] = policy
    outcome = box.run("sed 's/^[0-9a-f]* //; s/ [a-z]*=.*//; s/ heap$//; s/ stack$//' /proc/self/numa_maps | sort -u")
    assert outcome.lines == [seen], outcome


def test_exec_cpu_affinity(box: Box) -> None:
    """`final` is what the program gets; the container's own program is not concerned."""
    every = sorted(os.sched_getaffinity(0))
    box.process["execCPUAffinity"] = {"initial": str(every[0]), "final": str(every[-1])}
    box.up("grep ^Cpus_allowed_list /proc/self/status > /tmp/own; sleep 1000")
    assert box.exec("grep", "^Cpus_allowed_list", "/proc/self/status").out.split()[1] == str(every[-1])
    if len(every) > 1:
        assert (box.rootfs / "tmp/own").read_text().split()[1] != str(every[-1])


def test_scheduler_in_the_container(box: Box) -> None:
    box.process["scheduler"] = {"policy": "SCHED_BATCH", "nice": 5}
    # /proc/PID/stat, after the name: fields 19 (nice) and 41 (policy) of proc(5)
    fields = box.run("cat", "/proc/self/stat").out.rpartition(")")[2].split()
    assert (fields[16], fields[38]) == ("5", "3")


def test_io_priority_in_the_container(box: Box) -> None:
    box.process["ioPriority"] = {"class": "IOPRIO_CLASS_IDLE", "priority": 0}
    assert box.run("ionice").out.split(":")[0].strip() == "idle"


def test_kill_and_delete_by_expression(box: Box) -> None:
    box.up()
    assert box.call("kill", "--regex", f"^{box.name}$", "KILL").status == 0
    box.wait_for("stopped")
    assert box.call("delete", "-r", f"^{box.name[:-1]}.$").status == 0
    assert box.call("state", box.name).status == 1


@pytest.mark.parametrize("words", [["--rootless=true"], ["--rootless", "auto"], ["--criu", "/usr/sbin/criu"]])
def test_global_options_of_shims_are_accepted(box: Box, words: list[str]) -> None:
    box.root.mkdir()
    assert box.call(*words, "list").status == 0


def test_a_mount_label_without_selinux(box: Box) -> None:
    """There is nothing that could be labelled then; crun starts such a container, and a warning tells."""
    if os.path.isdir("/sys/fs/selinux"):
        pytest.skip("this host has SELinux")
    box.linux["mountLabel"] = "system_u:object_r:container_file_t:s0:c1,c2"
    assert box.run("true").status == 0
    assert box.call("--log-format", "text", "run", box.name).status == 0
    assert "level=warning" in box.log.read_text() and "mountLabel is ignored" in box.log.read_text()
