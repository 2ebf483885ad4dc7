"""The other side of plan/notify.py: waiting until the container says that it is ready (sd_notify(3))."""

from __future__ import annotations

import _socket
import posix as os
import select

from ociruntime.core import paths
from ociruntime.core.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.state.store import Container

BARRIER_MS = 30_000


class Notify:
    """The container's notify socket and the manager's."""

    def __init__(self, container: Container) -> None:
        self.kernel = container.kernel
        directory = self.kernel.open("notify", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, at=container.fd)
        self.socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
        name = f"/proc/self/fd/{directory}/notify.sock"
        self.socket.bind(name)
        os.chmod(name, 0o777)  # whoever the container's program runs as
        self.kernel.close(directory)

    def wait(self, pid: int) -> None:
        """Until READY=1 was passed on, or the container's init ended."""
        try:
            pidfd = self.kernel.pidfd_open(pid)
        except ProcessLookupError:
            return
        poll = select.poll()
        poll.register(self.socket.fileno(), select.POLLIN)
        poll.register(pidfd, select.POLLIN)
        ready = False
        while not ready:
            events = {fd for fd, _ in poll.poll()}
            if self.socket.fileno() in events:
                ready = b"READY=1" in self.socket.recv(65536).split(b"\n")
            elif pidfd in events:
                break
        self.kernel.close(pidfd)
        if ready:
            tell_manager(self.kernel, pid)


def tell_manager(kernel: Kernel, pid: int) -> None:
    """READY=1 and whose process it is about; then wait until the manager has taken both (sd_notify_barrier(3))."""
    address = paths.environ()["NOTIFY_SOCKET"]
    target = "\0" + address[1:] if address.startswith("@") else address
    manager = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        manager.connect(target)
        manager.send(b"READY=1")
        manager.send(b"MAINPID=%d" % pid)
        reader, writer = os.pipe()
        rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, writer.to_bytes(4, "little"))
        manager.sendmsg([b"BARRIER=1"], [rights])
    except OSError as error:
        raise HostError(f"cannot notify {address}", code="notify", errno=error.errno or 0) from None
    kernel.close(writer)
    poll = select.poll()
    poll.register(reader, 0)  # POLLHUP: the manager closed its copy
    poll.poll(BARRIER_MS)
    kernel.close(reader)
