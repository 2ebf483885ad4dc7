"""network: a pair of virtual interfaces, one end here and one in the container, laid by a hook."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from ..build import Container, Request, sample
from ..config import capabilities, merge, shell
from ..recipes import Busybox, find

# createRuntime: the network namespace exists, the program does not; hooks run on the host's side.
LAY = """
#!/bin/sh
set -eu
pid=$(sed -n 's/.*"pid": *\\([0-9][0-9]*\\).*/\\1/p')
ip link add "$1" type veth peer name eth0 netns "$pid"
ip address add "$2/30" dev "$1"
ip link set "$1" up
nsenter --target "$pid" --net ip address add "$3/30" dev eth0
nsenter --target "$pid" --net ip link set eth0 up
"""

# poststop: the pair dies with the network namespace, but the kernel takes its time.
TAKE = """
#!/bin/sh
ip link delete "$1" 2>/dev/null || true
"""


def interface(out: Path) -> str:
    """The host's end of the pair: at most 15 bytes, another one for each bundle that may run meanwhile."""
    return f"veth-{sha256(bytes(out)).hexdigest()[:8]}"


def addresses(out: Path) -> tuple[str, str]:
    """Of the host's end and of the container's: a network of two, from 10.231.0.0/16."""
    third, fourth = sha256(bytes(out)).digest()[-2:]
    return f"10.231.{third}.{fourth & ~3 | 1}", f"10.231.{third}.{fourth & ~3 | 2}"


@sample("a veth pair by a hook: an address of its own, and the host within reach")
def network(request: Request) -> Iterator[Container]:
    find("ip")
    find("nsenter")
    here, there = addresses(request.out)

    def hook(script: str) -> list[object]:
        path = str(request.out / script)
        environment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
        return [
            {"path": path, "args": [script, interface(request.out), here, there], "env": environment, "timeout": 10}
        ]

    script = f"""
        ip -4 -o address show dev eth0 | awk '{{print $2, $4}}'
        ping -c 1 -W 2 {here} | sed -n 2p
    """
    config = {
        "hostname": "network",
        "process": {"capabilities": capabilities("CAP_NET_RAW")},  # for ping
        "hooks": {"createRuntime": hook("lay"), "poststop": hook("take")},
    }
    yield Container(rootfs=(Busybox(),), files={"lay": LAY, "take": TAKE}, config=merge(config, shell(script)))
