"""Every way to fail, as one tree.

    Failure                     something was refused; carries all that an explanation needs
    ├── UsageError              the command line is wrong
    ├── ConfigError             config.json (or another document of the caller) is wrong
    ├── StateError              the container is not in a state that allows this
    ├── HostError               this host, kernel or privilege cannot do what was asked
    ├── StepError               a step of the plan was refused by the kernel
    ├── HookError               a hook failed
    └── ProgramError            the container's program could not be executed

A Failure costs nothing until it is explained: it holds facts, `ociruntime.explain` finds the words
(line and column, hint, section of the specification). Sentences are lower case, name the object and
have no full stop. The words that clients match in them are listed in docs/compatibility.md.
"""

from __future__ import annotations

import posix as os


class Failure(Exception):
    """A refusal that a person can act on.

    code    stable name of the riddle, documented by `ociruntime explain CODE`, e.g. "config-type"
    what    the sentence: what was being done, to which object, and why it failed
    origin  JSON pointer (RFC 6901) of the property at fault, "" where there is none
    errno   what the kernel said, 0 where it was not asked
    step    what was being done: a step of the plan as `explain` shows it, or what the kind of failure says
    hint    what to do about it, "" where nothing useful can be said

    `place` is line and column of the origin in its document, from 1; the explanation looks it up.
    """

    default_code = "failure"
    doing = "run the command"

    def __init__(self, what: str, *, code: str = "", origin: str = "", errno: int = 0, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.code = code or self.default_code
        self.origin = origin
        self.errno = errno
        self.hint = hint
        self.step = self.doing
        self.place = (0, 0)

    def line(self) -> str:
        """The failure as one line for people: sentence, reason of the kernel, property, hint."""
        text = self.what
        if self.errno:
            reason = os.strerror(self.errno).lower()
            if reason not in text.lower():
                text += f": {reason}"
        where = [name_of(self.errno)] if self.errno else []
        if self.origin:
            where.append(f"config property {self.origin}")
        if self.place[0]:
            where.append("line {}, column {}".format(*self.place))
        if where:
            text += f" ({', '.join(where)})"
        if self.hint:
            text += f"; {self.hint}"
        return one_line(text)


def name_of(number: int) -> str:
    """The name of an error number, "ENOENT"."""
    import errno

    return errno.errorcode.get(number, f"errno {number}")


def one_line(text: str) -> str:
    """Text for a terminal: a line break is a space, and what else cannot be printed is escaped.

    Sentences quote configurations and the output of hooks, which shall not move the cursor of their reader.
    """
    text = text.replace("\n", " ")
    if text.isprintable():
        return text
    return "".join([letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text])


class UsageError(Failure):
    """The command line is wrong."""

    default_code = "usage"
    doing = "read the command line"


class ConfigError(Failure):
    """A document of the caller (config.json, process.json, resources) is wrong."""

    default_code = "config-invalid"
    doing = "check the configuration"


class StateError(Failure):
    """The container does not exist, exists already, or its status forbids the operation."""

    default_code = "state"
    doing = "look up the state of the container"


class HostError(Failure):
    """The host, its kernel or the caller's privilege cannot do what was asked."""

    default_code = "host"
    doing = "see what this host can do"


class StepError(Failure):
    """A step of the plan was refused by the kernel."""

    default_code = "step"
    doing = "carry out the plan"


class HookError(Failure):
    """A hook could not be run, failed, or exceeded its timeout."""

    default_code = "hook"
    doing = "run a hook"


class ProgramError(Failure):
    """The program of the container could not be found or executed."""

    default_code = "program"
    doing = "execute the program"
