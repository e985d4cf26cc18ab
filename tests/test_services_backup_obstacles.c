/* Backup and restore of a cluster that something in it stands in the way of. */
#include "tests/test_backup.h"

static struct memory m;

/* ---- removals that have begun ---- */

#define LARGE_SIZE ((size_t)3 << 20)

static void put_large(fsha_services *s, const char *name)
{
	fsha_state_store *store;
	void *data = calloc(1, LARGE_SIZE);

	assert_non_null(data);
	assert_ok(fsha_state_store_open(s, "space", ELECTION, &store, &t.error));
	assert_ok(fsha_state_store_add(store, name, data, LARGE_SIZE, NULL, &t.error));
	fsha_state_store_close(store);
	free(data);
}

static size_t size_of(fsha_services *s, const char *space, const char *name)
{
	fsha_state_store *store;
	size_t size;
	void *data;

	assert_ok(fsha_state_store_open(s, space, ELECTION, &store, &t.error));
	assert_ok(fsha_state_store_get(store, name, &data, &size, NULL, &t.error));
	fsha_free(data);
	fsha_state_store_close(store);
	return size;
}

/* What the mark points to is what the backup brings back: it is not to be discarded any more. */
static void a_value_whose_removal_has_begun_since_comes_back(void **state)
{
	fsha_services *s = open_services();
	struct player p;

	(void)state;
	player_lead(&p, s, ELECTION);
	put(s, "space", "small", "1234");
	put_large(s, "large");
	player_close(&p);
	take(s, &m);
	player_lead(&p, s, ELECTION);
	begin_removal(s, "space", "small");
	begin_removal(s, "space", "large");
	player_close(&p);
	assert_ok(restore(s, &m));
	assert_int_equal(size_of(s, "space", "small"), 4);
	assert_int_equal(size_of(s, "space", "large"), LARGE_SIZE);
	close_services(s);
	memory_done(&m);
}

/* ---- packs whose list is damaged ---- */

#define PACK_LIST 130 /* a byte within the list of a pack */

/* Two names at once, so that they lie in a pack. */
static void put_pack(fsha_services *s, const char *space, const char *a, const char *b)
{
	const fsha_state_change changes[] = {
		{ .how = FSHA_STATE_PUT, .name = a, .data = "packed", .size = 6 },
		{ .how = FSHA_STATE_PUT, .name = b, .data = "packed", .size = 6 },
	};
	fsha_state_store *store;
	size_t failed;

	assert_ok(fsha_state_store_open(s, space, ELECTION, &store, &t.error));
	assert_ok(fsha_state_store_batch(store, changes, 2, NULL, &failed, &t.error));
	fsha_state_store_close(store);
}

/* The one pack of a store. */
static void damage_pack(const char *directory)
{
	char name[256], path[600], byte;
	int fd;

	assert_int_equal(count_names(directory, "@pack~", name), 1);
	(void)snprintf(path, sizeof(path), "%s/%s", in_cluster(directory), name);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, PACK_LIST), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, PACK_LIST), 1);
	assert_int_equal(close(fd), 0);
}

static size_t count_values(fsha_services *s, const char *space)
{
	fsha_state_store *store;
	size_t count;
	char **names;

	assert_ok(fsha_state_store_open(s, space, ELECTION, &store, &t.error));
	assert_ok(fsha_state_store_list(store, &names, &count, &t.error));
	fsha_free(names);
	fsha_state_store_close(store);
	return count;
}

/* In a store that the backup has, and in one that it knows nothing of. */
static void a_damaged_pack_does_not_outlive_a_restore(void **state)
{
	const fsha_repair_options repair = { sizeof(repair),
					     FSHA_REPAIR_APPLY | FSHA_REPAIR_ACCEPT_OLDER, 0 };
	const fsha_backup_source source = { sizeof(source), &m, rewind_items, next_item,
					    read_item };
	fsha_backup_summary summary = FSHA_BACKUP_SUMMARY_INIT;
	fsha_services *s = open_services();
	struct player p;

	(void)state;
	player_lead(&p, s, ELECTION);
	put(s, "space", "a", "saved");
	player_close(&p);
	take(s, &m);
	player_lead(&p, s, ELECTION);
	put(s, "space", "c", "older");
	put_pack(s, "space", "a", "b");
	put_pack(s, "other", "a", "b");
	player_close(&p);
	close_services(s);
	damage_pack("state/space");
	damage_pack("state/other");
	s = open_services();
	assert_ok(fsha_backup_restore(s, NULL, &source, &summary, &t.error));
	assert_int_equal(summary.damaged, 2);
	assert_int_equal(summary.removed, 1);
	assert_int_equal(count_names("quarantine", "", NULL), 2);
	assert_int_equal(count_values(s, "space"), 1);
	assert_int_equal(size_of(s, "space", "a"), strlen("saved"));
	assert_int_equal(count_values(s, "other"), 0);
	assert_ok(fsha_repair(s, &repair, NULL, NULL, NULL, &t.error));
	assert_int_equal(count_values(s, "space"), 1);
	assert_int_equal(count_values(s, "other"), 0);
	close_services(s);
	memory_done(&m);
}

/* ---- elections whose removal was cut short ---- */

#define JOB "ee000000000000000000000000000000"
#define RETIRED "elections/job-" JOB

static void leave_half_retired(void)
{
	assert_int_equal(mkdir(in_cluster(RETIRED), 0700), 0);
	assert_int_equal(mkdir(in_cluster(RETIRED "/trash"), 0700), 0);
	write_file(in_cluster(RETIRED "/retired-0000000000000001"), "", 0);
}

static void an_election_that_was_half_removed_stops_no_backup_restore_or_cleanup(void **state)
{
	fsha_services *s = open_services();
	struct player p;

	(void)state;
	player_lead(&p, s, ELECTION);
	put(s, "space", "a", "saved");
	player_close(&p);
	leave_half_retired();
	take(s, &m);
	player_lead(&p, s, ELECTION);
	put(s, "space", "b", "new");
	player_close(&p);
	assert_ok(restore(s, &m));
	assert_int_equal(count_values(s, "space"), 1);
	assert_ok(fsha_services_cleanup_all_data(s, &t.error));
	assert_int_equal(count_values(s, "space"), 0);
	close_services(s);
	memory_done(&m);
}

static void who_wants_to_lead_an_election_that_was_half_removed_is_told_of_gc(void **state)
{
	fsha_services *s = open_services();
	fsha_election *election;
	fsha_uuid session;

	(void)state;
	leave_half_retired();
	assert_refused(fsha_election_acquire(s, "job-" JOB, 5000, &election, &session, &t.error),
		       FSHA_E_CORRUPT, "run 'fsha gc'");
	close_services(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_value_whose_removal_has_begun_since_comes_back),
		TEST(a_damaged_pack_does_not_outlive_a_restore),
		TEST(an_election_that_was_half_removed_stops_no_backup_restore_or_cleanup),
		TEST(who_wants_to_lead_an_election_that_was_half_removed_is_told_of_gc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
