"""The commands turn words into what the lifecycle is asked for."""

import copy
import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ociruntime import cli
from ociruntime.commands import events, exec, kill, list, ps, selection, spec, update
from ociruntime.commands.create import create_options
from ociruntime.core.errors import ConfigError, HostError, StateError, UsageError
from ociruntime.core.options import Globals


def parsed(name: str, *words: str) -> cli.Arguments:
    return cli.parse(cli.command_named(name).OPTIONS, [*words], interspersed=name not in cli.PASSING_ON)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_what_the_front_door_needs(name: str) -> None:
    command = cli.command_named(name)
    assert command.__doc__ and command.SUMMARY
    assert bool(command.USAGE) == bool(command.OPTIONS or command.OPERANDS != (0, 0))
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


class TestExec:
    BASE: ClassVar[dict[str, Any]] = {
        "terminal": True,
        "args": ["init"],
        "cwd": "/",
        "env": ["PATH=/bin"],
        "user": {"uid": 5, "gid": 6, "additionalGids": [7]},
        "capabilities": {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "ambient": ["CAP_KILL"]},
        "noNewPrivileges": True,
        "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1, "soft": 1}],
    }

    def process(self, *words: str) -> dict[str, Any]:
        base = copy.deepcopy(self.BASE)
        process = exec.process_from_flags(base, parsed("exec", *words))
        assert base == self.BASE  # the caller's document stays as it was
        return process

    def test_takes_after_the_container(self) -> None:
        process = self.process("id", "sh", "-c", "exit 3", "--tty")
        assert process == {**self.BASE, "args": ["sh", "-c", "exit 3", "--tty"], "terminal": False}

    def test_options(self) -> None:
        words = "--tty --cwd /tmp -e A=1 --env B= --apparmor p --process-label l --no-new-privs=false id true"
        process = self.process(*words.split())
        assert process["terminal"] is True and process["noNewPrivileges"] is False
        assert process["cwd"] == "/tmp"
        assert process["env"] == ["PATH=/bin", "A=1", "B="]
        assert (process["apparmorProfile"], process["selinuxLabel"]) == ("p", "l")

    @pytest.mark.parametrize(
        ("words", "user"),
        [
            ("-u 1", {"uid": 1, "gid": 6, "additionalGids": [7]}),
            ("--user=1:2", {"uid": 1, "gid": 2, "additionalGids": [7]}),
            ("-u 4294967294:0", {"uid": 4294967294, "gid": 0, "additionalGids": [7]}),
            ("-g 8 -g 9", {"uid": 5, "gid": 6, "additionalGids": [7, 8, 9]}),
        ],
    )
    def test_user(self, words: str, user: dict[str, Any]) -> None:
        assert self.process(*words.split(), "id", "true")["user"] == user

    @pytest.mark.parametrize(
        "text",
        [
            "",
            ":",
            "1:",
            ":1",
            "a",
            "1:a",
            "-1",
            "+1",
            " 1",
            "1 ",
            "1:2:3",
            "0x1",
            "4294967295",
            "99999999999",
            "\u0661",
        ],
    )
    def test_user_that_is_none_cve_2026_30892(self, text: str) -> None:
        with pytest.raises(UsageError, match="--user"):
            self.process("--user", text, "id", "true")

    @pytest.mark.parametrize("text", ["", "a", "-1", "4294967295", "1,2"])
    def test_groups_that_are_none(self, text: str) -> None:
        with pytest.raises(UsageError, match="--additional-gids"):
            self.process("--additional-gids", text, "id", "true")

    @pytest.mark.parametrize("text", ["", "A", "=1"])
    def test_variables_that_are_none(self, text: str) -> None:
        with pytest.raises(UsageError, match="environment variable"):
            self.process("--env", text, "id", "true")

    def test_capabilities_are_not_inheritable_cve_2022_29162(self) -> None:
        capabilities = self.process("--cap", "CAP_NET_RAW", "-c", "kill", "id", "true")["capabilities"]
        assert capabilities == {
            "bounding": ["CAP_KILL", "CAP_NET_RAW"],
            "effective": ["CAP_KILL", "CAP_NET_RAW"],
            "permitted": ["CAP_NET_RAW", "CAP_KILL"],
            "ambient": ["CAP_KILL"],
        }

    def test_process_file(self, tmp_path: Path) -> None:
        path = tmp_path / "process.json"
        path.write_text('{"args": ["sh"], "cwd": "/"}')
        assert exec.read_process(str(path)) == {"args": ["sh"], "cwd": "/"}
        path.write_text("[]")
        with pytest.raises(ConfigError, match="expected an object"):
            exec.read_process(str(path))
        with pytest.raises(ConfigError, match="cannot read"):
            exec.read_process(str(tmp_path / "missing"))


class TestPs:
    OUTPUT = (
        "UID          PID    PPID  C STIME TTY          TIME CMD\n"
        "root           1       0  0 10:00 ?        00:00:01 init 42\n"
        "root          42       1  0 10:00 ?        00:00:01 sh\n\n"
        "root         421      42  0 10:00 ?        00:00:01 sleep\n"
    )

    def test_only_the_containers_lines(self) -> None:
        heading, *lines = ps.select(self.OUTPUT, [42, 421]).splitlines()
        assert heading.startswith("UID")
        assert [line.split()[1] for line in lines] == ["42", "421"]

    def test_no_processes(self) -> None:
        assert ps.select(self.OUTPUT, []) == self.OUTPUT.splitlines()[0] + "\n"

    @pytest.mark.parametrize("output", ["", "CMD\nx\n"])
    def test_no_column_of_pids(self, output: str) -> None:
        with pytest.raises(HostError, match="PID"):
            ps.select(output, [1])

    @pytest.mark.skipif(not shutil.which("ps"), reason="this machine has no ps")
    def test_the_hosts_ps(self) -> None:
        assert len(ps.select(ps.host_ps([]), [os.getpid()]).splitlines()) == 2
        assert ps.host_ps(["-o", "pid", "-p", str(os.getpid())]).split() == ["PID", str(os.getpid())]
        with pytest.raises(HostError, match="status"):
            ps.host_ps(["--nonsense"])


class TestUpdate:
    def test_flags(self) -> None:
        words = "--memory 1g --memory-swap=-1 --cpu-quota -1 --cpuset-cpus 0-1 --pids-limit 5 id"
        args = parsed("update", *words.split())
        assert update.resources_from_flags(args) == {
            "cpu": {"quota": -1, "cpus": "0-1"},
            "memory": {"limit": 1 << 30, "swap": -1},
            "pids": {"limit": 5},
        }

    def test_every_flag_has_a_place(self) -> None:
        places = {*update._PLACES, "--resources", "--l3-cache-schema", "--mem-bw-schema"}
        assert places == {option.names[0] for option in update.OPTIONS if not option.hidden}

    def test_zero_is_a_value(self) -> None:
        assert update.resources_from_flags(parsed("update", "--cpu-idle", "0", "id")) == {"cpu": {"idle": 0}}
        assert update.resources_from_flags(parsed("update", "id")) == {}

    def test_shares_are_not_negative(self) -> None:
        with pytest.raises(UsageError, match="negative"):
            update.resources_from_flags(parsed("update", "--cpu-share", "-1", "id"))

    def test_schemata_of_intel_rdt(self) -> None:
        args = parsed("update", "--mem-bw-schema", "MB:0=50", "--l3-cache-schema=L3:0=f", "id")
        assert update.schemata_from_flags(args) == ["L3:0=f", "MB:0=50"]
        assert update.schemata_from_flags(parsed("update", "id")) == []

    @pytest.mark.parametrize(
        ("option", "line"),
        [("--l3-cache-schema", "MB:0=1"), ("--mem-bw-schema", "L3:0=f"), ("--mem-bw-schema", "MB:\n")],
    )
    def test_schemata_of_another_kind_are_refused(self, option: str, line: str) -> None:
        with pytest.raises(UsageError, match=option):
            update.schemata_from_flags(parsed("update", option, line, "id"))

    def test_document(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "r.json"
        path.write_text('{"pids": {"limit": 3}}')
        assert update.read_resources(str(path)) == {"pids": {"limit": 3}}
        with path.open() as file:
            monkeypatch.setattr("sys.stdin", file)
            assert update.read_resources("-") == {"pids": {"limit": 3}}
        path.write_text("3")
        with pytest.raises(ConfigError, match="expected an object"):
            update.read_resources(str(path))


class TestEvents:
    @pytest.mark.parametrize(
        ("text", "seconds"), [("5s", 5), ("500ms", 0.5), ("1m30s", 90), ("1.5h", 5400), ("2us", 2e-6), (".5s", 0.5)]
    )
    def test_durations(self, text: str, seconds: float) -> None:
        assert events.seconds(text) == pytest.approx(seconds)

    @pytest.mark.parametrize("text", ["", "5", "s", "5x", "-5s", "0s", "1..5s", ".s", "5 s"])
    def test_what_is_no_duration(self, text: str) -> None:
        with pytest.raises(UsageError, match="invalid duration"):
            events.seconds(text)


class TestRegex:
    """crun's `kill --regex` and `delete --regex`."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        for name in ("web-1", "web-2", "db"):
            (tmp_path / name).mkdir()
        (tmp_path / "web.lock").touch()
        return tmp_path

    def done(self, root: Path, *words: str, fail: str = "") -> Any:
        """What was done, or the failure, and what was done until the end anyway."""
        args = parsed("delete", *words)
        args.g = Globals(root=str(root))
        names = []

        def do(name: str) -> None:
            names.append(name)
            if fail and fail in name:
                raise StateError(f"{name} is busy")

        try:
            selection.for_each(args, do)
        except StateError as failure:
            return [*names, failure.what]
        return names

    def test_all_that_match(self, root: Path) -> None:
        assert self.done(root, "--regex", "^web-") == ["web-1", "web-2"]
        assert self.done(root, "-r", "b$") == ["db"]
        assert self.done(root, "-r", "nothing") == []
        assert self.done(root / "missing", "-r", ".") == []

    def test_without_it_the_id_is_literal(self, root: Path) -> None:
        assert self.done(root, "web.1") == ["web.1"]
        with pytest.raises(UsageError):
            self.done(root, "^web")

    def test_one_failure_does_not_spare_the_others(self, root: Path, capfd: pytest.CaptureFixture[str]) -> None:
        assert self.done(root, "-r", ".", fail="web") == ["db", "web-1", "web-2", "web-1 is busy"]
        assert capfd.readouterr().err == "warning: web-2: web-2 is busy\n"

    def test_a_bad_expression(self, root: Path) -> None:
        with pytest.raises(UsageError, match="invalid regular expression"):
            selection.matching("(", str(root))
