#include "src/doctor/visit.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fsutil/fsu_file.h"
#include "src/cluster/layout.h"
#include "src/member/info.h"

void doctor_say(struct doctor *d, enum doctor_grade grade, const char *advice, const char *format,
		...)
{
	struct doctor_finding finding = { .check = d->check, .grade = grade, .advice = advice };
	va_list args;

	va_start(args, format);
	(void)vsnprintf(finding.text, sizeof(finding.text), format, args);
	va_end(args);
	d->told++;
	d->summary.findings[grade]++;
	if (d->options->tell)
		d->options->tell(d->options->ctx, &finding);
}

/* What a person can do about it; most of it is the same for every check. */
static const char *advice_for(int negative_errno)
{
	switch (-negative_errno) {
	case EACCES:
	case EPERM:
		return "give this user the right to read, write and search the directory, and run "
		       "the doctor as the user that fsha runs as";
	case EROFS:
		return "mount it read-write";
	case ENOSPC:
		return "make room: fsha writes a new file for every change";
	case EDQUOT:
		return "raise the quota of this user, group or directory";
	case ESTALE:
	case ENOENT:
		return "something removes files here while they are in use: find out who, and keep "
		       "it away";
	case EIO:
	case ETIMEDOUT:
	case ESHUTDOWN:
	case ENOTCONN:
		return "the storage or the way to it is broken: look at the kernel log of this "
		       "host "
		       "and of the file server";
	case EOPNOTSUPP:
	case ENOSYS:
	case EINVAL:
		return "this filesystem cannot do what fsha needs: use a local one, NFSv4.1 or "
		       "4.2, "
		       "or CephFS";
	default:
		return "look at the kernel log of this host and of the file server";
	}
}

void doctor_failed(struct doctor *d, const char *what, int negative_errno)
{
	doctor_say(d, DOCTOR_FAIL, advice_for(negative_errno), "cannot %s: %s", what,
		   strerrordesc_np(-negative_errno));
}

int doctor_room_make(struct doctor *d, const char *name)
{
	return fsu_mkdirat(d->fs, d->work_fd, name, FSU_DIR_MODE);
}

void doctor_room_remove(struct doctor *d, const char *name)
{
	layout_remove_tree(d->fs, d->work_fd, name);
}

int doctor_file_make(struct doctor *d, const char *path)
{
	int fd = fsu_openat(d->fs, d->work_fd, path,
			    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FSU_FILE_MODE);

	return fd < 0 ? fd : fsu_close(d->fs, fd);
}

int doctor_exists(struct doctor *d, const char *path)
{
	struct fsu_stamp stamp;
	struct statx st;
	int r;

	/* Rule two of the protocol: revalidate the directory before an absence is believed. */
	(void)fsu_stamp_read(d->fs, d->work_fd, "", &stamp);
	r = fsu_statx(d->fs, d->work_fd, path, AT_SYMLINK_NOFOLLOW | AT_STATX_FORCE_SYNC,
		      STATX_TYPE, &st);
	if (r == -ENOENT || r == -ESTALE)
		return 0;
	return r < 0 ? r : 1;
}

void doctor_read_text(const struct fsu *fs, const char *path, char *ret_text, size_t size)
{
	int fd = fsu_openat(fs, AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0);
	ssize_t n;

	ret_text[0] = '\0';
	if (fd < 0)
		return;
	n = fsu_pread(fs, fd, ret_text, size - 1, 0);
	(void)fsu_close(fs, fd); /* opened for reading */
	ret_text[n > 0 ? n : 0] = '\0';
	ret_text[strcspn(ret_text, "\n")] = '\0';
}

void doctor_host(const struct doctor *d, char *ret_host)
{
	uint32_t pid;

	if (d->options->host)
		(void)snprintf(ret_host, INFO_HOST_SIZE, "%s", d->options->host);
	else
		info_of_process(ret_host, &pid);
}
