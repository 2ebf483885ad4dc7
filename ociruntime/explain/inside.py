"""Paths as the container will see them: links are followed within the root file system."""

from __future__ import annotations

import os

MAX_LINKS = 40  # as the kernel, path_resolution(7)


def find_inside(root: str, path: str) -> str | None:
    """The host's path of a path in the container, None where it is not there (or loops)."""
    todo = path.split("/")[::-1]
    found: list[str] = []
    links = 0
    while todo:
        part = todo.pop()
        if part in ("", "."):
            continue
        if part == "..":
            found[-1:] = []
            continue
        here = os.path.join(root, *found, part)
        if os.path.islink(here):
            links += 1
            if links > MAX_LINKS:
                return None
            target = os.readlink(here)
            if target.startswith("/"):
                found = []
            todo += target.split("/")[::-1]
        elif os.path.lexists(here):
            found.append(part)
        else:
            return None
    return os.path.join(root, *found)


def find_program(root: str, name: str, path: str, cwd: str) -> str | list[str]:
    """The host's path of a program as execvp(3) finds it, or the paths in the container that were tried."""
    if "/" in name:
        places = [os.path.join(cwd, name)]
    else:
        places = [os.path.join(cwd, directory, name) for directory in path.split(":")]
    found = [inside for inside in (find_inside(root, place) for place in places) if inside is not None]
    # A directory or a file without the bit is passed over, as long as something better follows.
    found.sort(key=lambda inside: not (os.path.isfile(inside) and os.stat(inside).st_mode & 0o111))
    return found[0] if found else places
