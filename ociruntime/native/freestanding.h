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

#include "syscall6.h"

__attribute__((used)) static _Noreturn void entry(const u64 *stack);

#if defined(__x86_64__)

__asm__(".globl _start\n"
        "_start:\n"
        "    xor %ebp, %ebp\n"
        "    mov %rsp, %rdi\n"
        "    and $-16, %rsp\n"
        "    call entry\n");

#elif defined(__aarch64__)

__asm__(".globl _start\n"
        "_start:\n"
        "    mov x29, #0\n"
        "    mov x30, #0\n"
        "    mov x0, sp\n"
        "    bl entry\n");

#else
#error "ociruntime knows x86_64 and aarch64; port native/freestanding.h to this machine first"
#endif

static _Noreturn void
leave(int status)
{
    syscall6(__NR_exit_group, (u64)status, 0, 0, 0, 0, 0);
    __builtin_trap(); /* a seccomp filter may refuse even to end: then by a signal, not never */
}

#endif
