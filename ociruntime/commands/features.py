"""Print what this runtime supports, as the features document of the specification (features.md).

It depends on the build alone, not on the host or its kernel.
"""

from __future__ import annotations

from ociruntime.cli import Arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SUMMARY = "print what this runtime supports"
USAGE = ""
OPERANDS = (0, 0)
OPTIONS = ()

_HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
# Annotations that change what the runtime does to the host; a dot at the end stands for all that follow.
_UNSAFE = ("org.systemd.property.", "run.oci.")


def document() -> dict[str, Any]:
    """The features document. Lists come from the planners' tables, so they cannot promise what is not there."""
    from ociruntime.core.plan.mountoptions import OPTIONS
    from ociruntime.version import SPEC_VERSION, SPEC_VERSION_MIN

    return {
        "ociVersionMin": SPEC_VERSION_MIN,
        "ociVersionMax": SPEC_VERSION,
        "hooks": list(_HOOKS),
        "mountOptions": sorted(OPTIONS),
        "linux": _linux(),
        "annotations": _annotations(),
        "potentiallyUnsafeConfigAnnotations": list(_UNSAFE),
    }


def _linux() -> dict[str, Any]:
    from ociruntime.core.plan.attributes import MEMORY_FLAGS, MEMORY_MODES
    from ociruntime.core.plan.capabilities import NAMES
    from ociruntime.core.plan.namespaces import FLAGS

    return {
        "namespaces": sorted(FLAGS),
        "capabilities": list(NAMES),
        "cgroup": {"v1": True, "v2": True, "systemd": True, "systemdUser": True, "rdma": True},
        "seccomp": _seccomp(),
        "apparmor": {"enabled": True},
        "selinux": {"enabled": True},
        "intelRdt": {"enabled": True, "schemata": True, "monitoring": True},
        "memoryPolicy": {"modes": list(MEMORY_MODES), "flags": list(MEMORY_FLAGS)},
        "mountExtensions": {"idmap": {"enabled": True}},
        "netDevices": {"enabled": True},
    }


def _seccomp() -> dict[str, Any]:
    from ociruntime.core.plan.seccomp import FLAGS
    from ociruntime.seccomp.compile import ACTIONS, ARCHITECTURES, OPERATORS

    return {
        "enabled": True,
        "actions": sorted(ACTIONS),
        "operators": sorted(OPERATORS),
        "archs": sorted(ARCHITECTURES),
        "knownFlags": list(FLAGS),
        "supportedFlags": list(FLAGS),
    }


def _annotations() -> dict[str, str]:
    from ociruntime import __version__
    from ociruntime.version import commit, libseccomp_version

    facts = {
        "io.github.seccomp.libseccomp.version": libseccomp_version(),
        "ociruntime.commit": commit(),
        "ociruntime.version": __version__,
    }
    return {name: value for name, value in facts.items() if value}


def run(args: Arguments) -> int:
    from ociruntime.core.jsonio import dumps
    from ociruntime.core.log import write

    write(1, dumps(document(), indent=4) + "\n")
    return 0
