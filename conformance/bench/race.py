"""The race: runtimes take turns, in a new order every round, and every number keeps its round."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from conformance import bundle, host, spawn
from conformance.bench import deeds
from conformance.bench.deeds import Broken, Stand, Took
from conformance.bundle import Bundle
from conformance.runtime import Runtime

BUNDLES: dict[str, Callable[..., bundle.Config]] = {"minimal": bundle.minimal, "engine": bundle.engine}
HARNESS = "(harness)"  # the row that shows what starting any program at all costs here


@attrs.frozen
class Plan:
    """What to measure and how often."""

    rounds: int = 30
    bundles: tuple[str, ...] = ("minimal", "engine")
    extras: bool = True
    crowd: int = 1000
    creates: int = 64
    seed: int = 1


@attrs.define
class Result:
    """Everything measured: samples in ms by (bundle, operation, runtime), and single numbers by (what, runtime).

    ``samples`` are by the clock, ``cpu`` of processor time, which a busy machine spoils less.
    """

    runtimes: list[str]
    versions: dict[str, str]
    host: dict[str, str]
    plan: Plan
    samples: dict[tuple[str, str, str], list[float]] = attrs.Factory(dict)
    cpu: dict[tuple[str, str, str], list[float]] = attrs.Factory(dict)
    singles: dict[tuple[str, str], float | None] = attrs.Factory(dict)
    troubles: list[str] = attrs.Factory(list)

    def add(self, bundle_name: str, operation: str, runtime: str, values: Sequence[Took]) -> None:
        """Keep more samples of one operation."""
        key = bundle_name, operation, runtime
        self.samples.setdefault(key, []).extend(value.wall for value in values)
        self.cpu.setdefault(key, []).extend(value.cpu for value in values)


@contextmanager
def stands(runtimes: Sequence[Runtime], home: Path, probe: Path) -> Iterator[list[Stand]]:
    """A stand per runtime below ``home``; cgroups and files are gone afterwards."""
    group = f"conformance-bench-{os.getpid()}"
    host.make_group(group)
    try:
        yield [
            Stand(one, {name: Bundle.make(home / "bundles" / one.name / name, probe) for name in BUNDLES}, group)
            for one in runtimes
        ]
    finally:
        deeds.collect()
        host.remove_group(group)
        shutil.rmtree(home, ignore_errors=True)


def race(runtimes: Sequence[str], plan: Plan, probe: Path, say: Callable[[str], None]) -> Result:
    """Run the whole plan; a runtime that fails leaves a line in ``troubles`` and drops out of that measure."""
    home = Path(tempfile.mkdtemp(prefix="conformance-bench-", dir="/tmp"))
    spawn.become_subreaper()
    racers = [Runtime.parse(one, home) for one in runtimes]
    with host.complete_hierarchies() as note, stands(racers, home, probe) as track:
        if note:
            say(note)
        versions = {one.name: one.version() for one in racers}
        result = Result([one.name for one in racers], versions, host.describe(), plan)
        _rounds(track, plan, result, probe, say)
        if plan.extras:
            _extras(track, plan, result, say)
    return result


def _attempt(result: Result, what: str, deed: Callable[[], Any]) -> Any:
    try:
        return deed()
    except (Broken, OSError, ValueError) as failure:
        result.troubles.append(f"{what}: {failure}")
        return None


def _rounds(track: list[Stand], plan: Plan, result: Result, probe: Path, say: Callable[[str], None]) -> None:
    dice = random.Random(plan.seed)
    out: set[tuple[str, str]] = set()
    for turn in range(-1, plan.rounds):  # round -1 warms caches (page cache, compiled filters) and is not counted
        say(f"round {turn + 1} of {plan.rounds}")
        lap = [(name, stand) for name in plan.bundles for stand in track]
        dice.shuffle(lap)
        if turn >= 0:
            result.add("", "spawn", HARNESS, [deeds.demand(spawn.call((str(probe), "true")))])
        for name, stand in lap:
            runtime = stand.runtime.name
            if (name, runtime) in out:
                continue
            took = _attempt(result, f"{runtime} on {name}", partial(deeds.one_round, stand, name, BUNDLES[name]))
            if took is None:
                out.add((name, runtime))
            elif turn >= 0:
                for operation, value in took.items():
                    result.add(name, operation, runtime, [value])


def _extras(track: list[Stand], plan: Plan, result: Result, say: Callable[[str], None]) -> None:
    workers = 2 * (os.cpu_count() or 1)
    for stand in track:
        runtime = stand.runtime.name
        for name in plan.bundles:
            make = BUNDLES[name]
            say(f"{runtime}: memory ({name})")
            waiting = _attempt(result, f"{runtime}: memory", partial(deeds.waiting_memory, stand, name, make("true")))
            limit = _attempt(result, f"{runtime}: smallest limit", partial(deeds.smallest_limit, stand, name, make))
            result.singles[f"memory of the waiting init, {name}, kB", runtime] = waiting and waiting / 1000
            result.singles[f"smallest memory limit for true, {name}, kB", runtime] = limit and limit / 1000
            say(f"{runtime}: parallel creates ({name})")
            rate = _attempt(
                result,
                f"{runtime}: parallel creates",
                partial(deeds.parallel_creates, stand, name, make, count=plan.creates, workers=workers),
            )
            result.singles[f"parallel creates ({workers} at once), {name}, per s", runtime] = rate
        if plan.crowd:
            say(f"{runtime}: {plan.crowd} containers")
            _crowd(stand, plan, result)


def _crowd(stand: Stand, plan: Plan, result: Result) -> None:
    name = f"{plan.crowd} containers"
    took = _attempt(
        result,
        f"{stand.runtime.name}: {name}",
        lambda: deeds.crowd(stand, "minimal", bundle.minimal, count=plan.crowd, samples=max(5, plan.rounds // 3)),
    )
    for operation, values in (took or {}).items():
        result.add(name, operation, stand.runtime.name, values)
