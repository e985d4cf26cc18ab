/*
 * One function for each command: argv[0] is its name, what follows its own. Returns the exit code.
 */
#ifndef SRC_CLI_COMMANDS_H
#define SRC_CLI_COMMANDS_H

#include "src/cli/cli_options.h"

int run_main(int argc, char **argv, struct cli_options *options);
int status_main(int argc, char **argv, struct cli_options *options);
int watch_main(int argc, char **argv, struct cli_options *options);
int history_main(int argc, char **argv, struct cli_options *options);
int repair_main(int argc, char **argv, struct cli_options *options);
int gc_main(int argc, char **argv, struct cli_options *options);
int verify_main(int argc, char **argv, struct cli_options *options);
int doctor_main(int argc, char **argv, struct cli_options *options);
int archive_main(int argc, char **argv, struct cli_options *options);
int metrics_main(int argc, char **argv, struct cli_options *options);
int config_main(int argc, char **argv, struct cli_options *options);
int state_main(int argc, char **argv, struct cli_options *options);
int blob_main(int argc, char **argv, struct cli_options *options);
int job_main(int argc, char **argv, struct cli_options *options);
int checkpoint_main(int argc, char **argv, struct cli_options *options);
int result_main(int argc, char **argv, struct cli_options *options);
int running_main(int argc, char **argv, struct cli_options *options);
int worker_main(int argc, char **argv, struct cli_options *options);

#endif
