"""hostbox: the host's own programs, in a root and with pids of their own."""

from collections.abc import Iterator

from ..build import Container, Request, sample
from ..config import shell
from ..recipes import Programs

SCRIPT = """
echo "the root holds:"; ls /
echo "the processes here:"; ps -e -o pid,comm
kill -0 $$ && echo "I am $$, and may send signals to myself only"
"""


@sample("the host's own bash, ls, ps and kill in a root and with pids of their own")
def hostbox(_: Request) -> Iterator[Container]:
    yield Container(
        rootfs=(Programs(("bash", "ls", "ps", "kill")),),
        config={"hostname": "hostbox", **shell(SCRIPT, ["/bin/bash", "-c"])},
    )
