"""The judgement for machines: TAP 14, JUnit XML and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from xml.etree import ElementTree

from conformance.judge import Judgement, Status, Verdict
from conformance.registry import Check, Level, Registry


def _rows(found: Judgement) -> Iterator[tuple[Check, Verdict]]:
    for name in found.runtimes:
        for check in found.checks:
            verdict = found.verdicts.get((check.id, name))
            if verdict is not None:
                yield check, verdict


def as_tap(found: Judgement) -> str:
    """TAP 14; departures from SHOULD and MAY are ``TODO``, which TAP does not count as failures."""
    rows = list(_rows(found))
    lines = ["TAP version 14", f"1..{len(rows)}"]
    for number, (check, verdict) in enumerate(rows, 1):
        good = verdict.status in (Status.PASS, Status.SKIP)
        line = f"{'ok' if good else 'not ok'} {number} - {verdict.runtime}: {check.id} ({check.clause.level})"
        if verdict.status is Status.SKIP:
            line += f" # SKIP {_plain(verdict.detail)}"
        elif not good and verdict.status is Status.FAIL and check.clause.level is not Level.MUST:
            line += f" # TODO {check.clause.level}"
        lines.append(line)
        if not good or verdict.litter:
            lines += ["  ---", f"  clause: {json.dumps(check.clause.text)}", f"  link: {check.clause.link}"]
            lines.append(f"  status: {verdict.status}")
            lines.append(f"  detail: {json.dumps(verdict.detail)}")
            lines += [f"  litter: {json.dumps(list(verdict.litter))}"] if verdict.litter else []
            lines.append("  ...")
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    return text.replace("#", "\\#").replace("\n", " ")


def as_junit(found: Judgement) -> str:
    """JUnit XML: a test suite per runtime, a test case per check."""
    root = ElementTree.Element("testsuites", name="conformance")
    for name in found.runtimes:
        mine = [(check, verdict) for check, verdict in _rows(found) if verdict.runtime == name]
        count = {status: sum(verdict.status is status for _, verdict in mine) for status in Status}
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=name,
            tests=str(len(mine)),
            failures=str(count[Status.FAIL]),
            errors=str(count[Status.CRASH] + count[Status.HANG] + count[Status.ERROR]),
            skipped=str(count[Status.SKIP]),
            time=f"{sum(verdict.seconds for _, verdict in mine):.3f}",
        )
        for check, verdict in mine:
            _case(suite, check, verdict)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ElementTree.Element, check: Check, verdict: Verdict) -> None:
    group, _, name = check.id.partition(".")
    case = ElementTree.SubElement(
        suite, "testcase", classname=f"{verdict.runtime}.{group}", name=name or group, time=f"{verdict.seconds:.3f}"
    )
    kind = {Status.PASS: "", Status.SKIP: "skipped", Status.FAIL: "failure"}.get(verdict.status, "error")
    if kind:
        inner = ElementTree.SubElement(case, kind, message=_printable(verdict.detail), type=str(verdict.status))
        inner.text = f"{check.clause.level}: {check.clause.text}\n{check.clause.link}"
    if verdict.litter:
        ElementTree.SubElement(case, "system-out").text = "left: " + "; ".join(verdict.litter)


def _printable(text: str) -> str:
    """Without the control characters that XML 1.0 has no way to write."""
    return "".join(c if c.isprintable() or c in "\t\n" else "?" for c in text)


def as_json(found: Judgement, registry: Registry) -> str:
    """Everything: clauses, coverage, verdicts."""
    judged = {check.id for check in found.checks}
    document = {
        "spec": "1.3.0",
        "host": found.host,
        "runtimes": found.versions,
        "coverage": {
            level: {"checked": seen, "not observable": hidden, "clauses": count}
            for level, (seen, hidden, count) in registry.coverage().items()
        },
        "clauses": [
            {
                "id": clause.id,
                "level": clause.level,
                "text": clause.text,
                "link": clause.link,
                "not observable": clause.unobservable,
                "checks": [check.id for check in registry.checks_of(clause) if check.id in judged],
            }
            for clause in registry.clauses.values()
        ],
        "verdicts": [
            {
                "check": verdict.check,
                "clause": check.clause.id,
                "runtime": verdict.runtime,
                "status": verdict.status,
                "detail": verdict.detail,
                "litter": list(verdict.litter),
                "seconds": round(verdict.seconds, 4),
            }
            for check, verdict in _rows(found)
        ],
        "suspects": found.suspects(),
    }
    return json.dumps(document, indent=1) + "\n"
