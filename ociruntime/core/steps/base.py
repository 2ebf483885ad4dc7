"""What every step is, and what steps share while they run."""

from __future__ import annotations

from ociruntime.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel

    Call = tuple[int | bytes | None, ...]  # number and arguments; None is the result of the call before


# What a shell takes as it is
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-")


def quoted(*words: str) -> str:
    """Words as one types them into a shell (shlex would load re)."""
    return " ".join(
        word if word and not set(word) - PLAIN else "'" + word.replace("'", "'\\''") + "'" for word in words
    )


def in_rootfs(path: str) -> str:
    """An absolute path of the container as the plan shows it, from the directory of the bundle."""
    return f"rootfs{path}"


class Scene:
    """The handles that steps share at run time; planning never touches it.

    The parent fills it before the clone, the child inherits a copy with every descriptor
    (all of them CLOEXEC). A handle of -1 is not open.
    """

    def __init__(self) -> None:
        self.proc = -1  # O_PATH on a verified procfs of the host, opened before any namespace is entered
        self.rootfs = -1  # the tree of the root file system, mounted; every path beneath resolves through it
        self.first_fd = 3  # the first descriptor that is not the container's (--preserve-fds, LISTEN_FDS)
        self.pid = 0  # the container's init, in the runtime's pid namespace; 0 before the clone
        self.cgroup = -1  # the v2 cgroup directory for CLONE_INTO_CGROUP
        self.console = -1  # the container's side of its terminal, in the child
        self.handles: dict[str, int] = {}  # named descriptors one step leaves for a later one
        self.found: dict[str, bytes] = {}  # named facts one step leaves for a later one or for the tape

    def copy(self) -> Scene:
        """The child's own."""
        scene = Scene()
        scene.__dict__.update(self.__dict__, handles={**self.handles}, found={**self.found})
        return scene


class Step(Record):
    """One small deed. `origin` is the JSON pointer of the property that asks for it, "" for our own."""

    code = "step"  # of the failure when the kernel refuses it, see act.refused
    beside = False  # of ATTACH: nothing of ENTER has to wait for it
    origin: str = ""

    def describe(self) -> str:
        """The step as a person would type it into a shell."""
        raise NotImplementedError

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        """Do it. Raises OSError as the kernel refuses it, or a Failure with a better sentence."""
        raise NotImplementedError

    def calls(self, scene: Scene) -> list[Call]:
        """The same as plain system calls, where it is no more than that (launch/ahead.py). Should one of them fail, the
        step is applied, whatever the others have done.
        """
        return []

    def taken(self, scene: Scene) -> None:
        """These calls were made."""

    def undo(self, kernel: Kernel, scene: Scene) -> None:
        """Take back an effect that outlives the container's namespaces; does nothing twice, never raises."""
