"""run: create and start in one, in the foreground unless asked otherwise."""

from __future__ import annotations

from ociruntime.core.errors import StateError
from ociruntime.core.kernel import Kernel
from ociruntime.core.kernel.flags import PR_SET_CHILD_SUBREAPER
from ociruntime.core.lifecycle.begin import begin, hear_beginning
from ociruntime.core.lifecycle.bring_up import bring_up
from ociruntime.core.lifecycle.destroy import destroy
from ociruntime.core.lifecycle.start import listener_for, notify_for, run_poststart

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.launch.parent import Launch
    from ociruntime.core.lifecycle.bring_up import Created
    from ociruntime.core.options import CreateOptions, Globals


def run(container_id: str, options: CreateOptions, g: Globals) -> int:
    """The exit status of the program (128 + signal), or 0 with detach. Raises Failure."""
    kernel = Kernel()
    if not options.detach:
        from ociruntime.core.lifecycle import foreground

        if not options.no_subreaper:
            kernel.prctl(PR_SET_CHILD_SUBREAPER, 1)
        signals = foreground.block_signals()
    created = bring_up(kernel, container_id, options, g, listen=False)
    if created.master >= 0 and not options.detach:
        foreground.copy_size(kernel, created.master)  # before the program can ask
    _begin(kernel, created)
    if options.detach:
        return 0
    launch = created.launch
    try:
        return foreground.wait(kernel, launch.scene.pid, signals, created.master)
    finally:
        if not options.keep:
            _take_away(kernel, launch)


def _take_away(kernel: Kernel, launch: Launch) -> None:
    """As delete would; and a second time where it fails, whatever it is, for nobody else will come."""
    try:
        _delete(kernel, launch)
    except Exception:  # noqa: BLE001 -- the second one is raised
        _delete(kernel, launch)


def _delete(kernel: Kernel, launch: Launch) -> None:
    try:
        launch.container.lock()
    except StateError as error:
        if error.code == "container-missing":
            return  # `delete` was faster
        raise
    destroy(kernel, launch.container, launch.document)


def _begin(kernel: Kernel, created: Created) -> None:
    """The start of a run; a program that cannot be executed leaves no container behind."""
    launch = created.launch
    connection = launch.scene.handles["start"]
    notify = notify_for(launch.container)
    try:
        begin(kernel, connection)
        launch.container.unlock()
        hear_beginning(kernel, connection, launch.document, listener_for(kernel, launch.container, launch.document))
        run_poststart(kernel, launch.container, launch.document)
        if notify:
            notify.wait(launch.scene.pid)
    except BaseException:
        launch.abort()
        raise
