/* What the peers of a meeting make of what they have found. */
#include "test_doctor.h"

#include "src/doctor/verdict.h"

static const struct measured good = {
	.new_name = 3,
	.removed_name = 4,
	.listing = 5,
	.hand_over = 20,
	.lock_seen = 1,
	.lock_free = 10,
	.winners = 1,
};

/* The second peer says what it found in this word; NULL: it is as good as the first. */
static fsha_result reach(struct patient *p, const struct measured *own, enum fsu_mount_kind kind,
			 const char *word)
{
	struct doctor d = { .fs = &p->fs,
			    .options = &p->options,
			    .dir_fd = p->x->fd,
			    .lease_ms = 10000,
			    .boot_id = "boot-a" };
	struct meeting m = { .d = &d, .fs = &p->fs, .fd = p->x->fd, .name = "a", .count = 2 };
	char path[300];
	fsha_result result;

	d.mount.kind = kind;
	d.mount.nfs_version = 4;
	d.mount.lock_lease_ms = 90000;
	strcpy(m.peers[0].name, "a");
	strcpy(m.peers[1].name, "b");
	m.begun_ns = p->now_ns;
	p->count = 0;
	assert_int_equal(mkdirat(p->x->fd, "a", 0700), 0);
	assert_int_equal(mkdirat(p->x->fd, "b", 0700), 0);
	if (word)
		(void)snprintf(path, sizeof(path), "b/result.%s", word);
	else
		(void)snprintf(path, sizeof(path), "b/result.%d,3,4,5,20,1,10,0,1,boot-b",
			       (int)kind);
	put(p->x, path, "", 0);
	result = p->result = verdict_reach(&m, own, &p->error);
	remove_tree(p->x->fd, "a");
	remove_tree(p->x->fd, "b");
	return result;
}

static void what_all_found_good_is_good(void **state)
{
	struct patient p;

	patient_init(&p, *state);
	assert_int_equal(reach(&p, &good, FSU_MOUNT_NFS, NULL), FSHA_OK);
	for (unsigned i = 0; i < p.count; i++)
		if (p.findings[i].grade != DOCTOR_OK)
			fail_msg("%s: %s", p.findings[i].check, p.findings[i].text);
	assert_int_equal(p.count, 8);
	patient_expect(&p, "peers", DOCTOR_OK, "a, b");
	patient_expect(&p, "failover", DOCTOR_OK,
		       "resigns 220 ms, one that is killed 230 ms, a host that dies 12720 ms");
}

static void the_worst_of_all_counts(void **state)
{
	static const struct {
		const char *word, *check;
		enum doctor_grade grade;
		const char *text;
	} cases[] = {
		{ "1,2000,4,5,20,1,10,0,1,boot-b", "peer-new-name", DOCTOR_WARN, "2000 ms" },
		{ "1,3,2000,5,20,1,10,0,1,boot-b", "peer-removed-name", DOCTOR_WARN, "2000 ms" },
		{ "1,3,4,2000,20,1,10,0,1,boot-b", "peer-listing", DOCTOR_WARN, "2000 ms" },
		{ "1,3,4,5,2000,1,10,0,1,boot-b", "hand-over", DOCTOR_WARN, "2000 ms" },
		{ "1,3,4,5,20,0,10,0,1,boot-b", "peer-locks", DOCTOR_FAIL, "taken for dead" },
		{ "1,3,4,5,20,1,-1,0,1,boot-b", "peer-locks", DOCTOR_WARN, "within 5 s" },
		{ "1,3,4,5,20,1,-1,0,1,boot-b", "failover", DOCTOR_OK, "killed 12720 ms" },
		{ "1,3,4,5,20,1,10,1,1,boot-b", "peer-fence", DOCTOR_FAIL, "1 of its calls" },
		{ "1,3,4,5,20,1,10,-1,1,boot-b", "peer-fence", DOCTOR_FAIL, "could not empty" },
		{ "1,3,4,5,20,1,10,0,2,boot-b", "hand-over", DOCTOR_FAIL, "not exactly one" },
		{ "1,3,4,5,20,1,10,0,0,boot-b", "hand-over", DOCTOR_FAIL, "not exactly one" },
		{ "0,3,4,5,20,1,10,0,1,boot-b", "peers", DOCTOR_WARN, "different kinds" },
		{ "1,3,4,5,20,1,10,0,1,boot-a", "peers", DOCTOR_WARN, "all on one host" },
	};

	assert_int_equal(FSU_MOUNT_NFS, 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct patient p;

		patient_init(&p, *state);
		assert_int_equal(reach(&p, &good, FSU_MOUNT_NFS, cases[i].word), FSHA_OK);
		patient_expect(&p, cases[i].check, cases[i].grade, cases[i].text);
	}
}

/* The mount says so, or nobody knows: then nothing is wrong with locks that do nothing. */
static void locks_that_nobody_believes_in_may_fail(void **state)
{
	struct measured own = good;
	struct patient p;

	own.lock_seen = 0;
	patient_init(&p, *state);
	assert_int_equal(reach(&p, &own, FSU_MOUNT_OTHER, NULL), FSHA_OK);
	patient_expect(&p, "peer-locks", DOCTOR_WARN, "heartbeats alone count");
}

static void words_that_make_no_sense_are_refused(void **state)
{
	static const char *const words[] = {
		"x",
		"1,2,3",
		"1,3,4,5,20,1,10,0,99999999999999999999,b",
		"1,3,4,5,20,1,10,0,-2,b",
		",,,,,,,,,",
		"1;3;4;5;20;1;10;0;1;b",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct patient p;

		patient_init(&p, *state);
		assert_int_equal(reach(&p, &good, FSU_MOUNT_NFS, words[i]), FSHA_E_CORRUPT);
		assert_int_equal(p.count, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_in_directory(what_all_found_good_is_good),
		test_in_directory(the_worst_of_all_counts),
		test_in_directory(locks_that_nobody_believes_in_may_fail),
		test_in_directory(words_that_make_no_sense_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
