"""The door: how arguments, results, failures and signals pass through it."""

import errno
import os
import platform
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import ociruntime.core.kernel
from ociruntime.core.kernel import _door as door

F_OK = 0
AT_FDCWD = -100


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_result_comes_back() -> None:
    assert door.syscall(door.SYS_getpid) == os.getpid()


def test_buffers_pass_their_address(pipe: tuple[int, int]) -> None:
    read, write = pipe
    assert door.syscall(door.SYS_write, write, memoryview(b"hello"), 5) == 5
    target = bytearray(5)
    assert door.syscall(door.SYS_read, read, target, len(target)) == 5
    assert target == b"hello"


def test_none_is_a_null_pointer() -> None:
    with pytest.raises(OSError) as failure:
        door.syscall(door.SYS_openat, AT_FDCWD, None, os.O_RDONLY)
    assert failure.value.errno == errno.EFAULT


def test_failure_is_the_fitting_os_error() -> None:
    with pytest.raises(FileNotFoundError) as failure:
        door.syscall(door.SYS_openat, AT_FDCWD, b"/no/such/file\0", os.O_RDONLY)
    assert failure.value.args == (errno.ENOENT, os.strerror(errno.ENOENT))


@pytest.mark.parametrize("argument", ["text", 1.0, object(), [1]])
def test_other_types_are_refused(argument: object) -> None:
    with pytest.raises(TypeError, match="must be int, buffer or None"):
        door.syscall(door.SYS_getpid, argument)  # type: ignore[arg-type]


@pytest.mark.parametrize("argument", [2**64, -(2**63) - 1])
def test_integers_beyond_64_bits_are_refused(argument: int) -> None:
    with pytest.raises(OverflowError):
        door.syscall(door.SYS_getpid, argument)


@pytest.mark.parametrize("argument", [-1, 2**64 - 1, -(2**63), 2**63, True])
def test_signed_and_unsigned_64_bits_pass(argument: int) -> None:
    assert door.syscall(door.SYS_getpid, argument) == os.getpid()


def test_all_bits_of_an_argument_arrive(pipe: tuple[int, int]) -> None:
    """F_GETFD on 2**32 + fd would work if the upper half were dropped; lseek's offset has 64 bits."""
    fd = os.memfd_create("test")
    try:
        assert door.syscall(door.SYS_lseek, fd, 2**40 + 1, os.SEEK_SET) == 2**40 + 1
    finally:
        os.close(fd)


def test_argument_count_is_checked() -> None:
    with pytest.raises(TypeError, match="up to 6"):
        door.syscall()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="up to 6"):
        door.syscall(door.SYS_getpid, *range(7))
    assert door.syscall(door.SYS_getpid, *range(6)) == os.getpid()


def test_buffers_are_released_after_success_and_failure() -> None:
    content = bytearray(8)
    door.syscall(door.SYS_getrandom, content, 8, 0)
    with pytest.raises(OSError):
        door.syscall(door.SYS_getrandom, content, 8, 1 << 30)
    with pytest.raises(TypeError):
        door.syscall(door.SYS_getrandom, content, "x")  # type: ignore[arg-type]
    content.append(1)  # BufferError while an export is left


def test_interrupted_call_is_made_again_after_the_handler(pipe: tuple[int, int]) -> None:
    read, write = pipe
    old = signal.signal(signal.SIGALRM, lambda *_: os.write(write, b"!") and None)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        assert door.syscall(door.SYS_read, read, bytearray(1), 1) == 1
    finally:
        signal.signal(signal.SIGALRM, old)


def test_exception_of_a_handler_ends_the_call(pipe: tuple[int, int]) -> None:
    def handler(*_: object) -> None:
        raise TimeoutError("by the handler")

    old = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        with pytest.raises(TimeoutError, match="by the handler"):
            door.syscall(door.SYS_read, pipe[0], bytearray(1), 1)
    finally:
        signal.signal(signal.SIGALRM, old)


def test_other_threads_run_during_a_call(pipe: tuple[int, int]) -> None:
    read, write = pipe
    writer = threading.Timer(0, os.write, (write, b"!"))
    signal.alarm(20)  # ends a deadlock
    try:
        writer.start()
        assert door.syscall(door.SYS_read, read, bytearray(1), 1) == 1
    finally:
        signal.alarm(0)
        writer.join()


def clone_args(*, flags: int = 0, pidfd: int = 0, exit_signal: int = signal.SIGCHLD) -> bytes:
    return b"".join(word.to_bytes(8, "little") for word in (flags, pidfd, 0, 0, exit_signal, 0, 0, 0))


def test_clone3_forks() -> None:
    child = door.clone3(clone_args())
    if child == 0:
        os._exit(5)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5


def test_clone3_tells_the_interpreter_that_it_forked(pipe: tuple[int, int]) -> None:
    events: list[str] = []
    active = [True]

    def note(event: str) -> None:
        if active:
            events.append(event)

    os.register_at_fork(
        before=lambda: note("before"),
        after_in_parent=lambda: note("parent"),
        after_in_child=lambda: note("child"),
    )
    child = door.clone3(clone_args())
    if child == 0:
        os.write(pipe[1], " ".join(events).encode())
        os._exit(0)
    active.clear()  # a registered function stays for ever
    os.waitpid(child, 0)
    assert os.read(pipe[0], 64) == b"before child"
    assert events == ["before", "parent"]


def test_clone3_gives_a_pidfd_of_the_child() -> None:
    clone_pidfd = 0x1000
    fd = bytearray(4)
    child = door.clone3(clone_args(flags=clone_pidfd, pidfd=door.addressof(fd)))
    if child == 0:
        os._exit(6)
    pidfd = int.from_bytes(fd, "little")
    status = os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
    os.close(pidfd)
    assert status is not None
    assert (status.si_pid, status.si_status) == (child, 6)


@pytest.mark.parametrize("flag", [0x100, 0x800, 0x10000])
def test_clone3_refuses_to_share_the_interpreter(flag: int) -> None:
    with pytest.raises(ValueError, match="clone3 here is a fork"):
        door.clone3(clone_args(flags=flag))


def test_clone3_refuses_a_short_struct() -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        door.clone3(bytes(63))


def test_clone3_failure_leaves_a_working_interpreter() -> None:
    with pytest.raises(OSError) as failure:
        door.clone3(clone_args(exit_signal=0xFF))
    assert failure.value.errno == errno.EINVAL
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


def test_addressof_builds_nested_structs(pipe: tuple[int, int]) -> None:
    read, write = pipe
    parts = [b"scatter ", b"gather"]
    vector = b"".join(word.to_bytes(8, "little") for part in parts for word in (door.addressof(part), len(part)))
    assert door.syscall(door.SYS_writev, write, vector, len(parts)) == 14
    assert os.read(read, 64) == b"scatter gather"


def test_numbers_are_those_of_this_machine() -> None:
    assert platform.machine() == door.MACHINE
    assert (door.SYS_openat2, door.SYS_mount_setattr, door.SYS_listmount) == (437, 442, 458)
    assert {"x86_64": 59, "aarch64": 221}[door.MACHINE] == door.SYS_execve


def test_stub_names_what_the_module_has() -> None:
    stub = Path(ociruntime.core.kernel.__file__).with_name("_door.pyi").read_text()
    declared = set(re.findall(r"^(?:def )?(\w+)(?=[:(])", stub, re.M)) - {"def"}
    assert declared == {name for name in vars(door) if not name.startswith("__")}
