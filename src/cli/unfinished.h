/*
 * A file that is being written under a temporary name: it goes away when a signal ends the program,
 * as it does when writing fails. One at a time.
 */
#ifndef SRC_CLI_UNFINISHED_H
#define SRC_CLI_UNFINISHED_H

/* Before `path` is created; it must live until unfinished_end. */
void unfinished_begin(const char *path);
/* It has its name now, was removed, or was never made. */
void unfinished_end(void);

#endif
