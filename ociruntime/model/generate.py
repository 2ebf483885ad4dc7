"""Writes what is generated from the declaration: `python -m ociruntime.model.generate`."""

from __future__ import annotations

from pathlib import Path

from ociruntime.model import emit_schema, emit_table, emit_types
from ociruntime.model.config import Spec
from ociruntime.model.features import Features
from ociruntime.model.process import Process
from ociruntime.model.reflect import classes
from ociruntime.model.resources import Resources
from ociruntime.model.state import State
from ociruntime.model.vocabulary import Part

PACKAGE = Path(__file__).parents[1]
DOCUMENTS: dict[str, type[Part]] = {
    "config": Spec,
    "process": Process,
    "resources": Resources,
    "state": State,
    "features": Features,
}


def generated() -> dict[Path, str]:
    """All generated files and what must be in them."""
    everything = tuple(dict.fromkeys(cls for root in (Spec, State, Features) for cls in classes(root)))
    files = {PACKAGE / "model" / "schema" / f"{name}.json": emit_schema.emit(cls) for name, cls in DOCUMENTS.items()}
    files[PACKAGE / "core" / "spec" / "table.py"] = emit_table.emit(classes(Spec))
    files[PACKAGE / "core" / "spec" / "types.py"] = emit_types.emit(everything)
    return files


def main() -> None:
    """Write the files."""
    for path, text in generated().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
