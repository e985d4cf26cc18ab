/*
 * When the heartbeats of this process began that the filesystem has carried out: seen where the
 * library asks the system for them (the linker puts a function of ours in the place of renameat).
 */
#ifndef TESTS_STORM_BEATS_H
#define TESTS_STORM_BEATS_H

#include <stdint.h>

/*
 * The start of the last one, as a time of the history (page_now_ns); 0: there was none. One that
 * failed and may have been done counts from its first try.
 */
int64_t beats_last_ns(void);

#endif
