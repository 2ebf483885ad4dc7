"""The clauses of the spec with the checks that judge them, one module per part of the spec."""

from __future__ import annotations

import importlib

MODULES = (
    "lifecycle",
    "state",
    "operations",
    "hooks",
    "document",
    "rootfs",
    "mounts",
    "mount_options",
    "process",
    "privileges",
    "namespaces",
    "devices",
    "cgroups",
    "resources",
    "seccomp",
    "confinement",
    "features",
)


def load() -> None:
    """Import every module, which fills the registry; the order is the order of reports."""
    for name in MODULES:
        importlib.import_module(f"conformance.checks.{name}")
