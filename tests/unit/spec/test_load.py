"""Bad input: each is refused with the property, the reason, and the place in the file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ociruntime.core.errors import ConfigError
from ociruntime.core.spec.check import check, check_process, check_resources
from ociruntime.core.spec.load import load_config

CHECKOUT = Path(__file__).parents[3]
GOOD: dict[str, Any] = {
    "ociVersion": "1.3.0",
    "root": {"path": "rootfs"},
    "process": {"cwd": "/", "args": ["sh"], "env": ["A=b"], "user": {"uid": 0, "gid": 0}},
    "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}]},
}


def refused(path: Path) -> ConfigError:
    with pytest.raises(ConfigError) as error:
        load_config(str(path))
    assert "\n" not in error.value.line() and str(path) in error.value.line()
    return error.value


def test_a_good_document_is_returned_with_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(GOOD))
    assert load_config(str(path)) == (GOOD, path.read_bytes())


def test_a_missing_bundle(tmp_path: Path) -> None:
    error = refused(tmp_path / "none" / "config.json")
    assert error.code == "config-file"
    assert error.line() == (
        f"cannot read {tmp_path}/none/config.json: no such file or directory (ENOENT); "
        f"the bundle {tmp_path}/none does not exist"
    )


def test_a_missing_file(tmp_path: Path) -> None:
    error = refused(tmp_path / "config.json")
    assert error.hint == f"make one with: ociruntime spec --bundle {tmp_path}"


def test_a_directory_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "config.json").mkdir()
    assert refused(tmp_path / "config.json").line().endswith("is a directory (EISDIR)")


def test_a_fifo_in_its_place_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.json")
    assert "it is empty" in refused(tmp_path / "config.json").what


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_an_unreadable_file(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.touch(0)
    assert refused(path).line().endswith("permission denied")


@pytest.mark.parametrize(
    ("data", "code", "place"),
    [
        (b'{"ociVersion": "1.3.0",\n "hostname": "\xe9"}', "config-json", (2, 15)),
        (b'{"ociVersion": "1.3.0", "root": {"path": "r', "config-json", (1, 42)),
        (b'{"ociVersion": "1.3.0",\n "root": {},\n "root": {}}', "config-duplicate-key", (3, 2)),
    ],
    ids=["not UTF-8", "truncated", "duplicate key"],
)
def test_what_is_no_json(tmp_path: Path, data: bytes, code: str, place: tuple[int, int]) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(data)
    error = refused(path)
    assert (error.code, error.place) == (code, place)


WRONG = {
    "/process/user/uid": (2**32, "config-range", "expected an integer from 0 to 4294967294, found 4294967296"),
    "/process/user/gid": (2**32 - 1, "config-range", "expected an integer from 0 to 4294967294, found 4294967295"),
    "/process/args": ([], "config-rule-args", "args is empty: there is no program to run"),
    "/process/args/0": (5, "config-type", "expected a string, found the integer 5"),
    "/process/env/0": ("A=\0", "config-format", 'the string "A=\\u0000" has a NUL in it'),
    "/process/cwd": ("tmp", "config-format", 'expected an absolute path, found the string "tmp"'),
    "/process/terminal": ("yes", "config-type", 'expected true or false, found the string "yes"'),
    "/process": ([], "config-type", "expected an object, found an array"),
    "/root": (None, "config-type", "expected an object, found null"),
    "/root/path": ("", "config-format", 'expected a string that is not empty, found the string ""'),
    "/mounts": ({"a": 1}, "config-type", "expected an array, found an object"),
    "/hostname": (True, "config-type", "expected a string, found true"),
    "/linux/namespaces/0/type": (
        "network_",
        "config-unknown-value",
        'unknown value "network_", expected one of pid, network, mount, ipc, uts, user, cgroup, time',
    ),
    "/linux/namespaces/1": ({"type": "pid"}, "config-rule-namespace-twice", 'the namespace type "pid" is listed twice'),
    "/ociVersion": ("1", "config-format", 'expected a version such as "1.2.1" or "1.3.0-dev", found the string "1"'),
    "/annotations": ({"": "x"}, "config-name", '"" cannot be a name here'),
}


def changed(pointer: str, value: Any) -> Any:
    document = json.loads(json.dumps(GOOD))
    place = document
    *parents, last = pointer.split("/")[1:]
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place[part]
    place[int(last) if isinstance(place, list) else last] = value
    return document


@pytest.mark.parametrize("pointer", WRONG)
def test_a_wrong_value_is_named(tmp_path: Path, pointer: str) -> None:
    value, code, sentence = WRONG[pointer]
    path = tmp_path / "config.json"
    path.write_text(json.dumps(changed(pointer, value), indent=1))
    error = refused(path)
    assert (error.code, error.origin) == (code, pointer)
    assert error.what.endswith(f": {sentence}")
    assert path.read_text().splitlines()[error.place[0] - 1][error.place[1] - 1 :].startswith(json.dumps(value)[:1])


def test_a_missing_property_is_named_by_its_own_pointer() -> None:
    with pytest.raises(ConfigError) as error:
        check({"ociVersion": "1.0.0", "root": {"path": "r"}, "process": {"args": ["sh"]}})
    assert (error.value.code, error.value.origin) == ("config-missing", "/process/cwd")
    assert error.value.what == 'config.json: the required property "cwd" is missing'


def test_a_misspelt_word_is_recognised() -> None:
    document = GOOD | {"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALOW"}}}
    with pytest.raises(ConfigError) as error:
        check(document)
    assert error.value.hint == 'did you mean "SCMP_ACT_ALLOW"?'


def test_no_object_at_all() -> None:
    documents: list[Any] = [[], "x", 5, None]
    for document in documents:
        with pytest.raises(ConfigError, match="expected an object"):
            check(document)


def test_the_documents_of_exec_and_update() -> None:
    check_process({"cwd": "/", "args": ["sh"]})
    with pytest.raises(ConfigError) as error:
        check_process({"cwd": "/", "args": []}, "process.json")
    assert (error.value.what, error.value.origin) == (
        "process.json: args is empty: there is no program to run",
        "/args",
    )
    check_resources({"pids": {"limit": 5}})
    with pytest.raises(ConfigError) as error:
        check_resources({"cpu": {"quota": 1, "burst": 2}}, "update")
    assert error.value.origin == "/cpu/burst"


def test_unknown_properties_and_foreign_platforms_are_ignored() -> None:
    check(GOOD | {"future": {"a": None}, "windows": {"network": 5}, "freebsd": {"jail": {"vnet": "never"}}})


def test_a_verdict_loads_nothing_costly(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(GOOD))
    script = (
        f"import sys; sys.path.insert(0, {str(CHECKOUT)!r}); import os; before = set(sys.modules)\n"
        "from ociruntime.core.spec.load import load_config\n"
        f"load_config({str(path)!r})\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    ran = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True)
    loaded = [name for name in ran.stdout.split() if not name.startswith("ociruntime")]
    assert sorted(loaded) == ["__future__"]
