"""A profile to instructions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def compile_profile(profile: Mapping[str, Any], origin: str) -> bytes:
    """The instructions (struct sock_filter, eight bytes each)."""
    raise NotImplementedError(origin)
