"""The records that clients read after a failure, and the one line for people on stderr.

The contract (what go-runc, conmon and podman parse): one object or line per record, appended; time
in RFC 3339; and, because podman reads the whole file of a call that failed as a single JSON document, one
error and nothing else then, unless --debug asks for it.
"""

from __future__ import annotations

import fcntl
import posix as os
import time

from ociruntime.core.errors import Failure, HostError, name_of, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ociruntime.core.log_service import Service
    from ociruntime.core.options import Globals
    from ociruntime.core.trace import Trace

_HIGH = 500


def write(descriptor: int, text: str) -> None:
    """Write all of a text, bytes that are not UTF-8 as they came. Raises OSError."""
    data = text.encode("utf-8", "surrogateescape")
    while data:
        data = data[os.write(descriptor, data) :]


def out_of_the_way(descriptor: int) -> int:
    """The same file at a high number: --preserve-fds must not take the log for a descriptor of the caller's."""
    try:
        moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _HIGH)
    except OSError:  # the limit of open files is lower than that
        return descriptor
    os.close(descriptor)
    return moved


class Log:
    """The log of one call of the runtime. Before `open`, only stderr is known."""

    def __init__(self) -> None:
        self.opened = False
        self.debugging = False
        self.aloud = False  # steps are recorded, in the log or in a trace
        self.trace: Trace | None = None
        self._json = False
        self._file = -1
        self._service: Service | None = None
        self._elsewhere = False  # records do not go to stderr, which then gets the plain sentence
        self._held: list[str] = []

    def open(self, g: Globals) -> None:
        """Begin to append to --log, a file or a service of the system. Raises HostError for a file that cannot be."""
        self.opened = True
        self.debugging = g.debug
        self.aloud = g.debug or bool(g.trace)
        self._json = g.log_format == "json"
        if g.log.startswith(("journald:", "syslog:")):
            from ociruntime.core.log_service import Service

            self._service = Service(g.log)
        elif g.log:
            try:
                descriptor = os.open(g.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            except OSError as error:
                raise HostError(f"open {g.log}", code="log-file", errno=error.errno or 0) from None
            self._file = out_of_the_way(descriptor)
        self._elsewhere = bool(g.log)
        if g.trace:
            from ociruntime.core.trace import Trace

            self.trace = Trace(g.trace)

    def descriptors(self) -> list[int]:
        """The files that a child has steps to record in."""
        return [self._file] * self.debugging + ([self.trace.descriptor] if self.trace else [])

    def debug(self, message: str, **fields: str | int) -> None:
        """Record a step that was taken; nothing without --debug."""
        if self.debugging:
            self._record("debug", message, fields)

    def warning(self, message: str, **fields: str | int) -> None:
        """A peculiarity that stops nobody: a line on stderr, and with --debug a record (see above)."""
        if self.debugging:
            self._record("warning", message, fields)
        if self._elsewhere or not (self._json or self.debugging):
            write(2, f"warning: {message}\n")

    def hold(self, message: str) -> None:
        """A warning about the process to be started: its stderr is ours, so with --log it is a record instead.

        It is written by `release`, when nothing can fail any more. A log in JSON has none without --debug: clients
        expect errors there and nothing else.
        """
        if not self._elsewhere:
            self.warning(message)
        elif self.debugging:
            self._record("warning", message, {})
        elif not self._json:
            self._held.append(message)

    def release(self) -> None:
        """Record the warnings that were held."""
        try:
            while self._held:
                self._record("warning", self._held.pop(0), {})
        except OSError:  # a full disk is no reason to take the container back
            pass

    def error(self, failure: Failure) -> None:
        """Record the failure of this call, and say it in one line on stderr."""
        fields: dict[str, str | int] = {"code": failure.code, "kind": type(failure).__name__}
        fields["step"] = one_line(failure.step)
        if failure.origin:
            fields["origin"] = failure.origin
        if failure.place[0]:
            fields["line"], fields["column"] = failure.place
        if failure.errno:
            fields["errno"] = failure.errno
            fields["errnoName"] = name_of(failure.errno)
        if failure.hint:
            fields["hint"] = failure.hint
        line = failure.line()
        structured = self._json or self.debugging
        try:
            if self._elsewhere or structured:
                self._record("error", line, fields)
        except OSError:  # a full disk must not take the line on stderr with it
            structured = False
        if self._elsewhere or not structured:
            write(2, line + "\n")

    def _record(self, level: str, message: str, fields: dict[str, str | int]) -> None:
        if self._service:
            self._service.record(level, message, fields)
            return
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        write(self._file if self._file >= 0 else 2, render(level, message, now, fields, as_json=self._json))


def render(level: str, message: str, now: str, fields: dict[str, str | int], *, as_json: bool) -> str:
    """One record as a line; `now` is the time in RFC 3339."""
    from ociruntime.core.jsonio import dumps

    members: dict[str, str | int] = {"level": level, "msg": message, "time": now, **fields}
    if as_json:
        return dumps(members) + "\n"
    texts = [f"{name}={dumps(value)}" for name, value in fields.items()]
    return " ".join([f'time="{now}" level={level} msg={dumps(message)}', *texts]) + "\n"


LOG = Log()


def tell(warnings: Sequence[str], remarks: Sequence[str]) -> None:
    """What a plan has to say: warnings for everybody, remarks for whoever asked with --debug."""
    for message in warnings:
        LOG.hold(message)
    for message in remarks:
        LOG.debug(message)
