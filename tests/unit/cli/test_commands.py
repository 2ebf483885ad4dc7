"""The commands turn words into what the lifecycle is asked for."""

import json
import signal
from pathlib import Path

import pytest

from ociruntime import cli
from ociruntime.commands import kill, list, spec
from ociruntime.commands.create import create_options
from ociruntime.core.errors import HostError, UsageError
from ociruntime.core.options import Globals


def parsed(name: str, *words: str) -> cli.Arguments:
    return cli.parse(cli.command_named(name).OPTIONS, [*words], interspersed=name not in cli.PASSING_ON)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_what_the_front_door_needs(name: str) -> None:
    command = cli.command_named(name)
    assert command.__doc__ and command.SUMMARY and command.USAGE
    assert command.SUMMARY[0].islower() and not command.SUMMARY.endswith(".")
    least, most = command.OPERANDS
    assert least <= most or most == -1
    spellings = [spelling for option in command.OPTIONS for spelling in option.names]
    assert len(spellings) == len(set(spellings)) and "--help" not in spellings
    for option in command.OPTIONS:
        assert option.kind in ("flag", "str", "int", "size", "list")
        assert bool(option.metavar) == (option.kind != "flag"), option.names


class TestKill:
    @pytest.mark.parametrize("text", ["9", "KILL", "SIGKILL", "kill", "SigKill", "09"])
    def test_spellings(self, text: str) -> None:
        assert kill.signal_number(text) == signal.SIGKILL

    @pytest.mark.parametrize(
        ("text", "number"),
        [("0", 0), ("RTMIN", 34), ("SIGRTMIN+3", 37), ("rtmax", 64), ("RTMAX-1", 63), ("RTMIN+30", 64), ("64", 64)],
    )
    def test_numbers(self, text: str, number: int) -> None:
        assert kill.signal_number(text) == number

    @pytest.mark.parametrize(
        "text", ["", "BOGUS", "65", "-9", "9999", "RTMIN-1", "RTMAX+1", "RTMIN+31", "RTMIN+", "_DFL", "SIG_IGN", "SIG"]
    )
    def test_what_is_no_signal(self, text: str) -> None:
        with pytest.raises(UsageError, match="unknown signal"):
            kill.signal_number(text)


class TestCreate:
    def test_paths_become_absolute(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.chdir(tmp_path)
        assert create_options(parsed("create", "id"), detach=True).bundle == str(tmp_path)
        options = create_options(parsed("create", "--bundle", "b", "--config", "c", "id"), detach=True)
        assert (options.bundle, options.config) == (f"{tmp_path}/b", f"{tmp_path}/c")

    def test_what_engines_send(self) -> None:
        words = "--bundle /b --pid-file /b/init.pid --no-pivot --no-new-keyring --console-socket /s --preserve-fds 2 id"
        options = create_options(parsed("create", *words.split()), detach=True)
        assert (options.pid_file, options.console_socket, options.preserve_fds) == ("/b/init.pid", "/s", 2)
        assert options.no_pivot and options.no_new_keyring and options.detach

    def test_run(self) -> None:
        options = create_options(parsed("run", "--keep", "-d", "-no-subreaper", "id"), detach=True)
        assert options.keep and options.no_subreaper


class TestList:
    def test_empty_table(self) -> None:
        assert list.table([]) == "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n"

    def test_columns_grow_with_their_widest_cell(self) -> None:
        row = {"id": "a" * 10, "pid": 7, "status": "running", "bundle": "/b", "created": "2026", "owner": "root"}
        header, line, _ = list.table([row]).split("\n")
        assert header == "ID           PID         STATUS      BUNDLE      CREATED     OWNER"
        assert line == "aaaaaaaaaa   7           running     /b          2026        root"

    def test_a_missing_root_is_an_error_only_when_it_was_named(self, tmp_path: Path) -> None:
        args = parsed("list")
        args.g = Globals(root=str(tmp_path / "missing"), root_given=True)
        with pytest.raises(UsageError, match="no such file or directory"):
            list.run(args)


class TestSpec:
    def test_indents_with_tabs_and_reads_back(self, tmp_path: Path) -> None:
        assert spec.run(parsed("spec", "--bundle", str(tmp_path))) == 0
        text = (tmp_path / "config.json").read_text()
        assert text.startswith('{\n\t"ociVersion": "1.3.0",\n\t"process": {\n\t\t"terminal": true,\n')
        assert json.loads(text)["process"]["args"] == ["sh"]

    def test_does_not_overwrite(self, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_text("mine")
        with pytest.raises(UsageError, match="exists"):
            spec.run(parsed("spec", "-b", str(tmp_path)))
        assert (tmp_path / "config.json").read_text() == "mine"

    def test_a_bundle_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(HostError) as refusal:
            spec.run(parsed("spec", "-b", str(tmp_path / "missing")))
        assert "no such file or directory" in refusal.value.line()

    def test_rootless_maps_the_caller(self) -> None:
        document = spec.rootless(spec.example(cgroup_namespace=False), 1000, 1001)
        linux = document["linux"]
        assert linux["uidMappings"] == [{"containerID": 0, "hostID": 1000, "size": 1}]
        assert linux["gidMappings"] == [{"containerID": 0, "hostID": 1001, "size": 1}]
        assert [entry["type"] for entry in linux["namespaces"]] == ["pid", "ipc", "uts", "mount", "user"]
        assert not [option for mount in document["mounts"] for option in mount.get("options", []) if "gid=" in option]
        assert "resources" not in linux

    def test_a_pure_v2_host_gets_a_cgroup_namespace(self) -> None:
        kinds = [entry["type"] for entry in spec.example(cgroup_namespace=True)["linux"]["namespaces"]]
        assert kinds == ["pid", "network", "ipc", "uts", "mount", "cgroup"]
