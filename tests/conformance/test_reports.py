"""Each output is well formed and says the same."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from conformance.judge import Judgement, Status, Verdict
from conformance.registry import load
from conformance.report import html, machine, picture


@pytest.fixture
def judgement() -> Judgement:
    registry = load()
    checks = [registry.checks[name] for name in ("runtime.create.new", "config.hostname", "mounts.option.rro")]
    found = Judgement(["a", "b"], {"a": "a 1", "b": "b <2>"}, {"kernel": "6"}, checks)
    for name in found.runtimes:
        for check in checks:
            found.verdicts[check.id, name] = Verdict(check.id, name, Status.PASS)
    words = 'saw <b> & "x"\x1b \ud800'.encode("utf-8", "replace").decode()
    found.verdicts["config.hostname", "b"] = Verdict("config.hostname", "b", Status.FAIL, words, 0.1, ("cgroup /x",))
    found.verdicts["mounts.option.rro", "a"] = Verdict("mounts.option.rro", "a", Status.SKIP, "no # kernel")
    found.verdicts["mounts.option.rro", "b"] = Verdict("mounts.option.rro", "b", Status.FAIL, "not so")
    return found


def test_tap(judgement: Judgement) -> None:
    lines = machine.as_tap(judgement).splitlines()
    assert lines[:2] == ["TAP version 14", "1..6"]
    results = [line for line in lines if line.startswith(("ok ", "not ok "))]
    assert len(results) == 6
    assert sum(line.startswith("not ok") and "# TODO" not in line for line in results) == 1
    assert any(line.endswith(r"# SKIP no \# kernel") for line in results)


def test_junit(judgement: Judgement) -> None:
    root = ElementTree.fromstring(machine.as_junit(judgement).partition("\n")[2])
    suites = {suite.get("name"): suite.attrib for suite in root}
    assert (suites["b"]["failures"], suites["a"]["skipped"], suites["a"]["tests"]) == ("2", "1", "3")


def test_json(judgement: Judgement) -> None:
    document = json.loads(machine.as_json(judgement, load()))
    assert {(v["runtime"], v["status"]) for v in document["verdicts"]} == {
        *(("a", "pass"), ("a", "skip"), ("b", "pass"), ("b", "fail"))
    }
    assert document["clauses"][0]["link"].startswith("https://github.com/opencontainers/runtime-spec/blob/v1.3.0/")


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "img", "iframe"):
            self.outside.append(tag)


def test_html_is_self_contained_and_escaped(judgement: Judgement) -> None:
    page = html.as_html(judgement, load())
    parser = _Links()
    parser.feed(page)
    assert parser.outside == []
    assert "<b> &" not in page
    assert "saw &lt;b&gt;" in page
    assert page.index("Where runtimes differ") < page.index("config.hostname") < page.index("Where all agree")


def test_picture_counts_each_check_once(judgement: Judgement) -> None:
    root = ElementTree.fromstring(picture.as_svg(judgement))
    words = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text") if text.get("class") == "n"]
    assert words[-2:] == ["2 of 2", "1 of 3"]


def test_what_differs_comes_first(judgement: Judgement) -> None:
    groups = dict(html.groups(judgement, load()))
    assert [clause.id for clause, _ in groups["Where runtimes differ"]] == ["config.hostname"]


def test_suspects_are_checks_that_nobody_passes(judgement: Judgement) -> None:
    assert judgement.suspects() == []
    for name in judgement.runtimes:
        judgement.verdicts["runtime.create.new", name] = Verdict("runtime.create.new", name, Status.FAIL)
    assert judgement.suspects() == ["runtime.create.new"]
