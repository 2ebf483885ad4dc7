"""/linux/netDevices (config-linux.md, Network Devices): devices of a pretended host, itself a network namespace."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.box import OCIRUNTIME, Box


class Host:
    """A network namespace that the runtime takes for the host's."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def ip(self, words: str, pid: int = 0) -> list[dict[str, Any]]:
        command = ["nsenter", f"--net=/proc/{pid or self.pid}/ns/net", "ip", "-json", *words.split()]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        return [entry for entry in json.loads(result.stdout or "[]") if entry]

    def add(self, name: str, words: str = "", pid: int = 0) -> None:
        """A new device. Half a pair, because every kernel with containers has those."""
        self.ip(f"link add {name} {words} type veth peer name peer-{name}", pid)

    def names(self, pid: int = 0) -> set[str]:
        return {link["ifname"] for link in self.ip("link", pid) if not link["ifname"].startswith("peer-")}


@pytest.fixture
def host(box: Box) -> Iterator[Host]:
    with subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep 1000"], stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline()
        wrapper = box.place / "runtime"
        wrapper.write_text(f'#!/bin/sh\nexec nsenter --net=/proc/{process.pid}/ns/net {OCIRUNTIME} "$@"\n')
        wrapper.chmod(0o755)
        box.runtime = str(wrapper)
        try:
            yield Host(process.pid)
        finally:
            box.call("delete", "--force", box.name)
            process.kill()


def addresses(link: dict[str, Any]) -> set[tuple[str, int]]:
    return {(entry["local"], entry["prefixlen"]) for entry in link["addr_info"] if entry["scope"] == "global"}


def test_moved_with_its_attributes_and_set_up(box: Box, host: Host) -> None:
    host.add("ext0", "mtu 1400 address 02:00:00:00:00:07")
    box.linux["netDevices"] = {"ext0": {}}
    box.up()
    assert "ext0" not in host.names()
    [link] = host.ip("link show ext0", box.pid())
    assert (link["mtu"], link["address"]) == (1400, "02:00:00:00:00:07")
    assert "UP" in link["flags"]


def test_renamed(box: Box, host: Host) -> None:
    host.add("ext0")
    host.ip("link set ext0 up")
    box.linux["netDevices"] = {"ext0": {"name": "net1"}}
    box.up()
    assert host.names(box.pid()) == {"lo", "net1"}


def test_global_permanent_addresses_are_kept(box: Box, host: Host) -> None:
    host.add("ext0")
    host.ip("link set ext0 up")
    for words in ("10.7.0.2/24 brd 10.7.0.255", "10.7.0.3/24", "fd07::2/64 nodad", "10.8.0.2 peer 10.8.0.1/32"):
        host.ip(f"addr add {words} dev ext0")
    host.ip("addr add 10.9.0.2/24 dev ext0 scope link")
    host.ip("addr add 10.6.0.2/24 dev ext0 valid_lft 900 preferred_lft 900")
    [before] = host.ip("addr show ext0")
    box.linux["netDevices"] = {"ext0": {"name": "net1"}}
    box.up()
    [after] = host.ip("addr show net1", box.pid())
    assert addresses(after) == addresses(before) - {("10.6.0.2", 24)}
    assert {entry.get("broadcast") for entry in after["addr_info"]} >= {"10.7.0.255"}
    assert {entry.get("address") for entry in after["addr_info"]} >= {"10.8.0.1"}
    assert "10.9.0.2" not in {entry["local"] for entry in after["addr_info"]}


def test_names_by_template(box: Box, host: Host) -> None:
    for name in ("one", "two"):
        host.add(name)
    box.linux["netDevices"] = {"one": {"name": "eth%d"}, "two": {"name": "eth%d"}}
    box.up()
    assert host.names(box.pid()) == {"lo", "eth0", "eth1"}


def test_into_a_joined_namespace_beside_others(box: Box, host: Host) -> None:
    host.add("ext0")
    with subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep 1000"], stdout=subprocess.PIPE) as pod:
        assert pod.stdout and pod.stdout.readline()
        host.add("eth0", pid=pod.pid)
        box.namespaces("pid", "mount", "uts", network=f"/proc/{pod.pid}/ns/net")
        box.spec["mounts"] = [mount for mount in box.spec["mounts"] if mount["type"] != "sysfs"]
        box.linux["netDevices"] = {"ext0": {"name": "eth%d"}}
        box.up()
        assert host.names(pod.pid) == {"lo", "eth0", "eth1"}
        box.delete("--force")
        pod.kill()


def test_a_name_that_is_taken_is_an_error(box: Box, host: Host) -> None:
    host.add("ext0")
    box.linux["netDevices"] = {"ext0": {"name": "lo"}}
    outcome = box.create("true")
    assert outcome.status == 1
    assert "the container has a network device lo already" in outcome.err
    assert box.records()[-1]["origin"] == "/linux/netDevices/ext0"
    assert "ext0" in host.names()


def test_a_device_that_is_missing_is_an_error(box: Box, host: Host) -> None:
    box.linux["netDevices"] = {"nosuch0": {}}
    outcome = box.create("true")
    assert outcome.status == 1
    assert "there is no network device nosuch0" in outcome.err


def test_a_failed_create_gives_devices_back(box: Box, host: Host) -> None:
    """Where the namespace lives on with the runtime; a device that is virtual would else be gone."""
    host.add("ext0")
    host.ip("link set ext0 up")
    host.ip("addr add 10.7.0.2/24 dev ext0")
    box.linux["netDevices"] = {"ext0": {"name": "net1"}, "nosuch0": {}}
    assert box.create("true").status == 1
    [link] = host.ip("addr show ext0")
    assert addresses(link) == {("10.7.0.2", 24)}
    assert "UP" in link["flags"]


def test_run_lets_go_of_the_network(box: Box, host: Host) -> None:
    """The runtime waits for a program in the foreground, and must not keep the network alive meanwhile."""
    host.add("ext0")
    box.linux["netDevices"] = {"ext0": {}}
    assert box.run("ip link show ext0 && ls -l /proc/self/fd | grep -c socket").out.strip().endswith("0")


def test_in_a_user_namespace(box: Box, host: Host) -> None:
    host.add("ext0")
    host.ip("addr add 10.7.0.2/24 dev ext0")
    box.namespaces("pid", "mount", "uts", "ipc", "network", "user")
    box.linux["uidMappings"] = box.linux["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    subprocess.run(["chown", "-R", "100000:100000", box.rootfs], check=True)
    for directory in (box.place, *box.place.parents[:-1]):
        if not directory.stat().st_mode & 0o001:
            directory.chmod(directory.stat().st_mode | 0o011)
    box.linux["netDevices"] = {"ext0": {}}
    box.up()
    [link] = host.ip("addr show ext0", box.pid())
    assert addresses(link) == {("10.7.0.2", 24)}
