#include "tests/lib/swept.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 64

/* Of the operation that runs. */
static struct {
	pthread_mutex_t mutex;
	const char *kind, *scenario;
	const char *names[NAMES_MAX];
	unsigned count;
} now = { .mutex = PTHREAD_MUTEX_INITIALIZER };

bool swept_listing(void)
{
	return getenv("FSHA_SWEPT") != NULL;
}

void swept_begin(const char *kind, const char *scenario)
{
	now.kind = kind;
	now.scenario = scenario;
	now.count = 0;
}

void swept_note(const char *function)
{
	unsigned i = 0;

	(void)pthread_mutex_lock(&now.mutex);
	while (i < now.count && strcmp(now.names[i], function) != 0)
		i++;
	if (now.kind && i == now.count && i < NAMES_MAX)
		now.names[now.count++] = function;
	(void)pthread_mutex_unlock(&now.mutex);
}

void swept_end(void)
{
	const char *path = getenv("FSHA_SWEPT");
	FILE *out = path ? fopen(path, "ae") : NULL;

	if (path && !out)
		abort();
	if (out)
		(void)fprintf(out, "%s - %s\n", now.kind, now.scenario);
	for (unsigned i = 0; out && i < now.count; i++)
		(void)fprintf(out, "%s %s %s\n", now.kind, now.names[i], now.scenario);
	if (out && fclose(out) != 0)
		abort();
	now.kind = NULL;
}
