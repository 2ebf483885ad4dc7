"""Rules about the process, of a configuration and of `exec --process`. See rules.py."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ociruntime.core.spec.finding import Finding
    from ociruntime.core.spec.types import Process


def args(process: Process) -> Iterator[Finding]:
    """argv has at least one entry, the program (config.md, "Process")."""
    if "args" not in process:
        yield "", 'the property "args" is missing: there is no program to run', ""
    elif not process["args"]:
        yield "/args", "args is empty: there is no program to run", ""


def env(process: Process) -> Iterator[Finding]:
    """An entry of the environment is NAME=VALUE, environ(7); runc 1.3 and later refuse others too."""
    for index, entry in enumerate(process.get("env", [])):
        if entry.find("=") < 1:
            yield f"/env/{index}", f'"{entry}" is no NAME=VALUE', ""


def rlimit_twice(process: Process) -> Iterator[Finding]:
    """A resource limit is given once (config.md, "POSIX process")."""
    seen: set[str] = set()
    for index, rlimit in enumerate(process.get("rlimits", [])):
        if rlimit["type"] in seen:
            yield f"/rlimits/{index}", f"{rlimit['type']} is given twice", ""
        seen.add(rlimit["type"])


def rlimit_order(process: Process) -> Iterator[Finding]:
    """A soft limit is not above its hard limit, setrlimit(2)."""
    for index, rlimit in enumerate(process.get("rlimits", [])):
        soft, hard = rlimit["soft"], rlimit["hard"]
        if soft > hard:
            yield (
                f"/rlimits/{index}/soft",
                f"the soft limit {soft} of {rlimit['type']} is above its hard limit {hard}",
                "",
            )


def scheduler(process: Process) -> Iterator[Finding]:
    """The numbers of a scheduling policy fit it, sched_setattr(2)."""
    given = process.get("scheduler")
    if given is None:
        return
    policy, nice, priority = given["policy"], given.get("nice", 0), given.get("priority", 0)
    if not -20 <= nice <= 19:
        yield "/scheduler/nice", f"a niceness of {nice} does not exist", "it goes from -20 to 19"
    if policy in ("SCHED_FIFO", "SCHED_RR"):
        if not 1 <= priority <= 99:
            yield "/scheduler", f"{policy} with a priority of {priority}", "it goes from 1 to 99"
    elif priority:
        yield "/scheduler/priority", f"{policy} has no priority", "SCHED_FIFO and SCHED_RR have"
    for name in ("runtime", "deadline", "period"):
        if policy != "SCHED_DEADLINE" and given.get(name):
            yield f"/scheduler/{name}", f"{policy} has no {name}", "SCHED_DEADLINE has"


def cpu_affinity(process: Process) -> Iterator[Finding]:
    """initial and final are lists of CPUs such as "0-3,7" (config.md, "POSIX process")."""
    for name, value in process.get("execCPUAffinity", {}).items():
        if name in ("initial", "final") and value and not _is_list(str(value)):
            yield f"/execCPUAffinity/{name}", f'"{value}" is no list of CPUs', 'such as "0-3,7"'


def _is_list(value: str) -> bool:
    for part in value.split(","):
        first, dash, last = part.strip(" ").partition("-")
        if not first.isdigit() or (dash and (not last.isdigit() or int(last) < int(first))):
            return False
    return True


PROCESS_RULES = (args, env, rlimit_twice, rlimit_order, scheduler, cpu_affinity)
