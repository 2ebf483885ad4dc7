"""Id maps without privilege: one's own id alone, or more by newuidmap(1) and newgidmap(1)."""

from __future__ import annotations

import posix as os

from ociruntime.core import paths
from ociruntime.core.errors import HostError
from ociruntime.core.rootfs import write_proc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.steps.base import Scene

DIRECTORIES = ("/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin", "/sbin")


def map_ids(kernel: Kernel, scene: Scene, kind: str, lines: bytes) -> None:
    """Write the child's uid or gid map (user_namespaces(7)). Raises HostError."""
    own = os.geteuid() if kind == "uid" else os.getegid()
    ranges = [line.split() for line in lines.decode().splitlines()]
    if len(ranges) == 1 and ranges[0][1:] == [str(own), "1"]:
        if kind == "gid":
            # Without privilege only after giving up setgroups(2) (CVE-2014-8989)
            write_proc(kernel, scene.proc, f"{scene.pid}/setgroups", b"deny")
        write_proc(kernel, scene.proc, f"{scene.pid}/{kind}_map", lines)
        return
    _run_helper(kernel, f"new{kind}map", [str(scene.pid), *(word for entry in ranges for word in entry)])


def _grant(kind: str, numbers: list[str]) -> str:
    """The lines of /etc/subuid or /etc/subgid that would allow it; one's own id needs none."""
    import pwd

    own = os.getuid() if kind == "uid" else os.getgid()
    try:
        who = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        who = str(os.getuid())
    ranges = [(numbers[at + 1], numbers[at + 2]) for at in range(0, len(numbers), 3)]
    lines = [f"{who}:{first}:{count}" for first, count in ranges if (first, count) != (str(own), "1")]
    return f"an administrator grants ranges in /etc/sub{kind}: {' '.join(lines)}"


def _run_helper(kernel: Kernel, name: str, arguments: list[str]) -> None:
    program = next((f"{place}/{name}" for place in DIRECTORIES if os.access(f"{place}/{name}", os.X_OK)), "")
    if not program:
        raise HostError(f"{name} is not installed", code="idmap-helper", hint="install the package uidmap")
    reader, writer = os.pipe()
    null = kernel.open("/dev/null", os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, writer, 1), (os.POSIX_SPAWN_DUP2, writer, 2)]
    pid = os.posix_spawn(program, [name, *arguments], paths.environ(), file_actions=actions, setsigmask=())
    kernel.close(writer)
    kernel.close(null)
    said = kernel.read(reader, 4096).decode("utf-8", "replace").strip()
    kernel.close(reader)
    _, status = kernel.waitpid(pid)
    if status:
        raise HostError(
            f"{name} {' '.join(arguments)} refused: {said or 'no reason given'}",
            code="idmap-refused",
            hint=_grant(name[3:6], arguments[1:]),
        )
