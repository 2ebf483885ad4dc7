"""Completions of the command line for bash, zsh and fish."""

from __future__ import annotations

from ociruntime import cli
from ociruntime.docsgen.help import options_of

_NOTE = "generated from the option tables by python -m ociruntime.docsgen; do not edit"
_PATHS = {"FILE": "file", "SOCKET": "file", "DIR": "directory", "BUNDLE": "directory"}
SIGNALS = "TERM KILL INT HUP QUIT USR1 USR2 STOP CONT WINCH"


def _tables() -> dict[str, tuple[cli.Option, ...]]:
    """Every table of options by its command; the global ones go by ""."""
    commands = {name: (*cli.command_named(name).OPTIONS, cli.HELP) for name in cli.COMMANDS}
    return {"": cli.GLOBALS, **commands}


def _operands(name: str) -> list[str]:
    """What the operands of a command are, by their place: "containers", "file", "directory", words, or "" for neither.

    Read from the command's USAGE; what follows the last one is nothing that could be completed.
    """
    if name in ("", "help"):
        return [" ".join((*cli.COMMANDS, *(["help"] if not name else [])))]
    usage = cli.command_named(name).USAGE.replace("[options]", "")
    known = {"ID": "" if name in ("create", "run") else "containers", "SIGNAL": SIGNALS, **_PATHS}
    return [
        known.get(word.strip("[]"), word.replace("|", " ") if "|" in word else "")
        for word in usage.split(" | ")[0].split()
    ]


def _valued() -> list[str]:
    """Every option with a value as COMMAND:NAME."""
    return [
        f"{command}:{name}"
        for command, options in _tables().items()
        for option in options_of(options)
        if option.metavar
        for name in option.names
    ]


def _words(options: tuple[cli.Option, ...]) -> str:
    return " ".join(name for option in options_of(options) for name in option.names)


def _value(option: cli.Option) -> str:
    """What an option's value is, in the words of _operands."""
    return " ".join(option.choices) or _PATHS.get(option.metavar, "")


_BASH = """\
# bash completion for ociruntime, {note}
_ociruntime() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD - 1]}} command="" word
    local -a root=()
    local -i i operand=0
    # bash takes the = of --name=value for a word of its own
    if [[ $cur == "=" ]]; then
        cur=""
    elif [[ $prev == "=" ]]; then
        prev=${{COMP_WORDS[COMP_CWORD - 2]}}
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${{COMP_WORDS[i]}}
        case $command:$word in
        {valued})
            [[ ${{COMP_WORDS[i + 1]}} == "=" ]] && i+=1
            i+=1
            [[ $command:$word == ":--root" ]] && root=(--root "${{COMP_WORDS[i]}}")
            ;;
        *:-*) ;;
        :*) command=$word ;;
        *) operand+=1 ;;
        esac
    done
    # what follows the id is another program's
    [[ $operand != 0 && ({passing}) ]] && return
    case $command:$prev in
{values}
    esac
    if [[ $cur == -* ]]; then
        case $command in
{tables}
        esac
        return
    fi
    case $command:$operand in
{operands}
    esac
}}
complete -F _ociruntime ociruntime
"""


def _bash_action(what: str) -> str:
    """How bash completes a value of some kind."""
    if what in ("file", "directory"):
        return f'compopt -o filenames && COMPREPLY=($(compgen -{what[0]} -- "$cur"))'
    if what == "containers":
        what = '$(ociruntime "${root[@]}" list --quiet 2>/dev/null)'
    return f'COMPREPLY=($(compgen -W "{what}" -- "$cur"))' if what else "COMPREPLY=()"


def _cases(actions: dict[str, list[str]], end: str = "") -> str:
    """The branches of a `case`: one for each action."""
    return "\n".join(
        f"    {' | '.join(cases)})\n        {action}\n{end}        ;;" for action, cases in actions.items()
    )


def bash() -> str:
    """The completion for bash."""
    values: dict[str, list[str]] = {}
    operands: dict[str, list[str]] = {}
    for command, options in _tables().items():
        for option in options_of(options):
            if option.metavar:
                action = _bash_action(_value(option))
                values.setdefault(action, []).extend(f"{command}:{name}" for name in option.names)
    for command in ("", *cli.COMMANDS, "help"):
        for place, what in enumerate(_operands(command)):
            if what:
                operands.setdefault(_bash_action(what), []).append(f"{command}:{place}")
    rows = [f'        "{name}") {_bash_action(_words(options))} ;;' for name, options in _tables().items()]
    return _BASH.format(
        note=_NOTE,
        valued=" | ".join(_valued()),
        passing=" || ".join(f"$command == {name}" for name in cli.PASSING_ON),
        values=_cases(values, "        return\n"),
        tables="\n".join(rows),
        operands=_cases(operands),
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
        help)
            _arguments '1:command:({help})'
            ;;
        esac
        ;;
    esac
}}

_ociruntime "$@"
"""


def _zsh_text(text: str) -> str:
    return text.replace("'", "'\\''").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")


def _zsh_action(what: str) -> str:
    """How _arguments completes a value of some kind."""
    actions = {"": " ", "file": "_files", "directory": "_files -/", "containers": "_ociruntime_containers"}
    return actions.get(what, f"({what})")


def _zsh_option(option: cli.Option) -> str:
    """One option as _arguments wants it."""
    value = f":{_zsh_text(option.metavar)}:{_zsh_action(_value(option))}" if option.metavar else ""
    # a long one takes its value as --name=value too
    names = [name + "=" * (bool(value) and name.startswith("--")) for name in option.names]
    repeat = "*" if option.kind == "list" else ""
    shown = f"[{_zsh_text(option.help)}]{value}"
    if len(names) == 1:
        return f"'{repeat}{names[0]}{shown}'"
    if repeat:
        return "'*'{" + ",".join(names) + "}'" + shown + "'"
    return f"'({' '.join(option.names)})'" + "{" + ",".join(names) + "}'" + shown + "'"


def zsh() -> str:
    """The completion for zsh."""
    indent = " " * 12
    branches = []
    for name, options in _tables().items():
        if not name:
            continue
        rows = [_zsh_option(option) for option in options_of(options)]
        for place, what in enumerate(_operands(name), 1):
            if what:
                rows.append(f"'{place}:{'container' if what == 'containers' else 'operand'}:{_zsh_action(what)}'")
        if name in cli.PASSING_ON:
            rows.append("'*:argument: '")
        lines = " \\\n".join(indent + row for row in rows)
        # -A: what follows the id is another program's
        call = "_arguments -A '-*'" if name in cli.PASSING_ON else "_arguments"
        branches.append(f"        {name})\n            {call} \\\n{lines}\n            ;;")
    summaries = [f"{name}:{_zsh_text(cli.command_named(name).SUMMARY)}" for name in cli.COMMANDS]
    return _ZSH.format(
        note=_NOTE,
        globals="\n".join(f"        {_zsh_option(option)} \\" for option in options_of(cli.GLOBALS)),
        commands="\n".join(f"            '{row}'" for row in [*summaries, "help:show help"]),
        tables="\n".join(branches),
        help=" ".join(cli.COMMANDS),
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

# Whether the words before the cursor name this command, and (where a number is given) so many operands of it.
function __ociruntime_at --argument-names wanted count
    set -l command ""
    set -l operand 0
    set -l skip 0
    set -l words (commandline -opc)
    for word in $words[2..]
        if test $skip = 1
            set skip 0
            continue
        end
        switch "$command:$word"
            case {valued}
                set skip 1
            case '*:-*'
            case ':*'
                set command $word
            case '*'
                set operand (math $operand + 1)
        end
    end
    test "$command" = "$wanted"; and begin
        test -z "$count"; or test "$operand" = "$count"
    end
end

complete -c ociruntime -f
"""


def _fish_text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _fish_action(what: str) -> str:
    """How fish completes a value of some kind."""
    if what == "file":
        return "-F"
    calls = {"containers": "(__ociruntime_containers)", "directory": "(__fish_complete_directories)"}
    return f"-a '{calls.get(what, what)}'"


def _fish_option(option: cli.Option, condition: str) -> str:
    words = ["complete -c ociruntime", f"-n {_fish_text(condition)}"]
    words += [f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names]
    if option.metavar:
        words.append("-r" if _value(option) == "file" else "-x")  # -x is -r without files
        if _value(option):
            words.append(_fish_action(_value(option)))
    words.append("-d " + _fish_text(option.help))
    return " ".join(words)


def _fish_command(name: str, options: tuple[cli.Option, ...]) -> list[str]:
    """The lines of one command, or of the program for ""."""
    condition = f'__ociruntime_at "{name}"'
    last = f"{condition} 0" if name in cli.PASSING_ON else condition  # what follows the id is another program's
    lines = [_fish_option(option, last) for option in options_of(options)]
    for place, what in enumerate(_operands(name)):
        if what and name:
            lines.append(f"complete -c ociruntime -n {_fish_text(f'{condition} {place}')} {_fish_action(what)}")
    return lines


def fish() -> str:
    """The completion for fish."""
    lines = []
    top = _fish_text('__ociruntime_at ""')
    for name in (*cli.COMMANDS, "help"):
        summary = _fish_text(cli.command_named(name).SUMMARY if name != "help" else "show help")
        lines.append(f"complete -c ociruntime -n {top} -a {name} -d {summary}")
    for name, options in (*_tables().items(), ("help", ())):
        lines += _fish_command(name, options)
    valued = " ".join(f"'{case}'" for case in _valued())
    return _FISH.format(note=_NOTE, valued=valued) + "\n".join(lines) + "\n"
