/*
 * The launcher: `ociruntime` on PATH.
 *
 * A script made by pip cannot carry interpreter flags and would load `site` and
 * `re`; this runs the interpreter isolated (-I: no PYTHON* variables, no current
 * directory), without site (-S), in UTF-8 whatever the locale, on the package
 * installed beside it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* sys.argv arrives as ["-c", package directory, our argv...]. */
static const char boot[] = "import sys\n"
                           "argv = sys.argv[2:]\n"
                           "sys.path.append(sys.argv[1])\n"
                           "from ociruntime.__main__ import main\n"
                           "main(argv)\n";

static void
die(const char *what, const char *path)
{
    fprintf(stderr, "ociruntime: %s %s: %s\n", what, path, strerror(errno));
    exit(1);
}

/* A runtime opens files: none may become somebody's standard output (as runc does). */
static void
fill_standard_streams(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            die("cannot open", "/dev/null");
}

/* Where pip put the package, seen from the directory of this executable. */
static const char *const site_directories[] = {
    "../lib/python" PYTHON_VERSION "/site-packages",
    "../lib64/python" PYTHON_VERSION "/site-packages",
    "../lib/python" PYTHON_VERSION "/dist-packages",
    "../lib/python3/dist-packages",
};

static char *
join(const char *directory, const char *name)
{
    char *path = NULL;

    if (asprintf(&path, "%s/%s", directory, name) < 0)
        die("cannot name", name);
    return path;
}

static char *
find_bindir(void)
{
    static char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);

    if (length < 0)
        die("cannot read", "/proc/self/exe");
    path[length] = '\0';
    *strrchr(path, '/') = '\0';
    return path;
}

static char *
find_site(const char *bindir)
{
    for (size_t i = 0; i < sizeof site_directories / sizeof *site_directories; i++) {
        char *site = join(bindir, site_directories[i]);
        char *front_door = join(site, "ociruntime/__main__.py");
        int found = access(front_door, F_OK);

        free(front_door);
        if (found == 0)
            return site;
        free(site);
    }
    die("cannot find the package ociruntime in ../lib/python" PYTHON_VERSION "/site-packages beside", bindir);
    return NULL;
}

int
main(int argc, char **argv)
{
    char *bindir, *site, *python;
    char **args;

    fill_standard_streams();
    bindir = find_bindir();
    site = find_site(bindir);
    python = access(BASE_PYTHON, X_OK) == 0 ? (char *)BASE_PYTHON : join(bindir, "python3");

    char *const flags[] = {python, "-I", "-S", "-X", "utf8", "-c", (char *)boot, site};
    const size_t count = sizeof flags / sizeof *flags;

    args = calloc(count + (size_t)argc + 1, sizeof *args);
    if (args == NULL)
        die("cannot start", python);
    memcpy(args, flags, sizeof flags);
    memcpy(args + count, argv, (size_t)argc * sizeof *args);
    execv(python, args);
    die("cannot run", python);
}
