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
_ACTIONS = "ALLOW ERRNO KILL KILL_PROCESS KILL_THREAD LOG NOTIFY TRACE TRAP".split()
_OPERATORS = "EQ GE GT LE LT MASKED_EQ NE".split()
# Those of the specification that libseccomp 2.5 knows as well.
_ARCHITECTURES = (
    "AARCH64 ARM MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PARISC PARISC64 PPC PPC64 PPC64LE RISCV64 "
    "S390 S390X X32 X86 X86_64"
).split()
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

    return {
        "enabled": True,
        "actions": ["SCMP_ACT_" + action for action in _ACTIONS],
        "operators": ["SCMP_CMP_" + operator for operator in _OPERATORS],
        "archs": ["SCMP_ARCH_" + architecture for architecture in _ARCHITECTURES],
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
