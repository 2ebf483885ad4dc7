"""The saboteur edits exactly what it is told to."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from conformance import saboteur, spawn
from conformance.saboteur import drop, edit, move, put, reverse, say, skip, succeed, swap

SPEC: dict[str, Any] = {"hostname": "a", "mounts": [1, 2, 3], "hooks": {"prestart": ["p"], "poststop": ["q"]}}


@pytest.mark.parametrize(
    ("act", "wanted"),
    [
        (drop("/hostname"), {"mounts": [1, 2, 3], "hooks": SPEC["hooks"]}),
        (drop("/mounts/-1"), SPEC | {"mounts": [1, 2]}),
        (drop("/no/such/path"), SPEC),
        (put("/hostname", "b"), SPEC | {"hostname": "b"}),
        (put("/mounts/0", 9), SPEC | {"mounts": [9, 2, 3]}),
        (put("/mounts/-", 9), SPEC | {"mounts": [1, 2, 3, 9]}),
        (put("/linux/sysctl", {}), SPEC | {"linux": {"sysctl": {}}}),
        (reverse("/mounts"), SPEC | {"mounts": [3, 2, 1]}),
        (move("/hooks/prestart", "/hooks/poststop"), SPEC | {"hooks": {"prestart": [], "poststop": ["q", "p"]}}),
        (swap("/hooks/prestart", "/hooks/poststop"), SPEC | {"hooks": {"prestart": ["q"], "poststop": ["p"]}}),
    ],
    ids=lambda value: value["act"] + value.get("at", "") if "act" in value else "",
)
def test_edit(act: saboteur.Sabotage, wanted: dict[str, Any]) -> None:
    assert edit(json.loads(json.dumps(SPEC)), act) == wanted


def _wrapped(tmp_path: Path, act: saboteur.Sabotage, *words: str) -> spawn.Outcome:
    """The saboteur before a runtime that prints its config.json or its words, and fails when asked to."""
    real = tmp_path / "real"
    real.write_text(
        '#!/bin/sh\ncase "$3" in create) cat "$5/config.json";; state) echo "{\\"id\\": \\"x\\"}";; *) exit 7;; esac\n'
    )
    real.chmod(0o755)
    argv = (sys.executable, "-I", "-S", saboteur.__file__, json.dumps([act]), str(real), "--root", "/r", *words)
    return spawn.call(argv, env=dict(os.environ))


def test_the_config_is_changed_for_create_and_put_back(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"hostname": "a",  "x": 1}')
    outcome = _wrapped(tmp_path, drop("/hostname"), "create", "--bundle", str(tmp_path), "id")
    assert json.loads(outcome.stdout) == {"x": 1}
    assert config.read_text() == '{"hostname": "a",  "x": 1}'


def test_other_verbs_are_left_alone(tmp_path: Path) -> None:
    assert _wrapped(tmp_path, succeed("kill"), "delete", "id").code == 7


def test_a_failure_is_hidden(tmp_path: Path) -> None:
    assert _wrapped(tmp_path, succeed("delete"), "delete", "id").code == 0


def test_a_verb_is_not_run(tmp_path: Path) -> None:
    outcome = _wrapped(tmp_path, skip("state"), "state", "id")
    assert (outcome.code, outcome.stdout) == (0, b"")


def test_a_document_is_changed(tmp_path: Path) -> None:
    assert json.loads(_wrapped(tmp_path, say("state", "id", "y"), "state", "id").stdout) == {"id": "y"}
