/*
 * The fence: after a tenure directory was emptied and removed, nothing can be published out of it
 * or made in it, neither by its path nor through a descriptor that was opened before. This is what
 * the promise rests on.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fsutil/fsu_file.h"
#include "src/doctor/visit.h"

#define ADVICE "do not use this filesystem for fsha: a leader that was replaced could still publish"

/* fence/tenure with a staged file x and a descriptor of it, fence/trash, fence/store with z. */
struct fence {
	int dir_fd; /* of the tenure; -1 */
	int file_fd;
};

static int set_up(struct doctor *d, struct fence *ret_fence)
{
	struct fence f = { .dir_fd = -1, .file_fd = -1 };
	int r = doctor_room_make(d, "fence");

	if (r == 0)
		r = doctor_room_make(d, "fence/tenure");
	if (r == 0)
		r = doctor_room_make(d, "fence/trash");
	if (r == 0)
		r = doctor_room_make(d, "fence/store");
	if (r == 0)
		r = doctor_file_make(d, "fence/tenure/x");
	if (r == 0)
		r = doctor_file_make(d, "fence/store/z");
	if (r == 0)
		r = f.dir_fd = fsu_dir_open(d->fs, d->work_fd, "fence/tenure");
	if (r >= 0)
		r = f.file_fd = fsu_openat(d->fs, d->work_fd, "fence/tenure/x",
					   O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0);
	*ret_fence = f;
	return r < 0 ? r : 0;
}

static void close_file(struct doctor *d, struct fence *f)
{
	if (f->file_fd >= 0)
		(void)fsu_close(d->fs, f->file_fd); /* nothing was written to it */
	f->file_fd = -1;
}

static void take_down(struct doctor *d, struct fence *f)
{
	close_file(d, f);
	if (f->dir_fd >= 0)
		(void)fsu_close(d->fs, f->dir_fd); /* a directory */
	for (const char *const *name = (const char *const[]){ "fence/tenure", "fence/trash",
							      "fence/store", "fence", NULL };
	     *name; name++)
		doctor_room_remove(d, *name);
}

/* As a successor does it: what is in there goes to the trash, then rmdir. */
static int put_up(struct doctor *d)
{
	int r = fsu_renameat(d->fs, d->work_fd, "fence/tenure/x", d->work_fd, "fence/trash/x");

	return r < 0 ? r : fsu_unlinkat(d->fs, d->work_fd, "fence/tenure", AT_REMOVEDIR);
}

static int made(struct doctor *d, int fd)
{
	return fd < 0 ? fd : fsu_close(d->fs, fd);
}

/* What a fenced leader may still have on its way. */
struct attempt {
	const char *what;
	int result;
};
#define ATTEMPTS 4

static void attempt_all(struct doctor *d, int fd, const char *prefix, struct attempt *ret_attempts)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	char x[64], y[64], z[64], sub[64];
	const struct fsu *fs = d->fs;

	(void)snprintf(x, sizeof(x), "%sx", prefix);
	(void)snprintf(y, sizeof(y), "%sy", prefix);
	(void)snprintf(z, sizeof(z), "%sz", prefix);
	(void)snprintf(sub, sizeof(sub), "%ssub", prefix);
	ret_attempts[0] = (struct attempt){ "publish a staged file",
					    fsu_renameat(fs, fd, x, d->work_fd, "fence/store/x") };
	ret_attempts[1] = (struct attempt){ "stage a new file",
					    made(d, fsu_openat(fs, fd, y, flags, FSU_FILE_MODE)) };
	ret_attempts[2] = (struct attempt){ "take a file out of a store",
					    fsu_renameat(fs, d->work_fd, "fence/store/z", fd, z) };
	ret_attempts[3] =
		(struct attempt){ "make a directory", fsu_mkdirat(fs, fd, sub, FSU_DIR_MODE) };
}

static void judge(struct doctor *d, const struct attempt *attempts, const char *how)
{
	for (size_t i = 0; i < ATTEMPTS; i++) {
		const int r = attempts[i].result;

		if (r == 0)
			doctor_say(d, DOCTOR_FAIL, ADVICE,
				   "in a directory that was removed one can still %s, %s",
				   attempts[i].what, how);
		else if (r != -ENOENT && r != -ESTALE)
			doctor_say(
				d, DOCTOR_WARN,
				"run 'fsha doctor' again; if it stays so, use another filesystem",
				"in a directory that was removed one cannot %s, %s, but for an odd "
				"reason: %s",
				attempts[i].what, how, strerrordesc_np(-r));
		else
			continue;
		return;
	}
	doctor_ok(d, "nothing is published out of or made in a directory that was removed, %s",
		  how);
}

static void fence(struct doctor *d, bool by_descriptor)
{
	struct attempt attempts[ATTEMPTS];
	struct fence f;
	int r = set_up(d, &f);

	close_file(d, &f);
	if (r == 0)
		r = put_up(d);
	if (r < 0) {
		doctor_failed(d, "empty a directory and remove it", r);
	} else if (by_descriptor) {
		attempt_all(d, f.dir_fd, "", attempts);
		judge(d, attempts, "through its descriptor");
	} else {
		attempt_all(d, d->work_fd, "fence/tenure/", attempts);
		judge(d, attempts, "by its path");
	}
	take_down(d, &f);
}

static void fence_path(struct doctor *d)
{
	fence(d, false);
}

/* *Measured*: ceph-fuse answers for a descriptor of a removed directory after 5 s, or never. */
static void fence_descriptor(struct doctor *d)
{
	if (d->mount.kind == FSU_MOUNT_CEPH_FUSE)
		doctor_ok(d, "not tried on ceph-fuse, which may hang; fsha goes by paths");
	else
		fence(d, true);
}

/* *Measured* on NFS: a file that is open cannot be unlinked there, so it is moved. */
static void fence_open_file(struct doctor *d)
{
	struct fence f;
	int r = set_up(d, &f);

	if (r < 0) {
		doctor_failed(d, "stage a file", r);
		take_down(d, &f);
		return;
	}
	r = put_up(d);
	if (r < 0)
		doctor_say(d, DOCTOR_FAIL, ADVICE,
			   "a directory cannot be emptied and removed while a file of it is open: "
			   "%s",
			   strerrordesc_np(-r));
	else
		doctor_ok(d, "a leader is fenced also while it has a staged file open");
	take_down(d, &f);
}

static const struct doctor_check checks[] = {
	{ "fence-path", fence_path, true },
	{ "fence-descriptor", fence_descriptor, true },
	{ "fence-open-file", fence_open_file, true },
};
DOCTOR_ROOM(doctor_fence, checks);
