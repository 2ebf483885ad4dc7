"""list: the state of every container under the root."""

from __future__ import annotations

import posix as os

from ociruntime.core.errors import StateError
from ociruntime.core.kernel import Kernel
from ociruntime.core.log import LOG
from ociruntime.core.state.status import document_for, status
from ociruntime.core.state.store import open_container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ociruntime.core.options import Globals


def containers(g: Globals) -> list[dict[str, Any]]:
    """State documents with `owner`, sorted by id. A root that was asked for by name must exist."""
    kernel = Kernel()
    try:
        names = sorted(kernel.listdir(g.root))
    except FileNotFoundError:
        if g.root_given:
            raise StateError(f"{g.root}: no such file or directory", code="root-missing-directory", errno=2) from None
        return []
    owners: dict[int, str] = {}
    found = []
    for name in names:
        if not name.startswith("."):
            entry = _one(kernel, name, g, owners)
            if entry:
                found.append(entry)
    return found


def _one(kernel: Kernel, name: str, g: Globals, owners: dict[int, str]) -> dict[str, Any] | None:
    try:
        container = open_container(kernel, name, g)
    except StateError:
        return None  # deleted while we looked, or no directory
    try:
        document = container.load()
        shown = document_for(container, document, status(container, document))
    except StateError as error:
        LOG.warning(error.what)
        return None
    finally:
        container.close()
    uid = document.get("uid", os.geteuid())
    if uid not in owners:
        owners[uid] = _user_name(uid)
    return {**shown, "owner": owners[uid]}


def _user_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"
