"""config.json: the whole document."""

from __future__ import annotations

from typing import Annotated

import attrs

from ociruntime.model.linux import IDMapping, Linux
from ociruntime.model.process import Process
from ociruntime.model.vocabulary import (
    AbsolutePath,
    Foreign,
    NonEmpty,
    Part,
    Range,
    SemVer,
    StringMap,
    Strings,
    Text,
    Tighter,
)


@attrs.define(kw_only=True)
class Root(Part):
    """The container's root file system."""

    path: Annotated[NonEmpty, Tighter("no directory has an empty name")]
    "Absolute, or relative to the bundle. The directory must exist."
    readonly: bool | None = None
    "The root file system is read-only inside the container."


@attrs.define(kw_only=True)
class Mount(Part):
    """A mount beneath the root, made in the order of the list."""

    destination: Annotated[NonEmpty, Tighter("a mount needs a place")]
    "Path in the container. It should be absolute; a relative one counts from /."
    source: Text | None = None
    "A device, a file or directory (absolute, or relative to the bundle), or a dummy name."
    type: Text | None = None
    "File system type, as in /proc/filesystems; a dummy for bind mounts."
    options: Strings | None = None
    "Mount options. What is no known option goes to the file system as data."
    uid_mappings: list[IDMapping] | None = None
    "User ids of an idmapped mount; needs gidMappings too."
    gid_mappings: list[IDMapping] | None = None
    "Group ids of an idmapped mount; needs uidMappings too."


@attrs.define(kw_only=True)
class Hook(Part):
    """A program that the runtime runs at a certain point of the container's life."""

    path: Annotated[AbsolutePath, Tighter("the text wants it absolute")]
    "The executable."
    args: Strings | None = None
    "Its argv, including argv[0]."
    env: Strings | None = None
    "Its environment, as NAME=VALUE."
    timeout: Annotated[int, Range(1, None)] | None = None
    "Seconds before it is killed and counts as failed."


@attrs.define(kw_only=True)
class Hooks(Part):
    """All hooks; each list is run in its order."""

    prestart: list[Hook] | None = None
    "Deprecated. In the runtime's namespaces, after the environment exists and before createRuntime."
    create_runtime: list[Hook] | None = None
    "In the runtime's namespaces, after the environment exists and before the pivot."
    create_container: list[Hook] | None = None
    "In the container's namespaces, before the pivot."
    start_container: list[Hook] | None = None
    "In the container's namespaces, before the program."
    poststart: list[Hook] | None = None
    "In the runtime's namespaces, after the program was started."
    poststop: list[Hook] | None = None
    "In the runtime's namespaces, after the container was deleted."


@attrs.define(kw_only=True)
class Spec(Part):
    """The configuration of a container, config.json in its bundle."""

    oci_version: SemVer
    "Version of the specification that the document was written for."
    root: Root | None = None
    "The root file system; needed on Linux."
    mounts: list[Mount] | None = None
    "Further mounts, in order."
    process: Process | None = None
    "The container's program; needed by `start`."
    hostname: Text | None = None
    "Host name in the container's UTS namespace."
    domainname: Text | None = None
    "NIS domain name in the container's UTS namespace."
    hooks: Hooks | None = None
    "Programs run at points of the life cycle."
    annotations: StringMap | None = None
    "Free metadata; reported by `state`."
    linux: Linux | None = None
    "What only Linux has."
    solaris: Foreign | None = None
    "Ignored on Linux."
    windows: Foreign | None = None
    "Ignored on Linux."
    vm: Foreign | None = None
    "For runtimes that start virtual machines; ignored."
    zos: Foreign | None = None
    "Ignored on Linux."
    freebsd: Foreign | None = None
    "Ignored on Linux."
