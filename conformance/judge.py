"""The judgement: every check against every runtime, and a clean host afterwards."""

from __future__ import annotations

import enum
import os
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs

from conformance import host, spawn
from conformance.registry import Check, Level
from conformance.runtime import Runtime
from conformance.trial import Failed, Skipped, Trial

GRACE = 2.0  # seconds the kernel gets to finish what a runtime has already ordered


class Status(enum.StrEnum):
    """What became of a check."""

    PASS = "pass"
    FAIL = "fail"
    SKIP = "skip"
    CRASH = "crash"  # the runtime died of a signal or with a stack trace
    HANG = "hang"  # the runtime did not answer in time
    ERROR = "error"  # this suite is at fault


@attrs.frozen
class Verdict:
    """One check, one runtime."""

    check: str
    runtime: str
    status: Status
    detail: str = ""
    seconds: float = 0.0
    litter: tuple[str, ...] = ()


@attrs.define
class Judgement:
    """All verdicts with what they were given for and where."""

    runtimes: list[str]
    versions: dict[str, str]
    host: dict[str, str]
    checks: list[Check]
    verdicts: dict[tuple[str, str], Verdict] = attrs.Factory(dict)

    def violations(self, runtime: str, *levels: Level) -> list[Verdict]:
        """What a runtime failed at, at these levels; MUST alone by default. Litter and crashes count as MUST."""
        wanted = levels or (Level.MUST,)
        found = []
        for check in self.checks:
            verdict = self.verdicts.get((check.id, runtime))
            if verdict is None or verdict.status in (Status.PASS, Status.SKIP):
                continue
            if check.clause.level in wanted or (verdict.status is not Status.FAIL and Level.MUST in wanted):
                found.append(verdict)
        return found

    def suspects(self) -> list[str]:
        """Checks that were judged by two runtimes or more and that none passes: probably the check is wrong."""
        found = []
        for check in self.checks:
            given = [v for name in self.runtimes if (v := self.verdicts.get((check.id, name)))]
            judged = [v for v in given if v.status is not Status.SKIP]
            if len(judged) > 1 and all(v.status is not Status.PASS for v in judged):
                found.append(check.id)
        return found


@attrs.define
class Court:
    """Where trials are held: one directory and one cgroup, both gone afterwards."""

    home: Path
    probe: Path
    group: str
    serial: int = 0

    def try_(self, check: Check, runtime: Runtime) -> Verdict:
        """Hold one trial and clean up after it."""
        self.serial += 1
        place = self.home / f"trial{self.serial}"
        place.mkdir()
        place.chmod(0o755)
        before = _host_mounts()
        trial = Trial(runtime, place, self.probe, self.group, f"{self.group}-{self.serial}")
        begin = time.monotonic()
        status, detail = _hold(check, trial)
        try:
            trial.close()
        except OSError as failure:
            status, detail = Status.ERROR, f"{detail} (and cleaning up failed: {failure})"
        litter = tuple(self._litter(trial, before))
        trial.remove()
        return Verdict(check.id, runtime.name, status, detail, time.monotonic() - begin, litter)

    def _groups(self, trial: Trial) -> list[Path]:
        """The container cgroups that are left."""
        roots = host.Hierarchies.read().all_roots()
        tolerated = {root / path for root in roots for path in trial.tolerated}
        return [path for path in host.groups_under(self.group) if path not in tolerated]

    def _litter(self, trial: Trial, before: set[str]) -> Iterator[str]:
        """What is left after everything was deleted by force; it is named, then removed."""
        deadline = time.monotonic() + GRACE
        while time.monotonic() < deadline:
            _reap_all()
            if not spawn.children(os.getpid()) and not self._groups(trial):
                break
            time.sleep(0.005)
        for pid in sorted(spawn.children(os.getpid())):
            yield f"process {pid} ({_command(pid)})"
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            spawn.exited(pid, GRACE)
        _reap_all()
        groups = self._groups(trial)
        if groups:
            yield f"cgroup {groups[0]}" + (f" and {len(groups) - 1} more" if len(groups) > 1 else "")
        for group in host.groups_under(self.group):
            with suppress(OSError):
                group.rmdir()
        ours = {point for point in _host_mounts() - before if point.startswith(str(self.home))}
        for point in sorted(ours, reverse=True):
            yield f"mount {point}"
            with suppress(FileNotFoundError):
                spawn.call((spawn.find("umount"), "-l", point))
        root = trial.runtime.root
        for left in sorted(root.glob("*")) if root.is_dir() else ():
            if left.name.startswith(self.group):
                yield f"state {left}"
                shutil.rmtree(left, ignore_errors=True)


def _hold(check: Check, trial: Trial) -> tuple[Status, str]:
    """Run the body and turn what it raised into a status."""
    try:
        check.body(trial)
    except Skipped as reason:
        return Status.SKIP, str(reason)
    except Failed as failure:
        outcome = failure.outcome
        if outcome is not None and outcome.timed_out:
            return Status.HANG, str(failure)
        if outcome is not None and outcome.crashed:
            return Status.CRASH, str(failure)
        return Status.FAIL, str(failure)
    except Exception:  # noqa: BLE001 - a broken check must not end the judgement of all others
        return Status.ERROR, " ".join(traceback.format_exc().split())[-500:]
    return Status.PASS, ""


def _host_mounts() -> set[str]:
    return {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    return "?"


def _reap_all() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


@contextmanager
def court(probe: Path) -> Iterator[Court]:
    """A court in session; crun's missing hierarchy is mounted meanwhile (see `host.complete_hierarchies`)."""
    home = Path(tempfile.mkdtemp(prefix="conformance-", dir="/tmp"))
    home.chmod(0o755)  # user namespaces have to reach their root file systems
    group = f"conformance-{os.getpid()}"
    spawn.become_subreaper()
    host.make_group(group)
    try:
        with host.complete_hierarchies():
            yield Court(home, probe, group)
    finally:
        host.remove_group(group)
        shutil.rmtree(home, ignore_errors=True)


def judge(
    runtimes: Sequence[str],
    checks: Sequence[Check],
    probe: Path,
    progress: Callable[[Check, Verdict], None] = lambda check, verdict: None,
    *,
    timeout: float = 20.0,
) -> Judgement:
    """Every check against every runtime, check by check, so that runtimes meet the same host."""
    with court(probe) as seat:
        defendants = [Runtime.parse(one, seat.home, timeout=timeout) for one in runtimes]
        for one in defendants:
            one.root.mkdir(parents=True, exist_ok=True)
            one.root.chmod(0o711)
        versions = {one.name: one.version() for one in defendants}
        found = Judgement([one.name for one in defendants], versions, host.describe(), list(checks))
        for check in checks:
            for runtime in defendants:
                verdict = seat.try_(check, runtime)
                found.verdicts[check.id, runtime.name] = verdict
                progress(check, verdict)
    return found
