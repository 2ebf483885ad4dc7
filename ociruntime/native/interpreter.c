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

static void *
allocate_pages(void *Py_UNUSED(context), size_t size)
{
    return aligned_alloc(PAGE, size);
}

static void
free_pages(void *Py_UNUSED(context), void *pages, size_t Py_UNUSED(size))
{
    free(pages);
}

static void
start(const char *site, const char *python)
{
    PyObjectArenaAllocator pages = {NULL, allocate_pages, free_pages};
    PyPreConfig before;
    PyConfig config;
    PyObject *place, *path, *door;

    if (arena_open() < 0)
        die("its memory is taken");
    PyObject_SetArenaAllocator(&pages);
    PyPreConfig_InitIsolatedConfig(&before);
    before.utf8_mode = 1;
    check(Py_PreInitialize(&before));
    PyImport_AppendInittab("_door", PyInit__door);
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
    door = PyImport_ImportModule("_door"); /* in the place of the file, which is for other interpreters */
    if (door == NULL || PyDict_SetItemString(PyImport_GetModuleDict(), "ociruntime.core.kernel._door", door) < 0)
        die("no door");
    Py_DECREF(door);
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

/*
 * Take the holes that the imports have left in pages full of what stays. What
 * a command allocates would fill them, and to write to a page of the image is
 * to copy it. A block that follows the last one, and so on for long, is in a
 * place that is empty: that run is given back.
 */
static void
plug_holes(void)
{
    enum { STEP = 16, LARGEST = 512, LONG = 8192, MANY = 1 << 20 }; /* sizes of PyObject_Malloc's own, bytes, blocks */
    static char *run_of_blocks[LONG / STEP + 1];

    for (size_t size = STEP; size <= LARGEST; size += STEP) {
        size_t length = 0;

        for (size_t taken = 0; length * size < LONG && taken < MANY; taken++) {
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

/* In a process of its own: what this one would keep, it has to be without arguments and environment. */
static int
save(const char *image, const char *site, const char *python)
{
    PyObject *prepare, *stamps;
    struct stamps files;

    start(site, python);
    prepare = get("ociruntime.image", "prepare");
    stamps = PyObject_CallNoArgs(prepare);
    if (stamps == NULL || !PyBytes_Check(stamps))
        die("no image");
    files.text = PyBytes_AS_STRING(stamps);
    files.size = (size_t)PyBytes_GET_SIZE(stamps);
    run = get("ociruntime.__main__", "main");
    plug_holes();
    return image_save(image, files) < 0;
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
    if (posix_spawn(&pid, "/proc/self/exe", &silence, NULL, arguments, environ) == 0)
        waitpid(pid, &status, 0);
    posix_spawn_file_actions_destroy(&silence);
    return status == 0;
}

static int
load(const char *image, char *site, char *python)
{
    char package[PATH_MAX];
    enum found found;

    snprintf(package, sizeof package, "%s" PACKAGE, site);
    found = image_load(image, package);
    if (found == IMAGE_NONE && have_it_saved(site, python))
        found = image_load(image, package);
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
    if (load(image, argv[1], argv[2])) {
        resume();
    } else {
        start(argv[1], argv[2]);
        run = get("ociruntime.__main__", "main");
    }
    PyObject_CallOneArg(run, list_of(argv + 3));
    die("the command returned");
}
