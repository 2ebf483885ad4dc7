"""Run another process in a container that runs.

The process takes after the container's own: its environment, user, capabilities and limits, changed
by the options; or it is described whole by the process object in the file of --process. All that
follows the id belongs to the command. The exit status is the command's, 255 for a failure before.
"""

from __future__ import annotations

from ociruntime.cli import Arguments, Option, container_id
from ociruntime.commands.descriptors import require_descriptors
from ociruntime.core.errors import UsageError
from ociruntime.core.options import ExecOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SUMMARY = "run another process in a container"
USAGE = "[options] ID COMMAND [ARG...] | --process FILE [options] ID"
OPERANDS = (1, -1)
OPTIONS = (
    Option(
        names=("--console-socket",),
        kind="str",
        metavar="SOCKET",
        help="AF_UNIX socket that receives the master side of the process's terminal",
    ),
    Option(
        names=("--pidfd-socket",),
        kind="str",
        metavar="SOCKET",
        help="AF_UNIX socket that receives a pidfd of the process",
    ),
    Option(names=("--cwd",), kind="str", metavar="PATH", help="current directory, in the container"),
    Option(names=("--env", "-e"), kind="list", metavar="NAME=VALUE", help="add an environment variable"),
    Option(names=("--tty", "-t"), help="give the process a terminal"),
    Option(names=("--user", "-u"), kind="str", metavar="UID[:GID]", help="user and group, as numbers"),
    Option(names=("--additional-gids", "-g"), kind="list", metavar="GID", help="add a supplementary group"),
    Option(
        names=("--process", "-p"),
        kind="str",
        metavar="FILE",
        help="read the process object of the specification from FILE; the other options for it are ignored",
    ),
    Option(names=("--detach", "-d"), help="do not wait for the process"),
    Option(names=("--pid-file",), kind="str", metavar="FILE", help="write the pid of the process to FILE"),
    Option(names=("--process-label",), kind="str", metavar="LABEL", help="SELinux label of the process"),
    Option(names=("--apparmor",), kind="str", metavar="PROFILE", help="AppArmor profile of the process"),
    Option(names=("--no-new-privs",), help="forbid the process to gain privilege (no_new_privs)"),
    Option(names=("--cap", "-c"), kind="list", metavar="CAP_NAME", help="add a capability"),
    Option(
        names=("--preserve-fds",),
        kind="int",
        metavar="N",
        default="0",
        help="pass N more file descriptors to the process, after stdio and those of LISTEN_FDS",
    ),
    Option(
        names=("--cgroup",),
        kind="list",
        metavar="[CONTROLLER:]PATH",
        help="run in an existing cgroup below the container's",
    ),
    Option(names=("--ignore-paused",), help="do not refuse a paused container"),
)

_LARGEST_ID = 0xFFFFFFFE  # (uid_t) -1 means "no change" to the kernel


def process_from_flags(base: dict[str, Any], args: Arguments) -> dict[str, Any]:
    """The container's process object, changed by the options; `base` itself is not. Raises UsageError."""
    process: dict[str, Any] = {**base, "args": args.operands[1:], "terminal": args.flag("--tty")}
    for option, name in (("--cwd", "cwd"), ("--apparmor", "apparmorProfile"), ("--process-label", "selinuxLabel")):
        if args.text(option):
            process[name] = args.text(option)
    if args.given("--no-new-privs"):
        process["noNewPrivileges"] = args.flag("--no-new-privs")
    if args.given("--env"):
        process["env"] = [*base.get("env", ()), *_environment(args.texts("--env"))]
    if args.given("--user") or args.given("--additional-gids"):
        process["user"] = _user(base.get("user", {}), args)
    if args.given("--cap"):
        process["capabilities"] = _capabilities(base.get("capabilities", {}), args.texts("--cap"))
    return process


def _environment(variables: list[str]) -> list[str]:
    for variable in variables:
        if variable.partition("=")[0] in ("", variable):
            raise UsageError(f'invalid environment variable "{variable}"', code="exec-env", hint="write NAME=VALUE")
    return variables


def _user(base: dict[str, Any], args: Arguments) -> dict[str, Any]:
    user = dict(base)
    if args.given("--user"):
        uid, colon, gid = args.text("--user").partition(":")
        user["uid"] = _id("--user", uid)
        if colon:
            user["gid"] = _id("--user", gid)
    if args.given("--additional-gids"):
        extra = [_id("--additional-gids", gid) for gid in args.texts("--additional-gids")]
        user["additionalGids"] = [*user.get("additionalGids", ()), *extra]
    return user


def _id(option: str, text: str) -> int:
    """A user or group id. CVE-2026-30892: a text half understood made crun run the process as root."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= _LARGEST_ID):
        raise UsageError(
            f'invalid id "{text}" for flag {option}', code="exec-user", hint="ids are numbers, 0 to 4294967294"
        )
    return int(text)


def _capabilities(base: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """More capabilities; not inheritable ones, which ambient ones need too (CVE-2022-29162)."""
    more = ["CAP_" + name.upper().removeprefix("CAP_") for name in names]
    capabilities = dict(base)
    for kind in ("bounding", "effective", "permitted"):
        held = capabilities.get(kind, [])
        capabilities[kind] = [*held, *(name for name in dict.fromkeys(more) if name not in held)]
    return capabilities


def read_process(path: str) -> dict[str, Any]:
    """The process object of a file, checked. Raises ConfigError."""
    from ociruntime.core.jsonio import loads
    from ociruntime.core.spec.check import check_process
    from ociruntime.core.spec.load import read_document

    data = read_document(path)
    process: Any = loads(data, path)
    check_process(process, path, data)
    return process  # type: ignore[no-any-return]  # check has just proven it


def container_process(name: str, args: Arguments) -> dict[str, Any]:
    """The process object that the container was created with. Raises StateError."""
    from ociruntime.core.jsonio import loads
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.state.store import CONFIG, open_container

    container = open_container(Kernel(), name, args.g)
    try:
        spec = loads(container.read(CONFIG), f"{container.path}/{CONFIG}")
    except FileNotFoundError:
        container.load()  # knows better why, where it is another runtime's
        raise
    finally:
        container.close()
    return spec["process"] if isinstance(spec, dict) and "process" in spec else {"cwd": "/"}


def run(args: Arguments) -> int:
    name = container_id(args.operands[0])
    require_descriptors(args)
    if args.given("--process"):
        process = read_process(args.text("--process"))
    else:
        process = process_from_flags(container_process(name, args), args)
        if not process["args"]:
            raise UsageError("process args cannot be empty", code="exec-args", hint="name a command after the id")
        from ociruntime.core.spec.check import check_process

        check_process(process, "the options of exec")
    from ociruntime.core.lifecycle.exec import exec as execute

    options = ExecOptions(
        process=process,
        console_socket=args.text("--console-socket"),
        pidfd_socket=args.text("--pidfd-socket"),
        pid_file=args.text("--pid-file"),
        detach=args.flag("--detach"),
        preserve_fds=args.number("--preserve-fds"),
        cgroup=tuple(args.texts("--cgroup")),
        ignore_paused=args.flag("--ignore-paused"),
    )
    return execute(name, options, args.g)
