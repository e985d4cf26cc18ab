/* What is promised while the filesystem does not answer at all: every call on files hangs. */
#include "tests/test_hook.h"

/* Threads of this process. A sanitizer has one of its own, so it is compared with before. */
static size_t count_threads(void)
{
	struct dirent **names = NULL;
	int count = scandir("/proc/self/task", &names, NULL, alphasort);

	assert_true(count > 2);
	for (int i = 0; i < count; i++)
		free(names[i]);
	free(names);
	return (size_t)count;
}

/* Directories of members. */
static size_t count_members(const fsha_services *s)
{
	char path[4096];
	struct dirent **names = NULL;
	int count;

	(void)snprintf(path, sizeof(path), "%s/members", fsha_services_path(s));
	count = scandir(path, &names, NULL, alphasort);
	assert_true(count >= 2);
	for (int i = 0; i < count; i++)
		free(names[i]);
	free(names);
	return (size_t)count - 2; /* . and .. */
}

/* For what comes a lease later on a machine that has much else to do: it comes, and not much later.
 */
#define SLACK_MS (4000 * (int64_t)test_slowness())
/* Closing waits for a lease, or for this if it is longer. */
#define CLOSE_MS (LEASE_MS > 3000 ? LEASE_MS : 3000)

/* A leader whose filesystem stopped answering just now. */
struct hung {
	struct hook hook;
	struct player player;
	fsha_services *services;
	size_t threads; /* before there were services */
	int64_t shut_ms;
};

static void hang(struct hung *h)
{
	gate_set(&h->hook.gate, true);
	h->shut_ms = now_ms();
}

/*
 * A fresh one for every test: the threads of a services object that was closed in a hang end by
 * themselves, which nothing orders with what comes after.
 */
static struct hung *lead_hooked(int (*decide)(struct hook *, const char *, const char *,
					      const char *))
{
	static struct hung all[16];
	static size_t used;
	struct hung *h = &all[used++];

	assert_true(used <= sizeof(all) / sizeof(all[0]));
	h->threads = count_threads();
	hook_init(&h->hook);
	h->hook.decide = decide;
	h->services = open_hooked(&h->hook);
	player_lead(&h->player, h->services, ELECTION);
	assert_ok(fsha_election_confirm_leadership(h->player.election, &h->player.session, ADDRESS,
						   &t.error));
	return h;
}

/* It answers again: all threads end, whatever the closes said. */
static void recover(struct hung *h)
{
	gate_set(&h->hook.gate, false);
	POLL_FOR(count_threads() <= h->threads);
}

/* It answers again, and everything is closed as usual. */
static void end_hang(struct hung *h)
{
	gate_set(&h->hook.gate, false);
	player_close(&h->player);
	close_services(h->services);
	recover(h);
}

static void leadership_ends_with_the_lease_while_every_call_hangs(void **state)
{
	struct hung *h = lead_hooked(NULL);
	int64_t asked_ms;
	int leads;

	(void)state;
	hang(h);
	assert_int_equal(fsha_election_has_leadership(h->player.election, &h->player.session), 1);
	/* A lease after the last heartbeat that came through, and that was before the hang. */
	do {
		asked_ms = now_ms();
		leads = fsha_election_has_leadership(h->player.election, &h->player.session);
		assert_true(!leads || asked_ms - h->shut_ms <= LEASE_MS);
		(void)usleep(1000);
	} while (leads);
	end_hang(h);
}

static void revocation_is_delivered_once_while_every_call_hangs(void **state)
{
	struct hung *h = lead_hooked(NULL);

	(void)state;
	hang(h);
	WAIT_FOR(&h->player.post, h->player.revokes == 1);
	assert_true(now_ms() - h->shut_ms < LEASE_MS + SLACK_MS);
	end_hang(h);
	/* It may have led once more by then. */
	assert_int_equal(h->player.revokes, h->player.grants);
}

static void close_of_a_hung_leader_revokes_and_times_out(void **state)
{
	struct hung *h = lead_hooked(NULL);
	int64_t start_ms;

	(void)state;
	hang(h);
	start_ms = now_ms();
	assert_result(fsha_election_close(h->player.election, &t.error), FSHA_E_TIMEOUT);
	assert_true(now_ms() - start_ms < CLOSE_MS + SLACK_MS);
	assert_int_equal(h->player.revokes, 1);
	start_ms = now_ms();
	assert_result(fsha_services_close(h->services, &t.error), FSHA_E_TIMEOUT);
	assert_true(now_ms() - start_ms < CLOSE_MS + SLACK_MS);
	recover(h);
	assert_int_equal(h->player.revokes, 1);
}

static void a_hung_leader_comes_back_when_the_filesystem_answers(void **state)
{
	struct hung *h = lead_hooked(NULL);

	(void)state;
	hang(h);
	WAIT_FOR(&h->player.post, h->player.revokes == 1);
	gate_set(&h->hook.gate, false);
	WAIT_FOR(&h->player.post, h->player.grants == 2);
	assert_false(fsha_uuid_equal(&h->player.sessions[0], &h->player.sessions[1]));
	end_hang(h);
}

/* ---- other threads of the program that hang in a call ---- */

struct caller {
	pthread_t thread;
	fsha_state_store *store;
	fsha_job_graph_store *graphs;
	struct post post;
	bool done;
	fsha_result result;
};

static void call_in_thread(struct caller *c, void *(*run)(void *))
{
	post_init(&c->post);
	c->done = false;
	assert_int_equal(pthread_create(&c->thread, NULL, run, c), 0);
}

static void *caller_done(struct caller *c, fsha_result result)
{
	post_lock(&c->post);
	c->result = result;
	c->done = true;
	post_unlock(&c->post);
	return NULL;
}

static void *add_run(void *arg)
{
	struct caller *c = arg;

	return caller_done(c, fsha_state_store_add(c->store, "late", "v", 1, NULL, NULL));
}

static void *close_store_run(void *arg)
{
	struct caller *c = arg;

	fsha_state_store_close(c->store);
	return caller_done(c, FSHA_OK);
}

static const fsha_job_id job = { { 1, 2, 3 } };

static void *put_run(void *arg)
{
	struct caller *c = arg;

	return caller_done(c, fsha_job_graph_store_put(c->graphs, &job, "{}", 2, NULL));
}

/* Is the question answered? In a thread of its own, so that a wrong answer is no hanging test. */
struct question {
	struct player *player;
	struct post post;
	bool answered;
	int leads;
};

static void *ask_run(void *arg)
{
	struct question *q = arg;
	int leads = fsha_election_has_leadership(q->player->election, &q->player->session);

	post_lock(&q->post);
	q->leads = leads;
	q->answered = true;
	post_unlock(&q->post);
	return NULL;
}

static void assert_answered(struct player *player)
{
	struct question q = { .player = player };
	pthread_t thread;
	bool answered;

	post_init(&q.post);
	assert_int_equal(pthread_create(&thread, NULL, ask_run, &q), 0);
	answered = WITHIN(&q.post, LEASE_MS * 3, q.answered);
	if (!answered)
		fail_msg("has_leadership hangs");
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void a_write_that_hangs_past_the_lease_is_refused(void **state)
{
	struct caller c;
	struct hung *h = lead_hooked(NULL);

	(void)state;
	assert_ok(fsha_state_store_open(h->services, "ns", ELECTION, &c.store, &t.error));
	assert_ok(fsha_state_store_add(c.store, "first", "v", 1, NULL, &t.error));
	hang(h);
	call_in_thread(&c, add_run);
	WAIT_FOR(&h->player.post, h->player.revokes == 1);
	assert_answered(&h->player);
	assert_false(WITHIN(&c.post, 0, c.done));
	gate_set(&h->hook.gate, false);
	WAIT_FOR(&c.post, c.done);
	assert_int_equal(pthread_join(c.thread, NULL), 0);
	/*
	 * Nobody else has led meanwhile, so whichever it is it must be true. In doubt: its own next
	 * term has moved the staged file away, and was not done with the tenure directory.
	 */
	assert_true(c.result == FSHA_OK || c.result == FSHA_E_NOT_LEADER ||
		    c.result == FSHA_E_FENCED || c.result == FSHA_E_INDOUBT);
	fsha_state_store_close(c.store);
	player_close(&h->player);
	close_services(h->services);
	recover(h);
}

static void has_leadership_answers_while_a_store_close_hangs(void **state)
{
	struct caller c;
	struct hung *h = lead_hooked(NULL);

	(void)state;
	assert_ok(fsha_state_store_open(h->services, "ns", ELECTION, &c.store, &t.error));
	assert_ok(fsha_state_store_add(c.store, "first", "v", 1, NULL, &t.error));
	hang(h);
	call_in_thread(&c, close_store_run);
	WAIT_FOR(&h->hook.gate.post, h->hook.gate.waiting > 0);
	(void)WITHIN(&c.post, 100, c.done);
	assert_answered(&h->player);
	WAIT_FOR(&h->player.post, h->player.revokes == 1);
	gate_set(&h->hook.gate, false);
	WAIT_FOR(&c.post, c.done);
	assert_int_equal(pthread_join(c.thread, NULL), 0);
	player_close(&h->player);
	close_services(h->services);
	recover(h);
}

/* Job graphs of others that the listener hears of, and a gate in its way. */
struct graph_listener {
	struct post post;
	struct gate gate;
	unsigned added;
};

static void on_added(void *ctx, const fsha_job_id *id)
{
	struct graph_listener *l = ctx;

	(void)id;
	post_lock(&l->post);
	l->added++;
	post_unlock(&l->post);
	gate_pass(&l->gate);
}

static int hang_graph_commits(struct hook *h, const char *op, const char *path, const char *to)
{
	(void)path;
	if (atomic_load(&h->mode) && strcmp(op, "rename") == 0 && strncmp(to, "0102", 4) == 0) {
		atomic_fetch_add(&h->count, 1);
		while (atomic_load(&h->mode))
			(void)usleep(1000);
	}
	return 0;
}

static void revocation_is_delivered_while_a_put_of_a_job_graph_hangs(void **state)
{
	const fsha_job_id foreign[2] = { { { 7 } }, { { 8 } } };
	struct graph_listener l = { .added = 0 };
	fsha_job_graph_listener listener = { sizeof(listener), &l, on_added, NULL, NULL };
	fsha_job_graph_store *others;
	struct caller c;
	struct hung *h = lead_hooked(hang_graph_commits);

	(void)state;
	post_init(&l.post);
	gate_init(&l.gate);
	assert_ok(fsha_job_graph_store_open(h->services, &others, &t.error));
	assert_ok(fsha_job_graph_store_start(others, NULL, &t.error));
	for (int i = 0; i < 2; i++)
		assert_ok(fsha_job_graph_store_put(others, &foreign[i], "{}", 2, &t.error));
	assert_ok(fsha_job_graph_store_open(h->services, &c.graphs, &t.error));
	gate_set(&l.gate, true);
	assert_ok(fsha_job_graph_store_start(c.graphs, &listener, &t.error));
	WAIT_FOR(&l.gate.post, l.gate.waiting == 1);
	/* The executor is busy with the first; the second is still to be told. */
	atomic_store(&h->hook.mode, 1);
	call_in_thread(&c, put_run);
	POLL_FOR(atomic_load(&h->hook.count) == 1);
	hang(h);
	gate_set(&l.gate, false);
	WAIT_FOR(&h->player.post, h->player.revokes == 1);
	assert_true(now_ms() - h->shut_ms < LEASE_MS + SLACK_MS);
	atomic_store(&h->hook.mode, 0);
	gate_set(&h->hook.gate, false);
	WAIT_FOR(&c.post, c.done);
	assert_int_equal(pthread_join(c.thread, NULL), 0);
	fsha_job_graph_store_close(c.graphs);
	fsha_job_graph_store_close(others);
	player_close(&h->player);
	close_services(h->services);
	recover(h);
}

static int hang_graph_listings(struct hook *h, const char *op, const char *path, const char *to)
{
	(void)to;
	if (atomic_load(&h->mode) && strcmp(op, "getdents") == 0 && strstr(path, "job_graphs")) {
		atomic_fetch_add(&h->count, 1);
		while (atomic_load(&h->mode))
			(void)usleep(1000);
	}
	return 0;
}

static void services_close_after_a_listening_store_was_closed_in_a_hang(void **state)
{
	struct hung *h = lead_hooked(hang_graph_listings);
	fsha_services *client = open_hooked(&h->hook);
	struct graph_listener l = { .added = 0 };
	fsha_job_graph_listener listener = { sizeof(listener), &l, on_added, NULL, NULL };
	fsha_job_graph_store *store;

	(void)state;
	post_init(&l.post);
	gate_init(&l.gate);
	atomic_store(&h->hook.mode, 1);
	assert_ok(fsha_job_graph_store_open(client, &store, &t.error));
	assert_ok(fsha_job_graph_store_start(store, &listener, &t.error));
	POLL_FOR(atomic_load(&h->hook.count) > 0);
	assert_result(fsha_job_graph_store_stop(store, &t.error), FSHA_E_TIMEOUT);
	fsha_job_graph_store_close(store);
	assert_result(fsha_services_close(client, &t.error), FSHA_E_TIMEOUT);
	atomic_store(&h->hook.mode, 0);
	player_close(&h->player);
	close_services(h->services);
	recover(h);
	assert_int_equal(l.added, 0);
}

/* As an unlink on NFSv4 waits for a host that is dead and has read the file; here with an end. */
static int hang_member_unlinks(struct hook *h, const char *op, const char *path, const char *to)
{
	(void)to;
	if (!atomic_load(&h->mode) || strcmp(op, "unlink") != 0 || !strstr(path, "/beat-"))
		return 0;
	atomic_fetch_add(&h->count, 1);
	for (int ms = 0; atomic_load(&h->mode) && ms < CLOSE_MS + 2 * SLACK_MS; ms++)
		(void)usleep(1000);
	return 0;
}

static void close_does_not_wait_for_the_unlinks_of_the_members_directory(void **state)
{
	struct hung *h = lead_hooked(hang_member_unlinks);
	fsha_services *other = open_services();
	int64_t start_ms;

	(void)state;
	assert_int_equal(count_members(other), 1);
	atomic_store(&h->hook.mode, 1);
	player_close(&h->player);
	start_ms = now_ms();
	assert_result(fsha_services_close(h->services, &t.error), FSHA_E_TIMEOUT);
	assert_true(now_ms() - start_ms < CLOSE_MS + SLACK_MS);
	assert_int_equal(atomic_load(&h->hook.count), 1);
	assert_int_equal(count_members(other), 1);
	/* It is done all the same, once that goes on. */
	atomic_store(&h->hook.mode, 0);
	recover(h);
	assert_int_equal(count_members(other), 0);
	close_services(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(leadership_ends_with_the_lease_while_every_call_hangs),
		TEST(revocation_is_delivered_once_while_every_call_hangs),
		TEST(close_of_a_hung_leader_revokes_and_times_out),
		TEST(a_hung_leader_comes_back_when_the_filesystem_answers),
		TEST(a_write_that_hangs_past_the_lease_is_refused),
		TEST(has_leadership_answers_while_a_store_close_hangs),
		TEST(revocation_is_delivered_while_a_put_of_a_job_graph_hangs),
		TEST(services_close_after_a_listening_store_was_closed_in_a_hang),
		TEST(close_does_not_wait_for_the_unlinks_of_the_members_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
