"""The records that clients parse after a failure."""

import json
import os
from datetime import datetime
from pathlib import Path

import pytest

from ociruntime.core.errors import ConfigError, HostError
from ociruntime.core.log import Log, render
from ociruntime.core.options import Globals

FAILURE = ConfigError('"x" is\nno mount', code="mount", origin="/mounts/3", errno=2, hint="look there")
LINE = '"x" is no mount: no such file or directory (ENOENT, config property /mounts/3); look there'


def opened(path: Path | None, log_format: str = "text", debug: bool = False) -> Log:
    log = Log()
    log.open(Globals(root="/r", log=str(path or ""), log_format=log_format, debug=debug))
    return log


def test_json_log_holds_exactly_one_record(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = opened(tmp_path / "log", "json")
    log.debug("a step")
    log.warning("a peculiarity")
    assert capfd.readouterr().err == "warning: a peculiarity\n"
    log.error(FAILURE)
    record = json.loads((tmp_path / "log").read_text())  # podman reads the whole file as one document
    assert datetime.fromisoformat(record.pop("time")).utcoffset() is not None
    assert record == {
        "level": "error",
        "msg": LINE,
        "code": "mount",
        "kind": "ConfigError",
        "origin": "/mounts/3",
        "step": "check the configuration",
        "errno": 2,
        "errnoName": "ENOENT",
        "hint": "look there",
    }
    assert capfd.readouterr().err == LINE + "\n"


def test_text_log_is_that_of_logrus(tmp_path: Path) -> None:
    opened(tmp_path / "log").error(HostError('no "x"'))
    text = (tmp_path / "log").read_text()
    time, rest = text.split(" ", 1)
    assert datetime.fromisoformat(time.removeprefix("time=").strip('"'))
    assert rest == 'level=error msg="no \\"x\\"" code="host" kind="HostError" step="see what this host can do"\n'


def test_log_is_appended_and_closed_on_exec(tmp_path: Path) -> None:
    for _ in range(2):
        opened(tmp_path / "log", "json").error(HostError("x"))
    assert len((tmp_path / "log").read_text().splitlines()) == 2


def test_log_is_no_descriptor_of_the_callers(tmp_path: Path) -> None:
    """--preserve-fds hands the descriptors from 3 on to the container: never the log, which is the host's."""
    before = {int(name) for name in os.listdir("/proc/self/fd")}
    log = opened(tmp_path / "log")
    new = {int(name) for name in os.listdir("/proc/self/fd")} - before
    assert all(descriptor >= 500 for descriptor in new if os.path.exists(f"/proc/self/fd/{descriptor}"))
    assert not os.get_inheritable(log._file)


def test_log_is_created_for_its_owner_to_write(tmp_path: Path) -> None:
    opened(tmp_path / "log")
    assert (tmp_path / "log").stat().st_mode & 0o133 == 0


def test_debug_records_steps(tmp_path: Path) -> None:
    log = opened(tmp_path / "log", "json", debug=True)
    log.debug("mount -t proc proc /proc", origin="/mounts/0")
    record = json.loads((tmp_path / "log").read_text())
    assert (record["level"], record["msg"], record["origin"]) == ("debug", "mount -t proc proc /proc", "/mounts/0")


def test_without_a_file_people_get_a_line_and_programs_a_record(capfd: pytest.CaptureFixture[str]) -> None:
    opened(None).error(HostError("x"))
    assert capfd.readouterr().err == "x\n"
    opened(None, "json").error(HostError("x"))
    assert json.loads(capfd.readouterr().err)["msg"] == "x"


def test_a_log_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(HostError) as refusal:
        opened(tmp_path / "missing" / "log")
    assert refusal.value.line() == f"open {tmp_path}/missing/log: no such file or directory (ENOENT)"


def test_a_full_disk_does_not_silence_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    opened(Path("/dev/full"), "json").error(HostError("x"))
    assert capfd.readouterr().err == "x\n"


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a\nb", "é", "\udcff"])
def test_records_are_ascii_on_one_line(text: str) -> None:
    line = render("error", text, "2026-01-01T00:00:00Z", {}, as_json=True)
    assert line.isascii() and line.count("\n") == 1
    assert json.loads(line)["msg"] == text
