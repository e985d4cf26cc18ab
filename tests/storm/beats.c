#include "tests/storm/beats.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "tests/storm/page.h"

#define MEMBER_LENGTH 32

static struct {
	pthread_mutex_t mutex;
	char member[MEMBER_LENGTH + 1]; /* the one that this process became last */
	char trying[128];               /* what has failed last */
	int64_t tried_ns, last_ns;
} b = { .mutex = PTHREAD_MUTEX_INITIALIZER };

/* The linker's names. */
/* NOLINTBEGIN(bugprone-reserved-identifier) */
int __real_renameat(int from_dirfd, const char *from, int to_dirfd, const char *to);
int __wrap_renameat(int from_dirfd, const char *from, int to_dirfd, const char *to);
/* NOLINTEND(bugprone-reserved-identifier) */

/* "~<member>" becomes "<member>": the first beat of a new one. */
static bool joins(const char *from, const char *to)
{
	return from[0] == '~' && strcmp(from + 1, to) == 0 && strlen(to) == MEMBER_LENGTH;
}

/* Of "<member>/beat-<n>", and the member is this process: others are expelled by renames too. */
static bool beats(const char *to)
{
	return b.member[0] && strncmp(to, b.member, MEMBER_LENGTH) == 0 &&
	       strncmp(to + MEMBER_LENGTH, "/beat-", 6) == 0;
}

static void note(int64_t start_ns, const char *to, bool done)
{
	if (!done && strcmp(b.trying, to) != 0) {
		(void)snprintf(b.trying, sizeof(b.trying), "%s", to);
		b.tried_ns = start_ns;
	}
	if (!done)
		start_ns = b.tried_ns;
	if (start_ns > b.last_ns)
		b.last_ns = start_ns;
}

int __wrap_renameat(int from_dirfd, const char *from, int to_dirfd, const char *to)
{
	const int64_t start_ns = page_now_ns();
	const int r = __real_renameat(from_dirfd, from, to_dirfd, to);
	const int error = errno;

	(void)pthread_mutex_lock(&b.mutex);
	if (r == 0 && joins(from, to)) {
		(void)snprintf(b.member, sizeof(b.member), "%s", to);
		note(start_ns, to, true);
	} else if (beats(to)) {
		note(start_ns, to, r == 0);
	}
	(void)pthread_mutex_unlock(&b.mutex);
	errno = error;
	return r;
}

int64_t beats_last_ns(void)
{
	int64_t last_ns;

	(void)pthread_mutex_lock(&b.mutex);
	last_ns = b.last_ns;
	(void)pthread_mutex_unlock(&b.mutex);
	return last_ns;
}
