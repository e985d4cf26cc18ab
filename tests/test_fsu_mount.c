/* Filesystems as the kernel describes them. The lines are of real mounts. */
#include "test_fsu.h"

#include "fsutil/fsu_mount.h"

/* A table whose directory lies on the mount that a test describes. */
struct mounted {
	struct faulty f;
	uint32_t magic;
	unsigned major, minor;
	uint64_t mount_id; /* 0: the kernel does not tell */
	const char *mountinfo, *mountstats;
	int fstatfs_error, mountinfo_error, mountstats_error;
};

static struct mounted *mounted_of(void *ctx)
{
	return (struct mounted *)ctx; /* the table is its first member */
}

static int mounted_fstatfs(void *ctx, int fd, struct statfs *ret_statfs)
{
	(void)fd;
	memset(ret_statfs, 0, sizeof(*ret_statfs));
	ret_statfs->f_type = (__fsword_t)mounted_of(ctx)->magic;
	return mounted_of(ctx)->fstatfs_error;
}

static int mounted_statx(void *ctx, int dirfd, const char *path, int flags, unsigned mask,
			 struct statx *ret_stat)
{
	struct mounted *m = mounted_of(ctx);

	(void)dirfd, (void)path, (void)flags, (void)mask;
	memset(ret_stat, 0, sizeof(*ret_stat));
	ret_stat->stx_mode = S_IFDIR | 0700;
	ret_stat->stx_dev_major = m->major;
	ret_stat->stx_dev_minor = m->minor;
	if (m->mount_id) {
		ret_stat->stx_mask |= STATX_MNT_ID;
		ret_stat->stx_mnt_id = m->mount_id;
	}
	return 0;
}

static ssize_t give(const char *text, char *buf, size_t len)
{
	size_t n = strnlen(text, len);

	memcpy(buf, text, n);
	return (ssize_t)n;
}

static ssize_t mounted_mountinfo(void *ctx, char *buf, size_t len)
{
	struct mounted *m = mounted_of(ctx);

	return m->mountinfo_error ? m->mountinfo_error : give(m->mountinfo, buf, len);
}

static ssize_t mounted_mountstats(void *ctx, char *buf, size_t len)
{
	struct mounted *m = mounted_of(ctx);

	if (m->mountstats_error)
		return m->mountstats_error;
	return give(m->mountstats ? m->mountstats : "", buf, len);
}

static void mounted_init(struct mounted *m, uint32_t magic, unsigned major, unsigned minor,
			 const char *mountinfo)
{
	memset(m, 0, sizeof(*m));
	faulty_init(&m->f);
	m->f.ops.fstatfs = mounted_fstatfs;
	m->f.ops.statx = mounted_statx;
	m->f.ops.mountinfo = mounted_mountinfo;
	m->f.ops.mountstats = mounted_mountstats;
	m->f.fs.ctx = m;
	m->magic = magic;
	m->major = major;
	m->minor = minor;
	m->mountinfo = mountinfo;
}

static struct fsu_mount identify(struct mounted *m)
{
	struct fsu_mount out;

	assert_int_equal(fsu_mount_identify(&m->f.fs, 3, &out), 0);
	assert_int_equal(m->f.live_allocations, 0);
	return out;
}

#define ROOT "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\n"
#define NFS4(options)                                                                   \
	ROOT "95 22 0:45 / /mnt/x rw,relatime shared:50 - nfs4 10.99.0.1:/ rw," options \
	     "rsize=131072,wsize=131072,namlen=255,hard,proto=tcp,timeo=600,retrans=2," \
	     "sec=sys,clientaddr=10.99.0.11,local_lock=none,addr=10.99.0.1\n"
#define NFS3(options)                                                            \
	ROOT "96 22 0:46 / /mnt/y rw,relatime - nfs 10.99.0.1:/srv/x rw,vers=3," \
	     "rsize=131072,namlen=255," options "proto=tcp,sec=sys,mountproto=udp,"

static void ext4_is_local_and_its_locks_are_true(void **state)
{
	struct mounted m;
	struct fsu_mount out;

	(void)state;
	mounted_init(&m, 0xef53, 8, 1, ROOT);
	out = identify(&m);
	assert_int_equal(out.kind, FSU_MOUNT_LOCAL);
	assert_string_equal(out.type, "ext4");
	assert_string_equal(out.source, "/dev/sda1");
	assert_string_equal(out.target, "/");
	assert_string_equal(out.options, "rw,errors=remount-ro");
	assert_false(out.read_only);
	assert_true(fsu_mount_locks_cluster_wide(&out));
}

static void nfs_4_2_is_told_by_its_options(void **state)
{
	struct mounted m;
	struct fsu_mount out;

	(void)state;
	mounted_init(&m, 0x6969, 0, 45, NFS4("vers=4.2,"));
	out = identify(&m);
	assert_int_equal(out.kind, FSU_MOUNT_NFS);
	assert_string_equal(out.type, "nfs4");
	assert_string_equal(out.source, "10.99.0.1:/");
	assert_int_equal(out.nfs_version, 4);
	assert_int_equal(out.nfs_minor, 2);
	assert_false(out.soft);
	assert_false(out.locks_local);
	assert_true(fsu_mount_locks_cluster_wide(&out));
}

static void nfs_3_is_told_by_its_options(void **state)
{
	struct mounted m;
	struct fsu_mount out;

	(void)state;
	mounted_init(&m, 0x6969, 0, 46, NFS3("hard,") "local_lock=none,addr=10.99.0.1\n");
	out = identify(&m);
	assert_int_equal(out.nfs_version, 3);
	assert_int_equal(out.nfs_minor, 0);
	assert_int_equal(out.lock_lease_ms, 0);
	assert_true(fsu_mount_locks_cluster_wide(&out));
}

static void locks_that_stay_on_this_host_are_not_trusted(void **state)
{
	static const char *const lines[] = {
		NFS3("hard,nolock,") "local_lock=all,addr=10.99.0.1\n",
		NFS3("hard,") "local_lock=all,addr=10.99.0.1\n",
		NFS3("hard,") "local_lock=posix,addr=10.99.0.1\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct mounted m;
		struct fsu_mount out;

		mounted_init(&m, 0x6969, 0, 46, lines[i]);
		out = identify(&m);
		assert_true(out.locks_local);
		assert_false(fsu_mount_locks_cluster_wide(&out));
	}
}

static void flock_alone_may_be_local(void **state)
{
	struct mounted m;
	struct fsu_mount out;

	(void)state;
	mounted_init(&m, 0x6969, 0, 46, NFS3("hard,") "local_lock=flock,addr=10.99.0.1\n");
	out = identify(&m);
	assert_true(fsu_mount_locks_cluster_wide(&out));
}

static void soft_mounts_are_told(void **state)
{
	static const char *const options[] = { NFS4("vers=4.1,soft,"), NFS4("vers=4.1,softerr,") };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct mounted m;
		struct fsu_mount out;

		mounted_init(&m, 0x6969, 0, 45, options[i]);
		out = identify(&m);
		assert_true(out.soft);
	}
	{
		/* "softreval" is something else. */
		struct mounted m;
		struct fsu_mount out;

		mounted_init(&m, 0x6969, 0, 45, NFS4("vers=4.1,softreval,"));
		out = identify(&m);
		assert_false(out.soft);
	}
}

#define STATS(target, lease)                                                       \
	"device /dev/sda1 mounted on / with fstype ext4\n"                         \
	"device 10.99.0.1:/ mounted on " target " with fstype nfs4 statvers=1.1\n" \
	"\topts:\trw,vers=4.2,rsize=131072,local_lock=none\n"                      \
	"\tage:\t38\n"                                                             \
	"\tcaps:\tcaps=0x3ffbffff,wtmult=512,dtsize=32768,bsize=0,namlen=255\n"    \
	"\tnfsv4:\tbm0=0xfdffbfff,bm1=0xf9be3e,bm2=0x68800,acl=0x3,sessions,"      \
	"pnfs=not configured,lease_time=" lease ",lease_expired=0\n"               \
	"\tsec:\tflavor=1,pseudoflavor=1\n"

static void the_servers_lease_comes_from_mountstats(void **state)
{
	struct mounted m;
	struct fsu_mount out;

	(void)state;
	mounted_init(&m, 0x6969, 0, 45, NFS4("vers=4.2,"));
	m.mountstats = STATS("/mnt/other", "7") STATS("/mnt/x", "90") STATS("/mnt/xy", "8");
	out = identify(&m);
	assert_int_equal(out.lock_lease_ms, 90000);
}

static void a_lease_that_is_not_told_is_not_known(void **state)
{
	struct mounted m;
	struct fsu_mount out;

	(void)state;
	mounted_init(&m, 0x6969, 0, 45, NFS4("vers=4.2,"));
	m.mountstats = STATS("/mnt/other", "7");
	out = identify(&m);
	assert_int_equal(out.lock_lease_ms, 0);
	m.mountstats_error = -EACCES;
	out = identify(&m);
	assert_int_equal(out.lock_lease_ms, 0);
	m.mountstats_error = 0;
	m.mountstats = STATS("/mnt/x", "99999999999999999999");
	out = identify(&m);
	assert_int_equal(out.lock_lease_ms, 0);
}

static void other_filesystems_are_told_by_type_and_number(void **state)
{
	static const struct {
		uint32_t magic;
		const char *mountinfo;
		enum fsu_mount_kind kind;
		const char *name;
		bool trusted;
	} cases[] = {
		{ 0x58465342, "30 22 0:30 / /m rw - xfs /dev/sdb rw\n", FSU_MOUNT_LOCAL, "local",
		  true },
		{ 0x01021994, "30 22 0:30 / /m rw - tmpfs tmpfs rw,size=9k\n", FSU_MOUNT_LOCAL,
		  "local", true },
		{ 0x00c36400, "30 22 0:30 / /m rw - ceph 10.0.0.1:6789:/ rw,name=a\n",
		  FSU_MOUNT_CEPH, "ceph", true },
		{ 0x65735546, "30 22 0:30 / /m rw - fuse.ceph-fuse ceph-fuse rw,user_id=0\n",
		  FSU_MOUNT_CEPH_FUSE, "ceph-fuse", true },
		{ 0x65735546, "30 22 0:30 / /m rw - fuse.ceph ceph rw,user_id=0\n",
		  FSU_MOUNT_CEPH_FUSE, "ceph-fuse", true },
		{ 0x65735546, "30 22 0:30 / /m rw - fuse.glusterfs host:/v rw,user_id=0\n",
		  FSU_MOUNT_OTHER, "other", false },
		{ 0xff534d42, "30 22 0:30 / /m rw - cifs //host/share rw,vers=3.1.1\n",
		  FSU_MOUNT_OTHER, "other", false },
		{ 0x794c7630, "30 22 0:30 / /m rw - overlay overlay rw,lowerdir=/a\n",
		  FSU_MOUNT_OVERLAY, "overlay", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mounted m;
		struct fsu_mount out;

		mounted_init(&m, cases[i].magic, 0, 30, cases[i].mountinfo);
		out = identify(&m);
		assert_int_equal(out.kind, cases[i].kind);
		assert_string_equal(fsu_mount_kind_name(out.kind), cases[i].name);
		assert_int_equal(fsu_mount_locks_cluster_wide(&out), cases[i].trusted);
		assert_int_equal(out.nfs_version, 0);
	}
}

static void a_read_only_mount_of_a_writable_filesystem_is_read_only(void **state)
{
	struct mounted m;
	struct fsu_mount out;

	(void)state;
	mounted_init(&m, 0xef53, 8, 1, "30 22 8:1 / /m ro,relatime - ext4 /dev/sda1 rw\n");
	out = identify(&m);
	assert_true(out.read_only);
	mounted_init(&m, 0xef53, 8, 1, "30 22 8:1 / /m rw,relatime - ext4 /dev/sda1 ro,x\n");
	out = identify(&m);
	assert_true(out.read_only);
}

static void blanks_in_names_are_unescaped(void **state)
{
	struct mounted m;
	struct fsu_mount out;

	(void)state;
	mounted_init(&m, 0xef53, 8, 1,
		     "30 22 8:1 / /a\\040b\\011c\\134d\\9 rw - ext4 /dev/my\\040disk rw\n");
	out = identify(&m);
	assert_string_equal(out.target, "/a b\tc\\d\\9");
	assert_string_equal(out.source, "/dev/my disk");
}

static void an_empty_source_does_not_shift_the_options(void **state)
{
	struct mounted m;
	struct fsu_mount out;

	(void)state;
	mounted_init(&m, 0x01021994, 0, 30, "30 22 0:30 / /m rw - tmpfs  ro,size=9k\n");
	out = identify(&m);
	assert_string_equal(out.source, "");
	assert_true(out.read_only);
}

static void the_number_of_the_mount_tells_mounts_of_one_device_apart(void **state)
{
	static const char text[] = "30 22 8:1 / /a ro - ext4 /dev/sda1 rw\n"
				   "31 22 8:1 / /b rw - ext4 /dev/sda1 rw\n";
	struct mounted m;
	struct fsu_mount out;

	(void)state;
	mounted_init(&m, 0xef53, 8, 1, text);
	m.mount_id = 30;
	out = identify(&m);
	assert_string_equal(out.target, "/a");
	m.mount_id = 0;
	out = identify(&m);
	assert_string_equal(out.target, "/b");
}

static void a_line_of_another_filesystem_is_not_believed(void **state)
{
	struct mounted m;
	struct fsu_mount out;

	(void)state;
	/* The number was used again between the two looks. */
	mounted_init(&m, 0x6969, 8, 1, ROOT);
	out = identify(&m);
	assert_int_equal(out.kind, FSU_MOUNT_NFS);
	assert_string_equal(out.target, "");
	assert_false(fsu_mount_locks_cluster_wide(&out)); /* without options nobody knows */
}

static void malformed_lines_are_passed_over(void **state)
{
	struct mounted m;
	struct fsu_mount out;

	(void)state;
	mounted_init(&m, 0xef53, 8, 1,
		     "\n"
		     "x\n"
		     "30 22 8:1 / /m rw ext4 /dev/sda1 rw\n"
		     "30 22 8:1 / /m rw - ext4\n"
		     "30 22 8-1 / /m rw - ext4 /dev/sda1 rw\n"
		     "-1 22 8:1 / /m rw - ext4 /dev/sda1 rw\n");
	out = identify(&m);
	assert_int_equal(out.kind, FSU_MOUNT_LOCAL);
	assert_string_equal(out.target, "");
}

static void without_proc_the_number_of_the_filesystem_has_to_do(void **state)
{
	struct mounted m;
	struct fsu_mount out;

	(void)state;
	mounted_init(&m, 0xef53, 8, 1, "");
	m.mountinfo_error = -ENOENT;
	out = identify(&m);
	assert_int_equal(out.kind, FSU_MOUNT_LOCAL);
	m.magic = 0x6969;
	out = identify(&m);
	assert_int_equal(out.kind, FSU_MOUNT_NFS);
	assert_false(fsu_mount_locks_cluster_wide(&out));
	m.magic = 12345;
	out = identify(&m);
	assert_int_equal(out.kind, FSU_MOUNT_OTHER);
	assert_string_equal(out.type, "unknown");
}

static void a_long_list_of_mounts_is_read_to_its_end(void **state)
{
	enum {
		LINES = 4000
	};
	static char text[LINES * 64 + 256];
	struct mounted m;
	struct fsu_mount out;
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; i < LINES; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n,
				      "%u 22 0:%u / /proc/%u rw - proc proc rw\n", 100 + i, 100 + i,
				      i);
	assert_true(n > 100000);
	(void)snprintf(text + n, sizeof(text) - n, "%s", NFS4("vers=4.2,"));
	mounted_init(&m, 0x6969, 0, 45, text);
	out = identify(&m);
	assert_int_equal(out.nfs_version, 4);
}

static void values_that_are_too_long_are_cut_off(void **state)
{
	static char text[4096], name[1001];
	struct mounted m;
	struct fsu_mount out;

	(void)state;
	memset(name, 'a', sizeof(name) - 1);
	(void)snprintf(text, sizeof(text), "30 22 8:1 / /%s rw - ext4 /%s rw,%s\n", name, name,
		       name);
	mounted_init(&m, 0xef53, 8, 1, text);
	out = identify(&m);
	assert_int_equal(strlen(out.target), sizeof(out.target) - 1);
	assert_int_equal(strlen(out.source), sizeof(out.source) - 1);
	assert_int_equal(strlen(out.options), sizeof(out.options) - 1);
}

static void failures_are_reported(void **state)
{
	struct mounted m;
	struct fsu_mount out;

	(void)state;
	mounted_init(&m, 0xef53, 8, 1, ROOT);
	m.fstatfs_error = -ESTALE;
	assert_int_equal(fsu_mount_identify(&m.f.fs, 3, &out), -ESTALE);
	mounted_init(&m, 0xef53, 8, 1, ROOT);
	faulty_arm(&m.f, ALLOC, 0, ENOMEM, NOT_DONE);
	assert_int_equal(fsu_mount_identify(&m.f.fs, 3, &out), -ENOMEM);
	mounted_init(&m, 0x6969, 0, 45, NFS4("vers=4.2,"));
	faulty_arm(&m.f, ALLOC, 1, ENOMEM, NOT_DONE);
	assert_int_equal(fsu_mount_identify(&m.f.fs, 3, &out), -ENOMEM);
	assert_int_equal(m.f.live_allocations, 0);
}

static void the_real_temporary_directory_is_found_in_mountinfo(void **state)
{
	struct fixture *x = *state;
	struct fsu_mount out;

	assert_int_equal(fsu_mount_identify(&fsu_posix, x->fd, &out), 0);
	assert_string_not_equal(out.target, "");
	assert_string_not_equal(out.type, "unknown");
	assert_int_equal(strncmp(x->path, out.target, strlen(out.target)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ext4_is_local_and_its_locks_are_true),
		cmocka_unit_test(nfs_4_2_is_told_by_its_options),
		cmocka_unit_test(nfs_3_is_told_by_its_options),
		cmocka_unit_test(locks_that_stay_on_this_host_are_not_trusted),
		cmocka_unit_test(flock_alone_may_be_local),
		cmocka_unit_test(soft_mounts_are_told),
		cmocka_unit_test(the_servers_lease_comes_from_mountstats),
		cmocka_unit_test(a_lease_that_is_not_told_is_not_known),
		cmocka_unit_test(other_filesystems_are_told_by_type_and_number),
		cmocka_unit_test(a_read_only_mount_of_a_writable_filesystem_is_read_only),
		cmocka_unit_test(blanks_in_names_are_unescaped),
		cmocka_unit_test(an_empty_source_does_not_shift_the_options),
		cmocka_unit_test(the_number_of_the_mount_tells_mounts_of_one_device_apart),
		cmocka_unit_test(a_line_of_another_filesystem_is_not_believed),
		cmocka_unit_test(malformed_lines_are_passed_over),
		cmocka_unit_test(without_proc_the_number_of_the_filesystem_has_to_do),
		cmocka_unit_test(a_long_list_of_mounts_is_read_to_its_end),
		cmocka_unit_test(values_that_are_too_long_are_cut_off),
		cmocka_unit_test(failures_are_reported),
		test_in_directory(the_real_temporary_directory_is_found_in_mountinfo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
