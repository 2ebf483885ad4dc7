"""The five capability sets of a process (capabilities(7); config.md, Linux Process).

What cannot be granted is warned about and left out, never an error ("MUST NOT generate an error", config.md):
a name that is unknown, a capability that the runtime has not got itself, and one whose set depends on
another set that lacks it.
"""

from __future__ import annotations

from ociruntime.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Their place is their number (linux/capability.h); CAP_CHECKPOINT_RESTORE came with Linux 5.9
NAMES = tuple(
    "CAP_" + name
    for name in (
        "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE "
        "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT "
        "SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE "
        "AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ "
        "PERFMON BPF CHECKPOINT_RESTORE"
    ).split()
)
NUMBERS = {name: number for number, name in enumerate(NAMES)}
ALL = (1 << len(NAMES)) - 1

DAC_OVERRIDE = 1 << NUMBERS["CAP_DAC_OVERRIDE"]
SYS_ADMIN = 1 << NUMBERS["CAP_SYS_ADMIN"]

VERSION_3 = 0x20080522  # _LINUX_CAPABILITY_VERSION_3: two words for each set


class CapabilitySets(Record):
    """One bit for each capability."""

    bounding: int = 0
    effective: int = 0
    permitted: int = 0
    inheritable: int = 0
    ambient: int = 0
    warnings: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()  # of interest with --debug only


def capability_sets(wanted: Mapping[str, Sequence[str]] | None, grantable: int) -> CapabilitySets:
    """The sets to apply, without what cannot be granted.

    Warnings tell of capabilities that are unknown or beyond the runtime, remarks of those that one set lacks
    because of another: `runc spec` itself writes ambient ones that are not inheritable, so that is no news.

    No capabilities object means none at all, as with runc and crun. Inheritable follows the document alone:
    a runtime that fills it by itself hands capabilities to every program with file capabilities
    (CVE-2022-24769, CVE-2022-27650, CVE-2022-29162).
    """
    unknown: list[str] = []
    remarks: list[str] = []
    masks = {}
    for kind in ("bounding", "effective", "permitted", "inheritable", "ambient"):
        masks[kind] = _mask((wanted or {}).get(kind) or (), unknown)
    warnings = [f"capability {name!r} is unknown, ignored" for name in unknown]

    def limit(kind: str, mask: int, reason: str) -> None:
        refused = masks[kind] & ~mask
        masks[kind] &= mask
        if refused:
            remarks.append(f"{', '.join(names(refused))} cannot be granted in the {kind} set, ignored: {reason}")

    missing = 0
    for kind in masks:
        missing |= masks[kind] & ~grantable
        masks[kind] &= grantable
    if missing:
        warnings.append(f"{', '.join(names(missing))} cannot be granted, ignored: the runtime has not got it itself")
    # What capset(2) and prctl(2) demand of each other's sets; EPERM otherwise
    limit("effective", masks["permitted"], "it is not in the permitted set")
    limit("inheritable", masks["bounding"], "it is not in the bounding set")
    limit("ambient", masks["permitted"] & masks["inheritable"], "it is not both permitted and inheritable")
    return CapabilitySets(warnings=tuple(warnings), remarks=tuple(remarks), **masks)


def names(mask: int) -> list[str]:
    """The names of the capabilities in a set, in the order of their numbers."""
    return [name for number, name in enumerate(NAMES) if mask >> number & 1]


def capset_data(effective: int, permitted: int, inheritable: int) -> bytes:
    """struct __user_cap_data_struct[2] (capset(2)): three words for the low half of each set, three for the high."""
    low = [part & 0xFFFFFFFF for part in (effective, permitted, inheritable)]
    high = [part >> 32 for part in (effective, permitted, inheritable)]
    return b"".join(word.to_bytes(4, "little") for word in (*low, *high))


CAPSET_SELF = VERSION_3.to_bytes(4, "little") + bytes(4)  # struct __user_cap_header_struct: version, pid 0


def _mask(listed: Sequence[str], unknown: list[str]) -> int:
    mask = 0
    for name in listed:
        number = NUMBERS.get(name)
        if number is not None:
            mask |= 1 << number
        elif name not in unknown:
            unknown.append(name)
    return mask
