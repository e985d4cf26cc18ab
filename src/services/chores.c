/*
 * Chores: work of the user's objects that may hang in the storage or in the user's code, one after
 * the other on a thread of its own. The executor must not wait for it, since revocations come from
 * there; the janitor must not, since it keeps the stores small.
 */
#include "src/services/services.h"

int chores_start(struct fsha_services *s)
{
	return worker_start(s, &s->chores.worker, chores_run);
}

void chores_post(struct fsha_services *s, struct chore *chore)
{
	struct chore **end = &s->chores.queue;

	if (!chore->queued) {
		while (*end)
			end = &(*end)->next;
		chore->queued = true;
		chore->next = NULL;
		*end = chore;
	}
	if (s->chores.worker.started)
		worker_wake(&s->chores.worker);
}

static void cancel(struct fsha_services *s, struct chore *chore)
{
	for (struct chore **p = &s->chores.queue; *p; p = &(*p)->next) {
		if (*p != chore)
			continue;
		*p = chore->next;
		chore->queued = false;
		return;
	}
}

bool chores_remove(struct fsha_services *s, struct chore *chore, int64_t deadline_ns)
{
	while ((chore->queued || chore->running) && s->chores.worker.started)
		if (!services_wait(s, deadline_ns))
			break;
	cancel(s, chore);
	chore->abandoned = chore->running;
	return !chore->running;
}

bool chores_is_me(const struct fsha_services *s)
{
	return s->chores.thread_known && pthread_equal(s->chores.thread, pthread_self());
}

bool chores_run_one(struct fsha_services *s)
{
	struct chore *chore = s->chores.queue;
	bool abandoned;

	if (!chore)
		return false;
	s->chores.queue = chore->next;
	chore->queued = false;
	chore->running = true;
	services_unlock(s);
	chore->run(chore);
	services_lock(s);
	chore->running = false;
	abandoned = chore->abandoned;
	(void)pthread_cond_broadcast(&s->changed);
	if (abandoned) {
		services_unlock(s);
		chore->returned(chore);
		services_lock(s);
	}
	return true;
}

void chores_run(struct worker *w)
{
	struct fsha_services *s = w->services;

	services_lock(s);
	s->chores.thread = pthread_self();
	s->chores.thread_known = true;
	for (;;) {
		if (chores_run_one(s))
			continue;
		if (s->closing)
			break;
		services_unlock(s);
		(void)worker_wait(w, -1, FSU_FOREVER);
		services_lock(s);
	}
	s->chores.thread_known = false;
	services_unlock(s);
}
