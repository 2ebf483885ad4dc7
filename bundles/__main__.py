"""`python -m bundles`: list, build and run the samples."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .build import Request, Sample, build, catalogue
from .errors import BundleError
from .running import Plan, find_runtime, remove, run


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    options = argparse.ArgumentParser(
        prog="python -m bundles",
        description="Build one of the sample bundles, and run it.",
        epilog="Words after -- replace the program of the (last) container: python -m bundles busybox --run -- ls /",
    )
    options.add_argument("name", nargs="?", help="the sample, see --list")
    options.add_argument("--list", action="store_true", help="print the samples")
    options.add_argument("--page", action="store_true", help="print the page of the sample")
    options.add_argument("--out", type=Path, metavar="DIR", help="write the bundle to DIR, new or empty")
    options.add_argument("--run", action="store_true", help="run it; without --out it is removed afterwards")
    options.add_argument("--runtime", metavar="PATH", help="default: ociruntime, else runc")
    options.add_argument("--root", type=Path, metavar="DIR", help="the runtime's state directory")
    options.add_argument("--id", help="the container id, default NAME-PID")
    options.add_argument("--terminal", action="store_true", help="give the program a terminal")
    options.add_argument("--rootfs", type=Path, metavar="PATH", help="alpine: archive or directory with the root")
    options.add_argument("--suite", default="stable", help="debian: the release")
    options.add_argument("--mirror", help="debian: where debootstrap gets packages, default its own")
    options.add_argument("--uid", type=int, default=65534, help="rootless: the user, when the builder is root")
    return options


def main(argv: Sequence[str]) -> int:
    """Do what the command line says; returns the exit status."""
    words = list(argv)
    split = words.index("--") if "--" in words else len(words)
    options = parser()
    args = options.parse_args(words[:split])
    samples = catalogue()
    if args.list:
        print(*(f"{chosen.name:10} {chosen.summary}" for chosen in samples.values()), sep="\n")
        return 0
    if args.name not in samples:
        options.error(f"{args.name or 'no name'}: not a sample; --list prints them")
    chosen = samples[args.name]
    if args.page:
        print(chosen.page.read_text(), end="")
        return 0
    if not args.out and not args.run:
        options.error("say --out DIR, --run or both")
    return make(chosen, args, tuple(words[split + 1 :]))


def make(chosen: Sample, args: argparse.Namespace, command: tuple[str, ...]) -> int:
    """Build a sample and, if asked, run it."""
    runtime = find_runtime(args.runtime) if args.run else args.runtime or "ociruntime"
    out = args.out.absolute() if args.out else Path(tempfile.mkdtemp(prefix=f"bundle-{chosen.name}-"))
    if not args.out:
        out.chmod(0o755)  # the container's root user may be somebody else
    request = Request(out, args.rootfs, args.suite, args.mirror, args.uid, command, args.terminal)
    containers = build(chosen, request)
    plan = Plan(runtime, out, containers, args.id or f"{chosen.name}-{os.getpid()}", args.root)
    if not args.run:
        print(plan.text())
        return 0
    try:
        return run(plan)
    finally:
        if not args.out:
            remove(out)


def interrupt(number: int, _: object) -> None:
    """End by a signal as Control-C ends: through every `finally`, so that no container stays behind."""
    raise KeyboardInterrupt(number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, interrupt)
    try:
        sys.exit(main(sys.argv[1:]))
    except BundleError as error:
        sys.exit(f"bundles: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
