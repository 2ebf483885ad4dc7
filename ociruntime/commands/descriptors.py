"""The descriptors that a caller promises to a container: --preserve-fds and LISTEN_FDS."""

from __future__ import annotations

import posix as os

from ociruntime.cli import Arguments
from ociruntime.core import paths


def require_descriptors(args: Arguments) -> None:
    """Refuse a promise of descriptors that are not open. Raises StateError.

    It must come first: the runtime's own descriptors take the lowest numbers that are free, and would
    be passed to the container in place of the caller's.
    """
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.launch.parent import check_preserved
    from ociruntime.core.plan.program import socket_activation

    activated, _ = socket_activation(paths.environ("LISTEN_"), os.getpid())
    check_preserved(Kernel(), args.number("--preserve-fds") + activated)
