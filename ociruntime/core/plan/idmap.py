"""Id-mapped mounts (config.md, Mounts: uidMappings, gidMappings, idmap and ridmap)."""

from __future__ import annotations

from ociruntime.core.errors import ConfigError
from ociruntime.core.kernel.flags import AT_RECURSIVE
from ociruntime.core.plan.draft import OPEN
from ociruntime.core.steps.idmap import OpenIdmappedBind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ociruntime.core.plan.draft import Draft
    from ociruntime.core.spec.types import IDMapping, Mount


def contribute_idmap(draft: Draft, mount: Mount, *, origin: str, bind: dict[str, Any], option: str) -> None:
    """The mount's own maps, else those of the container's user namespace; without either it is an error."""
    linux = draft.spec.get("linux", {})
    uids = mount.get("uidMappings") or linux.get("uidMappings")
    gids = mount.get("gidMappings") or linux.get("gidMappings")
    flags = AT_RECURSIVE if option == "ridmap" else 0
    if not uids and not gids and any(join.type == "user" for join in draft.joins):
        draft.add(OPEN, OpenIdmappedBind(**bind, joined=True, map_flags=flags))
        return
    if not uids or not gids:
        raise ConfigError(
            f"mount of {bind['destination']} is id-mapped, but there are no mappings",
            code="config-idmap",
            origin=f"{origin}/options",
            hint="give the mount uidMappings and gidMappings, or the container a user namespace",
        )
    draft.add(OPEN, OpenIdmappedBind(**bind, uids=map_text(uids), gids=map_text(gids), map_flags=flags))


def map_text(ranges: list[IDMapping]) -> bytes:
    """As /proc/PID/uid_map takes it (user_namespaces(7))."""
    return b"".join(b"%d %d %d\n" % (entry["containerID"], entry["hostID"], entry["size"]) for entry in ranges)
