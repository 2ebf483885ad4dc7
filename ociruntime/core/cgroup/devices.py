"""The program that decides by device rules in a v2 cgroup, which has no devices files.

A BPF program of type CGROUP_DEVICE answers each mknod(2) and open(2) of a device with 1 (allowed) or 0
(linux/bpf.h, kernel/bpf/cgroup.c).
"""

from __future__ import annotations

import posix as os

from ociruntime.core.cgroup.device_rules import ANY
from ociruntime.core.kernel import _door
from ociruntime.core.kernel.files import u32, u64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.cgroup.device_rules import Rule
    from ociruntime.core.kernel import Kernel

# linux/bpf.h
BPF_PROG_LOAD = 5
BPF_PROG_ATTACH = 8
BPF_PROG_DETACH = 9
BPF_PROG_GET_FD_BY_ID = 13
BPF_OBJ_GET_INFO_BY_FD = 15
BPF_PROG_QUERY = 16
BPF_PROG_TYPE_CGROUP_DEVICE = 15
BPF_CGROUP_DEVICE = 6
BPF_F_ALLOW_MULTI = 2
BPF_F_REPLACE = 4
TYPES = {"b": 1, "c": 2}  # BPF_DEVCG_DEV_BLOCK, BPF_DEVCG_DEV_CHAR
ACCESS = {"m": 1, "r": 2, "w": 4}  # BPF_DEVCG_ACC_MKNOD, _READ, _WRITE
EVERY_ACCESS = 7

# linux/bpf_common.h: class, size, operation and source of an instruction
LDX_W = 0x61
AND32_K, AND32_X, RSH32_K, MOV32_K, MOV32_X = 0x54, 0x5C, 0x74, 0xB4, 0xBC
JEQ_K, JNE_K, EXIT = 0x15, 0x55, 0x95
NAME = b"oci_devices"  # of the program, for bpftool and for us

R0, CONTEXT, TYPE, ASKED, MAJOR, MINOR, SCRATCH = 0, 1, 2, 3, 4, 5, 6


def access_bits(access: str) -> int:
    bits = 0
    for letter in access:
        bits |= ACCESS[letter]
    return bits


def instruction(code: int, register: int = 0, source: int = 0, *, offset: int = 0, value: int = 0) -> bytes:
    """struct bpf_insn: opcode, registers, jump offset, immediate."""
    return bytes((code, register | source << 4)) + (offset & 0xFFFF).to_bytes(2, "little") + u32(value)


def assemble(rules: tuple[Rule, ...]) -> bytes:
    """The program: the rules from the last to the first, each settling the kinds of access it speaks of.

    ASKED holds what nobody has decided yet; a deny of any of it answers 0, nothing left answers 1.
    """
    # struct bpf_cgroup_dev_ctx: access_type (access << 16 | type), major, minor
    program = [
        instruction(LDX_W, TYPE, CONTEXT),
        instruction(MOV32_X, ASKED, TYPE),
        instruction(AND32_K, TYPE, value=0xFFFF),
        instruction(RSH32_K, ASKED, value=16),
        instruction(LDX_W, MAJOR, CONTEXT, offset=4),
        instruction(LDX_W, MINOR, CONTEXT, offset=8),
    ]
    for allow, kind, major, minor, access in reversed(rules):
        bits = access_bits(access)
        verdict = _verdict(allow, bits)
        conditions = [(TYPE, TYPES[kind])] if kind != "a" else []
        conditions += [(register, wanted) for register, wanted in ((MAJOR, major), (MINOR, minor)) if wanted != ANY]
        for number, (register, wanted) in enumerate(conditions):
            skip = len(conditions) - number - 1 + len(verdict)
            program.append(instruction(JNE_K, register, offset=skip, value=wanted))
        program += verdict
        if not conditions and bits == EVERY_ACCESS:
            return b"".join(program)  # nothing gets past this one; the verifier refuses dead code
    return b"".join([*program, instruction(MOV32_K, R0, value=1), instruction(EXIT)])


def _verdict(allow: bool, bits: int) -> list[bytes]:
    """What to do with an access to a device that a rule is about."""
    answer = [instruction(MOV32_K, R0, value=1 if allow else 0), instruction(EXIT)]
    if bits == EVERY_ACCESS:
        return answer
    if allow:
        return [instruction(AND32_K, ASKED, value=EVERY_ACCESS & ~bits), instruction(JNE_K, ASKED, offset=2), *answer]
    return [
        instruction(MOV32_X, SCRATCH, ASKED),
        instruction(AND32_K, SCRATCH, value=bits),
        instruction(JEQ_K, SCRATCH, offset=2),
        *answer,
    ]


def load(kernel: Kernel, program: bytes) -> int:
    """Load a program (BPF_PROG_LOAD); a descriptor. Raises OSError."""
    license_text = b"Apache-2.0\0"
    attributes = (
        u32(BPF_PROG_TYPE_CGROUP_DEVICE)
        + u32(len(program) // 8)
        + u64(_door.addressof(program))
        + u64(_door.addressof(license_text))
        + bytes(24)  # log_level, log_size, log_buf, kern_version, prog_flags
        + NAME.ljust(16, b"\0")
    )
    return kernel.bpf(BPF_PROG_LOAD, attributes)


def attached(kernel: Kernel, directory: int) -> list[int]:
    """The ids of the device programs attached to a cgroup itself (BPF_PROG_QUERY)."""
    ids = bytearray(4 * 64)
    attributes = bytearray(
        u32(directory) + u32(BPF_CGROUP_DEVICE) + bytes(8) + u64(_door.addressof(ids)) + u32(64) + bytes(4)
    )
    kernel.bpf(BPF_PROG_QUERY, attributes)
    count = int.from_bytes(attributes[24:28], "little")
    return [int.from_bytes(ids[4 * at : 4 * at + 4], "little") for at in range(count)]


def is_ours(kernel: Kernel, program: int) -> bool:
    """Whether a loaded program has our name (BPF_OBJ_GET_INFO_BY_FD, struct bpf_prog_info)."""
    info = bytearray(80)
    kernel.bpf(BPF_OBJ_GET_INFO_BY_FD, u32(program) + u32(len(info)) + u64(_door.addressof(info)))
    return bytes(info[64:80]).rstrip(b"\0") == NAME


def replace_filter(kernel: Kernel, path: str, rules: tuple[Rule, ...]) -> None:
    """Let these rules decide for a v2 cgroup, from one moment to the next. Raises OSError.

    Programs of others stay: systemd's, or a hook's that added a device. An access needs the yes of each. One
    of ours is exchanged in one step (BPF_F_REPLACE, Linux 5.6); were there several, the new one comes
    first and the old ones go then, so that never more is allowed.
    """
    directory = kernel.open(path, os.O_RDONLY | os.O_DIRECTORY)
    opened = [directory]
    try:
        program = load(kernel, assemble(rules))
        opened.append(program)
        old = []
        for number in attached(kernel, directory):
            opened.append(kernel.bpf(BPF_PROG_GET_FD_BY_ID, u32(number) + bytes(8)))
            if is_ours(kernel, opened[-1]):
                old.append(opened[-1])
        target = u32(directory) + u32(program) + u32(BPF_CGROUP_DEVICE)
        if len(old) == 1:
            kernel.bpf(BPF_PROG_ATTACH, target + u32(BPF_F_ALLOW_MULTI | BPF_F_REPLACE) + u32(old[0]))
            return
        kernel.bpf(BPF_PROG_ATTACH, target + u32(BPF_F_ALLOW_MULTI) + bytes(4))
        for fd in old:
            kernel.bpf(BPF_PROG_DETACH, u32(directory) + u32(fd) + u32(BPF_CGROUP_DEVICE))
    finally:
        for fd in opened:
            kernel.close(fd)
