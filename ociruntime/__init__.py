"""An OCI low-level container runtime in Python.

As a library: `import ociruntime` gives Bundle, Spec and the other typed classes of the specification, Runtime and
AsyncRuntime, and the exceptions. Nothing of it is loaded before it is asked for (PEP 562): the program itself
starts from this package too, and cannot pay for it.
"""

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.errors import ConfigError as ConfigError
    from ociruntime.core.errors import Failure as Failure
    from ociruntime.core.errors import HookError as HookError
    from ociruntime.core.errors import HostError as HostError
    from ociruntime.core.errors import ProgramError as ProgramError
    from ociruntime.core.errors import StateError as StateError
    from ociruntime.core.errors import StepError as StepError
    from ociruntime.core.errors import UsageError as UsageError
    from ociruntime.explain.problem import Problem as Problem
    from ociruntime.library.aio import AsyncContainer as AsyncContainer
    from ociruntime.library.aio import AsyncRuntime as AsyncRuntime
    from ociruntime.library.bundle import Bundle as Bundle
    from ociruntime.library.bundle import default_spec as default_spec
    from ociruntime.library.command import Settings as Settings
    from ociruntime.library.runtime import Completed as Completed
    from ociruntime.library.runtime import Container as Container
    from ociruntime.library.runtime import Runtime as Runtime
    from ociruntime.model import CPU as CPU
    from ociruntime.model import Capabilities as Capabilities
    from ociruntime.model import Device as Device
    from ociruntime.model import Hook as Hook
    from ociruntime.model import Hooks as Hooks
    from ociruntime.model import IDMapping as IDMapping
    from ociruntime.model import Linux as Linux
    from ociruntime.model import Memory as Memory
    from ociruntime.model import Mount as Mount
    from ociruntime.model import Namespace as Namespace
    from ociruntime.model import Pids as Pids
    from ociruntime.model import Process as Process
    from ociruntime.model import Resources as Resources
    from ociruntime.model import Rlimit as Rlimit
    from ociruntime.model import Root as Root
    from ociruntime.model import Seccomp as Seccomp
    from ociruntime.model import Spec as Spec
    from ociruntime.model import State as State
    from ociruntime.model import User as User
    from ociruntime.model import from_json as from_json
    from ociruntime.model import to_json as to_json


_PLACES = {
    "ociruntime.core.errors": "ConfigError Failure HookError HostError ProgramError StateError StepError UsageError",
    "ociruntime.explain.problem": "Problem",
    "ociruntime.library.aio": "AsyncContainer AsyncRuntime",
    "ociruntime.library.bundle": "Bundle default_spec",
    "ociruntime.library.command": "Settings",
    "ociruntime.library.runtime": "Completed Container Runtime",
    "ociruntime.model": "CPU Capabilities Device Hook Hooks IDMapping Linux Memory Mount Namespace Pids Process "
    "Resources Rlimit Root Seccomp Spec State User "
    "from_json to_json",
}


def __getattr__(name: str) -> object:
    for place, names in _PLACES.items():
        if name in names.split():
            from importlib import import_module

            return getattr(import_module(place), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
