"""`ociruntime explain BUNDLE`: the plan in the words of a shell, and nothing done."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ociruntime import cli
from ociruntime.commands import explain
from ociruntime.commands.spec import example
from ociruntime.core.errors import ConfigError, UsageError
from ociruntime.core.options import Globals
from ociruntime.core.plan.draft import MOUNTS, STAGES, Join, LastCall, Plan
from ociruntime.core.steps.root import SetHostname
from ociruntime.explain.plan import AFTER_CLONE, BEFORE_CLONE, lines


def plan(**members: object) -> Plan:
    stages = {stage: [] for stage in STAGES}  # type: ignore[var-annotated]
    stages[MOUNTS].append(SetHostname(origin="/hostname", name="box"))
    return Plan(id="x", bundle="/b", rootfs="/b/rootfs", stages=stages, **members)  # type: ignore[arg-type]


def test_commands_stand_beside_their_properties() -> None:
    text = lines(plan())
    assert text[0] == "container x, bundle /b, rootfs /b/rootfs"
    assert text[-1].split() == ["/hostname", "hostname", "box"]


def test_every_stage_has_its_chapter() -> None:
    assert [stage for stage, _ in (*BEFORE_CLONE, *AFTER_CLONE)] == [*STAGES]


def test_namespaces_are_new_or_joined() -> None:
    text = lines(plan(unshare=0x20000000 | 0x40000000, joins=[Join(type="ipc", path="/proc/1/ns/ipc", origin="/x/0")]))
    assert "/x/0               nsenter --ipc=/proc/1/ns/ipc" in text
    assert "/linux/namespaces  unshare --pid --fork --net" in text


def test_hooks_stand_where_they_run() -> None:
    first = {"path": "/h", "args": ["h", "a b"], "timeout": 3}
    hooks = {"prestart": [first], "poststop": [{"path": "/i", "env": ["A=b"]}]}
    text = lines(plan(), hooks)
    assert "/hooks/prestart/0  timeout 3 /h 'a b' < state.json" in text
    assert text[-1] == "/hooks/poststop/0  env -i A=b /i < state.json"


def test_calls_without_words_are_part_of_the_one_before() -> None:
    text = lines(plan(last=[LastCall(name="capset", shown="capsh"), LastCall(name="prctl")]))
    assert text[-1].split() == ["capsh"]


def test_a_bundle(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rootfs").mkdir()
    config = example(cgroup_namespace=False)
    (tmp_path / "config.json").write_text(json.dumps(config))
    args = cli.parse(explain.OPTIONS, [str(tmp_path)])
    args.g = Globals(root=str(tmp_path / "state"))
    assert explain.run(args) == 0
    text = capfd.readouterr().out
    for index, mount in enumerate(config["mounts"]):
        assert f"/mounts/{index}" in text and mount["destination"] in text
    assert text.rstrip().endswith("exec sh")
    assert sorted(os.listdir(tmp_path)) == ["config.json", "rootfs"]  # nothing was done


def test_a_bundle_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"ociVersion": "1.3.0", "hostname": 5}')
    with pytest.raises(ConfigError) as refusal:
        explain.run(cli.parse(explain.OPTIONS, [str(tmp_path)]))
    assert refusal.value.origin == "/hostname"


def explained(word: str, capfd: pytest.CaptureFixture[str]) -> str:
    assert explain.run(cli.parse(explain.OPTIONS, [word])) == 0
    return capfd.readouterr().out


def test_a_code_has_a_page(capfd: pytest.CaptureFixture[str]) -> None:
    text = explained("cgroup-busy", capfd)
    assert text.startswith("cgroup-busy  (control groups)\n\n")
    assert "  why:     at create" in text and "  do:      choose another" in text.lower()
    assert "example: container's cgroup is not empty" in text
    assert max(len(line) for line in text.splitlines()) <= 96


def test_a_rule_explains_itself(capfd: pytest.CaptureFixture[str]) -> None:
    assert "A type of namespace is listed once" in explained("config-rule-namespace-twice", capfd)


@pytest.mark.parametrize(("word", "meant"), [("cgroup-bussy", "cgroup-busy"), ("hook-fail", "hook-failed")])
def test_a_code_that_is_none(word: str, meant: str) -> None:
    with pytest.raises(UsageError) as caught:
        explain.run(cli.parse(explain.OPTIONS, [word]))
    assert caught.value.code == "unknown-code" and caught.value.hint == f"did you mean {meant}?"


def test_a_bundle_that_is_missing_is_no_code(tmp_path: Path) -> None:
    args = cli.parse(explain.OPTIONS, [str(tmp_path / "none")])
    with pytest.raises(ConfigError):
        explain.run(args)
