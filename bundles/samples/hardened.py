"""hardened: everything that takes something away, at once."""

from collections.abc import Iterator

from ..build import Container, Request, sample
from ..config import MASKED, MOUNTS, NAMESPACES, READ_ONLY, capabilities, id_maps, mount, namespaces
from ..recipes import Busybox
from ..seccomp import profile

FIRST_ID = 100000  # what adduser gives the first user in /etc/subuid; any range that nobody uses will do

SCRIPT = """
try() {
    what=$1; shift
    if said=$("$@" 2>&1); then said=worked; else said="refused: ${said##*: }"; fi
    printf '%-26s %s\\n' "$what" "$said"
}
echo "uid $(id -u), $(grep CapBnd /proc/self/status | xargs), $(grep Seccomp: /proc/self/status | xargs)"
try "write to the root" touch /file
try "write to /tmp" touch /tmp/file
try "run what was written" sh -c 'cp /bin/busybox /tmp/sh && /tmp/sh true'
try "mount" mount -t tmpfs none /tmp
try "new user namespace" unshare -U true
try "make a device" mknod /tmp/null c 1 3
try "change a kernel setting" sh -c 'echo 1 > /proc/sys/kernel/printk'
echo "bytes of /proc/kallsyms: $(wc -c < /proc/kallsyms)"
"""


@sample("read-only root, no capabilities, seccomp, user namespace, masked paths")
def hardened(_: Request) -> Iterator[Container]:
    yield Container(
        rootfs=(Busybox(),),
        owner=FIRST_ID,
        config={
            "hostname": "hardened",
            "process": {
                "user": {"uid": 1000, "gid": 1000},
                "capabilities": capabilities(),
                "args": ["/bin/sh", "-c", SCRIPT.strip()],
            },
            "root": {"readonly": True},
            "mounts": [*MOUNTS, mount("/tmp", "tmpfs", "nosuid,nodev,noexec,mode=1777,size=4m")],
            "linux": {
                "namespaces": namespaces("user", "cgroup", *NAMESPACES),
                **id_maps(FIRST_ID, FIRST_ID, size=65536),
                "seccomp": profile(),
                "maskedPaths": [*MASKED, "/proc/kallsyms", "/proc/interrupts", "/sys/devices/virtual/powercap"],
                "readonlyPaths": READ_ONLY,
            },
        },
    )
