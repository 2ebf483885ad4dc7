# fish completion for ociruntime, generated from the option tables by python -m ociruntime.docsgen; do not edit
function __ociruntime_containers
    set -l root (string match -rg -- '--root[= ](\S+)' (commandline -pc))
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
            case ':--root' ':--log' ':--log-format' ':--trace' ':--cgroup-manager' ':--rootless' 'create:--bundle' 'create:-b' 'create:--config' 'create:-f' 'create:--console-socket' 'create:--pidfd-socket' 'create:--pid-file' 'create:--preserve-fds' 'events:--interval' 'exec:--console-socket' 'exec:--pidfd-socket' 'exec:--cwd' 'exec:--env' 'exec:-e' 'exec:--user' 'exec:-u' 'exec:--additional-gids' 'exec:-g' 'exec:--process' 'exec:-p' 'exec:--pid-file' 'exec:--process-label' 'exec:--apparmor' 'exec:--cap' 'exec:-c' 'exec:--preserve-fds' 'exec:--cgroup' 'explain:--config' 'explain:-f' 'explain:--format' 'explain:--id' 'list:--format' 'list:-f' 'ps:--format' 'ps:-f' 'run:--bundle' 'run:-b' 'run:--config' 'run:-f' 'run:--console-socket' 'run:--pidfd-socket' 'run:--pid-file' 'run:--preserve-fds' 'spec:--bundle' 'spec:-b' 'spec:--file' 'spec:-f' 'update:--resources' 'update:-r' 'update:--blkio-weight' 'update:--cpu-period' 'update:--cpu-quota' 'update:--cpu-burst' 'update:--cpu-share' 'update:--cpu-rt-period' 'update:--cpu-rt-runtime' 'update:--cpu-idle' 'update:--cpuset-cpus' 'update:--cpuset-mems' 'update:--memory' 'update:--memory-reservation' 'update:--memory-swap' 'update:--pids-limit' 'update:--l3-cache-schema' 'update:--mem-bw-schema' 'validate:--bundle' 'validate:-b' 'validate:--config' 'validate:--format' 'validate:-f'
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
complete -c ociruntime -n '__ociruntime_at ""' -a create -d 'create a container'
complete -c ociruntime -n '__ociruntime_at ""' -a delete -d 'remove a container'
complete -c ociruntime -n '__ociruntime_at ""' -a events -d 'print the resource usage of a container'
complete -c ociruntime -n '__ociruntime_at ""' -a exec -d 'run another process in a container'
complete -c ociruntime -n '__ociruntime_at ""' -a explain -d 'print what would be done with a bundle, or what the code of a message means'
complete -c ociruntime -n '__ociruntime_at ""' -a features -d 'print what this runtime supports'
complete -c ociruntime -n '__ociruntime_at ""' -a kill -d 'send a signal to a container'
complete -c ociruntime -n '__ociruntime_at ""' -a list -d 'list containers'
complete -c ociruntime -n '__ociruntime_at ""' -a mounts -d 'add or remove mounts of a running container'
complete -c ociruntime -n '__ociruntime_at ""' -a pause -d 'suspend all processes of a container'
complete -c ociruntime -n '__ociruntime_at ""' -a ps -d 'list the processes of a container'
complete -c ociruntime -n '__ociruntime_at ""' -a resume -d 'let a paused container continue'
complete -c ociruntime -n '__ociruntime_at ""' -a run -d 'create and start a container'
complete -c ociruntime -n '__ociruntime_at ""' -a spec -d 'write a config.json to begin with'
complete -c ociruntime -n '__ociruntime_at ""' -a start -d 'start the program of a created container'
complete -c ociruntime -n '__ociruntime_at ""' -a state -d 'print the state of a container'
complete -c ociruntime -n '__ociruntime_at ""' -a update -d 'change the limits of a container'
complete -c ociruntime -n '__ociruntime_at ""' -a validate -d 'check a bundle'
complete -c ociruntime -n '__ociruntime_at ""' -a help -d 'show help'
complete -c ociruntime -n '__ociruntime_at ""' -l root -x -a '(__fish_complete_directories)' -d 'directory for the state of containers, best on a tmpfs'
complete -c ociruntime -n '__ociruntime_at ""' -l log -r -F -d 'append records of failures to FILE'
complete -c ociruntime -n '__ociruntime_at ""' -l log-format -x -a 'text json' -d 'format of the records: text or json'
complete -c ociruntime -n '__ociruntime_at ""' -l debug -d 'record every step that is taken, and how long it took'
complete -c ociruntime -n '__ociruntime_at ""' -l trace -r -F -d 'write the times of steps to FILE, for trace viewers'
complete -c ociruntime -n '__ociruntime_at ""' -l systemd-cgroup -d 'let systemd manage cgroups; cgroupsPath then has the form slice:prefix:name'
complete -c ociruntime -n '__ociruntime_at ""' -l cgroup-manager -x -a 'cgroupfs systemd disabled' -d 'who manages cgroups: cgroupfs, systemd or disabled'
complete -c ociruntime -n '__ociruntime_at ""' -l rootless -x -a 'true false auto' -d 'whether to go without cgroups where permission is missing: true, false or auto'
complete -c ociruntime -n '__ociruntime_at ""' -l help -s h -d 'show help'
complete -c ociruntime -n '__ociruntime_at ""' -l version -s v -d 'print the version'
complete -c ociruntime -n '__ociruntime_at "create"' -l bundle -s b -x -a '(__fish_complete_directories)' -d 'root of the bundle'
complete -c ociruntime -n '__ociruntime_at "create"' -l config -s f -r -F -d 'read the configuration from FILE instead of the bundle\'s config.json'
complete -c ociruntime -n '__ociruntime_at "create"' -l console-socket -r -F -d 'AF_UNIX socket that receives the master side of the container\'s terminal'
complete -c ociruntime -n '__ociruntime_at "create"' -l pidfd-socket -r -F -d 'AF_UNIX socket that receives a pidfd of the container\'s first process'
complete -c ociruntime -n '__ociruntime_at "create"' -l pid-file -r -F -d 'write the pid of the container\'s first process to FILE'
complete -c ociruntime -n '__ociruntime_at "create"' -l no-pivot -d 'do not use pivot_root, which a root file system on a ramdisk does not allow'
complete -c ociruntime -n '__ociruntime_at "create"' -l no-new-keyring -d 'keep the caller\'s session keyring instead of creating a new one'
complete -c ociruntime -n '__ociruntime_at "create"' -l preserve-fds -x -d 'pass N more file descriptors to the container, after stdio and those of LISTEN_FDS'
complete -c ociruntime -n '__ociruntime_at "create"' -l help -s h -d 'show help'
complete -c ociruntime -n '__ociruntime_at "delete"' -l force -s f -d 'kill the container first if it still runs'
complete -c ociruntime -n '__ociruntime_at "delete"' -l regex -s r -d 'take ID for a regular expression, and all containers whose id it matches'
complete -c ociruntime -n '__ociruntime_at "delete"' -l help -s h -d 'show help'
complete -c ociruntime -n '__ociruntime_at "delete" 0' -a '(__ociruntime_containers)'
complete -c ociruntime -n '__ociruntime_at "events"' -l interval -x -d 'time between two lines, e.g. 500ms or 1m30s'
complete -c ociruntime -n '__ociruntime_at "events"' -l stats -d 'print the usage once'
complete -c ociruntime -n '__ociruntime_at "events"' -l help -s h -d 'show help'
complete -c ociruntime -n '__ociruntime_at "events" 0' -a '(__ociruntime_containers)'
complete -c ociruntime -n '__ociruntime_at "exec" 0' -l console-socket -r -F -d 'AF_UNIX socket that receives the master side of the process\'s terminal'
complete -c ociruntime -n '__ociruntime_at "exec" 0' -l pidfd-socket -r -F -d 'AF_UNIX socket that receives a pidfd of the process'
complete -c ociruntime -n '__ociruntime_at "exec" 0' -l cwd -x -d 'current directory, in the container'
complete -c ociruntime -n '__ociruntime_at "exec" 0' -l env -s e -x -d 'add an environment variable'
complete -c ociruntime -n '__ociruntime_at "exec" 0' -l tty -s t -d 'give the process a terminal'
complete -c ociruntime -n '__ociruntime_at "exec" 0' -l user -s u -x -d 'user and group, as numbers'
complete -c ociruntime -n '__ociruntime_at "exec" 0' -l additional-gids -s g -x -d 'add a supplementary group'
complete -c ociruntime -n '__ociruntime_at "exec" 0' -l process -s p -r -F -d 'read the process object of the specification from FILE; the other options for it are ignored'
complete -c ociruntime -n '__ociruntime_at "exec" 0' -l detach -s d -d 'do not wait for the process'
complete -c ociruntime -n '__ociruntime_at "exec" 0' -l pid-file -r -F -d 'write the pid of the process to FILE'
complete -c ociruntime -n '__ociruntime_at "exec" 0' -l process-label -x -d 'SELinux label of the process'
complete -c ociruntime -n '__ociruntime_at "exec" 0' -l apparmor -x -d 'AppArmor profile of the process'
complete -c ociruntime -n '__ociruntime_at "exec" 0' -l no-new-privs -d 'forbid the process to gain privilege (no_new_privs)'
complete -c ociruntime -n '__ociruntime_at "exec" 0' -l cap -s c -x -d 'add a capability'
complete -c ociruntime -n '__ociruntime_at "exec" 0' -l preserve-fds -x -d 'pass N more file descriptors to the process, after stdio and those of LISTEN_FDS'
complete -c ociruntime -n '__ociruntime_at "exec" 0' -l cgroup -x -d 'run in an existing cgroup below the container\'s'
complete -c ociruntime -n '__ociruntime_at "exec" 0' -l ignore-paused -d 'do not refuse a paused container'
complete -c ociruntime -n '__ociruntime_at "exec" 0' -l help -s h -d 'show help'
complete -c ociruntime -n '__ociruntime_at "exec" 0' -a '(__ociruntime_containers)'
complete -c ociruntime -n '__ociruntime_at "explain"' -l config -s f -r -F -d 'read the configuration from FILE instead of the bundle\'s config.json'
complete -c ociruntime -n '__ociruntime_at "explain"' -l format -x -a 'text json shell' -d 'text, json, or shell: a script that does the same with the tools of the host'
complete -c ociruntime -n '__ociruntime_at "explain"' -l id -x -d 'id of the container'
complete -c ociruntime -n '__ociruntime_at "explain"' -l help -s h -d 'show help'
complete -c ociruntime -n '__ociruntime_at "explain" 0' -a '(__fish_complete_directories)'
complete -c ociruntime -n '__ociruntime_at "features"' -l help -s h -d 'show help'
complete -c ociruntime -n '__ociruntime_at "kill"' -l regex -s r -d 'take ID for a regular expression, and all containers whose id it matches'
complete -c ociruntime -n '__ociruntime_at "kill"' -l help -s h -d 'show help'
complete -c ociruntime -n '__ociruntime_at "kill" 0' -a '(__ociruntime_containers)'
complete -c ociruntime -n '__ociruntime_at "kill" 1' -a 'TERM KILL INT HUP QUIT USR1 USR2 STOP CONT WINCH'
complete -c ociruntime -n '__ociruntime_at "list"' -l format -s f -x -a 'table json' -d 'format of the output: table or json'
complete -c ociruntime -n '__ociruntime_at "list"' -l quiet -s q -d 'print ids only'
complete -c ociruntime -n '__ociruntime_at "list"' -l help -s h -d 'show help'
complete -c ociruntime -n '__ociruntime_at "mounts"' -l help -s h -d 'show help'
complete -c ociruntime -n '__ociruntime_at "mounts" 0' -a 'add remove'
complete -c ociruntime -n '__ociruntime_at "mounts" 1' -a '(__ociruntime_containers)'
complete -c ociruntime -n '__ociruntime_at "mounts" 2' -F
complete -c ociruntime -n '__ociruntime_at "pause"' -l help -s h -d 'show help'
complete -c ociruntime -n '__ociruntime_at "pause" 0' -a '(__ociruntime_containers)'
complete -c ociruntime -n '__ociruntime_at "ps" 0' -l format -s f -x -a 'table json' -d 'format of the output: table or json'
complete -c ociruntime -n '__ociruntime_at "ps" 0' -l help -s h -d 'show help'
complete -c ociruntime -n '__ociruntime_at "ps" 0' -a '(__ociruntime_containers)'
complete -c ociruntime -n '__ociruntime_at "resume"' -l help -s h -d 'show help'
complete -c ociruntime -n '__ociruntime_at "resume" 0' -a '(__ociruntime_containers)'
complete -c ociruntime -n '__ociruntime_at "run"' -l bundle -s b -x -a '(__fish_complete_directories)' -d 'root of the bundle'
complete -c ociruntime -n '__ociruntime_at "run"' -l config -s f -r -F -d 'read the configuration from FILE instead of the bundle\'s config.json'
complete -c ociruntime -n '__ociruntime_at "run"' -l console-socket -r -F -d 'AF_UNIX socket that receives the master side of the container\'s terminal'
complete -c ociruntime -n '__ociruntime_at "run"' -l pidfd-socket -r -F -d 'AF_UNIX socket that receives a pidfd of the container\'s first process'
complete -c ociruntime -n '__ociruntime_at "run"' -l pid-file -r -F -d 'write the pid of the container\'s first process to FILE'
complete -c ociruntime -n '__ociruntime_at "run"' -l no-pivot -d 'do not use pivot_root, which a root file system on a ramdisk does not allow'
complete -c ociruntime -n '__ociruntime_at "run"' -l no-new-keyring -d 'keep the caller\'s session keyring instead of creating a new one'
complete -c ociruntime -n '__ociruntime_at "run"' -l preserve-fds -x -d 'pass N more file descriptors to the container, after stdio and those of LISTEN_FDS'
complete -c ociruntime -n '__ociruntime_at "run"' -l detach -s d -d 'do not wait for the container'
complete -c ociruntime -n '__ociruntime_at "run"' -l keep -d 'do not delete the container after its end'
complete -c ociruntime -n '__ociruntime_at "run"' -l no-subreaper -d 'do not adopt processes that lost their parent'
complete -c ociruntime -n '__ociruntime_at "run"' -l help -s h -d 'show help'
complete -c ociruntime -n '__ociruntime_at "spec"' -l bundle -s b -x -a '(__fish_complete_directories)' -d 'root of the bundle'
complete -c ociruntime -n '__ociruntime_at "spec"' -l file -s f -r -F -d 'its name there, or an absolute path'
complete -c ociruntime -n '__ociruntime_at "spec"' -l rootless -d 'for a caller without privilege'
complete -c ociruntime -n '__ociruntime_at "spec"' -l help -s h -d 'show help'
complete -c ociruntime -n '__ociruntime_at "start"' -l help -s h -d 'show help'
complete -c ociruntime -n '__ociruntime_at "start" 0' -a '(__ociruntime_containers)'
complete -c ociruntime -n '__ociruntime_at "state"' -l help -s h -d 'show help'
complete -c ociruntime -n '__ociruntime_at "state" 0' -a '(__ociruntime_containers)'
complete -c ociruntime -n '__ociruntime_at "update"' -l resources -s r -r -F -d 'read the limits from a JSON file, from standard input when FILE is -'
complete -c ociruntime -n '__ociruntime_at "update"' -l blkio-weight -x -d 'share of block I/O, 10 to 1000'
complete -c ociruntime -n '__ociruntime_at "update"' -l cpu-period -x -d 'period of the CPU quota'
complete -c ociruntime -n '__ociruntime_at "update"' -l cpu-quota -x -d 'CPU time per period; -1 is no limit'
complete -c ociruntime -n '__ociruntime_at "update"' -l cpu-burst -x -d 'unused CPU time that may be used in a later period'
complete -c ociruntime -n '__ociruntime_at "update"' -l cpu-share -x -d 'share of the CPUs relative to other containers'
complete -c ociruntime -n '__ociruntime_at "update"' -l cpu-rt-period -x -d 'period of real-time scheduling'
complete -c ociruntime -n '__ociruntime_at "update"' -l cpu-rt-runtime -x -d 'real-time CPU time per period'
complete -c ociruntime -n '__ociruntime_at "update"' -l cpu-idle -x -d '1: run only when the CPU would idle'
complete -c ociruntime -n '__ociruntime_at "update"' -l cpuset-cpus -x -d 'CPUs to use, e.g. 0-3,7'
complete -c ociruntime -n '__ociruntime_at "update"' -l cpuset-mems -x -d 'memory nodes to use'
complete -c ociruntime -n '__ociruntime_at "update"' -l memory -x -d 'limit of memory; -1 is no limit'
complete -c ociruntime -n '__ociruntime_at "update"' -l memory-reservation -x -d 'memory that is kept for the container when memory is short'
complete -c ociruntime -n '__ociruntime_at "update"' -l memory-swap -x -d 'limit of memory and swap together; -1 is no limit'
complete -c ociruntime -n '__ociruntime_at "update"' -l pids-limit -x -d 'limit of tasks; -1 is no limit'
complete -c ociruntime -n '__ociruntime_at "update"' -l l3-cache-schema -x -d 'Intel RDT: L3 cache'
complete -c ociruntime -n '__ociruntime_at "update"' -l mem-bw-schema -x -d 'Intel RDT: memory bandwidth'
complete -c ociruntime -n '__ociruntime_at "update"' -l help -s h -d 'show help'
complete -c ociruntime -n '__ociruntime_at "update" 0' -a '(__ociruntime_containers)'
complete -c ociruntime -n '__ociruntime_at "validate"' -l bundle -s b -x -a '(__fish_complete_directories)' -d 'root of the bundle, in place of the operand'
complete -c ociruntime -n '__ociruntime_at "validate"' -l config -r -F -d 'read the configuration from FILE instead of the bundle\'s config.json'
complete -c ociruntime -n '__ociruntime_at "validate"' -l format -s f -x -a 'text json' -d 'format of the output: text or json'
complete -c ociruntime -n '__ociruntime_at "validate"' -l no-host -d 'do not look at this host, the bundle is for another one'
complete -c ociruntime -n '__ociruntime_at "validate"' -l strict -d 'count warnings as errors'
complete -c ociruntime -n '__ociruntime_at "validate"' -l help -s h -d 'show help'
complete -c ociruntime -n '__ociruntime_at "validate" 0' -a '(__fish_complete_directories)'
complete -c ociruntime -n '__ociruntime_at "help" 0' -a 'create delete events exec explain features kill list mounts pause ps resume run spec start state update validate'
