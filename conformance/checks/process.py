"""config.md, process: the program, where it starts, as whom, with which limits, terminal and descriptors."""

from __future__ import annotations

import array
import json
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conformance.bundle import Config
from conformance.registry import MAY, MUST, SHOULD, also, clause, each, unobservable
from conformance.saboteur import drop, leak, put
from conformance.trial import Container, Failed, Seen, Trial, expect, require, skip_unless

PROCESS = "config.md#process"
POSIX = "config.md#posix-process"
USER = "config.md#posix-platform-user"
VALUES = "config.md#valid-values"
PATH = "PATH=/bin:/usr/bin"


# ---- cwd


@clause("process.cwd", MUST, PROCESS, "the program starts in cwd", broken_by=put("/process/cwd", "/"))
def cwd(t: Trial) -> None:
    expect(t.run(t.config(cwd="/tmp"))["cwd"], "/tmp", "cwd")


@clause("process.cwd.required", MUST, PROCESS, "cwd is required", broken_by=put("/process/cwd", "/"))
def cwd_required(t: Trial) -> None:
    config = t.config()
    del config["process"]["cwd"]
    t.refused(config, "a process without cwd", at_start=True)


@each(
    "process.cwd.absolute",
    MUST,
    PROCESS,
    "cwd is an absolute path",
    {"relative": ("tmp", put("/process/cwd", "/")), "empty": ("", put("/process/cwd", "/"))},
)
def cwd_absolute(t: Trial, value: str) -> None:
    t.refused(t.config(cwd=value), f"cwd {value!r}", at_start=True)


@clause(
    "process.cwd.inside",
    MUST,
    PROCESS,
    "cwd is a directory of the container, not one that leads out of it",
    broken_by=put("/process/cwd", "/"),
)
def cwd_inside(t: Trial) -> None:
    # a cwd through a descriptor of the host was CVE-2024-21626
    for number in range(3, 12):
        box = t.create(t.config("stat:.", cwd=f"/proc/self/fd/{number}"))
        outcome = box.call("start", box.id) if box.created.ok else box.created
        t.no_hang(outcome)
        if outcome.ok:
            raise Failed(f"a cwd of /proc/self/fd/{number} was accepted; the program saw {box.report()['cwd']!r}")


# ---- env and args


@clause(
    "process.env",
    MUST,
    PROCESS,
    "env is the program's environment",
    broken_by=put("/process/env", [PATH]),
)
def env(t: Trial) -> None:
    given = [PATH, "PLAIN=1", "EMPTY=", "EQUALS=a=b=c", "SPACE= a b ", "UTF=gr\u00fcn"]
    seen = [entry.encode("latin-1").decode() for entry in t.run(t.config(env=given))["env"]]
    expect([entry for entry in seen if entry in given], given, "environment")


@clause(
    "process.env.only",
    MUST,
    PROCESS,
    "the environment of the runtime's caller does not reach the program",
    broken_by=put("/process/env/-", "CONFORMANCE_LEAK=1"),
)
def env_only(t: Trial) -> None:
    box = t.started(t.config(env=[PATH]), env={**os.environ, "CONFORMANCE_LEAK": "1"})
    extra = {entry.partition("=")[0] for entry in box.report()["env"]} - {"PATH", "HOME", "TERM", "container"}
    expect(extra, set(), "variables nobody asked for")


@clause(
    "process.args",
    MUST,
    PROCESS,
    "args are the program's argv, each as it was given",
    broken_by=put("/process/args", ["/probe", "report"]),
)
def args(t: Trial) -> None:
    given = ["/probe", "report", "stat:a b", "stat:", "stat:$HOME;*", "stat:-x"]
    expect(t.run(t.config(args=given))["argv"], given, "argv")


@clause(
    "process.args.required",
    MUST,
    PROCESS,
    "args has at least one entry",
    variant="empty",
    broken_by=put("/process/args", ["/probe", "true"]),
)
def args_empty(t: Trial) -> None:
    t.refused(t.config(args=[]), "an empty args", at_start=True)


@also("process.args.required", variant="absent", broken_by=put("/process/args", ["/probe", "true"]))
def args_absent(t: Trial) -> None:
    config = t.config()
    del config["process"]["args"]
    t.refused(config, "a process without args", at_start=True)


def _program_at(t: Trial, *places: str) -> Any:
    bundle = t.bundle()
    for place in places:
        target = bundle.rootfs / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(t.probe.read_bytes())
        target.chmod(0o755)
    return bundle


@clause(
    "process.args.path",
    MUST,
    PROCESS,
    "args[0] without a slash is looked for in the container's PATH, in order",
    broken_by=put("/process/args/0", "/probe"),
)
def args_path(t: Trial) -> None:
    bundle = _program_at(t, "opt/one/tool", "opt/two/tool")
    (bundle.rootfs / "opt/one/tool").chmod(0o644)
    config = t.config("lstat:/proc/self/exe", args=["tool", "report", "lstat:/proc/self/exe"])
    config["process"]["env"] = ["PATH=/nowhere:/opt/one:/opt/two"]
    seen = t.run(config, bundle=bundle)
    expect(seen["argv"][0], "tool", "argv[0]")
    expect(seen.deed.get("target"), "/opt/two/tool", "the program found in PATH")


@clause(
    "process.args.relative",
    MUST,
    PROCESS,
    "args[0] with a slash is taken from cwd, as execvp does",
    broken_by=put("/process/cwd", "/"),
)
def args_relative(t: Trial) -> None:
    bundle = _program_at(t, "opt/tool")
    config = t.config(args=["./tool", "report", "lstat:/proc/self/exe"], cwd="/opt")
    expect(t.run(config, bundle=bundle).deed.get("target"), "/opt/tool", "the program run")


@each(
    "process.args.missing",
    MUST,
    "runtime.md#start",
    "a program that does not exist or cannot be executed is an error, at start at the latest",
    {
        "absent": ("/nowhere", put("/process/args", ["/probe", "true"])),
        "in-path": ("nowhere", put("/process/args", ["/probe", "true"])),
        "directory": ("/tmp", put("/process/args", ["/probe", "true"])),
        "not-executable": ("/etc/text", put("/process/args", ["/probe", "true"])),
        "no-interpreter": ("/etc/script", put("/process/args", ["/probe", "true"])),
    },
)
def args_missing(t: Trial, program: str) -> None:
    bundle = t.bundle()
    (bundle.rootfs / "etc/text").write_text("text")
    (bundle.rootfs / "etc/script").write_text("#!/no/such/interpreter\n")
    (bundle.rootfs / "etc/script").chmod(0o755)
    box = t.create(t.config(args=[program]), bundle=bundle)
    outcome = box.call("start", box.id) if box.created.ok else box.created
    t.no_hang(outcome)
    require(not outcome.ok, f"neither create nor start failed for the program {program!r}")


# ---- user


def _user(t: Trial, *deeds: str, **user: Any) -> Config:
    config = t.config(*deeds)
    config["process"]["user"] |= user
    return config


@clause("process.user.uid", MUST, USER, "the program runs as uid", broken_by=put("/process/user/uid", 0))
def uid(t: Trial) -> None:
    seen = t.run(_user(t, uid=1234))
    expect((seen["uid"], seen["euid"], seen["suid"]), (1234, 1234, 1234), "real, effective and saved uid")


@clause("process.user.gid", MUST, USER, "the program runs as gid", broken_by=put("/process/user/gid", 0))
def gid(t: Trial) -> None:
    seen = t.run(_user(t, gid=4321))
    expect((seen["gid"], seen["egid"], seen["sgid"]), (4321, 4321, 4321), "real, effective and saved gid")


@clause(
    "process.user.namespace",
    MUST,
    USER,
    "uid and gid count in the container's user namespace",
    broken_by=put("/linux/uidMappings/0/hostID", 200000),
)
def uid_namespace(t: Trial) -> None:
    box = t.started(t.program(t.own_user_namespace(_user(t, uid=5, gid=6)), "pause"))

    def owner() -> tuple[int, int]:
        status = os.stat(f"/proc/{box.pid}")
        return status.st_uid, status.st_gid

    t.until(
        lambda: owner() == (100005, 100006), f"the program's ids on the host to be 100005, 100006 (are {owner()})", 2
    )


@clause(
    "process.user.required",
    MUST,
    USER,
    "uid and gid are required (of user, where user is given)",
    broken_by=put("/process/user", {"uid": 0, "gid": 0}),
)
def user_required(t: Trial) -> None:
    config = t.config()
    config["process"]["user"] = {"umask": 18}
    t.refused(config, "a user without uid and gid", at_start=True)


@clause("process.user.umask", MUST, USER, "the umask is as given", broken_by=drop("/process/user/umask"))
def umask(t: Trial) -> None:
    expect(t.run(_user(t, umask=0o157))["umask"], 0o157, "umask")


@clause(
    "process.user.umask.unset",
    SHOULD,
    USER,
    "without umask the caller's umask is kept",
    broken_by=put("/process/user/umask", 0o111),
)
def umask_unset(t: Trial) -> None:
    before = os.umask(0o037)
    try:
        seen = t.run(t.config())
    finally:
        os.umask(before)
    expect(seen["umask"], 0o037, "umask")


@clause(
    "process.user.additionalGids",
    MUST,
    USER,
    "additionalGids are the program's supplementary groups",
    broken_by=drop("/process/user/additionalGids"),
)
def additional_gids(t: Trial) -> None:
    seen = t.run(_user(t, uid=1000, gid=1000, additionalGids=[5, 6, 70000]))
    expect(set(seen["groups"]) - {1000}, {5, 6, 70000}, "supplementary groups")


@clause(
    "process.user.additionalGids.none",
    MUST,
    USER,
    "without additionalGids the program has none of the caller's groups",
    broken_by=put("/process/user/additionalGids", [7]),
)
def no_groups(t: Trial) -> None:
    before = os.getgroups()
    os.setgroups([77, 88])
    try:
        seen = t.run(t.config())
    finally:
        os.setgroups(before)
    expect(set(seen["groups"]) - {0}, set(), "supplementary groups")


# ---- rlimits


LIMITS = {
    "RLIMIT_AS": (1 << 40, 1 << 41),
    "RLIMIT_CORE": (0, 4096),
    "RLIMIT_CPU": (1000, 2000),
    "RLIMIT_DATA": (1 << 40, 1 << 41),
    "RLIMIT_FSIZE": (1 << 30, 1 << 31),
    "RLIMIT_LOCKS": (10, 20),
    "RLIMIT_MEMLOCK": (4096, 8192),
    "RLIMIT_MSGQUEUE": (1000, 2000),
    "RLIMIT_NICE": (0, 0),
    "RLIMIT_NOFILE": (123, 456),
    "RLIMIT_NPROC": (1000, 2000),
    "RLIMIT_RSS": (1 << 40, 1 << 41),
    "RLIMIT_RTPRIO": (0, 0),
    "RLIMIT_RTTIME": (1000, 2000),
    "RLIMIT_SIGPENDING": (100, 200),
    "RLIMIT_STACK": (1 << 22, 1 << 23),
}


@each(
    "process.rlimits",
    MUST,
    POSIX,
    "soft and hard limit are exactly as configured",
    {name: (name, put("/process/rlimits", [])) for name in LIMITS},
)
def rlimit(t: Trial, name: str) -> None:
    soft, hard = LIMITS[name]
    if (soft, hard) == (0, 0):  # only lowering is always allowed; the default is 0 and shows nothing
        skip_unless(_raisable(name), f"raising {name} needs CAP_SYS_RESOURCE, which we lack here")
        soft, hard = 1, 2
    seen = t.run(t.config(rlimits=[{"type": name, "soft": soft, "hard": hard}]))
    expect(tuple(seen["rlimits"][name]), (soft, hard), name)


def _raisable(name: str) -> bool:
    status = Path("/proc/self/status").read_text().splitlines()
    capable = int(next(line for line in status if line.startswith("CapEff")).split()[1], 16) >> 24 & 1
    number = getattr(resource, name, None)
    return bool(capable) or number is None or resource.getrlimit(number)[1] >= 2


@clause(
    "process.rlimits.unset",
    MUST,
    POSIX,
    "limits that are not configured stay the caller's",
    broken_by=put("/process/rlimits", [{"type": "RLIMIT_FSIZE", "soft": 5, "hard": 5}]),
)
def rlimit_unset(t: Trial) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 33, before[1]))
    try:
        seen = t.run(t.config())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    expect(seen["rlimits"]["RLIMIT_FSIZE"][0], 1 << 33, "soft RLIMIT_FSIZE")


@clause(
    "process.rlimits.unknown",
    MUST,
    POSIX,
    "a limit the kernel does not know is an error",
    broken_by=drop("/process/rlimits"),
)
def rlimit_unknown(t: Trial) -> None:
    t.refused(t.config(rlimits=[{"type": "RLIMIT_NOSUCH", "soft": 1, "hard": 1}]), "RLIMIT_NOSUCH", at_start=True)


@clause(
    "process.rlimits.duplicate",
    MUST,
    POSIX,
    "the same limit twice is an error",
    broken_by=drop("/process/rlimits/1"),
)
def rlimit_duplicate(t: Trial) -> None:
    entry = {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}
    t.refused(t.config(rlimits=[entry, dict(entry)]), "RLIMIT_CORE twice", at_start=True)


# ---- descriptors


@clause(
    "process.fds",
    MUST,
    "runtime-linux.md#file-descriptors",
    "only standard input, output and error are open in the program",
    broken_by=leak(),
)
def only_three(t: Trial) -> None:
    extra = [os.open("/etc/hostname", os.O_RDONLY) for _ in range(2)]
    for fd in extra:
        os.set_inheritable(fd, True)
    try:
        seen = t.run(t.config())
    finally:
        for fd in extra:
            os.close(fd)
    strange = {number: fd["target"] for number, fd in seen["fds"].items() if int(number) > 2}
    expect(strange, {}, "open descriptors beyond 2")


@clause(
    "process.fds.passed",
    MAY,
    "runtime-linux.md#file-descriptors",
    "further descriptors can be passed (--preserve-fds)",
    broken_by=put("/process/args", ["/probe", "pause"]),
)
def preserved(t: Trial) -> None:
    source = os.open("/etc/hostname", os.O_RDONLY)
    os.dup2(source, 3, inheritable=True) if source != 3 else os.set_inheritable(3, True)
    try:
        seen = t.run(t.config(), "--preserve-fds", "1")
    finally:
        os.close(3)
        if source != 3:
            os.close(source)
    require("3" in seen["fds"], "descriptor 3 did not arrive")


unobservable(
    "process.fds.null",
    MAY,
    "runtime-linux.md#file-descriptors",
    "standard descriptors may be redirected to /dev/null",
    "a permission to the runtime: both answers conform",
)


# ---- terminal


def _receive(listener: socket.socket) -> int:
    """The pty's master, as the runtime sends it."""
    try:
        connection, _ = listener.accept()
    except TimeoutError:
        raise Failed("nobody came to the console socket") from None
    with connection:
        connection.settimeout(10)
        _, ancillary, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(4))
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds = array.array("i")
            fds.frombytes(data[:4])
            return fds[0]
    raise Failed("no descriptor came over the console socket")


@contextmanager
def _terminal(t: Trial, config: Config) -> Iterator[tuple[Container, Seen]]:
    """A running container with a terminal, and its report read from there."""
    config["process"]["terminal"] = True
    with t.console() as (path, listener):
        box = t.created(config, "--console-socket", str(path))
        master = _receive(listener)
        try:
            box.start()
            pipe, box.output = box.output, master
            try:
                yield box, box.report()
            finally:
                box.output = pipe
        finally:
            os.close(master)


@clause(
    "process.terminal",
    MUST,
    PROCESS,
    "with terminal the standard streams are a pseudoterminal, whose master goes over the console socket",
    broken_by=put("/process/terminal", False),
)
def terminal(t: Trial) -> None:
    with _terminal(t, t.config()) as (_, seen):
        for number in "012":
            fd = seen["fds"][number]
            expect((fd["kind"], fd["major"]), ("c", 136), f"type and major of descriptor {number}")
        expect(seen["fds"]["0"]["ino"], seen["fds"]["2"]["ino"], "inode of descriptors 0 and 2")


@clause(
    "process.terminal.off",
    MUST,
    PROCESS,
    "terminal is false by default: the program has the runtime's standard streams",
    broken_by=put("/process/args", ["/probe", "pause"]),
)
def terminal_off(t: Trial) -> None:
    config = t.config()
    del config["process"]["terminal"]
    seen = t.run(config)
    require(all("rows" not in seen["fds"][n] for n in "012" if n in seen["fds"]), "a standard stream is a terminal")


@clause(
    "process.consoleSize",
    MUST,
    PROCESS,
    "consoleSize is the size of the terminal",
    broken_by=drop("/process/consoleSize"),
)
def console_size(t: Trial) -> None:
    with _terminal(t, t.config(consoleSize={"height": 33, "width": 77})) as (_, seen):
        expect((seen["fds"]["0"].get("rows"), seen["fds"]["0"].get("columns")), (33, 77), "rows and columns")


@clause(
    "process.consoleSize.ignored",
    MUST,
    PROCESS,
    "without terminal consoleSize is ignored",
    broken_by=put("/process/terminal", True),
)
def console_size_ignored(t: Trial) -> None:
    t.run(t.config(consoleSize={"height": 33, "width": 77}))


@clause(
    "devices.console",
    MUST,
    "config-linux.md#default-devices",
    "with terminal /dev/console is the pseudoterminal",
    broken_by=put("/process/terminal", False),
)
def console(t: Trial) -> None:
    with _terminal(t, t.config("stat:/dev/console")) as (_, seen):
        ours = seen["fds"]["0"]
        console = seen.deed
        expect(
            (console.get("kind"), console.get("major"), console.get("minor")),
            ("c", ours["major"], ours["minor"]),
            "/dev/console",
        )


# ---- CPU affinity of exec


def _exec(t: Trial, box: Container, **process: Any) -> Seen:

    config = t.config()["process"] | {"args": ["/probe", "report"]} | process
    path = t.home / "process.json"
    path.write_text(json.dumps(config))
    outcome = t.demand(box.call("exec", "--process", str(path), box.id), "exec")
    return Seen(json.loads(outcome.stdout))


@clause(
    "process.execCPUAffinity.final",
    MUST,
    "config.md#linux-process",
    "execCPUAffinity.final is the affinity of a process that enters the container",
    broken_by=(),
)
def affinity_final(t: Trial) -> None:
    skip_unless((os.cpu_count() or 1) > 1, "this host has one CPU")
    box = t.paused()
    expect(_exec(t, box, execCPUAffinity={"final": "1"})["cpus"], [1], "CPUs of the executed process")


@clause(
    "process.execCPUAffinity.unset",
    SHOULD,
    "config.md#linux-process",
    "without final the affinity is left to the kernel",
    broken_by=(),
)
def affinity_unset(t: Trial) -> None:
    box = t.paused()
    expect(_exec(t, box)["cpus"], sorted(os.sched_getaffinity(0)), "CPUs of the executed process")


@clause(
    "process.execCPUAffinity.init",
    MUST,
    "config.md#linux-process",
    "execCPUAffinity does not apply to the container's init",
    broken_by=(),
)
def affinity_init(t: Trial) -> None:
    seen = t.run(t.config(execCPUAffinity={"initial": "0", "final": "0"}))
    expect(seen["cpus"], sorted(os.sched_getaffinity(0)), "CPUs of init")


unobservable(
    "process.execCPUAffinity.initial",
    MUST,
    "config.md#linux-process",
    "execCPUAffinity.initial is the affinity of the runtime's process before it enters the cgroup",
    "it holds for a moment inside the runtime and is gone when the program runs",
)
