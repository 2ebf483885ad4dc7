"""What `features` prints: what a runtime can do, fixed when it is built."""

from __future__ import annotations

from typing import Annotated, Literal

import attrs

from ociruntime.model.seccomp import Action, Architecture, Flag, Operator
from ociruntime.model.vocabulary import Format, Part, SemVer, StringMap, Strings, Tighter

LAGS = Tighter("the official schema does not know it yet, the text does")

CapabilityName = Annotated[str, Format("capability", r"^CAP_[A-Z_]+$(?!\n)", 'a capability such as "CAP_CHOWN"')]


@attrs.define(kw_only=True)
class CgroupFeatures(Part):
    """Cgroups."""

    v1: bool | None = None
    "cgroup v1."
    v2: bool | None = None
    "cgroup v2."
    systemd: bool | None = None
    "By systemd."
    systemd_user: bool | None = None
    "By a user's systemd."
    rdma: bool | None = None
    "The rdma controller."


@attrs.define(kw_only=True)
class SeccompFeatures(Part):
    """Seccomp; supportedFlags may depend on the kernel."""

    enabled: bool | None = None
    "Compiled in."
    actions: list[Action] | None = None
    "Known actions."
    operators: list[Operator] | None = None
    "Known operators."
    archs: list[Architecture] | None = None
    "Known architectures."
    known_flags: list[Flag] | None = None
    "Flags that the runtime knows."
    supported_flags: list[Flag] | None = None
    "Flags that work here."


@attrs.define(kw_only=True)
class Switch(Part):
    """A feature that is there or not."""

    enabled: bool | None = None
    "It is there."


@attrs.define(kw_only=True)
class IntelRdtFeatures(Part):
    """Intel RDT."""

    enabled: bool | None = None
    "Known."
    schemata: Annotated[bool, LAGS] | None = None
    "linux.intelRdt.schemata."
    monitoring: Annotated[bool, LAGS] | None = None
    "linux.intelRdt.enableMonitoring."


@attrs.define(kw_only=True)
class MemoryPolicyFeatures(Part):
    """NUMA memory policy."""

    modes: Annotated[Strings, LAGS] | None = None
    "Known modes."
    flags: Annotated[Strings, LAGS] | None = None
    "Known flags."


@attrs.define(kw_only=True)
class MountExtensions(Part):
    """Extensions of mounts."""

    idmap: Switch | None = None
    "Idmapped mounts, even if only some."


@attrs.define(kw_only=True)
class LinuxFeatures(Part):
    """What of the linux object is known."""

    namespaces: list[Literal["pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"]] | None = None
    "Known namespace types."
    capabilities: list[CapabilityName] | None = None
    "Known capabilities."
    cgroup: CgroupFeatures | None = None
    "Cgroups."
    seccomp: SeccompFeatures | None = None
    "Seccomp."
    apparmor: Switch | None = None
    "AppArmor."
    selinux: Switch | None = None
    "SELinux."
    intel_rdt: IntelRdtFeatures | None = None
    "Intel RDT."
    memory_policy: Annotated[MemoryPolicyFeatures, LAGS] | None = None
    "NUMA memory policy."
    mount_extensions: MountExtensions | None = None
    "Extensions of mounts."
    net_devices: Switch | None = None
    "Moving network devices."


@attrs.define(kw_only=True)
class Features(Part):
    """The features document."""

    oci_version_min: SemVer
    "Oldest ociVersion of a configuration."
    oci_version_max: SemVer
    "Newest ociVersion of a configuration."
    hooks: Strings | None = None
    "Known kinds of hooks."
    mount_options: Strings | None = None
    "Known mount options, those of file systems left out."
    linux: LinuxFeatures | None = None
    "Linux."
    annotations: StringMap | None = None
    "Facts of the implementation."
    potentially_unsafe_config_annotations: Strings | None = None
    'Annotations of config.json that change what the runtime does; one that ends with "." is a prefix.'
