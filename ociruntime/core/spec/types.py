"""How type checkers see the documents. Replaced by the generated TypedDicts of the model."""

from __future__ import annotations

from typing import Any

Spec = dict[str, Any]
