"""What is known of released runtimes: every departure with its reason, so that a change is noticed.

One JSON file per runtime and version. A check that is not named there is expected to pass, or to be skipped where
the host cannot show it. ``status`` is what the check says (``unsteady`` for a race that may end either
way), ``litter`` that something is left behind, ``reason`` why.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from conformance.judge import Judgement, Status, Verdict

HERE = Path(__file__).parent
UNSTEADY = "unsteady"


@attrs.frozen
class Known:
    """The record of one runtime."""

    version: str
    departures: dict[str, dict[str, Any]]

    @classmethod
    def of(cls, version: str) -> Known | None:
        """The record for the first line of ``--version``, or None."""
        for path in sorted(HERE.glob("*.json")):
            document = json.loads(path.read_text())
            if document["version"] == version:
                return cls(version, document["departures"])
        return None


@attrs.frozen
class Surprise:
    """A verdict that is not the recorded one."""

    verdict: Verdict
    wanted: str

    def tell(self) -> str:
        """One line."""
        seen = self.verdict.status + (" with litter" if self.verdict.litter else "")
        return f"{self.verdict.runtime} {self.verdict.check}: recorded {self.wanted}, saw {seen}: {self.verdict.detail}"


def surprises(found: Judgement) -> Iterator[Surprise]:
    """Verdicts on known runtimes that are not as recorded."""
    for name in found.runtimes:
        known = Known.of(found.versions[name])
        if known is None:
            continue
        for check in found.checks:
            verdict = found.verdicts[check.id, name]
            record = known.departures.get(check.id, {})
            wanted = record.get("status", "pass")
            if verdict.status is Status.SKIP or wanted == UNSTEADY:
                continue
            if verdict.status != wanted or bool(verdict.litter) != bool(record.get("litter")):
                yield Surprise(verdict, wanted + (" with litter" if record.get("litter") else ""))


def record(found: Judgement, name: str) -> str:
    """A new record of a runtime; reasons of an older one are kept, new departures get an empty reason to fill in."""
    known = Known.of(found.versions[name])
    departures: dict[str, Any] = {}
    for check in found.checks:
        verdict = found.verdicts[check.id, name]
        old = known.departures.get(check.id, {}) if known else {}
        if old and (verdict.status is Status.SKIP or old["status"] == UNSTEADY):
            departures[check.id] = old
        elif verdict.status not in (Status.PASS, Status.SKIP) or verdict.litter:
            entry: dict[str, Any] = {"status": str(verdict.status)}
            if verdict.litter:
                entry["litter"] = True
            departures[check.id] = entry | {"reason": old.get("reason", "")}
    document = {"version": found.versions[name], "departures": departures}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
