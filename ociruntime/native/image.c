/* Saving and loading an image: see image.h. */
#define _GNU_SOURCE
#include "image.h"

#include <elf.h>
#include <errno.h>
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
#define STAGE ((char *)0x1400000000UL) /* where our data is taken first, before it comes in the place of what we are */

typedef unsigned long u64;

/* What of memory is in the file: each begins at a page of both. */
enum { DATA, HOT, COLD, PARTS };

struct part {
    u64 start, size;
};

struct header {
    char magic[16];
    u64 time, size; /* of the program */
    u64 stamps_size;
    u64 huge; /* whether memory can be had in huge pages; */
    u64 possible; /* whether there can be an image */
    struct part parts[PARTS];
    u64 file_size;
};

/* Where the linker put our data, at a huge page's start: nothing in it is read-only once relocated. */
extern char __data_start[], _end[];

static u64
up(u64 number, u64 multiple)
{
    return (number + multiple - 1) & ~(multiple - 1);
}

/* Within the file: header, stamps, parts. */
static u64
place_of(const struct header *header, int part)
{
    u64 place = up(sizeof *header + header->stamps_size, PAGE);

    while (part-- > 0)
        place += up(header->parts[part].size, PAGE);
    return place;
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

    if (sysconf(_SC_PAGESIZE) != PAGE || (u64)__data_start % HUGE_PAGE != 0 || stat("/proc/self/exe", &program) < 0)
        return -1;
    memset(header, 0, sizeof *header);
    memcpy(header->magic, "ociruntime image", sizeof header->magic);
    header->time = nanoseconds(&program);
    header->size = (u64)program.st_size;
    header->parts[DATA] = (struct part){(u64)__data_start, (u64)(_end - __data_start)};
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

/* Whether no word points into a library, other than what the loader writes anew. */
static int
stands_alone(const struct part *part, const struct mappings *libraries, const struct kept *kept)
{
    const u64 *const words = (const u64 *)part->start;

    for (u64 i = 0; i < part->size / sizeof *words; i++)
        if (points_into(libraries, words[i]) && !is_kept(kept, &words[i]))
            return 0;
    return 1;
}

/* Whether the kernel gives huge pages to whoever asks; where it does not, pages of the file are better. */
static int
has_huge_pages(void)
{
    char words[64] = "";
    const int fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC);
    const ssize_t length = fd >= 0 ? read(fd, words, sizeof words - 1) : -1;

    close(fd);
    return length > 0 && strstr(words, "[never]") == NULL;
}

/* Closes the arenas, and puts down what of memory is to be kept, if it can be. */
static void
settle(struct header *header)
{
    struct mappings libraries;
    struct kept kept;
    const int known = find_libraries(&libraries) == 0; /* before, for it allocates */
    char *hot, *cold;

    arena_close(&hot, &cold);
    header->parts[HOT] = (struct part){(u64)ARENA, (u64)(hot - ARENA)};
    header->parts[COLD] = (struct part){(u64)COLD_ARENA, (u64)(cold - COLD_ARENA)};
    header->possible = known && keep_relocated(&kept) == 0;
    for (int part = 0; header->possible && part < PARTS; part++)
        if (!stands_alone(&header->parts[part], &libraries, &kept))
            header->possible = 0;
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
    const struct part *part = header->parts;

    if (ftruncate(fd, (off_t)header->file_size) < 0 || write_pages(fd, stamps.text, stamps.size, sizeof *header) < 0)
        return -1;
    for (int i = 0; header->possible && i < PARTS; i++)
        if (write_pages(fd, (const char *)part[i].start, part[i].size, place_of(header, i)) < 0)
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
    header.huge = has_huge_pages();
    settle(&header);
    header.file_size = place_of(&header, PARTS);
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

/* Whole, of this very program, and of the sources that there are. */
static int
is_true(int home, int fd, struct header *header)
{
    char stamps[STAMPS_MAX];
    struct header expected;
    struct stat file;

    return pread(fd, header, sizeof *header, 0) == sizeof *header && describe(&expected) == 0 &&
           memcmp(header, &expected, offsetof(struct header, stamps_size)) == 0 &&
           memcmp(&header->parts[DATA], &expected.parts[DATA], sizeof expected.parts[DATA]) == 0 &&
           fstat(fd, &file) == 0 && header->stamps_size <= STAMPS_MAX && header->file_size == (u64)file.st_size &&
           header->file_size == place_of(header, PARTS) &&
           pread(fd, stamps, header->stamps_size, sizeof *header) == (ssize_t)header->stamps_size &&
           are_true(home, stamps, header->stamps_size);
}

/* What is no hole of the file between two places is read to an address. */
static int
read_data(int fd, u64 from, u64 to, char *address)
{
    off_t at, end;

    for (at = lseek(fd, (off_t)from, SEEK_DATA); at >= 0 && at < (off_t)to; at = lseek(fd, end, SEEK_DATA)) {
        end = lseek(fd, at, SEEK_HOLE);
        if (end < 0 || end > (off_t)to)
            end = (off_t)to;
        if (pread(fd, address + (at - (off_t)from), (size_t)(end - at), at) != (ssize_t)(end - at))
            return -1;
    }
    return at < 0 && errno != ENXIO ? -1 : 0; /* ENXIO: nothing but a hole is left */
}

/*
 * A part of memory at an address, NULL if it cannot be had. To use an object
 * is to count it, so a command that clones writes to most pages of the parts
 * it uses, once in each process. For such a one they are not mapped from the
 * file, to be copied page by page, but read into a few huge pages, with room
 * for what is new.
 */
static char *
have(int fd, const struct header *header, int part, char *at, int huge)
{
    const u64 size = up(header->parts[part].size, huge ? HUGE_PAGE : PAGE), place = place_of(header, part);
    const int flags = MAP_PRIVATE | MAP_FIXED_NOREPLACE | (huge ? MAP_ANONYMOUS : 0);
    char *const mapped = mmap(at, size, PROT_READ | PROT_WRITE, flags, huge ? -1 : fd, huge ? 0 : (off_t)place);

    if (mapped == MAP_FAILED)
        return NULL;
    if (huge)
        madvise(mapped, size, MADV_HUGEPAGE);
    if (mapped == at && (!huge || read_data(fd, place, place + header->parts[part].size, mapped) == 0))
        return mapped;
    munmap(mapped, size);
    return NULL;
}

/* Replaces our data, and so ourselves, by what was taken into memory elsewhere. */
static int
replace_data(const struct part *data, int huge)
{
    const u64 size = up(data->size, huge ? HUGE_PAGE : PAGE);
    struct kept kept;

    if (keep_relocated(&kept) < 0 || mremap(STAGE, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, data->start) == MAP_FAILED)
        return -1;
    for (u64 i = 0; i < kept.count; i++)
        *kept.at[i] = kept.value[i];
    return 0;
}

static int
load(int fd, const struct header *header, int huge)
{
    char *const place[PARTS] = {[DATA] = STAGE, [HOT] = ARENA, [COLD] = COLD_ARENA};
    int part;

    for (part = 0; part < PARTS; part++)
        if (have(fd, header, part, place[part], huge && part != COLD) == NULL)
            break;
    if (part == PARTS && replace_data(&header->parts[DATA], huge) == 0) {
        if (huge)
            arena_reaches(ARENA + up(header->parts[HOT].size, HUGE_PAGE));
        return 0;
    }
    while (part-- > 0)
        munmap(place[part], up(header->parts[part].size, huge ? HUGE_PAGE : PAGE));
    return -1;
}

enum found
image_load(const char *path, const char *package, int clones)
{
    const int home = open(package, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = open(path, O_RDONLY | O_CLOEXEC);
    enum found found = IMAGE_NONE;
    struct header header;

    if (home >= 0 && fd >= 0 && is_true(home, fd, &header))
        found = header.possible && load(fd, &header, clones && header.huge) == 0 ? IMAGE_LOADED : IMAGE_IMPOSSIBLE;
    close(home);
    close(fd);
    return found;
}
