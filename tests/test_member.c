/*
 * Members: joining, leaving, and what others read of them.
 */
#include "tests/lib/fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fsutil/fsu_file.h"
#include "src/member/info.h"
#include "src/record/name.h"

static struct fixture *f;
static struct member *m;

static const struct fixture_options network = { .fs = { .cache_ns = FIXTURE_CACHE_NS } };

static int setup(void **state)
{
	(void)state;
	f = fixture_open(NULL);
	m = fixture_member(f, 0);
	return 0;
}

static int setup_network(void **state)
{
	(void)state;
	f = fixture_open(&network);
	m = fixture_member(f, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	crashfs_hook_set(f->fs, NULL, NULL); /* its context was the test's */
	member_destroy(m);
	m = NULL;
	fixture_close(f);
	return 0;
}

static int64_t now(void)
{
	return fsu_now_ns(f->client[0]);
}

/* ---- Joining ---- */

static const char *const parts[] = {
	"beat-0000000000000000",
	"info~0000000000000000.0000000000000001.0000",
	"lock",
	"stands",
	"write",
};

/* Members whose directory is visible; each of them must be whole. */
static unsigned whole_members(void)
{
	char names[4096], path[sizeof(f->path)];
	unsigned count = 0;
	char *rest = NULL;

	(void)snprintf(names, sizeof(names), "%s", crashfs_ls(f->fs, FIXTURE_CLUSTER "/members"));
	for (char *name = strtok_r(names, "\n", &rest); name; name = strtok_r(NULL, "\n", &rest)) {
		if (name[0] == '~')
			continue;
		count++;
		for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
			(void)snprintf(path, sizeof(path), "%s",
				       fixture_path(f, "members/%s/%s", name, parts[i]));
			if (crashfs_exists(f->fs, path))
				continue;
			fixture_print_log(f);
			fail_msg("%s is missing", path);
		}
	}
	return count;
}

static void joined_member_is_whole_locked_and_alive(void **state)
{
	struct fsu_lock lock = FSU_LOCK_INIT;
	char path[FSU_UUID_HEX + 8];

	(void)state;
	assert_int_equal(whole_members(), 1);
	assert_string_equal(crashfs_ls(f->fs, FIXTURE_CLUSTER "/members"), m->name);
	(void)snprintf(path, sizeof(path), "%s/lock", m->name);
	assert_int_equal(fsu_lock_take(f->client[1], f->cluster[1].members_fd, path, false, &lock),
			 -EAGAIN);
	assert_true(lease_is_alive(&m->lease));
	assert_true(lease_deadline_ns(&m->lease) <= now() + FIXTURE_LEASE_NS);
}

static void lease_of_a_new_member_counts_from_before_it_was_visible(void **state)
{
	struct fixture_slow slow = { .f = f, .call = CRASHFS_RENAMEAT, .ns = 3 * FSU_NS_PER_S };
	struct member *second;
	int64_t begun_ns = now();

	(void)state;
	fixture_slow_set(&slow);
	second = fixture_member(f, 0);
	assert_int_equal(slow.ns, 0);
	assert_true(now() >= begun_ns + 3 * FSU_NS_PER_S);
	assert_true(lease_deadline_ns(&second->lease) < begun_ns + FIXTURE_LEASE_NS + FSU_NS_PER_S);
	member_destroy(second);
}

static void every_join_makes_a_new_member(void **state)
{
	struct member *second = fixture_member(f, 0);

	(void)state;
	assert_false(fsu_uuid_equal(&m->id, &second->id));
	assert_int_equal(whole_members(), 2);
	member_destroy(second);
}

static void single_fault_of_joining_leaves_no_half_member_and_leaks_nothing(void **state)
{
	bool fired = true;

	(void)state;
	for (uint64_t at = 0; fired; at++) {
		for (size_t way = 0; fired && way < FIXTURE_SWEEPS; way++) {
			struct crashfs_fault fault = fixture_fault(at, way);
			fsha_error error = FSHA_ERROR_INIT;
			fsha_result result;
			unsigned whole;

			f = fixture_open(NULL);
			crashfs_fault_arm(f->fs, &fault);
			result = member_join(&f->cluster[0], false, &m, &error);
			fired = crashfs_faults_fired(f->fs) > 0;
			crashfs_fault_clear(f->fs);
			whole = whole_members();
			if (result == FSHA_OK) {
				assert_int_equal(whole, 1);
				assert_int_equal(member_beat(m), MEMBER_BEAT_OK);
				member_destroy(m);
			} else {
				assert_int_equal(error.result, result);
				assert_int_equal(whole, 0);
			}
			fixture_close(f);
		}
	}
	m = NULL;
}

/* The lock files of visible members that somebody holds. */
static unsigned held_locks(void)
{
	const struct cluster *c = &f->cluster[1];
	unsigned held = 0;
	struct fsu_list list;

	fsu_list_init(&list, c->fs);
	assert_int_equal(fsu_list_pass(&list, c->members_fd, "", c->local), 0);
	for (size_t i = 0; i < list.count; i++) {
		char path[NAME_SIZE + 8];
		int fd;

		(void)snprintf(path, sizeof(path), "%s/lock", fsu_list_name(&list, i));
		fd = fsu_openat(c->fs, c->members_fd, path, O_RDONLY | O_CLOEXEC, 0);
		if (fd < 0)
			continue;
		held += fsu_lock_is_held(c->fs, fd) == 1;
		assert_int_equal(fsu_close(c->fs, fd), 0);
	}
	fsu_list_done(&list);
	return held;
}

/* A storage that goes on failing: not even cleaning up works. */
static void lasting_fault_of_joining_leaves_nobody_who_seems_to_live(void **state)
{
	bool fired = true;

	(void)state;
	for (uint64_t at = 0; fired; at++) {
		for (size_t way = 0; fired && way < FIXTURE_SWEEPS; way++) {
			struct crashfs_fault fault = fixture_fault(at, way);
			fsha_result result;

			f = fixture_open(NULL);
			fault.repeat = true;
			crashfs_fault_arm(f->fs, &fault);
			result = member_join(&f->cluster[0], false, &m, NULL);
			fired = crashfs_faults_fired(f->fs) > 0;
			crashfs_fault_clear(f->fs);
			assert_int_equal(held_locks(), result == FSHA_OK);
			if (result == FSHA_OK)
				member_destroy(m);
			fixture_close(f);
		}
	}
	m = NULL;
}

static void storage_that_may_not_be_written_is_a_configuration_error(void **state)
{
	static const int errors[] = { EROFS, EACCES, EPERM };

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct crashfs_fault fault = {
			.calls_mask = 1u << CRASHFS_MKDIRAT,
			.error = errors[i],
			.mode = CRASHFS_NOT_DONE,
		};
		fsha_error error = FSHA_ERROR_INIT;
		struct member *second;

		crashfs_count_reset(f->fs);
		crashfs_fault_arm(f->fs, &fault);
		assert_result(f, member_join(&f->cluster[0], false, &second, &error), FSHA_E_CONFIG,
			      &error);
		crashfs_fault_clear(f->fs);
	}
}

/* ---- Leaving ---- */

static void retired_member_lets_go_of_its_lock_and_is_expired(void **state)
{
	struct fsu_lock lock = FSU_LOCK_INIT;
	char path[FSU_UUID_HEX + 8];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/lock", m->name);
	member_retire(m);
	assert_false(lease_is_alive(&m->lease));
	assert_int_equal(fsu_lock_take(f->client[1], f->cluster[1].members_fd, path, false, &lock),
			 0);
	fsu_lock_release(f->client[1], &lock);
	assert_int_equal(whole_members(), 1);
	assert_int_equal(member_beat(m), MEMBER_BEAT_EXPIRED);
	member_retire(m);
}

static void removed_member_leaves_nothing(void **state)
{
	uint64_t number;

	(void)state;
	member_stand(m, "dispatcher", &number);
	member_retire(m);
	member_remove(&f->cluster[1], &m->id);
	assert_string_equal(crashfs_ls(f->fs, FIXTURE_CLUSTER "/members"), "");
	member_remove(&f->cluster[1], &m->id);
}

static void destroying_nobody_is_allowed(void **state)
{
	(void)state;
	member_destroy(NULL);
	assert_int_equal(whole_members(), 1);
}

static void stand_shows_until_it_is_taken_down(void **state)
{
	char stands[sizeof(f->path)];
	uint64_t first, second;

	(void)state;
	(void)snprintf(stands, sizeof(stands), "%s", fixture_path(f, "members/%s/stands", m->name));
	member_stand(m, "dispatcher", &first);
	member_stand(m, "job-x%2Fy", &second);
	assert_int_not_equal(first, second);
	assert_string_equal(crashfs_ls(f->fs, stands), "dispatcher~0\njob-x%2Fy~1");
	member_stand_down(m, "dispatcher", first);
	assert_string_equal(crashfs_ls(f->fs, stands), "job-x%2Fy~1");
	/* Again, under a name of its own: a name is written once. */
	member_stand(m, "dispatcher", &first);
	assert_string_equal(crashfs_ls(f->fs, stands), "dispatcher~2\njob-x%2Fy~1");
	member_stand_down(m, "dispatcher", first);
	member_stand_down(m, "job-x%2Fy", second);
	assert_string_equal(crashfs_ls(f->fs, stands), "");
}

/* ---- What others read ---- */

static void info_tells_of_the_process_that_joined(void **state)
{
	fsha_error error = FSHA_ERROR_INIT;
	struct member_info info;

	(void)state;
	assert_result(f, member_info_read(&f->cluster[1], &m->id, &info, &error), FSHA_OK, &error);
	assert_int_equal(info.pid, getpid());
	assert_string_equal(info.version, fsha_library_version());
	assert_true(info.host[0]);
	assert_in_range(info.started_wall_ns, fsu_wall_ns(f->client[0]) - FSU_NS_PER_S,
			fsu_wall_ns(f->client[0]));
	assert_int_equal(info.local, f->cluster[0].local);
	assert_true(info.locks_cluster_wide);
}

static void info_of_nobody_is_not_found(void **state)
{
	struct fsu_uuid nobody = { { 1 } };
	struct member_info info;

	(void)state;
	assert_int_equal(member_info_read(&f->cluster[1], &nobody, &info, NULL), FSHA_E_NOT_FOUND);
	crashfs_rm(f->fs, fixture_path(f, "members/%s/%s", m->name, parts[1]));
	assert_int_equal(member_info_read(&f->cluster[1], &m->id, &info, NULL), FSHA_E_NOT_FOUND);
}

static void info_with_any_byte_changed_is_corrupt(void **state)
{
	struct member_info info;
	uint8_t copy[1024];
	const uint8_t *data;
	char path[sizeof(f->path)];
	size_t len = 0;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s",
		       fixture_path(f, "members/%s/%s", m->name, parts[1]));
	data = crashfs_cat(f->fs, path, &len);
	assert_non_null(data);
	assert_in_range(len, 1, sizeof(copy));
	memcpy(copy, data, len);
	for (size_t i = 0; i < len; i++) {
		copy[i] ^= 0x04;
		crashfs_put(f->fs, path, copy, len);
		assert_int_equal(member_info_read(&f->cluster[1], &m->id, &info, NULL),
				 FSHA_E_CORRUPT);
		copy[i] ^= 0x04;
	}
}

/* Of another member, copied here by hand: a good record in the wrong place. */
static void info_of_another_member_is_corrupt(void **state)
{
	struct member *second = fixture_member(f, 0);
	const uint8_t *data;
	struct member_info info;
	uint8_t copy[1024];
	size_t len = 0;

	(void)state;
	data = crashfs_cat(f->fs, fixture_path(f, "members/%s/%s", second->name, parts[1]), &len);
	assert_non_null(data);
	assert_in_range(len, 1, sizeof(copy));
	memcpy(copy, data, len);
	crashfs_put(f->fs, fixture_path(f, "members/%s/%s", m->name, parts[1]), copy, len);
	assert_int_equal(member_info_read(&f->cluster[1], &m->id, &info, NULL), FSHA_E_CORRUPT);
	member_destroy(second);
}

static void info_payload_comes_back_and_nothing_else_is_accepted(void **state)
{
	struct member_info info = {
		.pid = 4711,
		.started_wall_ns = INT64_MAX,
		.local = true,
		.boot_id = "01234567-89ab-cdef-0123-456789abcdef",
		.version = "0.1.0",
	};
	uint8_t buf[INFO_SIZE_MAX];
	struct member_info again;
	size_t len;

	(void)state;
	memset(info.host, 'h', sizeof(info.host) - 1);
	len = (size_t)info_encode(&info, buf, sizeof(buf));
	assert_int_equal(info_decode(buf, len, &again), 0);
	assert_memory_equal(&again, &info, sizeof(info));
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(info_decode(buf, cut, &again), -EBADMSG);
	assert_int_equal(info_decode(buf, len + 1, &again), -EBADMSG);
	buf[12] |= 4; /* a flag that nobody knows */
	assert_int_equal(info_decode(buf, len, &again), -EBADMSG);
	assert_int_equal(info_encode(&info, buf, len - 1), -EMSGSIZE);
}

#define member_test(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
#define network_test(t) cmocka_unit_test_setup_teardown(t, setup_network, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		member_test(joined_member_is_whole_locked_and_alive),
		member_test(lease_of_a_new_member_counts_from_before_it_was_visible),
		member_test(every_join_makes_a_new_member),
		cmocka_unit_test(single_fault_of_joining_leaves_no_half_member_and_leaks_nothing),
		cmocka_unit_test(lasting_fault_of_joining_leaves_nobody_who_seems_to_live),
		member_test(storage_that_may_not_be_written_is_a_configuration_error),
		member_test(retired_member_lets_go_of_its_lock_and_is_expired),
		member_test(removed_member_leaves_nothing),
		member_test(destroying_nobody_is_allowed),
		member_test(stand_shows_until_it_is_taken_down),
		member_test(info_tells_of_the_process_that_joined),
		network_test(info_tells_of_the_process_that_joined),
		member_test(info_of_nobody_is_not_found),
		member_test(info_with_any_byte_changed_is_corrupt),
		member_test(info_of_another_member_is_corrupt),
		member_test(info_payload_comes_back_and_nothing_else_is_accepted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
