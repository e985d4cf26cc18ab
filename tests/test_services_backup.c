/* Backup and restore of a whole cluster: fsha/backup.h, with an archive in memory. */
#include "src/backup/manifest.h"
#include "tests/test_backup.h"

#define JOB "0123456789abcdef0123456789abcdef"

/* ---- a cluster with something in it ---- */

/* "" when there is none. Valid until the next call. */
static const char *get(fsha_services *s, const char *space, const char *name)
{
	static char text[256];
	fsha_state_store *store;
	size_t size = 0;
	void *data;

	assert_ok(fsha_state_store_open(s, space, ELECTION, &store, &t.error));
	text[0] = '\0';
	if (fsha_state_store_get(store, name, &data, &size, NULL, &t.error) == FSHA_OK) {
		(void)snprintf(text, sizeof(text), "%s", (char *)data);
		fsha_free(data);
	} else {
		assert_int_equal(t.error.result, FSHA_E_NOT_FOUND);
	}
	fsha_state_store_close(store);
	return text;
}

static void put_graph(fsha_services *s, const char *graph)
{
	fsha_job_graph_store *store;
	fsha_job_id id;
	size_t size;
	void *old;

	assert_ok(fsha_job_id_parse(JOB, &id));
	assert_ok(fsha_job_graph_store_open(s, &store, &t.error));
	assert_ok(fsha_job_graph_store_start(store, NULL, &t.error));
	if (fsha_job_graph_store_recover(store, &id, &old, &size, NULL) == FSHA_OK)
		fsha_free(old);
	assert_ok(fsha_job_graph_store_put(store, &id, graph, strlen(graph), &t.error));
	fsha_job_graph_store_close(store);
}

static void fill(fsha_services *s)
{
	struct player p;

	player_lead(&p, s, ELECTION);
	put(s, "one", "a", "first");
	put(s, "one", "b %", "second");
	put(s, "two", "a", "third");
	put_graph(s, "graph");
	player_close(&p);
}

static void change(fsha_services *s)
{
	struct player p;

	player_lead(&p, s, ELECTION);
	put(s, "one", "a", "changed");
	put(s, "one", "c", "new");
	put(s, "three", "a", "new");
	put_graph(s, "changed");
	player_close(&p);
}

static void check_filled(fsha_services *s)
{
	assert_string_equal(get(s, "one", "a"), "first");
	assert_string_equal(get(s, "one", "b %"), "second");
	assert_string_equal(get(s, "two", "a"), "third");
	assert_string_equal(get(s, "one", "c"), "");
	assert_string_equal(get(s, "three", "a"), "");
}

static void check_changed(fsha_services *s)
{
	assert_string_equal(get(s, "one", "a"), "changed");
	assert_string_equal(get(s, "one", "c"), "new");
	assert_string_equal(get(s, "three", "a"), "new");
}

static struct memory m;

/* ---- the tests ---- */

static void values_come_back_as_they_were(void **state)
{
	fsha_services *s = open_services();

	(void)state;
	fill(s);
	take(s, &m);
	assert_memory_equal(item_of(&m, "job_graphs/" JOB)->data, "graph", 5);
	change(s);
	check_changed(s);
	assert_ok(restore(s, &m));
	check_filled(s);
	assert_ok(restore(s, &m)); /* again does no harm */
	check_filled(s);
	close_services(s);
	memory_done(&m);
}

static void a_backup_restores_into_a_new_cluster(void **state)
{
	fsha_services *s = open_services(), *other;

	(void)state;
	fill(s);
	take(s, &m);
	close_services(s);
	assert_ok(fsha_config_set(t.config, FSHA_KEY_CLUSTER_ID, "another", &t.error));
	other = open_services();
	assert_ok(restore(other, &m));
	check_filled(other);
	close_services(other);
	memory_done(&m);
}

static void epochs_after_a_restore_are_above_all_in_the_backup(void **state)
{
	fsha_services *s = open_services(), *other;
	struct player p;
	uint64_t epoch;

	(void)state;
	for (int i = 0; i < 5; i++) {
		player_lead(&p, s, ELECTION);
		player_close(&p);
	}
	fill(s);
	take(s, &m);
	player_lead(&p, s, ELECTION);
	epoch = p.epoch;
	player_close(&p);
	close_services(s);
	assert_ok(fsha_config_set(t.config, FSHA_KEY_CLUSTER_ID, "another", &t.error));
	other = open_services();
	assert_ok(restore(other, &m));
	for (int i = 0; i < 2; i++) {
		player_lead(&p, other, i ? "never seen before" : ELECTION);
		assert_true(p.epoch >= epoch);
		player_close(&p);
	}
	close_services(other);
	memory_done(&m);
}

static void restore_is_refused_while_somebody_leads(void **state)
{
	fsha_services *s = open_services(), *leader = open_services();
	struct player p;

	(void)state;
	fill(s);
	take(s, &m);
	change(s);
	player_lead(&p, leader, "any other election");
	assert_ok(
		fsha_election_confirm_leadership(p.election, &p.session, "its:address", &t.error));
	assert_refused(restore(s, &m), FSHA_E_NOT_LEADER, "its:address");
	check_changed(s);
	assert_int_equal(fsha_election_has_leadership(p.election, &p.session), 1);
	player_close(&p);
	assert_ok(restore(s, &m));
	check_filled(s);
	close_services(leader);
	close_services(s);
	memory_done(&m);
}

static void a_part_is_restored_alone(void **state)
{
	fsha_services *s = open_services();

	(void)state;
	fill(s);
	take(s, &m);
	change(s);
	assert_ok(restore_part(s, &m, "state/one", 0));
	assert_string_equal(get(s, "one", "a"), "first");
	assert_string_equal(get(s, "one", "c"), "");
	assert_string_equal(get(s, "three", "a"), "new");
	assert_refused(restore_part(s, &m, "state/on", 0), FSHA_E_NOT_FOUND, "state/on");
	assert_ok(restore_part(s, &m, "state", 0));
	check_filled(s);
	close_services(s);
	memory_done(&m);
}

static void a_dry_run_tells_what_it_verified_and_changes_nothing(void **state)
{
	const fsha_restore_options dry_run = { sizeof(dry_run), FSHA_RESTORE_DRY_RUN, 0, NULL, 0 };
	const fsha_backup_source source = { sizeof(source), &m, rewind_items, next_item,
					    read_item };
	fsha_backup_summary summary = FSHA_BACKUP_SUMMARY_INIT;
	fsha_services *s = open_services();

	(void)state;
	fill(s);
	take(s, &m);
	change(s);
	assert_ok(fsha_backup_restore(s, &dry_run, &source, &summary, &t.error));
	check_changed(s);
	assert_int_equal(summary.values, 4);
	assert_int_equal(summary.bytes, strlen("first"
					       "second"
					       "third"
					       "graph"));
	assert_int_equal(summary.removed, 0);
	damage_item(&m, "state/two");
	assert_refused(restore_part(s, &m, NULL, FSHA_RESTORE_DRY_RUN), FSHA_E_CORRUPT,
		       "state/two/a~");
	close_services(s);
	memory_done(&m);
}

/* Each byte, each missing entry, each other size: found before anything is changed. */
static void no_damage_to_a_backup_passes(void **state)
{
	fsha_services *s = open_services();

	(void)state;
	fill(s);
	take(s, &m);
	change(s);
	for (size_t i = 0; i < m.count; i++) {
		struct item *item = &m.items[i], whole = *item;
		/* The manifest's own white space may change. */
		bool manifest = i == m.count - 1;

		for (size_t j = 0; j < item->size; j += manifest ? 37 : 1) {
			if (manifest && strchr(" \n", item->data[j]))
				continue;
			item->data[j] ^= 0x20;
			if (restore(s, &m) != FSHA_E_CORRUPT)
				fail_msg("byte %zu of %s may change: ...%.*s", j, item->path, 40,
					 (char *)item->data + j - 20);
			item->data[j] ^= 0x20;
		}
		if (item->size > 0) {
			item->size--;
			assert_result(restore(s, &m), FSHA_E_CORRUPT);
			*item = whole;
		}
		(void)snprintf(item->path, sizeof(item->path), "elsewhere");
		if (restore(s, &m) != FSHA_E_CORRUPT)
			fail_msg("%s may be missing", whole.path);
		*item = whole;
	}
	check_changed(s);
	m.count--;
	assert_refused(restore(s, &m), FSHA_E_CORRUPT, FSHA_BACKUP_MANIFEST);
	m.count++;
	assert_ok(restore(s, &m));
	check_filled(s);
	close_services(s);
	memory_done(&m);
}

#define SOME_VERSION "~0000000000000001.0000000000000001.0000"
#define ITS_OTHER_VERSION "~0000000000000001.0000000000000002.0000"

/* The stores that every cluster has. */
static const char *const of_all[] = { "job_graphs", "job_results", "running_jobs", "workers" };

/* The same backup with a manifest that says nothing of one store. */
static void drop_store(struct memory *backup, const char *directory)
{
	struct item *item = &backup->items[backup->count - 1];
	struct manifest manifest;
	size_t n = 0;
	char *text;

	manifest_init(&manifest, &fsu_posix);
	assert_ok(manifest_decode(&manifest, (char *)item->data, item->size, &t.error));
	while (n < manifest.store_count && strcmp(manifest.stores[n].directory, directory) != 0)
		n++;
	assert_true(n < manifest.store_count);
	fsu_release(&fsu_posix, manifest.stores[n].directory);
	fsu_release(&fsu_posix, manifest.stores[n].election);
	manifest.stores[n] = manifest.stores[--manifest.store_count];
	free(item->data);
	assert_int_equal(manifest_encode(&manifest, &text, &item->size), 0);
	item->data = malloc(item->size);
	assert_non_null(item->data);
	memcpy(item->data, text, item->size);
	fsu_release(&fsu_posix, text);
	manifest_done(&manifest);
}

/* As versions before this check wrote it, of a cluster that had lost a directory. */
static void a_backup_that_says_nothing_of_a_store_removes_nothing_there(void **state)
{
	fsha_services *s = open_services();
	struct player p;

	(void)state;
	player_lead(&p, s, ELECTION);
	put(s, "one", "a", "first");
	player_close(&p);
	for (size_t i = 0; i < sizeof(of_all) / sizeof(of_all[0]); i++) {
		take(s, &m);
		drop_store(&m, of_all[i]);
		change(s);
		assert_refused(restore(s, &m), FSHA_E_CORRUPT, of_all[i]);
		assert_refused(restore_part(s, &m, NULL, FSHA_RESTORE_DRY_RUN), FSHA_E_CORRUPT,
			       of_all[i]);
		check_changed(s);
		assert_ok(restore_part(s, &m, "state/one", 0));
		memory_done(&m);
	}
	close_services(s);
}

static void a_directory_that_is_lost_comes_back_with_its_values(void **state)
{
	static const char *const lost[] = { "job_graphs",  "job_results", "running_jobs", "workers",
					    "checkpoints", "blobs",       "state" };
	fsha_services *s = open_services();
	char path[600], away[600];

	(void)state;
	fill(s);
	take(s, &m);
	close_services(s);
	for (size_t i = 0; i < sizeof(lost) / sizeof(lost[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s", in_cluster(lost[i]));
		(void)snprintf(away, sizeof(away), "%s/away-%zu", t.dir, i);
		assert_int_equal(rename(path, away), 0);
		s = open_services();
		assert_ok(restore_part(s, &m, NULL, FSHA_RESTORE_DRY_RUN));
		assert_int_equal(access(path, F_OK), -1);
		assert_ok(restore(s, &m));
		check_filled(s);
		assert_int_equal(count_names("job_graphs", JOB "~", NULL) > 0, 1);
		close_services(s);
	}
	memory_done(&m);
}

/* Restore a backup of two values and one store that is whole, and that nobody took. */
static void refuse(fsha_services *s, const char *path, const char *other_path,
		   const char *directory, const char *election)
{
	static struct memory forged;
	struct manifest manifest;
	struct manifest_hash *hash = manifest_hash_create();
	char checksum[MANIFEST_CHECKSUM], *text;
	const char *paths[] = { path, other_path };
	size_t len;

	manifest_init(&manifest, &fsu_posix);
	strcpy(manifest.version, "0.1.0");
	strcpy(manifest.cluster, "forged");
	assert_int_equal(manifest_add_store(&manifest, directory, election), 0);
	for (size_t i = 0; i < sizeof(of_all) / sizeof(of_all[0]); i++)
		if (strcmp(of_all[i], directory) != 0)
			assert_int_equal(manifest_add_store(&manifest, of_all[i],
							    strcmp(of_all[i], "workers") == 0 ?
								    "resource_manager" :
								    ELECTION),
					 0);
	for (size_t i = 0; i < 2 && paths[i]; i++) {
		manifest_hash_add(hash, "value", 5);
		manifest_hash_text(hash, checksum);
		assert_int_equal(manifest_add_entry(&manifest, paths[i], 5, checksum), 0);
		assert_ok(begin_item(&forged, paths[i], 5, NULL));
		assert_ok(write_item(&forged, "value", 5, NULL));
	}
	assert_int_equal(manifest_encode(&manifest, &text, &len), 0);
	assert_ok(begin_item(&forged, FSHA_BACKUP_MANIFEST, len, NULL));
	assert_ok(write_item(&forged, text, len, NULL));
	if (restore(s, &forged) != FSHA_E_CORRUPT || strstr(t.error.message, "says nothing of"))
		fail_msg("%s of %s in %s was not refused as damaged: %s", path, election, directory,
			 t.error.message);
	fsu_release(&fsu_posix, text);
	manifest_done(&manifest);
	manifest_hash_destroy(hash);
	memory_done(&forged);
}

/* Its manifest is sound, its checksums are right, and it would destroy more than it brings. */
static void a_forged_backup_changes_nothing(void **state)
{
	fsha_services *s = open_services();

	(void)state;
	fill(s);
	refuse(s, "state/one/@owner" SOME_VERSION, NULL, "state/one", ELECTION);
	refuse(s, "state/one/@pack" SOME_VERSION, NULL, "state/one", ELECTION);
	refuse(s, "state/one/@counter" SOME_VERSION, NULL, "state/one", ELECTION);
	refuse(s, "state/one/a%2" SOME_VERSION, NULL, "state/one", ELECTION);
	refuse(s, "state/one/.." SOME_VERSION, NULL, "state/one", ELECTION);
	refuse(s, "state/../job_graphs/a" SOME_VERSION, NULL, "state/../job_graphs", ELECTION);
	refuse(s, "leaders/" ELECTION SOME_VERSION, NULL, "leaders", ELECTION);
	refuse(s, "state/one/a" SOME_VERSION, "state/one/a" ITS_OTHER_VERSION, "state/one",
	       ELECTION);
	refuse(s, "blobs/job_" JOB "/b" SOME_VERSION, NULL, "blobs/job_" JOB, "somebody");
	refuse(s, "checkpoints/" JOB "/1" SOME_VERSION, NULL, "checkpoints/" JOB, ELECTION);
	refuse(s, "job_graphs/" JOB SOME_VERSION, NULL, "job_graphs", "somebody");
	refuse(s, "state/one/a" SOME_VERSION, NULL, "state/one", "");
	refuse(s, "state/three/a" SOME_VERSION, NULL, "state/three", "../dispatcher");
	check_filled(s);
	close_services(s);
}

static void a_damaged_value_fails_a_backup_unless_it_may_be_left_out(void **state)
{
	fsha_backup_summary summary = FSHA_BACKUP_SUMMARY_INIT;
	const fsha_backup_sink sink = { sizeof(sink), &m, begin_item, write_item };
	const fsha_backup_options skip = { sizeof(skip), FSHA_BACKUP_SKIP_DAMAGED, 0 };
	fsha_services *s = open_services();
	char name[300], path[600];

	(void)state;
	fill(s);
	assert_int_equal(count_names("state/one", "a~", name), 1);
	(void)snprintf(path, sizeof(path), "%s/default/state/one/%s", t.dir, name);
	write_file(path, "rubbish", 7);
	assert_refused(take_with(s, &m, 0, 0), FSHA_E_CORRUPT, name);
	memory_done(&m);
	assert_ok(fsha_backup_take(s, &skip, &sink, &summary, &t.error));
	assert_int_equal(summary.damaged, 1);
	assert_int_equal(summary.values, 3);
	close_services(s);
	memory_done(&m);
}

static void a_namespace_of_another_election_is_left_alone(void **state)
{
	fsha_services *s = open_services(), *other;
	fsha_state_store *store;
	struct player p;

	(void)state;
	fill(s);
	take(s, &m);
	close_services(s);
	assert_ok(fsha_config_set(t.config, FSHA_KEY_CLUSTER_ID, "another", &t.error));
	other = open_services();
	player_lead(&p, other, "somebody");
	assert_ok(fsha_state_store_open(other, "two", "somebody", &store, &t.error));
	assert_ok(fsha_state_store_add(store, "a", "1", 1, NULL, &t.error));
	fsha_state_store_close(store);
	player_close(&p);
	assert_refused(restore(other, &m), FSHA_E_CONFIG, "'somebody'");
	assert_string_equal(get(other, "one", "a"), "");
	assert_ok(restore_part(other, &m, "state/one", 0));
	assert_string_equal(get(other, "one", "a"), "first");
	close_services(other);
	memory_done(&m);
}

/* Of names that could be ours, and of such that could not. */
static void what_a_person_put_there_stops_neither_backup_nor_restore_nor_cleanup(void **state)
{
	static const char *const files[] = {
		"elections/notes.txt", "elections/what is this?", "state/notes.txt",
		"state/what is this?", "blobs/job_" JOB,          "checkpoints/" JOB,
	};
	fsha_services *s = open_services();
	char path[600];

	(void)state;
	fill(s);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/default/%s", t.dir, files[i]);
		write_file(path, "mine", 4);
	}
	take(s, &m);
	change(s);
	assert_ok(restore(s, &m));
	check_filled(s);
	assert_ok(fsha_services_cleanup_all_data(s, &t.error));
	assert_string_equal(get(s, "one", "a"), "");
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/default/%s", t.dir, files[i]);
		assert_int_equal(access(path, F_OK), 0);
	}
	close_services(s);
	memory_done(&m);
}

static void bad_arguments_are_refused(void **state)
{
	const fsha_backup_sink sink = { sizeof(sink), &m, begin_item, write_item };
	const fsha_backup_sink none = { .struct_size = sizeof(none) };
	const fsha_backup_options flags = { sizeof(flags), 0x80, 0 };
	const fsha_backup_source source = { sizeof(source), &m, rewind_items, next_item, NULL };
	fsha_services *s = open_services();

	(void)state;
	assert_result(fsha_backup_take(NULL, NULL, &sink, NULL, &t.error), FSHA_E_INVALID);
	assert_result(fsha_backup_take(s, NULL, NULL, NULL, &t.error), FSHA_E_INVALID);
	assert_result(fsha_backup_take(s, NULL, &none, NULL, &t.error), FSHA_E_INVALID);
	assert_refused(fsha_backup_take(s, &flags, &sink, NULL, &t.error), FSHA_E_INVALID,
		       "FSHA_BACKUP_OPTIONS_INIT");
	assert_result(fsha_backup_restore(s, NULL, &source, NULL, &t.error), FSHA_E_INVALID);
	close_services(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(values_come_back_as_they_were),
		TEST(a_backup_restores_into_a_new_cluster),
		TEST(epochs_after_a_restore_are_above_all_in_the_backup),
		TEST(restore_is_refused_while_somebody_leads),
		TEST(a_part_is_restored_alone),
		TEST(a_dry_run_tells_what_it_verified_and_changes_nothing),
		TEST(no_damage_to_a_backup_passes),
		TEST(a_forged_backup_changes_nothing),
		TEST(a_backup_that_says_nothing_of_a_store_removes_nothing_there),
		TEST(a_directory_that_is_lost_comes_back_with_its_values),
		TEST(a_damaged_value_fails_a_backup_unless_it_may_be_left_out),
		TEST(a_namespace_of_another_election_is_left_alone),
		TEST(what_a_person_put_there_stops_neither_backup_nor_restore_nor_cleanup),
		TEST(bad_arguments_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
