"""The facts about the host that plans depend on: read, never changed."""

from __future__ import annotations

import posix as os

from ociruntime.core.cgroup.host import probe_cgroups
from ociruntime.core.kernel import _door
from ociruntime.core.plan.capabilities import NAMES
from ociruntime.core.plan.draft import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel

WHOLE_MAP = ["0", "0", "4294967295"]


def probe_host(kernel: Kernel) -> Host:
    """Read them from procfs."""
    host = Host(
        euid=os.geteuid(),
        in_userns=in_user_namespace(kernel),
        capabilities=kernel.capget()[1],
        lends=bool(_door.LENDS),
    )
    host.last_capability = last_capability(kernel)
    probe_cgroups(kernel, host)
    return host


def last_capability(kernel: Kernel) -> int:
    """The highest number that the kernel knows, of those that we know or above (/proc/sys/kernel/cap_last_cap)."""
    number = len(NAMES)
    try:
        while True:
            kernel.capbset_read(number)
            number += 1
    except OSError:  # EINVAL
        return number - 1


def in_user_namespace(kernel: Kernel) -> bool:
    """Whether this process is in another user namespace than the initial one, whose map is the whole range."""
    try:
        fd = kernel.open("/proc/self/uid_map", os.O_RDONLY)
    except FileNotFoundError:
        return False
    words = kernel.read(fd, 256).decode().split()
    kernel.close(fd)
    return words != WHOLE_MAP
