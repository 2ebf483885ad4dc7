"""The state directory and the status derived from it (core/state), on real files."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ociruntime.core.errors import StateError
from ociruntime.core.kernel import Kernel
from ociruntime.core.options import Globals
from ociruntime.core.state.status import CREATED, CREATING, RUNNING, STOPPED, document_for, start_time, status
from ociruntime.core.state.store import SOCKET, STATE, Container, open_container, reserve


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Container]:
    container = reserve(Kernel(), "one", Globals(root=str(tmp_path / "root")))
    yield container
    container.close()


def test_one_id_one_container(kept: Container) -> None:
    with pytest.raises(StateError, match="already exists"):
        reserve(Kernel(), "one", Globals(root=kept.root))
    assert os.stat(kept.root).st_mode & 0o777 == 0o700


def test_a_missing_one_does_not_exist(kept: Container) -> None:
    with pytest.raises(StateError, match="does not exist"):
        open_container(Kernel(), "two", Globals(root=kept.root))


def test_what_was_saved_is_loaded(kept: Container) -> None:
    assert kept.load() == {}
    kept.save({"pid": 5, "startTime": 1, "ü": "\n"})
    assert kept.load() == {"pid": 5, "startTime": 1, "ü": "\n"}
    assert sorted(os.listdir(kept.path)) == [STATE]


def test_removed_with_all_that_is_in_it(kept: Container) -> None:
    kept.save({})
    (Path(kept.path) / "notify/deep").mkdir(parents=True)
    (Path(kept.path) / "notify/deep/file").touch()
    (Path(kept.path) / "link").symlink_to("/")
    kept.remove()
    assert os.listdir(kept.root) == []
    kept.remove()  # may be tried again


def test_who_waited_for_a_lock_on_what_is_gone(kept: Container) -> None:
    other = open_container(Kernel(), "one", Globals(root=kept.root))
    kept.remove()
    kept.unlock()
    with pytest.raises(StateError, match="does not exist"):
        other.lock()
    other.close()


def test_without_a_pid_it_is_creating_while_someone_is_at_it(kept: Container) -> None:
    kept.save({"pid": 0, "startTime": 0})
    other = open_container(Kernel(), "one", Globals(root=kept.root))
    assert status(other, other.load()) == CREATING
    kept.unlock()
    assert status(other, other.load()) == STOPPED
    other.close()


def test_created_running_stopped(kept: Container) -> None:
    kernel = Kernel()
    document = {"pid": os.getpid(), "startTime": start_time(kernel, os.getpid())}
    assert status(kept, document) == RUNNING
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"/proc/self/fd/{kept.fd}/{SOCKET}")
    listener.listen(1)
    assert status(kept, document) == CREATED
    listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        listener.accept()  # asking for the status must not start the container
    assert status(kept, {**document, "startTime": 1}) == STOPPED  # another process has the number now
    listener.close()
    assert status(kept, document) == RUNNING  # the `start` that was heard could not remove the name any more


def test_a_zombie_has_stopped() -> None:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert start_time(Kernel(), pid) == 0
    os.waitpid(pid, 0)
    assert start_time(Kernel(), pid) == 0


def test_the_document_for_others(kept: Container) -> None:
    shown = document_for(kept, {"pid": 7, "ociVersion": "1.3.0", "annotations": {}}, STOPPED)
    assert shown["pid"] == 0 and shown["status"] == "stopped" and "annotations" not in shown
