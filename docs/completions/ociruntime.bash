# bash completion for ociruntime, generated from the option tables by python -m ociruntime.docsgen; do not edit
_ociruntime() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command="" options="" ids=""
    local word
    local -a root=()
    local -i i
    # bash takes the = of --name=value for a word of its own
    if [[ $cur == "=" ]]; then
        cur=""
    elif [[ $prev == "=" ]]; then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --root | --log | --log-format | --trace | --cgroup-manager | --rootless)
            word=${COMP_WORDS[i]}
            [[ ${COMP_WORDS[i + 1]} == "=" ]] && i+=1
            i+=1
            [[ $word == "--root" ]] && root=(--root "${COMP_WORDS[i]}")
            ;;
        -*) ;;
        *)
            command=${COMP_WORDS[i]}
            break
            ;;
        esac
    done
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
    case $command in
    "") options="--root --log --log-format --debug --trace --systemd-cgroup --cgroup-manager --rootless --help -h --version -v" ids="create delete events exec explain features kill list mounts pause ps resume run spec start state update validate help" ;;
    create) options="--bundle -b --config -f --console-socket --pidfd-socket --pid-file --no-pivot --no-new-keyring --preserve-fds --help -h" ids="" ;;
    delete) options="--force -f --regex -r --help -h" ids="containers" ;;
    events) options="--interval --stats --help -h" ids="containers" ;;
    exec) options="--console-socket --pidfd-socket --cwd --env -e --tty -t --user -u --additional-gids -g --process -p --detach -d --pid-file --process-label --apparmor --no-new-privs --cap -c --preserve-fds --cgroup --ignore-paused --help -h" ids="containers" ;;
    explain) options="--config -f --format --id --help -h" ids="" ;;
    features) options="--help -h" ids="" ;;
    kill) options="--regex -r --help -h" ids="containers" ;;
    list) options="--format -f --quiet -q --help -h" ids="" ;;
    mounts) options="--help -h" ids="containers" ;;
    pause) options="--help -h" ids="containers" ;;
    ps) options="--format -f --help -h" ids="containers" ;;
    resume) options="--help -h" ids="containers" ;;
    run) options="--bundle -b --config -f --console-socket --pidfd-socket --pid-file --no-pivot --no-new-keyring --preserve-fds --detach -d --keep --no-subreaper --help -h" ids="" ;;
    spec) options="--bundle -b --file -f --rootless --help -h" ids="" ;;
    start) options="--help -h" ids="containers" ;;
    state) options="--help -h" ids="containers" ;;
    update) options="--resources -r --blkio-weight --cpu-period --cpu-quota --cpu-burst --cpu-share --cpu-rt-period --cpu-rt-runtime --cpu-idle --cpuset-cpus --cpuset-mems --memory --memory-reservation --memory-swap --pids-limit --l3-cache-schema --mem-bw-schema --help -h" ids="containers" ;;
    validate) options="--bundle -b --config --format -f --no-host --strict --help -h" ids="" ;;
    esac
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$cur"))
    elif [[ $ids == "containers" ]]; then
        COMPREPLY=($(compgen -W "$(ociruntime "${root[@]}" list --quiet 2>/dev/null)" -- "$cur"))
    else
        COMPREPLY=($(compgen -W "$ids" -- "$cur"))
    fi
}
complete -F _ociruntime ociruntime
