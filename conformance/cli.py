"""The command line of the suite."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from conformance import expected
from conformance.judge import Judgement, Status, Verdict, judge
from conformance.probe import NoCompiler, build
from conformance.registry import Check, load
from conformance.report import html, machine, picture, table


def _check_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("patterns", nargs="*", metavar="CHECK", help="only checks whose id starts so")
    parser.add_argument("--timeout", type=float, default=20.0, help="seconds an operation may take (default 20)")
    parser.add_argument("--fast", action="store_true", help="leave out checks that take seconds")
    parser.add_argument("--strict", action="store_true", help="a departure from a SHOULD counts too")
    parser.add_argument("--quiet", action="store_true", help="only totals, coverage and surprises")
    for name, what in (
        ("tap", "TAP 14"),
        ("junit", "JUnit XML"),
        ("json", "JSON"),
        ("html", "the matrix as one page"),
        ("svg", "a picture of the totals"),
    ):
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"write {what}")
    parser.add_argument("--record", type=Path, metavar="DIR", help="write a record of expected results per runtime")


def _bench_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=30, help="turns per runtime and bundle (default 30)")
    parser.add_argument(
        "--bundle", action="append", choices=("minimal", "engine"), help="only this bundle (repeatable)"
    )
    parser.add_argument("--crowd", type=int, default=1000, help="containers present for some of the times; 0: none")
    parser.add_argument("--quick", action="store_true", help="times only: no memory, parallel creates or crowd")
    parser.add_argument("--seed", type=int, default=1, help="order of turns and bootstrap")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write samples, summaries and ratios")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write the picture of the times")
    parser.add_argument("--svg-cpu", type=Path, metavar="FILE", help="write the picture of the processor times")


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
    _check_options(commands.add_parser("check", parents=[runtime], help="judge runtimes by the clauses of the spec"))
    _bench_options(commands.add_parser("bench", parents=[runtime], help="time the operations of runtimes"))
    clauses = commands.add_parser("clauses", help="list the clauses, their checks, and what cannot be observed")
    clauses.add_argument("patterns", nargs="*", metavar="CLAUSE", help="only clauses whose id starts so")
    sabotage = commands.add_parser("sabotage", parents=[runtime], help="prove the checks: break one clause at a time")
    sabotage.add_argument("patterns", nargs="*", metavar="CHECK", help="only checks whose id starts so")
    sabotage.add_argument("--fast", action="store_true", help="leave out checks that take seconds")
    return parser


def check(options: argparse.Namespace) -> int:
    """``check``: judge, report, compare with what is recorded."""
    registry = load()
    chosen = [one for one in registry.select(options.patterns) if not (options.fast and one.slow)]
    if not chosen:
        print(f"conformance: no check starts with {' or '.join(options.patterns)}", file=sys.stderr)
        return 2
    found = _with_progress(options, chosen)
    console = Console(width=None if sys.stdout.isatty() else 160)
    if not options.quiet:
        table.print_differences(found, console)
        table.print_details(found, console)
        table.print_suspects(found, console)
    table.print_totals(found, console)
    table.print_coverage(registry, console)
    surprises = list(expected.surprises(found))
    table.print_surprises(surprises, console)
    for path, text in (
        (options.tap, machine.as_tap),
        (options.junit, machine.as_junit),
        (options.json, lambda f: machine.as_json(f, registry)),
        (options.html, lambda f: html.as_html(f, registry)),
        (options.svg, picture.as_svg),
    ):
        if path:
            path.write_text(text(found))
    if options.record:
        for name in found.runtimes:
            (options.record / f"{name}.json").write_text(expected.record(found, name))
    return _exit_status(options, found, surprises)


def _exit_status(options: argparse.Namespace, found: Judgement, surprises: list[expected.Surprise]) -> int:
    """A runtime with a record is judged by its record, any other by the clauses."""
    levels = [level for level in ("MUST", "SHOULD") if level == "MUST" or options.strict]
    unknown = [name for name in found.runtimes if expected.Known.of(found.versions[name]) is None]
    bad = any(
        verdict.status not in (Status.PASS, Status.SKIP)
        for one in found.checks
        if one.clause.level in levels
        for name in unknown
        if (verdict := found.verdicts[one.id, name])
    )
    broken = any(verdict.status is Status.ERROR for verdict in found.verdicts.values())
    return 1 if bad or broken or surprises else 0


def _with_progress(options: argparse.Namespace, chosen: list[Check]) -> Judgement:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=len(chosen) * len(options.runtime))

        def tell(check: Check, verdict: Verdict) -> None:
            progress.update(task, advance=1, description=f"{verdict.runtime:12.12} {check.id:44.44}")

        return judge(options.runtime, chosen, _probe(options.probe), tell, timeout=options.timeout)


def _probe(given: Path | None) -> Path:
    return given or build()


def clauses(options: argparse.Namespace) -> int:
    """``clauses``: the registry as text."""
    registry = load()
    for clause in registry.clauses.values():
        if options.patterns and not clause.id.startswith(tuple(options.patterns)):
            continue
        print(f"{clause.id} ({clause.level}): {clause.text}\n    {clause.link}")
        if clause.unobservable:
            print(f"    not observable: {clause.unobservable}")
        else:
            print(f"    checks: {' '.join(one.id for one in registry.checks_of(clause))}")
    table.print_coverage(registry, Console(width=160))
    return 0


def sabotage(options: argparse.Namespace) -> int:
    """``sabotage``: every check against a wrapper that breaks its clause; a check that does not notice is wrong."""
    from conformance.control import control

    registry = load()
    chosen = [one for one in registry.select(options.patterns) if one.broken_by and not (options.fast and one.slow)]
    results = control(options.runtime, chosen, _probe(options.probe))
    missed = [result for result in results if not result.caught]
    for result in missed:
        print(f"not caught: {result.tell()}")
    proven = {result.check for result in results if result.caught}
    clauses_proven = {registry.checks[name].clause.id for name in proven}
    observable = [clause for clause in registry.clauses.values() if clause.unobservable is None]
    print(f"{len(proven)} of {len(registry.checks)} checks proven, {len(missed)} not caught;", end=" ")
    print(f"{len(clauses_proven)} of {len(observable)} observable clauses have a check that was seen to notice")
    return 1 if any(result.judged for result in missed) else 0


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
    report.write(result, json_path=options.json, svg_path=options.svg, cpu_path=options.svg_cpu)
    return 1 if result.troubles else 0


COMMANDS = {"check": check, "bench": bench, "clauses": clauses, "sabotage": sabotage}


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    options = build_parser().parse_args(argv)
    # an ordinary way out, so that containers, cgroups and files are removed when somebody ends us
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        return COMMANDS[options.command](options)
    except (FileNotFoundError, NoCompiler) as failure:
        print(f"conformance: {failure}", file=sys.stderr)
        return 2
