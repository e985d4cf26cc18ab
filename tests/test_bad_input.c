/* Storage that is not as it should be, and names that nobody should use: each a clear error. */
#include "tests/test_hook.h"

#include <sys/wait.h>

#define LONG_NAME_BYTES 10000

static fsha_result try_open(fsha_services **ret_services)
{
	*ret_services = NULL;
	return fsha_services_open(t.config, NULL, ret_services, &t.error);
}

/* Refused with that result, and the message says `part`. */
#define assert_open_refused(expected, part)                    \
	do {                                                   \
		fsha_services *s_;                             \
		assert_refused(try_open(&s_), expected, part); \
		assert_null(s_);                               \
	} while (0)

static void configure(const char *key, const char *value)
{
	assert_ok(fsha_config_set(t.config, key, value, &t.error));
}

/* A cluster with one leader's leavings in it. */
static void make_cluster(void)
{
	fsha_services *s = open_services();
	fsha_state_store *store;
	struct player p;

	player_lead(&p, s, ELECTION);
	assert_ok(fsha_state_store_open(s, "ns", ELECTION, &store, &t.error));
	assert_ok(fsha_state_store_add(store, "k", "v", 1, NULL, &t.error));
	fsha_state_store_close(store);
	player_close(&p);
	close_services(s);
}

/* It still opens, and what was stored is there. */
static void assert_cluster_is_whole(void)
{
	fsha_services *s = open_services();
	fsha_state_store *store;
	size_t size;
	void *data;

	assert_ok(fsha_state_store_open(s, "ns", ELECTION, &store, &t.error));
	assert_ok(fsha_state_store_get(store, "k", &data, &size, NULL, &t.error));
	assert_string_equal(data, "v");
	fsha_free(data);
	fsha_state_store_close(store);
	close_services(s);
}

/* ---- the storage directory ---- */

static void a_missing_storage_directory_is_named_and_not_made(void **state)
{
	char path[128];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/nowhere", t.dir);
	configure(FSHA_KEY_STORAGE_DIR, path);
	assert_open_refused(FSHA_E_CONFIG, path);
	assert_int_equal(access(path, F_OK), -1);
}

static void a_storage_directory_that_is_a_file_is_refused(void **state)
{
	char path[128];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/file", t.dir);
	write_file(path, "x", 1);
	configure(FSHA_KEY_STORAGE_DIR, path);
	assert_open_refused(FSHA_E_CONFIG, "no directory");
}

static void a_storage_directory_that_is_a_fifo_is_refused_at_once(void **state)
{
	char path[128];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/fifo", t.dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	configure(FSHA_KEY_STORAGE_DIR, path);
	assert_open_refused(FSHA_E_CONFIG, "no directory");
}

static void a_file_in_the_place_of_the_cluster_directory_is_refused(void **state)
{
	char path[128];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/default", t.dir);
	write_file(path, "x", 1);
	assert_open_refused(FSHA_E_CONFIG, path);
}

static void a_link_in_the_place_of_the_cluster_directory_is_refused(void **state)
{
	char path[128];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/default", t.dir);
	assert_int_equal(symlink("/tmp", path), 0);
	assert_open_refused(FSHA_E_CONFIG, path);
}

static void a_directory_of_something_else_is_refused_and_left_alone(void **state)
{
	(void)state;
	(void)snprintf(t.path, sizeof(t.path), "%s/default", t.dir);
	assert_int_equal(mkdir(t.path, 0700), 0);
	write_file(in_cluster("thesis.txt"), "x", 1);
	assert_open_refused(FSHA_E_CONFIG, "SETTINGS");
	assert_int_equal(count_names("", "", NULL), 1);
}

static void an_empty_directory_made_in_advance_is_taken(void **state)
{
	(void)state;
	(void)snprintf(t.path, sizeof(t.path), "%s/default", t.dir);
	assert_int_equal(mkdir(t.path, 0700), 0);
	make_cluster();
	assert_cluster_is_whole();
}

/* Runs as another user in a child, because a seteuid() is one of all threads. 0: all was well. */
static int as_nobody(fsha_result (*what)(void), fsha_result expected, const char *part)
{
	fsha_result result;
	int status;
	pid_t pid;

	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
			_exit(10);
		result = what();
		_exit(result == expected && strstr(t.error.message, part) ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

static fsha_result only_open(void)
{
	fsha_services *s;

	return try_open(&s);
}

static fsha_result open_and_contend(void)
{
	fsha_contender c = { sizeof(c), NULL, on_grant, on_revoke, NULL };
	fsha_election *e;
	fsha_result result;
	fsha_services *s;

	result = try_open(&s);
	if (result != FSHA_OK)
		return result;
	result = fsha_election_start(s, ELECTION, &c, &e, &t.error);
	(void)fsha_services_close(s, NULL);
	return result;
}

static void a_storage_directory_that_is_not_writable_is_refused(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(t.dir, 0755), 0);
	assert_int_equal(as_nobody(only_open, FSHA_E_CONFIG, "writable"), 0);
	assert_int_equal(count_names("", "", NULL), 0);
}

static void a_storage_directory_that_is_not_readable_is_refused(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(as_nobody(only_open, FSHA_E_CONFIG, t.dir), 0);
}

static int let_everybody_read(const char *path, const struct stat *st, int type)
{
	(void)type;
	return chmod(path, (st->st_mode & 0777) | (S_ISDIR(st->st_mode) ? 0055 : 0044));
}

static void a_cluster_that_is_not_writable_takes_no_members(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	make_cluster();
	assert_int_equal(ftw(t.dir, let_everybody_read, 16), 0);
	assert_int_equal(as_nobody(open_and_contend, FSHA_E_CONFIG, "writable"), 0);
	assert_cluster_is_whole();
}

static int read_only(struct hook *h, const char *op, const char *path, const char *to)
{
	(void)h;
	(void)path;
	(void)to;
	return strcmp(op, "create") == 0 || strcmp(op, "mkdir") == 0 || strcmp(op, "rename") == 0 ||
			       strcmp(op, "unlink") == 0 ?
		       -EROFS :
		       0;
}

static void a_read_only_storage_directory_is_refused(void **state)
{
	fsha_services *s = NULL;
	static struct hook h;

	(void)state;
	hook_init(&h);
	h.decide = read_only;
	assert_refused(services_open_with(&h.fs, t.config, NULL, &s, &t.error), FSHA_E_CONFIG,
		       "writable");
	assert_null(s);
}

static void a_read_only_cluster_can_be_read_and_takes_no_members(void **state)
{
	fsha_leader_information info;
	fsha_services *s = NULL;
	fsha_election *e = NULL;
	struct player p;
	static struct hook h;
	fsha_contender c;

	(void)state;
	make_cluster();
	hook_init(&h);
	h.decide = read_only;
	s = open_hooked(&h);
	assert_ok(fsha_leader_read(s, ELECTION, &info, &t.error));
	player_init(&p);
	c = contender_of(&p);
	assert_refused(fsha_election_start(s, ELECTION, &c, &e, &t.error), FSHA_E_CONFIG,
		       "writable");
	assert_null(e);
	close_services(s);
	assert_cluster_is_whole();
}

/* ---- SETTINGS ---- */

static void settings_path(char *ret_path)
{
	char last[256];

	assert_int_equal(count_names("", "SETTINGS~", last), 1);
	(void)snprintf(ret_path, 512, "%s", in_cluster(last));
}

static void damaged_settings_are_corrupt_at_every_byte(void **state)
{
	uint8_t data[512];
	char path[512];
	size_t size;

	(void)state;
	make_cluster();
	settings_path(path);
	size = read_file(path, data, sizeof(data));
	for (size_t i = 0; i < size; i++) {
		data[i] ^= (uint8_t)(1u << i % 8);
		write_file(path, data, size);
		assert_open_refused(FSHA_E_CORRUPT, "SETTINGS");
		data[i] ^= (uint8_t)(1u << i % 8);
	}
	for (size_t len = 0; len < size; len += 13) {
		write_file(path, data, len);
		assert_open_refused(FSHA_E_CORRUPT, "SETTINGS");
	}
	write_file(path, data, size);
	assert_cluster_is_whole();
}

static void lost_settings_are_no_reason_to_make_a_new_cluster(void **state)
{
	char path[512];

	(void)state;
	make_cluster();
	settings_path(path);
	assert_int_equal(unlink(path), 0);
	assert_open_refused(FSHA_E_CONFIG, "SETTINGS");
	assert_int_equal(count_names("", "SETTINGS", NULL), 0);
}

/* SETTINGS of another format, as a newer version would write them: a record that is in order. */
static void write_settings(uint32_t format, uint32_t lease_ms)
{
	const struct fsu_uuid cluster = { { 1, 2, 3 } };
	uint8_t payload[24], buf[512];
	struct fsu_writer w = { .buf = payload, .size = sizeof(payload) };
	struct fsu_record record = {
		.kind = FSU_KIND_SETTINGS,
		.sequence = 2,
		.cluster = cluster,
		.write_id = { { 9 } },
		.key = "/SETTINGS",
		.key_len = 9,
		.payload = payload,
		.stored_len = sizeof(payload),
		.raw_len = sizeof(payload),
	};
	ssize_t n;

	fsu_put_u32(&w, format);
	fsu_put_uuid(&w, &cluster);
	fsu_put_u32(&w, lease_ms);
	assert_int_equal(w.error, 0);
	n = fsu_record_encode(&fsu_posix, &record, buf, sizeof(buf));
	assert_true(n > 0);
	write_file(in_cluster("SETTINGS~0000000000000000.0000000000000002.0000"), buf, (size_t)n);
}

static void settings_of_a_newer_format_are_unsupported(void **state)
{
	(void)state;
	make_cluster();
	write_settings(2, LEASE_MS);
	assert_open_refused(FSHA_E_UNSUPPORTED, "format 2");
}

static void settings_with_an_impossible_lease_are_corrupt(void **state)
{
	(void)state;
	make_cluster();
	write_settings(1, 0);
	assert_open_refused(FSHA_E_CORRUPT, "SETTINGS");
	write_settings(1, UINT32_MAX);
	assert_open_refused(FSHA_E_CORRUPT, "SETTINGS");
}

static void another_lease_is_refused_naming_both(void **state)
{
	char lease[32];

	(void)state;
	make_cluster();
	configure(FSHA_KEY_LEASE, "7 s");
	assert_open_refused(FSHA_E_CONFIG, "7000 ms");
	(void)snprintf(lease, sizeof(lease), " %d ms", LEASE_MS);
	assert_non_null(strstr(t.error.message, lease));
	configure(FSHA_KEY_LEASE, LEASE);
	assert_cluster_is_whole();
}

static void a_lost_floor_is_corrupt_and_nobody_leads(void **state)
{
	fsha_services *s;
	fsha_error error;
	struct player p;
	char last[256];

	(void)state;
	make_cluster();
	assert_int_equal(count_names("", "floor-", last), 1);
	assert_int_equal(unlink(in_cluster(last)), 0);
	s = open_services();
	player_init(&p);
	player_start(&p, s, ELECTION);
	error = player_error(&p);
	assert_int_equal(error.result, FSHA_E_CORRUPT);
	assert_non_null(strstr(error.message, "floor"));
	assert_int_equal(p.grants, 0);
	write_file(in_cluster("floor-0000000000000009"), "", 0);
	WAIT_FOR(&p.post, p.grants == 1);
	assert_true(p.epoch > 9);
	player_close(&p);
	close_services(s);
}

/* ---- names ---- */

static const char *const odd_names[] = {
	"/",
	"..",
	".",
	"../../etc/passwd",
	"a\nb",
	"a b",
	"%",
	"%2F",
	"~",
	"@owner",
	"\xff\xfe",
	"-rf",
	"k~0000000000000001.0000000000000001.0000",
};
#define ODD_NAMES (sizeof(odd_names) / sizeof(odd_names[0]))

static void odd_names_of_elections_stay_inside_and_apart(void **state)
{
	struct player players[ODD_NAMES];
	fsha_services *s = open_services();

	(void)state;
	for (size_t i = 0; i < ODD_NAMES; i++)
		player_lead(&players[i], s, odd_names[i]);
	assert_int_equal(count_names("elections", "", NULL), ODD_NAMES);
	for (size_t i = 0; i < ODD_NAMES; i++)
		player_close(&players[i]);
	close_services(s);
	/* Nothing came to be beside the cluster. */
	(void)snprintf(t.path, sizeof(t.path), "%s", t.dir);
	assert_int_equal(count_names("..", "", NULL), 1);
}

static void odd_names_of_entries_and_namespaces_come_back_exactly(void **state)
{
	fsha_services *s = open_services();
	fsha_state_store *store;
	struct player p;
	size_t size;
	void *data;

	(void)state;
	player_lead(&p, s, ELECTION);
	for (size_t i = 0; i < ODD_NAMES; i++) {
		assert_ok(fsha_state_store_open(s, odd_names[i], ELECTION, &store, &t.error));
		for (size_t j = 0; j < ODD_NAMES; j++)
			assert_ok(fsha_state_store_add(store, odd_names[j], &j, sizeof(j), NULL,
						       &t.error));
		for (size_t j = 0; j < ODD_NAMES; j++) {
			assert_ok(fsha_state_store_get(store, odd_names[j], &data, &size, NULL,
						       &t.error));
			assert_memory_equal(data, &j, sizeof(j));
			fsha_free(data);
		}
		fsha_state_store_close(store);
	}
	assert_int_equal(count_names("state", "", NULL), ODD_NAMES);
	player_close(&p);
	close_services(s);
	assert_int_equal(count_names("..", "", NULL), 1);
}

static void a_cluster_id_with_dots_stays_inside_the_storage_directory(void **state)
{
	char path[128];

	(void)state;
	configure(FSHA_KEY_CLUSTER_ID, "../escape/./..");
	close_services(open_services());
	(void)snprintf(path, sizeof(path), "%s/../escape", t.dir);
	assert_int_equal(access(path, F_OK), -1);
}

static void too_long_and_empty_names_are_invalid(void **state)
{
	fsha_services *s = open_services();
	fsha_leader_information info;
	fsha_state_store *store = NULL;
	fsha_election *e = NULL;
	fsha_retriever *r = NULL;
	char *name = malloc(LONG_NAME_BYTES + 1);
	const char *names[] = { name, "", NULL };
	fsha_leader_listener l = { sizeof(l), NULL, on_leader, NULL };
	struct player p;
	fsha_contender c;
	fsha_uuid session;
	size_t before;

	(void)state;
	assert_non_null(name);
	memset(name, 'n', LONG_NAME_BYTES);
	name[LONG_NAME_BYTES] = '\0';
	before = count_tree();
	player_init(&p);
	c = contender_of(&p);
	for (int i = 0; i < 3; i++) {
		assert_result(fsha_election_start(s, names[i], &c, &e, &t.error), FSHA_E_INVALID);
		assert_result(fsha_election_acquire(s, names[i], 10, &e, &session, &t.error),
			      FSHA_E_INVALID);
		assert_result(fsha_retriever_start(s, names[i], &l, &r, &t.error), FSHA_E_INVALID);
		assert_result(fsha_leader_read(s, names[i], &info, &t.error), FSHA_E_INVALID);
		assert_result(fsha_state_store_open(s, names[i], ELECTION, &store, &t.error),
			      FSHA_E_INVALID);
		assert_result(fsha_state_store_open(s, "ns", names[i], &store, &t.error),
			      FSHA_E_INVALID);
	}
	assert_int_equal(count_tree(), before);
	free(name);
	close_services(s);
}

static void the_longest_name_works_and_one_byte_more_is_invalid(void **state)
{
	fsha_services *s = open_services();
	char name[FSHA_NAME_MAX + 2];
	fsha_state_store *store;
	struct player p;

	(void)state;
	memset(name, 'n', sizeof(name));
	name[FSHA_NAME_MAX] = '\0';
	player_lead(&p, s, name);
	assert_ok(fsha_state_store_open(s, name, name, &store, &t.error));
	assert_ok(fsha_state_store_add(store, name, "v", 1, NULL, &t.error));
	name[FSHA_NAME_MAX] = 'n';
	name[FSHA_NAME_MAX + 1] = '\0';
	assert_result(fsha_state_store_add(store, name, "v", 1, NULL, &t.error), FSHA_E_INVALID);
	fsha_state_store_close(store);
	player_close(&p);
	close_services(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_missing_storage_directory_is_named_and_not_made),
		TEST(a_storage_directory_that_is_a_file_is_refused),
		TEST(a_storage_directory_that_is_a_fifo_is_refused_at_once),
		TEST(a_file_in_the_place_of_the_cluster_directory_is_refused),
		TEST(a_link_in_the_place_of_the_cluster_directory_is_refused),
		TEST(a_directory_of_something_else_is_refused_and_left_alone),
		TEST(an_empty_directory_made_in_advance_is_taken),
		TEST(a_storage_directory_that_is_not_writable_is_refused),
		TEST(a_storage_directory_that_is_not_readable_is_refused),
		TEST(a_cluster_that_is_not_writable_takes_no_members),
		TEST(a_read_only_storage_directory_is_refused),
		TEST(a_read_only_cluster_can_be_read_and_takes_no_members),
		TEST(damaged_settings_are_corrupt_at_every_byte),
		TEST(lost_settings_are_no_reason_to_make_a_new_cluster),
		TEST(settings_of_a_newer_format_are_unsupported),
		TEST(settings_with_an_impossible_lease_are_corrupt),
		TEST(another_lease_is_refused_naming_both),
		TEST(a_lost_floor_is_corrupt_and_nobody_leads),
		TEST(odd_names_of_elections_stay_inside_and_apart),
		TEST(odd_names_of_entries_and_namespaces_come_back_exactly),
		TEST(a_cluster_id_with_dots_stays_inside_the_storage_directory),
		TEST(too_long_and_empty_names_are_invalid),
		TEST(the_longest_name_works_and_one_byte_more_is_invalid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
