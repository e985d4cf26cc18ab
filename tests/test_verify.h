/* What can be wrong with a cluster directory: each is done to a sound one, behind the library's
 * back. */
#ifndef TESTS_TEST_VERIFY_H
#define TESTS_TEST_VERIFY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <xxhash.h>

#include "src/cluster/layout.h"
#include "src/leader/leader.h"
#include "src/maintenance/verify.h"
#include "tests/lib/town.h"

#define GRAPHS LAYOUT_JOB_GRAPHS
#define DISPATCHER LAYOUT_ELECTIONS "/" ACTOR_ELECTION
#define STRANGER "feedfeedfeedfeedfeedfeedfeedfeed"
#define HIGH "00000000000000ff" /* an epoch that nobody ever had */

static void lose_settings(struct town *t)
{
	char path[700];

	town_find(t, "", "SETTINGS~", true, path);
	crashfs_rm(t->disk, town_path(t, "%s", path));
}

static void damage_settings(struct town *t)
{
	char path[700];

	town_find(t, "", "SETTINGS~", true, path);
	town_damage(t, path);
}

static void lose_the_floor(struct town *t)
{
	crashfs_rm(t->disk, town_path(t, "floor-0000000000000000"));
}

static void add_a_floor(struct town *t)
{
	crashfs_put(t->disk, town_path(t, "floor-0000000000000001"), "", 0);
}

static void raise_the_floor(struct town *t)
{
	assert_int_equal(cluster_floor_raise(&t->a.cluster, 1, NULL), FSHA_OK);
}

static void lose_a_directory(struct town *t)
{
	crashfs_rm(t->disk, town_path(t, LAYOUT_WORKERS));
}

static void put_a_file_for_a_directory(struct town *t)
{
	crashfs_rm(t->disk, town_path(t, LAYOUT_WORKERS));
	crashfs_put(t->disk, town_path(t, LAYOUT_WORKERS), "x", 1);
}

static void put_a_persons_file(struct town *t)
{
	crashfs_put(t->disk, town_path(t, "README"), "x", 1);
}

static void put_a_persons_file_in_a_store(struct town *t)
{
	crashfs_put(t->disk, town_path(t, GRAPHS "/notes.txt"), "x", 1);
}

static void put_a_key_that_is_no_job(struct town *t)
{
	char path[700], to[700];

	town_find(t, GRAPHS, TOWN_JOB, true, path);
	(void)snprintf(to, sizeof(to), GRAPHS "/nojob%s", strchr(path, '~'));
	town_copy(t, path, to);
}

static void put_a_persons_file_in_an_election(struct town *t)
{
	crashfs_put(t->disk, town_path(t, DISPATCHER "/epoch"), "x", 1);
}

static void put_a_persons_file_with_the_members(struct town *t)
{
	crashfs_put(t->disk, town_path(t, LAYOUT_MEMBERS "/somebody"), "x", 1);
}

static void put_a_directory_that_is_no_job(struct town *t)
{
	assert_int_equal(fsu_mkdirat(t->hand, AT_FDCWD, town_path(t, LAYOUT_BLOBS "/stuff"), 0700),
			 0);
}

static void leave_a_half_built_member(struct town *t)
{
	assert_int_equal(
		fsu_mkdirat(t->hand, AT_FDCWD, town_path(t, LAYOUT_MEMBERS "/~" STRANGER), 0700),
		0);
}

static void leave_an_nfs_file(struct town *t)
{
	crashfs_put(t->disk, town_path(t, GRAPHS "/.nfs000001"), "x", 1);
}

static void damage_a_graph(struct town *t)
{
	char path[700];

	town_find(t, GRAPHS, TOWN_JOB, true, path);
	town_damage(t, path);
}

static void put_a_fifo_for_a_graph(struct town *t)
{
	char path[700];

	town_find(t, GRAPHS, TOWN_JOB, true, path);
	crashfs_rm(t->disk, town_path(t, "%s", path));
	crashfs_mkfifo(t->disk, town_path(t, "%s", path));
}

static void damage_a_running_entry(struct town *t)
{
	char path[700];

	town_find(t, LAYOUT_RUNNING_JOBS, TOWN_JOB, true, path);
	town_damage(t, path);
}

static void damage_a_state(struct town *t)
{
	char path[700];

	town_find(t, "state/ns", "k~", true, path);
	town_damage(t, path);
}

static void damage_a_checkpoint(struct town *t)
{
	char path[700];

	town_find(t, LAYOUT_CHECKPOINTS "/" TOWN_JOB, "0", true, path);
	town_damage(t, path);
}

static void damage_a_leader_record(struct town *t)
{
	char path[700];

	town_find(t, LAYOUT_LEADERS, ACTOR_ELECTION "~", true, path);
	town_damage(t, path);
}

static void damage_a_history(struct town *t)
{
	char path[700];

	town_find(t, DISPATCHER, "@history~", true, path);
	town_damage(t, path);
}

static void damage_a_members_info(struct town *t)
{
	char path[700], directory[700];

	town_find(t, LAYOUT_MEMBERS, "", true, directory);
	town_find(t, directory, "info~", true, path);
	town_damage(t, path);
}

/* A record with a sound envelope and a payload that is none. */
static void write_a_leader_record_of_nonsense(struct town *t)
{
	struct term_write write = { .dir_fd = t->a.cluster.leaders_fd,
				    .directory = LAYOUT_LEADERS,
				    .key = ACTOR_ELECTION,
				    .kind = FSU_KIND_LEADER,
				    .data = "nonsense",
				    .size = 8 };

	assert_int_equal(term_commit(t->a.term, &write, NULL, NULL, NULL), FSHA_OK);
}

static void copy_a_graph_to_another_job(struct town *t)
{
	char path[700], to[700];

	town_find(t, GRAPHS, TOWN_JOB, true, path);
	(void)snprintf(to, sizeof(to), GRAPHS "/" STRANGER "%s", strchr(path, '~'));
	town_copy(t, path, to);
}

static void damage_an_older_graph(struct town *t)
{
	char path[700];

	town_find(t, GRAPHS, TOWN_JOB, true, path);
	assert_int_equal(actor_replace(&t->a, TOWN_JOB, "newer"), FSHA_OK);
	town_damage(t, path);
}

static void put_a_graph_of_a_newer_version(struct town *t)
{
	char path[700];
	const uint8_t *data;
	uint8_t copy[4096];
	struct fsu_writer tail = { .buf = copy };
	XXH128_hash_t hash;
	size_t len;

	town_find(t, GRAPHS, TOWN_JOB, true, path);
	data = crashfs_cat(t->disk, town_path(t, "%s", path), &len);
	assert_true(len < sizeof(copy));
	memcpy(copy, data, len);
	copy[8] = 2;
	hash = XXH3_128bits(copy, len - 16);
	tail.len = len - 16;
	tail.size = len;
	fsu_put_u64(&tail, hash.low64);
	fsu_put_u64(&tail, hash.high64);
	crashfs_put(t->disk, town_path(t, "%s", path), copy, len);
}

static void copy_a_graph_of_a_later_epoch(struct town *t)
{
	crashfs_put(t->disk, town_path(t, GRAPHS "/" STRANGER "~" HIGH ".0000000000000001.0000"),
		    "x", 1);
}

static void copy_a_leader_record_of_a_later_epoch(struct town *t)
{
	crashfs_put(t->disk, town_path(t, LAYOUT_LEADERS "/other~" HIGH ".0000000000000001.0000"),
		    "x", 1);
}

static void make_a_value_and_a_tombstone_of_one_version(struct town *t)
{
	char path[700], to[710];

	town_find(t, GRAPHS, TOWN_JOB, true, path);
	(void)snprintf(to, sizeof(to), "%s.gone", path);
	town_copy(t, path, to);
}

static void leave_an_old_version(struct town *t)
{
	assert_int_equal(actor_replace(&t->a, TOWN_JOB, "newer"), FSHA_OK);
}

static void leave_a_tombstone(struct town *t)
{
	assert_int_equal(actor_remove(&t->a, TOWN_JOB_2), FSHA_OK);
}

static void write_pack(struct town *t)
{
	const struct store_change changes[] = {
		{ .how = STORE_REPLACE, .key = TOWN_JOB, .data = "newer", .size = 5 },
		{ .how = STORE_REPLACE, .key = TOWN_JOB_2, .data = "newer", .size = 5 },
	};

	assert_int_equal(store_write_batch(t->a.store, changes, 2, NULL, NULL, &t->a.error),
			 FSHA_OK);
}

static void write_two_packs(struct town *t)
{
	write_pack(t);
	write_pack(t);
}

static void damage_a_pack(struct town *t)
{
	char path[700];

	write_pack(t);
	town_find(t, GRAPHS, "@pack~", true, path);
	town_damage(t, path);
}

static void find_epoch_file(struct town *t, char *ret_path)
{
	town_find(t, DISPATCHER, "epoch-", true, ret_path);
}

static void lose_the_epoch_file(struct town *t)
{
	char path[700];

	find_epoch_file(t, path);
	crashfs_rm(t->disk, town_path(t, "%s", path));
}

static void add_an_epoch_file(struct town *t)
{
	crashfs_put(t->disk, town_path(t, DISPATCHER "/epoch-0000000000000000-" STRANGER "-vacant"),
		    "", 0);
}

static void retire_an_election(struct town *t)
{
	char path[700];

	find_epoch_file(t, path);
	town_move(t, path, DISPATCHER "/retired-" HIGH);
}

static void name_a_holder_that_is_gone(struct town *t)
{
	char path[700], to[700];

	find_epoch_file(t, path);
	(void)snprintf(to, sizeof(to), "%.*s" STRANGER, (int)strlen(path) - 32, path);
	town_move(t, path, to);
}

static void lose_the_tenure(struct town *t)
{
	crashfs_rm(t->disk, town_path(t, DISPATCHER "/%s", t->a.term->tenure));
}

static void leave_a_tenure(struct town *t)
{
	assert_int_equal(fsu_mkdirat(t->hand, AT_FDCWD,
				     town_path(t, DISPATCHER "/tenure-" HIGH "-" STRANGER), 0700),
			 0);
}

static void leave_a_write_in_the_tenure(struct town *t)
{
	crashfs_put(t->disk,
		    town_path(t, DISPATCHER "/%s/0000.0000000000000009", t->a.term->tenure), "x",
		    1);
}

static void leave_trash(struct town *t)
{
	crashfs_put(t->disk, town_path(t, DISPATCHER "/trash/" STRANGER), "x", 1);
}

static void claim_without_a_word(struct town *t)
{
	assert_int_equal(actor_claim(&t->a), FSHA_OK);
}

static void lose_an_owner(struct town *t)
{
	char path[700];

	town_find(t, "state/ns", "@owner~", true, path);
	crashfs_rm(t->disk, town_path(t, "%s", path));
}

static void damage_an_owner(struct town *t)
{
	char path[700];

	town_find(t, "state/ns", "@owner~", true, path);
	town_damage(t, path);
}

/* The dispatcher's leader made what is the job's. */
static void give_checkpoints_another_owner(struct town *t)
{
	town_write(t, LAYOUT_CHECKPOINTS "/" TOWN_JOB_2, ACTOR_ELECTION, FSU_KIND_CHECKPOINT, true,
		   "0000000000000000001", "x");
}

static void let_a_member_die(struct town *t)
{
	struct member *m;

	assert_int_equal(member_join(&t->a.cluster, false, &m, NULL), FSHA_OK);
	member_destroy(m);
}

static void remove_half_a_member(struct town *t)
{
	char path[700];

	let_a_member_die(t);
	town_find(t, LAYOUT_MEMBERS, "", true, path);
	if (strstr(path, t->a.member->name))
		town_find(t, LAYOUT_MEMBERS, "", false, path);
	crashfs_rm(t->disk, town_path(t, "%s/lock", path));
}

static void store_blobs_of_no_job(struct town *t)
{
	town_write(t, LAYOUT_BLOBS "/job_" STRANGER, ACTOR_ELECTION, FSU_KIND_BLOB, true, "b", "x");
}

static void store_checkpoints_of_no_job(struct town *t)
{
	assert_int_equal(actor_remove(&t->a, TOWN_JOB), FSHA_OK);
	crashfs_rm(t->disk, town_path(t, LAYOUT_RUNNING_JOBS));
	assert_int_equal(fsu_mkdirat(t->hand, AT_FDCWD, town_path(t, LAYOUT_RUNNING_JOBS), 0700),
			 0);
}

static void fill_the_quarantine(struct town *t)
{
	crashfs_put(t->disk, town_path(t, LAYOUT_QUARANTINE "/x"), "x", 1);
}

static const struct damage {
	const char *name;
	void (*make)(struct town *t);
	const char *codes; /* of what is found then and was not before */
} damages[] = {
#define DAMAGE(make, codes)        \
	{                          \
#make, make, codes \
	}
	DAMAGE(lose_settings, "settings-missing"),
	DAMAGE(damage_settings, "settings-damaged"),
	DAMAGE(lose_the_floor, "floor-missing"),
	DAMAGE(add_a_floor, "epoch-below-floor epoch-below-floor floor-several"),
	DAMAGE(raise_the_floor, "epoch-below-floor epoch-below-floor"),
	DAMAGE(lose_a_directory, "directory-missing"),
	DAMAGE(put_a_file_for_a_directory, "wrong-type"),
	DAMAGE(put_a_persons_file, "unknown-name"),
	DAMAGE(put_a_persons_file_in_a_store, "unknown-name"),
	DAMAGE(put_a_key_that_is_no_job, "unknown-name"),
	DAMAGE(put_a_persons_file_in_an_election, "unknown-name"),
	DAMAGE(put_a_persons_file_with_the_members, "unknown-name"),
	DAMAGE(put_a_directory_that_is_no_job, "unknown-name"),
	DAMAGE(leave_a_half_built_member, "leftover"),
	DAMAGE(leave_an_nfs_file, "nfs-leftover"),
	DAMAGE(damage_a_graph, "record-damaged"),
	DAMAGE(put_a_fifo_for_a_graph, "record-damaged"),
	DAMAGE(damage_a_running_entry, "record-damaged"),
	DAMAGE(damage_a_state, "record-damaged"),
	DAMAGE(damage_a_checkpoint, "record-damaged"),
	DAMAGE(damage_a_leader_record, "record-damaged"),
	DAMAGE(damage_a_history, "record-damaged"),
	DAMAGE(damage_a_members_info, "record-damaged"),
	DAMAGE(write_a_leader_record_of_nonsense, "old-versions record-damaged"),
	DAMAGE(copy_a_graph_to_another_job, "record-foreign"),
	DAMAGE(put_a_graph_of_a_newer_version, "record-newer"),
	DAMAGE(damage_an_older_graph, "old-record-damaged old-versions"),
	DAMAGE(copy_a_graph_of_a_later_epoch, "record-damaged version-ahead"),
	DAMAGE(copy_a_leader_record_of_a_later_epoch, "record-damaged version-ahead"),
	DAMAGE(make_a_value_and_a_tombstone_of_one_version,
	       "old-versions record-foreign tombstones version-twice"),
	DAMAGE(leave_an_old_version, "old-versions"),
	DAMAGE(write_two_packs, ""),
	DAMAGE(damage_a_pack, "record-damaged"),
	DAMAGE(leave_a_tombstone, "old-versions tombstones"),
	DAMAGE(lose_the_epoch_file, "epoch-missing tenure-leftover"),
	DAMAGE(add_an_epoch_file, "epoch-several"),
	DAMAGE(retire_an_election, "election-retired tenure-leftover"),
	DAMAGE(name_a_holder_that_is_gone, "holder-gone"),
	DAMAGE(lose_the_tenure, "tenure-missing"),
	DAMAGE(leave_a_tenure, "tenure-leftover"),
	DAMAGE(leave_a_write_in_the_tenure, "tenure-busy"),
	DAMAGE(leave_trash, "trash"),
	DAMAGE(claim_without_a_word, "leader-behind"),
	DAMAGE(lose_an_owner, "owner-missing"),
	DAMAGE(damage_an_owner, "owner-missing record-damaged"),
	DAMAGE(give_checkpoints_another_owner, "owner-wrong"),
	DAMAGE(let_a_member_die, "member-dead"),
	DAMAGE(remove_half_a_member, "member-half-removed"),
	DAMAGE(store_blobs_of_no_job, "blobs-orphaned"),
	DAMAGE(store_checkpoints_of_no_job, "checkpoints-orphaned old-versions tombstones"),
	DAMAGE(fill_the_quarantine, "quarantined"),
};
#define DAMAGES (sizeof(damages) / sizeof(damages[0]))

#endif
