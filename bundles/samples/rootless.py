"""rootless: a container made by somebody who is not root, and is root in it."""

import os
from collections.abc import Iterator

from ..build import Container, Request, sample
from ..config import MOUNTS, NAMESPACES, Json, id_maps, namespaces, shell
from ..recipes import Busybox

SCRIPT = """
echo "inside: uid $(id -u)"
echo "outside: uid $(awk '{print $2}' /proc/self/uid_map)"
touch /made-here && echo "may write to this root"
chown 1 /made-here 2>&1 | sed 's/.*: //'
"""


def mounts() -> list[Json]:
    """The default ones; group 5 (tty) of the devpts mount does not exist in a map of one id."""
    return [
        entry | {"options": [option for option in entry.get("options", []) if option != "gid=5"]} for entry in MOUNTS
    ]


@sample("a container of a user who is not root: user namespace, one id, no cgroups")
def rootless(request: Request) -> Iterator[Container]:
    builder = os.geteuid()
    uid, gid = (builder, os.getegid()) if builder else (request.uid, request.uid)
    yield Container(
        rootfs=(Busybox(),),
        owner=uid,
        rootless=True,
        config={
            "hostname": "rootless",
            "mounts": mounts(),
            "linux": {
                "namespaces": namespaces("user", *NAMESPACES),
                **id_maps(uid, gid),
                "resources": None,  # cgroups belong to root, unless they are delegated
            },
            **shell(SCRIPT),
        },
    )
