"""Compiled filters, kept by the digest of their profile."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ociruntime.core.kernel import Kernel


def compiled(kernel: Kernel, profile: Mapping[str, Any], origin: str, *, rootless: bool) -> bytes:
    """The instructions of a profile, from the cache or from libseccomp."""
    from ociruntime.seccomp.compile import compile_profile

    return compile_profile(profile, origin)
