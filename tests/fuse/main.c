/*
 * fuse_faultfs [-s SEED] [-t SECONDS] [-r] DIRECTORY...
 *
 * Mounts one crashfs on each of the directories, says "ok" when it is there, and obeys: faultfs.h.
 * -s: of what it draws; -t: its time limit (600); -r: it removes the directories when it ends, and
 * the one that they lie in, if they are empty.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tests/fuse/faultfs.h"

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vprintf(format, args);
	va_end(args);
	(void)putchar('\n');
	(void)fflush(stdout);
}

static bool mount_all(struct faultfs *fs)
{
	for (unsigned i = 0; i < fs->n_mounts; i++)
		if (mount_start(&fs->mounts[i]) != 0)
			return false;
	return true;
}

/* Nothing is done for them any more, and nothing hangs in them. */
static void stop_all(struct faultfs *fs)
{
	(void)pthread_mutex_lock(&fs->mutex);
	fs->stopping = true;
	(void)pthread_cond_broadcast(&fs->changed);
	(void)pthread_mutex_unlock(&fs->mutex);
	for (unsigned i = 0; i < fs->n_mounts; i++)
		mount_stop(&fs->mounts[i]);
}

static void do_cut(struct faultfs *fs, const char *what)
{
	(void)pthread_mutex_lock(&fs->mutex);
	fs->stopping = true;
	if (strcmp(what, "none") == 0)
		crashfs_crash_losing_all(fs->crashfs);
	else if (strcmp(what, "all") == 0)
		crashfs_crash_keeping_all(fs->crashfs);
	else
		crashfs_crash(fs->crashfs, strtoull(what, NULL, 0));
	(void)rule_remove(fs, 0);
	(void)pthread_cond_broadcast(&fs->changed);
	(void)pthread_mutex_unlock(&fs->mutex);
	say("ok");
}

static void do_mount(struct faultfs *fs)
{
	stop_all(fs);
	crashfs_recover(fs->crashfs);
	fs->stopping = false;
	say(mount_all(fs) ? "ok" : "error cannot mount");
}

static void do_rule(struct faultfs *fs, char *text)
{
	const char *wrong;
	unsigned id = 0;

	(void)pthread_mutex_lock(&fs->mutex);
	wrong = rule_add(fs, text, &id);
	(void)pthread_mutex_unlock(&fs->mutex);
	if (wrong)
		say("error %s", wrong);
	else
		say("ok %u", id);
}

static void do_heal(struct faultfs *fs, const char *text)
{
	bool found;

	(void)pthread_mutex_lock(&fs->mutex);
	found = rule_remove(fs, (unsigned)strtoul(text, NULL, 10));
	(void)pthread_mutex_unlock(&fs->mutex);
	say(found ? "ok" : "error no such rule");
}

static void do_count(struct faultfs *fs, char *text)
{
	const char *wrong;
	unsigned long n;

	(void)pthread_mutex_lock(&fs->mutex);
	wrong = count_calls(fs, text, &n);
	(void)pthread_mutex_unlock(&fs->mutex);
	if (wrong)
		say("error %s", wrong);
	else
		say("ok %lu", n);
}

static void do_held(struct faultfs *fs)
{
	unsigned held;

	(void)pthread_mutex_lock(&fs->mutex);
	held = fs->held;
	(void)pthread_mutex_unlock(&fs->mutex);
	say("ok %u", held);
}

static void do_hits(struct faultfs *fs, const char *text)
{
	unsigned id = (unsigned)strtoul(text, NULL, 10);
	unsigned long hits = 0;

	(void)pthread_mutex_lock(&fs->mutex);
	for (unsigned i = 0; i < RULES_MAX; i++)
		if (id != 0 && fs->rules[i].id == id)
			hits = fs->rules[i].hits;
	(void)pthread_mutex_unlock(&fs->mutex);
	say("ok %lu", hits);
}

static void do_log(struct faultfs *fs)
{
	(void)pthread_mutex_lock(&fs->mutex);
	(void)fputs(crashfs_log(fs->crashfs), stderr);
	(void)pthread_mutex_unlock(&fs->mutex);
	say("ok");
}

static void obey(struct faultfs *fs, char *line)
{
	char *args;

	line[strcspn(line, "\n")] = '\0';
	args = line + strcspn(line, " ");
	if (*args)
		*args++ = '\0';
	if (strcmp(line, "rule") == 0)
		do_rule(fs, args);
	else if (strcmp(line, "heal") == 0)
		do_heal(fs, args);
	else if (strcmp(line, "count") == 0)
		do_count(fs, args);
	else if (strcmp(line, "held") == 0)
		do_held(fs);
	else if (strcmp(line, "hits") == 0)
		do_hits(fs, args);
	else if (strcmp(line, "cut") == 0 && *args)
		do_cut(fs, args);
	else if (strcmp(line, "mount") == 0)
		do_mount(fs);
	else if (strcmp(line, "log") == 0)
		do_log(fs);
	else
		say("error no such command");
}

/* The read of a command ends with EINTR, and we with it; should that not work, soon after. */
static void on_end(int signal_number)
{
	(void)signal_number;
	(void)signal(SIGALRM, SIG_DFL);
	(void)alarm(10);
}

static void end_at_signals(void)
{
	const struct sigaction action = { .sa_handler = on_end };

	(void)sigaction(SIGHUP, &action, NULL);
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGALRM, &action, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

static void remove_directories(const struct faultfs *fs)
{
	char parent[PATH_MAX];

	for (unsigned i = 0; i < fs->n_mounts; i++)
		(void)rmdir(fs->mounts[i].path);
	(void)snprintf(parent, sizeof(parent), "%s", fs->mounts[0].path);
	if (strrchr(parent, '/') && strrchr(parent, '/') != parent)
		*strrchr(parent, '/') = '\0';
	(void)rmdir(parent);
}

static int usage(void)
{
	(void)fputs("usage: fuse_faultfs [-s SEED] [-t SECONDS] [-r] DIRECTORY...\n", stderr);
	return 2;
}

static bool parse_options(int argc, char **argv, struct crashfs_options *options, bool *ret_remove)
{
	unsigned limit_s = 600;
	int option;

	while ((option = getopt(argc, argv, "s:t:r")) != -1) {
		if (option == 's')
			options->seed = strtoull(optarg, NULL, 0);
		else if (option == 't')
			limit_s = (unsigned)strtoul(optarg, NULL, 10);
		else if (option == 'r')
			*ret_remove = true;
		else
			return false;
	}
	(void)alarm(limit_s);
	return optind < argc && argc - optind <= CRASHFS_CLIENTS;
}

int main(int argc, char **argv)
{
	static struct faultfs fs = { .mutex = PTHREAD_MUTEX_INITIALIZER };
	struct crashfs_options options = { .seed = 1 };
	pthread_condattr_t attr;
	bool remove = false;
	char line[512];

	end_at_signals();
	if (!parse_options(argc, argv, &options, &remove))
		return usage();
	/* Should it be killed, the kernel aborts the mounts, since their descriptors are closed. */
	if (prctl(PR_SET_PDEATHSIG, SIGHUP) < 0)
		return 2;
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&fs.changed, &attr);
	fs.crashfs = crashfs_create(&options);
	fs.random = options.seed;
	for (int i = optind; i < argc; i++) {
		fs.mounts[fs.n_mounts] = (struct mount){
			.fs = &fs,
			.client = fs.n_mounts,
			.path = argv[i],
		};
		fs.n_mounts++;
	}
	if (!mount_all(&fs)) {
		say("error cannot mount: is there /dev/fuse, and are you root?");
		stop_all(&fs);
		return 1;
	}
	say("ok");
	while (fgets(line, sizeof(line), stdin))
		obey(&fs, line);
	stop_all(&fs);
	if (remove)
		remove_directories(&fs);
	crashfs_destroy(fs.crashfs);
	return 0;
}
