"""Create a container from a bundle: a directory with a config.json and a root file system.

Everything is set up, and the container's program then waits for `start`. The id must be unique on
the host; it may hold letters, digits and the characters _ + . -
"""

from __future__ import annotations

from ociruntime.cli import Arguments, Option, container_id
from ociruntime.commands.descriptors import require_descriptors
from ociruntime.core import paths
from ociruntime.core.options import CreateOptions

SUMMARY = "create a container"
USAGE = "[options] ID"
OPERANDS = (1, 1)
OPTIONS = (
    Option(
        names=("--bundle", "-b"),
        kind="str",
        metavar="DIR",
        default=".",
        help="root of the bundle",
    ),
    Option(
        names=("--config", "-f"),
        kind="str",
        metavar="FILE",
        help="read the configuration from FILE instead of the bundle's config.json",
    ),
    Option(
        names=("--console-socket",),
        kind="str",
        metavar="SOCKET",
        help="AF_UNIX socket that receives the master side of the container's terminal",
    ),
    Option(
        names=("--pidfd-socket",),
        kind="str",
        metavar="SOCKET",
        help="AF_UNIX socket that receives a pidfd of the container's first process",
    ),
    Option(
        names=("--pid-file",),
        kind="str",
        metavar="FILE",
        help="write the pid of the container's first process to FILE",
    ),
    Option(
        names=("--no-pivot",),
        help="do not use pivot_root, which a root file system on a ramdisk does not allow",
    ),
    Option(
        names=("--no-new-keyring",),
        help="keep the caller's session keyring instead of creating a new one",
    ),
    Option(
        names=("--preserve-fds",),
        kind="int",
        metavar="N",
        default="0",
        help="pass N more file descriptors to the container, after stdio and those of LISTEN_FDS",
    ),
)


def create_options(args: Arguments, *, detach: bool) -> CreateOptions:
    """What `create` and `run` have in common, as a record."""
    return CreateOptions(
        bundle=paths.realpath(args.text("--bundle", ".") or "."),  # hooks of delete may come after a link has gone
        config=args.text("--config") and paths.abspath(args.text("--config")),
        console_socket=args.text("--console-socket"),
        pidfd_socket=args.text("--pidfd-socket"),
        pid_file=args.text("--pid-file"),
        no_pivot=args.flag("--no-pivot"),
        no_new_keyring=args.flag("--no-new-keyring"),
        preserve_fds=args.number("--preserve-fds"),
        detach=detach,
        keep=args.flag("--keep"),
        no_subreaper=args.flag("--no-subreaper"),
    )


def run(args: Arguments) -> int:
    name = container_id(args.operands[0])
    require_descriptors(args)
    from ociruntime.core.lifecycle.create import create

    create(name, create_options(args, detach=True), args.g)
    return 0
