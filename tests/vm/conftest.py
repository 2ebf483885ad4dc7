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
SECONDS = 2400  # for one user: far more than emulation takes, and both fit into the 90 minutes of CI
MARKS = {"root": "guest", "tester": "guest and unprivileged"}


class Run:
    """`tests/vm/test.sh` as one user of the guest."""

    def __init__(self, user: str) -> None:
        self._log = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 -- end() closes it
        # Nice: the host's tests have clocks to watch, emulation has not.
        self._process = subprocess.Popen(
            ["nice", HERE / "test.sh", "tests/e2e", "-m", MARKS[user]],
            env={**os.environ, "USERS": user, "LIMIT": str(SECONDS)},
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def finish(self) -> tuple[int, str]:
        """Exit status and output."""
        status = self._process.wait()
        self._log.seek(0)
        return status, self._log.read()

    def end(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait()
        self._log.close()


class Runs:
    """Those of this session, one after the other: each takes both processors and 4 GiB."""

    def __init__(self) -> None:
        self.started: dict[str, Run] = {}
        self.said: list[str] = []

    def start(self, user: str) -> Run:
        if user not in self.started:
            self.started[user] = Run(user)
        return self.started[user]

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
