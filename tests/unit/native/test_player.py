"""The player, driven for real: a process for each tape."""

import contextlib
import errno
import fcntl
import os
import resource
import select
import signal
import socket
import struct
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import ociruntime.core.launch
from ociruntime.core.kernel import _door as door
from ociruntime.core.launch.tape import IGNORE, NONZERO, Tape

PLAYER = Path(ociruntime.core.launch.__file__).with_name("player")
NO_TAPE = 121


def start(content: bytes, *keep: int, stdout: int | None = None) -> subprocess.Popen[bytes]:
    """Play a tape in a process that inherits the descriptors `keep`."""
    tape = os.memfd_create("tape", 0)
    try:
        os.write(tape, content)
        return subprocess.Popen(["player", str(tape)], executable=PLAYER, pass_fds=(tape, *keep), stdout=stdout)
    finally:
        os.close(tape)


def play(tape: Tape | bytes, *keep: int) -> tuple[int, bytes]:
    """Exit status and standard output."""
    player = start(tape if isinstance(tape, bytes) else tape.assemble(), *keep, stdout=subprocess.PIPE)
    try:
        output, _ = player.communicate(timeout=20)
    finally:
        player.kill()
    return player.returncode, output


def execve(tape: Tape, *argv: bytes, env: Iterable[bytes] = ()) -> None:
    tape.call(door.SYS_execve, argv[0], tape.strings(argv), tape.strings(env))


def message(channel: socket.socket) -> tuple[int, ...] | None:
    """Index and errno that the player reported, or None for end of file."""
    channel.settimeout(20)
    content = channel.recv(64)
    return struct.unpack("<QQ", content) if content else None


def test_execve_gets_argv_and_environment() -> None:
    tape = Tape()
    execve(tape, b"/bin/sh", b"-c", b'printf "%s %s" "$1" "$VALUE"', b"sh", b"caf\xe9", env=[b"VALUE=x"])
    assert play(tape) == (0, b"caf\xe9 x")


def test_failed_execve_is_reported_with_its_errno() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    tape = Tape()
    tape.report_to(theirs.fileno())
    tape.call(door.SYS_getpid)
    execve(tape, b"/no/such/program")
    with ours, theirs:
        assert play(tape, theirs.fileno()) == (1, b"")
        assert message(ours) == (1, errno.ENOENT)


def test_report_may_be_a_pipe() -> None:
    read, write = os.pipe()
    tape = Tape()
    tape.report_to(write)
    tape.call(door.SYS_close, -1)
    assert play(tape, write)[0] == 1
    os.close(write)
    with open(read, "rb") as pipe:
        assert struct.unpack("<QQ", pipe.read()) == (0, errno.EBADF)


def test_failure_without_a_report_descriptor_is_status_1() -> None:
    tape = Tape()
    tape.call(door.SYS_close, -1)
    assert play(tape)[0] == 1


def listener(path: Path) -> socket.socket:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()
    return server


def waiting_tape(server: socket.socket, program: bytes) -> Tape:
    """What a created container plays: wait for a connection, then become the program."""
    tape = Tape()
    connection = tape.call(door.SYS_accept4, server.fileno(), 0, 0, os.O_CLOEXEC)
    tape.report_to(connection)
    tape.call(door.SYS_close, server.fileno())
    tape.call(door.SYS_read, connection, bytes(8), 1, flags=NONZERO)
    execve(tape, program)
    return tape


def test_peer_reads_end_of_file_once_the_program_runs(tmp_path: Path) -> None:
    with listener(tmp_path / "start") as server, socket.socket(socket.AF_UNIX) as client:
        player = start(waiting_tape(server, b"/bin/true").assemble(), server.fileno())
        client.connect(str(tmp_path / "start"))
        client.send(b"!")
        assert message(client) is None
        assert player.wait(20) == 0


def test_peer_hears_why_the_program_does_not_run(tmp_path: Path) -> None:
    with listener(tmp_path / "start") as server, socket.socket(socket.AF_UNIX) as client:
        player = start(waiting_tape(server, b"/etc/passwd").assemble(), server.fileno())
        client.connect(str(tmp_path / "start"))
        client.send(b"!")
        assert message(client) == (3, errno.EACCES)
        assert player.wait(20) == 1


def test_a_peer_that_leaves_ends_the_player_silently() -> None:
    ours, theirs = socket.socketpair()
    report, reported = socket.socketpair()
    tape = Tape()
    tape.report_to(reported.fileno())
    tape.call(door.SYS_read, theirs.fileno(), bytes(8), 1, flags=NONZERO)
    execve(tape, b"/bin/echo", b"must not run")
    with theirs, report:
        ours.close()
        with reported:
            assert play(tape, theirs.fileno(), reported.fileno()) == (1, b"")
        assert message(report) is None


def test_ignored_failures_do_not_stop_the_tape() -> None:
    tape = Tape()
    tape.call(door.SYS_close, -1, flags=IGNORE)
    tape.call(door.SYS_exit_group, 42)
    assert play(tape)[0] == 42


def test_results_become_arguments() -> None:
    tape = Tape()
    copy = tape.call(door.SYS_dup, 1)
    tape.call(door.SYS_write, copy, b"copied", 6)
    assert play(tape) == (0, b"copied")


def test_interrupted_calls_are_made_again() -> None:
    """A stop and a continue interrupt epoll_wait even without a handler, see signal(7)."""
    read, write = os.pipe()
    tape = Tape()
    epoll = tape.call(door.SYS_epoll_create1, os.O_CLOEXEC)
    tape.call(door.SYS_write, write, b"!", 1)
    tape.call(door.SYS_epoll_pwait, epoll, bytes(16), 1, 400, 0, 8)
    player = start(tape.assemble(), write)
    os.read(read, 1)
    for number in (signal.SIGSTOP, signal.SIGCONT):
        player.send_signal(number)
        os.waitid(os.P_PID, player.pid, os.WSTOPPED | os.WCONTINUED | os.WNOWAIT)
    assert player.wait(20) == 0
    os.close(read)
    os.close(write)


def test_the_program_inherits_no_tape() -> None:
    tape = Tape()
    execve(tape, b"/bin/ls", b"/proc/self/fd")
    status, output = play(tape)
    # ls has one more of its own: the directory.
    assert (status, output) == (0, b"0\n1\n2\n3\n")


def damaged_tapes() -> dict[str, bytes]:
    good = Tape()
    good.call(door.SYS_exit_group, 0)
    content = good.assemble()
    return {
        "empty": b"",
        "short header": content[:24],
        "unknown magic": b"\0" + content[1:],
        "more records than bytes": content[:8] + b"\2" + content[9:],
    }


@pytest.mark.parametrize("damage", damaged_tapes())
def test_a_damaged_tape_is_refused(damage: str) -> None:
    assert play(damaged_tapes()[damage])[0] == NO_TAPE


@pytest.mark.parametrize("arguments", [[], [""], ["99"], ["x"]])
def test_a_missing_tape_is_refused(arguments: list[str]) -> None:
    refused = subprocess.run(["player", *arguments], executable=PLAYER, check=False, capture_output=True, text=True)
    assert (refused.returncode, refused.stdout) == (NO_TAPE, "")
    (line,) = refused.stderr.splitlines()
    assert line.startswith("exec /proc/self/exe: exec format error (ENOEXEC); ")


def test_runs_from_a_sealed_memfd() -> None:
    """As the runtime does it: execveat of a memfd, so /proc/self/exe is no file of the host (CVE-2019-5736)."""
    image = os.memfd_create("player", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(image, PLAYER.read_bytes())
    fcntl.fcntl(image, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_WRITE)
    tape = Tape()
    link = tape.place(bytes(64))
    length = tape.call(door.SYS_readlinkat, -100, b"/proc/self/exe", link, 64)
    tape.call(door.SYS_write, 1, link, length)
    tape_fd = os.memfd_create("tape", 0)
    os.write(tape_fd, tape.assemble())
    read, write = os.pipe()
    child = door.clone3(bytes(32) + signal.SIGCHLD.to_bytes(8, "little") + bytes(24))
    if child == 0:
        with contextlib.suppress(OSError):
            os.dup2(write, 1)
            name, number = b"init\0", b"%d\0" % tape_fd
            argv = struct.pack("<3Q", door.addressof(name), door.addressof(number), 0)
            door.syscall(door.SYS_execveat, image, b"\0", argv, bytes(8), 0x1000)  # AT_EMPTY_PATH
        os._exit(99)
    os.close(write)
    with open(read, "rb") as pipe:
        assert pipe.read() == b"/memfd:player (deleted)"
    assert os.waitpid(child, 0)[1] == 0
    os.close(tape_fd)
    os.close(image)


def test_works_with_a_tiny_stack() -> None:
    tape = Tape()
    tape.call(door.SYS_prlimit64, 0, resource.RLIMIT_STACK, struct.pack("<QQ", 4096, 4096), 0)
    for _ in range(100):
        tape.call(door.SYS_getpid)
    tape.call(door.SYS_exit_group, 7)
    assert play(tape)[0] == 7


@contextlib.contextmanager
def waiting() -> Iterator[tuple[subprocess.Popen[bytes], socket.socket]]:
    """A player that has said so on the socket, and waits for a byte there."""
    ours, theirs = socket.socketpair()
    tape = Tape()
    tape.call(door.SYS_write, theirs.fileno(), b"!", 1)
    tape.call(door.SYS_read, theirs.fileno(), bytes(8), 1)
    with ours, theirs:
        player = start(tape.assemble(), theirs.fileno())
        assert ours.recv(1) == b"!"
        yield player, ours


def test_waits_in_a_few_pages() -> None:
    with waiting() as (player, ours):
        rollup = Path(f"/proc/{player.pid}/smaps_rollup").read_text()
        ours.send(b"!")
        assert player.wait(20) == 0
    pss = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    assert pss <= 5 * resource.getpagesize() // 1024


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_signals_end_it(number: signal.Signals) -> None:
    """The first process of a pid namespace, which it mostly is, hears those alone that it handles."""
    with waiting() as (player, _):
        player.send_signal(number)
        assert player.wait(20) == 128 + number


def test_image_is_small_static_and_not_writable() -> None:
    image = PLAYER.read_bytes()
    assert len(image) <= 4096
    (offset,) = struct.unpack_from("<Q", image, 32)
    size, count = struct.unpack_from("<HH", image, 54)
    headers = [struct.unpack_from("<II", image, offset + i * size) for i in range(count)]
    pt_load, pt_interp, pt_dynamic, pt_gnu_stack, writable_and_executable = 1, 3, 2, 0x6474E551, 0x3
    assert [flags for kind, flags in headers if kind == pt_load] == [0x5]  # one segment, read and execute
    assert not {kind for kind, _ in headers} & {pt_interp, pt_dynamic}
    assert [flags & writable_and_executable for kind, flags in headers if kind == pt_gnu_stack] == [0x2]


def test_poll_sees_the_player_leave() -> None:
    """A pidfd of the player is an ordinary one: the runtime waits on it."""
    tape = Tape()
    tape.call(door.SYS_exit_group, 3)
    player = start(tape.assemble())
    pidfd = os.pidfd_open(player.pid)
    assert select.select([pidfd], [], [], 20)[0] == [pidfd]
    os.close(pidfd)
    assert player.wait(0) == 3
