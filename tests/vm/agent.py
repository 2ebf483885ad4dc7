"""Inside the guest: runs one command for the host, then the guest is over.

Started by systemd (contents.py has the unit). It says when the system is up, takes one
request from the virtio port, mounts what is shared, runs the command and sends its output
and status back. Runs on the guest's own Python: standard library only.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.vm import wire

PORT = "/dev/virtio-ports/agent"
RNDRESEEDCRNG = 0x5207  # linux/random.h
LINGER_SECONDS = 2.0  # how long output may still come when the command itself has ended
ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "HOME": "/root",
    "USER": "root",
    "LOGNAME": "root",
    "SHELL": "/bin/bash",
}


class Port:
    """The guest's end of the wire."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDWR)
        self._frames = self._receive()

    def _receive(self) -> Iterator[tuple[bytes, bytes]]:
        frames = wire.Frames()
        while True:
            data = os.read(self._fd, 65536)
            if not data:  # a virtio port without a reader on the host reads as empty
                time.sleep(0.01)
            yield from frames.feed(data)

    def receive(self) -> bytes:
        """The data of the next frame."""
        return next(self._frames)[1]

    def send(self, kind: bytes, data: bytes = b"") -> None:
        write(self._fd, wire.frame(kind, data))

    def warn(self, text: object) -> None:
        self.send(wire.ERRORS, f"guest: {text}\n".encode())


@dataclass(frozen=True)
class Request:
    """What the host asks for; run.py makes it."""

    argv: list[str]
    user: str
    cwd: str | None
    env: dict[str, str]
    shares: list[tuple[str, str, str]]
    stdin: bool
    time: float
    seed: str


def write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def boot(port: Port) -> None:
    """Wait until systemd has settled, and say what it could not start."""
    # Loaded by the first mount, the transport may not have found its devices yet when that looks for one.
    subprocess.run(["modprobe", "-a", "9p", "9pnet_virtio", "overlay"], check=True)
    subprocess.run(["systemctl", "start", "user@1000"], check=True)
    state = subprocess.run(
        ["systemctl", "is-system-running", "--wait"], stdout=subprocess.PIPE, text=True, check=False
    ).stdout.strip()
    if state != "running":
        failed = subprocess.getoutput("systemctl list-units --failed --plain --no-legend")
        port.warn(f"systemd is {state}: {failed}")
    os.sync()
    port.send(wire.BOOTED)


def refresh(request: Request) -> None:
    """Set what a resumed guest has from the day it was saved: the clock and the random pool."""
    time.clock_settime(time.CLOCK_REALTIME, request.time)
    with open("/dev/urandom", "wb", buffering=0) as pool:
        pool.write(bytes.fromhex(request.seed))
        fcntl.ioctl(pool, RNDRESEEDCRNG)


def mount_share(tag: str, guest: str, mode: str) -> None:
    """Mount one host directory; `cow` keeps the guest's writes from the host."""
    where = guest if mode != "cow" else f"/run/shares/{tag}"
    options = "trans=virtio,version=9p2000.L,msize=512000,"
    options += "cache=mmap" if mode == "rw" else "ro,cache=loose"
    os.makedirs(guest, exist_ok=True)
    os.makedirs(where, exist_ok=True)
    mount("-t", "9p", "-o", options, tag, where)
    if mode == "cow":
        upper, work = f"/var/lib/shares/{tag}/upper", f"/var/lib/shares/{tag}/work"
        os.makedirs(upper)
        os.makedirs(work)
        options = f"lowerdir={where},upperdir={upper},workdir={work}"
        mount("-t", "overlay", "-o", options, "overlay", guest)


def mount(*args: str) -> None:
    """mount(8); RuntimeError with its own words."""
    done = subprocess.run(["mount", *args], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"mount {' '.join(args)}: {done.stderr.strip()}")


def command(request: Request) -> list[str]:
    """The argv to execute: as root as it is, else in the user's own systemd instance."""
    if request.user == "root":
        return request.argv
    uid = subprocess.check_output(["id", "-u", request.user], text=True).strip()
    wrap = ["setpriv", "--reuid", request.user, "--regid", uid, "--init-groups"]
    wrap += ["env", f"XDG_RUNTIME_DIR=/run/user/{uid}"]
    wrap += ["systemd-run", "--user", "--quiet", "--pipe", "--wait", "--collect"]
    wrap += ["--service-type=exec", "--property=Delegate=yes"]
    if request.cwd:
        wrap.append("--working-directory=" + request.cwd)
    wrap += [f"--setenv={name}={value}" for name, value in request.env.items()]
    return [*wrap, "--", *request.argv]


def feed(port: Port, child: subprocess.Popen[bytes]) -> None:
    """Pass the host's input on; an empty frame is its end."""
    assert child.stdin is not None
    while data := port.receive():
        try:
            write(child.stdin.fileno(), data)
        except OSError:  # the command does not read any more: drop the rest
            continue
    child.stdin.close()


def pump(port: Port, child: subprocess.Popen[bytes]) -> None:
    """Send output until the child and its output have ended.

    A daemon that the command left behind may hold the pipes; it is not waited for.
    """
    assert child.stdout is not None and child.stderr is not None
    kinds = {child.stdout.fileno(): wire.OUTPUT, child.stderr.fileno(): wire.ERRORS}
    running, end = [os.pidfd_open(child.pid)], float("inf")
    while kinds and time.monotonic() < end:
        timeout = None if running else 0.3
        ready = select.select([*kinds, *running], [], [], timeout)[0]
        if not ready:
            break
        for fd in ready:
            if fd in running:
                running, end = [], time.monotonic() + LINGER_SECONDS
            elif data := os.read(fd, 65536):
                port.send(kinds[fd], data)
            else:
                del kinds[fd]


def execute(port: Port, request: Request) -> int:
    """Run the command; its status as a shell would give it."""
    options: dict[str, Any] = {
        "cwd": (request.user == "root" and request.cwd) or "/root",
        "env": {"PATH": os.environ["PATH"], **ENVIRONMENT, **request.env},
        "stdin": subprocess.PIPE if request.stdin else subprocess.DEVNULL,
    }
    try:
        child = subprocess.Popen(command(request), stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    except OSError as error:
        port.warn(error)
        return 127 if isinstance(error, FileNotFoundError) else 126
    if request.stdin:
        threading.Thread(target=feed, args=[port, child], daemon=True).start()
    pump(port, child)
    status = child.wait()
    return status if status >= 0 else 128 - status


def serve(port: Port) -> int:
    boot(port)
    request = Request(**json.loads(port.receive()))
    refresh(request)
    for share in request.shares:
        mount_share(*share)
    port.send(wire.STARTED)
    status = execute(port, request)
    for _, guest, mode in request.shares:
        if mode == "rw":  # the host discards the guest at once: nothing may wait in its memory
            subprocess.run(["sync", "-f", guest], check=False)
    return status


def main() -> None:
    while not os.path.exists(PORT):  # udev makes the name
        time.sleep(0.01)
    port = Port(PORT)
    try:
        status = serve(port)
    except Exception as error:  # noqa: BLE001  the host must hear of anything that goes wrong here
        port.warn(f"agent: {error!r}")
        status = 125
    port.send(wire.EXIT, str(status).encode())
    time.sleep(5)  # the host ends the machine; this is for a host that has gone away
    subprocess.run(["systemctl", "poweroff", "--force", "--force"], check=False)


if __name__ == "__main__":
    main()
