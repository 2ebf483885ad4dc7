"""--trace FILE: when each step began and how long it took, for the usual viewers (Perfetto, chrome://tracing).

The format is Chrome's trace event format, a JSON array of complete events (`"ph": "X"`, times in microseconds).
Parent and child append to one file, a line per event in one write(2), and the parent closes the array at its end.
"""

from __future__ import annotations

import posix as os
import time

from ociruntime.core.errors import HostError
from ociruntime.core.jsonio import dumps
from ociruntime.core.log import out_of_the_way, write

Event = dict[str, "str | int | float | dict[str, str]"]


class Trace:
    """One file of events. Loaded and made only if --trace asks for it."""

    def __init__(self, path: str) -> None:
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
            self.descriptor = out_of_the_way(os.open(path, flags, 0o644))
        except OSError as error:
            raise HostError(f"open {path}", code="trace-file", errno=error.errno or 0) from None
        self.begin = time.time_ns()
        self._seen: dict[int, int] = {}  # process ids as they are here: as the host knows them
        write(self.descriptor, "[\n")

    def complete(self, name: str, kind: str, begin: int, proc: int = -1, origin: str = "") -> None:
        """Something that began at `begin` (time.time_ns: the monotonic clocks differ in a time namespace) is over."""
        event = self._event(name, kind, begin, self._process(proc))
        if origin:
            event["args"] = {"origin": origin}
        write(self.descriptor, dumps(event) + ",\n")

    def end(self, command: str) -> None:
        """The command itself is the last event."""
        write(self.descriptor, dumps(self._event(command, "command", self.begin, self._process(-1))) + "\n]\n")

    def _process(self, proc: int) -> int:
        """This process by its number on the host, by way of a descriptor of the host's procfs."""
        here = os.getpid()
        if here not in self._seen:
            try:
                known = int(os.readlink("self", dir_fd=proc)) if proc >= 0 else here
            except OSError:
                known = here
            self._seen[here] = known
            event: Event = {"name": "process_name", "ph": "M", "pid": known, "tid": known}
            event["args"] = {"name": "runtime" if len(self._seen) == 1 else "container"}
            write(self.descriptor, dumps(event) + ",\n")
        return self._seen[here]

    @staticmethod
    def _event(name: str, kind: str, begin: int, pid: int) -> Event:
        took = time.time_ns() - begin
        return {"name": name, "cat": kind, "ph": "X", "ts": begin / 1000, "dur": took / 1000, "pid": pid, "tid": pid}
