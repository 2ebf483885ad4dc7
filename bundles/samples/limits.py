"""limits: a program that wants too much memory, too many processes and too much of a disk."""

from collections.abc import Iterator

from ..build import Container, Request, sample
from ..config import MOUNTS, mount, shell
from ..recipes import Busybox, Directories

MEMORY = 32 << 20  # bytes
PIDS = 16
SCRATCH = "4m"

SCRIPT = """
dd if=/dev/zero of=/dev/null bs=256M count=1 2>/dev/null
echo "256 MiB of memory: exit status $? (137 is killed)"

(for i in $(seq 40); do sleep 60 >/dev/null 2>&1 & done) 2>&1 | tail -n 1

echo "only in here" > /scratch/secret
dd if=/dev/zero of=/scratch/fill bs=1M count=8 2>&1 | head -n 1
"""


@sample("a memory limit that kills, a pids limit, a tmpfs that the host never sees")
def limits(_: Request) -> Iterator[Container]:
    yield Container(
        rootfs=(Busybox(), Directories(("scratch",))),
        config={
            "hostname": "limits",
            "mounts": [*MOUNTS, mount("/scratch", "tmpfs", f"nosuid,nodev,noexec,size={SCRATCH}")],
            "linux": {
                "resources": {
                    # swap is memory and swap together: the same number leaves no swap to flee to.
                    "memory": {"limit": MEMORY, "swap": MEMORY},
                    "pids": {"limit": PIDS},
                }
            },
            **shell(SCRIPT),
        },
    )
