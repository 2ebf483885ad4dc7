"""What a root is made of. A recipe is a value; `make` fills a `Root` and never looks outside of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Final

from attrs import field, frozen

from . import elf
from .errors import BundleError
from .root import Root
from .unpack import unpack


class Recipe(ABC):
    """Something a root is made of."""

    @abstractmethod
    def make(self, root: Root) -> None:
        """Put it into the root; raises `BundleError`."""


@frozen
class Directories(Recipe):
    """Directories that must be there; those a recipe before made stay as they are."""

    names: tuple[str, ...]
    mode: int = 0o755

    def make(self, root: Root) -> None:
        for name in self.names:
            root.ensure(name, self.mode)


# Where the runtime mounts. They are made here because a runtime cannot, in a root that is read-only or
# belongs to somebody else.
MOUNT_POINTS: Final = Directories(("proc", "dev", "sys"))


@frozen
class File(Recipe):
    """A small text file."""

    name: str
    text: str
    mode: int = 0o644

    def make(self, root: Root) -> None:
        root.file(self.name, BytesIO(self.text.encode()), self.mode)


ROOT_USER: Final = File("etc/passwd", "root:x:0:0:root:/:/bin/sh\n")


def find(program: str) -> Path:
    """The host's program of that name; raises `BundleError` with the way out."""
    if path := shutil.which(program):
        return Path(path)
    raise BundleError(f"{program}: no such program on this host; install the package that has it")


def copy_program(path: Path, name: str, root: Root) -> None:
    """Copy a program to `name` in the root, and its loader and libraries to their own paths."""
    copy(path, name, root, 0o755)
    companions = elf.companions(path)
    for companion in companions:
        copy(companion, str(companion).lstrip("/"), root, 0o755)
    if companions and elf.LOADER_CACHE.is_file():
        # Libraries in directories of ld.so.conf(5) are found by this file only.
        copy(elf.LOADER_CACHE, str(elf.LOADER_CACHE).lstrip("/"), root, 0o644)


def copy(path: Path, name: str, root: Root, mode: int) -> None:
    """Copy what a file of the host holds; a symbolic link there becomes a file in the root."""
    if not root.has(name):
        with path.open("rb") as content:
            root.file(name, content, mode)


@frozen
class Programs(Recipe):
    """Programs of the host in /bin, with the libraries that they load."""

    names: tuple[str, ...]

    def make(self, root: Root) -> None:
        for name in self.names:
            copy_program(find(name), f"bin/{name}", root)
        ROOT_USER.make(root)


@frozen
class Busybox(Recipe):
    """The host's busybox and a link for each of its applets, which is what `busybox --install` makes."""

    def make(self, root: Root) -> None:
        busybox = find("busybox")
        copy_program(busybox, "bin/busybox", root)
        listed = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
        for applet in listed.stdout.split():
            if applet != "busybox":
                root.symlink(f"bin/{applet}", "busybox")
        ROOT_USER.make(root)
        Directories(("tmp",), 0o1777).make(root)


@frozen
class Tree(Recipe):
    """Whatever an archive or a directory holds, see `unpack`."""

    source: Path

    def make(self, root: Root) -> None:
        unpack(self.source, root)


@frozen
class Debootstrap(Recipe):
    """The smallest Debian, installed by debootstrap(8) and then copied like any other directory."""

    suite: str
    mirror: str | None = None
    script: tuple[str, ...] = field(default=("--variant=minbase",))

    def make(self, root: Root) -> None:
        tool = find("debootstrap")
        with tempfile.TemporaryDirectory(prefix="debootstrap-") as scratch:
            target = Path(scratch, "root")
            argv = [str(tool), *self.script, self.suite, str(target), *([self.mirror] if self.mirror else [])]
            done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            if done.returncode != 0:
                last = done.stdout.strip().splitlines()[-1:] or ["no output"]
                raise BundleError(f"debootstrap {self.suite}: {last[0]}")
            unpack(target, root)


@frozen
class Python(Recipe):
    """The interpreter that runs this builder, and its standard library without what only developers use."""

    left_out: frozenset[str] = frozenset(
        {"test", "tests", "idlelib", "lib2to3", "tkinter", "turtledemo", "ensurepip", "pydoc_data",
         "site-packages", "dist-packages", "__pycache__"}
    )  # fmt: skip

    def make(self, root: Root) -> None:
        # Beneath a virtual environment, the real interpreter and its prefix are the base ones.
        interpreter = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
        library = Path(sysconfig.get_path("stdlib", vars={"base": sys.base_prefix, "installed_base": sys.base_prefix}))
        copy_program(interpreter, str(interpreter).lstrip("/"), root)
        for path in self._files(library):
            copy(path, str(path).lstrip("/"), root, 0o644)
            if path.suffix == ".so":
                for companion in elf.companions(path):
                    copy(companion, str(companion).lstrip("/"), root, 0o755)
        root.symlink("bin/python3", str(interpreter))
        ROOT_USER.make(root)

    def _files(self, directory: Path) -> Iterable[Path]:
        for path in sorted(directory.iterdir()):
            if path.name in self.left_out or path.name.startswith("config-"):
                continue
            if path.is_dir():
                yield from self._files(path)
            elif path.suffix in (".py", ".so"):
                yield path
