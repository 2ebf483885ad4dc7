"""config.json /hooks: what must be true of them before anything is done (config.md, POSIX-platform Hooks)."""

from __future__ import annotations

from ociruntime.core.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ociruntime.core.plan.draft import Draft

OUTPUTS = ("run.oci.hooks.stdout", "run.oci.hooks.stderr")
KINDS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")

# Kinds that run in the runtime's namespaces inherit its environment unless they have their own (as with runc
# and crun); the host's environment is nothing for the container's namespaces.
INHERIT = ("prestart", "createRuntime", "poststart", "poststop")
# The status that hooks of the parent's are shown during create (see docs/compatibility.md for the first)
SHOWN = {"prestart": "created", "createRuntime": "creating"}


def contribute(draft: Draft) -> None:
    """Hooks are no steps: the lifecycle runs them (launch/hooks.py). A wrong one is told before it is needed."""
    hooks: dict[str, Any] = dict(draft.spec.get("hooks") or {})
    for kind in KINDS:
        for index, hook in enumerate(hooks.get(kind) or ()):
            origin = f"/hooks/{kind}/{index}"
            if not hook["path"].startswith("/"):
                raise ConfigError(
                    f"the path of a hook must be absolute, not {hook['path']!r}", code="hook-path",
                    origin=f"{origin}/path",
                )  # fmt: skip
            timeout = hook.get("timeout")
            if timeout is not None and timeout <= 0:
                raise ConfigError(
                    f"the timeout of a hook must be greater than zero, not {timeout}", code="hook-timeout",
                    origin=f"{origin}/timeout",
                )  # fmt: skip
    for name in OUTPUTS:
        path = (draft.spec.get("annotations") or {}).get(name)
        if path and not path.startswith("/"):  # delete, which runs the last of them, may be called anywhere
            raise ConfigError(
                f"the file for the output of hooks must be absolute, not {path!r}", code="hook-output",
                origin=f"/annotations/{name}",
            )  # fmt: skip
