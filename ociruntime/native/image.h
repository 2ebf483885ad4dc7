/*
 * A started interpreter as a file.
 *
 * Starting Python and importing our modules takes several times as long as
 * what a command then does. So it is done once: the memory in which it ends
 * is written to a file (image_save), and every later start takes it into
 * memory (image_load) and goes on from there, as a forked child would.
 *
 * What is in the file is the interpreter's own data segment and two regions
 * for everything that it allocates (allocator.c), one of them for what most
 * commands never touch, all at addresses that are the same in every process. The C library, its data, the stack and the
 * environment are not: they begin anew. So nothing in the file may point to
 * them, which image_save checks.
 */
#ifndef OCIRUNTIME_IMAGE_H
#define OCIRUNTIME_IMAGE_H

#include <stddef.h>

/* Far from where the kernel puts programs, heaps, libraries and stacks, on machines with 39-bit addresses too. */
#define PAGE 4096UL /* the least: a larger one is a reason to have no image */
#define ARENA ((char *)0x1000000000UL)
#define COLD_ARENA ((char *)0x1800000000UL)
#define HUGE_PAGE (2UL << 20)

/* From now on memory is allocated in the arena: whatever was allocated before is none of the image's. */
int arena_open(void);
/* And from now on in a second one, for what most commands never touch. */
void arena_turn(void);
/* Give back what is mapped and not in use, clear what is free, and tell where each ends, at a page's end. */
void arena_close(char **hot_end, char **cold_end);
/* No other thread is there any more, whatever it was about to do. */
void arena_alone(void);
/* What is mapped of the arena, from its start, ends here. */
void arena_reaches(char *mapped);

/*
 * Files that an image depends on: for each "SIZE NANOSECONDS PATH" and a NUL,
 * paths from the package's directory or absolute. It is true as long as all
 * have that size and time, and it is this very program that wrote it.
 */
struct stamps {
    const char *text;
    size_t size;
};

enum found { IMAGE_LOADED, IMAGE_NONE, IMAGE_IMPOSSIBLE };

/*
 * Takes the image into this process; a process that is to be cloned takes it otherwise than one that is over soon.
 * IMAGE_NONE: no true one; IMAGE_IMPOSSIBLE: one that says there can be none.
 */
enum found image_load(const char *path, const char *package, int clones);

/* Writes the image, whole or not at all; one that says "impossible" where the memory cannot be kept. 0 or -1. */
int image_save(const char *path, struct stamps stamps);

#endif
