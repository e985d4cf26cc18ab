/*
 * Who may read and write what, names that want to lead elsewhere, and files that say they are huge.
 */
#include "tests/test_services.h"

#include "tests/lib/run.h"

#define NS "state/ns"

/* A leader writes something everywhere, and leaves. */
static void use(void)
{
	fsha_services *s = open_services();
	fsha_job_graph_store *graphs;
	fsha_state_store *store;
	static uint8_t jobs;
	fsha_job_id job = { { ++jobs } };
	struct player p;

	player_lead(&p, s, ELECTION);
	assert_ok(fsha_election_confirm_leadership(p.election, &p.session, ADDRESS, &t.error));
	assert_ok(fsha_state_store_open(s, "ns", ELECTION, &store, &t.error));
	assert_ok(fsha_state_store_remove(store, "k", NULL, &t.error));
	assert_ok(fsha_state_store_add(store, "k", "value", 5, NULL, &t.error));
	fsha_state_store_close(store);
	assert_ok(fsha_job_graph_store_open(s, &graphs, &t.error));
	assert_ok(fsha_job_graph_store_start(graphs, NULL, &t.error));
	assert_ok(fsha_job_graph_store_put(graphs, &job, "graph", 5, &t.error));
	fsha_job_graph_store_close(graphs);
	player_close(&p);
	close_services(s);
}

/* ---- modes ---- */

static mode_t file_mode, directory_mode;
static unsigned odd_modes;

static int look_at_mode(const char *path, const struct stat *st, int type, struct FTW *at)
{
	const mode_t expected = type == FTW_D ? directory_mode : file_mode;

	/* The storage directory itself is the user's. */
	if (at->level > 0 && (st->st_mode & 07777) != expected) {
		print_error("%s has mode %o, not %o\n", path, st->st_mode & 07777, expected);
		odd_modes++;
	}
	return 0;
}

static void assert_modes(mode_t file, mode_t directory)
{
	file_mode = file;
	directory_mode = directory;
	odd_modes = 0;
	assert_int_equal(nftw(t.dir, look_at_mode, 16, FTW_PHYS), 0);
	assert_int_equal(odd_modes, 0);
}

static void use_with_umask(mode_t mask)
{
	const mode_t old = umask(mask);

	use();
	(void)umask(old);
}

static void nobody_else_may_read_or_write_whatever_the_umask(void **state)
{
	(void)state;
	use_with_umask(0);
	assert_modes(0600, 0700);
	use_with_umask(022);
	use_with_umask(077);
	assert_modes(0600, 0700);
}

static void a_set_group_id_directory_is_shared_whatever_the_umask(void **state)
{
	(void)state;
	assert_int_equal(chmod(t.dir, 02770), 0);
	use_with_umask(077);
	assert_modes(0660, 02770);
	use_with_umask(0);
	assert_modes(0660, 02770);
}

static void a_directory_that_the_group_may_write_in_is_not_shared_for_that(void **state)
{
	(void)state;
	assert_int_equal(chmod(t.dir, 0770), 0);
	use_with_umask(0);
	assert_modes(0600, 0700);
}

static int find_exposed(void *ctx, const fsha_finding *finding)
{
	unsigned *found = ctx;

	if (strcmp(finding->code, "exposed") == 0)
		(*found)++;
	return 0;
}

static unsigned count_exposed(void)
{
	fsha_verify_summary summary = FSHA_VERIFY_SUMMARY_INIT;
	unsigned found = 0;

	assert_ok(fsha_verify(t.config, find_exposed, &found, &summary, &t.error));
	return found;
}

static void a_cluster_directory_that_everybody_may_write_in_is_refused_and_told(void **state)
{
	fsha_services *s = NULL;

	(void)state;
	use();
	assert_int_equal(count_exposed(), 0);
	assert_int_equal(chmod(in_cluster(""), 0702), 0);
	assert_refused(fsha_services_open(t.config, NULL, &s, &t.error), FSHA_E_CONFIG,
		       "everybody may write");
	assert_null(s);
	assert_int_equal(count_exposed(), 1);
	assert_int_equal(chmod(in_cluster(""), 0700), 0);
	assert_int_equal(chmod(in_cluster(NS), 0702), 0);
	assert_int_equal(chmod(in_cluster("elections/" ELECTION), 0777), 0);
	assert_int_equal(count_exposed(), 2);
}

/* ---- names ---- */

static size_t entries_outside;

static int count_outside(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	/* What comes and goes while somebody leads is not counted. */
	entries_outside += !strstr(path, "/" NS) && !strstr(path, "/elections/") &&
			   !strstr(path, "/leaders/") && !strstr(path, "/members/");
	return 0;
}

static size_t look_outside(void)
{
	entries_outside = 0;
	assert_int_equal(nftw(t.dir, count_outside, 16, FTW_PHYS), 0);
	return entries_outside;
}

/* INVALID, or what was put is in the directory of the namespace and comes back by that name. */
static void put_hostile(fsha_state_store *store, const char *name)
{
	const size_t before = look_outside(), inside = count_names(NS, "", NULL);
	fsha_result result;
	size_t size;
	void *data;

	result = fsha_state_store_add(store, name, name, strlen(name), NULL, &t.error);
	assert_int_equal(look_outside(), before);
	assert_int_equal(count_names(NS, "", NULL), inside + (result == FSHA_OK));
	if (result != FSHA_OK) {
		assert_int_equal(result, FSHA_E_INVALID);
		return;
	}
	assert_ok(fsha_state_store_get(store, name, &data, &size, NULL, &t.error));
	assert_int_equal(size, strlen(name));
	assert_memory_equal(data, name, size);
	fsha_free(data);
}

static void no_name_leads_out_of_its_directory(void **state)
{
	static const char *const names[] = {
		"",
		".",
		"..",
		"/",
		"../../x",
		"/etc/passwd",
		"%2e%2e",
		"%",
		"~",
		"~x",
		"@owner",
		"@pack",
		"a\nb",
		"a/../b",
		"\xff\xfe",
		"-",
		" ",
		"k~0000000000000001.0000000000000001.0000",
		"\xe2\x80\xae",
		"lock",
		".nfs1",
		"nul",
		"%00",
		"a\\b",
	};
	uint64_t seed = (uint64_t)time(NULL);
	fsha_state_store *store;
	fsha_services *s;
	char name[256];
	fsha_version version;
	struct player p;

	(void)state;
	(void)test_seed(&seed);
	print_message("SEED=%llu\n", (unsigned long long)seed);
	srandom((unsigned)seed);
	use();
	s = open_services();
	player_lead(&p, s, ELECTION);
	assert_ok(fsha_state_store_open(s, "ns", ELECTION, &store, &t.error));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		put_hostile(store, names[i]);
	for (unsigned long i = test_size(50, 500, 5000); i > 0; i--) {
		size_t len = (size_t)random() % sizeof(name);

		for (size_t j = 0; j < len; j++)
			name[j] =
				(char)(random() % 3 ? "./~@%-a"[random() % 7] : 1 + random() % 255);
		name[len] = '\0';
		/* The same one again is there already. */
		if (fsha_state_store_exists(store, name, &version, NULL) != FSHA_OK)
			put_hostile(store, name);
	}
	fsha_state_store_close(store);
	player_close(&p);
	close_services(s);
}

/* ---- sizes ---- */

static void make_huge(const char *path)
{
	assert_int_equal(truncate(in_cluster(path), (off_t)1 << 40), 0);
}

/* Holes take no space, and memory for them would be a tebibyte. */
static void a_file_of_a_tebibyte_in_a_place_of_ours_is_refused_at_once(void **state)
{
	static const char *const directories[] = { NS, "leaders", "job_graphs",
						   ("elections/" ELECTION) };
	static const char *const keys[] = { "k~", ELECTION "~", "0", "@history~" };
	fsha_verify_summary summary = FSHA_VERIFY_SUMMARY_INIT;
	char path[400], last[256];
	fsha_state_store *store;
	fsha_services *s;
	size_t size;
	void *data;

	(void)state;
	use();
	(void)alarm(20);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (count_names(directories[i], keys[i], last) == 0)
			continue; /* a history is written when its leader has the time */
		(void)snprintf(path, sizeof(path), "%s/%s", directories[i], last);
		make_huge(path);
	}
	write_file(in_cluster(NS "/@pack~0000000000000001.00000000000000ff.0000"), "FSHAREC\n", 8);
	make_huge(NS "/@pack~0000000000000001.00000000000000ff.0000");
	s = open_services();
	assert_ok(fsha_state_store_open(s, "ns", ELECTION, &store, &t.error));
	assert_result(fsha_state_store_get(store, "k", &data, &size, NULL, &t.error),
		      FSHA_E_CORRUPT);
	fsha_state_store_close(store);
	assert_ok(fsha_verify(t.config, find_exposed, &size, &summary, &t.error));
	assert_true(summary.findings[FSHA_SEVERITY_ERROR] >= 4);
	close_services(s);
	/* And the settings, without which nobody opens it. */
	assert_int_equal(count_names("", "SETTINGS~", last), 1);
	make_huge(last);
	assert_result(fsha_services_open(t.config, NULL, &s, &t.error), FSHA_E_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nobody_else_may_read_or_write_whatever_the_umask),
		TEST(a_set_group_id_directory_is_shared_whatever_the_umask),
		TEST(a_directory_that_the_group_may_write_in_is_not_shared_for_that),
		TEST(a_cluster_directory_that_everybody_may_write_in_is_refused_and_told),
		TEST(no_name_leads_out_of_its_directory),
		TEST(a_file_of_a_tebibyte_in_a_place_of_ours_is_refused_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
