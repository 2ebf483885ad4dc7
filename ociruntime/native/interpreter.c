/*
 * The interpreter that runs a command: Python with the door built in, and with
 * an image of itself (image.h) that spares it its start.
 *
 *     interpreter SITE PYTHON ARGUMENT...     call ociruntime.__main__.main with a list of the arguments
 *     interpreter --save SITE PYTHON          write the image
 *
 * SITE is the directory of the package, PYTHON the interpreter whose library
 * this one uses. Isolated, without site, in UTF-8 whatever the locale, as
 * `PYTHON -I -S -X utf8` would be.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image.h"

PyMODINIT_FUNC PyInit__door(void);
PyMODINIT_FUNC PyInit__jsonio(void);

#define PACKAGE "/ociruntime" /* below SITE */
#define CACHE PACKAGE "/__pycache__" /* where the interpreter's own .pyc files are */

/* The function that runs a command line; in the image it is there already. */
static PyObject *run;

static _Noreturn void
die(const char *why)
{
    fprintf(stderr, "ociruntime: the interpreter cannot start: %s\n", why);
    if (PyErr_Occurred())
        PyErr_Print();
    exit(1);
}

static void
check(PyStatus status)
{
    if (PyStatus_Exception(status))
        die(status.err_msg);
}

/* What PyObject_Malloc divides, a megabyte each. */
static size_t arenas;

static void *
allocate_pages(void *Py_UNUSED(context), size_t size)
{
    arenas++;
    return aligned_alloc(PAGE, size);
}

static void
free_pages(void *Py_UNUSED(context), void *pages, size_t Py_UNUSED(size))
{
    free(pages);
}

/* In the place of a file, which is for other interpreters. */
static void
build_in(const char *name, const char *module)
{
    PyObject *const built_in = PyImport_ImportModule(name);

    if (built_in == NULL || PyDict_SetItemString(PyImport_GetModuleDict(), module, built_in) < 0)
        die(module);
    Py_DECREF(built_in);
}

static void
start(const char *site, const char *python)
{
    PyObjectArenaAllocator pages = {NULL, allocate_pages, free_pages};
    PyPreConfig before;
    PyConfig config;
    PyObject *place, *path;

    if (arena_open() < 0)
        die("its memory is taken");
    PyObject_SetArenaAllocator(&pages);
    PyPreConfig_InitIsolatedConfig(&before);
    before.utf8_mode = 1;
    check(Py_PreInitialize(&before));
    PyImport_AppendInittab("_door", PyInit__door);
    PyImport_AppendInittab("_jsonio", PyInit__jsonio);
    PyConfig_InitIsolatedConfig(&config);
    config.site_import = 0;
    config.install_signal_handlers = 1;
    check(PyConfig_SetBytesString(&config, &config.program_name, python));
    check(PyConfig_SetBytesString(&config, &config.executable, python));
    check(Py_InitializeFromConfig(&config));
    PyConfig_Clear(&config);
    PyGC_Disable(); /* a command is over before it would pay */
    path = PySys_GetObject("path");
    place = PyUnicode_DecodeFSDefault(site);
    if (path == NULL || place == NULL || PyList_Append(path, place) < 0)
        die("no path");
    Py_DECREF(place);
    build_in("_door", "ociruntime.core.kernel._door");
    build_in("_jsonio", "ociruntime.core._jsonio");
}

/* The attribute of a module, by a new reference. */
static PyObject *
get(const char *module, const char *name)
{
    PyObject *found = PyImport_ImportModule(module), *value;

    if (found == NULL || (value = PyObject_GetAttrString(found, name)) == NULL)
        die(module);
    Py_DECREF(found);
    return value;
}

/* posix.environ is that of the process that wrote the image. */
static void
take_environment(void)
{
    PyObject *known = get("posix", "environ");

    PyDict_Clear(known);
    for (char **entry = environ; *entry != NULL; entry++) {
        const char *const equals = strchr(*entry, '=');
        PyObject *name, *value;

        if (equals == NULL)
            continue;
        name = PyBytes_FromStringAndSize(*entry, equals - *entry);
        value = PyBytes_FromString(equals + 1);
        if (name == NULL || value == NULL || PyDict_SetDefault(known, name, value) == NULL)
            die("no environment");
        Py_DECREF(name);
        Py_DECREF(value);
    }
    Py_DECREF(known);
}

/* What of a start is the process's own: to Python it is as after a fork. */
static void
resume(void)
{
    signal(SIGPIPE, SIG_IGN); /* as Python's own start has it */
    signal(SIGXFSZ, SIG_IGN);
    PyOS_AfterFork_Child();
    take_environment();
}

/* Sizes of PyObject_Malloc's own, in bytes. */
enum { STEP = 16, LARGEST = 512, MANY = 8192 };

/*
 * Take the holes that the imports have left in pages full of what stays. What
 * a command allocates would fill them, and to write to a page of the image is
 * to copy it. A block that follows the last one, and so on for long, is in a
 * place that is empty: that run is given back.
 */
static void
plug_holes(void)
{
    enum { LONG = 8192, MOST = 1 << 20 }; /* bytes, blocks */
    static char *run_of_blocks[LONG / STEP + 1];

    for (size_t size = STEP; size <= LARGEST; size += STEP) {
        size_t length = 0;

        for (size_t taken = 0; length * size < LONG && taken < MOST; taken++) {
            char *const block = PyObject_Malloc(size);

            if (length > 0 && block != run_of_blocks[length - 1] + size)
                length = 0;
            run_of_blocks[length++] = block;
        }
        while (length > 0)
            PyObject_Free(run_of_blocks[--length]);
    }
    memset(run_of_blocks, 0, sizeof run_of_blocks);
}

/* Take what PyObject_Malloc has left of its arenas. Returns how many blocks that is, which stand in a list. */
static size_t
take_the_rest(void **blocks, size_t room)
{
    const size_t before = arenas;
    size_t count = 0;

    while (count < room && arenas == before)
        blocks[count++] = PyObject_Malloc(LARGEST);
    PyObject_Free(blocks[--count]); /* and with it the arena that it began */
    return count;
}

static PyObject *
call(const char *module, const char *name)
{
    PyObject *const function = get(module, name), *const result = PyObject_CallNoArgs(function);

    if (result == NULL)
        die(name);
    Py_DECREF(function);
    return result;
}

/* The image is there, and a second one would be smaller: modules were compiled for the first. */
enum { AGAIN = 2 };

/* In a process of its own: what this one would keep, it has to be without arguments and environment. */
static int
save(const char *image, const char *site, const char *python)
{
    PyObject *stamps;
    struct stamps files;
    static void *rest[MANY];
    size_t count;
    int again;

    start(site, python);
    Py_DECREF(call("ociruntime.image", "prepare"));
    plug_holes();
    arena_turn();
    count = take_the_rest(rest, MANY);
    stamps = call("ociruntime.image", "prepare_rare");
    if (!PyBytes_Check(stamps))
        die("no image");
    files.text = PyBytes_AS_STRING(stamps);
    files.size = (size_t)PyBytes_GET_SIZE(stamps);
    run = get("ociruntime.__main__", "main");
    plug_holes();
    take_the_rest(rest + count, MANY - count);
    while (count > 0)
        PyObject_Free(rest[--count]);
    memset(rest, 0, sizeof rest);
    stamps = get("ociruntime.image", "compiled");
    again = PyObject_IsTrue(stamps) ? AGAIN : 0;
    Py_DECREF(stamps);
    return image_save(image, files) < 0 ? 1 : again;
}

/* Whether there is an image now. It is nobody's mistake if not: without the right to write there is none. */
static int
have_it_saved(char *site, char *python)
{
    char *const arguments[] = {"ociruntime", "--save", site, python, NULL};
    posix_spawn_file_actions_t silence;
    char directory[PATH_MAX];
    int status = 1;
    pid_t pid;

    snprintf(directory, sizeof directory, "%s" CACHE, site);
    mkdir(directory, 0755);
    if (access(directory, W_OK) < 0 || posix_spawn_file_actions_init(&silence) != 0)
        return 0;
    for (int fd = 0; fd <= 2; fd++)
        posix_spawn_file_actions_addopen(&silence, fd, "/dev/null", O_RDWR, 0);
    for (int times = 0; times < 2 && posix_spawn(&pid, "/proc/self/exe", &silence, NULL, arguments, environ) == 0; times++)
        if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != AGAIN)
            break;
    posix_spawn_file_actions_destroy(&silence);
    return WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == AGAIN);
}

/* Whether a command clones this process. Who calls a container so has a start that is a little slower. */
static int
clones(char **arguments)
{
    for (; *arguments != NULL; arguments++)
        if (strcmp(*arguments, "create") == 0 || strcmp(*arguments, "run") == 0 || strcmp(*arguments, "exec") == 0)
            return 1;
    return 0;
}

static int
load(const char *image, char *site, char *python, int cloned)
{
    char package[PATH_MAX];
    enum found found;

    snprintf(package, sizeof package, "%s" PACKAGE, site);
    found = image_load(image, package, cloned);
    if (found == IMAGE_NONE && have_it_saved(site, python))
        found = image_load(image, package, cloned);
    return found == IMAGE_LOADED;
}

static PyObject *
list_of(char **arguments)
{
    PyObject *list = PyList_New(0);

    for (; list != NULL && *arguments != NULL; arguments++) {
        PyObject *argument = PyUnicode_DecodeFSDefault(*arguments);

        if (argument == NULL || PyList_Append(list, argument) < 0)
            die("no arguments");
        Py_DECREF(argument);
    }
    return list;
}

int
main(int argc, char **argv)
{
    const int saving = argc == 4 && strcmp(argv[1], "--save") == 0;
    char image[PATH_MAX];

    if (argc < 4)
        die("it is for the launcher to call");
    snprintf(image, sizeof image, "%s" CACHE "/image", argv[1 + saving]);
    if (saving)
        return save(image, argv[2], argv[3]);
    if (load(image, argv[1], argv[2], clones(argv + 3))) {
        resume();
    } else {
        start(argv[1], argv[2]);
        run = get("ociruntime.__main__", "main");
    }
    PyObject_CallOneArg(run, list_of(argv + 3));
    die("the command returned");
}
