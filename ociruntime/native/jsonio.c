/*
 * JSON in and out for core/jsonio.py, which says what is strict about it. Python's own scanner in C is a file
 * of its own, which no image can hold (image.h): to load it took longer than to read a config.json.
 *
 * It says only that something is wrong (ValueError): explain/ reads a refused document again to say what.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <math.h>
#include <string.h>

struct scanner {
    const char *at, *end; /* the text; *end is a NUL */
    PyObject *names;      /* of properties, each once */
};

static PyObject *scan_value(struct scanner *scanner);

static PyObject *
refuse(const char *why)
{
    PyErr_SetString(PyExc_ValueError, why);
    return NULL;
}

static void
skip_space(struct scanner *scanner)
{
    while (*scanner->at == ' ' || *scanner->at == '\t' || *scanner->at == '\n' || *scanner->at == '\r')
        scanner->at++;
}

/* Whether this character is next, other than white space; it is skipped then. */
static int
next_is(struct scanner *scanner, char character)
{
    skip_space(scanner);
    if (*scanner->at != character)
        return 0;
    scanner->at++;
    return 1;
}

/* The number of four hexadecimal digits, -1 if they are none. */
static long
scan_hex(const char *digits)
{
    static const char all[] = "0123456789abcdefABCDEF";
    const char *digit;
    long number = 0;

    for (int i = 0; i < 4; i++) {
        digit = digits[i] != '\0' ? strchr(all, digits[i]) : NULL;
        if (digit == NULL)
            return -1;
        number = number << 4 | (digit - all < 16 ? digit - all : digit - all - 6);
    }
    return number;
}

/* A character after "\u", two of which may be a surrogate pair, as UTF-8. Returns how long that is, 0 for none. */
static size_t
scan_escaped(struct scanner *scanner, char *to)
{
    long character = scan_hex(scanner->at), low;

    if (character < 0)
        return 0;
    scanner->at += 4;
    if (character >= 0xD800 && character < 0xE000) {
        if (character >= 0xDC00 || scanner->at[0] != '\\' || scanner->at[1] != 'u')
            return 0;
        low = scan_hex(scanner->at + 2);
        if (low < 0xDC00 || low >= 0xE000)
            return 0;
        scanner->at += 6;
        character = 0x10000 + ((character - 0xD800) << 10) + (low - 0xDC00);
        *to++ = (char)(0xF0 | character >> 18);
        *to++ = (char)(0x80 | (character >> 12 & 0x3F));
    } else if (character < 0x80) {
        *to = (char)character;
        return 1;
    } else if (character < 0x800) {
        *to++ = (char)(0xC0 | character >> 6);
        *to = (char)(0x80 | (character & 0x3F));
        return 2;
    } else {
        *to++ = (char)(0xE0 | character >> 12);
    }
    *to++ = (char)(0x80 | (character >> 6 & 0x3F));
    *to = (char)(0x80 | (character & 0x3F));
    return character < 0x10000 ? 3 : 4;
}

/* A string with escapes: never longer than it is written. */
static PyObject *
scan_escapes(struct scanner *scanner, const char *start)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char *const text = PyMem_Malloc((size_t)(scanner->end - start) + 1), *last = text;
    PyObject *string = NULL;
    const char *which;
    size_t length;

    if (text == NULL)
        return PyErr_NoMemory();
    for (scanner->at = start; *scanner->at != '"';) {
        if ((unsigned char)*scanner->at < ' ')
            goto refused;
        if (*scanner->at != '\\') {
            *last++ = *scanner->at++;
            continue;
        }
        scanner->at++;
        if (*scanner->at == 'u') {
            scanner->at++;
            length = scan_escaped(scanner, last);
            if (length == 0)
                goto refused;
            last += length;
        } else {
            which = *scanner->at != '\0' ? strchr(from, *scanner->at++) : NULL;
            if (which == NULL)
                goto refused;
            *last++ = to[which - from];
        }
    }
    scanner->at++;
    string = PyUnicode_DecodeUTF8(text, last - text, "strict");
    PyMem_Free(text);
    return string;

refused:
    PyMem_Free(text);
    return refuse("no string");
}

/* What follows the quotation mark. */
static PyObject *
scan_string(struct scanner *scanner)
{
    const char *const start = scanner->at;

    while ((unsigned char)*scanner->at >= ' ' && *scanner->at != '"' && *scanner->at != '\\')
        scanner->at++;
    if (*scanner->at == '\\')
        return scan_escapes(scanner, start);
    if (*scanner->at != '"')
        return refuse("no string");
    scanner->at++;
    return PyUnicode_DecodeUTF8(start, scanner->at - 1 - start, "strict");
}

static void
skip_digits(struct scanner *scanner)
{
    while (Py_ISDIGIT(*scanner->at))
        scanner->at++;
}

static PyObject *
scan_float(const char *start, const char *end)
{
    char *stop;
    const double number = PyOS_string_to_double(start, &stop, NULL);

    if (number == -1.0 && PyErr_Occurred())
        return NULL;
    if (stop != end || !isfinite(number))
        return refuse("number out of range");
    return PyFloat_FromDouble(number);
}

static PyObject *
scan_number(struct scanner *scanner)
{
    enum { SURELY_FIT = 18 }; /* decimal digits, in a long long */
    const char *const start = scanner->at;
    const char *digits;
    long long number = 0;
    PyObject *text, *integer;

    if (*scanner->at == '-')
        scanner->at++;
    digits = scanner->at;
    skip_digits(scanner);
    if (scanner->at == digits || (*digits == '0' && scanner->at > digits + 1))
        return refuse("no number");
    if (*scanner->at == '.' || *scanner->at == 'e' || *scanner->at == 'E') {
        if (*scanner->at == '.') {
            scanner->at++;
            if (!Py_ISDIGIT(*scanner->at))
                return refuse("no number");
            skip_digits(scanner);
        }
        if (*scanner->at == 'e' || *scanner->at == 'E') {
            scanner->at++;
            if (*scanner->at == '-' || *scanner->at == '+')
                scanner->at++;
            if (!Py_ISDIGIT(*scanner->at))
                return refuse("no number");
            skip_digits(scanner);
        }
        return scan_float(start, scanner->at);
    }
    if (scanner->at - digits <= SURELY_FIT) {
        while (digits < scanner->at)
            number = number * 10 + (*digits++ - '0');
        return PyLong_FromLongLong(*start == '-' ? -number : number);
    }
    text = PyUnicode_DecodeASCII(start, scanner->at - start, "strict");
    integer = text != NULL ? PyLong_FromUnicodeObject(text, 10) : NULL; /* refuses thousands of digits */
    Py_XDECREF(text);
    return integer;
}

static PyObject *
scan_name(struct scanner *scanner)
{
    PyObject *name, *known;

    if (!next_is(scanner, '"'))
        return refuse("no name");
    name = scan_string(scanner);
    if (name == NULL)
        return NULL;
    known = PyDict_SetDefault(scanner->names, name, name);
    Py_XINCREF(known);
    Py_DECREF(name);
    if (known != NULL && !next_is(scanner, ':')) {
        Py_DECREF(known);
        return refuse("no colon");
    }
    return known;
}

static PyObject *
scan_object(struct scanner *scanner)
{
    PyObject *const object = PyDict_New();
    PyObject *name, *value;
    Py_ssize_t count = 0;
    int failed;

    if (object == NULL || next_is(scanner, '}'))
        return object;
    do {
        name = scan_name(scanner);
        value = name != NULL ? scan_value(scanner) : NULL;
        failed = value == NULL || PyDict_SetItem(object, name, value) < 0;
        Py_XDECREF(name);
        Py_XDECREF(value);
        if (failed)
            goto refused;
        if (PyDict_GET_SIZE(object) != ++count) {
            refuse("duplicate property");
            goto refused;
        }
    } while (next_is(scanner, ','));
    if (next_is(scanner, '}'))
        return object;
    refuse("no end of the object");

refused:
    Py_DECREF(object);
    return NULL;
}

static PyObject *
scan_array(struct scanner *scanner)
{
    PyObject *const array = PyList_New(0);
    PyObject *value;
    int failed;

    if (array == NULL || next_is(scanner, ']'))
        return array;
    do {
        value = scan_value(scanner);
        failed = value == NULL || PyList_Append(array, value) < 0;
        Py_XDECREF(value);
        if (failed)
            goto refused;
    } while (next_is(scanner, ','));
    if (next_is(scanner, ']'))
        return array;
    refuse("no end of the array");

refused:
    Py_DECREF(array);
    return NULL;
}

static PyObject *
scan_word(struct scanner *scanner, const char *word, PyObject *value)
{
    const size_t length = strlen(word);

    if (strncmp(scanner->at, word, length) != 0)
        return refuse("no value");
    scanner->at += length;
    return Py_NewRef(value);
}

static PyObject *
scan_value(struct scanner *scanner)
{
    PyObject *value;

    if (Py_EnterRecursiveCall(" while reading JSON"))
        return NULL;
    skip_space(scanner);
    switch (*scanner->at) {
    case '"': scanner->at++; value = scan_string(scanner); break;
    case '{': scanner->at++; value = scan_object(scanner); break;
    case '[': scanner->at++; value = scan_array(scanner); break;
    case 't': value = scan_word(scanner, "true", Py_True); break;
    case 'f': value = scan_word(scanner, "false", Py_False); break;
    case 'n': value = scan_word(scanner, "null", Py_None); break;
    default: value = scan_number(scanner);
    }
    Py_LeaveRecursiveCall();
    return value;
}

PyDoc_STRVAR(scan_doc,
"scan($module, text, /)\n--\n\n"
"The value of a JSON document, bytes in UTF-8. Raises ValueError or RecursionError.");

static PyObject *
scan_document(PyObject *Py_UNUSED(module), PyObject *text)
{
    struct scanner scanner;
    PyObject *value;

    if (!PyBytes_Check(text)) {
        PyErr_SetString(PyExc_TypeError, "a JSON document is bytes");
        return NULL;
    }
    scanner.at = PyBytes_AS_STRING(text);
    scanner.end = scanner.at + PyBytes_GET_SIZE(text);
    scanner.names = PyDict_New();
    if (scanner.names == NULL)
        return NULL;
    value = scan_value(&scanner);
    Py_DECREF(scanner.names);
    skip_space(&scanner);
    if (value != NULL && scanner.at != scanner.end) {
        Py_DECREF(value);
        return refuse("trailing data");
    }
    return value;
}

struct writer {
    char *text;
    size_t size, room;
};

static int
append(struct writer *writer, const char *text, size_t size)
{
    if (size > writer->room - writer->size) {
        const size_t room = 2 * writer->room + size;
        char *const larger = PyMem_Realloc(writer->text, room);

        if (larger == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        writer->text = larger;
        writer->room = room;
    }
    memcpy(writer->text + writer->size, text, size);
    writer->size += size;
    return 0;
}

static int
write_unit(struct writer *writer, unsigned int unit)
{
    char escape[7];

    return append(writer, escape, (size_t)PyOS_snprintf(escape, sizeof escape, "\\u%04x", unit));
}

static int
write_character(struct writer *writer, Py_UCS4 character)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *const which = character != 0 && character < 0x80 ? strchr(from, (int)character) : NULL;
    const char plain = (char)character;
    char escape[2];

    if (which != NULL) {
        escape[0] = '\\';
        escape[1] = to[which - from];
        return append(writer, escape, sizeof escape);
    }
    if (character >= ' ' && character <= '~')
        return append(writer, &plain, 1);
    if (character < 0x10000)
        return write_unit(writer, character);
    character -= 0x10000;
    return write_unit(writer, 0xD800 | character >> 10) < 0 ? -1 : write_unit(writer, 0xDC00 | (character & 0x3FF));
}

static int
write_string(struct writer *writer, PyObject *string)
{
    const Py_ssize_t length = PyUnicode_GET_LENGTH(string);

    if (append(writer, "\"", 1) < 0)
        return -1;
    for (Py_ssize_t i = 0; i < length; i++)
        if (write_character(writer, PyUnicode_READ_CHAR(string, i)) < 0)
            return -1;
    return append(writer, "\"", 1);
}

/* What a number calls itself. */
static int
write_number(struct writer *writer, PyObject *number)
{
    PyObject *const text = PyFloat_Check(number) ? PyFloat_Type.tp_repr(number) : PyLong_Type.tp_repr(number);
    int result;

    if (text == NULL)
        return -1;
    result = append(writer, (const char *)PyUnicode_1BYTE_DATA(text), (size_t)PyUnicode_GET_LENGTH(text));
    Py_DECREF(text);
    return result;
}

static int write_value(struct writer *writer, PyObject *value);

static int
write_object(struct writer *writer, PyObject *object)
{
    PyObject *name, *value;
    Py_ssize_t position = 0;
    const char *before = "{";

    if (PyDict_GET_SIZE(object) == 0)
        return append(writer, "{}", 2);
    while (PyDict_Next(object, &position, &name, &value)) {
        if (!PyUnicode_Check(name)) {
            PyErr_Format(PyExc_TypeError, "no JSON for a name that is %s", Py_TYPE(name)->tp_name);
            return -1;
        }
        if (append(writer, before, 1) < 0 || write_string(writer, name) < 0 || append(writer, ":", 1) < 0 ||
            write_value(writer, value) < 0)
            return -1;
        before = ",";
    }
    return append(writer, "}", 1);
}

static int
write_array(struct writer *writer, PyObject *array)
{
    if (append(writer, "[", 1) < 0)
        return -1;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(array); i++)
        if ((i > 0 && append(writer, ",", 1) < 0) || write_value(writer, PySequence_Fast_GET_ITEM(array, i)) < 0)
            return -1;
    return append(writer, "]", 1);
}

static int
write_value(struct writer *writer, PyObject *value)
{
    int result;

    if (value == Py_None)
        return append(writer, "null", 4);
    if (value == Py_True)
        return append(writer, "true", 4);
    if (value == Py_False)
        return append(writer, "false", 5);
    if (PyUnicode_Check(value))
        return write_string(writer, value);
    if (PyLong_Check(value) || (PyFloat_Check(value) && isfinite(PyFloat_AS_DOUBLE(value))))
        return write_number(writer, value);
    if (PyFloat_Check(value)) {
        refuse("no JSON for a number that is none");
        return -1;
    }
    if (!PyDict_Check(value) && !PyList_Check(value) && !PyTuple_Check(value)) {
        PyErr_Format(PyExc_TypeError, "no JSON for %s", Py_TYPE(value)->tp_name);
        return -1;
    }
    if (Py_EnterRecursiveCall(" while writing JSON"))
        return -1;
    result = PyDict_Check(value) ? write_object(writer, value) : write_array(writer, value);
    Py_LeaveRecursiveCall();
    return result;
}

PyDoc_STRVAR(write_doc,
"write($module, value, /)\n--\n\n"
"A value as JSON in ASCII, without spaces. Raises TypeError, ValueError or RecursionError.");

static PyObject *
write_document(PyObject *Py_UNUSED(module), PyObject *value)
{
    struct writer writer = {NULL, 0, 0};
    PyObject *text = NULL;

    if (write_value(&writer, value) == 0)
        text = PyUnicode_DecodeASCII(writer.text, (Py_ssize_t)writer.size, "strict");
    PyMem_Free(writer.text);
    return text;
}

static PyMethodDef methods[] = {
    {"scan", scan_document, METH_O, scan_doc},
    {"write", write_document, METH_O, write_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef jsonio = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_jsonio",
    .m_doc = "JSON in and out, strictly.",
    .m_methods = methods,
};

PyMODINIT_FUNC
PyInit__jsonio(void)
{
    return PyModuleDef_Init(&jsonio);
}
