/* Records that are damaged, foreign, or no records at all: told as such, never taken for an older
 * one, and no danger to the others. */
#include "tests/test_bad_input.h"

#define NS "state/ns"

/* A cluster that nobody leads, with "k" in two versions, its newest a record that inflates, and two
 * others around it. */
static char newest[512], oldest[512];

static void make_store(void)
{
	fsha_services *s = open_services();
	fsha_state_store *store;
	fsha_version v;
	char text[2000], last[256];
	struct player p;

	memset(text, 'v', sizeof(text));
	player_lead(&p, s, ELECTION);
	assert_ok(fsha_state_store_open(s, "ns", ELECTION, &store, &t.error));
	assert_ok(fsha_state_store_add(store, "a", "first", 5, NULL, &t.error));
	assert_ok(fsha_state_store_add(store, "k", "old", 3, &v, &t.error));
	assert_int_equal(count_names(NS, "k~", last), 1);
	(void)snprintf(oldest, sizeof(oldest), "%s/default/" NS "/%s", t.dir, last);
	assert_ok(fsha_state_store_replace(store, "k", &v, text, sizeof(text), NULL, &t.error));
	assert_int_equal(count_names(NS, "k~", last), 2);
	(void)snprintf(newest, sizeof(newest), "%s/default/" NS "/%s", t.dir, last);
	assert_ok(fsha_state_store_add(store, "z", "last", 4, NULL, &t.error));
	fsha_state_store_close(store);
	player_close(&p);
	close_services(s);
	assert_int_equal(access(oldest, F_OK), 0);
}

struct reader {
	fsha_services *services;
	fsha_state_store *store;
};

static void reader_open(struct reader *r)
{
	r->services = open_services();
	assert_ok(fsha_state_store_open(r->services, "ns", ELECTION, &r->store, &t.error));
}

static void reader_close(struct reader *r)
{
	fsha_state_store_close(r->store);
	close_services(r->services);
}

static fsha_result get(struct reader *r)
{
	fsha_result result;
	size_t size;
	void *data;

	result = fsha_state_store_get(r->store, "k", &data, &size, NULL, &t.error);
	if (result == FSHA_OK)
		fsha_free(data);
	return result;
}

static int note_entry(void *ctx, const fsha_state_entry *entry)
{
	char *seen = ctx;
	size_t used = strlen(seen);

	(void)snprintf(seen + used, 128 - used, "%s:%s ", entry->name,
		       fsha_result_name(entry->result));
	return 0;
}

/* CORRUPT, with the file's name; the others are there, and it is told among them. */
static void assert_corrupt(struct reader *r)
{
	char seen[128] = "";

	assert_refused(get(r), FSHA_E_CORRUPT, strrchr(newest, '/') + 1);
	assert_ok(fsha_state_store_get_all(r->store, note_entry, seen, &t.error));
	assert_string_equal(seen, "a:OK k:CORRUPT z:OK ");
	/* It is kept for a person to look at. */
	assert_int_equal(faccessat(AT_FDCWD, newest, F_OK, AT_SYMLINK_NOFOLLOW), 0);
}

static void a_flipped_bit_in_any_byte_is_corrupt(void **state)
{
	uint8_t data[4096];
	struct reader r;
	size_t size;

	(void)state;
	make_store();
	size = read_file(newest, data, sizeof(data));
	reader_open(&r);
	for (size_t i = 0; i < size; i++) {
		data[i] ^= (uint8_t)(1u << i % 8);
		write_file(newest, data, size);
		assert_result(get(&r), FSHA_E_CORRUPT);
		data[i] ^= (uint8_t)(1u << i % 8);
	}
	assert_corrupt(&r);
	write_file(newest, data, size);
	assert_ok(get(&r));
	reader_close(&r);
}

static void a_truncated_record_is_corrupt_at_any_length(void **state)
{
	uint8_t data[4096];
	struct reader r;
	size_t size;

	(void)state;
	make_store();
	size = read_file(newest, data, sizeof(data));
	reader_open(&r);
	for (size_t len = 0; len < size; len++) {
		write_file(newest, data, len);
		assert_result(get(&r), FSHA_E_CORRUPT);
	}
	assert_corrupt(&r);
	data[size] = 0;
	write_file(newest, data, size + 1);
	assert_corrupt(&r);
	reader_close(&r);
}

static void a_record_that_is_no_file_is_corrupt_and_nobody_waits_for_it(void **state)
{
	struct reader r;

	(void)state;
	make_store();
	assert_int_equal(unlink(newest), 0);
	for (enum thing thing = THING_FIFO; thing < THINGS; thing++) {
		if (!make_thing(thing, newest))
			continue;
		reader_open(&r);
		assert_corrupt(&r);
		reader_close(&r);
		remove_thing(newest);
	}
}

/* ---- foreign records ---- */

/* The bytes of `from` under the name of the newest version of "k". */
static void put_in_place(const char *from)
{
	uint8_t data[4096];
	size_t size = read_file(from, data, sizeof(data));

	write_file(newest, data, size);
}

static void assert_foreign(const char *why)
{
	struct reader r;

	reader_open(&r);
	assert_refused(get(&r), FSHA_E_CORRUPT, why);
	assert_corrupt(&r);
	reader_close(&r);
}

static void a_record_of_another_key_is_corrupt(void **state)
{
	char path[512], last[256];

	(void)state;
	make_store();
	assert_int_equal(count_names(NS, "a~", last), 1);
	(void)snprintf(path, sizeof(path), "%s/default/" NS "/%s", t.dir, last);
	put_in_place(path);
	assert_foreign("it belongs under another name");
}

static void a_record_of_another_version_is_corrupt(void **state)
{
	(void)state;
	make_store();
	put_in_place(oldest);
	assert_foreign("it has another version than its name");
}

/* A record that is the newest in everything but where it comes from. */
static void a_record_of_another_cluster_is_corrupt(void **state)
{
	char here[512], there[512];

	(void)state;
	assert_ok(fsha_config_set(t.config, FSHA_KEY_CLUSTER_ID, "other", &t.error));
	{
		/* The same names in the same order, in a cluster of its own. */
		fsha_services *s = open_services();
		fsha_state_store *store;
		fsha_version v;
		struct player p;

		player_lead(&p, s, ELECTION);
		assert_ok(fsha_state_store_open(s, "ns", ELECTION, &store, &t.error));
		assert_ok(fsha_state_store_add(store, "k", "old", 3, &v, &t.error));
		fsha_state_store_close(store);
		player_close(&p);
		close_services(s);
		(void)snprintf(there, sizeof(there), "%s/other/" NS "/k~%016llx.%016llx.0000",
			       t.dir, (unsigned long long)v.epoch, (unsigned long long)v.sequence);
		(void)snprintf(here, sizeof(here), "%s/default/" NS "/%s", t.dir,
			       strrchr(there, '/') + 1);
	}
	assert_ok(fsha_config_set(t.config, FSHA_KEY_CLUSTER_ID, "default", &t.error));
	make_store();
	assert_int_equal(unlink(newest), 0);
	assert_int_equal(unlink(oldest), 0);
	memcpy(newest, here, sizeof(here));
	put_in_place(there);
	assert_foreign("it belongs to another cluster");
}

static void a_record_of_another_store_is_corrupt(void **state)
{
	fsha_services *s;
	fsha_job_graph_store *graphs;
	fsha_job_id job = { { 1 } };
	char path[512], last[256];
	struct player p;

	(void)state;
	make_store();
	s = open_services();
	player_lead(&p, s, ELECTION);
	assert_ok(fsha_job_graph_store_open(s, &graphs, &t.error));
	assert_ok(fsha_job_graph_store_start(graphs, NULL, &t.error));
	assert_ok(fsha_job_graph_store_put(graphs, &job, "{}", 2, &t.error));
	fsha_job_graph_store_close(graphs);
	player_close(&p);
	close_services(s);
	assert_int_equal(count_names("job_graphs", "", last), 1);
	(void)snprintf(path, sizeof(path), "%s/default/job_graphs/%s", t.dir, last);
	put_in_place(path);
	assert_foreign("it belongs under another name");
}

static void names_that_are_no_versions_are_passed_over(void **state)
{
	static const char *const names[] = {
		"k",
		"k~",
		"~",
		"k~1.2.3",
		"k~ffffffffffffffff.ffffffffffffffff.fffg",
		".nfs0001",
		"k~0000000000000009.0000000000000001.0000.tmp",
		"%zz~0000000000000001.0000000000000001.0000",
	};
	char path[128], seen[128] = "";
	struct reader r;

	(void)state;
	make_store();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), NS "/%s", names[i]);
		assert_int_equal(mkfifo(in_cluster(path), 0600), 0);
	}
	reader_open(&r);
	assert_ok(get(&r));
	assert_ok(fsha_state_store_get_all(r.store, note_entry, seen, &t.error));
	assert_string_equal(seen, "a:OK k:OK z:OK ");
	reader_close(&r);
}

/* ---- mending ---- */

static void a_damaged_entry_can_be_replaced_and_removed(void **state)
{
	fsha_services *s;
	fsha_state_store *store;
	fsha_version v, ours;
	struct player p;
	struct reader r;
	size_t size;
	void *data;

	(void)state;
	make_store();
	for (enum thing thing = THING_FIFO; thing < THINGS; thing++) {
		remove_thing(newest);
		if (!make_thing(thing, newest))
			break;
		s = open_services();
		player_lead(&p, s, ELECTION);
		assert_ok(fsha_state_store_open(s, "ns", ELECTION, &store, &t.error));
		assert_ok(fsha_state_store_exists(store, "k", &v, &t.error));
		assert_true(fsha_version_is_existing(&v));
		assert_ok(fsha_state_store_replace(store, "k", &v, "new", 3, &ours, &t.error));
		assert_ok(fsha_state_store_get(store, "k", &data, &size, NULL, &t.error));
		assert_string_equal(data, "new");
		fsha_free(data);
		/* The next round's damage is to the newest again. */
		(void)snprintf(newest, sizeof(newest), "%s/default/" NS "/k~%016llx.%016llx.0000",
			       t.dir, (unsigned long long)ours.epoch,
			       (unsigned long long)ours.sequence);
		if (thing + 1 == THINGS)
			assert_ok(fsha_state_store_remove(store, "k", NULL, &t.error));
		fsha_state_store_close(store);
		player_close(&p);
		close_services(s);
	}
	reader_open(&r);
	assert_true(get(&r) == FSHA_E_NOT_FOUND || geteuid() != 0);
	reader_close(&r);
}

static void a_damaged_owner_record_is_corrupt_and_not_taken_over(void **state)
{
	char path[300], last[256];
	fsha_services *s;
	fsha_state_store *store;
	struct reader r;
	struct player p;

	(void)state;
	make_store();
	assert_int_equal(count_names(NS, "@owner~", last), 1);
	(void)snprintf(path, sizeof(path), NS "/%s", last);
	write_file(in_cluster(path), "rubbish", 7);
	reader_open(&r);
	assert_refused(get(&r), FSHA_E_CORRUPT, "@owner");
	reader_close(&r);
	s = open_services();
	player_lead(&p, s, "resource_manager");
	assert_ok(fsha_state_store_open(s, "ns", "resource_manager", &store, &t.error));
	assert_result(fsha_state_store_add(store, "new", "x", 1, NULL, &t.error), FSHA_E_CORRUPT);
	assert_int_equal(count_names(NS, "new~", NULL), 0);
	fsha_state_store_close(store);
	player_close(&p);
	close_services(s);
}

/* Sound to the last bit, and "elections/<owner>" would be somewhere else. */
static void an_owner_that_is_no_name_is_corrupt_and_leads_nowhere(void **state)
{
	static const uint8_t payload[] = "\x0f\0\0\0../../../../etc";
	uint8_t data[4096], forged[4096];
	struct fsu_record record;
	char path[300], last[256];
	struct reader r;
	size_t size;
	ssize_t n;

	(void)state;
	make_store();
	assert_int_equal(count_names(NS, "@owner~", last), 1);
	(void)snprintf(path, sizeof(path), NS "/%s", last);
	size = read_file(in_cluster(path), data, sizeof(data));
	assert_int_equal(fsu_record_decode(data, size, &record, NULL), 0);
	record.payload = payload;
	record.raw_len = sizeof(payload) - 1;
	n = fsu_record_encode(&fsu_posix, &record, forged, sizeof(forged));
	assert_true(n > 0);
	write_file(in_cluster(path), forged, (size_t)n);
	reader_open(&r);
	assert_refused(get(&r), FSHA_E_CORRUPT, "@owner");
	reader_close(&r);
}

/* ---- job graphs, the history ---- */

static void a_damaged_job_graph_is_corrupt_and_the_others_are_recovered(void **state)
{
	fsha_job_graph_store *graphs;
	fsha_services *s = open_services();
	fsha_job_id *ids;
	char path[300], last[256];
	size_t count, size;
	struct player p;
	void *data;

	(void)state;
	player_lead(&p, s, ELECTION);
	assert_ok(fsha_job_graph_store_open(s, &graphs, &t.error));
	assert_ok(fsha_job_graph_store_start(graphs, NULL, &t.error));
	for (uint8_t n = 1; n <= 3; n++) {
		fsha_job_id id = { { n } };

		assert_ok(fsha_job_graph_store_put(graphs, &id, "{}", 2, &t.error));
	}
	assert_int_equal(count_names("job_graphs", "02", last), 1);
	(void)snprintf(path, sizeof(path), "job_graphs/%s", last);
	write_file(in_cluster(path), "", 0);
	assert_ok(fsha_job_graph_store_job_ids(graphs, &ids, &count, NULL, &t.error));
	assert_int_equal(count, 3);
	for (size_t i = 0; i < count; i++) {
		fsha_result result =
			fsha_job_graph_store_recover(graphs, &ids[i], &data, &size, &t.error);

		assert_int_equal(result, i == 1 ? FSHA_E_CORRUPT : FSHA_OK);
		if (result == FSHA_OK)
			fsha_free(data);
	}
	assert_ok(fsha_job_graph_store_remove(graphs, &ids[1], &t.error));
	fsha_free(ids);
	fsha_job_graph_store_close(graphs);
	player_close(&p);
	close_services(s);
}

static fsha_result read_history(fsha_services *s, size_t *ret_count)
{
	fsha_term_history *terms = NULL;
	fsha_result result = fsha_history_read(s, ELECTION, &terms, ret_count, &t.error);

	if (result == FSHA_OK)
		fsha_free(terms);
	return result;
}

static void a_damaged_history_keeps_nobody_from_leading(void **state)
{
	fsha_services *s = open_services();
	char path[300], last[256];
	struct player p;
	size_t count = 0;

	(void)state;
	player_lead(&p, s, ELECTION);
	POLL_FOR(count_names("elections/" ELECTION, "@history~", last) == 1);
	player_close(&p);
	(void)snprintf(path, sizeof(path), "elections/" ELECTION "/%s", last);
	write_file(in_cluster(path), "rubbish", 7);
	assert_result(read_history(s, &count), FSHA_E_CORRUPT);
	player_lead(&p, s, ELECTION);
	POLL_FOR(read_history(s, &count) == FSHA_OK);
	assert_int_equal(count, 2); /* the records of the first leader tell of his term */
	player_close(&p);
	close_services(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_flipped_bit_in_any_byte_is_corrupt),
		TEST(a_truncated_record_is_corrupt_at_any_length),
		TEST(a_record_that_is_no_file_is_corrupt_and_nobody_waits_for_it),
		TEST(a_record_of_another_key_is_corrupt),
		TEST(a_record_of_another_version_is_corrupt),
		TEST(a_record_of_another_cluster_is_corrupt),
		TEST(a_record_of_another_store_is_corrupt),
		TEST(names_that_are_no_versions_are_passed_over),
		TEST(a_damaged_entry_can_be_replaced_and_removed),
		TEST(a_damaged_owner_record_is_corrupt_and_not_taken_over),
		TEST(an_owner_that_is_no_name_is_corrupt_and_leads_nowhere),
		TEST(a_damaged_job_graph_is_corrupt_and_the_others_are_recovered),
		TEST(a_damaged_history_keeps_nobody_from_leading),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
