/* Saving and loading an image: see image.h. */
#define _GNU_SOURCE
#include "image.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define STAMPS_MAX (64UL * 1024)
#define KEPT_MAX 256
#define MAPPINGS_MAX 256

typedef unsigned long u64;

struct header {
    char magic[16];
    u64 time, size;            /* of the program */
    u64 data_start, data_size; /* of its data segment */
    u64 stamps_size;
    u64 arena_size;            /* 0: there can be no image */
    u64 file_size;
};

/* Where the linker put our data: variables with and without a value, but nothing that is read-only once relocated. */
extern char __data_start[], _end[];

static u64
up(u64 number)
{
    return (number + PAGE - 1) & ~(PAGE - 1);
}

/* Within the file: header, stamps, data as it lies within its pages, arena. */
static u64
place_of_data(const struct header *header)
{
    return up(sizeof *header + header->stamps_size) + header->data_start % PAGE;
}

static u64
place_of_arena(const struct header *header)
{
    return up(place_of_data(header) + header->data_size);
}

static u64
nanoseconds(const struct stat *file)
{
    return (u64)file->st_mtim.tv_sec * 1000000000UL + (u64)file->st_mtim.tv_nsec;
}

/* What a header of this very program begins with. */
static int
describe(struct header *header)
{
    struct stat program;

    if (sysconf(_SC_PAGESIZE) != PAGE || stat("/proc/self/exe", &program) < 0)
        return -1;
    memset(header, 0, sizeof *header);
    memcpy(header->magic, "ociruntime image", sizeof header->magic);
    header->time = nanoseconds(&program);
    header->size = (u64)program.st_size;
    header->data_start = (u64)__data_start;
    header->data_size = (u64)(_end - __data_start);
    return 0;
}

/*
 * What the loader has written into our data for this process alone: addresses
 * of the C library's functions, and its variables that live here (environ,
 * stdout). Theirs is another place in every process.
 */
struct kept {
    u64 count;
    u64 *at[KEPT_MAX];
    u64 value[KEPT_MAX];
};

static int
keep_relocated(struct kept *kept)
{
    const ElfW(Rela) *relocation = NULL;
    u64 size = 0;

    kept->count = 0;
    for (const ElfW(Dyn) *entry = _DYNAMIC; entry->d_tag != DT_NULL; entry++) {
        if (entry->d_tag == DT_RELA)
            relocation = (const ElfW(Rela) *)entry->d_un.d_ptr;
        if (entry->d_tag == DT_RELASZ)
            size = entry->d_un.d_val;
    }
    for (; relocation != NULL && size >= sizeof *relocation; relocation++, size -= sizeof *relocation) {
        if (relocation->r_offset < (u64)__data_start || relocation->r_offset >= (u64)_end)
            continue;
        if (kept->count == KEPT_MAX)
            return -1;
        kept->at[kept->count] = (u64 *)relocation->r_offset;
        kept->value[kept->count++] = *(u64 *)relocation->r_offset;
    }
    return 0;
}

static int
is_kept(const struct kept *kept, const u64 *at)
{
    for (u64 i = 0; i < kept->count; i++)
        if (kept->at[i] == at)
            return 1;
    return 0;
}

/* Files that are mapped here, other than our own program: libraries. */
struct mappings {
    u64 count;
    u64 start[MAPPINGS_MAX], end[MAPPINGS_MAX];
};

static int
find_libraries(struct mappings *libraries)
{
    char line[PATH_MAX + 256];
    FILE *maps = fopen("/proc/self/maps", "re");
    u64 start, end;

    libraries->count = 0;
    if (maps == NULL)
        return -1;
    while (fgets(line, sizeof line, maps) != NULL && libraries->count < MAPPINGS_MAX) {
        if (sscanf(line, "%lx-%lx", &start, &end) != 2 || strchr(line, '/') == NULL || start <= (u64)_end)
            continue;
        libraries->start[libraries->count] = start;
        libraries->end[libraries->count++] = end;
    }
    fclose(maps);
    return libraries->count < MAPPINGS_MAX ? 0 : -1;
}

static int
points_into(const struct mappings *libraries, u64 word)
{
    for (u64 i = 0; i < libraries->count; i++)
        if (word >= libraries->start[i] && word < libraries->end[i])
            return 1;
    return 0;
}

/* Whether no word between two addresses points into a library, other than what the loader writes anew. */
static int
stands_alone(const char *start, const char *end, const struct mappings *libraries, const struct kept *kept)
{
    for (const u64 *word = (const u64 *)start; word + 1 <= (const u64 *)end; word++)
        if (points_into(libraries, *word) && !is_kept(kept, word))
            return 0;
    return 1;
}

/* Closes the arena, and returns its size; 0 where the memory of this process cannot be kept. */
static u64
settle(void)
{
    struct mappings libraries;
    struct kept kept;
    const int known = find_libraries(&libraries) == 0 && keep_relocated(&kept) == 0; /* before, for it allocates */
    const char *const end = arena_close();

    if (known && stands_alone(__data_start, _end, &libraries, &kept) && stands_alone(ARENA, end, &libraries, &kept))
        return (u64)(end - ARENA);
    return 0;
}

/* Pages of zeros become holes of the file. */
static int
write_pages(int fd, const char *from, u64 size, u64 at)
{
    static const char zeros[PAGE];

    for (u64 done = 0, part; done < size; done += part) {
        part = PAGE - (at + done) % PAGE;
        if (part > size - done)
            part = size - done;
        if (memcmp(from + done, zeros, part) != 0 && pwrite(fd, from + done, part, (off_t)(at + done)) != (ssize_t)part)
            return -1;
    }
    return 0;
}

static int
write_image(int fd, struct header *header, struct stamps stamps)
{
    if (ftruncate(fd, (off_t)header->file_size) < 0 || write_pages(fd, stamps.text, stamps.size, sizeof *header) < 0)
        return -1;
    if (header->arena_size != 0 &&
        (write_pages(fd, (const char *)header->data_start, header->data_size, place_of_data(header)) < 0 ||
         write_pages(fd, ARENA, header->arena_size, place_of_arena(header)) < 0))
        return -1;
    return write_pages(fd, (const char *)header, sizeof *header, 0);
}

int
image_save(const char *path, struct stamps stamps)
{
    char mine[PATH_MAX];
    struct header header;
    int fd, failed;

    if (describe(&header) < 0 || stamps.size > STAMPS_MAX)
        return -1;
    snprintf(mine, sizeof mine, "%s.%d", path, (int)getpid());
    fd = open(mine, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return -1;
    header.stamps_size = stamps.size;
    header.arena_size = settle();
    header.file_size = place_of_arena(&header) + header.arena_size;
    failed = write_image(fd, &header, stamps);
    if (close(fd) < 0 || failed < 0 || rename(mine, path) < 0) {
        unlink(mine);
        return -1;
    }
    return 0;
}

static int
are_true(int home, const char *stamp, u64 size)
{
    const char *const end = stamp + size;
    struct stat file;
    char *rest;
    u64 length, time;

    if (size == 0 || end[-1] != '\0')
        return 0;
    for (; stamp < end; stamp = rest + strlen(rest) + 1) {
        length = strtoul(stamp, &rest, 10);
        time = strtoul(rest, &rest, 10);
        if (*rest++ != ' ' || fstatat(home, rest, &file, 0) < 0 || (u64)file.st_size != length || nanoseconds(&file) != time)
            return 0;
    }
    return 1;
}

static int
is_true(int home, int fd, struct header *header)
{
    char stamps[STAMPS_MAX];
    struct header expected;
    struct stat file;

    return pread(fd, header, sizeof *header, 0) == sizeof *header && describe(&expected) == 0 &&
           memcmp(header, &expected, offsetof(struct header, stamps_size)) == 0 && fstat(fd, &file) == 0 &&
           header->stamps_size <= STAMPS_MAX && header->file_size == (u64)file.st_size &&
           header->file_size == place_of_arena(header) + header->arena_size &&
           pread(fd, stamps, header->stamps_size, sizeof *header) == (ssize_t)header->stamps_size &&
           are_true(home, stamps, header->stamps_size);
}

/* Whole pages are mapped; the ones that our data shares with others' are read. */
static int
load_data(int fd, const struct header *header)
{
    const u64 start = header->data_start, end = start + header->data_size, at = place_of_data(header);
    const u64 first = up(start), last = end / PAGE * PAGE;
    struct kept kept;

    if (keep_relocated(&kept) < 0 ||
        pread(fd, (void *)start, first - start, (off_t)at) != (ssize_t)(first - start) ||
        mmap((void *)first, last - first, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd,
             (off_t)(at + first - start)) != (void *)first ||
        pread(fd, (void *)last, end - last, (off_t)(at + last - start)) != (ssize_t)(end - last))
        return -1;
    for (u64 i = 0; i < kept.count; i++)
        *kept.at[i] = kept.value[i];
    return 0;
}

enum found
image_load(const char *path, const char *package)
{
    const int home = open(package, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = open(path, O_RDONLY | O_CLOEXEC);
    enum found found = IMAGE_NONE;
    struct header header;

    if (home >= 0 && fd >= 0 && is_true(home, fd, &header))
        found = header.arena_size != 0 ? IMAGE_LOADED : IMAGE_IMPOSSIBLE;
    if (found == IMAGE_LOADED) {
        if (mmap(ARENA, header.arena_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd,
                 (off_t)place_of_arena(&header)) != ARENA)
            found = IMAGE_IMPOSSIBLE;
        else if (load_data(fd, &header) < 0)
            _exit(1); /* half of what we were is gone: the disk failed under us */
    }
    close(home);
    close(fd);
    return found;
}
