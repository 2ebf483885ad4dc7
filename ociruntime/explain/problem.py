"""One thing that is wrong with a document, or that deserves a warning."""

from __future__ import annotations

from typing import Any

import attrs

from ociruntime.core.errors import ConfigError, one_line
from ociruntime.explain.position import locate

ERROR = "error"
WARNING = "warning"


@attrs.frozen(kw_only=True)
class Problem:
    """What is wrong, where, and what to do about it."""

    code: str
    "Stable name, see core/spec/check.py."
    origin: str
    "JSON pointer of the property at fault."
    what: str = attrs.field(converter=one_line)
    "The sentence."
    hint: str = attrs.field(default="", converter=one_line)
    "What to do, or an empty string."
    severity: str = ERROR
    "ERROR or WARNING."
    line: int = 0
    "Line in the file from 1, or 0 where the text is not known."
    column: int = 0
    "Column in characters from 1, or 0."

    def located(self, data: bytes) -> Problem:
        """The same problem with the place of its property in the text of the document."""
        if not data:
            return self
        place = locate(data.decode(errors="replace"), self.origin)
        return attrs.evolve(self, line=place.line, column=place.column)

    def failure(self, document: str) -> ConfigError:
        """The problem as a failure of the command that read `document`."""
        error = ConfigError(f"{document}: {self.what}", code=self.code, origin=self.origin, hint=self.hint)
        error.place = (self.line, self.column)
        return error

    def as_json(self) -> dict[str, Any]:
        """The problem as a JSON object."""
        return attrs.asdict(self)
