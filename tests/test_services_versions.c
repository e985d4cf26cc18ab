/* Versions only grow: across leaders, across the re-creation of a job, and over a raised floor. */
#include "src/cluster/cluster.h"
#include "tests/test_services.h"

static const fsha_job_id job = { { 0xab, 0xcd } };
#define JOB "abcd0000000000000000000000000000"

static fsha_version add(fsha_services *s, const char *election, const char *text)
{
	fsha_version before, after;
	fsha_state_store *store;

	assert_ok(fsha_state_store_open(s, "ns", election, &store, &t.error));
	assert_ok(fsha_state_store_exists(store, "k", &before, &t.error));
	if (fsha_version_is_existing(&before))
		assert_ok(fsha_state_store_replace(store, "k", &before, text, strlen(text), &after,
						   &t.error));
	else
		assert_ok(fsha_state_store_add(store, "k", text, strlen(text), &after, &t.error));
	fsha_state_store_close(store);
	return after;
}

static void versions_grow_across_leaders(void **state)
{
	fsha_services *services[2] = { open_services(), open_services() };
	fsha_version last = { 0 }, version;
	struct player p;

	(void)state;
	for (int term = 0; term < 6; term++) {
		player_lead(&p, services[term % 2], ELECTION);
		version = add(services[term % 2], ELECTION, "x");
		assert_true(fsha_version_compare(&version, &last) > 0);
		assert_int_equal(version.epoch, p.epoch);
		last = version;
		version = add(services[term % 2], ELECTION, "y");
		assert_true(fsha_version_compare(&version, &last) > 0);
		last = version;
		player_close(&p);
	}
	close_services(services[0]);
	close_services(services[1]);
}

static void epochs_go_on_when_everybody_was_gone(void **state)
{
	fsha_services *s;
	struct player p;
	uint64_t last;

	(void)state;
	s = open_services();
	player_lead(&p, s, ELECTION);
	last = p.epoch;
	player_close(&p);
	close_services(s);
	s = open_services();
	player_lead(&p, s, ELECTION);
	assert_int_equal(p.epoch, last + 1);
	player_close(&p);
	close_services(s);
}

/* ---- a job that is removed and made again ---- */

static fsha_job_graph_store *open_graphs(fsha_services *s)
{
	fsha_job_graph_store *store;

	assert_ok(fsha_job_graph_store_open(s, &store, &t.error));
	assert_ok(fsha_job_graph_store_start(store, NULL, &t.error));
	return store;
}

static void put(fsha_job_graph_store *store, const char *text)
{
	assert_ok(fsha_job_graph_store_put(store, &job, text, strlen(text), &t.error));
}

static void assert_graph(fsha_services *s, const char *text)
{
	fsha_job_graph_store *store = open_graphs(s);
	fsha_result result;
	void *data;
	size_t size;

	result = fsha_job_graph_store_recover(store, &job, &data, &size, &t.error);
	if (!text) {
		assert_int_equal(result, FSHA_E_NOT_FOUND);
	} else {
		assert_int_equal(result, FSHA_OK);
		assert_int_equal(size, strlen(text));
		assert_memory_equal(data, text, size);
		fsha_free(data);
	}
	fsha_job_graph_store_close(store);
}

/* A copy of the newest file of the job, as a write that comes late or a backup would bring it. */
struct copy {
	char name[300];
	uint8_t data[4096];
	size_t size;
};

static void take_copy(struct copy *c)
{
	char last[256];

	assert_true(count_names("job_graphs", JOB, last) > 0);
	(void)snprintf(c->name, sizeof(c->name), "job_graphs/%s", last);
	c->size = read_file(in_cluster(c->name), c->data, sizeof(c->data));
}

static void put_back(const struct copy *c)
{
	write_file(in_cluster(c->name), c->data, c->size);
}

/* A term in which the job's graph is put (or, with NULL, removed). */
static uint64_t term_with(const char *text)
{
	fsha_services *s = open_services();
	fsha_job_graph_store *store;
	struct player p;
	size_t size;
	void *data;

	player_lead(&p, s, FSHA_ELECTION_DISPATCHER);
	store = open_graphs(s);
	if (fsha_job_graph_store_recover(store, &job, &data, &size, NULL) == FSHA_OK)
		fsha_free(data);
	if (text)
		put(store, text);
	else
		assert_ok(fsha_job_graph_store_remove(store, &job, &t.error));
	fsha_job_graph_store_close(store);
	player_close(&p);
	close_services(s);
	return p.epoch;
}

static void a_late_version_of_a_removed_job_does_not_bring_it_back(void **state)
{
	fsha_services *s;
	struct copy first;

	(void)state;
	(void)term_with("first life");
	take_copy(&first);
	(void)term_with(NULL);
	put_back(&first);
	s = open_services();
	assert_graph(s, NULL);
	close_services(s);
}

static void a_late_version_of_a_former_life_does_not_win(void **state)
{
	struct copy first;
	fsha_services *s;

	(void)state;
	(void)term_with("first life");
	take_copy(&first);
	(void)term_with(NULL);
	(void)term_with("second life");
	put_back(&first);
	s = open_services();
	assert_graph(s, "second life");
	close_services(s);
}

static void a_late_version_does_not_win_while_somebody_leads(void **state)
{
	struct copy first;
	fsha_services *s;
	struct player p;

	(void)state;
	(void)term_with("first life");
	take_copy(&first);
	(void)term_with("second version");
	s = open_services();
	player_lead(&p, s, FSHA_ELECTION_DISPATCHER);
	put_back(&first);
	assert_graph(s, "second version");
	player_close(&p);
	close_services(s);
}

static void a_job_made_again_has_a_higher_version(void **state)
{
	struct copy copies[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		(void)term_with("life");
		take_copy(&copies[i]);
		(void)term_with(NULL);
	}
	/* Fixed width, so that the order of names is that of versions. */
	assert_true(strcmp(copies[1].name, copies[0].name) > 0);
}

/* ---- the floor ---- */

static void open_cluster(struct cluster *c)
{
	const struct cluster_options options = { .storage_dir = t.dir, .cluster_id = "default" };

	assert_ok(cluster_open(&fsu_posix, &options, c, &t.error));
}

static void the_next_epoch_is_above_a_raised_floor(void **state)
{
	fsha_services *s = open_services();
	struct cluster c;
	struct player p;

	(void)state;
	player_lead(&p, s, ELECTION);
	open_cluster(&c);
	assert_ok(cluster_floor_raise(&c, 1000, &t.error));
	/* Who leads goes on under its own epoch. */
	assert_int_equal(fsha_election_has_leadership(p.election, &p.session), 1);
	assert_ok(fsha_election_resign(p.election, &p.session, &t.error));
	WAIT_FOR(&p.post, p.grants == 2);
	assert_int_equal(p.epoch, 1001);
	player_close(&p);
	cluster_close(&c);
	close_services(s);
}

static void versions_grow_over_a_raised_floor(void **state)
{
	fsha_services *s = open_services();
	fsha_version before, after;
	struct cluster c;
	struct player p;

	(void)state;
	player_lead(&p, s, ELECTION);
	before = add(s, ELECTION, "x");
	player_close(&p);
	open_cluster(&c);
	assert_ok(cluster_floor_raise(&c, UINT64_C(1) << 40, &t.error));
	player_lead(&p, s, ELECTION);
	after = add(s, ELECTION, "y");
	assert_true(fsha_version_compare(&after, &before) > 0);
	assert_true(after.epoch > UINT64_C(1) << 40);
	player_close(&p);
	cluster_close(&c);
	close_services(s);
}

static void the_floor_of_a_new_election_counts_too(void **state)
{
	fsha_services *s = open_services();
	struct cluster c;
	struct player p;

	(void)state;
	open_cluster(&c);
	assert_ok(cluster_floor_raise(&c, 77, &t.error));
	player_lead(&p, s, "an-election-that-never-was");
	assert_int_equal(p.epoch, 78);
	player_close(&p);
	cluster_close(&c);
	close_services(s);
}

static void the_floor_is_never_lowered(void **state)
{
	fsha_services *s = open_services();
	struct cluster c;
	uint64_t floor;

	(void)state;
	open_cluster(&c);
	assert_ok(cluster_floor_raise(&c, 1000, &t.error));
	assert_ok(cluster_floor_raise(&c, 5, &t.error));
	assert_ok(cluster_floor_read(&c, &floor, &t.error));
	assert_int_equal(floor, 1000);
	assert_int_equal(count_names("", "floor-", NULL), 1);
	cluster_close(&c);
	close_services(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(versions_grow_across_leaders),
		TEST(epochs_go_on_when_everybody_was_gone),
		TEST(a_late_version_of_a_removed_job_does_not_bring_it_back),
		TEST(a_late_version_of_a_former_life_does_not_win),
		TEST(a_late_version_does_not_win_while_somebody_leads),
		TEST(a_job_made_again_has_a_higher_version),
		TEST(the_next_epoch_is_above_a_raised_floor),
		TEST(versions_grow_over_a_raised_floor),
		TEST(the_floor_of_a_new_election_counts_too),
		TEST(the_floor_is_never_lowered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
