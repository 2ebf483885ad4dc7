"""The Plan while it is being written, and its stages in the order in which they run.

stage    who     where                                     what
HOST     parent  host, before the clone                    effects that outlive the container: undoable
OPEN     parent  host, before the clone                    handles that the child will inherit
------------------------------------------ clone3 -------------------------------------------
ATTACH   parent  host, the child waits (launch/ahead.py)   id maps, cgroup membership, devices to move
ENTER    child   new namespaces                            finish the namespaces
MOUNTS   child   container's mount namespace, host root    file systems
BESIDE   parent  host, while the child mounts              what the cgroups limit, devices above all
DEVICES  child   container's mount namespace, host root    devices, and everything else up to the pivot
ROOT     child   container's root                          pivot, masks, sysctl, names
PROCESS  child   container's root                          attributes that survive execve
-------------------------------- execve of the tape player ----------------------------------
LIMITS   parent  host, the child waits for `start`         limits too small for hooks and an interpreter
last     player  container's root, at `start`              the tape: seccomp, identity, program
"""

from __future__ import annotations

from ociruntime.core.record import Record
from ociruntime.core.steps.base import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.options import CreateOptions, Globals
    from ociruntime.core.spec.types import Spec

HOST = "host"
OPEN = "open"
ATTACH = "attach"
ENTER = "enter"
MOUNTS = "mounts"
BESIDE = "beside"
DEVICES = "devices"
ROOT = "root"
PROCESS = "process"
LIMITS = "limits"
CAP_SYS_ADMIN = 21
STAGES = (HOST, OPEN, ATTACH, ENTER, MOUNTS, BESIDE, DEVICES, ROOT, PROCESS, LIMITS)


class Host(Record):
    """The facts about this host that a plan depends on. Tests invent them; `probe_host` reads them."""

    euid: int = 0
    cgroup: str = "v2"  # "v2" (unified), "v1" (legacy or hybrid) or "none"
    cgroup_mounts: dict[str, str] = {}  # noqa: RUF012 -- v1 controller (or "name=systemd") to mount point; "" is v2
    cgroup_self: dict[str, str] = {}  # noqa: RUF012 -- the same keys to the runtime's own cgroup path
    capabilities: int = (1 << 41) - 1  # the runtime's own: what a container without a new user namespace can be given
    last_capability: int = 63  # the highest number that the kernel knows
    resctrl: str = ""  # mount point of Intel RDT's file system; "": to be looked for if it is needed
    in_userns: bool = False  # the runtime itself runs in a user namespace that is not the initial one
    lends: bool = True  # the interpreter is one whose memory a child can borrow (native/borrow.h)

    @property
    def mounts(self) -> bool:
        """Whether the runtime itself may mount: root may, but not in an engine's usual container."""
        return not self.euid and bool(self.capabilities >> CAP_SYS_ADMIN & 1)


class Join(Record):
    """A namespace that exists already and is joined by path."""

    type: str  # the spec's name: "network"
    path: str
    origin: str


class LastCall(Record):
    """One system call of the tape, played after `start` (launch/tape.py).

    `args` may hold ints, None, bytes (put into the tape's data) and the markers of plan/last.py, which are
    resolved by the child when it writes the tape (launch/transcribe.py).
    """

    name: str  # as in the man page: "setresuid"
    args: tuple[object, ...] = ()
    shown: str = ""  # in the words of a shell
    origin: str = ""
    ignore: bool = False  # a failure does not matter
    nonzero: bool = False  # result 0 means that the peer is gone
    when: str = ""  # only if a step left this name in scene.found


class Plan(Record):
    """Everything that will be done."""

    id: str
    bundle: str
    rootfs: str  # absolute
    stages: dict[str, list[Step]]
    unshare: int = 0  # CLONE_NEW* flags of the namespaces to create
    time_offsets: bytes = b""  # for /proc/self/timens_offsets, before the clone
    lends: bool = False  # whether the init may borrow the runtime's memory (plan/namespaces.py, lends)
    joins: list[Join] = []  # noqa: RUF012 -- class-level default, never mutated
    last: list[LastCall] = []  # noqa: RUF012
    warnings: list[str] = []  # noqa: RUF012
    remarks: list[str] = []  # noqa: RUF012
    cgroup: dict[str, object] = {}  # noqa: RUF012 -- what the state file keeps of the cgroups (core/cgroup)
    rdt: dict[str, object] = {}  # noqa: RUF012 -- the same of Intel RDT (core/resctrl.py)
    listener: dict[str, str] = {}  # noqa: RUF012 -- and of who hears of the filter's notifications (launch/listener.py)


class Draft:
    """What the planners of the features share: the spec and the choices, and the stages they append to."""

    def __init__(self, spec: Spec, container_id: str, options: CreateOptions, g: Globals, host: Host) -> None:
        self.spec = spec
        self.id = container_id
        self.options = options
        self.globals = g
        self.host = host
        self.bundle = options.bundle
        self.rootfs = ""
        self.stages: dict[str, list[Step]] = {stage: [] for stage in STAGES}
        self.unshare = 0
        self.lends = False
        self.time_offsets = b""
        self.joins: list[Join] = []
        self.last: list[LastCall] = []
        self.cgroup: dict[str, object] = {}
        self.rdt: dict[str, object] = {}
        self.listener: dict[str, str] = {}
        self.warnings: list[str] = []  # what config.json asks for and nobody gets, and that is no error
        self.remarks: list[str] = []  # the same, of interest with --debug only
        self.env: dict[str, str] = {}  # what the runtime adds to the program's environment, e.g. NOTIFY_SOCKET

    def add(self, stage: str, step: Step) -> None:
        self.stages[stage].append(step)

    def plan(self) -> Plan:
        return Plan(
            id=self.id,
            bundle=self.bundle,
            rootfs=self.rootfs,
            stages=self.stages,
            unshare=self.unshare,
            lends=self.lends,
            time_offsets=self.time_offsets,
            joins=self.joins,
            last=self.last,
            warnings=self.warnings,
            remarks=self.remarks,
            cgroup=self.cgroup,
            rdt=self.rdt,
            listener=self.listener,
        )
