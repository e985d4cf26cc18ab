/*
 * Symbolic links in the place of files and directories of ours: what they lead to is never read as
 * ours, however valid it is there. It lies in a twin of the cluster, with the same ids and newer
 * versions, of which everything would be believed if it were copied to its place, which is seen
 * first. (A hard link is the file itself: who can make one here can as well copy the file.)
 */
#include "tests/test_bad_input.h"

#include <glob.h>

#define JOB "00112233445566778899aabbccddeeff"
#define OUTSIDE_VALUE "of the twin"

static const fsha_blob_key key = { FSHA_BLOB_PERMANENT, { 2 }, { 3 } };
static char outside[80], sound[80];

/* ---- Reading ---- */

/* Which reading operation gave the value of the twin; NULL: none. */
static const char *told_by;

static void look_at(const char *what, const void *value, size_t size)
{
	if (memmem(value, size, OUTSIDE_VALUE, strlen(OUTSIDE_VALUE)))
		told_by = what;
}

static int look_at_entry(void *ctx, const fsha_state_entry *entry)
{
	(void)ctx;
	if (entry->result == FSHA_OK)
		look_at("get_all", entry->data, entry->size);
	return 0;
}

static void read_stores(fsha_services *s)
{
	static const char *const names[] = { "k", "packed" };
	fsha_job_graph_store *graphs = NULL;
	fsha_state_store *store = NULL;
	fsha_job_id job;
	void *value;
	size_t size;

	(void)fsha_job_id_parse(JOB, &job);
	if (fsha_state_store_open(s, "ns", ELECTION, &store, NULL) == FSHA_OK) {
		for (size_t i = 0; i < 2; i++) {
			if (fsha_state_store_get(store, names[i], &value, &size, NULL, NULL) !=
			    FSHA_OK)
				continue;
			look_at(names[i], value, size);
			fsha_free(value);
		}
		(void)fsha_state_store_get_all(store, look_at_entry, NULL, NULL);
	}
	fsha_state_store_close(store);
	if (fsha_job_graph_store_open(s, &graphs, NULL) == FSHA_OK &&
	    fsha_job_graph_store_start(graphs, NULL, NULL) == FSHA_OK &&
	    fsha_job_graph_store_recover(graphs, &job, &value, &size, NULL) == FSHA_OK) {
		look_at("a job graph", value, size);
		fsha_free(value);
	}
	fsha_job_graph_store_close(graphs);
}

static void read_blob(fsha_services *s)
{
	uint8_t bytes[64];
	fsha_blob_store *blobs = NULL;
	fsha_job_id job;
	char local[128];

	(void)fsha_job_id_parse(JOB, &job);
	(void)snprintf(local, sizeof(local), "%s/gotten", t.dir);
	if (fsha_blob_store_open(s, &blobs, NULL) == FSHA_OK &&
	    fsha_blob_store_get(blobs, &job, &key, local, NULL) == FSHA_OK) {
		look_at("a blob", bytes, read_file(local, bytes, sizeof(bytes)));
		assert_int_equal(unlink(local), 0);
	}
	fsha_blob_store_close(blobs);
}

static void read_leader(fsha_services *s)
{
	fsha_leader_information leader;
	fsha_cluster_status *status;

	if (fsha_leader_read(s, ELECTION, &leader, NULL) == FSHA_OK)
		look_at("the leader", leader.address, strlen(leader.address));
	if (fsha_status_read(s, 0, &status, NULL) != FSHA_OK)
		return;
	for (size_t i = 0; i < status->election_count; i++)
		look_at("the status", status->elections[i].leader.address,
			strlen(status->elections[i].leader.address));
	fsha_status_destroy(status);
}

/* ---- The twin ---- */

static void write_everywhere(fsha_services *s, const char *value)
{
	const fsha_state_change change = {
		.how = FSHA_STATE_PUT, .name = "packed", .data = value, .size = strlen(value)
	};
	const fsha_state_change both[2] = {
		change, { .how = FSHA_STATE_PUT, .name = "x", .data = "x", .size = 1 }
	};
	fsha_job_graph_store *graphs;
	fsha_state_store *store;
	fsha_blob_store *blobs;
	fsha_job_id job;
	char local[128];
	void *old;
	size_t size;

	(void)fsha_job_id_parse(JOB, &job);
	assert_ok(fsha_state_store_open(s, "ns", ELECTION, &store, &t.error));
	(void)fsha_state_store_remove(store, "k", NULL, NULL);
	assert_ok(fsha_state_store_add(store, "k", value, strlen(value), NULL, &t.error));
	assert_ok(fsha_state_store_batch(store, both, 2, NULL, NULL, &t.error));
	fsha_state_store_close(store);
	assert_ok(fsha_job_graph_store_open(s, &graphs, &t.error));
	assert_ok(fsha_job_graph_store_start(graphs, NULL, &t.error));
	if (fsha_job_graph_store_recover(graphs, &job, &old, &size, NULL) == FSHA_OK)
		fsha_free(old);
	assert_ok(fsha_job_graph_store_put(graphs, &job, value, strlen(value), &t.error));
	fsha_job_graph_store_close(graphs);
	(void)snprintf(local, sizeof(local), "%s/local", t.dir);
	write_file(local, value, strlen(value));
	assert_ok(fsha_blob_store_open(s, &blobs, &t.error));
	assert_ok(fsha_blob_store_put(blobs, local, &job, &key, &t.error));
	fsha_blob_store_close(blobs);
}

/* While a member beats a name of it may be gone before it is copied. */
static void copy_running(const char *cluster, const char *to)
{
	for (int i = 0; !try_to_copy_tree(cluster, to); i++) {
		assert_true(i < 100);
		remove_thing(to);
	}
}

/*
 * The same cluster twice: at first, and later, outside, with newer values and led from another
 * address.
 */
static void make_twins(void)
{
	char cluster[128], twin[160];
	fsha_services *s;
	struct player p;

	(void)snprintf(cluster, sizeof(cluster), "%s/default", t.dir);
	(void)snprintf(sound, sizeof(sound), "%s/sound", t.dir);
	(void)snprintf(outside, sizeof(outside), "%s/outside", t.dir);
	(void)snprintf(twin, sizeof(twin), "%s/default", outside);
	assert_int_equal(mkdir(outside, 0700), 0);
	s = open_services();
	player_lead(&p, s, ELECTION);
	write_everywhere(s, "our own");
	player_close(&p);
	copy_running(cluster, sound);
	player_lead(&p, s, ELECTION);
	write_everywhere(s, OUTSIDE_VALUE);
	assert_ok(
		fsha_election_confirm_leadership(p.election, &p.session, OUTSIDE_VALUE, &t.error));
	copy_running(cluster, twin);
	player_close(&p);
	close_services(s);
	remove_thing(cluster);
}

/*
 * What lies at `target` in the twin is put into its place in the cluster, as a link or copied;
 * then all is read. Returns who told the value of the twin.
 */
static const char *read_with(const char *target, bool linked)
{
	char cluster[128], path[600];
	fsha_services *s;
	struct stat st;

	(void)snprintf(cluster, sizeof(cluster), "%s/default", t.dir);
	(void)snprintf(path, sizeof(path), "%s%s", t.dir, target + strlen(outside));
	copy_tree(sound, cluster);
	if (lstat(path, &st) == 0)
		remove_thing(path);
	if (linked)
		assert_int_equal(symlink(target, path), 0);
	else
		copy_tree(target, path);
	told_by = NULL;
	if (fsha_services_open(t.config, NULL, &s, &t.error) == FSHA_OK) {
		read_stores(s);
		read_blob(s);
		read_leader(s);
		close_services(s);
	}
	remove_thing(cluster);
	return told_by;
}

static void nothing_is_read_through_a_link_however_valid_it_is_there(void **state)
{
	static const char *const targets[] = {
		"leaders",
		"leaders/dispatcher~*",
		"job_graphs",
		"job_graphs/" JOB "~*",
		"state",
		"state/ns",
		"state/ns/k~*",
		"state/ns/@pack~*",
		"blobs",
		"blobs/job_" JOB,
		"blobs/job_" JOB "/blob_*",
	};
	const char *target, *through;
	char pattern[300];
	glob_t found;

	(void)state;
	make_twins();
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		(void)snprintf(pattern, sizeof(pattern), "%s/default/%s", outside, targets[i]);
		assert_int_equal(glob(pattern, 0, NULL, &found), 0);
		target = found.gl_pathv[found.gl_pathc - 1]; /* the newest version */
		if (!read_with(target, false))
			fail_msg("'%s' of the twin is not read where it is no link", targets[i]);
		through = read_with(target, true);
		if (through)
			fail_msg("'%s' was read through a link: %s", targets[i], through);
		globfree(&found);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_read_through_a_link_however_valid_it_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
