# bash completion for ociruntime, generated from the option tables by python -m ociruntime.docsgen; do not edit
_ociruntime() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command="" word
    local -a root=()
    local -i i operand=0
    # bash takes the = of --name=value for a word of its own
    if [[ $cur == "=" ]]; then
        cur=""
    elif [[ $prev == "=" ]]; then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $command:$word in
        :--root | :--log | :--log-format | :--trace | :--cgroup-manager | :--rootless | create:--bundle | create:-b | create:--config | create:-f | create:--console-socket | create:--pidfd-socket | create:--pid-file | create:--preserve-fds | events:--interval | exec:--console-socket | exec:--pidfd-socket | exec:--cwd | exec:--env | exec:-e | exec:--user | exec:-u | exec:--additional-gids | exec:-g | exec:--process | exec:-p | exec:--pid-file | exec:--process-label | exec:--apparmor | exec:--cap | exec:-c | exec:--preserve-fds | exec:--cgroup | explain:--config | explain:-f | explain:--format | explain:--id | list:--format | list:-f | ps:--format | ps:-f | run:--bundle | run:-b | run:--config | run:-f | run:--console-socket | run:--pidfd-socket | run:--pid-file | run:--preserve-fds | spec:--bundle | spec:-b | spec:--file | spec:-f | update:--resources | update:-r | update:--blkio-weight | update:--cpu-period | update:--cpu-quota | update:--cpu-burst | update:--cpu-share | update:--cpu-rt-period | update:--cpu-rt-runtime | update:--cpu-idle | update:--cpuset-cpus | update:--cpuset-mems | update:--memory | update:--memory-reservation | update:--memory-swap | update:--pids-limit | update:--l3-cache-schema | update:--mem-bw-schema | validate:--bundle | validate:-b | validate:--config | validate:--format | validate:-f)
            [[ ${COMP_WORDS[i + 1]} == "=" ]] && i+=1
            i+=1
            [[ $command:$word == ":--root" ]] && root=(--root "${COMP_WORDS[i]}")
            ;;
        *:-*) ;;
        :*) command=$word ;;
        *) operand+=1 ;;
        esac
    done
    # what follows the id is another program's
    [[ $operand != 0 && ($command == exec || $command == ps) ]] && return
    case $command:$prev in
    :--root | create:--bundle | create:-b | run:--bundle | run:-b | spec:--bundle | spec:-b | validate:--bundle | validate:-b)
        compopt -o filenames && COMPREPLY=($(compgen -d -- "$cur"))
        return
        ;;
    :--log | :--trace | create:--config | create:-f | create:--console-socket | create:--pidfd-socket | create:--pid-file | exec:--console-socket | exec:--pidfd-socket | exec:--process | exec:-p | exec:--pid-file | explain:--config | explain:-f | run:--config | run:-f | run:--console-socket | run:--pidfd-socket | run:--pid-file | spec:--file | spec:-f | update:--resources | update:-r | validate:--config)
        compopt -o filenames && COMPREPLY=($(compgen -f -- "$cur"))
        return
        ;;
    :--log-format | validate:--format | validate:-f)
        COMPREPLY=($(compgen -W "text json" -- "$cur"))
        return
        ;;
    :--cgroup-manager)
        COMPREPLY=($(compgen -W "cgroupfs systemd disabled" -- "$cur"))
        return
        ;;
    :--rootless)
        COMPREPLY=($(compgen -W "true false auto" -- "$cur"))
        return
        ;;
    create:--preserve-fds | events:--interval | exec:--cwd | exec:--env | exec:-e | exec:--user | exec:-u | exec:--additional-gids | exec:-g | exec:--process-label | exec:--apparmor | exec:--cap | exec:-c | exec:--preserve-fds | exec:--cgroup | explain:--id | run:--preserve-fds | update:--blkio-weight | update:--cpu-period | update:--cpu-quota | update:--cpu-burst | update:--cpu-share | update:--cpu-rt-period | update:--cpu-rt-runtime | update:--cpu-idle | update:--cpuset-cpus | update:--cpuset-mems | update:--memory | update:--memory-reservation | update:--memory-swap | update:--pids-limit | update:--l3-cache-schema | update:--mem-bw-schema)
        COMPREPLY=()
        return
        ;;
    explain:--format)
        COMPREPLY=($(compgen -W "text json shell" -- "$cur"))
        return
        ;;
    list:--format | list:-f | ps:--format | ps:-f)
        COMPREPLY=($(compgen -W "table json" -- "$cur"))
        return
        ;;
    esac
    if [[ $cur == -* ]]; then
        case $command in
        "") COMPREPLY=($(compgen -W "--root --log --log-format --debug --trace --systemd-cgroup --cgroup-manager --rootless --help -h --version -v" -- "$cur")) ;;
        "create") COMPREPLY=($(compgen -W "--bundle -b --config -f --console-socket --pidfd-socket --pid-file --no-pivot --no-new-keyring --preserve-fds --help -h" -- "$cur")) ;;
        "delete") COMPREPLY=($(compgen -W "--force -f --regex -r --help -h" -- "$cur")) ;;
        "events") COMPREPLY=($(compgen -W "--interval --stats --help -h" -- "$cur")) ;;
        "exec") COMPREPLY=($(compgen -W "--console-socket --pidfd-socket --cwd --env -e --tty -t --user -u --additional-gids -g --process -p --detach -d --pid-file --process-label --apparmor --no-new-privs --cap -c --preserve-fds --cgroup --ignore-paused --help -h" -- "$cur")) ;;
        "explain") COMPREPLY=($(compgen -W "--config -f --format --id --help -h" -- "$cur")) ;;
        "features") COMPREPLY=($(compgen -W "--help -h" -- "$cur")) ;;
        "kill") COMPREPLY=($(compgen -W "--regex -r --help -h" -- "$cur")) ;;
        "list") COMPREPLY=($(compgen -W "--format -f --quiet -q --help -h" -- "$cur")) ;;
        "mounts") COMPREPLY=($(compgen -W "--help -h" -- "$cur")) ;;
        "pause") COMPREPLY=($(compgen -W "--help -h" -- "$cur")) ;;
        "ps") COMPREPLY=($(compgen -W "--format -f --help -h" -- "$cur")) ;;
        "resume") COMPREPLY=($(compgen -W "--help -h" -- "$cur")) ;;
        "run") COMPREPLY=($(compgen -W "--bundle -b --config -f --console-socket --pidfd-socket --pid-file --no-pivot --no-new-keyring --preserve-fds --detach -d --keep --no-subreaper --help -h" -- "$cur")) ;;
        "spec") COMPREPLY=($(compgen -W "--bundle -b --file -f --rootless --help -h" -- "$cur")) ;;
        "start") COMPREPLY=($(compgen -W "--help -h" -- "$cur")) ;;
        "state") COMPREPLY=($(compgen -W "--help -h" -- "$cur")) ;;
        "update") COMPREPLY=($(compgen -W "--resources -r --blkio-weight --cpu-period --cpu-quota --cpu-burst --cpu-share --cpu-rt-period --cpu-rt-runtime --cpu-idle --cpuset-cpus --cpuset-mems --memory --memory-reservation --memory-swap --pids-limit --l3-cache-schema --mem-bw-schema --help -h" -- "$cur")) ;;
        "validate") COMPREPLY=($(compgen -W "--bundle -b --config --format -f --no-host --strict --help -h" -- "$cur")) ;;
        esac
        return
    fi
    case $command:$operand in
    :0)
        COMPREPLY=($(compgen -W "create delete events exec explain features kill list mounts pause ps resume run spec start state update validate help" -- "$cur"))
        ;;
    delete:0 | events:0 | exec:0 | kill:0 | mounts:1 | pause:0 | ps:0 | resume:0 | start:0 | state:0 | update:0)
        COMPREPLY=($(compgen -W "$(ociruntime "${root[@]}" list --quiet 2>/dev/null)" -- "$cur"))
        ;;
    explain:0 | validate:0)
        compopt -o filenames && COMPREPLY=($(compgen -d -- "$cur"))
        ;;
    kill:1)
        COMPREPLY=($(compgen -W "TERM KILL INT HUP QUIT USR1 USR2 STOP CONT WINCH" -- "$cur"))
        ;;
    mounts:0)
        COMPREPLY=($(compgen -W "add remove" -- "$cur"))
        ;;
    mounts:2)
        compopt -o filenames && COMPREPLY=($(compgen -f -- "$cur"))
        ;;
    help:0)
        COMPREPLY=($(compgen -W "create delete events exec explain features kill list mounts pause ps resume run spec start state update validate" -- "$cur"))
        ;;
    esac
}
complete -F _ociruntime ociruntime
