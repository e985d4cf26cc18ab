/*
 * When fsha_services_close says OK, everything was given back: no thread does so a moment later,
 * with a table of system calls that may be gone by then. And nothing is given back that a thread is
 * still in.
 */
#include "src/services/services.h"
#include "tests/test_services.h"

/* ---- memory, counted ---- */

static _Atomic long blocks; /* in use */
static struct fsu_ops counted_ops;

static void *counted_alloc(void *ctx, size_t size)
{
	void *block = fsu_alloc(&fsu_posix, size);

	(void)ctx;
	atomic_fetch_add(&blocks, block ? 1 : 0);
	return block;
}

static void *counted_resize(void *ctx, void *ptr, size_t size)
{
	void *block = fsu_resize(&fsu_posix, ptr, size);

	(void)ctx;
	atomic_fetch_add(&blocks, block && !ptr ? 1 : 0);
	return block;
}

static void counted_release(void *ctx, void *ptr)
{
	(void)ctx;
	atomic_fetch_add(&blocks, ptr ? -1 : 0);
	fsu_release(&fsu_posix, ptr);
}

static const struct fsu counted = { &counted_ops, NULL };

/* ---- threads that are stopped at their end ---- */

/* The linker puts it in the place of pthread's (Makefile). */
/* NOLINTBEGIN(bugprone-reserved-identifier) */
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
/* NOLINTEND(bugprone-reserved-identifier) */

static struct fsha_services *_Atomic watched;
static unsigned ended;     /* threads of them, under their mutex */
static struct gate ending; /* shut: a thread stops after it has said that it ended */
static atomic_bool slowly; /* instead: it stays in the mutex for a while then */
static atomic_bool staying;

#define STAY_MS 50

static unsigned count_ended(const struct fsha_services *s)
{
	return s->executor.ended + s->watchdog.ended + s->heartbeat.ended + s->claimer.ended +
	       s->poller.ended + s->janitor.ended + s->chores.worker.ended;
}

static void stay(void)
{
	const struct timespec pause = { .tv_nsec = STAY_MS * 1000000 };

	atomic_store(&staying, true);
	(void)nanosleep(&pause, NULL);
	atomic_store(&staying, false);
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	const struct fsha_services *s = atomic_load(&watched);
	bool last = false;
	int r;

	if (s && mutex == &s->mutex) {
		const unsigned n = count_ended(s);

		last = n > ended;
		ended = n;
	}
	if (last && atomic_load(&slowly))
		stay();
	r = __real_pthread_mutex_unlock(mutex);
	if (last)
		gate_pass(&ending);
	return r;
}

static fsha_services *open_counted(void)
{
	fsha_services *s = NULL;

	counted_ops = *fsu_posix.ops;
	counted_ops.alloc = counted_alloc;
	counted_ops.resize = counted_resize;
	counted_ops.release = counted_release;
	ended = 0;
	assert_ok(services_open_with(&counted, t.config, NULL, &s, &t.error));
	return s;
}

static void everything_was_given_back_when_close_returns(void **state)
{
	static struct player p;
	fsha_services *s = open_counted();

	(void)state;
	player_lead(&p, s, ELECTION);
	player_close(&p);
	gate_set(&ending, true);
	atomic_store(&watched, s);
	close_services(s);
	atomic_store(&watched, NULL);
	assert_int_equal(atomic_load(&blocks), 0);
	assert_in_range(ended, 5, 7);
	gate_set(&ending, false);
}

/* As after a close that did not wait for them any longer. */
static void nothing_is_given_back_that_a_thread_is_still_in(void **state)
{
	static struct player p;
	fsha_services *s = open_counted();

	(void)state;
	player_lead(&p, s, ELECTION);
	player_close(&p);
	atomic_store(&slowly, true);
	atomic_store(&watched, s);
	services_lock(s);
	s->closing = true;
	services_wake_all(s);
	services_unlock(s);
	/* The last thread let go of them, and is still in the mutex. */
	POLL_FOR(atomic_load(&s->refs) == 1);
	services_unref(s);
	assert_false(atomic_load(&staying));
	assert_int_equal(atomic_load(&blocks), 0);
	atomic_store(&watched, NULL);
	atomic_store(&slowly, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(everything_was_given_back_when_close_returns),
		TEST(nothing_is_given_back_that_a_thread_is_still_in),
	};

	gate_init(&ending);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
