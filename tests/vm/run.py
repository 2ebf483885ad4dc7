"""Starts the guest on discarded overlays, runs one command in it, passes its status on."""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from tests.vm import wire
from tests.vm.agent import Request
from tests.vm.machine import SHARES, GuestError, Options, Start, accelerator, frames, machine

OUT_OF_TIME = 124  # as timeout(1) has it
CONSOLE_TAIL = 4000


def parse_share(text: str) -> tuple[str, str, str]:
    """HOST:GUEST[:MODE] as a tuple, HOST made absolute."""
    host, guest, mode = (*text.split(":", 2), "rw", "")[:3]
    if not (os.path.isdir(host) and guest.startswith("/") and mode in ("rw", "ro", "cow")):
        raise GuestError(f"--share takes DIRECTORY:/GUEST/PATH[:ro|:cow], not {text!r}")
    return os.path.realpath(host), guest, mode


def choose(image: Path, args: argparse.Namespace) -> tuple[Options, bool]:
    """The machine, and whether it is that of the saved guest, which can then be resumed."""
    saved = Options(**json.loads((image / "options").read_text()))
    options = Options(
        accel=args.accel or accelerator(),
        cpus=args.cpus or saved.cpus,
        memory=args.memory or saved.memory,
        append=args.append,
    )
    return options, options == saved and (image / "state").exists() and not args.cold


def request(args: argparse.Namespace, shares: list[tuple[str, str, str]]) -> Request:
    return Request(
        argv=args.command,
        user=args.user,
        cwd=args.cwd,
        env=dict(item.split("=", 1) for item in args.env),
        shares=[(f"s{number}", guest, mode) for number, (_, guest, mode) in enumerate(shares)],
        stdin=args.stdin,
        time=time.time(),
        seed=os.urandom(32).hex(),
    )


class Relay:
    """Passes the request and the data on, until there is a status or the time is over."""

    def __init__(self, args: argparse.Namespace, start: float) -> None:
        self._args, self._start = args, start
        self._deadline = start + args.boot_timeout
        self._started = False

    def run(self, link: socket.socket, what: Request) -> int | None:
        """CMD's status; None if the guest ended, or never came up, without one."""
        link.sendall(wire.frame(wire.REQUEST, json.dumps(asdict(what)).encode()))
        try:
            for kind, data in frames(link, lambda: self._deadline, what.stdin):
                if kind == wire.EXIT:
                    return int(data)
                self._take(kind, data)
        except TimeoutError:
            print("guest: out of time", file=sys.stderr)
            return OUT_OF_TIME if self._started else None
        return None

    def _take(self, kind: bytes, data: bytes) -> None:
        if kind == wire.STARTED:
            now = time.monotonic()
            self._deadline, self._started = now + self._args.timeout, True
            if self._args.verbose:
                print(f"guest: CMD starts after {now - self._start:.2f} s", file=sys.stderr)
        elif kind in (wire.OUTPUT, wire.ERRORS):
            stream = (sys.stdout if kind == wire.OUTPUT else sys.stderr).buffer
            stream.write(data)
            stream.flush()


def run(args: argparse.Namespace) -> int:
    """Run args.command in the guest; its exit status."""
    begin = time.monotonic()
    image = args.dir / "image"
    if not (image / "stamp").exists():
        raise GuestError(f"no image in {args.dir}: run `python -m tests.vm build` first")
    shares = [parse_share(text) for text in args.share]
    if len(shares) > SHARES:
        raise GuestError(f"no more than {SHARES} shares")
    options, resume = choose(image, args)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the overlays are removed
    with tempfile.TemporaryDirectory(prefix="run-", dir=args.dir) as scratch:
        start = Start(image, Path(scratch), options, shares, resume)
        try:
            with machine(start) as (link, monitor):
                status = Relay(args, begin).run(link, request(args, shares))
                ending = monitor.ending() if status is None else ""
        except KeyboardInterrupt:
            return 130
        if status is None:
            console = start.console.read_text(errors="replace")[-CONSOLE_TAIL:]
            raise GuestError(f"no status from the guest, {ending}; its console:\n{console}")
    return status
