"""Completions of the command line for bash, zsh and fish."""

from __future__ import annotations

from ociruntime import cli
from ociruntime.docsgen.help import options_of

_NOTE = "generated from the option tables by python -m ociruntime.docsgen; do not edit"
_PATHS = {"FILE": "file", "SOCKET": "file", "DIR": "directory"}


def _tables() -> dict[str, tuple[cli.Option, ...]]:
    """Every table of options by its command; the global ones go by ""."""
    commands = {name: (*cli.command_named(name).OPTIONS, cli.HELP) for name in cli.COMMANDS}
    return {"": cli.GLOBALS, **commands}


def _takes_id(name: str) -> bool:
    """Whether the first operand of a command is the id of a container that exists."""
    return name not in ("", "create", "run") and "ID" in cli.command_named(name).USAGE.split()


def _words(options: tuple[cli.Option, ...]) -> str:
    return " ".join(name for option in options_of(options) for name in option.names)


_BASH = """\
# bash completion for ociruntime, {note}
_ociruntime() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD - 1]}} command="" options="" ids=""
    local word
    local -a root=()
    local -i i
    # bash takes the = of --name=value for a word of its own
    if [[ $cur == "=" ]]; then
        cur=""
    elif [[ $prev == "=" ]]; then
        prev=${{COMP_WORDS[COMP_CWORD - 2]}}
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${{COMP_WORDS[i]}} in
        {valued})
            word=${{COMP_WORDS[i]}}
            [[ ${{COMP_WORDS[i + 1]}} == "=" ]] && i+=1
            i+=1
            [[ $word == "--root" ]] && root=(--root "${{COMP_WORDS[i]}}")
            ;;
        -*) ;;
        *)
            command=${{COMP_WORDS[i]}}
            break
            ;;
        esac
    done
    case $command:$prev in
{values}
    esac
    case $command in
    "") options="{globals}" ids="{commands}" ;;
{tables}
    esac
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$cur"))
    elif [[ $ids == "containers" ]]; then
        COMPREPLY=($(compgen -W "$(ociruntime "${{root[@]}}" list --quiet 2>/dev/null)" -- "$cur"))
    else
        COMPREPLY=($(compgen -W "$ids" -- "$cur"))
    fi
}}
complete -F _ociruntime ociruntime
"""


def _bash_value(option: cli.Option) -> str:
    """How bash completes the value of an option."""
    if option.choices:
        return f'COMPREPLY=($(compgen -W "{" ".join(option.choices)}" -- "$cur"))'
    kind = _PATHS.get(option.metavar)
    if kind:
        return f'compopt -o filenames && COMPREPLY=($(compgen -{"d" if kind == "directory" else "f"} -- "$cur"))'
    return "COMPREPLY=()"


def bash() -> str:
    """The completion for bash."""
    tables = _tables()
    actions: dict[str, list[str]] = {}
    for command, options in tables.items():
        for option in options_of(options):
            if option.metavar:
                actions.setdefault(_bash_value(option), []).extend(f"{command}:{name}" for name in option.names)
    values = [
        f"    {' | '.join(cases)})\n        {action}\n        return\n        ;;" for action, cases in actions.items()
    ]
    rows = [
        f'    {name}) options="{_words(options)}" ids="{"containers" if _takes_id(name) else ""}" ;;'
        for name, options in tables.items()
        if name
    ]
    valued = [name for option in options_of(cli.GLOBALS) if option.metavar for name in option.names]
    return _BASH.format(
        note=_NOTE,
        valued=" | ".join(valued),
        values="\n".join(values),
        globals=_words(cli.GLOBALS),
        commands=" ".join((*cli.COMMANDS, "help")),
        tables="\n".join(rows),
    )


_ZSH = """\
#compdef ociruntime
# zsh completion for ociruntime, {note}

_ociruntime_containers() {{
    local -a ids root
    [[ -n $state_root ]] && root=(--root $state_root)
    ids=(${{(f)"$(ociruntime $root list --quiet 2>/dev/null)"}})
    _describe container ids
}}

_ociruntime() {{
    local curcontext=$curcontext state line state_root
    local -A opt_args
    _arguments -C \\
{globals}
        '1:command:->command' \\
        '*::argument:->arguments'
    # the inner _arguments below forgets the global options
    state_root=${{opt_args[--root]}}
    case $state in
    command)
        local -a commands
        commands=(
{commands}
        )
        _describe command commands
        ;;
    arguments)
        case $words[1] in
{tables}
        esac
        ;;
    esac
}}

_ociruntime "$@"
"""


def _zsh_text(text: str) -> str:
    return text.replace("'", "'\\''").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")


def _zsh_option(option: cli.Option) -> str:
    """One option as _arguments wants it."""
    value = ""
    if option.metavar:
        paths = {"file": "_files", "directory": "_files -/"}
        action = f"({' '.join(option.choices)})" if option.choices else paths.get(_PATHS.get(option.metavar, ""), "")
        value = f":{_zsh_text(option.metavar)}:{action}"
    repeat = "*" if option.kind == "list" else ""
    shown = f"[{_zsh_text(option.help)}]{value}"
    if len(option.names) == 1:
        return f"'{repeat}{option.names[0]}{shown}'"
    if repeat:
        return "'*'{" + ",".join(option.names) + "}'" + shown + "'"
    return f"'({' '.join(option.names)})'" + "{" + ",".join(option.names) + "}'" + shown + "'"


def zsh() -> str:
    """The completion for zsh."""
    tables = _tables()
    indent = " " * 12
    branches = []
    for name, options in tables.items():
        if not name:
            continue
        rows = [_zsh_option(option) for option in options_of(options)]
        if _takes_id(name):
            rows.append("'1:container:_ociruntime_containers'")
        lines = " \\\n".join(indent + row for row in rows)
        branches.append(f"        {name})\n            _arguments \\\n{lines}\n            ;;")
    summaries = [f"{name}:{_zsh_text(cli.command_named(name).SUMMARY)}" for name in cli.COMMANDS]
    return _ZSH.format(
        note=_NOTE,
        globals="\n".join(f"        {_zsh_option(option)} \\" for option in options_of(cli.GLOBALS)),
        commands="\n".join(f"            '{row}'" for row in [*summaries, "help:show help"]),
        tables="\n".join(branches),
    )


_FISH = """\
# fish completion for ociruntime, {note}
function __ociruntime_containers
    set -l root (string match -rg -- '--root[= ](\\S+)' (commandline -pc))
    if test -n "$root"
        ociruntime --root $root list --quiet 2>/dev/null
    else
        ociruntime list --quiet 2>/dev/null
    end
end

complete -c ociruntime -f
"""


def _fish_text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _fish_option(option: cli.Option, condition: str) -> str:
    words = ["complete -c ociruntime", f"-n '{condition}'"]
    words += [f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names]
    if option.metavar:
        words.append("-r")
        if option.choices:
            words.append(f"-a '{' '.join(option.choices)}'")
        elif option.metavar in _PATHS:
            words.append("-F" if _PATHS[option.metavar] == "file" else "-a '(__fish_complete_directories)'")
    words.append("-d " + _fish_text(option.help))
    return " ".join(words)


def fish() -> str:
    """The completion for fish."""
    lines = []
    top = "__fish_use_subcommand"
    for name in cli.COMMANDS:
        summary = _fish_text(cli.command_named(name).SUMMARY)
        lines.append(f"complete -c ociruntime -n '{top}' -a {name} -d {summary}")
    for name, options in _tables().items():
        condition = f"__fish_seen_subcommand_from {name}" if name else top
        lines += [_fish_option(option, condition) for option in options_of(options)]
        if _takes_id(name):
            lines.append(f"complete -c ociruntime -n '{condition}' -a '(__ociruntime_containers)'")
    return _FISH.format(note=_NOTE) + "\n".join(lines) + "\n"
