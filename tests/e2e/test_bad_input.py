"""Bad input gets one line that names the property, one record, status 1, and leaves the host as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.box import Box


def expect(box: Box, origin: str | None, *words: str) -> None:
    outcome = box.call("create", box.name)
    assert outcome.status == 1 and outcome.out == ""
    assert len(outcome.err.splitlines()) == 1 and "Traceback" not in outcome.err and "internal" not in outcome.err
    (record,) = box.records()
    assert record["level"] == "error" and record["msg"]
    if origin is not None:
        assert record.get("origin", "") == origin, record
    for word in words:
        assert word.lower() in outcome.err.lower(), outcome.err
    assert not (box.root / box.name).exists()


def test_no_config(box: Box) -> None:
    (box.bundle / "config.json").unlink(missing_ok=True)
    expect(box, None, "config.json", "no such file or directory")


def test_unreadable(box: Box) -> None:
    (box.bundle / "config.json").mkdir()
    expect(box, None, "config.json", "is a directory")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"ociVersion": "1.0.0", "a": "\xff"}',
        b"[]",
        b"null",
        b'{"a": 1,}',
        b"\xef\xbb\xbf{}",
        b'{"a": NaN}',
    ],
)
def test_not_json(box: Box, content: bytes) -> None:
    box.write(content)
    expect(box, None, "config.json")


def test_truncated(box: Box) -> None:
    text = json.dumps(box.spec, indent=2)
    box.write(text[: len(text) // 2])
    expect(box, None, "line")


def test_duplicate_key(box: Box) -> None:
    box.write('{"ociVersion": "1.0.0", "root": {"path": "rootfs", "path": "/"}}')
    expect(box, "/root/path", "path")


def test_deep_nesting(box: Box) -> None:
    box.write('{"ociVersion": "1.0.0", "annotations": ' + "[" * 100_000 + "]" * 100_000 + "}")
    expect(box, None)


def change(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    def apply(spec: dict[str, Any]) -> None:
        *parents, last = path.strip("/").split("/")
        place: Any = spec
        for name in parents:
            place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
        if isinstance(place, list):
            place[int(last)] = value
        else:
            place[last] = value

    return apply


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/ociVersion", 1),
        ("/ociVersion", "2.0.0"),
        ("/ociVersion", "one"),
        ("/process/args", []),
        ("/process/args", "sh"),
        ("/process/args/0", 5),
        ("/process/cwd", "relative"),
        ("/process/env/0", 7),
        ("/process/user/uid", 4294967296),
        ("/process/user/uid", -1),
        ("/process/user/uid", 4294967295),
        ("/process/user/gid", "0"),
        ("/process/terminal", "yes"),
        ("/process/oomScoreAdj", "a"),
        ("/root/path", 3),
        ("/root/path", "missing"),
        ("/mounts/0/destination", 1),
        ("/mounts/0/options", "ro"),
        ("/hostname", []),
        ("/linux/namespaces/0/type", "moon"),
        ("/linux/namespaces/0/path", "relative"),
        ("/linux/resources/memory/limit", "1g"),
        ("/linux/resources/pids/limit", 1.5),
        ("/linux/maskedPaths", [1]),
        ("/linux/rootfsPropagation", "sideways"),
        ("/hooks/poststop", [{"path": "relative"}]),
        ("/annotations", {"a": 1}),
    ],
)
def test_wrong_value(box: Box, path: str, value: object) -> None:
    change(path, value)(box.spec)
    box.write()
    outcome = box.call("create", box.name)
    assert outcome.status == 1, outcome
    assert len(outcome.err.splitlines()) == 1
    (record,) = box.records()
    assert record.get("origin", "").startswith(path), record
    assert not (box.root / box.name).exists()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "a b", "ü", "a\nb", "/"])
def test_invalid_id(box: Box, name: str) -> None:
    box.write()
    outcome = box.call("create", name)
    assert outcome.status == 1 and "Traceback" not in outcome.err
    assert not box.root.exists() or list(box.root.iterdir()) == []


def test_a_nul_is_refused(box: Box) -> None:
    box.process["args"] = ["tr\0ue"]
    box.write()
    expect(box, "/process/args/0")


def test_process_missing_is_an_error_of_start(box: Box) -> None:
    del box.spec["process"]
    box.write()
    assert box.call("create", box.name).status == 0
    outcome = box.start()
    assert outcome.status == 1 and "process" in outcome.err
    assert box.state()["status"] == "created"


def test_exec_errors_end_with_255(box: Box) -> None:
    box.up()
    assert box.exec("nope").status == 255
    assert "executable file not found" in box.exec("nope").err
    box.kill()
    box.wait_for("stopped")
    late = box.exec("true")
    assert late.status == 255 and "cannot exec in a stopped container" in late.err
