"""What `--version` and `features` say about this build. Never loaded on the way to success."""

from __future__ import annotations

import ctypes
import ctypes.util

from ociruntime import __version__

SPEC_VERSION_MIN = "1.0.0"
SPEC_VERSION = "1.3.0"


def libseccomp_version() -> str:
    """The version of libseccomp on this host as x.y.z, "" where there is none (seccomp_version(3))."""

    class Version(ctypes.Structure):
        _fields_ = (("major", ctypes.c_uint), ("minor", ctypes.c_uint), ("micro", ctypes.c_uint))

    try:
        seccomp_version = ctypes.CDLL("libseccomp.so.2").seccomp_version
    except (OSError, AttributeError):
        return ""
    seccomp_version.restype = ctypes.POINTER(Version)
    version = seccomp_version().contents
    return f"{version.major}.{version.minor}.{version.micro}"


def commit() -> str:
    """The commit this build was made from, "" where the build did not know it."""
    try:
        from ociruntime._build import COMMIT  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return ""
    return str(COMMIT)


def version_text() -> str:
    """The lines of `--version`; go-runc and dockerd look for "version", "commit:" and "spec:" in them."""
    facts = (("commit", commit() or "unknown"), ("spec", SPEC_VERSION), ("libseccomp", libseccomp_version()))
    lines = [f"ociruntime version {__version__}", *(f"{name}: {value}" for name, value in facts if value)]
    return "\n".join(lines) + "\n"
