"""Build the static probe once per source, compiler and machine, and remember where it is."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_name("probe.c")
FLAGS = ("-Os", "-Wall", "-static", "-s", "-fdata-sections", "-ffunction-sections", "-Wl,--gc-sections")


class NoCompiler(Exception):
    """The probe could not be built; the sentence says what to install."""


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "conformance"


def build() -> Path:
    """Return the path of the compiled probe, compiling it if this source was never compiled here.

    Raises:
        NoCompiler: no C compiler, or one that cannot link statically.
    """
    compiler = os.environ.get("CC", "cc")
    seed = SOURCE.read_bytes() + repr((compiler, FLAGS, platform.machine())).encode()
    target = _cache() / f"probe-{hashlib.sha256(seed).hexdigest()[:16]}"
    if target.exists():
        return target
    if shutil.which(compiler) is None:
        raise NoCompiler(f"no C compiler '{compiler}': install gcc and a static libc, or set CC")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        draft = Path(scratch, "probe")
        done = subprocess.run(
            [compiler, *FLAGS, "-o", str(draft), str(SOURCE)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise NoCompiler(f"the probe does not compile with '{compiler}': {done.stderr.strip()[-400:]}")
        draft.rename(target)  # atomic, so that two suites started at once agree
    return target
