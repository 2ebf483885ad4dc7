/*
 * malloc(3) and its family, within one region at a fixed address (image.h).
 *
 * Blocks come in classes, four to each power of two; a freed block waits for
 * the next request of its class. Nothing goes back to the kernel: a command
 * is over in milliseconds. What is allocated before arena_open(), by the
 * loader and the C library, lies apart and stays.
 */
#define _GNU_SOURCE
#include "image.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define ALIGNMENT 16
#define SMALLEST 64 /* bytes, with the header; so that the classes above are multiples of ALIGNMENT */
#define CLASSES 160
#define EARLY (64UL * 1024)
#define STEP (1UL << 20) /* the arena grows by */
#define ROOM (1UL << 34) /* and never beyond */

struct block {
    size_t class;
    size_t room; /* bytes behind this header */
};

struct hole {
    struct hole *next;
};

static struct hole *holes[CLASSES];
static char *end;   /* of what is in use of the arena; NULL before it is open */
static char *limit; /* of what is mapped of it */
static atomic_flag busy = ATOMIC_FLAG_INIT;

static char *early; /* what is left for those who come before the arena is open, anywhere */
static size_t early_left;

static size_t
class_of(size_t size)
{
    size_t top;

    if (size <= SMALLEST)
        return 0;
    top = 63 - (size_t)__builtin_clzl(size - 1);
    return (top - 6) * 4 + (((size - 1) >> (top - 2)) & 3) + 1;
}

static size_t
size_of(size_t class)
{
    size_t top;

    if (class == 0)
        return SMALLEST;
    top = (class - 1) / 4 + 6;
    return (1UL << top) + (((class - 1) % 4 + 1) << (top - 2));
}

static int
map_to(char *wanted)
{
    size_t more = ((size_t)(wanted - limit) + STEP - 1) & ~(STEP - 1);
    void *at;

    if (wanted > ARENA + ROOM)
        return -1;
    at = mmap(limit, more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (at != limit) {
        if (at != MAP_FAILED)
            munmap(at, more); /* a kernel before 4.17 does not know the flag */
        return -1;
    }
    limit += more;
    return 0;
}

int
arena_open(void)
{
    limit = ARENA;
    if (map_to(ARENA + STEP) < 0)
        return -1;
    end = ARENA;
    return 0;
}

char *
arena_close(void)
{
    char *const last = ARENA + (((size_t)(end - ARENA) + PAGE - 1) & ~(PAGE - 1));

    munmap(last, (size_t)(limit - last));
    limit = last;
    for (size_t class = 0; class < CLASSES; class++)
        for (struct hole *hole = holes[class]; hole != NULL; hole = hole->next)
            memset(hole + 1, 0, ((struct block *)hole - 1)->room - sizeof *hole);
    memset(holes, 0, sizeof holes); /* among what stays: what comes shall not be written there */
    return limit;
}

static struct block *
from_early(size_t size)
{
    struct block *block;

    size = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1UL);
    if (size > early_left) {
        early = mmap(NULL, size + EARLY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (early == MAP_FAILED)
            return NULL;
        early_left = size + EARLY;
    }
    block = (struct block *)early;
    early += size;
    early_left -= size;
    block->room = size - sizeof *block;
    return block;
}

static struct block *
from_arena(size_t size)
{
    size_t class = class_of(size), whole = size_of(class);
    struct block *block = (struct block *)end;

    if (holes[class] != NULL) {
        block = (struct block *)holes[class] - 1;
        holes[class] = holes[class]->next;
        return block;
    }
    if (end + whole > limit && map_to(end + whole) < 0)
        return NULL;
    end += whole;
    block->class = class;
    block->room = whole - sizeof *block;
    return block;
}

static void
lock(void)
{
    while (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire))
        continue;
}

static void
unlock(void)
{
    atomic_flag_clear_explicit(&busy, memory_order_release);
}

void *
malloc(size_t size)
{
    struct block *block = NULL;

    lock();
    if (size < ROOM)
        block = end != NULL ? from_arena(size + sizeof *block) : from_early(size + sizeof *block);
    unlock();
    if (block == NULL)
        errno = ENOMEM;
    return block != NULL ? block + 1 : NULL;
}

void
free(void *memory)
{
    struct block *block = (struct block *)memory - 1;
    struct hole *hole = memory;

    if ((char *)memory < ARENA || (char *)memory >= end)
        return; /* NULL, or of the early ones */
    lock();
    hole->next = holes[block->class];
    holes[block->class] = hole;
    unlock();
}

void *
calloc(size_t count, size_t size)
{
    void *memory;

    if (__builtin_mul_overflow(count, size, &size)) {
        errno = ENOMEM;
        return NULL;
    }
    memory = malloc(size);
    if (memory != NULL)
        memset(memory, 0, size);
    return memory;
}

void *
realloc(void *memory, size_t size)
{
    struct block *block = (struct block *)memory - 1;
    void *larger;

    if (memory != NULL && size <= block->room)
        return memory;
    larger = malloc(size);
    if (memory != NULL && larger != NULL) {
        memcpy(larger, memory, block->room);
        free(memory);
    }
    return larger;
}

/* The room before the aligned address is given up: what needs this, arenas of Python above all, is kept for long. */
void *
aligned_alloc(size_t alignment, size_t size)
{
    char *memory;
    struct block *block;

    if (alignment <= ALIGNMENT)
        return malloc(size);
    size += SMALLEST;
    memory = malloc(size + alignment);
    if (memory == NULL)
        return NULL;
    memory = (char *)(((uintptr_t)memory + sizeof *block + alignment - 1) & ~(uintptr_t)(alignment - 1));
    block = (struct block *)memory - 1;
    block->room = size - sizeof *block;
    block->class = class_of(size);
    if (size_of(block->class) > size)
        block->class--; /* the next to have it may not expect more than there is */
    return memory;
}

void *
memalign(size_t alignment, size_t size)
{
    return aligned_alloc(alignment, size);
}

int
posix_memalign(void **memory, size_t alignment, size_t size)
{
    *memory = aligned_alloc(alignment, size);
    return *memory != NULL ? 0 : ENOMEM;
}

size_t
malloc_usable_size(void *memory)
{
    return memory != NULL ? ((struct block *)memory - 1)->room : 0;
}
