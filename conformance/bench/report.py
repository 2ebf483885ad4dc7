"""The result of a race as a table, as JSON and as a picture."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from conformance.bench.deeds import OPERATIONS
from conformance.bench.race import HARNESS, Result
from conformance.bench.stats import Summary, ratio

COLOURS = ("#4878a8", "#e07b39", "#5b9a53", "#b04a5a", "#8064a2", "#7f7f7f")


def rows(result: Result) -> Iterator[tuple[str, str]]:
    """(bundle, operation) in the order of the report."""
    order = {name: place for place, name in enumerate(OPERATIONS)}
    seen = {(bundle, operation) for bundle, operation, runtime in result.samples if runtime != HARNESS}
    bundles = list(dict.fromkeys([*result.plan.bundles, *(key[0] for key in result.samples)]))
    yield from sorted(seen, key=lambda row: (bundles.index(row[0]), order.get(row[1], 99), row[1]))


def as_json(result: Result) -> str:
    """Samples, summaries and ratios to the first runtime."""
    base = result.runtimes[0]
    times: list[dict[str, Any]] = []
    for (bundle, operation, runtime), sample in result.samples.items():
        summary = Summary.of(sample)
        entry: dict[str, Any] = {"bundle": bundle, "operation": operation, "runtime": runtime, "unit": "ms"}
        entry |= {"median": summary.median, "p25": summary.low, "p75": summary.high, "min": summary.least}
        entry["samples"] = [round(value, 4) for value in sample]
        entry["cpu"] = [round(value, 4) for value in result.cpu[bundle, operation, runtime]]
        entry["cpu median"] = statistics.median(entry["cpu"])
        other = result.samples.get((bundle, operation, base))
        if other and runtime not in (base, HARNESS):
            found = ratio(sample, other, seed=result.plan.seed)
            entry["ratio"] = {"to": base, "value": found.value, "ci95": [found.low, found.high]}
        times.append(entry)
    singles = [{"what": what, "runtime": name, "value": value} for (what, name), value in result.singles.items()]
    document = {
        "host": result.host,
        "runtimes": result.versions,
        "rounds": result.plan.rounds,
        "times": times,
        "singles": singles,
        "troubles": result.troubles,
    }
    return json.dumps(document, indent=1)


Samples = dict[tuple[str, str, str], list[float]]


def _cell(result: Result, samples: Samples, row: tuple[str, str], runtime: str) -> str:
    sample = samples.get((*row, runtime))
    if not sample:
        return "[dim]-[/dim]"
    summary = Summary.of(sample)
    cell = f"{summary.median:.1f} [dim]{summary.low:.1f}-{summary.high:.1f}[/dim]"
    other = samples.get((*row, result.runtimes[0]))
    if other and runtime != result.runtimes[0] and statistics.median(other) > 0:
        found = ratio(sample, other, seed=result.plan.seed)
        colour = "green" if found.high < 1 else "red" if found.low > 1 else "yellow"
        cell += f" [{colour}]x{found.value:.2f}[/] [dim]{found.low:.2f}-{found.high:.2f}[/dim]"
    return cell


def print_table(result: Result, console: Console) -> None:
    """Medians in ms with their quartiles; ratios to the first runtime with a 95 % interval."""
    words = f"median p25-p75, ratio to {result.runtimes[0]} with its 95 % interval, {result.plan.rounds} rounds"
    _print_samples(result, result.samples, f"ms by the clock: {words}", console)
    _print_samples(result, result.cpu, f"ms of processor time (without the container's own): {words}", console)
    _print_rest(result, console)


def _print_samples(result: Result, samples: Samples, heading: str, console: Console) -> None:
    table = Table(title=heading, title_justify="left", pad_edge=False)
    table.add_column("bundle")
    table.add_column("operation")
    for name in result.runtimes:
        table.add_column(name, no_wrap=True)
    last = None
    for bundle, operation in rows(result):
        if bundle != last and last is not None:
            table.add_section()
        cells = [_cell(result, samples, (bundle, operation), name) for name in result.runtimes]
        table.add_row(bundle if bundle != last else "", operation, *cells)
        last = bundle
    console.print(table)


def _print_rest(result: Result, console: Console) -> None:
    if result.singles:
        _print_singles(result, console)
    floor = result.samples.get(("", "spawn", HARNESS))
    if floor:
        console.print(f"of every time, {Summary.of(floor).median:.2f} ms is what starting any program costs here")
    for name, version in result.versions.items():
        console.print(f"{name}: {version}", highlight=False)
    for trouble in result.troubles:
        console.print(f"trouble: {trouble}", style="red", highlight=False, markup=False)


def _print_singles(result: Result, console: Console) -> None:
    table = Table(pad_edge=False)
    table.add_column("measure")
    for name in result.runtimes:
        table.add_column(name, justify="right")
    for what in dict.fromkeys(what for what, _ in result.singles):
        values = [result.singles.get((what, name)) for name in result.runtimes]
        table.add_row(what, *("-" if value is None else f"{value:,.0f}" for value in values))
    console.print(table)


# ---- the picture ------------------------------------------------------------

BAR, GAP, LEFT, WIDTH = 14, 12, 190, 560


def _bars(result: Result, samples: Samples, scale: float) -> Iterator[tuple[int, str]]:
    """SVG pieces with the height they need."""
    last = None
    for bundle, operation in rows(result):
        if bundle != last:
            yield 30, f'<text x="10" y="22" class="h">{escape(bundle)}</text>'
            last = bundle
        parts = [f'<text x="{LEFT - 8}" y="{BAR * len(result.runtimes) / 2 + 4}" class="o">{escape(operation)}</text>']
        for place, name in enumerate(result.runtimes):
            sample = samples.get((bundle, operation, name))
            if not sample:
                continue
            summary, y = Summary.of(sample), place * BAR
            x, low, high = (LEFT + scale * value for value in (summary.median, summary.low, summary.high))
            parts.append(
                f'<rect x="{LEFT}" y="{y}" width="{x - LEFT:.1f}" height="{BAR - 2}" fill="{COLOURS[place % 6]}"/>'
                f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y + BAR / 2 - 1}" y2="{y + BAR / 2 - 1}" stroke="#222"/>'
                f'<text x="{max(x, high) + 5:.1f}" y="{y + BAR - 4}" class="v">{summary.median:.1f}</text>'
            )
        yield BAR * len(result.runtimes) + GAP, "".join(parts)


def as_svg(result: Result, *, cpu: bool = False) -> str:
    """Bars of the medians, whiskers from the 25th to the 75th percentile, one colour per runtime."""
    samples = result.cpu if cpu else result.samples
    tops = [Summary.of(s).high for (_, _, name), s in samples.items() if name != HARNESS]
    scale = WIDTH / max(tops, default=1.0)
    y, body = 34, []
    for height, piece in _bars(result, samples, scale):
        body.append(f'<g transform="translate(0 {y})">{piece}</g>')
        y += height
    legend = "".join(
        f'<rect x="{10 + 170 * place}" y="8" width="12" height="12" fill="{COLOURS[place % 6]}"/>'
        f'<text x="{27 + 170 * place}" y="18" class="v">{escape(name)}</text>'
        for place, name in enumerate(result.runtimes)
    )
    what = "milliseconds of processor time" if cpu else "milliseconds by the clock"
    foot = f"{what}, median and quartiles of {result.plan.rounds} rounds; {result.host.get('cpus')} CPUs, kernel "
    foot += result.host.get("kernel", "")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 60} {y + 24}" font-family="sans-serif">'
        "<style>.h{font-weight:bold;font-size:14px}.o{text-anchor:end;font-size:12px}.v{font-size:11px}"
        "text{fill:#222}</style>"
        f'<rect width="100%" height="100%" fill="#fff"/>{legend}{"".join(body)}'
        f'<text x="10" y="{y + 14}" class="v">{escape(foot)}</text></svg>\n'
    )


def write(result: Result, *, json_path: Path | None, svg_path: Path | None, cpu_path: Path | None) -> None:
    """Write the files asked for."""
    if json_path:
        json_path.write_text(as_json(result))
    if svg_path:
        svg_path.write_text(as_svg(result))
    if cpu_path:
        cpu_path.write_text(as_svg(result, cpu=True))
