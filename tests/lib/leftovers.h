/*
 * What a test leaves behind in its process: descriptors, threads, child processes. The crash
 * filesystem counts its own descriptors; these are the kernel's, so they tell also of what goes
 * past the table, of the command's side of the library, and of the tests themselves.
 */
#ifndef TESTS_LEFTOVERS_H
#define TESTS_LEFTOVERS_H

#include <stdbool.h>

/* Note what there is, before a test. */
void leftovers_note(void);
/*
 * After it: is there nothing new, and is nothing gone that the test had not opened? Says on stderr
 * what it is, by name. Threads that are on their way out are waited for, for some seconds.
 */
bool leftovers_none(const char *test);
/*
 * The test that calls it leaves threads behind on purpose, for `reason`. What it left is not held
 * against the tests after it.
 */
void leftovers_allow_threads(const char *reason);

/* How long threads that are on their way out are waited for from now on. */
void leftovers_wait_at_most(unsigned ms);

#endif
