"""busybox: the smallest root that is comfortable, and one new namespace of each kind."""

from collections.abc import Iterator

from ..build import Container, Request, sample
from ..config import shell
from ..recipes import Busybox

SCRIPT = """
echo "hostname: $(hostname)"
echo "pid: $$"
echo "interfaces: $(ls /sys/class/net | xargs)"
echo "mounts: $(wc -l < /proc/mounts)"
"""


@sample("a busybox root with its applets, new namespaces, its own hostname")
def busybox(_: Request) -> Iterator[Container]:
    yield Container(rootfs=(Busybox(),), config={"hostname": "busybox", **shell(SCRIPT)})
