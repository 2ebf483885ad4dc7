"""Medians, their spread, and ratios one may believe: the little statistics a stopwatch needs."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence

import attrs

RESAMPLES = 2000
TINY = 1e-9  # processor time is counted in steps: a resample of a very short operation may be all zero


@attrs.frozen
class Summary:
    """A sample in five numbers (same unit as the sample)."""

    count: int
    low: float  # 25th percentile
    median: float
    high: float  # 75th percentile
    least: float

    @classmethod
    def of(cls, sample: Sequence[float]) -> Summary:
        """Summarise at least one value."""
        if len(sample) < 2:
            return cls(len(sample), sample[0], sample[0], sample[0], sample[0])
        low, median, high = statistics.quantiles(sample, n=4, method="inclusive")
        return cls(len(sample), low, median, high, min(sample))


@attrs.frozen
class Ratio:
    """The ratio of two medians with a 95 % bootstrap interval."""

    value: float
    low: float
    high: float


def ratio(sample: Sequence[float], base: Sequence[float], *, seed: int = 1) -> Ratio:
    """Median of ``sample`` over median of ``base``.

    Both are resampled by round, the same rounds for both where they have equally many: the runtimes took turns, so a
    slow moment of the machine hit them together and must be drawn together.
    """
    dice = random.Random(seed)
    paired = len(sample) == len(base)
    drawn: list[float] = []
    for _ in range(RESAMPLES):
        rounds = dice.choices(range(len(sample)), k=len(sample))
        others = rounds if paired else dice.choices(range(len(base)), k=len(base))
        below = statistics.median([base[i] for i in others])
        drawn.append(statistics.median([sample[i] for i in rounds]) / max(below, TINY))
    drawn.sort()
    edge = round(RESAMPLES * 0.025)
    return Ratio(statistics.median(sample) / statistics.median(base), drawn[edge], drawn[-edge - 1])
