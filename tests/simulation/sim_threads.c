/*
 * What takes the place of threads: the functions of pthreads and the events that the library uses,
 * wrapped by the linker (Makefile). Outside of a fiber they do what they always do.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/lib/crashfs_internal.h"
#include "tests/simulation/sim.h"

/* Numbers of events, far above those of descriptors. */
#define EVENT_FIRST (1 << 24)
#define EVENTS 1024

static const struct sim_process *event_owner[EVENTS]; /* NULL: free */
static bool event_set[EVENTS];

/* ---- Fibers ---- */

static void thread_body(void *arg)
{
	struct sim_thread *t = arg;

	(void)t->run(t->arg);
	t->state = SIM_ENDED;
}

struct sim_thread *sim_thread_create(struct sim_process *p, void *(*run)(void *), void *arg)
{
	struct sim_thread *t = cfs_xalloc(sizeof(*t)), **end = &p->threads;

	*t = (struct sim_thread){ .process = p, .run = run, .arg = arg, .wakes_ns = FSU_FOREVER };
	t->fiber = fiber_create(thread_body, t);
	while (*end)
		end = &(*end)->next;
	*end = t;
	return t;
}

void sim_stop(enum sim_state state)
{
	struct sim_thread *t = sim->running;

	t->state = state;
	fiber_yield(t->fiber);
	t->wakes_ns = FSU_FOREVER;
}

static bool any_event(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fds[i] >= EVENT_FIRST && event_set[fds[i] - EVENT_FIRST])
			return true;
	return false;
}

bool sim_thread_can_go(const struct sim_thread *t)
{
	switch (t->state) {
	case SIM_READY:
		return true;
	case SIM_WAITS:
		return t->wakes_ns <= sim_now_ns() || any_event(t->fds, t->n_fds);
	case SIM_ENDED:
		break;
	}
	return false;
}

int64_t sim_thread_wakes_ns(const struct sim_thread *t)
{
	return t->state == SIM_WAITS ? t->wakes_ns : FSU_FOREVER;
}

void sim_thread_go(struct sim_thread *t)
{
	assert(!sim->running);
	sim->running = t;
	fiber_resume(t->fiber);
	sim->running = NULL;
}

static void free_thread(struct sim_thread *t)
{
	if (fiber_ended(t->fiber))
		fiber_destroy(t->fiber);
	else
		fiber_abandon(t->fiber);
	free(t);
}

void sim_threads_abandon(struct sim_process *p)
{
	while (p->threads) {
		struct sim_thread *t = p->threads;

		p->threads = t->next;
		free_thread(t);
	}
	for (size_t i = 0; i < EVENTS; i++)
		if (event_owner[i] == p)
			event_owner[i] = NULL;
}

void sim_threads_reap(struct sim_process *p)
{
	for (struct sim_thread **at = &p->threads; *at;) {
		struct sim_thread *t = *at;

		if (t->state != SIM_ENDED) {
			at = &t->next;
			continue;
		}
		*at = t->next;
		free_thread(t);
	}
}

/* ---- In the place of pthreads ---- */

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __real_pthread_cond_broadcast(pthread_cond_t *condition);
int __real_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __real_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
				  const struct timespec *until);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
			  void *arg);
pthread_t __real_pthread_self(void);
int __real_clock_gettime(clockid_t clock, struct timespec *ts);
void __real_fsu_fd_close(int fd);

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_cond_broadcast(pthread_cond_t *condition);
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
				  const struct timespec *until);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
			  void *arg);
pthread_t __wrap_pthread_self(void);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ts);
int __wrap_fsu_event_open(void);
void __wrap_fsu_event_post(int event_fd);
void __wrap_fsu_event_drain(int event_fd);
void __wrap_fsu_fd_close(int fd);

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	if (!sim)
		return __real_pthread_mutex_lock(mutex);
	while (pthread_mutex_trylock(mutex) != 0) {
		/* has_leadership() must never wait for a call on the shared directory. */
		if (!sim->running)
			sim_die("a mutex is held over a call that must not be");
		sim->running->mutex = mutex;
		sim_stop(SIM_WAITS);
		sim->running->mutex = NULL;
	}
	return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	int r = __real_pthread_mutex_unlock(mutex);

	if (sim && sim->running)
		for (struct sim_thread *t = sim->running->process->threads; t; t = t->next)
			if (t->state == SIM_WAITS && t->mutex == mutex)
				t->state = SIM_READY;
	return r;
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *condition)
{
	if (!sim || !sim->running)
		return __real_pthread_cond_broadcast(condition);
	for (struct sim_thread *t = sim->running->process->threads; t; t = t->next)
		if (t->state == SIM_WAITS && t->condition == condition) {
			t->signalled = true;
			t->state = SIM_READY;
		}
	return 0;
}

static int wait_on(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t true_ns)
{
	struct sim_thread *t = sim->running;

	t->condition = condition;
	t->signalled = false;
	(void)__wrap_pthread_mutex_unlock(mutex);
	t->wakes_ns = true_ns;
	sim_stop(SIM_WAITS);
	t->condition = NULL;
	(void)__wrap_pthread_mutex_lock(mutex);
	return t->signalled ? 0 : ETIMEDOUT;
}

int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
	if (!sim || !sim->running)
		return __real_pthread_cond_wait(condition, mutex);
	return wait_on(condition, mutex, FSU_FOREVER);
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
				  const struct timespec *until)
{
	if (!sim || !sim->running)
		return __real_pthread_cond_timedwait(condition, mutex, until);
	return wait_on(condition, mutex,
		       sim_true_ns(sim->running->process,
				   (int64_t)until->tv_sec * FSU_NS_PER_S + until->tv_nsec));
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
			  void *arg)
{
	if (!sim || !sim->running)
		return __real_pthread_create(thread, attr, run, arg);
	*thread = (pthread_t)(uintptr_t)sim_thread_create(sim->running->process, run, arg);
	return 0;
}

pthread_t __wrap_pthread_self(void)
{
	return sim && sim->running ? (pthread_t)(uintptr_t)sim->running : __real_pthread_self();
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *ts)
{
	int64_t now_ns;

	if (!sim || !sim->running)
		return __real_clock_gettime(clock, ts);
	now_ns = sim_local_ns(sim->running->process, sim_now_ns());
	*ts = (struct timespec){ .tv_sec = now_ns / FSU_NS_PER_S,
				 .tv_nsec = now_ns % FSU_NS_PER_S };
	return 0;
}

/* ---- In the place of events ---- */

int __wrap_fsu_event_open(void)
{
	for (int i = 0; i < EVENTS; i++)
		if (!event_owner[i]) {
			event_owner[i] = sim->running->process;
			event_set[i] = false;
			return EVENT_FIRST + i;
		}
	return -EMFILE;
}

void __wrap_fsu_event_post(int event_fd)
{
	if (event_fd >= EVENT_FIRST)
		event_set[event_fd - EVENT_FIRST] = true;
}

void __wrap_fsu_event_drain(int event_fd)
{
	if (event_fd >= EVENT_FIRST)
		event_set[event_fd - EVENT_FIRST] = false;
}

void __wrap_fsu_fd_close(int fd)
{
	if (fd >= EVENT_FIRST)
		event_owner[fd - EVENT_FIRST] = NULL;
	else
		__real_fsu_fd_close(fd);
}
