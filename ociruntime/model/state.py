"""What `state` prints and what hooks read on their standard input."""

from __future__ import annotations

from typing import Annotated, Literal

import attrs

from ociruntime.model.vocabulary import AbsolutePath, Part, Range, SemVer, StringMap, Text, Tighter


@attrs.define(kw_only=True)
class State(Part):
    """The state of a container."""

    oci_version: SemVer
    "Version of the specification that the document follows."
    id: Text
    "The container's id, unique on the host."
    status: Literal["creating", "created", "running", "stopped"]
    "What the container does."
    pid: Annotated[int, Range(0, None)] | None = None
    "Its init, as the reader of the state sees it; needed when created or running."
    bundle: Annotated[AbsolutePath, Tighter("the text wants it absolute")]
    "Directory of the bundle."
    annotations: StringMap | None = None
    "Those of the configuration."
