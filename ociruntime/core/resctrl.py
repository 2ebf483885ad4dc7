"""Intel RDT by the resctrl file system (config-linux.md, IntelRdt; Documentation/filesystems/resctrl.rst).

A directory at the top is a class of service (CLOS): `schemata` says what its tasks may use of caches and
memory bandwidth, `tasks` who they are. Below it `mon_groups` holds groups that are measured on their own.
The state document keeps, under "rdt", what `delete` has to remove and where `update` has to write.
"""

from __future__ import annotations

import posix as os

from ociruntime.core.cgroup.files import read_text, write_text
from ociruntime.core.cgroup.host import plain
from ociruntime.core.errors import HostError, StateError, StepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from ociruntime.core.kernel import Kernel


def find_root(kernel: Kernel) -> str:
    """Where resctrl is mounted. Raises HostError where it is not."""
    for line in read_text(kernel, "/proc/self/mountinfo").splitlines():
        place, _, source = line.partition(" - ")
        if source.startswith("resctrl "):
            return plain(place.split(" ")[4])
    raise HostError(
        "Intel RDT cannot be used: no resctrl file system is mounted",
        code="rdt-none",
        origin="/linux/intelRdt",
        hint="mount -t resctrl resctrl /sys/fs/resctrl, if the processor has it",
    )


def write_schemata(kernel: Kernel, directory: str, lines: Iterable[str]) -> None:
    """One write(2) per line, in this order. Raises StepError with what the kernel has to say about the line."""
    for line in lines:
        try:
            _write_line(kernel, f"{directory}/schemata", line)
        except OSError as error:
            raise StepError(
                f"cannot set {line!r} in {directory}/schemata",
                code="rdt-schemata",
                errno=error.errno or 0,
                hint=_complaint(kernel, directory),
            ) from None


def _write_line(kernel: Kernel, path: str, line: str) -> None:
    """With its newline, without which the kernel answers EINVAL."""
    fd = kernel.open(path, os.O_WRONLY)
    try:
        kernel.write(fd, line.encode() + b"\n")
    finally:
        kernel.close(fd)


def _complaint(kernel: Kernel, directory: str) -> str:
    """The file that explains the latest refusal lies at the root of resctrl."""
    try:
        return read_text(kernel, f"{directory.rpartition('/')[0]}/info/last_cmd_status").strip()
    except OSError:
        return ""


def compare(kernel: Kernel, directory: str, lines: Iterable[str]) -> str:
    """The first line that a class which exists already has otherwise, "" if it agrees with all."""
    present: dict[str, dict[str, str]] = {}
    for line in read_text(kernel, f"{directory}/schemata").splitlines():
        present.update(_parsed(line))
    for line in lines:
        for resource, domains in _parsed(line).items():
            there = present.get(resource, {})
            if any(there.get(domain) != value for domain, value in domains.items()):
                return line
    return ""


def _parsed(text: str) -> dict[str, dict[str, str]]:
    """ "L3:0=0f;1=f" as resource to domain to value; cache masks are compared as numbers would be."""
    resource, _, rest = text.strip().partition(":")
    domains = {}
    for part in rest.split(";"):
        domain, _, value = part.strip().partition("=")
        domains[domain.strip()] = value.strip().lstrip("0").lower() or "0"
    return {resource.strip(): domains}


def update(kernel: Kernel, record: Mapping[str, Any], lines: list[str]) -> None:
    """New schemata for a container that lives. Raises StateError where it has no class of service."""
    if not lines:
        return
    directory = record.get("directory") or ""
    if not directory:
        raise StateError(
            "the container has no class of service: it was created without linux.intelRdt", code="rdt-absent"
        )
    write_schemata(kernel, directory, lines)


def join(kernel: Kernel, record: Mapping[str, Any], pid: int) -> None:
    """A process of `exec` is no child of the container's init, so it has to be made a task. Raises OSError."""
    for path in record.get("joined") or ():
        write_text(kernel, f"{path}/tasks", str(pid))


def remove(kernel: Kernel, record: Mapping[str, Any]) -> None:
    """What create made: the monitoring group, and the class of service unless it has a name of its own."""
    for path in record.get("made") or ():
        try:
            kernel.unlinkat(None, path, directory=True)
        except FileNotFoundError:
            continue
