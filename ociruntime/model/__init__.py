"""The one declaration of the specification's documents, as attrs classes.

Every property of a configuration, a state and a features document is declared here once: its type,
its range, whether it is required, and what it means. `python -m ociruntime.model.generate` writes
from it the JSON Schemas, the check table and the TypedDicts of the hot tier.

    vocabulary   the words of the declaration: types with a range or a format, the base class
    config       Spec, Root, Mount, Hooks
    process      Process and what is in it; also the document of `exec --process`
    linux        Linux: namespaces, devices, Intel RDT ...
    resources    Resources; also the document of `update --resources`
    seccomp      Seccomp
    state        State
    features     Features
    reflect      the declaration as data, for the generators and for convert
    convert      classes from JSON and back
"""

from ociruntime.model.config import Hook, Hooks, Mount, Root, Spec
from ociruntime.model.convert import from_json, to_json
from ociruntime.model.features import Features
from ociruntime.model.linux import Device, IDMapping, Linux, Namespace
from ociruntime.model.process import Capabilities, Process, Rlimit, User
from ociruntime.model.resources import CPU, Memory, Pids, Resources
from ociruntime.model.seccomp import Seccomp, Syscall, SyscallArg
from ociruntime.model.state import State

__all__ = [
    "CPU",
    "Capabilities",
    "Device",
    "Features",
    "Hook",
    "Hooks",
    "IDMapping",
    "Linux",
    "Memory",
    "Mount",
    "Namespace",
    "Pids",
    "Process",
    "Resources",
    "Rlimit",
    "Root",
    "Seccomp",
    "Spec",
    "State",
    "Syscall",
    "SyscallArg",
    "User",
    "from_json",
    "to_json",
]
