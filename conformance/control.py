"""The negative control: each check against a runtime that breaks exactly its clause.

The wrapper (saboteur.py) runs a real runtime that passes the check. If the check passes with the wrapper too, it
cannot tell right from wrong.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import attrs

from conformance import host, saboteur
from conformance.judge import Court, Status, Verdict, court
from conformance.registry import Check
from conformance.runtime import Runtime

INTERPRETER = (sys.executable, "-I", "-S", saboteur.__file__)


@attrs.frozen
class Control:
    """What became of one check under sabotage."""

    check: str
    honest: Verdict | None
    sabotaged: Verdict | None

    @property
    def judged(self) -> bool:
        """Whether some runtime passes the check, without which nothing can be shown."""
        return self.sabotaged is not None

    @property
    def caught(self) -> bool:
        """Whether the check noticed."""
        return self.sabotaged is not None and self.sabotaged.status in (Status.FAIL, Status.HANG, Status.CRASH)

    def tell(self) -> str:
        """One line."""
        if self.sabotaged is None:
            return f"{self.check}: no runtime here passes it, so that nothing can be shown"
        return f"{self.check} with {self.sabotaged.runtime}: {self.sabotaged.status} {self.sabotaged.detail}"


def wrapped(honest: Runtime, acts: Sequence[saboteur.Sabotage]) -> Runtime:
    """The runtime with the saboteur before it."""
    return attrs.evolve(honest, argv=(*INTERPRETER, json.dumps(list(acts)), *honest.argv))


def _try(seat: Court, check: Check, runtimes: Sequence[Runtime]) -> Control:
    """Against runtimes that pass the check honestly, until one is caught: some cannot be broken in that way."""
    found = Control(check.id, None, None)
    for runtime in runtimes:
        verdict = seat.try_(check, runtime)
        if verdict.status is Status.PASS:
            found = Control(check.id, verdict, seat.try_(check, wrapped(runtime, check.broken_by)))
        if found.caught:
            break
    return found


def control(runtimes: Sequence[str], checks: Sequence[Check], probe: Path) -> list[Control]:
    """Every check with a sabotage."""
    with court(probe) as seat, ExitStack() as after:
        # where wrong runtimes were told to put cgroups
        after.callback(host.remove_group, "conformance-elsewhere")
        honest = [Runtime.parse(one, seat.home, timeout=8.0) for one in runtimes]
        for one in honest:
            one.root.mkdir(parents=True, exist_ok=True)
        return [_try(seat, check, honest) for check in checks]
