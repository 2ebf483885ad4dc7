"""The parser reads command lines as clients of runc write them (one table, many spellings)."""

import pytest

from ociruntime import cli
from ociruntime.cli import Option, ParseError, parse
from ociruntime.core.errors import UsageError
from ociruntime.core.options import Globals

TABLE = (
    Option(names=("--bundle", "-b"), kind="str", metavar="DIR", help=""),
    Option(names=("--force", "-f"), help=""),
    Option(names=("--env", "-e"), kind="list", metavar="NAME=VALUE", help=""),
    Option(names=("--preserve-fds",), kind="int", metavar="N", help=""),
    Option(names=("--memory",), kind="size", metavar="BYTES", help=""),
    Option(names=("--format",), kind="str", choices=("table", "json"), help=""),
)


@pytest.mark.parametrize(
    "words",
    [
        ["--bundle", "/b", "id"],
        ["--bundle=/b", "id"],
        ["-bundle", "/b", "id"],
        ["-bundle=/b", "id"],
        ["-b", "/b", "id"],
        ["-b=/b", "id"],
        ["id", "--bundle", "/b"],
        ["--bundle", "/a", "--bundle", "/b", "id"],
        ["--bundle", "/b", "--", "id"],
    ],
)
def test_spellings_of_an_option_with_a_value(words: list[str]) -> None:
    args = parse(TABLE, words)
    assert args.text("--bundle") == "/b"
    assert args.operands == ["id"]


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--force"], True),
        (["-f"], True),
        (["-force"], True),
        (["--force=true"], True),
        (["--force=1"], True),
        (["--force=false"], False),
        (["--force", "--force=F"], False),
        ([], False),
    ],
)
def test_flags_read_booleans_like_go(words: list[str], value: bool) -> None:
    args = parse(TABLE, words)
    assert args.flag("--force") is value
    assert args.given("--force") is bool(words)


def test_a_value_may_be_empty_or_look_like_an_option() -> None:
    assert parse(TABLE, ["--bundle="]).text("--bundle", "x") == ""
    assert parse(TABLE, ["--bundle", "--force"]).text("--bundle") == "--force"
    assert parse(TABLE, ["--bundle=a=b"]).text("--bundle") == "a=b"


def test_lists_keep_every_value_in_order() -> None:
    assert parse(TABLE, ["-e", "A=1", "--env=B=2", "-env", "A=3"]).texts("--env") == ["A=1", "B=2", "A=3"]


def test_options_stop_at_the_first_operand_of_exec_and_ps() -> None:
    args = parse(TABLE, ["-b", "x", "id", "sh", "-c", "--force", "--", "y"], interspersed=False)
    assert args.operands == ["id", "sh", "-c", "--force", "--", "y"]
    assert not args.flag("--force")


def test_a_single_dash_is_an_operand() -> None:
    assert parse(TABLE, ["-", "--force"]).operands == ["-"]


def test_everything_after_two_dashes_is_an_operand() -> None:
    args = parse(TABLE, ["--", "--force", "--", "-b"])
    assert args.operands == ["--force", "--", "-b"]
    assert not args.flag("--force")


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["-help"], ["id", "--help", "--nonsense"]])
def test_help_ends_the_parsing(words: list[str]) -> None:
    assert parse(TABLE, words).help


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--nonsense"], "flag provided but not defined: --nonsense"),
        (["--nonsense=5"], "flag provided but not defined: --nonsense"),
        (["-x"], "flag provided but not defined: -x"),
        # podman greps for these words, see clients' probes
        (["--bundle"], "flag needs an argument: --bundle"),
        (["-b"], "flag needs an argument: --bundle"),
        (["--force=maybe"], 'invalid value "maybe" for flag --force: expected true or false'),
        (["--preserve-fds=abc"], 'invalid value "abc" for flag --preserve-fds: expected an integer'),
        (["--preserve-fds="], 'invalid value "" for flag --preserve-fds: expected an integer'),
        (["--preserve-fds=1_0"], 'invalid value "1_0" for flag --preserve-fds: expected an integer'),
        (["--preserve-fds=\u0663"], 'invalid value "\u0663" for flag --preserve-fds: expected an integer'),
        (["--format", "yaml"], 'invalid value "yaml" for flag --format: expected one of table, json'),
    ],
)
def test_refusals(words: list[str], sentence: str) -> None:
    with pytest.raises(UsageError) as refusal:
        parse(TABLE, words)
    assert refusal.value.what == sentence


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1024", 1024),
        ("-1", -1),
        ("1k", 1024),
        ("1K", 1024),
        ("512m", 512 << 20),
        ("512MB", 512 << 20),
        ("2GiB", 2 << 30),
        ("1.5g", 3 << 29),
        ("1t", 1 << 40),
        ("10b", 10),
        ("10 m", 10 << 20),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse(TABLE, ["--memory", text]).number("--memory") == size


@pytest.mark.parametrize("text", ["", "m", "-2", "1x", "1.2.3", "1.m.", "0x10", "1e3", "\u0663m", "1_0"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(ParseError, match="expected a size"):
        parse(TABLE, ["--memory", text])


@pytest.mark.parametrize(
    ("operands", "bounds", "sentence"),
    [
        ([], (1, 1), '"x" requires exactly 1 argument(s)'),
        (["a", "b"], (1, 1), '"x" requires exactly 1 argument(s)'),
        (["a"], (0, 0), '"x" requires exactly 0 argument(s)'),
        ([], (1, 2), '"x" requires a minimum of 1 argument(s)'),
        (["a", "b", "c"], (1, 2), '"x" requires a maximum of 2 argument(s)'),
        ([], (1, -1), '"x" requires a minimum of 1 argument(s)'),
    ],
)
def test_wrong_numbers_of_operands(operands: list[str], bounds: tuple[int, int], sentence: str) -> None:
    with pytest.raises(ParseError) as refusal:
        cli.count("x", operands, bounds)
    assert refusal.value.what == sentence


@pytest.mark.parametrize(("operands", "bounds"), [(["a"], (1, 1)), ([], (0, 0)), (["a"], (1, 2)), (["a"] * 9, (1, -1))])
def test_right_numbers_of_operands(operands: list[str], bounds: tuple[int, int]) -> None:
    cli.count("x", operands, bounds)


@pytest.mark.parametrize("text", ["a", "A-b_c.d+e", "0", "a..", "-", "_", "a" * 200])
def test_container_ids(text: str) -> None:
    assert cli.container_id(text) == text


@pytest.mark.parametrize("text", ["", ".", "..", "...", ".a", "a/b", "a b", "a\n", "é", "a\0", "../x", "a:b", "\u0663"])
def test_container_ids_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="invalid container ID format"):
        cli.container_id(text)


def globals_from(*words: str) -> Globals:
    return cli.globals_from(parse(cli.GLOBALS, list(words), interspersed=False))


class TestGlobals:
    def test_defaults(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        g = globals_from("list")
        assert (g.root, g.root_given, g.rootless, g.log, g.log_format) == ("/run/ociruntime", False, "auto", "", "text")
        assert not g.debug and not g.systemd_cgroup

    def test_repeated_globals_count_once(self) -> None:
        g = globals_from("--root", "/a", "--systemd-cgroup", "--root=/b", "--systemd-cgroup", "list")
        assert (g.root, g.systemd_cgroup) == ("/b", True)

    def test_root_becomes_absolute(self, monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
        monkeypatch.chdir(str(tmp_path))
        assert globals_from("--root", "x/../y").root == f"{tmp_path}/y"

    @pytest.mark.parametrize("root", ["/", "//", "", "/x/.."])
    def test_root_must_not_be_the_root_directory(self, root: str) -> None:
        with pytest.raises(UsageError, match="--root"):
            globals_from("--root", root)

    def test_root_of_a_user_is_private_and_sticky(self, monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        monkeypatch.setattr("posix.geteuid", lambda: 1000)
        root = globals_from("list").root
        assert root == f"{tmp_path}/ociruntime"
        import os

        assert os.stat(root).st_mode & 0o7777 == 0o1700

    def test_root_of_the_real_root_ignores_the_environment(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: object
    ) -> None:
        with open("/proc/self/uid_map") as mappings:
            if mappings.read().split() != ["0", "0", "4294967295"]:
                pytest.skip("this test runs in a user namespace")
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        monkeypatch.setattr("posix.geteuid", lambda: 0)
        assert globals_from("list").root == "/run/ociruntime"

    def test_cgroup_manager_of_crun_is_understood(self) -> None:
        assert globals_from("--cgroup-manager", "systemd").systemd_cgroup
        assert globals_from("--cgroup-manager=disabled").cgroup_manager == "disabled"

    def test_log_options(self) -> None:
        g = globals_from("--log=file:/x/log", "--log-format", "json", "--log-level=debug")
        assert (g.log, g.log_format, g.debug) == ("/x/log", "json", True)


def test_unknown_commands() -> None:
    with pytest.raises(cli.UnknownCommand):
        cli.command_named("checkpoint")  # podman and CRI-O probe for it
