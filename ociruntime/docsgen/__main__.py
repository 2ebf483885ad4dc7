"""Write the manual pages, completions and docs/errors.md: `python -m ociruntime.docsgen`, from the checkout."""

from __future__ import annotations

from pathlib import Path

from ociruntime import cli
from ociruntime.docsgen import completion, man
from ociruntime.explain import codes


def files() -> dict[str, str]:
    """Every generated file: its path in the checkout, and its text."""
    pages = {f"docs/man/ociruntime{'-' + name if name else ''}.1": man.page(name) for name in ("", *cli.COMMANDS)}
    return {
        **pages,
        "docs/completions/ociruntime.bash": completion.bash(),
        "docs/completions/_ociruntime": completion.zsh(),
        "docs/completions/ociruntime.fish": completion.fish(),
        "docs/errors.md": codes.markdown(),
    }


def write(checkout: Path) -> None:
    """Write them all below the checkout."""
    for name, text in files().items():
        path = checkout / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(__file__).resolve().parents[2])
