"""<root>/<id>/: reserved exclusively, written before the first effect on the host, replaced atomically.

    state.json    what every later command needs: pid and start time of init, bundle, cgroups, hooks
    config.json   the bytes that create read; later edits of the bundle's file have no effect
    start.sock    where init waits for `start`; gone once it was told

The lock is flock(2) on the directory itself, so it ends with its holder, however that ends.
"""

from __future__ import annotations

import fcntl
import posix as os
import select

from ociruntime.core import paths
from ociruntime.core.errors import Failure, HostError, StateError
from ociruntime.core.jsonio import dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ociruntime.core.kernel import Kernel
    from ociruntime.core.options import Globals

STATE = "state.json"
CONFIG = "config.json"
SOCKET = "start.sock"
LOCK_SECONDS = 10


class Container:
    """One state directory, open: a descriptor, the id, and whether this process holds the lock."""

    def __init__(self, kernel: Kernel, container_id: str, root: str, fd: int) -> None:
        self.kernel = kernel
        self.id = container_id
        self.root = root
        self.fd = fd

    @property
    def path(self) -> str:
        return f"{self.root}/{self.id}"

    def read(self, name: str) -> bytes:
        fd = self.kernel.open(name, os.O_RDONLY | os.O_NOFOLLOW, at=self.fd)
        try:
            pieces = []
            while piece := self.kernel.read(fd):
                pieces.append(piece)
            return b"".join(pieces)
        finally:
            self.kernel.close(fd)

    def write(self, name: str, content: bytes) -> None:
        """Replace a file of the directory: readers see the old content or the new, never a part."""
        fd = self.kernel.open(f".{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600, at=self.fd)
        try:
            while content:
                content = content[self.kernel.write(fd, content) :]
        finally:
            self.kernel.close(fd)
        self.kernel.renameat(self.fd, f".{name}", name)

    def load(self) -> dict[str, Any]:
        """The state document; {} where a create was killed before it wrote one. StateError for another runtime's."""
        try:
            content = self.read(STATE)
        except FileNotFoundError:
            if any(name != CONFIG and name[0] != "." for name in self.kernel.listdir(self.fd)):
                raise self._foreign() from None
            return {}
        try:
            document = loads(content, f"{self.path}/{STATE}")
        except Failure:
            document = None
        if not isinstance(document, dict):
            raise StateError(
                f"{self.path}/{STATE} is damaged",
                code="state-damaged",
                hint="end its processes, and remove its cgroups and this directory: no record of them is left",
            )
        if "startTime" not in document:
            raise self._foreign()
        return document

    def _foreign(self) -> StateError:
        """Nothing is done to it: its processes and cgroups are on a record that cannot be read."""
        return StateError(
            f"container {self.id} was created by another runtime",
            code="state-foreign",
            hint=f"use that one, or another --root than {self.root}",
        )

    def save(self, document: dict[str, Any]) -> None:
        self.write(STATE, dumps(document).encode())

    def has(self, name: str) -> bool:
        try:
            self.kernel.stat(name, at=self.fd, follow=False)
        except FileNotFoundError:
            return False
        return True

    def forget(self, name: str) -> None:
        try:
            self.kernel.unlinkat(self.fd, name)
        except FileNotFoundError:
            pass

    def lock(self) -> None:
        """Wait for other commands on this container; StateError when it is gone by then or they take too long."""
        if not self.try_lock():
            self._wait_for_lock()
        if self.kernel.fstat(self.fd).st_nlink == 0:
            raise does_not_exist(self.id)

    def try_lock(self, operation: int = fcntl.LOCK_EX) -> bool:
        try:
            self.kernel.flock(self.fd, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _wait_for_lock(self) -> None:
        """flock(2) has no time limit, so it is tried again at growing intervals."""
        for attempt in range(LOCK_SECONDS * 100):
            select.select((), (), (), 0.001 if attempt < 50 else 0.01)
            if self.try_lock():
                return
        raise StateError(
            f"container {self.id} is busy: another command holds it",
            code="state-busy",
            hint="wait for it or end that command",
        )

    def unlock(self) -> None:
        self.kernel.flock(self.fd, fcntl.LOCK_UN)

    def remove(self) -> None:
        """Remove the directory and all in it. state.json goes last: until then a second try knows what to clean."""
        _empty(self.kernel, self.fd, keep=STATE)
        self.forget(STATE)
        try:
            self.kernel.unlinkat(None, self.path, directory=True)
        except FileNotFoundError:
            pass

    def close(self) -> None:
        self.kernel.close(self.fd)


def _empty(kernel: Kernel, directory: int, keep: str = "") -> None:
    for name in kernel.listdir(directory):
        if name == keep:
            continue
        try:
            kernel.unlinkat(directory, name)
        except (IsADirectoryError, PermissionError):
            below = kernel.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, at=directory)
            _empty(kernel, below)
            kernel.close(below)
            kernel.unlinkat(directory, name, directory=True)


def does_not_exist(container_id: str) -> StateError:
    """The words that containerd and others match (docs/compatibility.md): "does not exist"."""
    return StateError(
        "container does not exist",
        code="container-missing",
        hint=f"there is no container {container_id} under this --root",
    )


def reserve(kernel: Kernel, container_id: str, g: Globals) -> Container:
    """Make the directory of a new container and lock it. Of two creates of one id, one gets here."""
    _make_root(kernel, g)
    try:
        kernel.mkdirat(None, f"{g.root}/{container_id}", 0o700)
    except FileExistsError:
        raise StateError(
            f"container with given ID already exists: {container_id}",
            code="container-exists",
            hint="delete it or take another id",
        ) from None
    except OSError as error:
        raise HostError(f"cannot make the state directory {g.root}/{container_id}", errno=error.errno or 0) from None
    try:
        container = open_container(kernel, container_id, g)
        container.lock()
    except BaseException:
        _remove_empty(kernel, f"{g.root}/{container_id}")
        raise
    return container


def _remove_empty(kernel: Kernel, path: str) -> None:
    try:
        kernel.unlinkat(None, path, directory=True)
    except OSError:
        pass  # `delete` was faster


def _make_root(kernel: Kernel, g: Globals) -> None:
    try:
        paths.makedirs(g.root, 0o700)
    except OSError as error:
        raise HostError(
            f"cannot make the state directory {g.root}",
            code="root-unusable",
            errno=error.errno or 0,
            hint="give another --root",
        ) from None


def open_container(kernel: Kernel, container_id: str, g: Globals) -> Container:
    """The directory of a container that exists; raises StateError ("does not exist")."""
    try:
        fd = kernel.open(f"{g.root}/{container_id}", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        raise does_not_exist(container_id) from None
    return Container(kernel, container_id, g.root, fd)
