"""hooks: one witness at each of the six places where a runtime calls other programs."""

from collections.abc import Iterator

from ..build import Container, Request, sample
from ..config import Json, shell
from ..recipes import Busybox, File

HOST_SIDE = ("prestart", "createRuntime", "createContainer", "poststart", "poststop")
LOG = "witness.log"

# Arguments: name of the hook, the log, the root as the host knows it. Only in the container's mount
# namespace is proc mounted in that root; after pivot_root(2) the host's path is gone altogether.
WITNESS = """#!/bin/sh
status=$(sed -n 's/.*"status": *"\\([a-z]*\\)".*/\\1/p')
mounts="the host's" files="the host's"
[ -e "$3/proc/self" ] && mounts="the container's"
[ -e "$3" ] || { mounts="the container's"; files="the container's"; }
printf '%-16s %-9s mounts: %-16s files: %s\\n' "$1" "$status" "$mounts" "$files" >> "$2"
"""


@sample("a witness at each hook: order, state, and whose namespaces and files it sees")
def hooks(request: Request) -> Iterator[Container]:
    rootfs = request.out / "rootfs"

    def host_side(name: str) -> list[Json]:
        path, log = str(rootfs / "bin/witness"), str(rootfs / LOG)
        return [{"path": path, "args": ["witness", name, log, str(rootfs)], "env": ["PATH=/usr/bin:/bin"]}]

    inside = {"path": "/bin/witness", "args": ["witness", "startContainer", f"/{LOG}", str(rootfs)]}
    yield Container(
        rootfs=(Busybox(), File("bin/witness", WITNESS, 0o755)),
        config={
            "hostname": "hooks",
            "hooks": {
                **{name: host_side(name) for name in HOST_SIDE},
                "startContainer": [inside | {"env": ["PATH=/bin"]}],
            },
            **shell(f"cat /{LOG}"),
        },
    )
