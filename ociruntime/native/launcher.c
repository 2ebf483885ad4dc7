/*
 * The launcher: `ociruntime` on PATH.
 *
 * A script made by pip cannot carry interpreter flags and would load `site` and
 * `re`. This runs our own interpreter (interpreter.c) on the package that is
 * installed beside this program, or where that was not built the one of the
 * system: isolated (no PYTHON* variables, no current directory), without site,
 * in UTF-8 whatever the locale.
 *
 * It does so through a read-only mount of the interpreter that is nowhere in
 * the file system: a container that reaches /proc/PID/exe of the process about
 * to join it must not be able to write to the host's interpreter (CVE-2019-5736).
 */
#include "freestanding.h"
#include "python_config.h"

/* From fcntl.h, linux/mount.h and limits.h, which belong to a C library or may be too old. */
#define F_GETFD 1
#define X_OK 1
#define O_RDWR 02
#define O_CLOEXEC 02000000
#define AT_FDCWD ((u64)-100)
#define AT_EMPTY_PATH 0x1000
#define OPEN_TREE_CLONE 1
#define MOUNT_ATTR_RDONLY 1
#define PROT_READ_WRITE 3
#define MAP_PRIVATE_ANONYMOUS 0x22
#define PATH_MAX 4096
#define OPEN_TREE 428 /* one number on every machine */
#define MOUNT_SETATTR 442

#define SUFFIX_MAX 128 /* room for what is appended to a path below */

/*
 * For the system's interpreter. sys.argv arrives as ["-c", site directory, our
 * LC_CTYPE, our argv...]. In the C locale the interpreter sets that variable
 * (PEP 538, even with -I), and hooks would inherit it: put it back. "-" stands
 * for unset. No garbage collection: a command is over before it would pay.
 */
static const char boot[] = "import gc, posix, sys\n"
                           "gc.disable()\n"
                           "_, site, lc_ctype, *argv = sys.argv\n"
                           "if lc_ctype != '-':\n"
                           "    posix.putenv('LC_CTYPE', lc_ctype)\n"
                           "    posix.environ[b'LC_CTYPE'] = lc_ctype.encode('utf-8', 'surrogateescape')\n"
                           "elif posix.environ.pop(b'LC_CTYPE', None):\n"
                           "    posix.unsetenv('LC_CTYPE')\n"
                           "sys.path.append(site)\n"
                           "from ociruntime.__main__ import main\n"
                           "main(argv)\n";

static char prefix[PATH_MAX], site[PATH_MAX + SUFFIX_MAX];
static char python[PATH_MAX + SUFFIX_MAX], interpreter[PATH_MAX + 2 * SUFFIX_MAX];

static u64
length_of(const char *text)
{
    u64 length = 0;

    while (text[length] != '\0')
        length++;
    return length;
}

/* Copy text to end, and return the new end. */
static char *
append(char *end, const char *text)
{
    while (*text != '\0')
        *end++ = *text++;
    *end = '\0';
    return end;
}

static _Noreturn void
die(const char *what, const char *path, u64 result)
{
    const char *const why = result == -(u64)ENOENT  ? "no such file or directory"
                            : result == -(u64)EACCES ? "permission denied"
                                                     : "the kernel refuses";
    const char *const parts[] = {"ociruntime: ", what, " ", path, ": ", why, "\n"};

    for (u64 i = 0; i < sizeof parts / sizeof *parts; i++)
        syscall6(__NR_write, 2, (u64)parts[i], length_of(parts[i]), 0, 0, 0);
    leave(1);
}

static u64
access(const char *path, u64 mode)
{
    return syscall6(__NR_faccessat, AT_FDCWD, (u64)path, mode, 0, 0, 0);
}

/* A runtime opens files: none may become somebody's standard output (as runc does). */
static void
fill_standard_streams(void)
{
    static const char null[] = "/dev/null";

    for (u64 fd = 0; fd <= 2; fd++) {
        u64 result = syscall6(__NR_fcntl, fd, F_GETFD, 0, 0, 0, 0);

        if (failed(result))
            result = syscall6(__NR_openat, AT_FDCWD, (u64)null, O_RDWR, 0, 0, 0);
        if (failed(result))
            die("cannot open", null, result);
    }
}

/* The directory of the directory of this program, wherever a symbolic link or PATH found it. */
static void
find_prefix(void)
{
    static const char self[] = "/proc/self/exe";
    u64 length = syscall6(__NR_readlinkat, AT_FDCWD, (u64)self, (u64)prefix, PATH_MAX - 1, 0, 0);

    if (failed(length))
        die("cannot read", self, length);
    for (int slashes = 0; length > 0 && slashes < 2;)
        slashes += prefix[--length] == '/';
    prefix[length] = '\0';
}

/* Where pip put the package beneath the prefix. */
static void
find_site(void)
{
    static const char *const candidates[] = {
        "/lib/python" PYTHON_VERSION "/site-packages",
        "/lib64/python" PYTHON_VERSION "/site-packages",
        "/lib/python" PYTHON_VERSION "/dist-packages", /* Debian, outside of virtual environments */
        "/lib/python3/dist-packages",
    };

    for (u64 i = 0; i < sizeof candidates / sizeof *candidates; i++) {
        char *end = append(append(site, prefix), candidates[i]);

        append(end, "/ociruntime/__main__.py");
        if (!failed(access(site, 0))) {
            *end = '\0';
            return;
        }
    }
    die("cannot find the package in lib/python" PYTHON_VERSION "/site-packages of", prefix, -(u64)ENOENT);
}

static const char *
environment(const char *const *envp, const char *name)
{
    for (; *envp != 0; envp++) {
        u64 i = 0;

        while (name[i] != '\0' && (*envp)[i] == name[i])
            i++;
        if (name[i] == '\0' && (*envp)[i] == '=')
            return *envp + i + 1;
    }
    return 0;
}

/* Returns only if it cannot: without CAP_SYS_ADMIN, or before Linux 5.12. */
static void
execute_read_only(const char *program, const char *const *argv, const char *const *envp)
{
    const u64 attributes[4] = {MOUNT_ATTR_RDONLY, 0, 0, 0}; /* struct mount_attr: attr_set, attr_clr, ... */
    u64 fd = syscall6(OPEN_TREE, AT_FDCWD, (u64)program, OPEN_TREE_CLONE | O_CLOEXEC, 0, 0, 0);

    if (failed(fd))
        return;
    if (!failed(syscall6(MOUNT_SETATTR, fd, (u64) "", AT_EMPTY_PATH, (u64)attributes, sizeof attributes, 0)))
        syscall6(__NR_execveat, fd, (u64) "", (u64)argv, (u64)envp, AT_EMPTY_PATH, 0);
    syscall6(__NR_close, fd, 0, 0, 0, 0, 0);
}

static _Noreturn void
run(const char *program, const char *const *flags, u64 count, const u64 *stack)
{
    const u64 argc = stack[0];
    const char *const *const argv = (const char *const *)(stack + 1);
    const char *const *const envp = argv + argc + 1;
    const u64 size = (count + argc + 1) * sizeof *flags;
    const char **args = (const char **)syscall6(__NR_mmap, 0, size, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1UL, 0);

    if (failed((u64)args))
        die("no memory for", program, (u64)args);
    for (u64 i = 0; i < count; i++)
        args[i] = flags[i];
    for (u64 i = 0; i <= argc; i++)
        args[count + i] = argv[i];
    if (program != python || BASE_PYTHON_MOVABLE)
        execute_read_only(program, args, envp);
    die("cannot run", program, syscall6(__NR_execve, (u64)program, (u64)args, (u64)envp, 0, 0, 0));
}

static _Noreturn void
entry(const u64 *stack)
{
    const char *const lc_ctype = environment((const char *const *)(stack + stack[0] + 2), "LC_CTYPE");
    const char *const ours[] = {interpreter, site, python};
    const char *const systems[] = {python, "-I", "-S", "-X", "utf8", "-c", boot, site, lc_ctype != 0 ? lc_ctype : "-"};

    fill_standard_streams();
    find_prefix();
    find_site();
    append(python, BASE_PYTHON);
    if (failed(access(python, X_OK)))
        append(append(python, prefix), "/bin/python" PYTHON_VERSION);
    append(append(interpreter, site), "/ociruntime/interpreter");
    if (!failed(access(interpreter, X_OK)))
        run(interpreter, ours, sizeof ours / sizeof *ours, stack);
    run(python, systems, sizeof systems / sizeof *systems, stack);
}
