"""Print what `create` and `start` would do with a bundle, and do nothing.

Every step is shown as the command that a person would type, with the property of config.json that
asks for it. What is wrong with the configuration is reported as `create` would.

With the code of a message instead of a bundle, such as cgroup-busy, print what it means, why it
happens, and what to do about it. Codes stand in the JSON log, in `validate`, and in docs/errors.md.
"""

from __future__ import annotations

import posix

from ociruntime.cli import Arguments, Option
from ociruntime.core import paths
from ociruntime.core.options import CreateOptions

SUMMARY = "print what would be done with a bundle, or what the code of a message means"
USAGE = "[options] [BUNDLE | CODE]"
OPERANDS = (0, 1)
OPTIONS = (
    Option(
        names=("--config", "-f"),
        kind="str",
        metavar="FILE",
        help="read the configuration from FILE instead of the bundle's config.json",
    ),
    Option(
        names=("--format",),
        kind="str",
        metavar="FORMAT",
        default="text",
        choices=("text", "json", "shell"),
        help="text, json, or shell: a script that does the same with the tools of the host",
    ),
    Option(names=("--id",), kind="str", metavar="ID", default="explained", help="id of the container"),
)


def run(args: Arguments) -> int:
    word = (args.operands or ["."])[0]
    if not paths.isdir(word) and "/" not in word:
        return _page(word)
    return _plan(word, args)


def _page(code: str) -> int:
    """The page of a code. Raises UsageError for a word that is none."""
    from ociruntime.core.errors import UsageError
    from ociruntime.core.log import write
    from ociruntime.explain.codes import as_text, nearest, pages

    known = pages()
    if code not in known:
        meant = nearest(code, known)
        hint = f"did you mean {meant}?" if meant else "give the directory of a bundle, or a code of docs/errors.md"
        raise UsageError(f'"{code}" is neither a bundle nor the code of a message', code="unknown-code", hint=hint)
    write(1, as_text(known[code]))
    return 0


def _plan(bundle: str, args: Arguments) -> int:
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.lifecycle.probe import probe_host
    from ociruntime.core.log import write
    from ociruntime.core.plan.build import build
    from ociruntime.core.spec.load import load_config
    from ociruntime.explain.plan import as_json, lines

    bundle = paths.abspath(bundle)
    config = args.text("--config") and paths.abspath(args.text("--config"))
    options = CreateOptions(bundle=bundle, config=config)
    spec, raw = load_config(config or f"{bundle}/config.json")
    plan = build(spec, args.text("--id", "explained"), options, args.g, probe_host(Kernel()))
    form = args.text("--format", "text")
    if form == "shell":
        from ociruntime.explain.shell import script

        write(1, script(plan, spec))
    elif form == "json":
        from ociruntime.core.jsonio import dumps

        write(1, dumps(as_json(plan, raw.decode(), spec.get("hooks"))) + "\n")
    else:
        colour = posix.isatty(1) and not paths.getenv("NO_COLOR", "")
        write(1, "\n".join(lines(plan, spec.get("hooks"), colour=colour)) + "\n")
    return 0
