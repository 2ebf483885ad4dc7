"""The clone: new namespaces, joined namespaces, and the cgroup it is born into.

Namespaces that exist already are joined by the process that clones, just before, so that the child is
born in them: a child in a new user namespace could no longer join a namespace owned by its parent's
(setns(2), EPERM). The parent then returns to its own. Two kinds cannot be done so: the mount namespace
takes the root directory along, so the child joins it; and from a user namespace there is no way back,
so a process in between joins it and clones a sibling of its own (CLONE_PARENT), then ends. So does one
where the caller lacks the privilege to return to what it came from.
"""

from __future__ import annotations

import posix as os

from ociruntime.core import paths
from ociruntime.core.errors import Failure, StepError
from ociruntime.core.kernel.flags import (
    CLONE_INTO_CGROUP,
    CLONE_NEWCGROUP,
    CLONE_NEWTIME,
    CLONE_NEWUSER,
    CLONE_PARENT,
)
from ociruntime.core.plan.namespaces import FILES, FLAGS
from ociruntime.core.steps.namespaces import namespaces_refused, unshare_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ociruntime.core.kernel import Kernel
    from ociruntime.core.plan.draft import Plan
    from ociruntime.core.steps.base import Scene

    Clone = Callable[[int, int], int]  # (flags, descriptor of a cgroup): 0 in the child, its process id in the parent

# ENOSYS EPERM EINVAL EBUSY EOPNOTSUPP EACCES: an old kernel, an outer seccomp filter, a cgroup of another type;
# ENOENT: the cgroup is outside of a cgroup namespace just joined, which nsdelegate lets nobody leave (cgroup-v2.rst)
NOT_INTO_CGROUP = (38, 1, 22, 16, 95, 13, 2)


def clone_init(kernel: Kernel, plan: Plan, scene: Scene, clone: Clone) -> int:
    """Clone the container's init: 0 in the child; in the parent its process id, which is scene.pid from the first
    moment, whatever fails afterwards. Raises Failure.

    `clone` is kernel.clone3, or another that takes the same arguments (Launch.clone).
    """
    if any(join.type == "user" for join in plan.joins):
        return _clone_through_user(kernel, plan, scene)
    back = _ways_back(kernel, plan)
    if back is None:
        return _clone_through_user(kernel, plan, scene)
    return _clone_and_return(kernel, plan, scene, back, clone)


def _own_time(plan: Plan) -> bool:
    """Whether the clone is to be born in a time namespace that its parent makes."""
    return bool(plan.unshare & CLONE_NEWTIME) and not plan.unshare & CLONE_NEWUSER


def _ways_back(kernel: Kernel, plan: Plan) -> list[tuple[int, int]] | None:
    """Our own namespaces of the kinds to be left for a moment; None where one would not take us back.

    setns(2) wants privilege over the owner of the namespace: root in podman's user namespace without root on the
    host could join the container's network, but never return to the host's.
    """
    back: list[tuple[int, int]] = []
    kinds = [join.type for join in plan.joins if join.type != "mount"] + ["time"] * _own_time(plan)
    for kind in kinds:
        back.append((_own(kernel, kind), FLAGS[kind]))
        try:
            kernel.setns(*back[-1])
        except PermissionError:
            for fd, _ in back:
                kernel.close(fd)
            return None
    return back


def _clone_and_return(kernel: Kernel, plan: Plan, scene: Scene, back: list[tuple[int, int]], clone: Clone) -> int:
    pid = -1
    try:
        for join in plan.joins:
            if join.type != "mount":
                _join(kernel, scene, join.type, join.origin)
        if _own_time(plan):
            unshare_time(kernel, scene, plan.time_offsets)
        pid = _clone(clone, scene, plan.unshare & ~(CLONE_NEWTIME | CLONE_NEWCGROUP))
    except OSError as error:
        raise namespaces_refused(error) from None
    finally:
        if pid:  # the child stays where it is
            scene.pid = max(pid, 0)
            for fd, flag in reversed(back):
                kernel.setns(fd, flag)
                kernel.close(fd)
    return pid


def _own(kernel: Kernel, kind: str) -> int:
    return kernel.open(f"/proc/self/ns/{FILES[kind]}", os.O_RDONLY)


def _join(kernel: Kernel, scene: Scene, kind: str, origin: str) -> None:
    try:
        kernel.setns(scene.handles[f"ns:{kind}"], FLAGS[kind])
    except OSError as error:
        raise StepError(
            f"cannot join the {kind} namespace", code="namespace-join", errno=error.errno or 0, origin=origin
        ) from None


def _clone(clone: Clone, scene: Scene, flags: int) -> int:
    """clone3(2), into the cgroup where there is one; the door falls back to clone(2) where there is no clone3."""
    if scene.cgroup >= 0:
        try:
            pid = clone(flags | CLONE_INTO_CGROUP, scene.cgroup)
            scene.handles["cgroup-joined"] = -1  # a word, no handle: the child shall have none on the host's cgroups
            return pid
        except OSError as error:
            if error.errno not in NOT_INTO_CGROUP:
                raise  # anything else would fail without the cgroup too; these join it afterwards
    return clone(flags, 0)


def _clone_through_user(kernel: Kernel, plan: Plan, scene: Scene) -> int:
    flags = plan.unshare & ~(CLONE_NEWTIME | CLONE_NEWCGROUP)
    scene.pid = clone_beyond(kernel, flags, lambda: _user_in_time(kernel, plan, scene))
    return scene.pid


def clone_beyond(kernel: Kernel, flags: int, prepare: Callable[[], None]) -> int:
    """Clone from a process in between, which does `prepare`, clones a sibling of its own and ends.

    For namespaces that the caller could not return from. 0 in the child, which is the caller's (CLONE_PARENT), its
    process id in the caller. Raises what `prepare` raises, as StepError.
    """
    reader, writer = os.pipe()
    between = kernel.fork()
    if between:
        kernel.close(writer)
        answer = kernel.read(reader, 4096)
        kernel.close(reader)
        kernel.waitpid(between)
        return _answered(answer)
    try:
        try:
            prepare()
            pid = kernel.clone3(flags | CLONE_PARENT)
            if pid == 0:
                return 0
            answer = b"%d" % pid
        except (OSError, Failure) as error:
            origin = error.origin if isinstance(error, Failure) else "/linux/namespaces"
            answer = b"%d %s" % (-(error.errno or 5), paths.fsencode(origin))
        kernel.write(writer, answer)
    except BaseException:  # noqa: BLE001 -- nothing may reach the parent's code above the fork; silence is an answer
        os._exit(1)
    os._exit(0)


def _answered(answer: bytes) -> int:
    number, _, origin = answer.partition(b" ")
    if number and int(number) > 0:
        return int(number)
    raise StepError(
        "cannot enter the container's namespaces",
        code="namespace-join",
        errno=-int(number or b"-5"),
        origin=paths.fsdecode(origin),
    )


def _user_in_time(kernel: Kernel, plan: Plan, scene: Scene) -> None:
    """Join what this process may join now, then the user namespace, then what only that one allows."""
    later = []
    for join in plan.joins:
        if join.type in ("user", "mount"):
            continue
        try:
            kernel.setns(scene.handles[f"ns:{join.type}"], FLAGS[join.type])
        except PermissionError:
            later.append(join)
    for join in [join for join in plan.joins if join.type == "user"] + later:
        _join(kernel, scene, join.type, join.origin)
    if _own_time(plan):
        unshare_time(kernel, scene, plan.time_offsets)
