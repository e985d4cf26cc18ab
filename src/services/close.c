/* Closing: nothing is deleted, and everything that is still open is named. */
#include <stdio.h>
#include <string.h>

#include "src/election/election.h"
#include "src/result/error.h"
#include "src/retrieval/poller.h"
#include "src/services/memory.h"

/* A list for a message: as much of it as there is room for. */
struct text {
	size_t len;
	bool full;
	char text[FSHA_MESSAGE_SIZE / 2];
};

static void append(struct text *t, const char *what, const char *name)
{
	size_t left = sizeof(t->text) - t->len;
	int n = snprintf(t->text + t->len, left, "%s%s '%.60s'", t->len ? ", " : "", what, name);

	if (t->full || n < 0 || (size_t)n >= left) {
		t->text[t->len] = '\0';
		t->full = true;
		return;
	}
	t->len += (size_t)n;
}

/* Everything that its user has not closed. Under the mutex. */
fsha_result services_check_all_closed(const struct fsha_services *s, fsha_error *reterr)
{
	struct text open = { .len = 0 };

	if (executor_is_me(s))
		return error_set(reterr, FSHA_E_STATE, 0, "close",
				 "the services cannot be closed from a callback");
	for (const struct fsha_election *e = s->elections; e; e = e->next)
		if (!e->closed)
			append(&open, "election", e->component);
	for (const struct open_store *o = s->stores; o; o = o->next)
		if (o->owners)
			append(&open, "store", o->store->directory);
	for (const struct fsha_retriever *r = s->retrievers; r; r = retriever_next(r))
		append(&open, "retriever of", retriever_component(r));
	if (open.len == 0)
		return FSHA_OK;
	return error_set(reterr, FSHA_E_STATE, 0, "close", "still open: %s%s", open.text,
			 open.full ? " and more" : "");
}

fsha_result fsha_services_close(fsha_services *s, fsha_error *reterr)
{
	fsha_result result;
	int64_t deadline_ns;

	if (!s)
		return FSHA_OK;
	services_lock(s);
	result = services_check_all_closed(s, reterr);
	if (result != FSHA_OK) {
		services_unlock(s);
		return result;
	}
	s->closing = true;
	services_wake_all(s);
	deadline_ns = services_close_deadline_ns(s);
	while (!services_all_ended(s))
		if (!services_wait(s, deadline_ns)) {
			result = error_set(
				reterr, FSHA_E_TIMEOUT, 0, "close",
				"the services are closed, but the filesystem of '%s' does "
				"not answer",
				s->cluster.path);
			break;
		}
	services_unlock(s);
	/* Else that thread has done so. */
	if (result == FSHA_OK && !s->heartbeat.started)
		heartbeat_leave(s);
	memory_leave(s->memory);
	services_unref(s);
	return result;
}
