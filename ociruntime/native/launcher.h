#ifndef OCIRUNTIME_LAUNCHER_H
#define OCIRUNTIME_LAUNCHER_H

/*
 * Run ociruntime.__main__.main(argv) in the interpreter that is linked into
 * this program, with `site` as the last directory of sys.path.
 *
 * Returns only when there is no such interpreter, or when it is no longer the
 * one that the standard library on disk belongs to: then another must be run.
 */
void run_embedded(int argc, char **argv, const char *site);

#endif
