/* A child that borrows our memory: see borrow.h. */
#include "borrow.h"

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "syscall6.h"

#define STACK (1UL << 20) /* of the child; what it does not touch costs nothing */
#define MAX_MESSAGE 65536
#define MAX_SAID 8 /* messages between two times of listening */
#define MAX_CALLS 64
#define MAX_ARGS 6

/* A system call; an argument may be what the one before it has returned. */
struct call {
    u64 number, args[MAX_ARGS];
    int result[MAX_ARGS];
};

/* The lock of allocator.c is free again; not there in another interpreter. */
extern void arena_alone(void) __attribute__((weak));

/* There is one at a time: another would need a stack of its own. */
static struct {
    PyThreadState *state;
    PyObject *life;
    pid_t pid;
    int end, others_end; /* of the socket pair: the child's, and the parent's, which the child has too */
    PyObject *kept; /* what the calls point to */
    struct call calls[MAX_CALLS];
    Py_ssize_t many, done; /* of these calls */
} child;

int
can_lend(void)
{
    return PY_VERSION_HEX < 0x030C0000 && arena_alone != NULL; /* what is said of thread states here is that of 3.11 */
}

/* Up to the first that fails: Python will make it again, and say what that means. */
static void
make_calls(void)
{
    u64 args[MAX_ARGS], result = 0;

    for (; child.done < child.many; child.done++) {
        const struct call *const call = &child.calls[child.done];

        for (int i = 0; i < MAX_ARGS; i++)
            args[i] = call->result[i] ? result : call->args[i];
        result = syscall6(call->number, args[0], args[1], args[2], args[3], args[4], args[5]);
        if (failed(result))
            break;
    }
}

/* On a stack of its own. The parent runs as well, so nothing here may be Python's, or errno, before it has waited. */
static void
live(void *Py_UNUSED(argument))
{
    char first;

    syscall6(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0);
    syscall6(SYS_close, (u64)child.others_end, 0, 0, 0, 0, 0); /* or we would never hear of the parent's end */
    make_calls();
    if (syscall6(SYS_recvfrom, (u64)child.end, (u64)&first, 1, MSG_PEEK, 0, 0) != 1)
        _exit(1); /* the parent was killed, and with it perhaps the GIL was lost */
    PyEval_RestoreThread(child.state);
    PyObject_CallNoArgs(child.life);
    _exit(1); /* it should not have returned */
}

/* clone(2) or clone3(2), where the child begins with a call on its new stack: C has no words for it. */
static long
clone_onto(long number, u64 first, u64 second, void (*begin)(void *))
{
#if defined(__x86_64__)
    register void (*r8)(void *) __asm__("r8") = begin;
    long result = number;

    __asm__ volatile("syscall\n"
                     "test %%rax, %%rax\n"
                     "jnz 1f\n"
                     "xor %%ebp, %%ebp\n"
                     "xor %%edi, %%edi\n"
                     "call *%%r8\n"
                     "1:\n"
                     : "+a"(result)
                     : "D"(first), "S"(second), "d"(0UL), "r"(r8)
                     : "rcx", "r11", "memory");
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long result __asm__("x0") = (long)first;
    register u64 x1 __asm__("x1") = second;
    register void (*x9)(void *) __asm__("x9") = begin;

    __asm__ volatile("svc #0\n"
                     "cbnz x0, 1f\n"
                     "mov x29, #0\n"
                     "mov x30, #0\n"
                     "blr x9\n"
                     "1:\n"
                     : "+r"(result)
                     : "r"(x8), "r"(x1), "r"(x9)
                     : "memory");
#endif
    return result;
}

static long
clone_child(struct clone_args *arguments)
{
    long pid = clone_onto(SYS_clone3, (u64)arguments, sizeof *arguments, live);

    /* As in door.c: filters of outer containers do not know clone3, and clone(2) has the same namespaces */
    if ((pid == -ENOSYS || pid == -EPERM) && arguments->flags >> 32 == 0)
        pid = clone_onto(SYS_clone, arguments->flags | arguments->exit_signal, arguments->stack + STACK, live);
    return pid;
}

const char borrow_doc[] =
    "borrow($module, flags, exit_signal, cgroup, end, others_end, life, calls, /)\n--\n\n"
    "Clone a child that borrows our memory: its process id.\n\n"
    "It closes others_end, the parent's of a socket pair, makes some system calls up to the first that fails (made() is\n"
    "how many did not), and calls life() as soon as its own end has something to hear. A call is a tuple: its number,\n"
    "and arguments that are int, bytes, or None for what the call before it has returned. Raises OSError when the kernel\n"
    "refuses to clone.";

static int
take_call(PyObject *tuple, struct call *call)
{
    Py_ssize_t many;

    memset(call, 0, sizeof *call);
    if (!PyTuple_Check(tuple) || (many = PyTuple_GET_SIZE(tuple)) < 1 || many > MAX_ARGS + 1) {
        PyErr_SetString(PyExc_TypeError, "a call is a tuple of a number and up to 6 arguments");
        return -1;
    }
    call->number = PyLong_AsUnsignedLong(PyTuple_GET_ITEM(tuple, 0));
    for (Py_ssize_t i = 0; i + 1 < many; i++) {
        PyObject *const arg = PyTuple_GET_ITEM(tuple, i + 1);

        if (arg == Py_None)
            call->result[i] = 1;
        else if (PyBytes_Check(arg))
            call->args[i] = (u64)PyBytes_AS_STRING(arg);
        else
            call->args[i] = PyLong_AsUnsignedLong(arg);
    }
    return PyErr_Occurred() ? -1 : 0;
}

static int
take_calls(PyObject *list)
{
    if (!PyList_Check(list) || PyList_GET_SIZE(list) > MAX_CALLS) {
        PyErr_SetString(PyExc_TypeError, "calls are a list, and few");
        return -1;
    }
    child.done = 0;
    child.many = PyList_GET_SIZE(list);
    for (Py_ssize_t i = 0; i < child.many; i++)
        if (take_call(PyList_GET_ITEM(list, i), &child.calls[i]) < 0)
            return -1;
    Py_XSETREF(child.kept, PyList_AsTuple(list));
    return child.kept == NULL ? -1 : 0;
}

PyObject *
door_borrow(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    struct clone_args arguments = {0};
    long numbers[5], pid;
    char *stack;

    if (count != 7 || child.state != NULL || !can_lend()) {
        PyErr_SetString(PyExc_RuntimeError, "there is no second borrower, nor one in another interpreter");
        return NULL;
    }
    for (int i = 0; i < 5; i++) {
        numbers[i] = PyLong_AsLong(args[i]);
        if (numbers[i] == -1 && PyErr_Occurred())
            return NULL;
    }
    if (take_calls(args[6]) < 0)
        return NULL;
    stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED)
        return PyErr_SetFromErrno(PyExc_OSError);
    child.state = PyThreadState_New(PyInterpreterState_Get());
    if (child.state == NULL) {
        munmap(stack, STACK);
        return PyErr_NoMemory();
    }
    child.end = (int)numbers[3];
    child.others_end = (int)numbers[4];
    child.life = Py_NewRef(args[5]);
    arguments.flags = (unsigned long)numbers[0] | CLONE_VM;
    arguments.exit_signal = (unsigned long)numbers[1];
    arguments.stack = (unsigned long)stack;
    arguments.stack_size = STACK;
    arguments.cgroup = (unsigned long)numbers[2]; /* if CLONE_INTO_CGROUP is among the flags */
    pid = clone_child(&arguments);
    if (pid < 0) {
        PyThreadState_Clear(child.state);
        PyThreadState_Delete(child.state);
        child.state = NULL;
        Py_CLEAR(child.life);
        munmap(stack, STACK);
        errno = (int)-pid;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    child.pid = (pid_t)pid;
    return PyLong_FromLong(pid);
}

const char made_doc[] = "made($module, /)\n--\n\nHow many of its calls the child has made before it began its life.";

PyObject *
door_made(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    return PyLong_FromSsize_t(child.done);
}

/* One message, and a descriptor or -1. That nobody is there any more is no failure: it is what will be heard next. */
static int
say(int end, const char *text, size_t length, int descriptor)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof descriptor)];
    } rights = {.header = {CMSG_LEN(sizeof descriptor), SOL_SOCKET, SCM_RIGHTS}};
    struct iovec part = {(char *)text, length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    if (descriptor >= 0) {
        memcpy(CMSG_DATA(&rights.header), &descriptor, sizeof descriptor);
        message.msg_control = &rights;
        message.msg_controllen = sizeof rights;
    }
    while (sendmsg(end, &message, MSG_NOSIGNAL) < 0)
        if (errno != EINTR)
            return errno == EPIPE || errno == ECONNRESET ? 0 : -1;
    return 0;
}

/* The next message: its length, 0 for the end of file, -1 for a failure. */
static ssize_t
hear(int end, char *text, int *descriptor)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof *descriptor)];
    } rights;
    struct iovec part = {text, MAX_MESSAGE};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof rights};
    ssize_t length;
    int resets = 0; /* one, of who ended without having read all; what it has said is there nevertheless */

    do
        length = recvmsg(end, &message, MSG_CMSG_CLOEXEC);
    while (length < 0 && (errno == EINTR || (errno == ECONNRESET && resets++ == 0)));
    *descriptor = -1;
    if (length > 0 && message.msg_controllen >= CMSG_LEN(sizeof *descriptor))
        memcpy(descriptor, CMSG_DATA(&rights.header), sizeof *descriptor);
    return length;
}

/* To be alone, whatever the child is doing. */
static void
end_child(int end)
{
    char message[MAX_MESSAGE];
    ssize_t length;

    kill(child.pid, SIGKILL);
    do
        length = recv(end, message, sizeof message, 0);
    while (length > 0 || (length < 0 && (errno == EINTR || errno == ECONNRESET)));
}

struct said {
    char *text;
    Py_ssize_t length;
    int descriptor;
};

/* How many messages a list has, -1 for what is none. They stay the list's. */
static Py_ssize_t
take_said(PyObject *list, struct said *said)
{
    if (!PyList_Check(list) || PyList_GET_SIZE(list) > MAX_SAID) {
        PyErr_SetString(PyExc_TypeError, "what was said is a list, and short");
        return -1;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++, said++)
        if (!PyArg_ParseTuple(PyList_GET_ITEM(list, i), "y#i", &said->text, &said->length, &said->descriptor))
            return -1;
    return PyList_GET_SIZE(list);
}

/* Python goes on here, after a message, or alone. */
static void
go_on(PyThreadState *mine, int alone)
{
    if (!alone) {
        PyEval_RestoreThread(mine);
        return;
    }
    PyThreadState_Swap(mine);
    if (can_lend())
        arena_alone();
    PyOS_AfterFork_Child();
    child.state = NULL; /* gone with all others */
}

const char converse_doc[] =
    "converse($module, end, said, /)\n--\n\n"
    "Send what was said, a list of (message, descriptor or -1), and let the other side run until it has an answer.\n\n"
    "Returns that, and a descriptor or -1. b'' is the end of file: the other side has left our memory. Raises OSError when\n"
    "it cannot be sent or received; the parent has ended its child then.";

PyObject *
door_converse(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    PyThreadState *const mine = PyThreadState_Get();
    const int is_child = mine == child.state;
    struct said said[MAX_SAID];
    char message[MAX_MESSAGE];
    Py_ssize_t many, length = 0;
    int end, descriptor, error;

    if (count != 2 || ((end = (int)PyLong_AsLong(args[0])) == -1 && PyErr_Occurred()) ||
        (many = take_said(args[1], said)) < 0)
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_TypeError, "converse takes an end and a list");
    PyEval_SaveThread();
    for (Py_ssize_t i = 0; i < many && length == 0; i++)
        length = say(end, said[i].text, (size_t)said[i].length, said[i].descriptor);
    if (length == 0)
        length = hear(end, message, &descriptor);
    error = errno;
    if (length == 0 && is_child)
        _exit(1); /* nobody is there to hear why */
    if (length < 0 && !is_child && child.state != NULL)
        end_child(end); /* it may be running: two at once is what must not be */
    go_on(mine, length <= 0 && !is_child);
    if (length < 0) {
        errno = error;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return Py_BuildValue("y#i", message, length, descriptor);
}

const char leave_doc[] = "leave($module, end, message, /)\n--\n\n"
                         "Send the last message of a child, and end it: nothing of Python runs here any more.";

PyObject *
door_leave(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    char *text;
    Py_ssize_t length;
    int end;

    if (count != 2 || PyBytes_AsStringAndSize(args[1], &text, &length) < 0)
        return NULL;
    end = (int)PyLong_AsLong(args[0]);
    PyEval_SaveThread();
    say(end, text, (size_t)length, -1);
    _exit(1);
}
