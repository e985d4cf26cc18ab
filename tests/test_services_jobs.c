/* The contract of fsha/job_graph.h. */
#include "tests/test_services.h"

#define GRAPH "{\"jid\":\"x\",\"vertices\":[]}"

struct graphs {
	fsha_services *services;
	fsha_job_graph_store *store, *other; /* two objects of the leading process */
	struct player player;
};

/* What a listener heard: "+01" for an added graph, "-01" for a removed one, by the first byte. */
struct ear {
	struct post post;
	char heard[128];
	unsigned errors;
};

static void hear(struct ear *e, char what, const fsha_job_id *id)
{
	size_t used;

	post_lock(&e->post);
	used = strlen(e->heard);
	(void)snprintf(e->heard + used, sizeof(e->heard) - used, "%c%02x ", what, id->bytes[0]);
	post_unlock(&e->post);
}

static void on_added(void *ctx, const fsha_job_id *id)
{
	hear(ctx, '+', id);
}

static void on_removed(void *ctx, const fsha_job_id *id)
{
	hear(ctx, '-', id);
}

static void on_graph_error(void *ctx, const fsha_error *error)
{
	struct ear *e = ctx;

	(void)error;
	post_lock(&e->post);
	e->errors++;
	post_unlock(&e->post);
}

static fsha_job_id job(uint8_t n)
{
	return (fsha_job_id){ { n } };
}

static fsha_job_graph_store *open_graphs(fsha_services *s)
{
	fsha_job_graph_store *store = NULL;

	assert_ok(fsha_job_graph_store_open(s, &store, &t.error));
	return store;
}

static void start(fsha_job_graph_store *store, struct ear *e)
{
	fsha_job_graph_listener l = { sizeof(l), e, on_added, on_removed, on_graph_error };

	if (e) {
		memset(e, 0, sizeof(*e));
		post_init(&e->post);
	}
	assert_ok(fsha_job_graph_store_start(store, e ? &l : NULL, &t.error));
}

static void lead(struct graphs *g)
{
	g->services = open_services();
	player_lead(&g->player, g->services, FSHA_ELECTION_DISPATCHER);
	g->store = open_graphs(g->services);
	g->other = open_graphs(g->services);
	start(g->other, NULL);
}

static void done(struct graphs *g)
{
	fsha_job_graph_store_close(g->store);
	fsha_job_graph_store_close(g->other);
	player_close(&g->player);
	close_services(g->services);
}

static fsha_result put(fsha_job_graph_store *store, uint8_t n, const char *text)
{
	fsha_job_id id = job(n);

	return fsha_job_graph_store_put(store, &id, text, strlen(text), &t.error);
}

static fsha_result remove_job(fsha_job_graph_store *store, uint8_t n)
{
	fsha_job_id id = job(n);

	return fsha_job_graph_store_remove(store, &id, &t.error);
}

static fsha_result recover(fsha_job_graph_store *store, uint8_t n, char *ret_text)
{
	fsha_job_id id = job(n);
	fsha_result result;
	size_t size;
	void *data;

	result = fsha_job_graph_store_recover(store, &id, &data, &size, &t.error);
	if (result != FSHA_OK)
		return result;
	(void)snprintf(ret_text, 64, "%.*s", (int)size, (const char *)data);
	fsha_free(data);
	return FSHA_OK;
}

static void assert_graph(fsha_job_graph_store *store, uint8_t n, const char *text)
{
	char got[64];

	assert_ok(recover(store, n, got));
	assert_string_equal(got, text);
}

/* What is heard up to a graph that another adds last: so what is not heard by then, is not. */
static void assert_heard_until(struct graphs *g, struct ear *e, const char *expected)
{
	char all[128];

	assert_ok(put(g->other, 0xee, GRAPH));
	WAIT_FOR(&e->post, strstr(e->heard, "+ee ") != NULL);
	(void)snprintf(all, sizeof(all), "%s+ee ", expected);
	assert_string_equal(e->heard, all);
}

/* ---- own and foreign ---- */

static void a_graph_is_recovered_as_it_was_put(void **state)
{
	struct graphs g;

	(void)state;
	lead(&g);
	start(g.store, NULL);
	assert_ok(put(g.store, 1, GRAPH));
	assert_graph(g.store, 1, GRAPH);
	assert_graph(g.other, 1, GRAPH);
	done(&g);
}

static void put_of_an_own_graph_replaces_it(void **state)
{
	struct graphs g;

	(void)state;
	lead(&g);
	start(g.store, NULL);
	assert_ok(put(g.store, 1, "one"));
	assert_ok(put(g.store, 1, "two"));
	assert_graph(g.store, 1, "two");
	done(&g);
}

static void put_of_a_foreign_graph_is_a_state_error(void **state)
{
	struct graphs g;

	(void)state;
	lead(&g);
	start(g.store, NULL);
	assert_ok(put(g.other, 1, "theirs"));
	assert_refused(put(g.store, 1, "ours"), FSHA_E_STATE, "recover it first");
	assert_graph(g.other, 1, "theirs");
	done(&g);
}

static void a_recovered_graph_is_own(void **state)
{
	struct graphs g;

	(void)state;
	lead(&g);
	start(g.store, NULL);
	assert_ok(put(g.other, 1, "theirs"));
	assert_graph(g.store, 1, "theirs");
	assert_ok(put(g.store, 1, "ours"));
	assert_graph(g.store, 1, "ours");
	done(&g);
}

static void a_released_graph_stays_and_is_own_no_more(void **state)
{
	fsha_job_id id = job(1);
	struct graphs g;

	(void)state;
	lead(&g);
	start(g.store, NULL);
	assert_ok(put(g.store, 1, "one"));
	assert_ok(fsha_job_graph_store_release(g.store, &id, &t.error));
	assert_result(put(g.store, 1, "two"), FSHA_E_STATE);
	assert_graph(g.store, 1, "one");
	done(&g);
}

static void stop_forgets_which_graphs_are_own(void **state)
{
	struct graphs g;

	(void)state;
	lead(&g);
	start(g.store, NULL);
	assert_ok(put(g.store, 1, "one"));
	assert_ok(fsha_job_graph_store_stop(g.store, &t.error));
	assert_ok(fsha_job_graph_store_stop(g.store, &t.error));
	assert_result(put(g.store, 2, "two"), FSHA_E_STATE);
	start(g.store, NULL);
	assert_result(put(g.store, 1, "two"), FSHA_E_STATE);
	done(&g);
}

static void what_needs_a_start_is_a_state_error_before_it(void **state)
{
	fsha_job_id id = job(1);
	struct graphs g;
	char got[64];

	(void)state;
	lead(&g);
	assert_result(put(g.store, 1, GRAPH), FSHA_E_STATE);
	assert_result(recover(g.store, 1, got), FSHA_E_STATE);
	assert_result(remove_job(g.store, 1), FSHA_E_STATE);
	assert_result(fsha_job_graph_store_release(g.store, &id, &t.error), FSHA_E_STATE);
	assert_int_equal(count_names("job_graphs", "", NULL), 0);
	done(&g);
}

static void recover_of_an_absent_graph_is_not_found(void **state)
{
	struct graphs g;
	char got[64];

	(void)state;
	lead(&g);
	start(g.store, NULL);
	assert_refused(recover(g.store, 1, got), FSHA_E_NOT_FOUND,
		       "01000000000000000000000000000000");
	assert_ok(put(g.store, 1, GRAPH));
	assert_ok(remove_job(g.store, 1));
	assert_result(recover(g.store, 1, got), FSHA_E_NOT_FOUND);
	done(&g);
}

static void remove_of_an_unknown_graph_is_ok(void **state)
{
	struct graphs g;

	(void)state;
	lead(&g);
	start(g.store, NULL);
	assert_ok(remove_job(g.store, 1));
	assert_int_equal(count_names("job_graphs", "", NULL), 0);
	done(&g);
}

static void a_put_without_leadership_is_refused_and_leaves_no_trace(void **state)
{
	fsha_services *s = open_services();
	fsha_job_graph_store *store = open_graphs(s);
	size_t before;

	(void)state;
	start(store, NULL);
	before = count_tree();
	assert_refused(put(store, 1, GRAPH), FSHA_E_NOT_LEADER, "dispatcher");
	assert_result(remove_job(store, 1), FSHA_E_NOT_LEADER);
	assert_int_equal(count_tree(), before);
	fsha_job_graph_store_close(store);
	close_services(s);
}

static void ids_are_sorted_and_names_that_are_none_are_counted(void **state)
{
	fsha_services *s = open_services();
	fsha_job_graph_store *reader = open_graphs(s);
	fsha_job_id *ids = NULL;
	size_t count, skipped = 9;
	struct graphs g;

	(void)state;
	lead(&g);
	for (uint8_t n = 5; n > 0; n--)
		assert_ok(put(g.other, n, GRAPH));
	/* Hidden ones are NFS's. */
	write_file(in_cluster("job_graphs/.nfs0001"), "x", 1);
	write_file(in_cluster("job_graphs/05000000000000000000000000000000.job"), "x", 1);
	write_file(in_cluster("job_graphs/nojob~0000000000000001.0000000000000001.0000"), "x", 1);
	assert_ok(fsha_job_graph_store_job_ids(reader, &ids, &count, &skipped, &t.error));
	assert_int_equal(count, 5);
	for (uint8_t n = 0; n < 5; n++)
		assert_int_equal(ids[n].bytes[0], n + 1);
	assert_int_equal(skipped, 2);
	fsha_free(ids);
	fsha_job_graph_store_close(reader);
	close_services(s);
	done(&g);
}

/* ---- the listener ---- */

static void graphs_that_are_there_are_told_as_added(void **state)
{
	struct graphs g;
	struct ear e;

	(void)state;
	lead(&g);
	assert_ok(put(g.other, 1, GRAPH));
	assert_ok(put(g.other, 2, GRAPH));
	start(g.store, &e);
	WAIT_FOR(&e.post, strcmp(e.heard, "+01 +02 ") == 0);
	assert_heard_until(&g, &e, "+01 +02 ");
	done(&g);
}

static void own_changes_are_not_told(void **state)
{
	struct graphs g;
	struct ear e;

	(void)state;
	lead(&g);
	start(g.store, &e);
	for (int i = 0; i < 20; i++) {
		assert_ok(put(g.store, 1, GRAPH));
		assert_ok(put(g.store, 1, "again"));
		assert_ok(remove_job(g.store, 1));
	}
	assert_ok(put(g.store, 2, GRAPH));
	assert_heard_until(&g, &e, "");
	done(&g);
}

static void a_graph_that_another_adds_is_told(void **state)
{
	struct graphs g;
	struct ear e;

	(void)state;
	lead(&g);
	start(g.store, &e);
	assert_ok(put(g.other, 1, GRAPH));
	WAIT_FOR(&e.post, strcmp(e.heard, "+01 ") == 0);
	assert_ok(put(g.other, 1, "changed"));
	assert_heard_until(&g, &e, "+01 ");
	done(&g);
}

static void an_own_graph_that_another_removes_is_told(void **state)
{
	struct graphs g;
	struct ear e;

	(void)state;
	lead(&g);
	assert_ok(put(g.other, 1, GRAPH));
	start(g.store, &e);
	WAIT_FOR(&e.post, strcmp(e.heard, "+01 ") == 0);
	assert_graph(g.store, 1, GRAPH);
	assert_ok(remove_job(g.other, 1));
	WAIT_FOR(&e.post, strcmp(e.heard, "+01 -01 ") == 0);
	/* And it is own no more: it may be put anew. */
	assert_ok(put(g.store, 1, "anew"));
	assert_heard_until(&g, &e, "+01 -01 ");
	done(&g);
}

static void a_foreign_graph_that_another_removes_is_not_told(void **state)
{
	struct graphs g;
	struct ear e;

	(void)state;
	lead(&g);
	assert_ok(put(g.other, 1, GRAPH));
	start(g.store, &e);
	WAIT_FOR(&e.post, strcmp(e.heard, "+01 ") == 0);
	assert_ok(remove_job(g.other, 1));
	assert_heard_until(&g, &e, "+01 ");
	done(&g);
}

static void a_listener_of_a_process_that_does_not_lead_hears_all(void **state)
{
	fsha_services *s = open_services();
	fsha_job_graph_store *store = open_graphs(s);
	struct graphs g;
	struct ear e;

	(void)state;
	lead(&g);
	start(store, &e);
	assert_ok(put(g.other, 1, GRAPH));
	WAIT_FOR(&e.post, strcmp(e.heard, "+01 ") == 0);
	fsha_job_graph_store_close(store);
	close_services(s);
	done(&g);
}

static void a_name_that_is_no_job_id_is_an_error_told_once(void **state)
{
	struct graphs g;
	struct ear e;

	(void)state;
	lead(&g);
	write_file(in_cluster("job_graphs/nojob~0000000000000001.0000000000000001.0000"), "x", 1);
	start(g.store, &e);
	WAIT_FOR(&e.post, e.errors == 1);
	assert_ok(put(g.other, 1, GRAPH));
	WAIT_FOR(&e.post, strcmp(e.heard, "+01 ") == 0);
	assert_heard_until(&g, &e, "+01 ");
	assert_int_equal(e.errors, 1);
	done(&g);
}

static void a_second_start_does_nothing(void **state)
{
	struct graphs g;
	struct ear first, second;

	(void)state;
	lead(&g);
	start(g.store, &first);
	start(g.store, &second);
	assert_heard_until(&g, &first, "");
	assert_string_equal(second.heard, "");
	done(&g);
}

static void nothing_is_told_after_stop(void **state)
{
	struct graphs g;
	struct ear e, later;

	(void)state;
	lead(&g);
	start(g.store, &e);
	assert_ok(put(g.other, 1, GRAPH));
	WAIT_FOR(&e.post, strcmp(e.heard, "+01 ") == 0);
	assert_ok(fsha_job_graph_store_stop(g.store, &t.error));
	assert_ok(put(g.other, 2, GRAPH));
	start(g.store, &later);
	WAIT_FOR(&later.post, strcmp(later.heard, "+01 +02 ") == 0);
	assert_string_equal(e.heard, "+01 ");
	done(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_graph_is_recovered_as_it_was_put),
		TEST(put_of_an_own_graph_replaces_it),
		TEST(put_of_a_foreign_graph_is_a_state_error),
		TEST(a_recovered_graph_is_own),
		TEST(a_released_graph_stays_and_is_own_no_more),
		TEST(stop_forgets_which_graphs_are_own),
		TEST(what_needs_a_start_is_a_state_error_before_it),
		TEST(recover_of_an_absent_graph_is_not_found),
		TEST(remove_of_an_unknown_graph_is_ok),
		TEST(a_put_without_leadership_is_refused_and_leaves_no_trace),
		TEST(ids_are_sorted_and_names_that_are_none_are_counted),
		TEST(graphs_that_are_there_are_told_as_added),
		TEST(own_changes_are_not_told),
		TEST(a_graph_that_another_adds_is_told),
		TEST(an_own_graph_that_another_removes_is_told),
		TEST(a_foreign_graph_that_another_removes_is_not_told),
		TEST(a_listener_of_a_process_that_does_not_lead_hears_all),
		TEST(a_name_that_is_no_job_id_is_an_error_told_once),
		TEST(a_second_start_does_nothing),
		TEST(nothing_is_told_after_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
