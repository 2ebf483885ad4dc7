"""alpine: any root file system that the user brings, as an archive or a directory."""

from collections.abc import Iterator

from ..build import Container, Request, sample
from ..config import shell
from ..errors import BundleError
from ..recipes import Tree

SCRIPT = """
. /etc/os-release 2>/dev/null
echo "this is ${PRETTY_NAME:-a root without a name}"
"""


@sample("any root file system tarball or directory, unpacked safely: --rootfs PATH")
def alpine(request: Request) -> Iterator[Container]:
    if request.rootfs is None:
        raise BundleError("alpine: say --rootfs PATH, a tar archive or a directory with a root file system")
    if not request.rootfs.exists():
        raise BundleError(f"{request.rootfs}: no such archive or directory")
    yield Container(rootfs=(Tree(request.rootfs),), config={"hostname": "alpine", **shell(SCRIPT)})
