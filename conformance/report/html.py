"""One page that needs nothing else: the matrix of clauses by runtimes, differences first."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from conformance.judge import Judgement, Status, Verdict
from conformance.registry import Check, Clause, Level, Registry

STYLE = """
:root { color-scheme: light dark; --line: #8884; --good: #2a7d3f; --bad: #c0392b; --soft: #b07d12; --dim: #8a8a8a }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 78rem; padding: 0 1rem }
h1 { font-size: 1.5rem; margin-bottom: .2rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse; width: 100% } th, td { padding: .3rem .6rem; text-align: left; vertical-align: top }
th { border-bottom: 2px solid var(--line); position: sticky; top: 0; background: Canvas }
td { border-top: 1px solid var(--line) } td.v { white-space: nowrap; font-weight: 600 }
.pass { color: var(--good) } .fail, .crash, .hang, .error { color: var(--bad) } .should, .litter { color: var(--soft) }
.skip, .no { color: var(--dim); font-weight: 400 } small { color: var(--dim) } code { font-size: .92em }
details summary { cursor: pointer }
details p { margin: .3rem 0; font-weight: 400; white-space: normal; max-width: 34rem }
.facts { display: flex; flex-wrap: wrap; gap: 1.6rem } .facts div { min-width: 11rem }
.bar { height: .6rem; background: var(--line); border-radius: .3rem; overflow: hidden; display: flex; max-width: 22rem }
.bar i { background: var(--good) } .bar b { background: var(--bad) }
"""
SEVERITY = (Status.ERROR, Status.CRASH, Status.HANG, Status.FAIL, Status.PASS, Status.SKIP)


def _verdicts(found: Judgement, checks: list[Check], name: str) -> list[Verdict]:
    return [verdict for check in checks if (verdict := found.verdicts.get((check.id, name)))]


def _worst(verdicts: list[Verdict]) -> Status | None:
    return next((status for status in SEVERITY if any(v.status is status for v in verdicts)), None)


def _cell(clause: Clause, verdicts: list[Verdict]) -> str:
    """One runtime's cell: the worst verdict, with the details of all that are not good."""
    worst = _worst(verdicts)
    if worst is None:
        return '<td class="v skip">-</td>'
    word = css = str(worst)
    if worst is Status.FAIL and clause.level is Level.SHOULD:
        word, css = "does not", "should"
    elif worst is Status.FAIL and clause.level is Level.MAY:
        word, css = "does not", "no"
    bad = [v for v in verdicts if v.status not in (Status.PASS, Status.SKIP) or v.litter]
    if worst is Status.FAIL and sum(v.status is Status.PASS for v in verdicts) > 0:
        word += f" {len(bad)}/{len(verdicts)}"
    notes = "".join(f"<p><code>{escape(v.check)}</code> {escape(v.detail)}{_litter(v)}</p>" for v in bad[:12])
    if worst is Status.SKIP:
        notes = f"<p>{escape(verdicts[0].detail)}</p>"
    mark = ' <span class="litter">+litter</span>' if any(v.litter for v in verdicts) else ""
    if not notes:
        return f'<td class="v {css}">{word}{mark}</td>'
    return f'<td class="v"><details><summary class="{css}">{word}{mark}</summary>{notes}</details></td>'


def _litter(verdict: Verdict) -> str:
    return f' <span class="litter">left: {escape("; ".join(verdict.litter))}</span>' if verdict.litter else ""


def _row(found: Judgement, clause: Clause, checks: list[Check]) -> str:
    cells = "".join(_cell(clause, _verdicts(found, checks, name)) for name in found.runtimes)
    suspect = "" if not set(found.suspects()) & {check.id for check in checks} else " <small>suspect</small>"
    return (
        f'<tr id="{escape(clause.id)}"><td><a href="{escape(clause.link)}">'
        f"<code>{escape(clause.id)}</code></a>{suspect}"
        f"<br><small>{escape(clause.text)}</small></td><td>{clause.level}</td>{cells}</tr>"
    )


def groups(found: Judgement, registry: Registry) -> Iterator[tuple[str, list[tuple[Clause, list[Check]]]]]:
    """Clauses where runtimes differ, where all depart, and the rest."""
    judged = {check.id for check in found.checks}
    differ, depart, agree = [], [], []
    for clause in registry.clauses.values():
        checks = [check for check in registry.checks_of(clause) if check.id in judged]
        if not checks:
            continue
        marks = []
        for name in found.runtimes:
            mine = _verdicts(found, checks, name)
            marks.append((_worst(mine), any(v.litter for v in mine)))
        judged_marks = {mark for mark in marks if mark[0] is not Status.SKIP}
        if len(judged_marks) > 1:
            differ.append((clause, checks))
        elif judged_marks and judged_marks != {(Status.PASS, False)}:
            depart.append((clause, checks))
        else:
            agree.append((clause, checks))
    yield "Where runtimes differ", differ
    yield "Where all depart from the text", depart
    yield "Where all agree with the text, or nothing could be judged", agree


def _totals(found: Judgement) -> str:
    """How each runtime fared with what it MUST do."""
    boxes = []
    for name in found.runtimes:
        must = [check for check in found.checks if check.clause.level is Level.MUST]
        mine = _verdicts(found, must, name)
        good = sum(v.status is Status.PASS for v in mine)
        judged = sum(v.status is not Status.SKIP for v in mine)
        bad = judged - good
        boxes.append(
            f"<div><b>{escape(name)}</b><br><small>{escape(found.versions[name])}</small>"
            f'<div class="bar"><i style="flex:{good}"></i><b style="flex:{bad}"></b></div>'
            f"<small>{good} of {judged} MUST checks</small></div>"
        )
    return f'<div class="facts">{"".join(boxes)}</div>'


def _unobservable(registry: Registry) -> str:
    rows = "".join(
        f'<tr><td><a href="{escape(one.link)}"><code>{escape(one.id)}</code></a><br>'
        f"<small>{escape(one.text)}</small></td><td>{one.level}</td><td>{escape(one.unobservable or '')}</td></tr>"
        for one in registry.clauses.values()
        if one.unobservable
    )
    return f"<h2>What cannot be observed from outside</h2><table><tr><th>clause<th>level<th>why</tr>{rows}</table>"


def as_html(found: Judgement, registry: Registry) -> str:
    """The page."""
    seen, total = (sum(row[i] for row in registry.coverage().values()) for i in (0, 2))
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f"<title>OCI runtime conformance</title><style>{STYLE}</style><h1>OCI runtime conformance</h1>",
        f"<p>{seen} of {total} clauses of runtime-spec 1.3.0 are judged by {len(found.checks)} checks. ",
        f"{escape('; '.join(f'{key} {value}' for key, value in found.host.items()))}</p>{_totals(found)}",
    ]
    heads = "".join(f"<th>{escape(name)}" for name in found.runtimes)
    for title, rows in groups(found, registry):
        if rows:
            body = "".join(_row(found, clause, checks) for clause, checks in rows)
            parts.append(f"<h2>{title} ({len(rows)})</h2><table><tr><th>clause<th>level{heads}</tr>{body}</table>")
    return "".join(parts) + _unobservable(registry) + "</html>\n"
