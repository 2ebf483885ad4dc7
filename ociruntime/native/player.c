/*
 * The player: the last thing in a container before its own program.
 *
 * Python writes down the system calls that are left to make (wait for start,
 * load the seccomp filter, execve) as a "tape"; this program, executed from a
 * sealed memfd, plays it. So /proc/self/exe of a container is never the host's
 * interpreter (CVE-2019-5736), and one that waits for `start` holds three pages
 * of memory, not an interpreter.
 *
 * Freestanding on purpose: no libc, no data, no relocations, one segment. The
 * layout of the tape is described once, in core/launch/tape.py.
 *
 * argv[1] is the descriptor of the tape, in decimal. Exit status: 1 a record
 * failed (told to the report descriptor) or the peer is gone, 128 + n signal n
 * has come, 121 no valid tape: a container whose program is /proc/1/exe executes
 * this file a second time, and execve has no reason to refuse, so the player says
 * why nothing runs.
 */
#include "freestanding.h"

#define TAPE_BASE 0x100000000UL
#define TAPE_MAGIC 0x3130455041544f43UL /* "COTAPE01" */
#define NONE (~0UL)

#define FLAG_IGNORE (1UL << 8)  /* a failure of this record does not matter */
#define FLAG_NONZERO (1UL << 9) /* result 0 (end of file): the peer is gone, leave without a word */

#define EXIT_FAILED 1
#define EXIT_NO_TAPE 121

/* From fcntl.h, signal.h and sys/mman.h, which belong to a C library. */
#define SIGHUP 1
#define SIGINT 2
#define SIGTERM 15
#define SA_RESTORER 0x04000000
#define SEEK_END 2
#define PROT_READ_WRITE 3
#define MAP_PRIVATE 0x02
#define MAP_FIXED_NOREPLACE 0x100000
#define MSG_NOSIGNAL 0x4000

struct record {
    u64 number; /* once played: the result */
    u64 flags;  /* bit i of the lowest six: argument i is the result of record args[i] */
    u64 args[6];
};

struct tape {
    u64 magic;
    u64 count;
    u64 report_record; /* the record whose result is the report descriptor, or NONE ... */
    u64 report_fd;     /* ... then this one, or NONE */
    struct record records[];
};

static _Noreturn void
ended(int number)
{
    leave(128 + number); /* as a shell tells of it */
}

static const char NO_PROGRAM[] =
    "exec /proc/self/exe: exec format error (ENOEXEC); until the container's program runs this is the runtime's own, "
    "so name a file of the image in process.args\n";
static const char NO_MEMORY[] =
    "mmap of what create has prepared: cannot allocate memory (ENOMEM); raise the limit of memory\n";

#define REFUSE(line) refuse(line, sizeof(line) - 1)

static _Noreturn void
refuse(const char *line, u64 length)
{
    syscall6(__NR_write, 2, (u64)line, length, 0, 0, 0);
    leave(EXIT_NO_TAPE);
}

/* As the kernel takes it, on both machines (asm/signal.h). */
struct action {
    u64 handler;
    u64 flags;
    u64 restorer;
    u64 mask;
};

/*
 * The kernel spares the first process of a pid namespace every signal that it
 * does not handle, so a container that waits for `start`, or is just about to
 * execute its program, would be deaf to the one that ends it.
 */
static void
end_by(int number)
{
    struct action action = {(u64)ended, SA_RESTORER, (u64)ended, 0};

    syscall6(__NR_rt_sigaction, (u64)number, (u64)&action, 0, sizeof action.mask, 0, 0);
}

/* The mapped tape, its descriptor closed: the container's program must not inherit it. */
static struct tape *
load(const char *decimal)
{
    u64 fd = 0, size;
    struct tape *tape = (struct tape *)TAPE_BASE;

    if (decimal == 0 || *decimal == '\0')
        REFUSE(NO_PROGRAM);
    for (; *decimal != '\0'; decimal++)
        fd = fd * 10 + (u64)(*decimal - '0');
    size = syscall6(__NR_lseek, fd, 0, SEEK_END, 0, 0, 0);
    if (failed(size) || size < sizeof *tape)
        REFUSE(NO_PROGRAM);
    if (syscall6(__NR_mmap, TAPE_BASE, size, PROT_READ_WRITE, MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, 0) != TAPE_BASE)
        REFUSE(NO_MEMORY);
    syscall6(__NR_close, fd, 0, 0, 0, 0, 0);
    if (tape->magic != TAPE_MAGIC || tape->count > (size - sizeof *tape) / sizeof *tape->records)
        REFUSE(NO_PROGRAM);
    return tape;
}

static u64
play(struct tape *tape, u64 index)
{
    struct record *record = &tape->records[index];
    u64 args[6], result;

    for (int i = 0; i < 6; i++) {
        args[i] = record->args[i];
        if ((record->flags >> i & 1) && args[i] < index)
            args[i] = tape->records[args[i]].number;
    }
    do
        result = syscall6(record->number, args[0], args[1], args[2], args[3], args[4], args[5]);
    while (result == -(u64)EINTR); /* no handler survives execve: a stop, a freeze, a tracer */
    record->number = result;
    return result;
}

static void
report(const struct tape *tape, u64 index, u64 error)
{
    u64 message[2] = {index, error};
    u64 fd = tape->report_fd;

    if (tape->report_record < index) /* else it has not been played yet, or is NONE */
        fd = tape->records[tape->report_record].number;
    if (fd == NONE)
        return;
    /* write(2): for a pipe, and for a seccomp filter that knows no sendto. */
    if (failed(syscall6(__NR_sendto, fd, (u64)message, sizeof message, MSG_NOSIGNAL, 0, 0)))
        syscall6(__NR_write, fd, (u64)message, sizeof message, 0, 0, 0);
}

static _Noreturn void
entry(const u64 *stack)
{
    struct tape *tape;

    /* argc, argv[0], argv[1] */
    tape = load(stack[0] > 1 ? (const char *)stack[2] : 0);
    end_by(SIGHUP);
    end_by(SIGINT);
    end_by(SIGTERM);
    for (u64 index = 0; index < tape->count; index++) {
        u64 flags = tape->records[index].flags;
        u64 result = play(tape, index);

        if (failed(result) && !(flags & FLAG_IGNORE)) {
            report(tape, index, -result);
            leave(EXIT_FAILED);
        }
        if (result == 0 && (flags & FLAG_NONZERO))
            leave(EXIT_FAILED);
    }
    leave(0);
}
