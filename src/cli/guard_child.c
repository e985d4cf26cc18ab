#include "src/cli/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "src/cli/cli_error.h"

#define CHILDREN_TEXT 4096
#define TOLD_MAX 64

/*
 * COMMAND must find its cluster, and each store in it, where its leader and the next one do: so
 * what the command line and a file said is in its environment, too. An option that has a short
 * variable goes by that, which wins.
 */
static void set_settings(const fsha_config *config)
{
	char name[FSHA_CONFIG_VARIABLE_SIZE];
	const fsha_config_option *options;
	const char *value, *origin;
	size_t count;

	options = fsha_config_options(&count);
	for (size_t i = 0; i < count; i++) {
		value = fsha_config_get(config, options[i].key, &origin);
		if (options[i].short_variable && value)
			(void)setenv(options[i].short_variable, value, 1);
		else if (!options[i].instead && value && strcmp(origin, "default") != 0)
			(void)setenv(fsha_config_option_variable(&options[i], name), value, 1);
	}
}

static void set_environment(const struct guard_command *c, const struct guard_message *start)
{
	char number[32];

	set_settings(c->config);
	(void)setenv("FSHA_ELECTION", c->election, 1);
	(void)setenv("FSHA_ADDRESS", c->address, 1);
	(void)setenv("FSHA_CLUSTER_UUID", start->cluster, 1);
	(void)setenv("FSHA_SESSION", start->session, 1);
	(void)setenv("FSHA_LEASE_PATH", start->lease_path, 1);
	(void)snprintf(number, sizeof(number), "%llu", (unsigned long long)start->epoch);
	(void)setenv("FSHA_EPOCH", number, 1);
	(void)snprintf(number, sizeof(number), "%u ms", start->lease_ms);
	(void)setenv("FSHA_LEASE", number, 1);
}

static _Noreturn void become_command(const struct guard_command *c,
				     const struct guard_message *start, pid_t guard,
				     volatile int *report)
{
	/* Should the guard be killed, nobody would end COMMAND in time. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != guard)
		_exit(CLI_EXIT_EXEC);
	(void)setpgid(0, 0);
	set_environment(c, start);
	(void)sigprocmask(SIG_SETMASK, c->signals, NULL);
	(void)execvp(c->argv[0], c->argv);
	*report = errno;
	_exit(CLI_EXIT_EXEC);
}

pid_t guard_child_start(const struct guard_command *command, const struct guard_message *start,
			volatile int *report)
{
	pid_t guard = getpid(), pid;

	*report = 0;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		become_command(command, start, guard, report);
	/* Both do it, so that the group is there for whoever comes first. */
	(void)setpgid(pid, pid);
	return pid;
}

/* Those who were told to end, most recent last; a ring, since the guard does not allocate. */
static bool told_already(pid_t pid)
{
	static pid_t told[TOLD_MAX];
	static size_t next;

	for (size_t i = 0; i < TOLD_MAX; i++)
		if (told[i] == pid)
			return true;
	told[next++ % TOLD_MAX] = pid;
	return false;
}

/*
 * The processes whose parent is this one now: COMMAND, and orphans, which come here since we are
 * the reaper of all below us (PR_SET_CHILD_SUBREAPER). Who left the group but still has a parent in
 * it appears here when that parent is gone; so everybody is reached in the end.
 */
void guard_child_signal_orphans(pid_t group, int number)
{
	char path[64], text[CHILDREN_TEXT + 1], *p = text, *end;
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return; /* a kernel without it: the group has to do */
	n = read(fd, text, CHILDREN_TEXT);
	(void)close(fd);
	if (n <= 0)
		return;
	text[n] = '\0';
	for (;; p = end) {
		pid_t pid = (pid_t)strtol(p, &end, 10);

		/*
		 * The last number may be cut off when there are very many; the next round gets it.
		 */
		if (end == p || (n == CHILDREN_TEXT && *end == '\0'))
			return;
		if (getpgid(pid) == group || (number == SIGTERM && told_already(pid)))
			continue;
		(void)kill(pid, number);
		(void)kill(pid, SIGCONT);
	}
}

void guard_child_signal_all(pid_t group, int number)
{
	/*
	 * The number of the group stays taken as long as anybody is in it, so this reaches nobody
	 * else. When it is empty: ESRCH. Who is stopped must be continued to hear of it.
	 */
	(void)kill(-group, number);
	(void)kill(-group, SIGCONT);
	guard_child_signal_orphans(group, number);
}
