/*
 * The line of `fsha`: options that stand before the command, and where the command is. For the
 * programs that this command consists of.
 */
#ifndef SRC_CLI_COMMAND_LINE_H
#define SRC_CLI_COMMAND_LINE_H

#include "src/cli/cli_options.h"

/* The index of the command in argv; -1: told what is wrong. `help` is what --help prints. */
int command_line_parse(int argc, char **argv, const char *help, struct cli_options *ret_options);
/* Messages begin with "fsha", whatever the command is. Returns argv. */
char **command_line_rename(char **argv);

#endif
