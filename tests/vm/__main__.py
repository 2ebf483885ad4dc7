"""python -m tests.vm build | run -- CMD: make the guest, run a command in it.

run exits with CMD's status, 124 if CMD ran out of time, 125 if the guest itself failed.
build exits with 77 and one line that says why, where this machine cannot have the guest.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tests.vm.build import build
from tests.vm.machine import GuestError, Unavailable
from tests.vm.run import run

FAILED, SKIPPED = 125, 77
CACHE = Path(__file__).parents[2] / ".cache/vm"


def build_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--suite", default="bookworm")
    add("--kernel", choices=["backports", "stable"], default="backports")
    add("--mirror", help="default: the one apt uses here")
    add("--package", action="append", default=[], help="one more Debian package")
    add("--size", default="10G", help="of the root disk (a sparse file)")
    add("--cpus", type=int, default=2)
    add("--memory", default="4G")
    add("--force", action="store_true", help="start from nothing")
    add("--lean", action="store_true", help="keep the image only, not what it was made from")
    add("--disk", type=int, default=5000, metavar="MB", help="do not begin with less disk free")
    add("--seconds", type=float, default=1200, help="give up after this time")


def run_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--share", action="append", default=[], metavar="HOST:GUEST[:ro|:cow]",
        help="cow: the guest may write, the host will not see it")  # fmt: skip
    add("--user", default="root", help="root, or tester in a systemd user session")
    add("--env", action="append", default=[], metavar="NAME=VALUE")
    add("--cwd")
    add("--cpus", type=int, help="other than the image's: needs a boot")
    add("--memory", help="likewise")
    add("--append", default="", help="more kernel parameters; likewise")
    add("--accel", choices=["kvm", "tcg"], help="default: as the host can")
    add("--cold", action="store_true", help="boot, even if a guest was saved")
    add("--timeout", type=float, default=1e9, help="seconds for CMD")
    add("--boot-timeout", type=float, default=300)
    add("-i", "--stdin", action="store_true", help="pass standard input on")
    add("-v", "--verbose", action="store_true")
    add("command", nargs="+", metavar="CMD")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.vm", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name, action, options, text in (
        ("build", build, build_options, "make the image, unless it is up to date"),
        ("run", run, run_options, "start the guest and run one command"),
    ):
        verb = verbs.add_parser(name, help=text)
        verb.set_defaults(action=action)
        verb.add_argument("--dir", type=Path, default=os.environ.get("GUEST_DIR", CACHE),
                          help="default: $GUEST_DIR or .cache/vm of the project")  # fmt: skip
        options(verb)
    args = parser.parse_args()
    args.dir = args.dir.expanduser().resolve()
    try:
        status: int = args.action(args)
    except Unavailable as reason:
        print(f"guest: skipped: {reason}", file=sys.stderr)
        return SKIPPED
    except GuestError as error:
        print(f"guest: {error}", file=sys.stderr)
        return FAILED
    return status


if __name__ == "__main__":
    sys.exit(main())
