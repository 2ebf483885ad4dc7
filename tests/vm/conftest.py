"""The guest's tests run beside the host's: started when all are collected, awaited by the items that come last."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LAST = ("test_end_to_end.py", "test_guest.py")  # the second needs the image that the first makes
SECONDS = 1500  # for one run: far more than emulation takes, and all fit into the 90 minutes of CI
TAIL = 3000  # characters of what a guest that died has said
WHAT = {
    "root": ("tests/e2e", "-m", "guest"),
    "tester": ("tests/e2e", "-m", "guest and unprivileged"),
    "selinux": ("tests/e2e/test_selinux.py",),
}
"""Arguments of pytest for each run; who that is says test.sh."""


class Apart:
    """A command that is no child of this process: some tests take every child for one of a container.

    They reap or kill it (tests/e2e/sweep.py, conformance/judge.py), so the status comes through a pipe.
    """

    def __init__(self, *words: str | Path, **env: str) -> None:
        self._log = tempfile.NamedTemporaryFile("r", errors="replace")  # noqa: SIM115 -- end() closes it
        ours, theirs = os.pipe()
        self._pipe = open(ours)  # noqa: SIM115 -- likewise
        subprocess.run(
            ["setsid", "--fork", "sh", "-c", 'echo $$; "$@" >"$0" 2>&1; echo $?', self._log.name, *words],
            env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=theirs, check=True,
        )  # fmt: skip
        os.close(theirs)
        self.session = int(self._pipe.readline())
        self._running = True

    def finish(self) -> tuple[int, str]:
        """Exit status and output; status -1 if somebody killed the shell that was to tell it."""
        status = int(self._pipe.readline() or -1)
        self._running = False
        return status, self._log.read()

    def end(self) -> None:
        if self._running:
            os.killpg(self.session, signal.SIGTERM)
            self.finish()
        self._pipe.close()
        self._log.close()


class Runs:
    """`tests/vm/test.sh` as each user, one after the other: each takes both processors and 4 GiB."""

    def __init__(self) -> None:
        self.started: dict[str, Apart] = {}
        self.said: list[str] = []

    def start(self, user: str) -> Apart:
        if user not in self.started:
            # Nice: the host's tests have clocks to watch, emulation has not.
            self.started[user] = Apart("nice", HERE / "test.sh", *WHAT[user], USERS=user, LIMIT=str(SECONDS))
        return self.started[user]

    def again(self, user: str, output: str) -> Apart:
        """A second run after one whose guest died, which is told."""
        self.said.append(f"in the guest, as {user}: a second run after one without an end:\n{output[-TAIL:]}")
        self.started.pop(user).end()
        return self.start(user)

    def conclude(self, user: str, output: str) -> bool:
        """Keep the counts, and the reasons of skips, for the summary. Whether there are any: a guest may end before."""
        ends = re.findall(
            r"^(?:=+ )?(\d+ (?:passed|failed|skipped|error).* in [\d.]+s.*?)(?: =+)?$", output, re.MULTILINE
        )
        self.said.append(f"in the guest, as {user}: {ends[-1] if ends else 'no result'}")
        self.said += re.findall(r"^SKIPPED .*$", output, re.MULTILINE)
        return bool(ends)


RUNS = pytest.StashKey[Runs]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        return LAST.index(item.path.name) + 1 if item.path.parent == HERE and item.path.name in LAST else 0

    items.sort(key=rank)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin early, unless nothing runs, or every worker of pytest-xdist would."""
    wanted = any(item.path == HERE / LAST[0] and "[root]" in item.name for item in session.items)
    if wanted and not session.config.option.collectonly and not hasattr(session.config, "workerinput"):
        runs(session.config).start("root")


def runs(config: pytest.Config) -> Runs:
    """The runs of this session."""
    return config.stash.setdefault(RUNS, Runs())


@pytest.fixture
def guests(request: pytest.FixtureRequest) -> Runs:
    return runs(request.config)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    said = runs(terminalreporter.config).said
    if said:
        terminalreporter.section("guest")
        terminalreporter.write_line("\n".join(said))


def pytest_unconfigure(config: pytest.Config) -> None:
    for run in runs(config).started.values():
        run.end()
