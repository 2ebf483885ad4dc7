/*
 * The launcher: `ociruntime` on PATH.
 *
 * A script made by pip cannot carry interpreter flags and would load `site` and
 * `re`. This runs the package installed beside it in an interpreter that is
 * isolated (no PYTHON* variables, no current directory), without site, and
 * in UTF-8 whatever the locale: in its own (embedded.c) or, where the build had
 * none to embed, in the one it was built with.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "launcher.h"
#include "python_config.h"

/*
 * sys.argv arrives as ["-c", site directory, our LC_CTYPE, our argv...]. In the
 * C locale the interpreter sets that variable (PEP 538, even with -I), and
 * hooks would inherit it: put it back. "-" stands for unset.
 */
static const char boot[] = "import posix, sys\n"
                           "_, site, lc_ctype, *argv = sys.argv\n"
                           "if lc_ctype != '-':\n"
                           "    posix.putenv('LC_CTYPE', lc_ctype)\n"
                           "    posix.environ[b'LC_CTYPE'] = lc_ctype.encode('utf-8', 'surrogateescape')\n"
                           "elif posix.environ.pop(b'LC_CTYPE', None):\n"
                           "    posix.unsetenv('LC_CTYPE')\n"
                           "sys.path.append(site)\n"
                           "from ociruntime.__main__ import main\n"
                           "main(argv)\n";

static _Noreturn void
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

static char *
join(const char *directory, const char *name)
{
    char *path = NULL;

    if (asprintf(&path, "%s/%s", directory, name) < 0)
        die("cannot name", name);
    return path;
}

/* The directory of this program, wherever a symbolic link or PATH found it. */
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

/* Where pip put the package, seen from the directory of this program. */
static char *
find_site(const char *bindir)
{
    static const char *const candidates[] = {
        "../lib/python" PYTHON_VERSION "/site-packages",
        "../lib64/python" PYTHON_VERSION "/site-packages",
        "../lib/python" PYTHON_VERSION "/dist-packages", /* Debian, outside of virtual environments */
        "../lib/python3/dist-packages",
    };

    for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++) {
        char *site = join(bindir, candidates[i]);
        char *front_door = join(site, "ociruntime/__main__.py");
        int found = access(front_door, F_OK) == 0;

        free(front_door);
        if (found)
            return site;
        free(site);
    }
    die("cannot find the package in ../lib/python" PYTHON_VERSION "/site-packages, seen from", bindir);
}

static _Noreturn void
run_interpreter(int argc, char **argv, const char *bindir, char *site)
{
    char *python = access(BASE_PYTHON, X_OK) == 0 ? BASE_PYTHON : join(bindir, "python" PYTHON_VERSION);
    char *lc_ctype = getenv("LC_CTYPE") != NULL ? getenv("LC_CTYPE") : "-";
    char *const flags[] = {python, "-I", "-S", "-X", "utf8", "-c", (char *)boot, site, lc_ctype};
    const size_t count = sizeof flags / sizeof *flags;
    char **args = calloc(count + (size_t)argc + 1, sizeof *args);

    if (args == NULL)
        die("cannot start", python);
    memcpy(args, flags, sizeof flags);
    memcpy(args + count, argv, (size_t)argc * sizeof *args);
    execv(python, args);
    die("cannot run", python);
}

int
main(int argc, char **argv)
{
    char *bindir, *site;

    fill_standard_streams();
    bindir = find_bindir();
    site = find_site(bindir);
#ifdef EMBED
    run_embedded(argc, argv, site);
#endif
    run_interpreter(argc, argv, bindir, site);
}
