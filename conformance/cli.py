"""The command line of the suite."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console


def _bench_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=30, help="turns per runtime and bundle (default 30)")
    parser.add_argument(
        "--bundle", action="append", choices=("minimal", "engine"), help="only this bundle (repeatable)"
    )
    parser.add_argument("--crowd", type=int, default=1000, help="containers present for list and state; 0: none")
    parser.add_argument("--quick", action="store_true", help="times only: no memory, parallel creates or crowd")
    parser.add_argument("--seed", type=int, default=1, help="order of turns and bootstrap")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write samples, summaries and ratios")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write the picture")


def build_parser() -> argparse.ArgumentParser:
    """The options of every command."""
    parser = argparse.ArgumentParser(prog="python -m conformance", description="judge and time any OCI runtime")
    commands = parser.add_subparsers(dest="command", required=True)
    runtime = argparse.ArgumentParser(add_help=False)
    runtime.add_argument(
        "--runtime",
        action="append",
        required=True,
        metavar="[NAME=]COMMAND",
        help="a runtime, as one would type it; repeatable, the first is the one others are compared with",
    )
    runtime.add_argument("--probe", type=Path, help="a ready-made static probe, where no C compiler is")
    _bench_options(commands.add_parser("bench", parents=[runtime], help="time the operations of runtimes"))
    return parser


def _probe(given: Path | None) -> Path:
    from conformance.probe import build

    return given or build()


def bench(options: argparse.Namespace) -> int:
    """``bench``: the race, its table and files."""
    from conformance.bench import race, report

    plan = race.Plan(
        rounds=options.rounds,
        bundles=tuple(options.bundle or race.Plan().bundles),
        extras=not options.quick,
        crowd=options.crowd,
        seed=options.seed,
    )
    err = Console(stderr=True)
    with err.status("") as status:
        result = race.race(options.runtime, plan, _probe(options.probe), lambda text: status.update(text))
    report.print_table(result, Console(width=None if sys.stdout.isatty() else 200))
    report.write(result, options.json, options.svg)
    return 1 if result.troubles else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    from conformance.probe import NoCompiler

    options = build_parser().parse_args(argv)
    try:
        return int({"bench": bench}[options.command](options))
    except (FileNotFoundError, NoCompiler) as failure:
        print(f"conformance: {failure}", file=sys.stderr)
        return 2
