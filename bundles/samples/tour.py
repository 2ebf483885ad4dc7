"""tour: the host's own programs look around in a container, see `make demo`."""

from collections.abc import Iterator

from ..build import Container, Request, sample
from ..config import MOUNTS, NAMESPACES, mount, namespaces, shell
from ..recipes import Programs

MEMORY = 64 << 20  # bytes
PIDS = 32
FILES = 256

SCRIPT = """
say() { echo; echo "== $*"; }
say hostname; hostname
say processes; ps -e -o pid,user,comm
say mounts; mount
say "limits of each process: open files"; ulimit -n
say "limits of them all: memory in bytes, processes"
for file in memory/memory.limit_in_bytes pids/pids.max memory.max pids.max; do
    [ ! -e /sys/fs/cgroup/$file ] || echo "$file: $(cat /sys/fs/cgroup/$file)"
done
"""


@sample("hostname, processes, mounts and limits, seen from inside")
def tour(_: Request) -> Iterator[Container]:
    yield Container(
        rootfs=(Programs(("bash", "cat", "hostname", "mount", "ps")),),
        config={
            "hostname": "tour",
            "process": {
                **shell(SCRIPT, ["/bin/bash", "-c"])["process"],
                "rlimits": [{"type": "RLIMIT_NOFILE", "soft": FILES, "hard": FILES}],
            },
            "mounts": [*MOUNTS, mount("/sys/fs/cgroup", "cgroup", "nosuid,noexec,nodev,ro")],
            "linux": {
                "namespaces": namespaces(*NAMESPACES, "cgroup"),
                "resources": {"memory": {"limit": MEMORY}, "pids": {"limit": PIDS}},
            },
        },
    )
