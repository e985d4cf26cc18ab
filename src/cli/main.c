/* The command `fsha`: finds the command that is meant and hands over. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/cli_error.h"
#include "src/cli/command_line.h"
#include "src/cli/commands.h"

static const struct command {
	const char *name;
	int (*main)(int argc, char **argv, struct cli_options *options);
} commands[] = {
	{ "run", run_main },        { "status", status_main },
	{ "watch", watch_main },    { "history", history_main },
	{ "job", job_main },        { "metrics", metrics_main },
	{ "config", config_main },  { "verify", verify_main },
	{ "backup", archive_main }, { "restore", archive_main },
	{ "worker", worker_main },  { "state", state_main },
	{ "blob", blob_main },      { "checkpoint", checkpoint_main },
	{ "result", result_main },  { "running", running_main },
	{ "gc", gc_main },          { "repair", repair_main },
	{ "doctor", doctor_main },
};

static const char help[] =
	"Usage: fsha [OPTION...] COMMAND [ARGUMENT...]\n"
	"\n"
	"High availability from a shared directory: several processes contend, one leads, and\n"
	"nothing that an older leader writes can become visible once a newer one was granted.\n"
	"\n"
	"Commands ('fsha COMMAND --help' tells more):\n"
	"  run --election NAME --address ADDR -- COMMAND...   run COMMAND while leading\n"
	"  status [ELECTION]                                  who leads, who stands by, who lives\n"
	"  watch ELECTION                                     a line for each change of leader\n"
	"  history ELECTION                                   who led when, and how it ended\n"
	"  metrics, config                                    figures for Prometheus; the "
	"settings\n"
	"  doctor [DIR]                                       is the directory, as it is mounted, "
	"good for fsha\n"
	"  verify, repair, gc                                 is it sound; mend it; tidy up\n"
	"  job put|get ID [FILE], job rm ID, job ls           the stored job graphs\n"
	"  result ls|get|put|mark-clean|rm [ID] [FILE]        what became of jobs\n"
	"  running ls|get|set|rm [ID] [RUNNING|DONE]          which jobs run and which are done\n"
	"  state NAMESPACE put|get|exists|rm|ls [NAME] [FILE]  the values of a namespace\n"
	"  blob put|get|ls|rm [KEY] [FILE]                    the blobs of jobs\n"
	"  checkpoint ls|latest|get|rm|counter JOB ...        the completed checkpoints of a job\n"
	"  backup FILE, restore FILE                          save all stores, and bring them "
	"back\n"
	"  worker ls|get|put|rm|set-state|next-id|backup|...  the workers of a resource manager\n"
	"\n"
	"Options:\n"
	"  -d, --storage-dir DIR   the shared directory; it must exist\n"
	"  -c, --cluster-id ID     whose data below it (/default)\n"
	"  -f, --config FILE       config.yaml or flink-conf.yaml, or the directory of it\n"
	"      --lease DURATION    the cluster's lease, such as '10 s'\n"
	"  -D KEY=VALUE            any setting, see fsha-config(5)\n"
	"      --json              print JSON; errors too, as {\"error\": ...}; but for run, "
	"metrics\n"
	"  -v, --verbose           tell on stderr what happens\n"
	"  -h, --help              this text, or that of a command; -V, --version: the version\n"
	"\n"
	"Environment: FSHA_STORAGE_DIR, FSHA_CLUSTER_ID, FSHA_LEASE. The command line comes "
	"before\n"
	"the environment, and that before the file. What 'fsha run' sets for its COMMAND besides\n"
	"all settings: FSHA_ELECTION, _EPOCH, _SESSION, _ADDRESS, _CLUSTER_UUID, _LEASE_PATH; "
	"with\n"
	"them commands that write do so under that leader's term.\n"
	"\n"
	"Exit codes: 0 ok; 119 conflict: it exists already, or has another version; 120 usage;\n"
	"121 configuration; 122 not the leader, or there is none; 123 fenced: that term is over;\n"
	"124 not found; 125 in doubt: done or not, ask again; 126 I/O, damage, timeout, memory;\n"
	"127 COMMAND cannot be executed. All others are COMMAND's own, 128+N for signal N.\n"
	"\n"
	"Examples:\n"
	"  fsha run -d /mnt/shared --election dispatcher --address $HOSTNAME:8081 -- ./server\n"
	"  fsha status -d /mnt/shared\n";

int main(int argc, char **argv)
{
	struct cli_options options = { 0 };
	bool json = cli_error_wants_json(argv);
	int at = command_line_parse(argc, argv, help, &options);
	int (*command)(int argc, char **argv, struct cli_options *options) = NULL;
	int code = CLI_EXIT_USAGE;

	if (at < 0)
		return cli_error_end(CLI_EXIT_USAGE, json || options.json);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[at], commands[i].name) == 0)
			command = commands[i].main;
	if (command == run_main) /* what it prints is COMMAND's, and so may be its exit code */
		return run_main(argc - at, command_line_rename(argv + at), &options);
	if (command)
		code = command(argc - at, command_line_rename(argv + at), &options);
	else
		(void)cli_options_error("there is no command '%.100s': 'fsha --help' lists them",
					argv[at]);
	return cli_error_end(code, json || options.json);
}
