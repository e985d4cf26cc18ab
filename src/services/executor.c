/*
 * The executor: runs every callback, one at a time, with no lock of ours held. Its queue is
 * intrusive: an object has one task, and what it has to tell is worked out when the task runs, so
 * nothing is lost for lack of memory.
 */
#include "src/services/services.h"

#include <assert.h>

void executor_post(struct fsha_services *s, struct task *task)
{
	if (!task->queued) {
		task->queued = true;
		task->next = NULL;
		*s->tasks_end = task;
		s->tasks_end = &task->next;
	}
	worker_wake(&s->executor);
}

void executor_cancel(struct fsha_services *s, struct task *task)
{
	for (struct task **p = &s->tasks; *p; p = &(*p)->next) {
		if (*p != task)
			continue;
		*p = task->next;
		if (s->tasks_end == &task->next)
			s->tasks_end = p;
		task->queued = false;
		return;
	}
}

bool executor_is_me(const struct fsha_services *s)
{
	return s->executor_known && pthread_equal(s->executor_thread, pthread_self());
}

static struct task *pop(struct fsha_services *s)
{
	struct task *task = s->tasks;

	if (!task)
		return NULL;
	s->tasks = task->next;
	if (!s->tasks)
		s->tasks_end = &s->tasks;
	task->queued = false;
	return task;
}

void executor_run(struct worker *w)
{
	struct fsha_services *s = w->services;

	services_lock(s);
	s->executor_thread = pthread_self();
	s->executor_known = true;
	for (;;) {
		struct task *task = pop(s);

		if (task) {
			if (task->run(task))
				executor_post(s, task);
			(void)pthread_cond_broadcast(&s->changed);
			continue;
		}
		if (s->closing)
			break;
		services_unlock(s);
		(void)worker_wait(w, -1, FSU_FOREVER);
		services_lock(s);
	}
	s->executor_known = false;
	services_unlock(s);
}
