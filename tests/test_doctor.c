/* Each check of the doctor can fail: what makes it do so, and what it says then. */
#include "test_doctor.h"

#define ROOT "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
#define ON(mount, type, options) \
	ROOT "95 22 0:45 / /mnt/x " mount ",relatime - " type " there:/ rw," options "\n"
#define EXT4(options) ON("rw", "ext4", options)
#define NFS4(options) ON("rw", "nfs4", "vers=4.2,hard,proto=tcp,local_lock=none" options)
#define NFS(options) ON("rw", "nfs", options)
#define CEPH(options) ON("rw", "ceph", "name=admin" options)
#define LEASE(seconds)                                                     \
	"device there:/ mounted on /mnt/x with fstype nfs4 statvers=1.1\n" \
	"\tnfsv4:\tbm0=0xfdffbfff,acl=0x3,sessions,lease_time=" seconds ",lease_expired=0\n"

#define EXT4_MAGIC 0xef53
#define NFS_MAGIC 0x6969
#define CEPH_MAGIC 0x00c36400
#define TMPFS_MAGIC 0x01021994
#define OVERLAY_MAGIC 0x794c7630
#define FUSE_MAGIC 0x65735546

/* ---- What the kernel says of the mount ---- */

static const struct mounted {
	const char *check;
	uint32_t magic;
	const char *mountinfo, *mountstats;
	enum doctor_grade grade;
	const char *text;
} mounted[] = {
	{ "filesystem", EXT4_MAGIC, EXT4("x"), NULL, DOCTOR_OK, "ext4 is a local" },
	{ "filesystem", NFS_MAGIC, NFS4(""), NULL, DOCTOR_OK, "nfs4 from there:/" },
	{ "filesystem", OVERLAY_MAGIC, ON("rw", "overlay", "x"), NULL, DOCTOR_WARN, "container" },
	{ "filesystem", 0x517b, ON("rw", "cifs", "x"), NULL, DOCTOR_WARN, "not known" },
	{ "read-only", EXT4_MAGIC, ON("ro", "ext4", "x"), NULL, DOCTOR_FAIL, "read-only" },
	{ "read-only", EXT4_MAGIC, EXT4("x"), NULL, DOCTOR_OK, "read-write" },
	{ "durability", TMPFS_MAGIC, ON("rw", "tmpfs", "x"), NULL, DOCTOR_WARN, "memory" },
	{ "durability", EXT4_MAGIC, EXT4("nobarrier"), NULL, DOCTOR_WARN, "barriers" },
	{ "durability", EXT4_MAGIC, EXT4("barrier=0"), NULL, DOCTOR_WARN, "barriers" },
	{ "durability", NFS_MAGIC, NFS4(""), NULL, DOCTOR_OK, "exports with 'sync'" },
	{ "nfs-version", NFS_MAGIC, NFS4(""), NULL, DOCTOR_OK, "NFSv4.2" },
	{ "nfs-version", NFS_MAGIC, NFS("vers=4.0"), NULL, DOCTOR_WARN, "NFSv4.0" },
	{ "nfs-version", NFS_MAGIC, NFS("vers=3"), NULL, DOCTOR_WARN, "NFSv3" },
	{ "nfs-version", NFS_MAGIC, NFS("vers=2"), NULL, DOCTOR_FAIL, "NFSv2" },
	{ "nfs-version", NFS_MAGIC, NFS("x"), NULL, DOCTOR_WARN, "cannot be told" },
	{ "nfs-hard", NFS_MAGIC, NFS4(""), NULL, DOCTOR_OK, "hard" },
	{ "nfs-hard", NFS_MAGIC, NFS("vers=4.2,soft"), NULL, DOCTOR_WARN, "soft" },
	{ "nfs-hard", NFS_MAGIC, NFS("vers=4.2,softerr"), NULL, DOCTOR_WARN, "soft" },
	{ "lock-options", NFS_MAGIC, NFS4(""), NULL, DOCTOR_OK, "" },
	{ "lock-options", NFS_MAGIC, NFS("vers=3,nolock"), NULL, DOCTOR_WARN, "this host" },
	{ "lock-options", NFS_MAGIC, NFS("vers=3,local_lock=all"), NULL, DOCTOR_WARN, "this host" },
	{ "nfs-caches", NFS_MAGIC, NFS4(""), NULL, DOCTOR_OK, "default" },
	{ "nfs-caches", NFS_MAGIC, NFS4(",lookupcache=positive"), NULL, DOCTOR_OK, "is fine" },
	{ "nfs-caches", NFS_MAGIC, NFS4(",lookupcache=none"), NULL, DOCTOR_WARN, "slow" },
	{ "nfs-caches", NFS_MAGIC, NFS4(",noac"), NULL, DOCTOR_WARN, "slow" },
	{ "nfs-caches", NFS_MAGIC, NFS4(",nocto"), NULL, DOCTOR_WARN, "nocto" },
	{ "nfs-transport", NFS_MAGIC, NFS4(""), NULL, DOCTOR_OK, "tcp" },
	{ "nfs-transport", NFS_MAGIC, NFS("vers=3,proto=udp"), NULL, DOCTOR_WARN, "UDP" },
	{ "nfs-lost-locks", NFS_MAGIC, NFS4(""), NULL, DOCTOR_OK, "told" },
	{ "lock-lease", NFS_MAGIC, NFS4(""), NULL, DOCTOR_WARN, "not known" },
	{ "lock-lease", NFS_MAGIC, NFS4(""), LEASE("10"), DOCTOR_WARN, "not below" },
	{ "lock-lease", NFS_MAGIC, NFS4(""), LEASE("90"), DOCTOR_OK, "below" },
	{ "ceph-session", CEPH_MAGIC, CEPH(""), NULL, DOCTOR_OK, "session_timeout" },
	{ "ceph-session", CEPH_MAGIC, CEPH(",recover_session=clean"), NULL, DOCTOR_WARN,
	  "dropped" },
	{ "ceph-sync", CEPH_MAGIC, CEPH(",wsync"), NULL, DOCTOR_OK, "before" },
	{ "ceph-sync", CEPH_MAGIC, CEPH(",nowsync"), NULL, DOCTOR_WARN, "nowsync" },
	{ "fence-descriptor", FUSE_MAGIC, ON("rw", "fuse.ceph-fuse", "x"), NULL, DOCTOR_OK,
	  "not tried" },
	{ "inotify", NFS_MAGIC, NFS4(""), NULL, DOCTOR_OK, "not used" },
	{ "quota", EXT4_MAGIC, EXT4("usrquota"), NULL, DOCTOR_OK, "in force" },
	{ "nfs-client-id", NFS_MAGIC, NFS4(""), NULL, DOCTOR_OK, "'node-a'" },
};

static void what_the_mount_options_say_is_graded(void **state)
{
	for (size_t i = 0; i < sizeof(mounted) / sizeof(mounted[0]); i++) {
		struct patient p;

		patient_init(&p, *state);
		p.magic = mounted[i].magic;
		p.mountinfo = mounted[i].mountinfo;
		p.mountstats = mounted[i].mountstats;
		patient_run(&p);
		patient_expect(&p, mounted[i].check, mounted[i].grade, mounted[i].text);
		patient_left_nothing(&p);
	}
}

static void only_what_makes_sense_on_a_filesystem_is_asked_there(void **state)
{
	static const char *const nfs[] = { "nfs-version", "nfs-hard",     "nfs-caches",
					   "lock-lease",  "ceph-session", "nfs-client-id" };
	struct patient p;

	patient_init(&p, *state);
	p.magic = EXT4_MAGIC;
	p.mountinfo = EXT4("x");
	patient_run(&p);
	for (size_t i = 0; i < sizeof(nfs) / sizeof(nfs[0]); i++)
		assert_null(patient_finding(&p, nfs[i]));
}

static void locks_that_are_taken_again_in_silence_are_told(void **state)
{
	struct patient p;

	patient_init(&p, *state);
	put(p.x, "sys.recover_lost_locks", "Y\n", 2);
	p.magic = NFS_MAGIC;
	p.mountinfo = NFS4("");
	patient_run(&p);
	patient_expect(&p, "nfs-lost-locks", DOCTOR_WARN, "in silence");
}

static void a_host_that_others_may_be_called_like_needs_an_nfs_identifier(void **state)
{
	struct patient p;

	patient_init(&p, *state);
	p.magic = NFS_MAGIC;
	p.mountinfo = NFS4("");
	p.options.host = "localhost.localdomain";
	patient_run(&p);
	patient_expect(&p, "host-name", DOCTOR_WARN, "localhost");
	patient_expect(&p, "nfs-client-id", DOCTOR_FAIL, "drop each other's locks");
	put(p.x, "sys.identifier", "one\n", 4);
	patient_run(&p);
	patient_expect(&p, "nfs-client-id", DOCTOR_OK, "'one'");
	p.options.host = "node-a";
	patient_run(&p);
	patient_expect(&p, "host-name", DOCTOR_OK, "node-a");
}

/* ---- What calls do ---- */

static const struct wrong {
	const char *check;
	struct lie lie;
	enum doctor_grade grade;
	const char *text;
} wrong[] = {
	{ "work", { LIE_MKDIR, .result = -EACCES }, DOCTOR_FAIL, "Permission denied" },
	{ "work", { LIE_RENAME, .result = -EIO }, DOCTOR_FAIL, "Input/output" },
	{ "owner", { LIE_OPEN, "owner", .result = -EDQUOT }, DOCTOR_FAIL, "quota" },
	{ "create-exclusive", { LIE_OPEN, "once", .twist = true }, DOCTOR_FAIL, "done" },
	{ "create-exclusive", { LIE_OPEN, "once", .result = -EROFS }, DOCTOR_FAIL, "Read-only" },
	{ "name-length", { LIE_OPEN, "nnn", .result = -ENAMETOOLONG }, DOCTOR_FAIL, "too long" },
	{ "name-bytes",
	  { LIE_STAT, "bytes/NAME@x~y%2E.", .result = 0 },
	  DOCTOR_FAIL,
	  "the same here" },
	{ "name-bytes",
	  { LIE_LIST, "name@x~y%2E.", .result = 0 },
	  DOCTOR_FAIL,
	  "changed on its way" },
	{ "rename", { LIE_RENAME, "name/c", .result = 0 }, DOCTOR_FAIL, "renamed twice" },
	{ "rename", { LIE_RENAME, "name/b", .result = 0 }, DOCTOR_FAIL, "renamed twice" },
	{ "rename", { LIE_STAT, "name/a", .result = 0 }, DOCTOR_FAIL, "old name is still there" },
	{ "rename", { LIE_STAT, "name/b", .result = -ENOENT }, DOCTOR_FAIL, "new name is not" },
	{ "rename", { LIE_RENAME, "name/b", .result = -EIO }, DOCTOR_FAIL, "cannot rename" },
	{ "rename", { LIE_RENAME, "name/c", .result = -EIO }, DOCTOR_FAIL, "name is gone" },
	{ "rename-directory", { LIE_RENAME, "full", .result = 0 }, DOCTOR_FAIL, "not empty" },
	{ "rename-directory",
	  { LIE_RENAME, "placed", .result = 0 },
	  DOCTOR_FAIL,
	  "lost what was in it" },
	{ "remove", { LIE_UNLINK, "room", .result = 0 }, DOCTOR_FAIL, "rmdir of a directory" },
	{ "remove", { LIE_UNLINK, "room", .from = 1, .count = 1 }, DOCTOR_FAIL, "still there" },
	{ "listing", { LIE_LIST, "050", .result = 0 }, DOCTOR_FAIL, "listing shows 99" },
	{ "fence-path",
	  { LIE_RENAME, "store/x", .result = 0 },
	  DOCTOR_FAIL,
	  "still publish a staged file" },
	{ "fence-path", { LIE_RENAME, "tenure/z", .result = 0 }, DOCTOR_FAIL, "still take a file" },
	{ "fence-path",
	  { LIE_MKDIR, "tenure/sub", .result = 0 },
	  DOCTOR_FAIL,
	  "still make a directory" },
	{ "fence-path", { LIE_OPEN, "tenure/y", .result = -EIO }, DOCTOR_WARN, "odd reason" },
	{ "fence-path", { LIE_UNLINK, "tenure", .count = 1 }, DOCTOR_FAIL, "still" },
	{ "fence-descriptor",
	  { LIE_MKDIR, "sub", .result = 0 },
	  DOCTOR_FAIL,
	  "through its descriptor" },
	{ "fence-descriptor", { LIE_RENAME, "store/x", .result = 0 }, DOCTOR_FAIL, "staged file" },
	{ "fence-open-file",
	  { LIE_UNLINK, "tenure", .result = -ENOTEMPTY, .count = 1 },
	  DOCTOR_FAIL,
	  "while a file of it is open" },
	{ "lock-exclusive", { LIE_LOCK, .result = -ENOLCK }, DOCTOR_FAIL, "cannot be locked" },
	{ "lock-exclusive", { LIE_LOCK, .from = 2, .count = 1 }, DOCTOR_FAIL, "locks do nothing" },
	{ "lock-exclusive",
	  { LIE_LOCK, .from = 1, .count = 1 },
	  DOCTOR_WARN,
	  "not seen by asking" },
	{ "lock-release",
	  { LIE_LOCK, .from = 1, .count = 1, .result = -EAGAIN },
	  DOCTOR_WARN,
	  "stays after" },
	{ "lock-close", { LIE_LOCK, .from = 1, .count = 1 }, DOCTOR_FAIL, "any other descriptor" },
	{ "lock-posix", { LIE_LOCK, .from = 1, .count = 1 }, DOCTOR_WARN, "do not exclude" },
	{ "lock-posix",
	  { LIE_LOCK, .from = 1, .count = 1, .result = -ENOLCK },
	  DOCTOR_WARN,
	  "do not work" },
	{ "content", { LIE_READ, .twist = true }, DOCTOR_FAIL, "did not come back" },
	{ "content", { LIE_WRITE, .result = -EIO }, DOCTOR_FAIL, "cannot write" },
	{ "fsync-file", { LIE_FSYNC, .result = -EIO }, DOCTOR_FAIL, "sync a file" },
	{ "fsync-file", { LIE_FSYNC, .slow_ns = 2 * FSU_NS_PER_S }, DOCTOR_WARN, "2000 ms" },
	{ "fsync-directory", { LIE_FSYNC, .result = -EINVAL }, DOCTOR_FAIL, "sync a directory" },
	{ "fsync-directory", { LIE_FSYNC, .slow_ns = 2 * FSU_NS_PER_S }, DOCTOR_WARN, "2000 ms" },
	{ "commit-speed", { LIE_FSYNC, .slow_ns = 150 * FSU_NS_PER_MS }, DOCTOR_WARN, "300 ms" },
	{ "commit-speed", { LIE_RENAME, .result = -EIO }, DOCTOR_FAIL, "publish a file" },
	{ "revalidation", { LIE_STAT, "fresh", .result = -ENOENT }, DOCTOR_FAIL, "not there" },
	{ "revalidation", { LIE_STAT, "fresh", .result = 0 }, DOCTOR_FAIL, "never made" },
	{ "inotify", { LIE_NOTIFY, .result = -EMFILE }, DOCTOR_WARN, "Too many open files" },
	{ "clock", { LIE_OPEN, "clock", .result = -EIO }, DOCTOR_FAIL, "look at its time" },
	{ "quota", { LIE_WRITE, .result = -EDQUOT }, DOCTOR_FAIL, "a quota leaves less" },
	{ "quota", { LIE_WRITE, .result = -ENOSPC }, DOCTOR_FAIL, "No space" },
};

static void what_calls_do_wrong_is_told(void **state)
{
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct patient p;

		patient_init(&p, *state);
		p.check = wrong[i].check;
		p.lie = wrong[i].lie;
		patient_run(&p);
		assert_true(p.told > 0);
		patient_expect(&p, wrong[i].check, wrong[i].grade, wrong[i].text);
		patient_left_nothing(&p);
	}
}

static void directory_times_are_judged_by_their_steps(void **state)
{
	static const struct {
		enum doctor_grade grade;
		const char *text;
	} expected[] = {
		{ DOCTOR_OK, "ms or less" },
		{ DOCTOR_FAIL, "do not change" },
		{ DOCTOR_WARN, "steps of 1000 ms" },
		{ DOCTOR_WARN, "went back" },
	};

	for (int i = 0; i < 4; i++) {
		struct patient p;

		patient_init(&p, *state);
		p.check = "directory-times";
		p.times = i;
		patient_run(&p);
		patient_expect(&p, "directory-times", expected[i].grade, expected[i].text);
	}
}

static void clocks_far_apart_are_a_warning(void **state)
{
	struct patient p;

	patient_init(&p, *state);
	p.wall_ns += 3600 * FSU_NS_PER_S;
	patient_run(&p);
	patient_expect(&p, "clock", DOCTOR_WARN, "behind");
	p.wall_ns -= 7200 * FSU_NS_PER_S;
	patient_run(&p);
	patient_expect(&p, "clock", DOCTOR_WARN, "ahead of");
}

/* ---- Rights and room ---- */

static void rights_of_others_in_the_directory_are_told(void **state)
{
	static const struct {
		mode_t mode;
		enum doctor_grade grade;
		const char *text;
	} cases[] = {
		{ 0700, DOCTOR_OK, "mode 0700" },     { 0777, DOCTOR_FAIL, "everybody" },
		{ 01777, DOCTOR_WARN, "as in /tmp" }, { 0770, DOCTOR_WARN, "the group" },
		{ 02770, DOCTOR_OK, "share" },
	};
	struct fixture *x = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct patient p;

		assert_int_equal(chmod(x->path, cases[i].mode), 0);
		patient_init(&p, x);
		patient_run(&p);
		patient_expect(&p, "directory-mode", cases[i].grade, cases[i].text);
		patient_expect(&p, "modes", DOCTOR_OK, cases[i].mode == 02770 ? "0660" : "0600");
		patient_left_nothing(&p);
	}
}

static void a_server_that_gives_files_to_another_user_is_told(void **state)
{
	struct patient p;

	patient_init(&p, *state);
	p.uid = 4242;
	patient_run(&p);
	patient_expect(&p, "owner", DOCTOR_WARN, geteuid() == 0 ? "root_squash" : "all_squash");
	p.uid_of_files = true;
	patient_run(&p);
	patient_expect(&p, "owner", DOCTOR_FAIL, "fsha refuses to read it");
}

static void modes_that_are_not_as_asked_for_are_told(void **state)
{
	struct patient p;

	patient_init(&p, *state);
	p.check = "modes";
	p.mode_or = 0055;
	patient_run(&p);
	patient_expect(&p, "modes", DOCTOR_WARN, "others may use");
	p.mode_or = 0;
	p.mode_and = S_IFMT | 0500;
	patient_run(&p);
	patient_expect(&p, "modes", DOCTOR_FAIL, "may not use");
}

static void little_room_is_told(void **state)
{
	static const struct {
		const char *check;
		uint64_t blocks, free_blocks, files, free_files;
		enum doctor_grade grade;
		const char *text;
	} cases[] = {
		{ "space", 1 << 20, 1 << 19, 0, 0, DOCTOR_OK, "2048 MiB" },
		{ "space", 1 << 20, 1 << 10, 0, 0, DOCTOR_FAIL, "4 MiB" },
		{ "space", 1 << 20, 1 << 15, 0, 0, DOCTOR_WARN, "128 MiB" },
		{ "space", 0, 0, 0, 0, DOCTOR_WARN, "not told" },
		{ "inodes", 1, 1, 0, 0, DOCTOR_OK, "not counted" },
		{ "inodes", 1, 1, 1 << 20, 999, DOCTOR_FAIL, "999 more" },
		{ "inodes", 1, 1, 1 << 20, 9999, DOCTOR_WARN, "9999 more" },
		{ "inodes", 1, 1, 1 << 20, 1 << 19, DOCTOR_OK, "more files" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct patient p;

		patient_init(&p, *state);
		p.counted = true;
		p.blocks = cases[i].blocks;
		p.free_blocks = cases[i].free_blocks;
		p.files = cases[i].files;
		p.free_files = cases[i].free_files;
		patient_run(&p);
		patient_expect(&p, cases[i].check, cases[i].grade, cases[i].text);
	}
}

/* ---- The whole ---- */

static bool is_told_wrong(const char *check)
{
	/* Each has a test of its own, here or in test_doctor_cluster.c. */
	static const char *const others[] = {
		"directory-mode", "modes",          "directory-times", "space",   "inodes",
		"host-name",      "cluster",        "lease",           "members", "leftovers",
		"former-doctors", "nfs-lost-locks", "nfs-client-id",
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strcmp(others[i], check) == 0)
			return true;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (strcmp(wrong[i].check, check) == 0)
			return true;
	for (size_t i = 0; i < sizeof(mounted) / sizeof(mounted[0]); i++)
		if (strcmp(mounted[i].check, check) == 0 && mounted[i].grade != DOCTOR_OK)
			return true;
	return false;
}

static void each_check_can_fail(void **state)
{
	static const struct doctor_room *const rooms[] = {
		&doctor_mount, &doctor_owner, &doctor_names, &doctor_fence,    &doctor_locks,
		&doctor_data,  &doctor_time,  &doctor_space, &doctor_identity, &doctor_cluster,
	};
	size_t count = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++)
		for (size_t j = 0; j < rooms[i]->count; j++, count++)
			if (!is_told_wrong(rooms[i]->checks[j].name))
				fail_msg("nothing makes %s fail", rooms[i]->checks[j].name);
	assert_in_range(count, 30, 50);
}

static void an_honest_local_filesystem_is_all_right(void **state)
{
	struct patient p;

	patient_init(&p, *state);
	p.magic = EXT4_MAGIC;
	p.mountinfo = EXT4("x");
	patient_run(&p);
	assert_int_equal(p.result, FSHA_OK);
	for (unsigned i = 0; i < p.count; i++)
		if (p.findings[i].grade != DOCTOR_OK)
			fail_msg("%s: %s", p.findings[i].check, p.findings[i].text);
	assert_true(p.count >= 30);
	assert_int_equal(p.summary.findings[DOCTOR_OK], p.count);
	assert_string_equal(p.summary.filesystem, "ext4");
	assert_string_equal(p.summary.target, "/mnt/x");
	patient_left_nothing(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_in_directory(an_honest_local_filesystem_is_all_right),
		test_in_directory(what_the_mount_options_say_is_graded),
		test_in_directory(only_what_makes_sense_on_a_filesystem_is_asked_there),
		test_in_directory(locks_that_are_taken_again_in_silence_are_told),
		test_in_directory(a_host_that_others_may_be_called_like_needs_an_nfs_identifier),
		test_in_directory(what_calls_do_wrong_is_told),
		test_in_directory(directory_times_are_judged_by_their_steps),
		test_in_directory(clocks_far_apart_are_a_warning),
		test_in_directory(rights_of_others_in_the_directory_are_told),
		test_in_directory(a_server_that_gives_files_to_another_user_is_told),
		test_in_directory(modes_that_are_not_as_asked_for_are_told),
		test_in_directory(little_room_is_told),
		test_in_directory(each_check_can_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
