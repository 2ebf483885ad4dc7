"""The stopwatch's statistics and its three outputs."""

from __future__ import annotations

import io
import json
import os
import shutil
from xml.etree import ElementTree

import pytest
from rich.console import Console

from conformance.bench import race, report
from conformance.bench.deeds import OPERATIONS, Took
from conformance.bench.race import Plan, Result
from conformance.bench.stats import Summary, ratio
from conformance.probe import NoCompiler, build


def test_summary_is_median_and_quartiles() -> None:
    summary = Summary.of([4.0, 1.0, 3.0, 2.0, 5.0])
    assert (summary.count, summary.low, summary.median, summary.high, summary.least) == (5, 2.0, 3.0, 4.0, 1.0)
    assert Summary.of([7.0]).median == 7.0


def test_ratio_of_a_sample_with_itself_is_one_and_certain() -> None:
    found = ratio([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


def test_ratio_brackets_the_truth_and_knows_when_it_does_not_know() -> None:
    steady = ratio([2.0 + 0.01 * (i % 5) for i in range(40)], [1.0 + 0.01 * (i % 7) for i in range(40)])
    assert steady.low < 2 < steady.high * 1.05
    assert steady.high - steady.low < 0.1
    noisy = ratio([1.0, 9.0, 2.0, 8.0], [8.0, 1.0, 9.0, 2.0])
    assert noisy.low < 1 < noisy.high


def test_ratio_is_the_same_for_the_same_seed() -> None:
    one = ratio([1.0, 5.0, 2.0], [2.0, 1.0, 4.0], seed=3)
    assert one == ratio([1.0, 5.0, 2.0], [2.0, 1.0, 4.0], seed=3)


@pytest.fixture
def result() -> Result:
    found = Result(["a", "b"], {"a": "a 1", "b": "b 2"}, {"cpus": "2", "kernel": "6"}, Plan(rounds=3))
    for name, factor in (("a", 1.0), ("b", 2.0)):
        found.add("minimal", "run", name, [Took(factor * part, factor) for part in (1.0, 1.1, 0.9)])
    found.singles["memory", "a"] = 12.0
    found.troubles.append("b: [broke]")
    return found


def test_outputs(result: Result) -> None:
    document = json.loads(report.as_json(result))
    (second,) = [entry for entry in document["times"] if entry["runtime"] == "b"]
    assert second["ratio"]["value"] == pytest.approx(2.0)
    picture = ElementTree.fromstring(report.as_svg(result))
    assert len(picture.findall(".//{*}rect")) == 1 + 2 + 2  # ground, legend, bars
    console = Console(width=200, record=True, file=io.StringIO())
    report.print_table(result, console)
    text = console.export_text()
    assert "x2.00" in text
    assert "b: [broke]" in text


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="makes containers, which needs root")
def test_a_short_race() -> None:
    if shutil.which("runc") is None:
        pytest.skip("runc is not installed")
    try:
        probe = build()
    except NoCompiler as failure:
        pytest.skip(str(failure))
    found = race.race(["runc"], Plan(rounds=1, crowd=3, creates=4), probe, lambda _: None)
    assert found.troubles == []
    assert {key[1] for key in found.samples if key[0] == "engine"} == set(OPERATIONS)
    assert {key[1] for key in found.samples if key[0] == "3 containers"} == {"list", "state", "create", "delete"}
    assert all(value and value > 0 for value in found.singles.values())
