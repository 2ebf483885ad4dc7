"""Attributes of the process that survive execve(2): limits, priorities, groups, keyring.

Two of them are the parent's to set, because inside a user namespace nobody has the privilege: raising a
hard limit and lowering oom_score_adj ask for CAP_SYS_RESOURCE in the initial one (getrlimit(2), proc(5)).
"""

from __future__ import annotations

from ociruntime.core.errors import ConfigError, HostError, StepError
from ociruntime.core.kernel.flags import (
    IOPRIO_WHO_PROCESS,
    KEYCTL_DESCRIBE,
    KEYCTL_JOIN_SESSION_KEYRING,
    KEYCTL_SETPERM,
    PR_SET_NO_NEW_PRIVS,
)
from ociruntime.core.rootfs import read_proc, write_proc
from ociruntime.core.steps.base import Step, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.steps.base import Scene

EPERM = 1
EACCES = 13
EINVAL = 22
ENOSYS = 38
EDQUOT = 122

UNLIMITED = (1 << 64) - 1


class Limit(Step):
    """One resource limit; the values are unsigned, RLIM_INFINITY is 2**64-1 (getrlimit(2))."""

    name: str = ""  # as in the specification: "RLIMIT_NOFILE"
    number: int = 0
    soft: int = 0
    hard: int = 0

    def describe(self) -> str:
        soft, hard = ("unlimited" if value == UNLIMITED else str(value) for value in (self.soft, self.hard))
        return f"prlimit --{self.name.removeprefix('RLIMIT_').lower()}={soft}:{hard}"


class RaiseHardLimit(Limit):
    """Room for a limit that is above the runtime's own.

    Only room: the limit itself is set by the player, so that a small one never hits the runtime's own setup,
    and the container has exactly what was asked for (CPU time of setup included).
    """

    beside = True

    def describe(self) -> str:
        hard = "unlimited" if self.hard == UNLIMITED else self.hard
        return f"prlimit --pid $pid --{self.name.removeprefix('RLIMIT_').lower()}=:{hard}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        soft, hard = kernel.getrlimit(scene.pid, self.number)
        if self.hard <= hard:
            return
        try:
            kernel.prlimit(scene.pid, self.number, soft, self.hard)
        except OSError as error:
            hint = "raising a hard limit needs CAP_SYS_RESOURCE"
            if self.name == "RLIMIT_NOFILE":
                hint += ", and a number up to /proc/sys/fs/nr_open"
            raise StepError(
                f"cannot raise {self.name} from {hard} to {self.hard}", code="rlimit", errno=error.errno or 0, hint=hint
            ) from None


class SetOomScoreAdj(Step):
    """How likely the kernel's out-of-memory killer picks the process (proc(5))."""

    value: int = 0

    def describe(self) -> str:
        return f"echo {self.value} > /proc/$pid/oom_score_adj"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        name = f"{scene.pid}/oom_score_adj"
        try:
            write_proc(kernel, scene.proc, name, str(self.value).encode())
        except OSError as error:
            if error.errno not in (EPERM, EACCES) or int(read_proc(kernel, scene.proc, name)) != self.value:
                raise StepError(
                    f"cannot set oom_score_adj to {self.value}", code="oom-score-adj", errno=error.errno or 0,
                    hint="a value below the runtime's own needs CAP_SYS_RESOURCE",
                ) from None  # fmt: skip


class CheckIds(Step):
    """The user's ids exist in the container's user namespace: the player could only fail, and later."""

    uid: int = 0
    gid: int = 0

    def describe(self) -> str:
        return f"cat /proc/self/uid_map /proc/self/gid_map  # must map uid {self.uid} and gid {self.gid}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        for kind, number in (("uid", self.uid), ("gid", self.gid)):
            if not _mapped(read_proc(kernel, scene.proc, f"self/{kind}_map"), number):
                raise ConfigError(
                    f"{kind} {number} has no mapping in the container's user namespace", code="id-unmapped",
                    origin=f"{self.origin}/{kind}", hint=f"add it to linux.{kind}Mappings",
                )  # fmt: skip


def _mapped(table: bytes, number: int) -> bool:
    for line in table.splitlines():
        first, _, count = line.split()
        if int(first) <= number < int(first) + int(count):
            return True
    return False


class SetGroups(Step):
    """The supplementary groups, exactly these. A denied call is an error only if it would change something."""

    groups: tuple[int, ...] = ()

    def describe(self) -> str:
        if not self.groups:
            return "setpriv --clear-groups"
        return f"setpriv --groups {','.join(str(group) for group in self.groups)}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        try:
            kernel.setgroups(list(self.groups))
        except OSError as error:
            if error.errno == EINVAL:
                raise ConfigError(
                    f"a group of {list(self.groups)} has no mapping in the container's user namespace",
                    code="id-unmapped", origin=self.origin, hint="add it to linux.gidMappings",
                ) from None  # fmt: skip
            if error.errno != EPERM:
                raise
            if self.groups:
                raise HostError(
                    "cannot set additional groups: setgroups is denied in this user namespace", code="setgroups-denied",
                    origin=self.origin, errno=EPERM, hint="user_namespaces(7) tells when; leave out additionalGids",
                ) from None  # fmt: skip


class JoinKeyring(Step):
    """A session keyring of the container's own, or its programs would share the caller's keys (keyrings(7)).

    Best effort where the kernel has no keyrings, or the user's quota is used up.
    """

    name: str = ""
    search: int = 0  # the permission bit that lets `exec` find it (keyctl_setperm(3)); 0 leaves them alone
    label: str = ""

    def describe(self) -> str:
        return f"keyctl session {quoted(self.name)}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        if self.label:
            write_proc(kernel, scene.proc, "self/attr/keycreate", self.label.encode())
        try:
            serial = kernel.keyctl(KEYCTL_JOIN_SESSION_KEYRING, self.name.encode() + b"\0")
        except OSError as error:
            if error.errno not in (ENOSYS, EDQUOT):
                raise StepError(
                    "cannot join a new session keyring", code="keyring", errno=error.errno or 0,
                    hint="--no-new-keyring keeps the caller's",
                ) from None  # fmt: skip
            return
        finally:
            if self.label:
                write_proc(kernel, scene.proc, "self/attr/keycreate", b"")
        if self.search:
            description = bytearray(512)  # "keyring;uid;gid;permissions;name", the name of up to 260
            kernel.keyctl(KEYCTL_DESCRIBE, serial, description, len(description))
            permissions = int(description.split(b";")[3], 16)
            kernel.keyctl(KEYCTL_SETPERM, serial, permissions | self.search)


class SetPersonality(Step):
    """The execution domain: what uname(2) says of the machine (personality(2))."""

    persona: int = 0

    def describe(self) -> str:
        return "setarch linux32" if self.persona else f"setarch {os_machine()}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        kernel.personality(self.persona)


def os_machine() -> str:
    import posix as os

    return os.uname().machine


class SetScheduler(Step):
    """Scheduling policy and priority (sched_setattr(2))."""

    attributes: bytes = b""  # struct sched_attr
    policy: str = ""  # as in the specification
    shown: str = ""

    def describe(self) -> str:
        return self.shown

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        try:
            kernel.sched_setattr(0, self.attributes)
        except OSError as error:
            hint = ""
            if error.errno == EPERM:
                hint = "real-time policies and a lower nice value need CAP_SYS_NICE outside of any user namespace"
            elif error.errno == EINVAL:
                hint = "sched(7) tells which numbers go with which policy"
            raise StepError(
                f"cannot set the scheduling policy {self.policy}", code="scheduler", errno=error.errno or 0, hint=hint
            ) from None


class SetIoPriority(Step):
    """The priority of its input and output (ioprio_set(2)); children inherit it."""

    kind: int = 0  # 1 real time, 2 best effort, 3 idle
    priority: int = 0

    def describe(self) -> str:
        return f"ionice --class {self.kind} --classdata {self.priority} --pid $$"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        try:
            kernel.ioprio_set(IOPRIO_WHO_PROCESS, 0, self.kind << 13 | self.priority)
        except OSError as error:
            hint = "the real-time class needs CAP_SYS_ADMIN or CAP_SYS_NICE" if error.errno == EPERM else ""
            number = error.errno or 0
            raise StepError("cannot set the I/O priority", code="io-priority", errno=number, hint=hint) from None


class SetMemoryPolicy(Step):
    """Which NUMA nodes its memory comes from (set_mempolicy(2)); kept across execve."""

    mode: int = 0  # with the flags in its upper bits
    nodes: bytes = b""  # bit mask, whole 64 bit words
    words: str = ""

    def describe(self) -> str:
        return f"numactl {self.words}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        try:
            # The kernel uses one bit less than maxnode says (set_mempolicy(2), NOTES of get_mempolicy)
            kernel.set_mempolicy(self.mode, self.nodes, len(self.nodes) * 8 + 1 if self.nodes else 0)
        except OSError as error:
            raise StepError(
                f"cannot set the memory policy {self.words}", code="memory-policy", errno=error.errno or 0,
                hint="the nodes must exist and be allowed by cpuset.mems; numactl --hardware lists them",
            ) from None  # fmt: skip


class SetAffinity(Step):
    """The CPUs that a process may run on (sched_setaffinity(2)); its children inherit them."""

    cpus: tuple[int, ...] = ()
    shown: str = ""

    def describe(self) -> str:
        return f"taskset --cpu-list --pid {quoted(self.shown)} $$"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        try:
            kernel.sched_setaffinity(0, set(self.cpus))
        except OSError as error:
            raise StepError(
                f"cannot run on the CPUs {self.shown}", code="affinity", errno=error.errno or 0,
                hint="one of them at least must be online, and in the cpuset of the cgroup",
            ) from None  # fmt: skip


class SetUmask(Step):
    """Which permissions new files do not get (umask(2))."""

    mask: int = 0

    def describe(self) -> str:
        return f"umask {self.mask:04o}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        kernel.umask(self.mask)


class NoNewPrivileges(Step):
    """execve grants nothing from now on: no setuid bits, no file capabilities (prctl(2))."""

    def describe(self) -> str:
        return "setpriv --no-new-privs"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        kernel.prctl(PR_SET_NO_NEW_PRIVS, 1)
