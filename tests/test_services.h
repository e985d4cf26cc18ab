/*
 * What the tests of the public interface share: a storage directory, services with a lease of one
 * second, contenders and listeners that remember what they were told. Callbacks run in threads of
 * the library, so nothing in them asserts; the test asks what they remember, and waits for it with
 * a limit.
 */
#ifndef TESTS_TEST_SERVICES_H
#define TESTS_TEST_SERVICES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fsha/fsha.h"
#include "src/services/services.h"
#include "tests/lib/run.h"

#define LEASE (test_slowness() > 1 ? "5 s" : "1 s")
#define LEASE_MS (test_slowness() > 1 ? 5000 : 1000)
/* Of every wait: a sanitizer on a busy machine is slow. */
#define LIMIT_MS (20000 * (int64_t)test_slowness())
#define ELECTION "dispatcher"
#define ADDRESS "akka.tcp://flink@host:6123/user/dispatcher"

static struct fixture {
	char dir[64];
	char path[512];
	fsha_config *config;
	fsha_error error;
} t;

static inline int64_t now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static inline int setup(void **state)
{
	(void)state;
	t = (struct fixture){ .dir = "/tmp/fsha-test-services-XXXXXX", .error = FSHA_ERROR_INIT };
	/* A test that hangs must not take the others' time. */
	(void)alarm(60 * test_slowness());
	t.config = fsha_config_create();
	if (!t.config || !mkdtemp(t.dir))
		return -1;
	return fsha_config_set(t.config, FSHA_KEY_STORAGE_DIR, t.dir, NULL) ||
	       fsha_config_set(t.config, FSHA_KEY_LEASE, LEASE, NULL) ||
	       fsha_config_set(t.config, FSHA_KEY_POLL_INTERVAL, "20 ms", NULL);
}

static inline int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static inline int teardown(void **state)
{
	(void)state;
	(void)alarm(0);
	fsha_config_destroy(t.config);
	return nftw(t.dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#define assert_result(call, expected)                                                       \
	do {                                                                                \
		fsha_result result_ = (call);                                               \
		if (result_ != (expected))                                                  \
			fail_msg("%s is %s (%s), not %s", #call, fsha_result_name(result_), \
				 result_ == FSHA_OK ? "" : t.error.message, #expected);     \
	} while (0)
#define assert_ok(call) assert_result(call, FSHA_OK)
/* Refused with that result, and the message names `part`. */
#define assert_refused(call, expected, part)                                                \
	do {                                                                                \
		assert_result(call, expected);                                              \
		assert_int_equal(t.error.result, expected);                                 \
		if (!strstr(t.error.message, part))                                         \
			fail_msg("'%s' is not in the message '%s'", part, t.error.message); \
	} while (0)

static inline fsha_services *open_services(void)
{
	fsha_services *s = NULL;

	assert_ok(fsha_services_open(t.config, NULL, &s, &t.error));
	return s;
}

/* ---- the cluster directory, behind the library's back ---- */

/* "<storage>/default/<path>". Valid until the next call. */
static inline const char *in_cluster(const char *path)
{
	(void)snprintf(t.path, sizeof(t.path), "%s/default/%s", t.dir, path);
	return t.path;
}

/*
 * The names in a directory of the cluster that begin with `prefix`; the last in order is copied to
 * `ret_last` (256 bytes, may be NULL).
 */
static inline size_t count_names(const char *path, const char *prefix, char *ret_last)
{
	struct dirent **names = NULL;
	size_t n = 0;
	int count;

	if (ret_last)
		ret_last[0] = '\0';
	count = scandir(in_cluster(path), &names, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		const char *name = names[i]->d_name;

		if (name[0] != '.' && strncmp(name, prefix, strlen(prefix)) == 0) {
			n++;
			if (ret_last)
				(void)snprintf(ret_last, 256, "%s", name);
		}
		free(names[i]);
	}
	free(names);
	return n;
}

/* All files and directories below the cluster, to see that nothing was left behind. */
static size_t tree_count;
static inline int count_entry(const char *path, const struct stat *st, int type)
{
	(void)path;
	(void)st;
	(void)type;
	tree_count++;
	return 0;
}
static inline size_t count_tree(void)
{
	tree_count = 0;
	assert_int_equal(ftw(in_cluster(""), count_entry, 16), 0);
	return tree_count;
}

static inline size_t read_file(const char *path, uint8_t *buf, size_t size)
{
	FILE *file = fopen(path, "re");
	size_t n;

	assert_non_null(file);
	n = fread(buf, 1, size, file);
	(void)fclose(file);
	return n;
}

static inline void write_file(const char *path, const void *data, size_t len)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

/* ---- waiting ---- */

/* What threads of the library and the test share. */
struct post {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
};

static inline void post_init(struct post *p)
{
	pthread_condattr_t attr;

	(void)pthread_mutex_init(&p->mutex, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&p->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
}

/* One wait under the mutex; false when the time is over. */
static inline bool post_wait(struct post *p, int64_t deadline_ms)
{
	struct timespec until = { .tv_sec = deadline_ms / 1000,
				  .tv_nsec = deadline_ms % 1000 * 1000000 };

	return pthread_cond_timedwait(&p->changed, &p->mutex, &until) != ETIMEDOUT;
}

static inline void post_lock(struct post *p)
{
	(void)pthread_mutex_lock(&p->mutex);
}

static inline void post_unlock(struct post *p)
{
	(void)pthread_cond_broadcast(&p->changed);
	(void)pthread_mutex_unlock(&p->mutex);
}

#define WITHIN(post, ms, condition)                                        \
	__extension__({                                                    \
		int64_t deadline_ = now_ms() + (ms);                       \
		bool ok_;                                                  \
		post_lock(post);                                           \
		while (!(ok_ = (condition)) && post_wait(post, deadline_)) \
			;                                                  \
		ok_ = (condition);                                         \
		post_unlock(post);                                         \
		ok_;                                                       \
	})
#define WAIT_FOR(post, condition)                            \
	do {                                                 \
		if (!WITHIN(post, LIMIT_MS, condition))      \
			fail_msg("in vain: %s", #condition); \
	} while (0)

/* For what shows only on disk or by a question: asked again for a while. */
#define POLL_FOR(condition)                                          \
	do {                                                         \
		int64_t deadline_ = now_ms() + LIMIT_MS;             \
		while (!(condition)) {                               \
			if (now_ms() >= deadline_)                   \
				fail_msg("in vain: %s", #condition); \
			(void)usleep(2000);                          \
		}                                                    \
	} while (0)

/* A place where threads wait while it is shut. */
struct gate {
	struct post post;
	bool shut;
	unsigned waiting;
};

static inline void gate_init(struct gate *g)
{
	post_init(&g->post);
	g->shut = false;
	g->waiting = 0;
}

static inline void gate_set(struct gate *g, bool shut)
{
	post_lock(&g->post);
	g->shut = shut;
	post_unlock(&g->post);
}

static inline void gate_pass(struct gate *g)
{
	post_lock(&g->post);
	g->waiting++;
	(void)pthread_cond_broadcast(&g->post.changed);
	while (g->shut)
		(void)pthread_cond_wait(&g->post.changed, &g->post.mutex);
	g->waiting--;
	post_unlock(&g->post);
}

/* ---- contenders ---- */

#define TERMS_MAX 16

struct player {
	struct post post;
	fsha_election *election;
	/* Under the mutex: */
	unsigned grants, revokes, errors;
	bool leads, out_of_turn;
	fsha_uuid session, sessions[TERMS_MAX];
	uint64_t epoch;
	fsha_error error;
	/* What to do in a grant; set before it is started. */
	const char *confirm;     /* an address */
	struct gate *grant_gate; /* pass it */
	fsha_result (*in_grant)(struct player *p);
	fsha_result in_grant_result; /* of the last one that was left */
	unsigned acted;              /* grants that were left */
	void *ctx;
};

static inline void on_grant(void *ctx, const fsha_uuid *session, uint64_t epoch)
{
	fsha_result result = FSHA_OK;
	struct player *p = ctx;

	post_lock(&p->post);
	/* A grant may come before fsha_election_start has returned. */
	while (!p->election)
		(void)pthread_cond_wait(&p->post.changed, &p->post.mutex);
	p->out_of_turn |= p->leads || epoch <= p->epoch;
	p->leads = true;
	p->session = *session;
	p->epoch = epoch;
	p->sessions[p->grants++ % TERMS_MAX] = *session;
	post_unlock(&p->post);
	if (p->grant_gate)
		gate_pass(p->grant_gate);
	if (p->confirm)
		result = fsha_election_confirm_leadership(p->election, session, p->confirm, NULL);
	if (p->in_grant)
		result = p->in_grant(p);
	post_lock(&p->post);
	p->in_grant_result = result;
	p->acted++;
	post_unlock(&p->post);
}

static inline void on_revoke(void *ctx)
{
	struct player *p = ctx;

	post_lock(&p->post);
	p->out_of_turn |= !p->leads;
	p->leads = false;
	p->revokes++;
	post_unlock(&p->post);
}

static inline void on_error(void *ctx, const fsha_error *error)
{
	struct player *p = ctx;

	post_lock(&p->post);
	p->errors++;
	p->error = *error;
	post_unlock(&p->post);
}

static inline fsha_contender contender_of(struct player *p)
{
	return (fsha_contender){ sizeof(fsha_contender), p, on_grant, on_revoke, on_error };
}

static inline void player_init(struct player *p)
{
	memset(p, 0, sizeof(*p));
	post_init(&p->post);
}

static inline void player_start(struct player *p, fsha_services *s, const char *election)
{
	fsha_contender c = contender_of(p);
	fsha_election *e = NULL;

	assert_ok(fsha_election_start(s, election, &c, &e, &t.error));
	post_lock(&p->post);
	p->election = e;
	post_unlock(&p->post);
}

/* Contend and wait until it leads. */
static inline void player_lead(struct player *p, fsha_services *s, const char *election)
{
	player_init(p);
	player_start(p, s, election);
	WAIT_FOR(&p->post, p->leads);
}

/* The last error that it was told of; more may come at any time. */
static inline fsha_error player_error(struct player *p)
{
	fsha_error error;

	WAIT_FOR(&p->post, p->errors > 0);
	post_lock(&p->post);
	error = p->error;
	post_unlock(&p->post);
	return error;
}

static inline void player_close(struct player *p)
{
	assert_ok(fsha_election_close(p->election, &t.error));
	p->election = NULL;
	assert_false(p->out_of_turn);
}

static inline void close_services(fsha_services *s)
{
	assert_ok(fsha_services_close(s, &t.error));
}

/* ---- listeners to leaders ---- */

#define HEARD_MAX 32

struct heard {
	bool leader;
	char address[64];
	fsha_uuid session;
};

struct listener {
	struct post post;
	fsha_retriever *retriever;
	unsigned count, errors; /* under the mutex */
	struct heard heard[HEARD_MAX];
	struct gate *gate;
};

static inline void on_leader(void *ctx, const char *address, const fsha_uuid *session)
{
	struct listener *l = ctx;

	post_lock(&l->post);
	if (l->count < HEARD_MAX) {
		struct heard *h = &l->heard[l->count];

		h->leader = address && session;
		(void)snprintf(h->address, sizeof(h->address), "%s", address ? address : "");
		if (session)
			h->session = *session;
	}
	l->count++;
	post_unlock(&l->post);
	if (l->gate)
		gate_pass(l->gate);
}

static inline void on_retrieval_error(void *ctx, const fsha_error *error)
{
	struct listener *l = ctx;

	(void)error;
	post_lock(&l->post);
	l->errors++;
	post_unlock(&l->post);
}

static inline void listen_to(struct listener *l, fsha_services *s, const char *election)
{
	fsha_leader_listener listener = { sizeof(listener), l, on_leader, on_retrieval_error };

	memset(l->heard, 0, sizeof(l->heard));
	l->count = l->errors = 0;
	post_init(&l->post);
	assert_ok(fsha_retriever_start(s, election, &listener, &l->retriever, &t.error));
}

static inline void listener_stop(struct listener *l)
{
	assert_ok(fsha_retriever_stop(l->retriever, &t.error));
	l->retriever = NULL;
}

#endif
