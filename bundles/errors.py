"""What can go wrong, said in one line for people: lower case, the object named, a hint where one helps."""

from __future__ import annotations


class BundleError(Exception):
    """A bundle cannot be built or run; the text says which and why."""


class RefusedError(BundleError):
    """An archive or directory holds something that could touch more than the root it is unpacked to."""
