/*
 * The door: the one way from Python to system calls.
 *
 * ctypes could do this, at 2.4 ms for every start of the runtime; this
 * module costs 0.1. It knows how to pass arguments, how to fail (OSError) and
 * how to fork; what each call means is written in Python, one function each,
 * in ociruntime/core/kernel/.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <linux/sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "borrow.h"

#if defined(__x86_64__)
#define MACHINE "x86_64"
#elif defined(__aarch64__)
#define MACHINE "aarch64"
#else
#error "ociruntime knows x86_64 and aarch64; port native/door.c and native/player.c to this machine first"
#endif

#define MAX_ARGS 6

/* One argument as the kernel wants it; a buffer stays pinned until released. */
struct argument {
    unsigned long value;
    Py_buffer view;
};

static int
take_int(PyObject *object, struct argument *argument)
{
    int overflow = 0;
    long number = PyLong_AsLongAndOverflow(object, &overflow);

    if (number == -1 && PyErr_Occurred())
        return -1;
    if (overflow > 0) {
        /* Flags and addresses use all 64 bits: 2**63 and above are fine too. */
        argument->value = PyLong_AsUnsignedLong(object);
        return PyErr_Occurred() ? -1 : 0;
    }
    if (overflow < 0) {
        PyErr_SetString(PyExc_OverflowError, "system call argument below -2**63");
        return -1;
    }
    argument->value = (unsigned long)number;
    return 0;
}

static int
take_argument(PyObject *object, struct argument *argument)
{
    argument->view.obj = NULL;
    if (object == Py_None) {
        argument->value = 0;
        return 0;
    }
    if (PyLong_Check(object))
        return take_int(object, argument);
    if (!PyObject_CheckBuffer(object)) {
        /* str above all: which encoding, and where would its NUL come from? */
        PyErr_Format(PyExc_TypeError, "system call argument must be int, buffer or None, not %.80s",
                     Py_TYPE(object)->tp_name);
        return -1;
    }
    if (PyObject_GetBuffer(object, &argument->view, PyBUF_SIMPLE) < 0)
        return -1;
    argument->value = (unsigned long)argument->view.buf;
    return 0;
}

static void
release(struct argument *arguments, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++)
        if (arguments[i].view.obj != NULL)
            PyBuffer_Release(&arguments[i].view);
}

/* Call, and call again after a signal whose Python handler returned (PEP 475). */
static long
call(long number, const struct argument *a)
{
    long result;
    int error;

    do {
        Py_BEGIN_ALLOW_THREADS
        result = syscall(number, a[0].value, a[1].value, a[2].value, a[3].value, a[4].value, a[5].value);
        error = errno;
        Py_END_ALLOW_THREADS
        /* close(2): the descriptor is gone even so, a second try may hit another one. */
        if (result != -1 || error != EINTR || number == SYS_close)
            break;
    } while (PyErr_CheckSignals() == 0);
    errno = error;
    return result;
}

PyDoc_STRVAR(syscall_doc,
"syscall($module, number, /, *args)\n--\n\n"
"Make system call number with up to six arguments and return its result.\n\n"
"An int is passed as it is, a buffer as its address (pass a bytearray where the\n"
"kernel writes), None as 0. Raises OSError when the kernel refuses.");

static PyObject *
door_syscall(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    struct argument arguments[MAX_ARGS] = {0};
    Py_ssize_t taken = 0;
    long number, result;

    if (nargs < 1 || nargs > MAX_ARGS + 1) {
        PyErr_SetString(PyExc_TypeError, "syscall takes a number and up to 6 arguments");
        return NULL;
    }
    number = PyLong_AsLong(args[0]);
    if (number == -1 && PyErr_Occurred())
        return NULL;
    for (; taken < nargs - 1; taken++) {
        if (take_argument(args[taken + 1], &arguments[taken]) < 0) {
            release(arguments, taken);
            return NULL;
        }
    }
    result = call(number, arguments);
    if (result == -1 && !PyErr_Occurred())
        PyErr_SetFromErrno(PyExc_OSError);
    release(arguments, taken);
    return PyErr_Occurred() ? NULL : PyLong_FromLong(result);
}

PyDoc_STRVAR(clone3_doc,
"clone3($module, args, /)\n--\n\n"
"Fork as struct clone_args (a buffer) says: the child's pid, or 0 in the child.\n\n"
"Raises OSError when the kernel refuses, ValueError for flags that would share\n"
"the memory or threads of this interpreter.");

static PyObject *
door_clone3(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer view;
    unsigned long long flags, exit_signal;
    long pid;
    int error;

    if (PyObject_GetBuffer(args, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    if (view.len < CLONE_ARGS_SIZE_VER0) {
        PyErr_SetString(PyExc_ValueError, "struct clone_args is at least 64 bytes");
        goto refused;
    }
    memcpy(&flags, view.buf, sizeof flags);
    if (flags & (CLONE_VM | CLONE_THREAD | CLONE_SIGHAND)) {
        PyErr_SetString(PyExc_ValueError, "clone3 here is a fork: CLONE_VM, CLONE_THREAD, CLONE_SIGHAND are refused");
        goto refused;
    }
    /*
     * The interpreter must know that it is forked: these three take and give
     * back its import lock and the GIL, and tell the child that it is alone.
     * The GIL is held throughout, or the child would be born without it.
     */
    PyOS_BeforeFork();
    pid = syscall(SYS_clone3, view.buf, (size_t)view.len);
    if (pid == -1 && (errno == ENOSYS || errno == EPERM) && (flags >> 32) == 0 && !(flags & CLONE_NEWTIME)) {
        /* Filters of outer containers answer ENOSYS to what they cannot inspect, and EPERM to what they do
           not know; clone(2) has the same namespaces, with the exit signal in the lowest byte of the flags. */
        memcpy(&exit_signal, (char *)view.buf + 32, sizeof exit_signal);
        pid = syscall(SYS_clone, (unsigned long)(flags | exit_signal), 0UL, 0UL, 0UL, 0UL);
    }
    error = errno;
    if (pid == 0)
        PyOS_AfterFork_Child();
    else
        PyOS_AfterFork_Parent();
    PyBuffer_Release(&view);
    if (pid == -1) {
        errno = error;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return PyLong_FromLong(pid);

refused:
    PyBuffer_Release(&view);
    return NULL;
}

PyDoc_STRVAR(default_signals_doc,
"default_signals($module, /)\n--\n\n"
"Give every signal its default action, those between 32 and 34 too, which the C library keeps to itself.");

static PyObject *
door_default_signals(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    static const unsigned long action[4]; /* the kernel's struct sigaction: SIG_DFL, no flags */

    for (int number = 1; number <= 64; number++)
        syscall(SYS_rt_sigaction, number, action, NULL, 8UL); /* it refuses SIGKILL and SIGSTOP */
    Py_RETURN_NONE;
}

PyDoc_STRVAR(addressof_doc,
"addressof($module, buffer, /)\n--\n\n"
"The address of buffer's memory, for structs that hold pointers.\n\n"
"The caller keeps the buffer alive and unresized while the address is in use.");

static PyObject *
door_addressof(PyObject *Py_UNUSED(module), PyObject *object)
{
    Py_buffer view;
    PyObject *address;

    if (PyObject_GetBuffer(object, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    address = PyLong_FromVoidPtr(view.buf);
    PyBuffer_Release(&view);
    return address;
}

#define OLD(name) {"SYS_" #name, SYS_##name}
/* From 424 on a call has one number on all machines, so old headers do not matter. */
#define NEW(name, number) {"SYS_" #name, number}

static const struct {
    const char *name;
    long number;
} numbers[] = {
    /* files */
    OLD(close), OLD(copy_file_range), OLD(dup), OLD(dup3), OLD(fadvise64), OLD(fallocate), OLD(fchdir), OLD(fchmod),
    OLD(fchmodat), OLD(fchown), OLD(fchownat), OLD(fcntl), OLD(fgetxattr), OLD(flock), OLD(fremovexattr),
    OLD(fsetxattr), OLD(fstat), OLD(fstatfs), OLD(fsync), OLD(ftruncate), OLD(getcwd), OLD(chdir), OLD(chroot),
    OLD(getdents64), OLD(ioctl), OLD(lgetxattr), OLD(linkat), OLD(lseek), OLD(lsetxattr), OLD(memfd_create),
    OLD(mkdirat), OLD(mknodat), OLD(name_to_handle_at), OLD(open_by_handle_at), OLD(openat), OLD(pipe2), OLD(pread64),
    OLD(preadv), OLD(pwrite64), OLD(pwritev), OLD(read), OLD(readlinkat), OLD(readv), OLD(renameat2), OLD(sendfile),
    OLD(splice), OLD(statfs), OLD(statx), OLD(symlinkat), OLD(umask), OLD(unlinkat), OLD(utimensat), OLD(write),
    OLD(writev),
    /* mounts */
    OLD(mount), OLD(pivot_root), OLD(quotactl), OLD(swapoff), OLD(umount2),
    /* processes */
    OLD(clone), OLD(execve), OLD(execveat), OLD(exit), OLD(exit_group), OLD(getpid), OLD(getppid), OLD(gettid),
    OLD(kill), OLD(tgkill), OLD(ptrace), OLD(setns), OLD(setsid), OLD(setpgid), OLD(getsid), OLD(unshare), OLD(wait4),
    OLD(waitid),
    /* identity and privileges */
    OLD(capget), OLD(capset), OLD(getgroups), OLD(getresgid), OLD(getresuid), OLD(keyctl), OLD(add_key),
    OLD(request_key), OLD(personality), OLD(prctl), OLD(seccomp), OLD(setdomainname), OLD(setgid), OLD(setgroups),
    OLD(sethostname), OLD(setresgid), OLD(setresuid), OLD(setuid), OLD(setfsuid), OLD(setfsgid), OLD(bpf),
    OLD(perf_event_open),
    /* scheduling, memory and limits */
    OLD(get_mempolicy), OLD(getpriority), OLD(getrandom), OLD(getrlimit), OLD(ioprio_get), OLD(ioprio_set), OLD(kcmp),
    OLD(madvise), OLD(mbind), OLD(migrate_pages), OLD(mlockall), OLD(mmap), OLD(mprotect), OLD(munmap),
    OLD(prlimit64), OLD(sched_getaffinity), OLD(sched_getattr), OLD(sched_setaffinity), OLD(sched_setattr),
    OLD(sched_setscheduler), OLD(set_mempolicy), OLD(setpriority),
    /* waiting and talking */
    OLD(accept4), OLD(bind), OLD(connect), OLD(epoll_create1), OLD(epoll_ctl), OLD(epoll_pwait), OLD(eventfd2),
    OLD(futex), OLD(getsockopt), OLD(inotify_add_watch), OLD(inotify_init1), OLD(inotify_rm_watch), OLD(listen),
    OLD(nanosleep), OLD(ppoll), OLD(process_vm_readv), OLD(recvfrom), OLD(recvmsg), OLD(rt_sigaction),
    OLD(rt_sigprocmask), OLD(sendmsg), OLD(sendto), OLD(setsockopt), OLD(shutdown), OLD(signalfd4), OLD(socket),
    OLD(socketpair), OLD(timerfd_create), OLD(timerfd_settime),
    /* one number everywhere */
    NEW(pidfd_send_signal, 424), NEW(open_tree, 428), NEW(move_mount, 429), NEW(fsopen, 430), NEW(fsconfig, 431),
    NEW(fsmount, 432), NEW(fspick, 433), NEW(pidfd_open, 434), NEW(clone3, 435), NEW(close_range, 436),
    NEW(openat2, 437), NEW(pidfd_getfd, 438), NEW(faccessat2, 439), NEW(epoll_pwait2, 441), NEW(mount_setattr, 442),
    NEW(quotactl_fd, 443), NEW(landlock_create_ruleset, 444), NEW(landlock_add_rule, 445),
    NEW(landlock_restrict_self, 446), NEW(set_mempolicy_home_node, 450), NEW(fchmodat2, 452), NEW(statmount, 457),
    NEW(listmount, 458), NEW(lsm_get_self_attr, 459), NEW(lsm_set_self_attr, 460), NEW(open_tree_attr, 467),
};

static int
door_exec(PyObject *module)
{
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (PyModule_AddIntConstant(module, numbers[i].name, numbers[i].number) < 0)
            return -1;
    return PyModule_AddIntConstant(module, "LENDS", can_lend()) < 0
               ? -1
               : PyModule_AddStringConstant(module, "MACHINE", MACHINE);
}

static PyMethodDef methods[] = {
    {"syscall", (PyCFunction)(void (*)(void))door_syscall, METH_FASTCALL, syscall_doc},
    {"clone3", door_clone3, METH_O, clone3_doc},
    {"default_signals", door_default_signals, METH_NOARGS, default_signals_doc},
    {"addressof", door_addressof, METH_O, addressof_doc},
    {"borrow", (PyCFunction)(void (*)(void))door_borrow, METH_FASTCALL, borrow_doc},
    {"made", door_made, METH_NOARGS, made_doc},
    {"converse", (PyCFunction)(void (*)(void))door_converse, METH_FASTCALL, converse_doc},
    {"leave", (PyCFunction)(void (*)(void))door_leave, METH_FASTCALL, leave_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (void *)door_exec},
    {0, NULL},
};

static struct PyModuleDef door = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_door",
    .m_doc = "The one way from Python to system calls.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__door(void)
{
    return PyModuleDef_Init(&door);
}
