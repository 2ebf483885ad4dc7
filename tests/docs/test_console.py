"""The judge of the pages is judged first."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from tests.docs import console


def page(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "page.md"
    path.write_text(textwrap.dedent(text))
    return path


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("one\n", "one\n", True),
        ("one\n", "one  \n", True),
        ("one\n", "two\n", False),
        ("one\n", "one\ntwo\n", False),
        ("", "surprise\n", False),
        ("pid \u2026 of \u2026\n", "pid 12 of 34\n", True),
        ("pid \u2026\n", "pid 1\npid 2\n", False),
        ("a\n...\nz\n", "a\nz\n", True),
        ("a\n...\nz\n", "a\nb\nc\nz\n", True),
        ("a\n...\n", "b\n", False),
        ("(a|b).*\n", "a\n", False),
    ],
)
def test_output_is_compared_with_two_wildcards(shown: str, printed: str, same: bool) -> None:
    assert console.matches(shown, printed) is same


def test_a_page_keeps_its_shell_from_block_to_block(tmp_path: Path) -> None:
    text = """\
        ```console
        $ mkdir place && cd place
        $ number=41
        ```

        words

        ```console
        $ echo "$((number + 1)) in
        > ${PWD##*/}"
        42 in
        place
        $ cat <<end
        > here
        > end
        here
        $ cat
        ```

        ```sh
        $ rm -rf /this/is/not/run
        ```
        """
    assert console.check(page(tmp_path, text), "/bin/true") == 5


@pytest.mark.parametrize(
    "block",
    ["$ echo no\nyes", "$ false", "$ echo more", "$ exit 3", "$ sleep 100 & true", "$ ociruntime\nsome words"],
)
def test_a_page_that_is_wrong_is_caught(tmp_path: Path, block: str) -> None:
    path = page(tmp_path, f"```console\n{block}\n```\n")
    with pytest.raises((AssertionError, ValueError)):
        console.check(path, "/bin/true")


def test_blocks_of_another_host_are_left_out(tmp_path: Path) -> None:
    text = "```console cgroup-v1\n$ a\n```\n```console cgroup-v2\n$ b\n```\n```console\n$ c\n```\n"
    assert [command.text for command in console.commands(page(tmp_path, text))] in (["a", "c"], ["b", "c"])
