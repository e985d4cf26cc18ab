/*
 * /proc/self/mountinfo and mountstats: text that other users have a part in, since it holds the
 * names of directories. An input is the one, a zero byte, the other.
 */
#include <string.h>
#include <sys/sysmacros.h>

#include "fsutil/fsu_mount.h"
#include "tests/fuzz/fuzz.h"

#define MEMORY ((size_t)17 << 20) /* the longest text that is read */

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
	(void)seed;
	return LLVMFuzzerMutate(data, size, size_max);
}

static struct {
	const uint8_t *info, *stats;
	size_t info_len, stats_len;
	uint32_t magic;
	bool numbered; /* the kernel tells the number of the mount */
} input;

static ssize_t give(const uint8_t *text, size_t text_len, char *buf, size_t len)
{
	size_t n = text_len < len ? text_len : len;

	if (n > 0)
		memcpy(buf, text, n);
	return (ssize_t)n;
}

static ssize_t give_info(void *ctx, char *buf, size_t len)
{
	(void)ctx;
	return give(input.info, input.info_len, buf, len);
}

static ssize_t give_stats(void *ctx, char *buf, size_t len)
{
	(void)ctx;
	return give(input.stats, input.stats_len, buf, len);
}

static int give_statfs(void *ctx, int fd, struct statfs *ret_statfs)
{
	(void)ctx;
	(void)fd;
	*ret_statfs = (struct statfs){ .f_type = (__fsword_t)input.magic };
	return 0;
}

static int give_statx(void *ctx, int dirfd, const char *path, int flags, unsigned mask,
		      struct statx *ret_stat)
{
	(void)ctx;
	(void)dirfd;
	(void)path;
	(void)flags;
	(void)mask;
	*ret_stat = (struct statx){ .stx_mode = S_IFDIR | 0700 };
	ret_stat->stx_dev_major = 0;
	ret_stat->stx_dev_minor = 50;
#ifdef STATX_MNT_ID
	ret_stat->stx_mask = input.numbered ? STATX_MNT_ID : 0;
	ret_stat->stx_mnt_id = 42;
#endif
	return 0;
}

static void check_text(const char *text, size_t size)
{
	FUZZ_CHECK(memchr(text, '\0', size));
}

static void identify(const struct fsu *fs, uint32_t magic, bool numbered)
{
	struct fsu_mount mount;

	input.magic = magic;
	input.numbered = numbered;
	FUZZ_CHECK(fsu_mount_identify(fs, 3, &mount) == 0);
	check_text(mount.type, sizeof(mount.type));
	check_text(mount.source, sizeof(mount.source));
	check_text(mount.target, sizeof(mount.target));
	check_text(mount.options, sizeof(mount.options));
	FUZZ_CHECK(mount.nfs_version == 0 || mount.kind == FSU_MOUNT_NFS);
	FUZZ_CHECK(mount.lock_lease_ms == 0 || mount.nfs_version >= 4);
	FUZZ_CHECK(strlen(fsu_mount_kind_name(mount.kind)) > 0);
	(void)fsu_mount_locks_cluster_wide(&mount);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fsu_ops ops;
	const struct fsu fs = { &ops, NULL };
	const uint8_t *end = size > 0 ? memchr(data, '\0', size) : NULL;

	fuzz_begin(MEMORY);
	input.info = data;
	input.info_len = end ? (size_t)(end - data) : size;
	input.stats = data + input.info_len;
	input.stats_len = size - input.info_len;
	if (end) {
		input.stats++;
		input.stats_len--;
	}
	ops = *fuzz_table()->ops;
	ops.mountinfo = give_info;
	ops.mountstats = give_stats;
	ops.fstatfs = give_statfs;
	ops.statx = give_statx;
	identify(&fs, 0x6969, true); /* NFS */
	identify(&fs, 0x6969, false);
	identify(&fs, 0x65735546, false); /* FUSE */
	identify(&fs, 0xef53, true);      /* ext4 */
	fuzz_end();
	return 0;
}
