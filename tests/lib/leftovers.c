#include "tests/lib/leftovers.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ENTRIES_MAX 1024
/* A detached thread ends a moment after whoever closed it; on a busy machine a long moment. */
#define THREADS_END_MS 10000
#define STEP_MS 2

/* A descriptor or a thread: its number, and what it is (readlink, comm). */
struct entry {
	int number;
	char what[160];
};

struct entries {
	struct entry all[ENTRIES_MAX];
	size_t count;
};

static struct entries fds_before, fds_after, threads_before, threads_after;
static const char *threads_allowed;
static unsigned threads_end_ms = THREADS_END_MS;

static void describe_fd(int fd, char *ret_what, size_t size)
{
	char path[64];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, ret_what, size - 1);
	ret_what[n > 0 ? n : 0] = '\0';
}

/* False: the thread has ended since it was listed. */
static bool describe_thread(int tid, char *ret_what, size_t size)
{
	char path[64];
	FILE *file;
	bool read;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/comm", tid);
	file = fopen(path, "re");
	if (!file)
		return false;
	read = fgets(ret_what, (int)size, file) != NULL;
	(void)fclose(file);
	ret_what[strcspn(ret_what, "\n")] = '\0';
	return read;
}

static void list(struct entries *to, const char *path, bool threads)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	to->count = 0;
	if (!dir) {
		/* Blind is not clean. */
		(void)fprintf(stderr, "cannot list %s: %s\n", path, strerror(errno));
		abort();
	}
	while ((entry = readdir(dir)) != NULL) {
		int number = atoi(entry->d_name);
		struct entry *e = &to->all[to->count];

		if (entry->d_name[0] == '.' || (!threads && number == dirfd(dir)))
			continue;
		if (to->count == ENTRIES_MAX)
			abort();
		e->number = number;
		if (!threads)
			describe_fd(number, e->what, sizeof(e->what));
		else if (!describe_thread(number, e->what, sizeof(e->what)))
			continue;
		to->count++;
	}
	(void)closedir(dir);
}

static bool holds(const struct entries *entries, const struct entry *e, bool same)
{
	for (size_t i = 0; i < entries->count; i++)
		if (entries->all[i].number == e->number &&
		    (!same || strcmp(entries->all[i].what, e->what) == 0))
			return true;
	return false;
}

static bool thread_is_new(void)
{
	for (size_t i = 0; i < threads_after.count; i++)
		if (!holds(&threads_before, &threads_after.all[i], false))
			return true;
	return false;
}

void leftovers_note(void)
{
	threads_allowed = NULL;
	list(&fds_before, "/proc/self/fd", false);
	list(&threads_before, "/proc/self/task", true);
}

void leftovers_allow_threads(const char *reason)
{
	threads_allowed = reason;
}

void leftovers_wait_at_most(unsigned ms)
{
	threads_end_ms = ms;
}

static bool no_threads(const char *test)
{
	const struct timespec step = { .tv_nsec = STEP_MS * 1000000 };
	bool none = true;

	for (unsigned i = 0; i <= threads_end_ms; i += STEP_MS) {
		list(&threads_after, "/proc/self/task", true);
		if (!thread_is_new() || threads_allowed)
			return true;
		(void)nanosleep(&step, NULL);
	}
	for (size_t i = 0; i < threads_after.count; i++) {
		const struct entry *e = &threads_after.all[i];

		if (holds(&threads_before, e, false))
			continue;
		(void)fprintf(stderr, "%s left a thread: %d '%s'\n", test, e->number, e->what);
		none = false;
	}
	return none;
}

static bool no_fds(const char *test)
{
	bool none = true;

	list(&fds_after, "/proc/self/fd", false);
	for (size_t i = 0; i < fds_after.count; i++) {
		const struct entry *e = &fds_after.all[i];

		if (holds(&fds_before, e, true))
			continue;
		(void)fprintf(stderr, "%s left a descriptor: %d '%s'\n", test, e->number, e->what);
		none = false;
	}
	for (size_t i = 0; i < fds_before.count; i++) {
		const struct entry *e = &fds_before.all[i];

		/* Another file under its number was told of already. */
		if (holds(&fds_after, e, false))
			continue;
		(void)fprintf(stderr, "%s closed a descriptor that was not its own: %d '%s'\n",
			      test, e->number, e->what);
		none = false;
	}
	return none;
}

static bool no_children(const char *test)
{
	siginfo_t child = { .si_pid = 0 };

	if (waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) != 0)
		return true;
	(void)fprintf(stderr, "%s left a child process%s\n", test,
		      child.si_pid ? ", which has ended" : "");
	return false;
}

/* Threads first: one that is on its way out may have a descriptor open. */
bool leftovers_none(const char *test)
{
	bool none = no_threads(test);

	if (threads_allowed && thread_is_new())
		return no_children(test);
	return no_fds(test) && no_children(test) && none;
}
