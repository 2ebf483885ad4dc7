"""A wrong runtime, made to order: a wrapper that runs a real one and breaks exactly one thing.

The negative control of the suite: for every clause where it can be done, the check of that clause has to notice. As a
program it is ``python -I -S saboteur.py ACTS REAL-RUNTIME...`` with ``ACTS`` a JSON list; it is started for every
operation of every container, so it imports nothing but the standard library's little ones.

Acts, each an object with ``act`` and, for most, the ``verb`` they apply to:

==============  =======================================================================================================
drop            remove the value ``at`` a JSON pointer from config.json for the time of ``create``
put             set the value ``at`` a JSON pointer to ``value`` for the time of ``create`` (``-`` appends)
move            append the list ``at`` a JSON pointer to the one at ``to`` and empty it
swap            exchange the values ``at`` and ``with``
reverse         turn the array ``at`` a JSON pointer round
whole           replace config.json by ``value`` for the time of ``create``
skip            do not run ``verb`` at all, exit 0
succeed         run ``verb`` but exit 0 whatever happened
fail            run ``verb`` but exit 1
instead         run the words ``call`` in place of ``verb`` ({id} stands for the container)
before, after   run the words ``call`` besides ``verb``
say             edit the JSON printed by ``verb``: set ``key`` to ``value``, or drop it without ``value``
litter          leave a directory in the cgroup file systems after ``verb``
leak            pass a descriptor of ours to the program
==============  =======================================================================================================
"""

from __future__ import annotations

import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Sabotage = dict[str, Any]
else:
    Sabotage = dict


def drop(at: str) -> Sabotage:
    """The runtime overlooks a property."""
    return {"act": "drop", "verb": "create", "at": at}


def put(at: str, value: Any) -> Sabotage:
    """The runtime takes another value than the one asked for."""
    return {"act": "put", "verb": "create", "at": at, "value": value}


def reverse(at: str) -> Sabotage:
    """The runtime takes a list in the wrong order."""
    return {"act": "reverse", "verb": "create", "at": at}


def move(at: str, to: str) -> Sabotage:
    """The runtime does something at another time."""
    return {"act": "move", "verb": "create", "at": at, "to": to}


def swap(at: str, other: str) -> Sabotage:
    """The runtime confuses two properties."""
    return {"act": "swap", "verb": "create", "at": at, "with": other}


def whole(value: Any) -> Sabotage:
    """The runtime reads another config.json altogether."""
    return {"act": "whole", "verb": "create", "value": value}


def skip(verb: str) -> Sabotage:
    """The runtime says yes and does nothing."""
    return {"act": "skip", "verb": verb}


def succeed(verb: str) -> Sabotage:
    """The runtime never admits a failure."""
    return {"act": "succeed", "verb": verb}


def fail(verb: str) -> Sabotage:
    """The runtime does as told and then says it did not."""
    return {"act": "fail", "verb": verb}


def instead(verb: str, *call: str) -> Sabotage:
    """The runtime does another thing."""
    return {"act": "instead", "verb": verb, "call": call}


def before(verb: str, *call: str) -> Sabotage:
    """The runtime does something else first."""
    return {"act": "before", "verb": verb, "call": call}


def after(verb: str, *call: str) -> Sabotage:
    """The runtime does something else afterwards."""
    return {"act": "after", "verb": verb, "call": call}


def say(verb: str, key: str, *value: Any) -> Sabotage:
    """The runtime prints a wrong document."""
    return {"act": "say", "verb": verb, "key": key, "value": list(value)}


def leak() -> Sabotage:
    """The runtime leaves a descriptor of its own open in the program."""
    return {"act": "leak", "verb": "create"}


# ---- the wrapper ----------------------------------------------------------------------------------------------------


def _value(document: Any, at: str) -> Any:
    for step in at.lstrip("/").split("/"):
        document = _child(document, step)
    return document


def edit(document: Any, act: Sabotage) -> Any:
    """Apply an act on config.json to a JSON document; a path that is not there changes nothing."""
    if act["act"] in ("move", "swap"):
        other = act["to" if act["act"] == "move" else "with"]
        mine, theirs = _value(document, act["at"]), _value(document, other)
        moved = [*(theirs or []), *(mine or [])] if act["act"] == "move" else mine
        edit(document, put(other, moved))
        return edit(document, put(act["at"], [] if act["act"] == "move" else theirs))
    *steps, last = act["at"].lstrip("/").split("/")
    place = document
    for step in steps:
        place = _child(place, step, make=act["act"] == "put")
        if place is None:
            return document
    if act["act"] == "reverse":
        found = _child(place, last)
        if isinstance(found, list):
            found.reverse()
    elif isinstance(place, list):
        _edit_list(place, last, act)
    elif isinstance(place, dict):
        if act["act"] == "put":
            place[last] = act["value"]
        else:
            place.pop(last, None)
    return document


def _edit_list(place: list[Any], last: str, act: Sabotage) -> None:
    if act["act"] == "put" and last == "-":
        place.append(act["value"])
    elif last.lstrip("-").isdigit() and -len(place) <= int(last) < len(place):
        if act["act"] == "put":
            place[int(last)] = act["value"]
        else:
            del place[int(last)]


def _child(place: Any, step: str, *, make: bool = False) -> Any:
    if isinstance(place, list) and step.lstrip("-").isdigit() and -len(place) <= int(step) < len(place):
        return place[int(step)]
    if isinstance(place, dict):
        return place.setdefault(step, {}) if make else place.get(step)
    return None


def _run(argv: list[str], *, capture: bool = False) -> tuple[int, bytes]:
    read, write = os.pipe() if capture else (-1, -1)
    actions = [(os.POSIX_SPAWN_DUP2, write, 1), (os.POSIX_SPAWN_CLOSE, write)] if capture else []
    pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=actions)
    said = b""
    if capture:
        os.close(write)
        while chunk := os.read(read, 1 << 16):
            said += chunk
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


def _verb(real: list[str]) -> int:
    """Where the command stands: the suite always writes ``--root DIR`` right before it."""
    return real.index("--root") + 2 if "--root" in real else len(real)


def _bundle(words: list[str]) -> str:
    for flag in ("--bundle", "-b"):
        if flag in words[:-1]:
            return words[words.index(flag) + 1]
    return "."


def _act(act: Sabotage, argv: list[str], calls: list[list[str]]) -> int | None:
    """One act around the call of its verb; the exit code to give, or None to leave it."""
    kind = act["act"]
    if kind == "say":
        code, said = _run(argv, capture=True)
        if code == 0:
            document = json.loads(said)
            _say(document, act)
            said = json.dumps(document).encode()
        os.write(1, said)
        return code
    if kind == "instead":
        return [_run(words)[0] for words in calls][-1]
    if kind == "before":
        for words in calls:
            _run(words)
    if kind == "leak":
        os.dup2(os.open("/dev/null", os.O_RDONLY), 3)
        place = _verb(argv) + 1
        argv = [*argv[:place], "--preserve-fds", "1", *argv[place:]]
    code = _run(argv)[0]
    if kind == "after":
        for words in calls:
            _run(words)
    return {"succeed": 0, "fail": 1}.get(kind, code)


def _say(document: Any, act: Sabotage) -> None:
    if act["value"]:
        document[act["key"]] = act["value"][0]
    else:
        document.pop(act["key"], None)


def _with_config(acts: list[Sabotage], argv: list[str], words: list[str]) -> int:
    """Run ``create`` while config.json is another; it is put back afterwards."""
    path = os.path.join(_bundle(words), "config.json")
    with open(path, "rb") as file:
        original = file.read()
    try:
        document = json.loads(original)
    except ValueError:
        document = {}
    for act in acts:
        document = act["value"] if act["act"] == "whole" else edit(document, act)
    with open(path, "w") as out:
        json.dump(document, out)
    code = _run(argv)[0]
    with open(path, "wb") as out:
        out.write(original)
    return code


def main(argv: list[str]) -> int:
    """The wrapper program; returns the exit status it should have."""
    acts: list[Sabotage] = json.loads(argv[0])
    real = argv[1:]
    place = _verb(real)
    verb, words = (real[place], real[place + 1 :]) if place < len(real) else ("", [])
    mine = [act for act in acts if act["verb"] == verb]
    if any(act["act"] == "skip" for act in mine):
        return 0
    edits = [act for act in mine if act["act"] in ("drop", "put", "reverse", "whole", "move", "swap")]
    if edits:
        return _with_config(edits, real, words)
    for act in mine:
        container = words[0] if verb == "kill" and words else words[-1] if words else ""
        prefix = real[:place]
        calls = [[word.replace("{id}", container) for word in [*prefix, *act["call"]]]] if act.get("call") else []
        code = _act(act, real, calls)
        if code is not None:
            return code
    return _run(real)[0]


if __name__ == "__main__":
    sys.exit(max(0, main(sys.argv[1:])) & 0xFF)
