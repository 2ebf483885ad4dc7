"""config.json of a bundle, read and checked."""

from __future__ import annotations

import posix as os

from ociruntime.core import paths
from ociruntime.core.errors import ConfigError
from ociruntime.core.jsonio import loads
from ociruntime.core.spec.check import check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.spec.types import Spec

_MAXIMUM = 64 << 20  # bytes; a configuration has some tens of thousands


def load_config(path: str) -> tuple[Spec, bytes]:
    """The configuration in a file, and its bytes. Raises ConfigError."""
    data = read_document(path)
    document = loads(data, path)
    check(document, path, data)
    return document, data  # type: ignore[return-value]  # check has just proven it


def read_document(path: str) -> bytes:
    """The bytes of a file; path is absolute or relative to the working directory. Raises ConfigError."""
    try:
        # O_NONBLOCK: a fifo in the place of a configuration must not hang its reader.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            data = _read(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise _unreadable(path, error) from None
    if len(data) > _MAXIMUM:
        raise ConfigError(f"{path} is larger than {_MAXIMUM >> 20} MB", code="config-file")
    return data


def _read(fd: int) -> bytes:
    chunks = []
    left = _MAXIMUM + 1
    while left > 0:
        chunk = os.read(fd, min(left, 1 << 16))
        if not chunk:
            break
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)


def _unreadable(path: str, error: OSError) -> ConfigError:
    bundle = paths.dirname(path) or "."
    hint = ""
    if not paths.isdir(bundle):
        hint = f"the bundle {bundle} does not exist"
    elif isinstance(error, FileNotFoundError) and path.endswith("/config.json"):
        hint = f"make one with: ociruntime spec --bundle {bundle}"
    return ConfigError(f"cannot read {path}", code="config-file", errno=error.errno or 0, hint=hint)
