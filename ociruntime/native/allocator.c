/*
 * malloc(3) and its family, within one region at a fixed address (image.h).
 *
 * Blocks come in classes, sixteen to each power of two; a freed block waits for
 * the next request of its class, or of a smaller one. Nothing goes back to the kernel: a command
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
#define SMALLEST 256 /* bytes, with the header; so that the classes above are multiples of ALIGNMENT */
#define CLASSES 640
#define EARLY (64UL * 1024)
#define STEP (1UL << 20) /* the arena grows by */
#define ROOM (1UL << 34) /* and never by as much at once */
#define LARGE (32UL * 1024)

struct block {
    size_t class;
    size_t room; /* bytes behind this header */
};

struct hole {
    struct hole *next;
};

static struct hole *holes[CLASSES];

struct region {
    char *end;   /* of what is in use; NULL before it is open */
    char *limit; /* of what is mapped */
};

static struct region hot, cold;
static struct region *now = &hot;
static size_t cold_from = ROOM; /* blocks of this size are in the cold region, whenever they come */
static atomic_flag busy = ATOMIC_FLAG_INIT;

static char *early; /* what is left for those who come before the arena is open, anywhere */
static size_t early_left;

static size_t
up(size_t number, size_t multiple)
{
    return (number + multiple - 1) & ~(multiple - 1);
}

static size_t
class_of(size_t size)
{
    size_t top;

    if (size <= SMALLEST)
        return 0;
    top = 63 - (size_t)__builtin_clzl(size - 1);
    return (top - 8) * 16 + (((size - 1) >> (top - 4)) & 15) + 1;
}

/* The least that a block of a class has. */
static size_t
size_of(size_t class)
{
    size_t top;

    if (class == 0)
        return SMALLEST;
    top = (class - 1) / 16 + 8;
    return (1UL << top) + (((class - 1) % 16 + 1) << (top - 4));
}

/* The last class whose blocks may all be as large as this one. */
static size_t
class_within(size_t size)
{
    const size_t class = class_of(size);

    return size_of(class) > size ? class - 1 : class;
}

static int
map_to(struct region *region, char *wanted)
{
    size_t more = up((size_t)(wanted - region->limit), STEP);
    void *at;

    if (more > ROOM)
        return -1;
    at = mmap(region->limit, more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (at != region->limit) {
        if (at != MAP_FAILED)
            munmap(at, more); /* a kernel before 4.17 does not know the flag */
        return -1;
    }
    region->limit += more;
    return 0;
}

static int
open_region(struct region *region, char *start)
{
    region->end = region->limit = start;
    return map_to(region, start + STEP);
}

int
arena_open(void)
{
    cold_from = LARGE;
    return open_region(&cold, COLD_ARENA) < 0 || open_region(&hot, ARENA) < 0 ? -1 : 0;
}

void
arena_turn(void)
{
    now = &cold;
}

/* Give back what is mapped beyond the end of what is in use, which becomes the end of what is mapped. */
static char *
trim(struct region *region)
{
    char *const last = (char *)up((size_t)region->end, PAGE);

    if (last < region->limit)
        munmap(last, (size_t)(region->limit - last));
    return region->limit = last;
}

void
arena_close(char **hot_end, char **cold_end)
{
    now = &hot;
    cold_from = ROOM;
    *hot_end = trim(&hot);
    *cold_end = trim(&cold);
    memset(holes, 0, sizeof holes); /* among what stays: what comes shall not be written there */
}

void
arena_reaches(char *mapped)
{
    hot.limit = mapped;
}

static struct block *
from_early(size_t size)
{
    struct block *block;

    size = up(size, ALIGNMENT);
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

/* What is behind the first bytes of a block becomes one of its own, if it is large enough to be. */
static void
split(struct block *block, size_t whole)
{
    struct block *const rest = (struct block *)((char *)block + whole);
    const size_t left = sizeof *block + block->room - whole;
    struct hole *const hole = (struct hole *)(rest + 1);

    if (left < SMALLEST)
        return;
    block->room = whole - sizeof *block;
    block->class = class_within(whole);
    rest->room = left - sizeof *rest;
    rest->class = class_within(left);
    hole->next = holes[rest->class];
    holes[rest->class] = hole;
}

static struct block *
from_hole(size_t class, size_t whole)
{
    const size_t classes = whole < cold_from ? class_of(cold_from) : CLASSES;
    struct block *block;

    while (class < classes && holes[class] == NULL)
        class++;
    if (class >= classes)
        return NULL;
    block = (struct block *)holes[class] - 1;
    holes[class] = holes[class]->next;
    split(block, whole);
    return block;
}

/* Zeros, if they were never given out before. */
static struct block *
from_end(struct region *region, size_t size)
{
    struct block *block = (struct block *)region->end;

    if (region->end + size > region->limit && map_to(region, region->end + size) < 0)
        return NULL;
    region->end += size;
    block->class = class_within(size);
    block->room = size - sizeof *block;
    return block;
}

static struct block *
from_arena(size_t size)
{
    const size_t class = class_of(size), whole = size_of(class);
    struct block *const block = from_hole(class, whole);

    return block != NULL ? block : from_end(whole < cold_from ? now : &cold, whole);
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

/* A thread that held the lock is no more (borrow.h). */
void
arena_alone(void)
{
    unlock();
}

void *
malloc(size_t size)
{
    struct block *block = NULL;

    lock();
    if (size < ROOM)
        block = hot.end != NULL ? from_arena(size + sizeof *block) : from_early(size + sizeof *block);
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

    if ((char *)memory < ARENA || (char *)memory >= cold.end)
        return; /* NULL, or of the early ones */
    lock();
    if (cold_from != ROOM)
        memset(memory, 0, block->room); /* what was the C library's, such as a file, points into it */
    hole->next = holes[block->class];
    holes[block->class] = hole;
    unlock();
}

void *
calloc(size_t count, size_t size)
{
    struct block *block;
    void *memory;

    if (__builtin_mul_overflow(count, size, &size)) {
        errno = ENOMEM;
        return NULL;
    }
    if (size >= cold_from) { /* whoever wants so many zeros at once uses few of them */
        lock();
        block = from_end(&cold, up(size + sizeof *block, ALIGNMENT));
        unlock();
        return block != NULL ? block + 1 : NULL;
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

/* Behind all others, as large as asked and no larger: what needs this, arenas of Python above all, is large and kept. */
void *
aligned_alloc(size_t alignment, size_t size)
{
    struct block *block = NULL;
    char *memory;

    if (alignment <= ALIGNMENT || hot.end == NULL)
        return malloc(size); /* before the arena is open nobody asks for more */
    size = up(size < SMALLEST ? SMALLEST : size, ALIGNMENT);
    lock();
    memory = (char *)up((size_t)now->end + sizeof *block, alignment);
    if (size < ROOM && (memory + size <= now->limit || map_to(now, memory + size) == 0)) {
        now->end = memory + size;
        block = (struct block *)memory - 1;
        block->room = size;
        block->class = class_within(size + sizeof *block);
    }
    unlock();
    if (block == NULL)
        errno = ENOMEM;
    return block != NULL ? memory : NULL;
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
