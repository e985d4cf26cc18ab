#include "src/member/info.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "fsutil/fsu_file.h"
#include "src/result/error.h"

#define FLAG_LOCKS 1u
#define FLAG_LOCAL 2u

/*
 * The kernel gives a fresh one to every boot. For people: two members of one host before and after
 * a reboot.
 */
static void read_boot_id(const struct fsu *fs, char *text, size_t size)
{
	int fd = fsu_openat(fs, AT_FDCWD, "/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC,
			    0);
	ssize_t n;

	text[0] = '\0';
	if (fd < 0)
		return;
	n = fsu_pread(fs, fd, text, size - 1, 0);
	(void)fsu_close(fs, fd); /* opened for reading */
	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
}

void info_of_process(char *ret_host, uint32_t *ret_pid)
{
	struct utsname name;

	ret_host[0] = '\0';
	if (uname(&name) == 0)
		(void)snprintf(ret_host, INFO_HOST_SIZE, "%s", name.nodename);
	*ret_pid = (uint32_t)getpid();
}

void info_collect(const struct cluster *cluster, struct member_info *ret_info)
{
	struct member_info info = { .pid = 0 };

	_Static_assert(sizeof(info.host) == INFO_HOST_SIZE, "it is filled by that size");
	info_of_process(info.host, &info.pid);
	read_boot_id(cluster->fs, info.boot_id, sizeof(info.boot_id));
	(void)snprintf(info.version, sizeof(info.version), "%s", fsha_library_version());
	info.started_wall_ns = fsu_wall_ns(cluster->fs);
	info.locks_cluster_wide = fsu_mount_locks_cluster_wide(&cluster->mount);
	info.local = cluster->local;
	*ret_info = info;
}

ssize_t info_encode(const struct member_info *info, uint8_t *buf, size_t size)
{
	struct fsu_writer w = { .buf = buf, .size = size };

	fsu_put_u32(&w, info->pid);
	fsu_put_u64(&w, (uint64_t)info->started_wall_ns);
	fsu_put_u32(&w,
		    (info->locks_cluster_wide ? FLAG_LOCKS : 0) | (info->local ? FLAG_LOCAL : 0));
	fsu_put_bytes(&w, info->host, strlen(info->host));
	fsu_put_bytes(&w, info->boot_id, strlen(info->boot_id));
	fsu_put_bytes(&w, info->version, strlen(info->version));
	return w.error ? w.error : (ssize_t)w.len;
}

int info_decode(const uint8_t *buf, size_t len, struct member_info *ret_info)
{
	struct fsu_reader r = { .buf = buf, .size = len };
	struct member_info info = { .pid = 0 };
	uint32_t flags;

	info.pid = fsu_get_u32(&r);
	info.started_wall_ns = (int64_t)fsu_get_u64(&r);
	flags = fsu_get_u32(&r);
	fsu_get_text(&r, info.host, sizeof(info.host));
	fsu_get_text(&r, info.boot_id, sizeof(info.boot_id));
	fsu_get_text(&r, info.version, sizeof(info.version));
	if (fsu_reader_end(&r) < 0 || (flags & ~(FLAG_LOCKS | FLAG_LOCAL)))
		return -EBADMSG;
	info.locks_cluster_wide = flags & FLAG_LOCKS;
	info.local = flags & FLAG_LOCAL;
	*ret_info = info;
	return 0;
}
