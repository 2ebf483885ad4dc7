"""Print what `create` and `start` would do with a bundle, and do nothing.

Every step is shown as the command that a person would type, with the property of config.json that
asks for it. What is wrong with the configuration is reported as `create` would.
"""

from __future__ import annotations

from ociruntime.cli import Arguments, Option
from ociruntime.core import paths
from ociruntime.core.options import CreateOptions

SUMMARY = "print what would be done with a bundle, and do nothing"
USAGE = "[options] [BUNDLE]"
OPERANDS = (0, 1)
OPTIONS = (
    Option(
        names=("--config", "-f"),
        kind="str",
        metavar="FILE",
        help="read the configuration from FILE instead of the bundle's config.json",
    ),
    Option(names=("--id",), kind="str", metavar="ID", default="explained", help="id of the container"),
)


def run(args: Arguments) -> int:
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.lifecycle.probe import probe_host
    from ociruntime.core.log import write
    from ociruntime.core.plan.build import build
    from ociruntime.core.spec.load import load_config
    from ociruntime.explain.plan import lines

    bundle = paths.abspath((args.operands or ["."])[0])
    config = args.text("--config") and paths.abspath(args.text("--config"))
    options = CreateOptions(bundle=bundle, config=config)
    spec, _ = load_config(config or f"{bundle}/config.json")
    plan = build(spec, args.text("--id", "explained"), options, args.g, probe_host(Kernel()))
    write(1, "\n".join(lines(plan)) + "\n")
    return 0
