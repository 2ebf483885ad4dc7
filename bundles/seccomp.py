"""A seccomp profile like the ones that engines apply by default: a list of what programs need.

Everything not listed fails with ENOSYS, as if the kernel were too old for it, so that libraries fall
back to an older call; what a program could mistake for a missing feature but must not do fails with
EPERM. See seccomp(2), and config-linux.md "Seccomp" of the OCI runtime specification.

Not listed, because each reaches beyond the container or has a history of kernel holes: modules and
kexec, clocks, swap and quota, mounts and new namespaces, ptrace and reading other memory, bpf, perf,
userfaultfd, io_uring, keyrings (not namespaced), open_by_handle_at (walks out of a root, 2014).
"""

from __future__ import annotations

import platform
from typing import Final

from .config import Json
from .errors import BundleError

ENOSYS: Final = 38  # asm-generic/errno.h; the same on both machines below
NEW_NAMESPACE_FLAGS: Final = 0x7E020000  # CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}, linux/sched.h

ARCHITECTURES: Final = {
    "x86_64": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    "aarch64": ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
}

ALLOWED: Final = {
    "files": """
        open openat openat2 creat close close_range read write pread64 pwrite64 readv writev preadv pwritev
        preadv2 pwritev2 lseek _llseek stat lstat fstat newfstatat stat64 lstat64 fstat64 fstatat64 statx
        access faccessat faccessat2 readlink readlinkat getcwd chdir fchdir umask dup dup2 dup3 fcntl fcntl64
        flock fsync fdatasync sync syncfs sync_file_range truncate truncate64 ftruncate ftruncate64 fallocate
        fadvise64 fadvise64_64 readahead copy_file_range sendfile sendfile64 splice tee vmsplice statfs statfs64
        fstatfs fstatfs64 getdents getdents64 ioctl cachestat
    """,
    "names and metadata": """
        link linkat unlink unlinkat symlink symlinkat rename renameat renameat2 mkdir mkdirat rmdir mknod mknodat
        chmod fchmod fchmodat fchmodat2 chown chown32 fchown fchown32 lchown lchown32 fchownat utime utimes
        utimensat utimensat_time64 futimesat getxattr lgetxattr fgetxattr setxattr lsetxattr fsetxattr
        listxattr llistxattr flistxattr removexattr lremovexattr fremovexattr inotify_init inotify_init1
        inotify_add_watch inotify_rm_watch
    """,
    "memory": """
        brk mmap mmap2 munmap mremap mprotect madvise mincore msync mlock mlock2 mlockall munlock munlockall
        memfd_create membarrier pkey_alloc pkey_free pkey_mprotect mseal get_mempolicy
    """,
    "processes and threads": """
        fork vfork execve execveat exit exit_group wait4 waitid waitpid getpid getppid gettid getpgid getpgrp
        setpgid getsid setsid set_tid_address set_robust_list get_robust_list futex futex_time64 futex_waitv
        futex_wake futex_wait futex_requeue rseq arch_prctl prctl capget capset seccomp getcpu
        get_thread_area set_thread_area modify_ldt pidfd_open pidfd_send_signal
        restart_syscall landlock_create_ruleset landlock_add_rule landlock_restrict_self
    """,
    "users": """
        getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getresuid getresuid32 getresgid
        getresgid32 getgroups getgroups32 setuid setuid32 setgid setgid32 setreuid setreuid32 setregid
        setregid32 setresuid setresuid32 setresgid setresgid32 setfsuid setfsuid32 setfsgid setfsgid32
        setgroups setgroups32 chroot
    """,
    "signals and time": """
        kill tkill tgkill pause alarm sigaltstack sigreturn rt_sigreturn rt_sigaction rt_sigprocmask
        rt_sigpending rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_sigqueueinfo rt_tgsigqueueinfo
        signalfd signalfd4 nanosleep clock_gettime clock_gettime64 clock_getres clock_getres_time64
        clock_nanosleep clock_nanosleep_time64 gettimeofday time times getitimer setitimer timer_create
        timer_delete timer_gettime timer_gettime64 timer_settime timer_settime64 timer_getoverrun
        timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64
    """,
    "waiting": """
        poll ppoll ppoll_time64 select _newselect pselect6 pselect6_time64 epoll_create epoll_create1 epoll_ctl
        epoll_wait epoll_pwait epoll_pwait2 eventfd eventfd2 pipe pipe2 io_setup io_submit io_cancel io_destroy
        io_getevents io_pgetevents io_pgetevents_time64
    """,
    "sockets": """
        socket socketpair socketcall bind listen accept accept4 connect shutdown getsockname getpeername
        getsockopt setsockopt send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64
    """,
    "System V and POSIX ipc": """
        ipc shmget shmat shmdt shmctl semget semop semtimedop semtimedop_time64 semctl msgget msgsnd msgrcv
        msgctl mq_open mq_unlink mq_timedsend mq_timedsend_time64 mq_timedreceive mq_timedreceive_time64
        mq_notify mq_getsetattr
    """,
    "limits and scheduling": """
        getrlimit ugetrlimit setrlimit prlimit64 getrusage getpriority setpriority ioprio_get ioprio_set
        sched_yield sched_getaffinity sched_setaffinity sched_getparam sched_setparam sched_getscheduler
        sched_setscheduler sched_getattr sched_setattr sched_get_priority_max sched_get_priority_min
        sched_rr_get_interval sched_rr_get_interval_time64
    """,
    "the system": "uname sysinfo getrandom",
}

REFUSED: Final = """
    mount umount umount2 pivot_root unshare setns ptrace reboot sethostname setdomainname swapon swapoff
    init_module finit_module delete_module kexec_load bpf perf_event_open settimeofday clock_settime
    keyctl add_key request_key open_by_handle_at process_vm_readv process_vm_writev
"""


def profile(machine: str = platform.machine()) -> Json:
    """The profile as `linux.seccomp`; raises `BundleError` for a machine it was not thought through for."""
    if machine not in ARCHITECTURES:
        raise BundleError(f"{machine}: no seccomp profile for this machine")
    allowed = [{"names": names.split(), "action": "SCMP_ACT_ALLOW"} for names in ALLOWED.values()]
    without_namespaces = {
        "names": ["clone"],
        "action": "SCMP_ACT_ALLOW",
        "args": [{"index": 0, "value": NEW_NAMESPACE_FLAGS, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}],
    }
    # clone3(2) hides its flags behind a pointer, where no filter can look: libc takes ENOSYS for an
    # old kernel and falls back to clone(2).
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": ENOSYS,
        "architectures": ARCHITECTURES[machine],
        "syscalls": [
            *allowed,
            without_namespaces,
            {"names": REFUSED.split(), "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
        ],
    }
