/* What the doctor says of the cluster that it finds, which it never changes. */
#include "test_doctor.h"

#include <time.h>

#include "src/member/member.h"

#define LEASE_MS 2000
#define MEMBERS 12

static void make_cluster(const struct fixture *x, struct cluster *ret_cluster)
{
	const struct cluster_options options = {
		.storage_dir = x->path,
		.cluster_id = "default",
		.lease_ms = LEASE_MS,
		.create = true,
	};
	fsha_error error = FSHA_ERROR_INIT;

	if (cluster_open(&fsu_posix, &options, ret_cluster, &error) != FSHA_OK)
		fail_msg("%s", error.message);
}

static struct member *join(const struct cluster *c)
{
	fsha_error error = FSHA_ERROR_INIT;
	struct member *member = NULL;

	if (member_join(c, false, &member, &error) != FSHA_OK)
		fail_msg("%s", error.message);
	return member;
}

static void examine(struct patient *p, struct fixture *x)
{
	patient_init(p, x);
	patient_run(p);
	patient_left_nothing(p);
}

static void a_sound_cluster_is_all_right(void **state)
{
	struct cluster c;
	struct patient p;
	struct member *member;

	make_cluster(*state, &c);
	member = join(&c);
	examine(&p, *state);
	patient_expect(&p, "cluster", DOCTOR_OK, "format 1");
	patient_expect(&p, "lease", DOCTOR_OK, "2 s, the cluster's");
	patient_expect(&p, "members", DOCTOR_OK, "1 members, 1 hold their lock, 0 are dead");
	patient_expect(&p, "leftovers", DOCTOR_OK, "nothing");
	assert_int_equal(p.summary.findings[DOCTOR_FAIL], 0);
	assert_int_equal(member_beat(member), MEMBER_BEAT_OK);
	member_destroy(member);
	cluster_close(&c);
}

static void a_lease_that_is_not_the_clusters_is_told(void **state)
{
	struct cluster c;
	struct patient p;

	make_cluster(*state, &c);
	patient_init(&p, *state);
	p.options.lease_ms = 5000;
	patient_run(&p);
	patient_expect(&p, "lease", DOCTOR_FAIL, "5 s is configured, but the cluster has 2 s");
	p.options.lease_ms = LEASE_MS;
	patient_run(&p);
	patient_expect(&p, "lease", DOCTOR_OK, "2 s");
	cluster_close(&c);
}

static void what_is_no_cluster_is_told(void **state)
{
	struct fixture *x = *state;
	struct patient p;

	examine(&p, x);
	patient_expect(&p, "cluster", DOCTOR_OK, "no cluster 'default' yet");
	assert_int_equal(mkdirat(x->fd, "default", 0700), 0);
	put(x, "default/README", "x", 1);
	examine(&p, x);
	patient_expect(&p, "cluster", DOCTOR_FAIL, "no cluster directory");
	assert_null(patient_finding(&p, "members"));
}

static void damaged_settings_are_told(void **state)
{
	struct fixture *x = *state;
	struct cluster c;
	struct patient p;
	struct dirent *entry;
	DIR *dir;

	make_cluster(x, &c);
	dir = fdopendir(openat(c.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	assert_non_null(dir);
	while ((entry = readdir(dir)))
		if (strncmp(entry->d_name, "SETTINGS", 8) == 0)
			(void)unlinkat(c.fd, entry->d_name, 0);
	(void)closedir(dir);
	cluster_close(&c);
	examine(&p, x);
	patient_expect(&p, "cluster", DOCTOR_FAIL, "damaged or gone");
	patient_expect(&p, "lease", DOCTOR_OK, "10 s");
}

/* Two hosts of one name, which have two boots: their NFS clients may be one for the server. */
static void a_namesake_on_another_host_is_told(void **state)
{
	static const char mount[] = "95 22 0:45 / /mnt/x rw - nfs4 there:/ rw,vers=4.2\n";
	struct fixture *x = *state;
	struct cluster c;
	struct patient p;
	struct member *member;

	make_cluster(x, &c);
	member = join(&c);
	put(x, "sys.boot_id", "another\n", 8);
	patient_init(&p, x);
	p.options.host = NULL;
	patient_run(&p);
	patient_expect(&p, "members", DOCTOR_WARN, "on another host of the same name");
	p.mountinfo = mount;
	p.magic = 0x6969;
	patient_run(&p);
	patient_expect(&p, "members", DOCTOR_FAIL, "drop each other's locks");
	p.options.host = "node-a";
	patient_run(&p);
	patient_expect(&p, "members", DOCTOR_OK, "1 members");
	member_destroy(member);
	cluster_close(&c);
}

static void many_dead_members_are_told(void **state)
{
	struct member *members[MEMBERS];
	struct cluster c;
	struct patient p;

	make_cluster(*state, &c);
	for (int i = 0; i < MEMBERS; i++)
		members[i] = join(&c);
	for (int i = 0; i < MEMBERS; i++)
		member_retire(members[i]);
	examine(&p, *state);
	patient_expect(&p, "members", DOCTOR_WARN, "12 of them dead");
	for (int i = 0; i < MEMBERS; i++)
		member_destroy(members[i]);
	cluster_close(&c);
}

static void a_name_that_is_no_members_is_told(void **state)
{
	struct fixture *x = *state;
	struct cluster c;
	struct patient p;

	make_cluster(x, &c);
	assert_int_equal(mkdirat(c.members_fd, "who", 0700), 0);
	examine(&p, x);
	patient_expect(&p, "members", DOCTOR_WARN, "1 names among the members");
	cluster_close(&c);
}

static void leftovers_are_told(void **state)
{
	struct fixture *x = *state;
	struct timespec old[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
	struct cluster c;
	struct patient p;

	make_cluster(x, &c);
	put(x, "default/members/.nfs0001", "", 0);
	examine(&p, x);
	patient_expect(&p, "leftovers", DOCTOR_WARN, ".nfs");
	assert_int_equal(mkdirat(c.fd, "~young", 0700), 0);
	examine(&p, x);
	patient_expect(&p, "leftovers", DOCTOR_WARN, ".nfs");
	assert_int_equal(utimensat(c.fd, "~young", old, 0), 0);
	examine(&p, x);
	patient_expect(&p, "leftovers", DOCTOR_WARN, "never finished");
	put(x, "default/quarantine/00000000000000000000000000000001~x", "", 0);
	examine(&p, x);
	patient_expect(&p, "leftovers", DOCTOR_WARN, "1 damaged records are in quarantine");
	assert_int_equal(symlinkat("/etc", c.fd, "elections/dispatcher"), 0);
	examine(&p, x);
	patient_expect(&p, "leftovers", DOCTOR_FAIL, "1 symbolic links");
	cluster_close(&c);
}

static void a_link_in_the_place_of_a_cluster_is_not_followed(void **state)
{
	struct fixture *x = *state;
	struct cluster c;
	struct patient p;

	make_cluster(x, &c);
	cluster_close(&c);
	assert_int_equal(renameat(x->fd, "default", x->fd, "elsewhere"), 0);
	assert_int_equal(symlinkat("elsewhere", x->fd, "default"), 0);
	examine(&p, x);
	patient_expect(&p, "cluster", DOCTOR_FAIL, "in the way");
	assert_null(patient_finding(&p, "members"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_in_directory(a_sound_cluster_is_all_right),
		test_in_directory(a_lease_that_is_not_the_clusters_is_told),
		test_in_directory(what_is_no_cluster_is_told),
		test_in_directory(damaged_settings_are_told),
		test_in_directory(a_namesake_on_another_host_is_told),
		test_in_directory(many_dead_members_are_told),
		test_in_directory(a_name_that_is_no_members_is_told),
		test_in_directory(leftovers_are_told),
		test_in_directory(a_link_in_the_place_of_a_cluster_is_not_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
