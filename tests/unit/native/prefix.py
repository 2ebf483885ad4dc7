"""An installation with a stub in place of the package: what runs says how it was started."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ociruntime

PACKAGE = Path(ociruntime.__file__).parent
LIBRARY = f"lib/python{sys.version_info.major}.{sys.version_info.minor}"
INTERPRETER = PACKAGE / "interpreter"  # not built where Python's library is no archive
STUB = """
    import sys

    def main(argv):
        from ociruntime.core import word
        import _json, _socket, fcntl, gc, json, os, re, resource, select
        report = {
            "argv": argv,
            "path": sys.path,
            "environ": {name.decode(): value.decode() for name, value in os.environb.items()},
            "fds": {fd: os.readlink(f"/proc/self/fd/{fd}") for fd in range(100) if is_open(fd)},
            "collects": gc.isenabled(),
            "isolated": sys.flags.isolated, "no_site": sys.flags.no_site, "utf8": sys.flags.utf8_mode,
            "filesystem": [sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()],
            "json": json.__file__,
            "exe": os.readlink("/proc/self/exe"),
            "exe_read_only": bool(os.statvfs("/proc/self/exe").f_flag & os.ST_RDONLY),
            "executable": sys.executable,
            "ignored": [line for line in open("/proc/self/status") if line.startswith("SigIgn")],
            "image": "/__pycache__/image" in open("/proc/self/maps").read(),
            "arena_of_the_file": "/image" in next((line for line in open("/proc/self/maps") if line[:4] == "1000"), ""),
            "loaded": word.LOADED,
            "word": word.WORD,
        }
        fd = os.open(argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.write(fd, json.dumps(report).encode())
        os._exit(5)

    def is_open(fd):
        import os
        try:
            os.fstat(fd)
        except OSError:
            return False
        return True
"""
WORD = """
    import posix
    LOADED = posix.getpid()
    WORD = "first"
"""


class Prefix:
    """bin/ociruntime, with our own interpreter or the system's, and the package beside it."""

    def __init__(self, place: Path, *, own: bool, image: bool) -> None:
        self.place = place
        self.package = place / LIBRARY / "site-packages" / "ociruntime"
        self.launcher = place / "bin" / "ociruntime"
        self.image = self.package / "__pycache__" / "image"
        (self.package / "core").mkdir(parents=True)
        (self.package / "commands").mkdir()
        self.launcher.parent.mkdir()
        for name, text in {"__init__": "", "core/__init__": "", "__main__": STUB, "core/word": WORD}.items():
            (self.package / f"{name}.py").write_text(textwrap.dedent(text))
        shutil.copy(Path(sys.prefix) / "bin" / "ociruntime", self.launcher)
        if own:
            shutil.copy(INTERPRETER, self.package)
            if image:
                shutil.copy(PACKAGE / "image.py", self.package)

    @property
    def word(self) -> Path:
        return self.package / "core" / "word.py"

    def run(
        self, *arguments: bytes | str, launcher: Path | None = None, through: Sequence[str] = (), **options: Any
    ) -> dict[str, Any]:
        """What the stub says."""
        report = self.place / "report"
        report.unlink(missing_ok=True)
        command = [*through, launcher or self.launcher, report, *arguments]
        result = subprocess.run(command, check=False, **options)
        assert result.returncode == 5
        content: dict[str, Any] = json.loads(report.read_bytes())
        return content
