"""config.json /process (config.md, Process), for the container's own program and for `exec`.

The order of the last calls, and why. All of them are made by the player, once `start` says so:

    write the label          needs the credentials of who opened the file, so before they change
    drop the bounding set    needs CAP_SETPCAP; not at `create`, since execve of the player would lose the rest
    keepcaps, ids            setresuid(2) away from 0 drops capabilities, unless PR_SET_KEEPCAPS
    capset, ambient          setresuid clears the effective and the ambient set
    cwd again                for a directory that only the user may enter
    limits                   late: a small one would hit our own setup (runc#4195)
    close_range              CVE-2024-21626: nothing but 0 to 2 and what was promised
    seccomp                  last, so that the profile need not allow any of the above; without noNewPrivileges
                             it needs CAP_SYS_ADMIN (seccomp(2)), which is kept until here for that
    capset                   gives CAP_SYS_ADMIN back, if the program is not to have it
    execve

What can fail is tried at `create` already: ids are looked up in the maps, hard limits raised, the program
and its directory found, label support checked.
"""

from __future__ import annotations

import posix as os

from ociruntime.core import paths
from ociruntime.core.errors import HostError
from ociruntime.core.kernel.flags import (
    AT_FDCWD,
    CLONE_NEWUSER,
    CLOSE_RANGE_CLOEXEC,
    O_PATH,
    PR_CAP_AMBIENT,
    PR_CAP_AMBIENT_CLEAR_ALL,
    PR_CAP_AMBIENT_RAISE,
    PR_CAPBSET_DROP,
    PR_SET_KEEPCAPS,
    RESOLVE_BENEATH,
    RESOLVE_NO_MAGICLINKS,
    RESOLVE_NO_XDEV,
)
from ociruntime.core.plan.attributes import attributes, limits
from ociruntime.core.plan.capabilities import (
    ALL,
    CAPSET_SELF,
    DAC_OVERRIDE,
    NAMES,
    SYS_ADMIN,
    CapabilitySets,
    capability_sets,
    capset_data,
    names,
)
from ociruntime.core.plan.draft import ATTACH, HOST, LIMITS, PROCESS, LastCall
from ociruntime.core.plan.last import Found, Handle, ResultOf, Strings
from ociruntime.core.plan.program import arguments, encode, environment, socket_activation
from ociruntime.core.record import Record
from ociruntime.core.steps.base import quoted
from ociruntime.core.steps.labels import CheckAppArmor, OpenLabelProc
from ociruntime.core.steps.process import (
    CheckIds,
    JoinKeyring,
    Limit,
    NoNewPrivileges,
    RaiseHardLimit,
    SetGroups,
    SetOomScoreAdj,
    SetUmask,
)
from ociruntime.core.steps.program import EnterCwd, FindHome, FindProgram

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from ociruntime.core.plan.draft import Draft
    from ociruntime.core.steps.base import Step

BPF_DATA = "run.oci.seccomp_bpf_data"  # of crun's: the filter itself
KEEP_GROUPS = "run.oci.keep_original_groups"  # an annotation of crun's that podman and buildah send

# The search permission of a keyring (keyctl_setperm(3)) that lets `exec` join it by name: for its user, or
# for others where the container's ids are mapped
KEY_USR_SEARCH = 0x00080000
KEY_OTH_SEARCH = 0x00000008


class Surroundings(Record):
    """What a process depends on besides its own document."""

    id: str
    origin: str = "/process"  # where the document lies: "" for a file of its own (`exec --process`)
    linux: Mapping[str, Any] = {}  # the container's linux object: seccomp, personality, memoryPolicy
    grantable: int = ALL  # capabilities that the process can get here
    last_capability: int = 63  # the highest number that the kernel knows
    new_user: bool = False  # in a user namespace of its own
    lends: bool = False  # the process borrows the runtime's memory at first (plan/namespaces.py, lends)
    every_id: bool = False  # every user and group id exists, as in the initial user namespace
    make_cwd: bool = True
    keyring: bool = True
    keep_groups: bool = False
    first_fd: int = 3  # the first descriptor that the program must not have
    extra_env: Mapping[str, str] = {}
    seccomp: LastCall | None = None
    seccomp_after: tuple[LastCall, ...] = ()  # hands the notify descriptor over (plan/seccomp.py)


class ProcessPlan:
    """Steps by stage and the last calls, for `create` and for `exec` alike."""

    def __init__(self, document: Mapping[str, Any], around: Surroundings) -> None:
        self.document = document
        self.around = around
        self.origin = around.origin
        self.caps = capability_sets(document.get("capabilities"), around.grantable)
        user = document.get("user") or {}
        self.uid: int = user.get("uid", 0)
        self.gid: int = user.get("gid", 0)
        self.args = arguments(document.get("args") or (), f"{self.origin}/args")
        self.env = environment(document.get("env") or (), around.extra_env, f"{self.origin}/env")
        self.stages: dict[str, list[Step]] = {}
        self.last: list[LastCall] = []

    def add(self, stage: str, step: Step) -> None:
        self.stages.setdefault(stage, []).append(step)

    def call(
        self, name: str, *args: object, shown: str = "", at: str = "", when: str = "", ignore: bool = False
    ) -> None:
        """One more last call; `at` is the property below the document that asks for it."""
        origin = self.origin + at if at else ""
        self.last.append(LastCall(name=name, args=args, shown=shown, origin=origin, when=when, ignore=ignore))


def contribute(draft: Draft) -> None:
    """The container's own program; a document without process is fine until `start` (runtime.md)."""
    document = draft.spec.get("process")
    if not document:
        return
    linux = draft.spec.get("linux") or {}
    annotations = draft.spec.get("annotations") or {}
    activated, told = socket_activation(paths.environ("LISTEN_"), os.getpid())
    new_user = bool(draft.unshare & CLONE_NEWUSER) or any(join.type == "user" for join in draft.joins)
    filter_call: LastCall | None = None
    after: tuple[LastCall, ...] = ()
    if linux.get("seccomp") or annotations.get(BPF_DATA):
        from ociruntime.core.plan import seccomp

        filter_call, after = seccomp.contribute(draft)
    around = Surroundings(
        id=draft.id,
        linux=linux,
        grantable=ALL if new_user else draft.host.capabilities,
        last_capability=draft.host.last_capability,
        new_user=new_user,
        lends=draft.lends,
        every_id=not new_user and not draft.host.in_userns,
        keyring=not draft.options.no_new_keyring,
        keep_groups=annotations.get(KEEP_GROUPS) == "1",
        first_fd=3 + activated + draft.options.preserve_fds,
        extra_env={**told, **draft.env},
        seccomp=filter_call,
        seccomp_after=after,
    )
    plan = plan_process(document, around)
    for stage, steps in plan.stages.items():
        for step in steps:
            draft.add(stage, step)
    draft.last.extend(plan.last)
    draft.warnings.extend(plan.caps.warnings)
    draft.remarks.extend(plan.caps.remarks)


def plan_process(document: Mapping[str, Any], around: Surroundings) -> ProcessPlan:
    """A process object to steps and last calls. Raises ConfigError or HostError for what cannot be."""
    plan = ProcessPlan(document, around)
    _by_the_parent(plan)
    _by_the_child(plan)
    _by_the_player(plan)
    return plan


def _by_the_parent(plan: ProcessPlan) -> None:
    document, origin = plan.document, plan.origin
    if document.get("apparmorProfile"):
        plan.add(HOST, CheckAppArmor(origin=f"{origin}/apparmorProfile", profile=document["apparmorProfile"]))
    if document.get("selinuxLabel"):
        from ociruntime.core.steps.selinux import CheckSelinux

        plan.add(HOST, CheckSelinux(origin=f"{origin}/selinuxLabel", label=document["selinuxLabel"]))
    for limit in limits(document, origin):
        plan.add(ATTACH, RaiseHardLimit(**limit))
    if document.get("oomScoreAdj") is not None:
        # It counts for all processes that have one memory (proc(5)): not before the player has its own. Else before the
        # child has other ids, whose files below /proc would not be the runtime's
        stage = LIMITS if plan.around.lends else ATTACH
        plan.add(stage, SetOomScoreAdj(origin=f"{origin}/oomScoreAdj", value=document["oomScoreAdj"]))

    _give_streams(plan)


def _give_streams(plan: ProcessPlan) -> None:
    """Pipes and terminals are the runtime's until then; root on the host needs no gift."""
    around, origin = plan.around, f"{plan.origin}/user"
    if not plan.uid and not around.new_user:
        return
    from ociruntime.core.steps.stdio import GiveConsole, GivePipes

    if plan.document.get("terminal"):
        plan.add(PROCESS, GiveConsole(origin=origin, uid=plan.uid))
        return
    uid, gid = plan.uid, plan.gid
    if around.new_user:
        uid = on_the_host(around.linux.get("uidMappings"), uid)
        gid = on_the_host(around.linux.get("gidMappings"), gid)
    if uid >= 0 and gid >= 0:
        plan.add(ATTACH, GivePipes(origin=origin, uid=uid, gid=gid))


def on_the_host(mappings: Any, number: int) -> int:
    """An id of the container as the runtime's namespace knows it, -1 for one that is not mapped."""
    for entry in mappings or ():
        if entry["containerID"] <= number < entry["containerID"] + entry["size"]:
            return entry["hostID"] + number - entry["containerID"]  # type: ignore[no-any-return]
    return -1


def _by_the_child(plan: ProcessPlan) -> None:
    document, origin, around = plan.document, plan.origin, plan.around
    user = document.get("user") or {}
    if not around.every_id:
        plan.add(PROCESS, CheckIds(origin=f"{origin}/user", uid=plan.uid, gid=plan.gid))
    if around.keyring:
        search = KEY_OTH_SEARCH if around.new_user else KEY_USR_SEARCH
        label = document.get("selinuxLabel") or ""
        plan.add(PROCESS, JoinKeyring(name=f"_ses.{around.id}", search=search, label=label))
    for step in attributes(document, origin, around.linux):
        plan.add(PROCESS, step)
    if not around.keep_groups:
        groups = tuple(user.get("additionalGids") or ())
        plan.add(PROCESS, SetGroups(origin=f"{origin}/user/additionalGids", groups=groups))
    plan.add(PROCESS, EnterCwd(origin=f"{origin}/cwd", path=document.get("cwd") or "/", make=around.make_cwd))
    _find_program(plan)
    if document.get("apparmorProfile") or document.get("selinuxLabel"):
        plan.add(PROCESS, OpenLabelProc(origin=origin))
    if document.get("noNewPrivileges"):
        plan.add(PROCESS, NoNewPrivileges(origin=f"{origin}/noNewPrivileges"))
    if user.get("umask") is not None:
        plan.add(PROCESS, SetUmask(origin=f"{origin}/user/umask", mask=user["umask"]))


def _find_program(plan: ProcessPlan) -> None:
    origin, uid, gid = plan.origin, plan.uid, plan.gid
    if plan.env.home:
        plan.add(PROCESS, FindHome(origin=f"{origin}/env", uid=uid))
    if plan.caps.ambient & DAC_OVERRIDE:
        uid = gid = 0  # then the program's user may execute what root may
    name = plan.document["args"][0]
    plan.add(PROCESS, FindProgram(origin=f"{origin}/args/0", name=name, path=plan.env.path, uid=uid, gid=gid))


def _by_the_player(plan: ProcessPlan) -> None:
    document, around = plan.document, plan.around
    filter_first = around.seccomp is not None and not document.get("noNewPrivileges")
    if filter_first and not around.grantable & SYS_ADMIN:
        raise HostError(
            "a seccomp filter without noNewPrivileges needs CAP_SYS_ADMIN", code="seccomp-privilege",
            origin=f"{plan.origin}/noNewPrivileges", hint="set process.noNewPrivileges",
        )  # fmt: skip
    _write_labels(plan)
    _become_user(plan, SYS_ADMIN if filter_first else 0)
    _enter_cwd_as_user(plan)
    for limit in limits(document, plan.origin):
        value = limit["soft"].to_bytes(8, "little") + limit["hard"].to_bytes(8, "little")
        shown = Limit(**limit).describe()
        plan.call("prlimit64", 0, limit["number"], value, None, shown=shown, at=limit["origin"][len(plan.origin) :])
    plan.call(
        "close_range",
        around.first_fd,
        0xFFFFFFFF,
        CLOSE_RANGE_CLOEXEC,
        shown=f"exec {around.first_fd}<&-  # and all above",
    )
    if around.seccomp is not None:
        plan.last.append(around.seccomp)
        plan.last.extend(around.seccomp_after)
    if filter_first and not plan.caps.effective & plan.caps.permitted & SYS_ADMIN:
        _capset(plan, 0, "capsh --drop=cap_sys_admin")
    env = Strings(items=plan.env.strings, found=("HOME",) if plan.env.home else ())
    shown = "exec " + quoted(*plan.document["args"])
    plan.call("execve", Found(name="program"), Strings(items=plan.args), env, shown=shown, at="/args")


def _write_labels(plan: ProcessPlan) -> None:
    """For the next execve: setexeccon(3) of SELinux, aa_change_onexec(2) of AppArmor."""
    for key, file, prefix in (
        ("selinuxLabel", b"thread-self/attr/exec", ""),
        ("apparmorProfile", b"thread-self/attr/apparmor/exec", "exec "),
    ):
        label = plan.document.get(key)
        if not label:
            continue
        text = encode(prefix + label)
        shown = f"echo {quoted(prefix + label)} > /proc/{file.decode()}"
        # Nothing mounted over the file, and no way out of the procfs (CVE-2025-52881)
        how = open_how(os.O_WRONLY, RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS)
        plan.call("openat2", Handle(name="labels"), file, how, len(how), shown=shown, at=f"/{key}")
        plan.call("write", ResultOf(call="openat2"), text, len(text), at=f"/{key}")
        plan.call("close", ResultOf(call="openat2"))


def _become_user(plan: ProcessPlan, also: int) -> None:
    """From root with everything to the user with its capabilities, and those in `also` for a little longer."""
    caps: CapabilitySets = plan.caps
    at = "/capabilities"
    kept = ",".join(["-all", *(name.lower().replace("cap_", "+") for name in names(caps.bounding))])
    for number in range(plan.around.last_capability + 1):
        if not caps.bounding >> number & 1:
            # Numbers that no kernel has yet are no error
            known = number < len(NAMES)
            shown = f"setpriv --bounding-set {kept}" if number == next(_missing(caps.bounding)) else ""
            plan.call("prctl", PR_CAPBSET_DROP, number, 0, 0, 0, shown=shown, at=at, ignore=not known)
    if plan.uid:
        plan.call("prctl", PR_SET_KEEPCAPS, 1, 0, 0, 0)
    plan.call("setresgid", plan.gid, plan.gid, plan.gid, shown=f"setpriv --regid {plan.gid}", at="/user/gid")
    plan.call("setresuid", plan.uid, plan.uid, plan.uid, shown=f"setpriv --reuid {plan.uid}", at="/user/uid")
    _capset(plan, also, f"capsh --caps='{','.join(names(caps.permitted)).lower()}+p'")
    plan.call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0, at=at)
    for number, name in enumerate(NAMES):
        if caps.ambient >> number & 1:
            shown = f"capsh --addamb={name.lower()}"
            plan.call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0, shown=shown, at=f"{at}/ambient")


def _missing(mask: int) -> Iterator[int]:
    return (number for number in range(64) if not mask >> number & 1)


def _capset(plan: ProcessPlan, also: int, shown: str) -> None:
    caps = plan.caps
    data = capset_data(caps.effective | also, caps.permitted | also, caps.inheritable)
    plan.call("capset", CAPSET_SELF, data, shown=shown, at="/capabilities")


def open_how(flags: int, resolve: int) -> bytes:
    """struct open_how of openat2(2), without a mode."""
    return b"".join(word.to_bytes(8, "little") for word in (flags | os.O_CLOEXEC, 0, resolve))


def _enter_cwd_as_user(plan: ProcessPlan) -> None:
    cwd = encode(plan.document.get("cwd") or "/")
    # No magic links, as for the first try (CVE-2024-21626)
    how = open_how(O_PATH | os.O_DIRECTORY, RESOLVE_NO_MAGICLINKS)
    shown = f"cd {quoted(paths.fsdecode(cwd))}  # if only the user may enter it"
    plan.call("openat2", AT_FDCWD, cwd, how, len(how), shown=shown, at="/cwd", when="cwd-later")
    plan.call("fchdir", ResultOf(call="openat2"), at="/cwd", when="cwd-later")
