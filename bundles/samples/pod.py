"""pod: a container that only holds namespaces, and two that live in them."""

from collections.abc import Iterator

from ..build import Container, Request, sample
from ..config import Json, merge, namespaces, shell
from ..recipes import Busybox, File

SHARED = {"network": "net", "ipc": "ipc", "uts": "uts"}  # type in the spec, name beneath /proc/PID/ns

# A createRuntime hook gets the state on stdin and runs when the namespaces exist, before the program.
KEEP = """
#!/bin/sh
set -eu
pid=$(sed -n 's/.*"pid": *\\([0-9][0-9]*\\).*/\\1/p')
for name in net ipc uts; do ln -sfn "/proc/$pid/ns/$name" "$1/$name"; done
"""

WEB = """
touch /dev/mqueue/from-web
exec httpd -f -p 127.0.0.1:8080 -h /www
"""

CLIENT = """
for attempt in $(seq 250); do
    page=$(wget -q -O - http://127.0.0.1:8080/ 2>/dev/null) && break
    usleep 20000  # web has been started, but may not listen yet
done
echo "over localhost: $page"
echo "hostname: $(hostname)"
echo "message queues: $(ls /dev/mqueue)"
echo "the other's files: $(ls /www 2>&1)"
echo "the other's process: $(pidof httpd || echo not visible)"
"""


@sample("a pause container and two others that share its network, ipc and uts namespaces")
def pod(request: Request) -> Iterator[Container]:
    out = request.out
    hook: Json = {"path": str(out / "pause/keep"), "args": ["keep", str(out / "pause")]}
    yield Container(
        name="pause",
        rootfs=(Busybox(),),
        files={"keep": KEEP},
        config={
            "hostname": "pod",
            "process": {"args": ["tail", "-f", "/dev/null"]},
            "hooks": {"createRuntime": [hook | {"env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]}]},
        },
    )
    joined = {kind: str(out / "pause" / file) for kind, file in SHARED.items()}
    # Who joins a uts namespace has its hostname and must not set one.
    member: Json = {"hostname": None, "linux": {"namespaces": namespaces("pid", "mount", **joined)}}
    page = File("www/index.html", "hello from web\n")
    yield Container(name="web", rootfs=(Busybox(), page), config=merge(member, shell(WEB)))
    yield Container(name="client", rootfs=(Busybox(),), config=merge(member, shell(CLIENT)))
