/*
 * The interpreter within the launcher: saves the second execve and dynamic
 * linking, and most of the search for its own standard library (0.6 ms of 6,
 * see docs/performance.md). Built when a static libpython is at hand.
 *
 * Everything it would have to find out is written down by the build, so it is
 * the very interpreter that built it, and used only as long as that one is
 * still there unchanged: an upgraded standard library needs its own interpreter.
 */
#include <Python.h>

#include <sys/stat.h>

#include "launcher.h"
#include "python_config.h"

static int
interpreter_unchanged(void)
{
    struct stat status;

    return stat(BASE_PYTHON, &status) == 0 && status.st_size == BASE_PYTHON_SIZE &&
           status.st_mtime == BASE_PYTHON_MTIME;
}

static PyStatus
set_strings(PyConfig *config, const char *site)
{
    const struct {
        wchar_t **field;
        const char *value;
    } strings[] = {
        {&config->program_name, BASE_PYTHON},
        {&config->executable, BASE_PYTHON},
        {&config->base_executable, BASE_PYTHON},
        {&config->prefix, PYTHON_PREFIX},
        {&config->base_prefix, PYTHON_PREFIX},
        {&config->exec_prefix, PYTHON_EXEC_PREFIX},
        {&config->base_exec_prefix, PYTHON_EXEC_PREFIX},
        {&config->stdlib_dir, PYTHON_STDLIB},
    };
    const char *const path[] = {PYTHON_STDLIB, PYTHON_DYNLOAD, site};
    PyStatus status = PyStatus_Ok();

    for (size_t i = 0; i < Py_ARRAY_LENGTH(strings) && !PyStatus_Exception(status); i++)
        status = PyConfig_SetBytesString(config, strings[i].field, strings[i].value);
    for (size_t i = 0; i < Py_ARRAY_LENGTH(path) && !PyStatus_Exception(status); i++) {
        wchar_t *directory = Py_DecodeLocale(path[i], NULL);

        if (directory == NULL)
            return PyStatus_NoMemory();
        status = PyWideStringList_Append(&config->module_search_paths, directory);
        PyMem_RawFree(directory);
    }
    config->module_search_paths_set = 1;
    return status;
}

static PyStatus
initialize(int argc, char **argv, const char *site)
{
    PyPreConfig preconfig;
    PyConfig config;
    PyStatus status;

    /* Isolated: no PYTHON* variables, no user directory. UTF-8 whatever the locale, which stays as it is. */
    PyPreConfig_InitIsolatedConfig(&preconfig);
    preconfig.utf8_mode = 1;
    status = Py_PreInitialize(&preconfig);
    if (PyStatus_Exception(status))
        return status;

    PyConfig_InitIsolatedConfig(&config);
    config.site_import = 0;
    config.pathconfig_warnings = 0;
    /* As `python3` does: SIGPIPE is an error of the one write, not the end of a half-made container. */
    config.install_signal_handlers = 1;
    status = PyConfig_SetBytesArgv(&config, argc, argv);
    if (!PyStatus_Exception(status))
        status = set_strings(&config, site);
    if (!PyStatus_Exception(status))
        status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    return status;
}

void
run_embedded(int argc, char **argv, const char *site)
{
    PyStatus status;
    PyObject *module, *arguments;

    if (!interpreter_unchanged())
        return;
    status = initialize(argc, argv, site);
    if (PyStatus_Exception(status))
        Py_ExitStatusException(status);
    module = PyImport_ImportModule("ociruntime.__main__");
    arguments = PySys_GetObject("argv");
    if (module != NULL && arguments != NULL)
        PyObject_CallMethod(module, "main", "O", arguments);
    /* main leaves by itself: this is a broken installation. */
    PyErr_Print();
    exit(1);
}
