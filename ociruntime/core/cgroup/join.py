"""The way into the cgroups of a container that exists: for exec."""

from __future__ import annotations

import posix as os

from ociruntime.core import paths
from ociruntime.core.cgroup.files import read_text, write_text
from ociruntime.core.errors import ConfigError, HostError, StateError
from ociruntime.core.kernel.flags import O_PATH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.cgroup.files import CgroupRecord
    from ociruntime.core.kernel import Kernel


def sub_paths(record: CgroupRecord, wanted: tuple[str, ...] = ()) -> dict[str, str]:
    """The container's directories, or cgroups below them.

    wanted: paths, with the controllers that they are for on v1 ("cpu,memory:path"), as runc's --cgroup takes
    them. Raises ConfigError for a controller that the container does not have, and a path that leads out.
    """
    own: dict[str, str] = record.get("paths") or {}
    found = dict(own)
    for entry in wanted:
        names, colon, path = entry.rpartition(":")
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise ConfigError(f'cgroup "{entry}" leads out of the container by ".."', code="cgroup-path")
        for controller in names.split(",") if colon else own:
            if controller not in own:
                raise ConfigError(f'cgroup "{entry}": container has no {controller} cgroup', code="cgroup-path")
            found[controller] = "/".join((own[controller], *parts))
    return found


class Way:
    """Open handles by which a new process enters the container's cgroups.

    clone  directory for clone3(CLONE_INTO_CGROUP), -1 where there is no unified hierarchy
    tasks  for the child: `enter` writes to them, before it gives up the parent's credentials
    """

    def __init__(self, clone: int, tasks: list[int], unified: str, record: CgroupRecord) -> None:
        self.clone = clone
        self.tasks = tasks
        self.unified = unified
        self.record = record

    def enter(self, kernel: Kernel) -> None:
        """In the child, single-threaded: join the v1 cgroups (see steps.cgroup.EnterTasks for why so)."""
        for fd in self.tasks:
            kernel.write(fd, b"0")

    def push(self, kernel: Kernel, pid: int) -> None:
        """In the parent: move a child that clone3 could not start in the unified cgroup. Raises HostError."""
        if not self.unified:
            return
        try:
            write_text(kernel, f"{self.unified}/cgroup.procs", str(pid))
        except PermissionError as error:
            if self.record.get("driver") != "systemd":
                raise HostError(
                    f"cannot join the container's cgroup {self.unified}",
                    code="cgroup-join", errno=error.errno or 0,
                    hint="run the runtime itself in a cgroup of this user: systemd-run --user --scope ociruntime ...",
                ) from None  # fmt: skip
            # An ordinary user in a login session is not in his systemd's part of the tree, but systemd may move him.
            from ociruntime.core.cgroup.systemd import attach

            attach(self.record["unit"], pid, user=bool(self.record.get("user")))

    def close(self, kernel: Kernel) -> None:
        for fd in (self.clone, *self.tasks):
            if fd >= 0:
                kernel.close(fd)
        self.clone, self.tasks = -1, []


def open_way(kernel: Kernel, record: CgroupRecord, wanted: tuple[str, ...] = (), init: int = 0) -> Way:
    """The way into the container's cgroups, or into those below them that are wanted (see sub_paths).

    init: pid of the container's init. Where the container has divided its v2 cgroup, nobody can live in
    the cgroup itself any more (EBUSY, "no internal processes" in cgroups(7)); the init's own is taken then.
    Raises StateError where a cgroup does not exist.
    """
    paths = sub_paths(record, wanted)
    if [entry for entry in wanted if ":" not in entry]:
        paths = _where_there_is_one(kernel, record, paths)
    unified = paths.pop("", "")
    if unified and init and not wanted:
        unified = _habitable(kernel, unified, init)
    tasks: list[int] = []
    clone = -1
    try:
        for path in dict.fromkeys(paths.values()):
            tasks.append(kernel.open(f"{path}/tasks", os.O_WRONLY))
        if unified:
            clone = kernel.open(unified, O_PATH | os.O_DIRECTORY)
    except FileNotFoundError as error:
        Way(clone, tasks, "", record).close(kernel)
        raise StateError(f"cgroup {error.filename} does not exist", code="cgroup-gone", errno=2) from None
    return Way(clone, tasks, unified, record)


def _where_there_is_one(kernel: Kernel, record: CgroupRecord, paths: dict[str, str]) -> dict[str, str]:
    """A path without controllers counts in the hierarchies that have such a cgroup, if any has (as with crun)."""
    own: dict[str, str] = record.get("paths") or {}
    missing = []
    for controller, path in paths.items():
        try:
            kernel.stat(path)
        except FileNotFoundError:
            missing.append(controller)
    if len(missing) == len(paths):
        return paths
    return {controller: own[controller] if controller in missing else path for controller, path in paths.items()}


def _habitable(kernel: Kernel, path: str, init: int) -> str:
    """`path`, or the init's cgroup beneath it where `path` has controllers for its children."""
    try:
        if not read_text(kernel, f"{path}/cgroup.subtree_control").strip():
            return path
        lines = read_text(kernel, f"/proc/{init}/cgroup").splitlines()
    except OSError:
        return path
    own = next((line[3:] for line in lines if line.startswith("0::")), "")
    # The mount point is not in /proc/PID/cgroup; the container's own name is in both.
    head, found, below = own.partition("/" + paths.basename(path) + "/")
    return f"{path}/{below}" if found and path.endswith(head + "/" + paths.basename(path)) else path
