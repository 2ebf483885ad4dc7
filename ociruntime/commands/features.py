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
# As linux/capability.h counts them.
_CAPABILITIES = (
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
)
_ACTIONS = ("ALLOW", "ERRNO", "KILL", "KILL_PROCESS", "KILL_THREAD", "LOG", "NOTIFY", "TRACE", "TRAP")
_OPERATORS = ("EQ", "GE", "GT", "LE", "LT", "MASKED_EQ", "NE")
# Those of the specification that libseccomp 2.5 knows as well.
_ARCHITECTURES = (
    "AARCH64",
    "ARM",
    "MIPS",
    "MIPS64",
    "MIPS64N32",
    "MIPSEL",
    "MIPSEL64",
    "MIPSEL64N32",
    "PARISC",
    "PARISC64",
    "PPC",
    "PPC64",
    "PPC64LE",
    "RISCV64",
    "S390",
    "S390X",
    "X32",
    "X86",
    "X86_64",
)
_SECCOMP_FLAGS = ("TSYNC", "LOG", "SPEC_ALLOW", "WAIT_KILLABLE_RECV")
_MEMORY_MODES = ("DEFAULT", "BIND", "INTERLEAVE", "WEIGHTED_INTERLEAVE", "PREFERRED", "PREFERRED_MANY", "LOCAL")
_MEMORY_FLAGS = ("NUMA_BALANCING", "RELATIVE_NODES", "STATIC_NODES")
# Annotations that change what the runtime does to the host; a dot at the end stands for all that follow.
_UNSAFE = ("org.systemd.property.", "run.oci.")


def document() -> dict[str, Any]:
    """The features document."""
    from ociruntime.core.plan.mountoptions import OPTIONS as mount_options
    from ociruntime.version import SPEC_VERSION, SPEC_VERSION_MIN

    return {
        "ociVersionMin": SPEC_VERSION_MIN,
        "ociVersionMax": SPEC_VERSION,
        "hooks": list(_HOOKS),
        "mountOptions": sorted(mount_options),
        "linux": _linux(),
        "annotations": _annotations(),
        "potentiallyUnsafeConfigAnnotations": list(_UNSAFE),
    }


def _linux() -> dict[str, Any]:
    from ociruntime.core.plan.namespaces import FLAGS as namespaces

    return {
        "namespaces": sorted(namespaces),
        "capabilities": ["CAP_" + name for name in _CAPABILITIES],
        "cgroup": {"v1": True, "v2": True, "systemd": False, "systemdUser": False, "rdma": True},
        "seccomp": {
            "enabled": True,
            "actions": ["SCMP_ACT_" + action for action in _ACTIONS],
            "operators": ["SCMP_CMP_" + operator for operator in _OPERATORS],
            "archs": ["SCMP_ARCH_" + architecture for architecture in _ARCHITECTURES],
            "knownFlags": ["SECCOMP_FILTER_FLAG_" + flag for flag in _SECCOMP_FLAGS],
            "supportedFlags": ["SECCOMP_FILTER_FLAG_" + flag for flag in _SECCOMP_FLAGS],
        },
        "apparmor": {"enabled": True},
        "selinux": {"enabled": True},
        "intelRdt": {"enabled": True, "schemata": True, "monitoring": True},
        "memoryPolicy": {
            "modes": ["MPOL_" + mode for mode in _MEMORY_MODES],
            "flags": ["MPOL_F_" + flag for flag in _MEMORY_FLAGS],
        },
        "mountExtensions": {"idmap": {"enabled": True}},
        "netDevices": {"enabled": True},
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
