"""From a sample to a directory: the catalogue, and how what a sample declares is written down."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Final

from attrs import evolve, field, frozen

from . import config, samples
from .errors import BundleError
from .recipes import MOUNT_POINTS, Recipe
from .root import Root, reachable


@frozen
class Container:
    """One container of a sample: what its root is made of, and what differs from the default config."""

    rootfs: tuple[Recipe, ...]
    config: config.Json
    name: str = ""  # directory in the bundle and end of the id, where a sample has several containers
    files: Mapping[str, str] = field(factory=dict)  # scripts beside config.json, for hooks
    owner: int | None = None  # uid and gid, outside, of the container's root user; None: the builder's
    rootless: bool = False  # the runtime itself is to run as `owner`


@frozen
class Request:
    """What the user of the builder asks for; samples read from it what concerns them."""

    out: Path
    rootfs: Path | None = None  # alpine: archive or directory
    suite: str = "stable"  # debian
    mirror: str | None = None  # debian
    uid: int = 65534  # rootless: whose container it is, when the builder is root
    command: tuple[str, ...] = ()  # replaces the program of the last container
    terminal: bool = False


Maker = Callable[[Request], Iterator[Container]]


@frozen
class Sample:
    """An entry of the catalogue."""

    name: str
    summary: str
    make: Maker

    @property
    def page(self) -> Path:
        """The text that goes with it."""
        return Path(samples.__file__).with_name(f"{self.name}.md")


_CATALOGUE: Final[dict[str, Sample]] = {}


def sample(summary: str) -> Callable[[Maker], Maker]:
    """Enter a function into the catalogue under its own name: it yields containers, the last one in front."""

    def enter(make: Maker) -> Maker:
        name = getattr(make, "__name__", "")
        _CATALOGUE[name] = Sample(name, summary, make)
        return make

    return enter


def catalogue() -> Mapping[str, Sample]:
    """All samples by name."""
    for module in iter_modules(samples.__path__):
        import_module(f"{samples.__name__}.{module.name}")
    return dict(sorted(_CATALOGUE.items()))


def build(chosen: Sample, request: Request) -> list[Container]:
    """Write the bundle (or bundles) of a sample to `request.out`, which must be new or empty.

    Returns what was written, in the order in which the containers start. Nothing is left behind where
    it fails; raises `BundleError`.
    """
    containers = list(chosen.make(request))
    containers[-1] = _commanded(containers[-1], request)
    try:
        request.out.mkdir(parents=True, exist_ok=True)
        if any(request.out.iterdir()):
            raise BundleError(f"{request.out}: not empty; a bundle is written to a new directory")
    except OSError as error:
        raise BundleError(f"{request.out}: {error.strerror}") from error
    try:
        for container in containers:
            _write(container, request.out / container.name)
    except BaseException:
        shutil.rmtree(request.out)
        raise
    return containers


def _commanded(container: Container, request: Request) -> Container:
    process: config.Json = {"terminal": request.terminal}
    if request.command:
        process["args"] = list(request.command)
    return evolve(container, config=config.merge(container.config, {"process": process}))


def _write(container: Container, out: Path) -> None:
    out.mkdir(exist_ok=True)
    if container.owner is not None:
        reachable(out / "rootfs", container.owner)
    owner = None if container.owner is None else (container.owner, container.owner)
    with Root(out / "rootfs", owner=owner) as root:
        for recipe in (*container.rootfs, MOUNT_POINTS):
            recipe.make(root)
    for name, text in container.files.items():
        (out / name).write_text(text.lstrip())
        (out / name).chmod(0o755)
    document = json.dumps(config.config(container.config), indent=2)
    (out / "config.json").write_text(document + "\n")
    if container.rootless and os.geteuid() == 0 and owner:
        os.chown(out, *owner)
