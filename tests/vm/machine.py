"""qemu: the command line of the guest, its monitor, its saved state.

With Intel's or AMD's KVM each run boots the guest. Elsewhere (no /dev/kvm, or a KVM that
runs only kernels made for it) qemu translates code, which is slow, so the build boots once
and saves the running guest, and each run resumes that.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shlex
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.vm import wire

SHARES = 8
"""9p devices that a guest has; a saved guest cannot be given more."""

LAST_SECONDS = 5.0
"""How long a qemu that has closed its ports may take to end."""

ACCELERATORS = {"kvm": "kvm", "tcg": "tcg,thread=single"}
"""In threads of their own, emulated processors sometimes still execute the breakpoint that Linux has put in place of an
instruction and has removed again (jump labels): "Oops: int3" (multipath-tcp/mptcp_net-next#471)."""


class GuestError(Exception):
    """The guest could not be built or run."""


class Unavailable(GuestError):
    """This machine cannot have the guest; the text says why."""


@dataclass(frozen=True)
class Options:
    """What the machine is made of; a saved guest can be resumed only with the same."""

    accel: str
    cpus: int
    memory: str
    append: str = ""


@dataclass(frozen=True)
class Start:
    """One start of the machine: from which image, with what beside it."""

    image: Path
    scratch: Path
    options: Options
    shares: Sequence[tuple[str, str, str]] = ()
    resume: bool = False
    build: bool = False

    @property
    def console(self) -> Path:
        return self.scratch / "console"


def accelerator() -> str:
    """`kvm` where the processor's own virtualisation runs any kernel, else `tcg`."""
    usable = any(os.path.exists(f"/sys/module/kvm_{maker}") for maker in ("intel", "amd"))
    return "kvm" if usable and os.access("/dev/kvm", os.R_OK | os.W_OK) else "tcg"


def _memory(start: Start) -> list[str]:
    """The build and a resumed run have the memory in the image; only the build writes to it."""
    there = start.image if start.build or start.resume else start.scratch
    size, share = start.options.memory, "on" if start.build else "off"
    return [
        "-m", size, "-machine", "q35,memory-backend=ram", "-object",
        f"memory-backend-file,id=ram,size={size},mem-path={there}/ram,share={share}",
    ]  # fmt: skip


def _disk(start: Start) -> list[str]:
    snapshot = "off" if start.build else "on"
    options = f"format=raw,if=none,id=root,snapshot={snapshot},cache=unsafe"
    return ["-drive", f"file={start.image}/root,{options}", "-device", "virtio-blk-pci,drive=root"]


def _kernel(start: Start) -> list[str]:
    append = "console=ttyS0 quiet panic=-1 systemd.show_status=false systemd.getty_auto=no "
    return [
        "-kernel", f"{start.image}/kernel", "-initrd", f"{start.image}/initrd",
        "-append", append + start.options.append,
    ]  # fmt: skip


def _ports(start: Start, agent: int, monitor: int) -> list[str]:
    return [
        "-chardev", f"file,id=console,path={start.console}", "-serial", "chardev:console",
        "-device", "virtio-serial-pci",
        "-chardev", f"socket,id=agent,fd={agent}",
        "-device", "virtserialport,chardev=agent,name=agent",
        "-chardev", f"socket,id=monitor,fd={monitor}", "-mon", "chardev=monitor,mode=control",
    ]  # fmt: skip


def _shares(start: Start) -> list[str]:
    """Always the same number of devices: a saved guest must find what it was saved with."""
    model = "passthrough" if os.geteuid() == 0 else "none"
    line = []
    for number in range(SHARES):
        path, mode = f"{start.scratch}/empty", "ro"
        if number < len(start.shares):
            path, _, mode = start.shares[number]
        readonly = "" if mode == "rw" else ",readonly=on"
        line += ["-fsdev", f"local,id=s{number},path={path},security_model={model},"
                 f"multidevs=remap{readonly}",
                 "-device", f"virtio-9p-pci,fsdev=s{number},mount_tag=s{number}"]  # fmt: skip
    return line


def command_line(start: Start, agent: int, monitor: int) -> list[str]:
    """qemu's argv; it dies with the process that started it."""
    options = start.options
    return [
        "setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-nodefaults", "-no-user-config",
        "-display", "none", "-no-reboot", "-accel", ACCELERATORS[options.accel],
        "-cpu", "max,la57=off,arch-capabilities=off", "-smp", str(options.cpus),
        "-device", "virtio-rng-pci",
        *_memory(start), *_kernel(start), *_disk(start), *_ports(start, agent, monitor),
        *_shares(start), *(["-incoming", "defer"] if start.resume else []),
    ]  # fmt: skip


class Monitor:
    """qemu's control socket (the QEMU Machine Protocol), and its process."""

    def __init__(self, end: socket.socket, process: subprocess.Popen[bytes]) -> None:
        self._stream: IO[str] = end.makefile("rw")
        self._process = process

    def ending(self) -> str:
        """In words, how qemu ended; for when it has closed the agent's port."""
        try:
            status = self._process.wait(LAST_SECONDS)
        except subprocess.TimeoutExpired:
            return "qemu still runs"
        return f"qemu exited with status {status}" if status >= 0 else f"qemu was killed by signal {-status}"

    def tell(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Give one command; its answer."""
        self._stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._stream.flush()
        for line in self._stream:
            reply = json.loads(line)
            if "error" in reply:
                raise GuestError(f"qemu: {command}: {reply['error']['desc']}")
            if "return" in reply:
                answer: dict[str, Any] = reply["return"]
                return answer
        raise GuestError("qemu has ended; see above")

    def save(self, state: Path) -> None:
        self._migrate("migrate", f"cat > {shlex.quote(str(state))}")

    def load(self, state: Path) -> None:
        self._migrate("migrate-incoming", f"cat {shlex.quote(str(state))}")

    def _migrate(self, command: str, shell: str) -> None:
        """The memory is in a file of its own and stays there; only the devices move."""
        self.tell("qmp_capabilities")
        shared = [{"capability": "x-ignore-shared", "state": True}]
        self.tell("migrate-set-capabilities", capabilities=shared)
        self.tell(command, uri="exec:" + shell)
        while (status := self.tell("query-migrate").get("status")) != "completed":
            if status == "failed":
                raise GuestError(f"qemu: {command} failed")
            time.sleep(0.02)


@contextlib.contextmanager
def machine(start: Start) -> Iterator[tuple[socket.socket, Monitor]]:
    """A running qemu, as the agent's socket and the monitor; killed at the end."""
    agent, agent_end = socket.socketpair()
    control, control_end = socket.socketpair()
    (start.scratch / "empty").mkdir()
    fds = (agent_end.fileno(), control_end.fileno())
    process = subprocess.Popen(
        command_line(start, *fds),
        pass_fds=fds,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(start.scratch)},  # of the disk's overlay
    )
    agent_end.close()
    control_end.close()
    try:
        monitor = Monitor(control, process)
        if start.resume:
            monitor.load(start.image / "state")
        yield agent, monitor
    finally:
        process.kill()
        process.wait()


def frames(link: socket.socket, deadline: Callable[[], float], stdin: bool = False) -> Iterator[tuple[bytes, bytes]]:
    """The agent's frames, while standard input is passed on; ends with the guest.

    `deadline` gives the latest time (of time.monotonic) as it stands; TimeoutError after it.
    """
    events = selectors.PollSelector()  # takes regular files, which epoll does not
    events.register(link, selectors.EVENT_READ)
    if stdin:
        events.register(0, selectors.EVENT_READ)
    buffer = wire.Frames()
    while True:
        left = deadline() - time.monotonic()
        if left <= 0:
            raise TimeoutError
        for key, _ in events.select(min(left, 3600)):
            if key.fileobj == 0:
                data = os.read(0, 65536)
                link.sendall(wire.frame(wire.INPUT, data))
                if not data:
                    events.unregister(0)
                continue
            try:
                data = link.recv(1 << 20)
            except ConnectionError:
                return
            if not data:
                return
            yield from buffer.feed(data)
