"""The command line as values: the tables of options and the one parser that reads them.

Runs at every start, so it imports nothing but our own values. A table feeds the parser here and,
through `ociruntime.docsgen`, the help, the manual pages and the completions.

Spelling is as clients of runc know it: `--name value`, `--name=value`, the same with one dash, an
option given twice counts as its last value, `--` ends the options. Options may stand after the
operands too, except for exec and ps, where everything behind the first operand is the program's.
"""

from __future__ import annotations

import posix as os
import sys

from ociruntime.core import paths
from ociruntime.core.errors import HostError, UsageError
from ociruntime.core.options import Globals
from ociruntime.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Command(Protocol):
        """What every module of `ociruntime.commands` offers; its docstring describes it to the user."""

        SUMMARY: str
        USAGE: str  # what follows the command's name
        OPERANDS: tuple[int, int]  # least and most; -1 is no limit
        OPTIONS: tuple[Option, ...]

        def run(self, args: Arguments) -> int:
            """Do it and return the exit status. Raises Failure."""


class Option(Record):
    """One row of a table of options."""

    names: tuple[str, ...]  # with their dashes, the canonical long one first
    help: str
    kind: str = "flag"  # flag, str, int, size (bytes, with a suffix) or list (may be repeated)
    metavar: str = ""  # what the value is called: DIR, FILE and SOCKET are completed as paths
    default: str = ""  # only shown
    choices: tuple[str, ...] = ()  # the only values, where there are few
    hidden: bool = False  # accepted for the sake of old callers, not documented


class ParseError(UsageError):
    """The words do not fit the table; the user is shown the help as well."""


class UnknownCommand(UsageError):
    """There is no such command; the exit status of this one is its own."""


class Arguments:
    """The words of one command line, read by its table. Options go by their canonical name."""

    def __init__(self) -> None:
        self.options: dict[str, bool | str | int | list[str]] = {}
        self.operands: list[str] = []
        self.help = False
        self.g = Globals(root="")

    def given(self, name: str) -> bool:
        return name in self.options

    def flag(self, name: str) -> bool:
        return bool(self.options.get(name))

    def text(self, name: str, default: str = "") -> str:
        value = self.options.get(name, default)
        return value if isinstance(value, str) else default

    def number(self, name: str, default: int = 0) -> int:
        value = self.options.get(name, default)
        return value if isinstance(value, int) else default

    def texts(self, name: str) -> list[str]:
        value = self.options.get(name)
        return value if isinstance(value, list) else []


# The names of `ociruntime.commands`. checkpoint and restore are absent on purpose: podman and
# CRI-O conclude from a working `checkpoint --help` that they can checkpoint.
COMMANDS = (
    "create",
    "delete",
    "events",
    "exec",
    "explain",
    "features",
    "kill",
    "list",
    "mounts",
    "pause",
    "ps",
    "resume",
    "run",
    "spec",
    "start",
    "state",
    "update",
    "validate",
)

# Commands that leave all that follows their first operand to another program.
PASSING_ON = ("exec", "ps")

HELP = Option(names=("--help", "-h"), help="show help")

GLOBALS = (
    Option(
        names=("--root",),
        kind="str",
        metavar="DIR",
        default="/run/ociruntime",
        help="directory for the state of containers, best on a tmpfs",
    ),
    Option(names=("--log",), kind="str", metavar="FILE", help="append records of failures to FILE"),
    Option(
        names=("--log-format",),
        kind="str",
        metavar="FORMAT",
        default="text",
        choices=("text", "json"),
        help="format of the records: text or json",
    ),
    Option(names=("--debug",), help="record every step that is taken, and how long it took"),
    Option(names=("--trace",), kind="str", metavar="FILE", help="write the times of steps to FILE, for trace viewers"),
    Option(
        names=("--systemd-cgroup",),
        help="let systemd manage cgroups; cgroupsPath then has the form slice:prefix:name",
    ),
    Option(
        names=("--cgroup-manager",),
        kind="str",
        metavar="MANAGER",
        choices=("cgroupfs", "systemd", "disabled"),
        help="who manages cgroups: cgroupfs, systemd or disabled",
    ),
    Option(
        names=("--rootless",),
        kind="str",
        metavar="MODE",
        default="auto",
        choices=("true", "false", "auto"),
        help="whether to go without cgroups where permission is missing: true, false or auto",
    ),
    HELP,
    Option(names=("--version", "-v"), help="print the version"),
    # crun's, sent by conmon-rs; and an option of old runc, sent by old shims.
    Option(
        names=("--log-level",),
        kind="str",
        metavar="LEVEL",
        choices=("error", "warning", "debug"),
        help="least level of records",
        hidden=True,
    ),
    Option(names=("--criu",), kind="str", metavar="PATH", help="ignored", hidden=True),
)

# As Go reads booleans, which is what `--flag=false` means to callers of runc.
_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")


def parse(options: tuple[Option, ...], words: list[str], interspersed: bool = True) -> Arguments:
    """The words as values. Raises ParseError; `--help` ends the parsing, whatever follows."""
    table = {name.lstrip("-"): option for option in (*options, HELP) for name in option.names}
    args = Arguments()
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        if word == "--":
            args.operands += words[position:]
            break
        if not word.startswith("-") or word == "-":
            args.operands.append(word)
            if interspersed:
                continue
            args.operands += words[position:]
            break
        name, equals, value = word.removeprefix("-").removeprefix("-").partition("=")
        option = table.get(name)
        if option is None:
            raise ParseError(f"flag provided but not defined: {word.partition('=')[0]}")
        if option is HELP:
            args.help = True
            break
        if option.kind == "flag":
            value = value if equals else "true"
        elif not equals:
            if position == len(words):
                # podman takes the words "flag needs an argument" for proof that an option exists
                raise ParseError(f"flag needs an argument: {option.names[0]}")
            value = words[position]
            position += 1
        _store(args, option, value)
    return args


def _store(args: Arguments, option: Option, value: str) -> None:
    name, kind = option.names[0], option.kind
    if kind == "list":
        args.options[name] = [*args.texts(name), value]
        return
    if option.choices and value not in option.choices:
        expected = f"one of {', '.join(option.choices)}"
        raise UsageError(f'invalid value "{value}" for flag {name}: expected {expected}', code="option-value")
    if kind == "str":
        args.options[name] = value
    elif kind == "flag":
        if value not in _TRUE and value not in _FALSE:
            raise _invalid(option, value, "true or false")
        args.options[name] = value in _TRUE
    elif kind == "int":
        args.options[name] = _integer(option, value)
    else:
        args.options[name] = _size(option, value)


def _invalid(option: Option, value: str, expected: str) -> ParseError:
    return ParseError(f'invalid value "{value}" for flag {option.names[0]}: expected {expected}')


def _integer(option: Option, value: str) -> int:
    digits = value[1:] if value[:1] in ("-", "+") else value
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
        raise _invalid(option, value, "an integer")
    return int(value)


def _size(option: Option, value: str) -> int:
    """Bytes, with a suffix of powers of 1024 (k, kb and KiB are the same); -1 is "no limit"."""
    if value == "-1":
        return -1
    number = value.lower().removesuffix("b").removesuffix("i")
    factor = 1
    if number[-1:] in ("k", "m", "g", "t", "p"):
        factor = 1024 << 10 * "kmgtp".index(number[-1])
        number = number[:-1]
    whole, _, fraction = number.strip().partition(".")
    if not (whole + fraction).isascii() or not whole.isdigit() or (fraction and not fraction.isdigit()):
        raise _invalid(option, value, 'a size such as 512m, or "-1"')
    scale: int = 10 ** len(fraction)
    return int(whole) * factor + int(fraction or "0") * factor // scale


def command_named(name: str) -> Command:
    """The module of a command, imported now. Raises UnknownCommand."""
    if name not in COMMANDS:
        raise UnknownCommand(f"unknown command '{name}'", code="unknown-command")
    __import__("ociruntime.commands." + name)
    command: Command = sys.modules["ociruntime.commands." + name]
    return command


def count(name: str, operands: list[str], bounds: tuple[int, int]) -> None:
    """Refuse the wrong number of operands of command `name`, in the words that runc has for it."""
    least, most = bounds
    if least == most != len(operands):
        raise ParseError(f'"{name}" requires exactly {least} argument(s)')
    if len(operands) < least:
        raise ParseError(f'"{name}" requires a minimum of {least} argument(s)')
    if len(operands) > most >= 0:
        raise ParseError(f'"{name}" requires a maximum of {most} argument(s)')


def container_id(text: str) -> str:
    """The container id, or UsageError: it becomes the name of a directory and of a cgroup."""
    plain = text.replace("_", "").replace("+", "").replace(".", "").replace("-", "")
    # A leading dot would hide it from `list`, as with crun since 1.28
    if not text.isascii() or text[:1] in ("", ".") or (plain and not plain.isalnum()):
        raise UsageError(
            f'invalid container ID format: "{text}"',
            code="container-id",
            hint="use letters, digits and _ + . - only, and no dot first",
        )
    return text


def globals_from(args: Arguments) -> Globals:
    """The options before the command as a record. Raises UsageError."""
    manager = args.text("--cgroup-manager")
    return Globals(
        root=_root(args),
        root_given=args.given("--root"),
        systemd_cgroup=args.flag("--systemd-cgroup") or manager == "systemd",
        cgroup_manager=manager,
        rootless=args.text("--rootless", "auto"),
        debug=args.flag("--debug") or args.text("--log-level") == "debug",
        log=args.text("--log").removeprefix("file:"),  # the prefix is crun's
        log_format=args.text("--log-format", "text"),
        trace=args.text("--trace"),
    )


def _root(args: Arguments) -> str:
    """The state directory: as given, else /run/ociruntime, else the user's own runtime directory."""
    if args.given("--root"):
        root = args.text("--root") and paths.abspath(args.text("--root"))
        if root in ("", "/", "//"):
            raise UsageError(f'option --root must not be "{root}"', code="root-directory")
        return root
    runtime_directory = paths.getenv("XDG_RUNTIME_DIR", "")
    if not runtime_directory or not _unprivileged():
        return "/run/ociruntime"
    root = runtime_directory + "/ociruntime"
    try:
        paths.makedirs(root, 0o700)
        # The sticky bit keeps clean-up daemons away, says the XDG Base Directory specification.
        os.chmod(root, 0o1700)
    except OSError as error:
        raise HostError(f"mkdir {root}", code="root-directory", errno=error.errno or 0) from None
    return root


def _unprivileged() -> bool:
    """Whether /run is not ours: another user than root, or root of a user namespace that another opened."""
    if os.geteuid() != 0:
        return True
    if paths.getenv("USER") == "root":
        return False
    with open("/proc/self/uid_map", "rb") as mappings:
        return mappings.read().split() != [b"0", b"0", b"4294967295"]
