"""debian: a distribution, installed by its own tool."""

from collections.abc import Iterator

from ..build import Container, Request, sample
from ..config import shell
from ..recipes import Debootstrap

SCRIPT = """
. /etc/os-release
echo "this is $PRETTY_NAME with $(dpkg-query -f . -W | wc -c) packages"
"""


@sample("the smallest Debian, by debootstrap where that is installed: --suite, --mirror")
def debian(request: Request) -> Iterator[Container]:
    yield Container(
        rootfs=(Debootstrap(request.suite, request.mirror),),
        config={"hostname": "debian", **shell(SCRIPT)},
    )
