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
    from ociruntime.library.aio import AsyncContainer as AsyncContainer
    from ociruntime.library.aio import AsyncRuntime as AsyncRuntime
    from ociruntime.library.bundle import Bundle as Bundle
    from ociruntime.library.command import Settings as Settings
    from ociruntime.library.runtime import Completed as Completed
    from ociruntime.library.runtime import Container as Container
    from ociruntime.library.runtime import Runtime as Runtime
    from ociruntime.model import Process as Process
    from ociruntime.model import Spec as Spec
    from ociruntime.model import State as State
    from ociruntime.model import from_json as from_json
    from ociruntime.model import to_json as to_json


_PLACES = {
    "ociruntime.core.errors": "ConfigError Failure HookError HostError ProgramError StateError StepError UsageError",
    "ociruntime.library.aio": "AsyncContainer AsyncRuntime",
    "ociruntime.library.bundle": "Bundle",
    "ociruntime.library.command": "Settings",
    "ociruntime.library.runtime": "Completed Container Runtime",
    "ociruntime.model": "Process Spec State from_json to_json",
}


def __getattr__(name: str) -> object:
    for place, names in _PLACES.items():
        if name in names.split():
            from importlib import import_module

            return getattr(import_module(place), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
