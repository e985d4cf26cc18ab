/*
 * A directory is built under another name and renamed into place. When that rename fails, it may
 * still come, at any moment: what it then brings is whole, or it brings nothing. And one that takes
 * a directory away, which is made again under the same name, must not come after that.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/cluster/layout.h"
#include "src/election/claim.h"
#include "tests/lib/holder.h"

#define WORKER 0
#define NETWORK 3 /* the client whose rename is the late one */
#define CALLS 12  /* after the failed rename; more than there are */

/* The rename that failed. */
struct late {
	struct crashfs *disk;
	const char *from_dir, *prefix; /* the directory that was built begins with `prefix` */
	const char *to;
	unsigned after; /* calls */
};

static void arrive(const struct late *l)
{
	char names[4096], from[4096], *rest;

	(void)snprintf(names, sizeof(names), "%s", crashfs_ls(l->disk, l->from_dir));
	for (const char *at = strtok_r(names, "\n", &rest); at; at = strtok_r(NULL, "\n", &rest)) {
		/* It was sent for this name, and no other. */
		if (strncmp(at, l->prefix, strlen(l->prefix)) != 0 || strstr(at, "-gone"))
			continue;
		(void)snprintf(from, sizeof(from), "%s/%s", l->from_dir, at);
		(void)fsu_renameat(crashfs_client(l->disk, NETWORK), AT_FDCWD, from, AT_FDCWD,
				   l->to);
	}
}

static void count_calls(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct late *l = ctx;

	(void)call;
	(void)path;
	if (client == WORKER && crashfs_faults_fired(l->disk) == 1 && l->after-- == 0) {
		crashfs_hook_set(l->disk, NULL, NULL);
		arrive(l);
	}
}

/* From now on: the first rename fails, and comes late. */
static void lose_rename(struct late *l)
{
	const struct crashfs_fault fault = { .client = WORKER,
					     .calls_mask = 1u << CRASHFS_RENAMEAT,
					     .error = EIO,
					     .mode = CRASHFS_NOT_DONE };

	crashfs_count_reset(l->disk);
	crashfs_fault_arm(l->disk, &fault);
	crashfs_hook_set(l->disk, count_calls, l);
}

static void lose_no_more(struct late *l)
{
	crashfs_hook_set(l->disk, NULL, NULL);
	assert_int_equal(crashfs_faults_fired(l->disk), 1);
	crashfs_fault_clear(l->disk);
}

static void a_namespace_that_comes_late_has_its_owner(void **state)
{
	(void)state;
	for (unsigned after = 0; after < CALLS; after++) {
		struct crashfs *disk = crashfs_create(&(struct crashfs_options){ .seed = 1 });
		struct late l = { .disk = disk, .prefix = "0000.", .to = "/c/state/ns" };
		char tenure[256];
		fsha_state_store *store;
		struct holder h;
		fsha_result result;

		holder_start(&h, disk, WORKER, "dispatcher");
		(void)snprintf(tenure, sizeof(tenure), "/c/elections/dispatcher/%s",
			       h.term->tenure);
		l.from_dir = tenure;
		l.after = after;
		assert_int_equal(
			fsha_state_store_open(h.services, "ns", "dispatcher", &store, NULL),
			FSHA_OK);
		lose_rename(&l);
		assert_int_equal(fsha_state_store_add(store, "k", "v", 1, NULL, NULL), FSHA_E_IO);
		lose_no_more(&l);
		result = fsha_state_store_add(store, "k", "v", 1, NULL, &h.error);
		if (result != FSHA_OK)
			fail_msg("call %u: %s", after, h.error.message);
		fsha_state_store_close(store);
		holder_stop(&h);
		crashfs_destroy(disk);
	}
}

static void an_election_that_comes_late_has_its_epoch(void **state)
{
	(void)state;
	for (unsigned after = 0; after < CALLS; after++) {
		struct crashfs *disk = crashfs_create(&(struct crashfs_options){ .seed = 1 });
		struct late l = { .disk = disk,
				  .from_dir = "/c/elections",
				  .prefix = "~",
				  .to = "/c/elections/new",
				  .after = after };
		struct epoch epoch;
		struct fsu_list list;
		struct holder h;
		int fd = -1;

		holder_start(&h, disk, WORKER, "dispatcher");
		lose_rename(&l);
		assert_int_equal(claim_open_election(&h.services->cluster, "new", true, &fd, NULL),
				 FSHA_E_IO);
		lose_no_more(&l);
		if (claim_open_election(&h.services->cluster, "new", true, &fd, &h.error) !=
		    FSHA_OK)
			fail_msg("call %u: %s", after, h.error.message);
		fsu_list_init(&list, h.fs);
		if (epoch_read(&h.services->cluster, fd, &list, &epoch) != 0)
			fail_msg("call %u: the election has no epoch", after);
		fsu_list_done(&list);
		(void)fsu_close(h.fs, fd);
		holder_stop(&h);
		crashfs_destroy(disk);
	}
}

static void a_cluster_that_comes_late_has_its_settings(void **state)
{
	const struct cluster_options options = {
		.storage_dir = "/", .cluster_id = "c", .lease_ms = 2000, .create = true
	};

	(void)state;
	for (unsigned after = 0; after < CALLS + 10; after++) {
		struct crashfs *disk = crashfs_create(&(struct crashfs_options){ .seed = 1 });
		const struct fsu *fs = crashfs_client(disk, WORKER);
		struct late l = {
			.disk = disk, .from_dir = "/", .prefix = "~new-", .to = "/c", .after = after
		};
		fsha_error error = FSHA_ERROR_INIT;
		struct cluster c;
		fsha_result result;

		lose_rename(&l);
		result = cluster_open(fs, &options, &c, &error);
		if (result == FSHA_OK) /* it came before that was looked for */
			cluster_close(&c);
		lose_no_more(&l);
		if (cluster_open(fs, &options, &c, &error) != FSHA_OK)
			fail_msg("call %u: %s", after, error.message);
		assert_non_null(strstr(crashfs_ls(disk, "/c"), "SETTINGS~"));
		cluster_close(&c);
		crashfs_destroy(disk);
	}
}

/* ---- a value that comes while it is asked for ---- */

struct value {
	struct crashfs *disk;
	char from[512], to[512];
	unsigned after;
};

static void bring_value(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct value *v = ctx;

	(void)call;
	(void)path;
	if (client == WORKER && v->after-- == 0) {
		crashfs_hook_set(v->disk, NULL, NULL);
		(void)fsu_renameat(crashfs_client(v->disk, NETWORK), AT_FDCWD, v->from, AT_FDCWD,
				   v->to);
	}
}

static void what_was_settled_is_what_the_leader_sees(void **state)
{
	static const struct store_options options = { .directory = LAYOUT_JOB_GRAPHS,
						      .election = "dispatcher",
						      .kind = FSU_KIND_JOB_GRAPH };
	const struct crashfs_fault fault = {
		.client = WORKER,
		.calls_mask = 1u << CRASHFS_RENAMEAT | 1u << CRASHFS_UNLINKAT,
		.error = EIO,
		.mode = CRASHFS_NOT_DONE,
		.repeat = true,
	};

	(void)state;
	for (unsigned after = 0; after < 2 * CALLS; after++) {
		struct crashfs *disk = crashfs_create(&(struct crashfs_options){ .seed = 1 });
		struct value v = { .disk = disk, .after = after };
		struct store *store;
		fsha_version version, present;
		char text[FSHA_VERSION_TEXT];
		struct holder h;
		fsha_result result;

		holder_start(&h, disk, WORKER, "dispatcher");
		lease_begin(&h.services->member->lease, fsu_now_ns(h.fs), 3600 * FSU_NS_PER_S);
		assert_int_equal(services_store_open(h.services, &options, &store, NULL), FSHA_OK);
		crashfs_fault_arm(disk, &fault);
		assert_int_equal(store_write(store, STORE_ADD, "k", NULL, "v", 1, &version, NULL),
				 FSHA_E_INDOUBT);
		crashfs_fault_clear(disk);
		(void)snprintf(v.from, sizeof(v.from), "/c/elections/dispatcher/%s/0000.%016llx",
			       h.term->tenure, (unsigned long long)version.sequence);
		(void)snprintf(v.to, sizeof(v.to), "/c/job_graphs/k~%s",
			       fsha_version_format(&version, text));
		crashfs_advance(disk, FSU_NS_PER_S);
		crashfs_hook_set(disk, bring_value, &v);
		result = store_settle(store, "k", &version, &h.error);
		crashfs_hook_set(disk, NULL, NULL);
		assert_int_equal(store_exists(store, "k", &present, NULL), FSHA_OK);
		if (result != FSHA_OK && result != FSHA_E_NOT_FOUND)
			fail_msg("call %u: %s", after, h.error.message);
		if (fsha_version_is_existing(&present) != (result == FSHA_OK))
			fail_msg("call %u: settled as %s", after, fsha_result_name(result));
		services_store_close(h.services, store);
		holder_stop(&h);
		crashfs_destroy(disk);
	}
}

/* ---- and one that takes a directory away ---- */

#define BLOBS LAYOUT_BLOBS "/job_00000000000000000000000000000001"

static const struct store_options blobs = { .directory = BLOBS,
					    .election = "dispatcher",
					    .kind = FSU_KIND_BLOB,
					    .owned = true,
					    .removable = true };

static struct store *open_blobs(struct holder *h, const char *key)
{
	struct store *store;

	holder_start(h, h->disk, h->client, "dispatcher");
	lease_begin(&h->services->member->lease, fsu_now_ns(h->fs), 3600 * FSU_NS_PER_S);
	assert_int_equal(services_store_open(h->services, &blobs, &store, NULL), FSHA_OK);
	assert_int_equal(store_write(store, STORE_PUT, key, NULL, "v", 1, NULL, NULL), FSHA_OK);
	return store;
}

static void close_blobs(struct holder *h, struct store *store)
{
	services_store_close(h->services, store);
	holder_stop(h);
}

static bool is_there(struct store *store, const char *key)
{
	fsha_version version;

	store_forget(store);
	assert_int_equal(store_exists(store, key, &version, NULL), FSHA_OK);
	return fsha_version_is_existing(&version);
}

static void a_late_removal_does_not_take_the_directory_that_came_after_it(void **state)
{
	struct crashfs *disk = crashfs_create(&(struct crashfs_options){ .seed = 1 });
	struct holder h = { .disk = disk, .client = WORKER }, next = { .disk = disk, .client = 1 };
	struct late l = { .disk = disk, .after = 1000 };
	struct store *store = open_blobs(&h, "old"), *other;
	char to[512];

	(void)state;
	assert_int_equal(store_clear(store, NULL), FSHA_OK);
	lose_rename(&l);
	assert_int_equal(store_remove_directory(store, &h.error), FSHA_E_IO);
	(void)snprintf(to, sizeof(to), "/c/elections/dispatcher/%s/0000.%016llx", h.term->tenure,
		       (unsigned long long)atomic_load(&h.term->sequence));
	lose_no_more(&l);
	assert_int_equal(store_remove_directory(store, NULL), FSHA_OK);
	assert_null(crashfs_ls(disk, "/c/" BLOBS));
	assert_int_equal(store_write(store, STORE_ADD, "new", NULL, "v", 1, NULL, NULL), FSHA_OK);
	assert_true(fsu_renameat(crashfs_client(disk, NETWORK), AT_FDCWD, "/c/" BLOBS, AT_FDCWD,
				 to) < 0);
	assert_true(is_there(store, "new"));
	/* What stood in its way goes with the tenure. */
	other = open_blobs(&next, "other");
	assert_true(is_there(other, "new"));
	close_blobs(&next, other);
	close_blobs(&h, store);
	crashfs_destroy(disk);
}

static void a_removal_whose_reply_was_lost_is_done(void **state)
{
	struct crashfs *disk = crashfs_create(&(struct crashfs_options){ .seed = 1 });
	struct holder h = { .disk = disk, .client = WORKER };
	const struct crashfs_fault fault = { .client = WORKER,
					     .calls_mask = 1u << CRASHFS_RENAMEAT,
					     .error = EIO,
					     .mode = CRASHFS_DONE };
	struct store *store = open_blobs(&h, "k");

	(void)state;
	crashfs_count_reset(disk);
	crashfs_fault_arm(disk, &fault);
	assert_int_equal(store_remove_directory(store, NULL), FSHA_OK);
	crashfs_fault_clear(disk);
	assert_null(crashfs_ls(disk, "/c/" BLOBS));
	close_blobs(&h, store);
	crashfs_destroy(disk);
}

static void a_fenced_leader_does_not_say_that_it_removed_a_directory(void **state)
{
	struct crashfs *disk = crashfs_create(&(struct crashfs_options){ .seed = 1 });
	struct holder h = { .disk = disk, .client = WORKER }, next = { .disk = disk, .client = 1 };
	struct store *store = open_blobs(&h, "a"), *other = open_blobs(&next, "b");

	(void)state;
	assert_true(term_is_live(h.term)); /* it does not know better */
	assert_int_equal(store_remove_directory(store, &h.error), FSHA_E_FENCED);
	assert_true(is_there(other, "a"));
	assert_int_equal(store_remove_directory(other, NULL), FSHA_OK);
	assert_int_equal(store_remove_directory(other, NULL), FSHA_OK); /* there is none */
	close_blobs(&next, other);
	close_blobs(&h, store);
	crashfs_destroy(disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_namespace_that_comes_late_has_its_owner),
		cmocka_unit_test(an_election_that_comes_late_has_its_epoch),
		cmocka_unit_test(a_cluster_that_comes_late_has_its_settings),
		cmocka_unit_test(what_was_settled_is_what_the_leader_sees),
		cmocka_unit_test(a_late_removal_does_not_take_the_directory_that_came_after_it),
		cmocka_unit_test(a_removal_whose_reply_was_lost_is_done),
		cmocka_unit_test(a_fenced_leader_does_not_say_that_it_removed_a_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
