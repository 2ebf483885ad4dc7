"""Makes the guest's image: kernel, RAM disk, root disk and, where boots are slow, saved state.

The root file system comes from debootstrap and the mirror that apt uses on this host. An
image is made again when its recipe (packages, agent, machine) has changed.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import lzma
import os
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.vm import contents, wire
from tests.vm.machine import GuestError, Options, Start, Unavailable, accelerator, frames, machine

HERE = Path(__file__).parent
BOOT_SECONDS = 600
"""For the one boot of the build, emulated, on a busy machine."""


class Clock:
    """The cap on the build: what is left of it is the time-out of the next command."""

    def __init__(self, seconds: float) -> None:
        self._start, self._seconds = time.monotonic(), seconds

    def spent(self) -> float:
        return time.monotonic() - self._start

    def run(self, argv: Sequence[str | Path], **options: Any) -> None:
        try:
            subprocess.run(argv, check=True, timeout=self._seconds - self.spent(), **options)
        except subprocess.TimeoutExpired:
            raise GuestError(f"the build took more than {self._seconds:.0f} s") from None
        except subprocess.CalledProcessError as error:
            raise GuestError(f"{argv[0]} exited with status {error.returncode}") from None


def host_mirror() -> str:
    """The Debian mirror that apt uses on this host, '' where there is none."""
    try:
        shown = subprocess.run(
            ["apt-get", "indextargets", "--format", "$(REPO_URI)"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False,
        ).stdout  # fmt: skip
    except FileNotFoundError:
        return ""
    uris = [uri.rstrip("/") for uri in shown.split()]
    return next((uri for uri in uris if uri.endswith("/debian")), "")


def require(args: argparse.Namespace) -> None:
    """Raise Unavailable with the reason if this machine cannot build the guest."""
    if platform.machine() != "x86_64":
        raise Unavailable(f"the guest is made for x86_64, this is {platform.machine()}")
    if os.geteuid() != 0:
        raise Unavailable("building the guest needs root (debootstrap makes devices)")
    for tool in ("debootstrap", "mke2fs", "setpriv", "unshare", "qemu-system-x86_64"):
        if not shutil.which(tool):
            raise Unavailable(f"{tool} is not installed")
    if not args.mirror:
        raise Unavailable("apt has no Debian mirror here; name one with --mirror")
    free = shutil.disk_usage(args.dir).free >> 20
    if free < args.disk:
        raise Unavailable(f"{args.dir} has {free} MB free, the guest needs {args.disk} MB")
    refused = probe(args.dir)
    if refused:
        raise Unavailable(f"this machine does not allow what debootstrap does: {refused}")
    try:
        urllib.request.urlopen(f"{args.mirror}/dists/{args.suite}/InRelease", timeout=60).close()
    except OSError as error:
        raise Unavailable(f"the Debian mirror {args.mirror} does not answer: {error}") from None


def probe(folder: Path) -> str:
    """Why no device can be made and used in the folder, or nothing mounted in a namespace; '' if both work."""
    script = """
        mknod probe c 1 3
        : > probe
        mount -t tmpfs tmpfs "$PWD"
        mount -t proc proc "$PWD"
    """
    with tempfile.TemporaryDirectory(dir=folder) as place:
        argv = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--", "sh", "-euc", script]
        done = subprocess.run(argv, cwd=place, capture_output=True, text=True, check=False)
    return done.stderr.strip() or f"status {done.returncode}" if done.returncode else ""


def in_root(clock: Clock, root: Path, script: str) -> None:
    """Run a shell script chrooted, in mount and PID namespaces of its own."""
    outer = """
        mount -t proc proc "$1/proc"
        mount -t tmpfs tmpfs "$1/tmp"
        exec chroot "$1" /bin/sh -euc "$2"
    """
    env = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "DEBIAN_FRONTEND": "noninteractive",
        "INITRD": "No",
    }
    argv = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--"]
    argv += ["sh", "-euc", outer, "sh", str(root), script]
    clock.run(argv, env=env, stdin=subprocess.DEVNULL)


def install(clock: Clock, root: Path, args: argparse.Namespace) -> None:
    """Make the root file system from Debian's packages."""
    clock.run(["debootstrap", "--variant=minbase", args.suite, root, args.mirror])
    base = args.mirror.removesuffix("debian")
    pockets = [(args.suite, "debian"), (args.suite + "-updates", "debian")]
    pockets.append((args.suite + "-security", "debian-security"))
    kernel = "linux-image-amd64"
    if args.kernel == "backports":
        pockets.append((args.suite + "-backports", "debian"))
        kernel += f"/{args.suite}-backports"
    (root / "etc/apt/sources.list").write_text("".join(f"deb {base}{path} {pocket} main\n" for pocket, path in pockets))
    (root / "etc/dpkg/dpkg.cfg.d/guest").write_text(
        "force-unsafe-io\n" + "".join(f"path-exclude=/usr/share/{name}/*\n" for name in ("doc", "man", "locale"))
    )
    (root / "etc/apt/apt.conf.d/guest").write_text(
        'APT::Install-Recommends "false";\nAPT::Sandbox::User "root";\nAcquire::Languages "none";\n'
    )
    policy = root / "usr/sbin/policy-rc.d"  # no package may start a service in the chroot
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    packages = " ".join([*contents.PACKAGES, *args.package, kernel])
    script = f"""
        apt-get -q update
        apt-get -qy upgrade
        apt-get -qy install {packages}
        useradd --create-home --shell /bin/bash --uid 1000 tester
        apt-get -q clean
        rm -rf /var/lib/apt/lists/*"""
    in_root(clock, root, script)
    policy.unlink()


def configure(clock: Clock, root: Path) -> None:
    """Write the guest's own files."""
    agent = root / "usr/local/lib/guest/tests/vm"
    agent.mkdir(parents=True, exist_ok=True)
    for name in contents.AGENT_FILES:
        shutil.copy(HERE / name, agent)
    for name, text in contents.FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
    script = """
        systemctl -q preset-all
        systemctl -q --global preset-all
        systemctl -q set-default multi-user.target
        systemd-machine-id-setup"""
    in_root(clock, root, script)


def newc(entries: list[tuple[str, int, bytes]]) -> bytes:
    """A cpio archive (cpio(5), "New ASCII Format") of (name, mode, data) entries."""
    out = bytearray()
    for ino, (name, mode, data) in enumerate([*entries, ("TRAILER!!!", 0, b"")]):
        fields = (ino, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return bytes(out)


def initrd(root: Path, version: str) -> bytes:
    """Just what it takes to mount the root disk."""
    # No check: kernels after 6.12 have no module crc32c_generic, and need none.
    shown = subprocess.run(
        ["chroot", root, "modprobe", "-qaDS", version, *contents.INITRD_MODULES],
        stdout=subprocess.PIPE, text=True, check=False,
    ).stdout  # fmt: skip
    paths = [line.split()[1] for line in shown.splitlines() if line.startswith("insmod")]
    entries = [(name, stat.S_IFDIR | 0o755, b"") for name in ("dev", "root")]
    entries.append(("init", stat.S_IFREG | 0o755, contents.INIT.encode()))
    entries.append(("busybox", stat.S_IFREG | 0o755, (root / "bin/busybox").read_bytes()))
    for number, path in enumerate(dict.fromkeys(paths)):
        data = (root / path[1:]).read_bytes()
        data = lzma.decompress(data) if path.endswith(".xz") else data
        entries.append((f"{number:02}.ko", stat.S_IFREG | 0o644, data))
    return newc(entries)


def save(image: Path, scratch: Path, options: Options) -> None:
    """Boot the image and leave the running guest's state in it."""
    start = Start(image, scratch, options, build=True)
    with machine(start) as (link, monitor):
        deadline = time.monotonic() + BOOT_SECONDS
        with contextlib.suppress(TimeoutError):
            for kind, data in frames(link, lambda: deadline):
                if kind == wire.BOOTED:
                    return monitor.save(image / "state")
                print(data.decode(), file=sys.stderr)
    console = start.console.read_text(errors="replace")
    raise GuestError(f"the guest did not boot; its console:\n{console}")


def make_image(clock: Clock, root: Path, image: Path, args: argparse.Namespace) -> None:
    kernel = max((root / "boot").glob("vmlinuz-*"), key=lambda path: path.stat().st_mtime)
    shutil.copy(kernel, image / "kernel")
    (image / "initrd").write_bytes(initrd(root, kernel.name.removeprefix("vmlinuz-")))
    argv = ["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", str(root)]
    clock.run([*argv, image / "root", args.size])
    options = Options(accelerator(), args.cpus, args.memory)
    if options.accel == "tcg":
        with tempfile.TemporaryDirectory(dir=args.dir) as scratch:
            save(image, Path(scratch), options)
    (image / "options").write_text(json.dumps(asdict(options)))


def recipe(args: argparse.Namespace) -> tuple[str, str]:
    """What the root file system, and what the whole image, was made of, as two digests."""
    packages = [args.suite, args.kernel, args.mirror, contents.PACKAGES, args.package]
    own = [(HERE / name).read_text() for name in ("build.py", "machine.py", *contents.AGENT_FILES)]
    machine_made = [args.size, args.cpus, args.memory, accelerator(), contents.FILES, own]
    root = hashlib.sha256(repr(packages).encode()).hexdigest()
    return root, hashlib.sha256(repr([root, machine_made]).encode()).hexdigest()


def read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def used_megabytes(folder: Path) -> int:
    """What the files take on disk; the guest's are sparse."""
    return sum(path.lstat().st_blocks for path in folder.rglob("*")) * 512 >> 20


def build(args: argparse.Namespace) -> int:
    """Make the image unless it is there already; the exit status."""
    args.mirror = args.mirror or host_mirror()
    args.dir.mkdir(parents=True, exist_ok=True)
    root, image = args.dir / "rootfs", args.dir / "image"
    root_stamp, image_stamp = recipe(args)
    with locked(args.dir / "lock"):
        if not args.force and read(image / "stamp") == image_stamp:
            print(f"guest: {image} is up to date")
            return 0
        require(args)
        clock = Clock(args.seconds)
        if args.force or read(args.dir / "recipe") != root_stamp:
            (args.dir / "recipe").unlink(missing_ok=True)
            shutil.rmtree(root, ignore_errors=True)
            install(clock, root, args)
            (args.dir / "recipe").write_text(root_stamp)
            print(f"guest: packages installed after {clock.spent():.0f} s", flush=True)
        configure(clock, root)
        fresh = args.dir / "image.new"
        for old in (fresh, image):
            shutil.rmtree(old, ignore_errors=True)
        fresh.mkdir()
        make_image(clock, root, fresh, args)
        (fresh / "stamp").write_text(image_stamp)
        fresh.rename(image)
        if args.lean:
            (args.dir / "recipe").unlink()
            shutil.rmtree(root)
    print(f"guest: image made after {clock.spent():.0f} s, {used_megabytes(args.dir)} MB on disk")
    return 0
