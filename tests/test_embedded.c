/*
 * Embedded services: everything as on a shared directory, in the memory of one process, and nothing
 * on a disk.
 */
#include "tests/test_services.h"

#include "src/services/memory.h"
#include "tests/test_hook.h"

static int embedded_setup(void **state)
{
	return setup(state) ||
	       fsha_config_set(t.config, FSHA_KEY_TYPE, "embedded", NULL) != FSHA_OK;
}

static int embedded_teardown(void **state)
{
	/* The last thread may still be on its way out. */
	POLL_FOR(memory_count() == 0);
	/* Not even a name was left in the directory that the configuration tells of. */
	assert_int_equal(rmdir(t.dir), 0);
	assert_int_equal(mkdir(t.dir, 0700), 0);
	return teardown(state);
}

#define EMBEDDED(name) cmocka_unit_test_setup_teardown(name, embedded_setup, embedded_teardown)

static void set(const char *key, const char *value)
{
	assert_ok(fsha_config_set(t.config, key, value, &t.error));
}

static void leaders_take_turns_and_listeners_hear_of_them(void **state)
{
	fsha_services *a = open_services(), *b = open_services();
	struct listener l = { .gate = NULL };
	struct player one, two;

	(void)state;
	assert_int_equal(fsha_services_mode(a), FSHA_MODE_EMBEDDED);
	listen_to(&l, b, ELECTION);
	player_init(&one);
	player_init(&two);
	one.confirm = "one";
	two.confirm = "two";
	player_start(&one, a, ELECTION);
	WAIT_FOR(&one.post, one.leads);
	player_start(&two, b, ELECTION);
	WAIT_FOR(&l.post, l.count == 1);
	player_close(&one);
	WAIT_FOR(&two.post, two.leads);
	assert_true(two.epoch > one.epoch);
	assert_false(fsha_uuid_equal(&one.session, &two.session));
	/* Whether it sees that there was none between them depends on when it looks. */
	WAIT_FOR(&l.post, strcmp(l.heard[l.count - 1].address, "two") == 0);
	assert_in_range(l.count, 2, 3);
	assert_string_equal(l.heard[0].address, "one");
	assert_true(l.count == 2 || !l.heard[1].leader);
	assert_true(fsha_uuid_equal(&l.heard[l.count - 1].session, &two.session));
	player_close(&two);
	listener_stop(&l);
	close_services(a);
	close_services(b);
}

static void a_failover_takes_a_few_milliseconds(void **state)
{
	fsha_services *a = open_services(), *b = open_services();
	struct player one, two;
	int64_t start_ms, took_ms, best_ms = LIMIT_MS;

	(void)state;
	/* The best of some: on a busy machine any one may be slow. */
	for (int i = 0; i < 10; i++) {
		player_lead(&one, a, ELECTION);
		player_init(&two);
		player_start(&two, b, ELECTION);
		POLL_FOR(fsha_election_has_leadership(one.election, &one.session));
		(void)usleep(20000); /* the other stands by; without it it is no failover */
		start_ms = now_ms();
		player_close(&one);
		WAIT_FOR(&two.post, two.leads);
		took_ms = now_ms() - start_ms;
		if (took_ms < best_ms)
			best_ms = took_ms;
		player_close(&two);
	}
	print_message("best of 10 failovers: %lld ms\n", (long long)best_ms);
	assert_true(best_ms < 100);
	close_services(a);
	close_services(b);
}

static void a_store_is_shared_and_fenced(void **state)
{
	fsha_services *a = open_services(), *b = open_services();
	fsha_state_store *mine, *other;
	fsha_version version;
	struct player p;
	void *data;
	size_t size;

	(void)state;
	assert_ok(fsha_state_store_open(a, "space", ELECTION, &mine, &t.error));
	assert_ok(fsha_state_store_open(b, "space", ELECTION, &other, &t.error));
	assert_result(fsha_state_store_add(mine, "k", "v", 1, &version, &t.error),
		      FSHA_E_NOT_LEADER);
	player_lead(&p, a, ELECTION);
	assert_ok(fsha_state_store_add(mine, "k", "v", 1, &version, &t.error));
	assert_result(fsha_state_store_add(other, "k", "w", 1, NULL, &t.error), FSHA_E_NOT_LEADER);
	assert_ok(fsha_state_store_get(other, "k", &data, &size, NULL, &t.error));
	assert_int_equal(size, 1);
	assert_memory_equal(data, "v", 1);
	fsha_free(data);
	player_close(&p);
	player_lead(&p, b, ELECTION);
	assert_ok(fsha_state_store_replace(other, "k", &version, "w", 1, NULL, &t.error));
	assert_result(fsha_state_store_replace(mine, "k", &version, "x", 1, NULL, &t.error),
		      FSHA_E_NOT_LEADER);
	player_close(&p);
	fsha_state_store_close(mine);
	fsha_state_store_close(other);
	close_services(a);
	close_services(b);
}

static bool is_there(fsha_services *s)
{
	fsha_state_store *store;
	fsha_version version;

	assert_ok(fsha_state_store_open(s, "space", ELECTION, &store, &t.error));
	assert_ok(fsha_state_store_exists(store, "k", &version, &t.error));
	fsha_state_store_close(store);
	return fsha_version_is_existing(&version);
}

static void put_one(fsha_services *s)
{
	fsha_state_store *store;
	struct player p;

	player_lead(&p, s, ELECTION);
	assert_ok(fsha_state_store_open(s, "space", ELECTION, &store, &t.error));
	assert_ok(fsha_state_store_add(store, "k", "v", 1, NULL, &t.error));
	fsha_state_store_close(store);
	player_close(&p);
}

static void it_is_gone_with_the_last_close(void **state)
{
	fsha_services *a = open_services(), *b = open_services();

	(void)state;
	put_one(a);
	close_services(a);
	assert_true(is_there(b));
	close_services(b);
	/* At once, however slowly its threads leave. */
	for (int i = 0; i < 50; i++) {
		a = open_services();
		assert_false(is_there(a));
		put_one(a);
		close_services(a);
	}
}

static void directory_and_cluster_id_tell_clusters_apart(void **state)
{
	fsha_services *a = open_services(), *b, *c;

	(void)state;
	put_one(a);
	set(FSHA_KEY_CLUSTER_ID, "other");
	b = open_services();
	set(FSHA_KEY_CLUSTER_ID, "/default");
	set(FSHA_KEY_STORAGE_DIR, "no/such/place");
	c = open_services();
	assert_int_equal(memory_count(), 3);
	assert_false(is_there(b));
	assert_false(is_there(c));
	assert_string_equal(fsha_services_path(c), "memory:/default");
	close_services(c);
	close_services(b);
	close_services(a);
}

static int no_files(struct hook *h, const char *op, const char *path, const char *to)
{
	(void)op;
	(void)path;
	(void)to;
	(void)atomic_fetch_add(&h->count, 1);
	return 0;
}

static void no_call_goes_to_the_disk(void **state)
{
	static struct hook hook; /* the last thread may leave after the test */
	struct player p;
	fsha_services *s;

	(void)state;
	hook_init(&hook);
	hook.decide = no_files;
	s = open_hooked(&hook);
	put_one(s);
	player_lead(&p, s, ELECTION);
	player_close(&p);
	close_services(s);
	assert_int_equal(atomic_load(&hook.count), 0);
}

static void what_needs_other_processes_is_unsupported(void **state)
{
	fsha_services_options options = FSHA_SERVICES_OPTIONS_INIT;
	fsha_services *s = NULL;
	fsha_shared_term term = { .epoch = 1 };

	(void)state;
	options.flags = FSHA_SERVICES_SHARED_TERM;
	assert_refused(fsha_services_open(t.config, &options, &s, &t.error), FSHA_E_UNSUPPORTED,
		       "high-availability.type: filesystem");
	s = open_services();
	assert_refused(fsha_services_attach(s, ELECTION, &term, &t.error), FSHA_E_UNSUPPORTED,
		       "memory of one process");
	close_services(s);
}

static void no_create_finds_only_what_is_there(void **state)
{
	fsha_services_options options = FSHA_SERVICES_OPTIONS_INIT;
	fsha_services *s, *reader;

	(void)state;
	options.flags = FSHA_SERVICES_NO_CREATE;
	assert_result(fsha_services_open(t.config, &options, &reader, &t.error), FSHA_E_NOT_FOUND);
	s = open_services();
	assert_ok(fsha_services_open(t.config, &options, &reader, &t.error));
	close_services(reader);
	close_services(s);
}

static void the_lease_must_agree(void **state)
{
	fsha_services *s = open_services(), *other;

	(void)state;
	set(FSHA_KEY_LEASE, "2 s");
	assert_refused(fsha_services_open(t.config, NULL, &other, &t.error), FSHA_E_CONFIG, "2000");
	close_services(s);
}

struct opener {
	pthread_t thread;
	unsigned failed;
};

static void *open_and_close(void *arg)
{
	struct opener *o = arg;

	for (int i = 0; i < 50; i++) {
		fsha_services *s;

		if (fsha_services_open(t.config, NULL, &s, NULL) != FSHA_OK ||
		    fsha_services_close(s, NULL) != FSHA_OK)
			o->failed++;
	}
	return NULL;
}

static void many_threads_open_and_close_one_cluster(void **state)
{
	struct opener openers[4] = { { .failed = 0 } };

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(
			pthread_create(&openers[i].thread, NULL, open_and_close, &openers[i]), 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(openers[i].thread, NULL), 0);
		assert_int_equal(openers[i].failed, 0);
	}
}

static void available_or_embedded_is_embedded_without_a_directory(void **state)
{
	fsha_config *config = fsha_config_create();
	fsha_services *s = NULL;

	(void)state;
	assert_ok(fsha_services_create_available_or_embedded(config, NULL, &s, &t.error));
	assert_int_equal(fsha_services_mode(s), FSHA_MODE_EMBEDDED);
	close_services(s);
	assert_ok(fsha_config_set(config, FSHA_KEY_TYPE, "NONE", &t.error));
	assert_ok(fsha_services_create_available_or_embedded(config, NULL, &s, &t.error));
	assert_int_equal(fsha_services_mode(s), FSHA_MODE_EMBEDDED);
	close_services(s);
	assert_ok(fsha_config_set(config, FSHA_KEY_TYPE, "zookeeper", &t.error));
	assert_refused(fsha_services_create_available_or_embedded(config, NULL, &s, &t.error),
		       FSHA_E_CONFIG, "zookeeper");
	assert_result(fsha_services_create_available_or_embedded(NULL, NULL, &s, &t.error),
		      FSHA_E_INVALID);
	fsha_config_destroy(config);
}

/* ---- job graphs ---- */

struct seen {
	struct post post;
	unsigned added, removed;
};

static void on_added(void *ctx, const fsha_job_id *id)
{
	struct seen *seen = ctx;

	(void)id;
	post_lock(&seen->post);
	seen->added++;
	post_unlock(&seen->post);
}

static void on_removed(void *ctx, const fsha_job_id *id)
{
	struct seen *seen = ctx;

	(void)id;
	post_lock(&seen->post);
	seen->removed++;
	post_unlock(&seen->post);
}

static void a_job_graph_is_told_to_the_listener_of_another(void **state)
{
	fsha_services *a = open_services(), *b = open_services();
	struct seen seen = { .added = 0 };
	const fsha_job_graph_listener listener = { .struct_size = sizeof(listener),
						   .ctx = &seen,
						   .on_added_job_graph = on_added,
						   .on_removed_job_graph = on_removed };
	const fsha_job_id job = { { 7 } };
	fsha_job_graph_store *mine, *other;
	struct player p;
	void *graph;
	size_t size;

	(void)state;
	post_init(&seen.post);
	assert_ok(fsha_job_graph_store_open(a, &mine, &t.error));
	assert_ok(fsha_job_graph_store_open(b, &other, &t.error));
	assert_ok(fsha_job_graph_store_start(mine, NULL, &t.error));
	assert_ok(fsha_job_graph_store_start(other, &listener, &t.error));
	player_lead(&p, a, ELECTION);
	assert_ok(fsha_job_graph_store_put(mine, &job, "graph", 5, &t.error));
	WAIT_FOR(&seen.post, seen.added == 1);
	assert_ok(fsha_job_graph_store_recover(other, &job, &graph, &size, &t.error));
	assert_int_equal(size, 5);
	fsha_free(graph);
	assert_ok(fsha_job_graph_store_remove(mine, &job, &t.error));
	WAIT_FOR(&seen.post, seen.removed == 1);
	fsha_job_graph_store_close(mine);
	fsha_job_graph_store_close(other);
	player_close(&p);
	close_services(a);
	close_services(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EMBEDDED(leaders_take_turns_and_listeners_hear_of_them),
		EMBEDDED(a_failover_takes_a_few_milliseconds),
		EMBEDDED(a_store_is_shared_and_fenced),
		EMBEDDED(it_is_gone_with_the_last_close),
		EMBEDDED(directory_and_cluster_id_tell_clusters_apart),
		EMBEDDED(a_job_graph_is_told_to_the_listener_of_another),
		EMBEDDED(no_call_goes_to_the_disk),
		EMBEDDED(what_needs_other_processes_is_unsupported),
		EMBEDDED(no_create_finds_only_what_is_there),
		EMBEDDED(the_lease_must_agree),
		EMBEDDED(many_threads_open_and_close_one_cluster),
		EMBEDDED(available_or_embedded_is_embedded_without_a_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
