/*
 * A child that borrows our memory, as that of vfork(2) does, until it executes another program.
 *
 * To copy the memory of an interpreter is to copy its pages one by one, on both sides, for nothing: the child lives for
 * three milliseconds, and until it executes the player there is always one of the two that waits for the other. So they
 * share it. To Python the child is a second thread, which happens to be a process of its own, with descriptors,
 * namespaces and credentials of its own. The one that speaks is the one that runs:
 *
 * - what one of them says goes out only when it begins to listen (converse), without the GIL, so that no two run at once;
 * - the child begins to run when the parent listens for the first time; until then it makes system calls that need no
 *   Python, such as new namespaces, which are half of a millisecond;
 * - the end of file tells the parent that the other is no more in its memory, whether it has executed a program or was
 *   killed in the middle of an instruction of Python's. That is what a fork is to a child: PyOS_AfterFork_Child().
 */
#ifndef OCIRUNTIME_BORROW_H
#define OCIRUNTIME_BORROW_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* Whether a child may borrow: in our own interpreter (interpreter.c), whose allocator can do without a lost thread. */
int can_lend(void);

/* Methods of the door. */
extern const char borrow_doc[], made_doc[], converse_doc[], leave_doc[];
PyObject *door_borrow(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *door_made(PyObject *module, PyObject *none);
PyObject *door_converse(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *door_leave(PyObject *module, PyObject *const *args, Py_ssize_t count);

#endif
