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
 * failed (told to the report descriptor) or the peer is gone, 121 no valid tape.
 */
#include <asm/unistd.h>

typedef unsigned long u64;

#define TAPE_BASE 0x100000000UL
#define TAPE_MAGIC 0x3130455041544f43UL /* "COTAPE01" */
#define NONE (~0UL)

#define FLAG_IGNORE (1UL << 8)  /* a failure of this record does not matter */
#define FLAG_NONZERO (1UL << 9) /* result 0 (end of file): the peer is gone, leave without a word */

#define EXIT_FAILED 1
#define EXIT_NO_TAPE 121

/* From uapi headers, which not every libc-free build has. */
#define EINTR 4
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

#if defined(__x86_64__)

__asm__(".globl _start\n"
        "_start:\n"
        "    xor %ebp, %ebp\n"
        "    mov %rsp, %rdi\n"
        "    and $-16, %rsp\n"
        "    call player\n");

static u64
syscall6(u64 number, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
    register u64 r10 __asm__("r10") = d;
    register u64 r8 __asm__("r8") = e;
    register u64 r9 __asm__("r9") = f;
    u64 result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

#elif defined(__aarch64__)

__asm__(".globl _start\n"
        "_start:\n"
        "    mov x29, #0\n"
        "    mov x30, #0\n"
        "    mov x0, sp\n"
        "    bl player\n");

static u64
syscall6(u64 number, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
    register u64 x8 __asm__("x8") = number;
    register u64 x0 __asm__("x0") = a;
    register u64 x1 __asm__("x1") = b;
    register u64 x2 __asm__("x2") = c;
    register u64 x3 __asm__("x3") = d;
    register u64 x4 __asm__("x4") = e;
    register u64 x5 __asm__("x5") = f;

    __asm__ volatile("svc #0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
}

#else
#error "ociruntime knows x86_64 and aarch64; port native/player.c to this machine first"
#endif

static int
failed(u64 result)
{
    return result > -4096UL;
}

static void
leave(int status)
{
    for (;;)
        syscall6(__NR_exit_group, (u64)status, 0, 0, 0, 0, 0);
}

/* The mapped tape, its descriptor closed: the container's program must not inherit it. */
static struct tape *
load(const char *decimal)
{
    u64 fd = 0, size;
    struct tape *tape = (struct tape *)TAPE_BASE;

    if (decimal == 0 || *decimal == '\0')
        leave(EXIT_NO_TAPE);
    for (; *decimal != '\0'; decimal++)
        fd = fd * 10 + (u64)(*decimal - '0');
    size = syscall6(__NR_lseek, fd, 0, SEEK_END, 0, 0, 0);
    if (failed(size) || size < sizeof *tape)
        leave(EXIT_NO_TAPE);
    if (syscall6(__NR_mmap, TAPE_BASE, size, PROT_READ_WRITE, MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, 0) != TAPE_BASE)
        leave(EXIT_NO_TAPE);
    syscall6(__NR_close, fd, 0, 0, 0, 0, 0);
    if (tape->magic != TAPE_MAGIC || tape->count > (size - sizeof *tape) / sizeof *tape->records)
        leave(EXIT_NO_TAPE);
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

__attribute__((noreturn, used)) static void
player(const u64 *stack)
{
    struct tape *tape;

    /* argc, argv[0], argv[1] */
    tape = load(stack[0] > 1 ? (const char *)stack[2] : 0);
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
    __builtin_unreachable();
}
