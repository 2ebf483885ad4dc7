"""The judgement on a terminal: what differs, what is violated, and how much of the spec was looked at."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from conformance.expected import Surprise
from conformance.judge import Judgement, Status, Verdict
from conformance.registry import Check, Level, Registry

SIGNS = {
    Status.PASS: "[green]pass[/]",
    Status.FAIL: "[red]FAIL[/]",
    Status.SKIP: "[dim]skip[/]",
    Status.CRASH: "[bold red]CRASH[/]",
    Status.HANG: "[bold red]HANG[/]",
    Status.ERROR: "[bold magenta]ERROR[/]",
}


def sign(check: Check, verdict: Verdict | None) -> str:
    """One cell: a permission not used is no failure."""
    if verdict is None:
        return ""
    text = SIGNS[verdict.status]
    if verdict.status is Status.FAIL and check.clause.level is Level.MAY:
        text = "[dim]no[/]"
    elif verdict.status is Status.FAIL and check.clause.level is Level.SHOULD:
        text = "[yellow]should[/]"
    return text + (" [yellow]+litter[/]" if verdict.litter else "")


def print_differences(found: Judgement, console: Console) -> None:
    """Every check that not all runtimes pass or skip, with what was seen."""
    table = Table(title="where runtimes depart from the clauses", title_justify="left", pad_edge=False)
    table.add_column("check", overflow="fold")
    table.add_column("level")
    for name in found.runtimes:
        table.add_column(name)
    for check in found.checks:
        verdicts = [found.verdicts.get((check.id, name)) for name in found.runtimes]
        if all(v is None or (v.status in (Status.PASS, Status.SKIP) and not v.litter) for v in verdicts):
            continue
        table.add_row(check.id, check.clause.level, *(sign(check, verdict) for verdict in verdicts))
    if table.row_count:
        console.print(table)


def print_details(found: Judgement, console: Console) -> None:
    """What was seen in every departure from a MUST."""
    for name in found.runtimes:
        for verdict in found.violations(name):
            console.print(f"[bold]{escape(name)}[/] {escape(verdict.check)}: {escape(verdict.detail)}", highlight=False)
    for verdict in found.verdicts.values():
        if verdict.litter:
            left = "; ".join(verdict.litter)
            console.print(f"[yellow]{verdict.runtime} {verdict.check} left: {escape(left)}[/]", highlight=False)


def print_totals(found: Judgement, console: Console) -> None:
    """Verdicts by runtime and level."""
    table = Table(pad_edge=False)
    for title in ("runtime", "level", "pass", "depart", "skip", "crash", "hang", "error", "litter"):
        table.add_column(title, justify="left" if title in ("runtime", "level") else "right")
    for name in found.runtimes:
        for level in Level:
            mine = [found.verdicts[check.id, name] for check in found.checks if check.clause.level is level]
            count = Counter(verdict.status for verdict in mine)
            litter = sum(bool(verdict.litter) for verdict in mine)
            order = (Status.PASS, Status.FAIL, Status.SKIP, Status.CRASH, Status.HANG, Status.ERROR)
            table.add_row(name, level, *(str(count[status]) for status in order), str(litter))
    console.print(table)
    for name, version in found.versions.items():
        console.print(f"{name}: {version}", highlight=False)


def print_coverage(registry: Registry, console: Console) -> None:
    """How many clauses have a check: the figure."""
    covered = total = 0
    for level, (seen, hidden, count) in registry.coverage().items():
        console.print(f"{level}: {seen} of {count} clauses have a check, {hidden} cannot be observed", highlight=False)
        covered, total = covered + seen, total + count
    share = 100 * covered / total
    console.print(
        f"coverage: {covered} of {total} clauses ({share:.0f} %), by {len(registry.checks)} checks", highlight=False
    )


def print_suspects(found: Judgement, console: Console) -> None:
    """Checks that no runtime here passes."""
    for check in found.suspects():
        console.print(f"[yellow]suspect:[/] no runtime here passes {check}; the check may be wrong", highlight=False)


def print_surprises(surprises: list[Surprise], console: Console) -> None:
    """Where a known runtime was not as recorded."""
    for one in surprises:
        console.print(f"[bold red]unexpected:[/] {escape(one.tell())}", highlight=False)
