/*
 * What a program without a C library needs to live: an entry point and system
 * calls. The start of a C library costs up to half a millisecond (it asks the
 * processor for its features, slowly where that is a virtual one), for nothing
 * that these programs use.
 *
 * The program defines `static _Noreturn void entry(const u64 *stack)`; the
 * stack is what execve(2) leaves: argc, argv..., 0, envp..., 0.
 */
#ifndef OCIRUNTIME_FREESTANDING_H
#define OCIRUNTIME_FREESTANDING_H

#include <asm/errno.h>
#include <asm/unistd.h>

typedef unsigned long u64;

__attribute__((used)) static _Noreturn void entry(const u64 *stack);

#if defined(__x86_64__)

__asm__(".globl _start\n"
        "_start:\n"
        "    xor %ebp, %ebp\n"
        "    mov %rsp, %rdi\n"
        "    and $-16, %rsp\n"
        "    call entry\n");

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
        "    bl entry\n");

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
#error "ociruntime knows x86_64 and aarch64; port native/freestanding.h to this machine first"
#endif

/* A result is an error number when it is one of the last page of addresses. */
static int
failed(u64 result)
{
    return result > -4096UL;
}

static _Noreturn void
leave(int status)
{
    syscall6(__NR_exit_group, (u64)status, 0, 0, 0, 0, 0);
    __builtin_trap(); /* a seccomp filter may refuse even to end: then by a signal, not never */
}

#endif
