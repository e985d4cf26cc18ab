/* Content, and how long it takes to make it last. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fsutil/fsu_file.h"
#include "src/doctor/visit.h"

#define SIZE 65551 /* more than a page or a request, and odd */
#define COMMITS 5
#define COMMITS_NS (FSU_NS_PER_S * 3 / 2)
#define SLOW_NS FSU_NS_PER_S
#define ADVICE "look at the disk, the server and its load"

static double ms(int64_t ns)
{
	return (double)ns / (double)FSU_NS_PER_MS;
}

static void fill(uint8_t *data)
{
	for (size_t i = 0; i < SIZE; i++)
		data[i] = (uint8_t)(i * 31 + (i >> 8));
}

static void content(struct doctor *d)
{
	const char *op = "make";
	uint8_t *data = fsu_alloc(d->fs, SIZE), *back = NULL;
	size_t len = 0;
	int r;

	if (!data) {
		doctor_failed(d, "write a file", -ENOMEM);
		return;
	}
	fill(data);
	r = fsu_file_stage(d->fs, d->work_fd, "content", data, SIZE, &op);
	if (r == 0) {
		op = "read";
		r = fsu_file_read(d->fs, d->work_fd, "content", 2 * SIZE, &back, &len);
	}
	if (r < 0)
		doctor_say(d, DOCTOR_FAIL, ADVICE, "cannot %s a file of %d bytes: %s", op, SIZE,
			   strerrordesc_np(-r));
	else if (len != SIZE || memcmp(data, back, SIZE) != 0)
		doctor_say(d, DOCTOR_FAIL, "do not trust this storage with anything",
			   "what was written did not come back");
	else
		doctor_ok(d, "what is written comes back");
	fsu_release(d->fs, back);
	fsu_release(d->fs, data);
	(void)fsu_unlinkat(d->fs, d->work_fd, "content", 0); /* it goes with the rest otherwise */
}

static void judge_time(struct doctor *d, const char *what, int r, int64_t took_ns)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "sync %s", what);
	if (r < 0)
		doctor_failed(d, text, r);
	else if (took_ns > SLOW_NS)
		doctor_say(d, DOCTOR_WARN, ADVICE, "fsync of %s took %.0f ms", what, ms(took_ns));
	else
		doctor_ok(d, "fsync of %s takes %.2f ms", what, ms(took_ns));
}

static void fsync_file(struct doctor *d)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = fsu_openat(d->fs, d->work_fd, "sync", flags, FSU_FILE_MODE);
	int r = fd < 0 ? fd : 0;
	int64_t begun_ns = fsu_now_ns(d->fs);

	if (r == 0) {
		ssize_t n = fsu_write(d->fs, fd, "fsha", 4);

		r = n < 0 ? (int)n : fsu_fsync(d->fs, fd);
	}
	judge_time(d, "a file", r, fsu_now_ns(d->fs) - begun_ns);
	if (fd >= 0)
		(void)fsu_close(d->fs, fd);               /* whatever becomes of the content */
	(void)fsu_unlinkat(d->fs, d->work_fd, "sync", 0); /* it goes with the rest otherwise */
}

static void fsync_directory(struct doctor *d)
{
	int64_t begun_ns;
	int r = doctor_file_make(d, "dirsync");

	begun_ns = fsu_now_ns(d->fs);
	if (r == 0)
		r = fsu_dir_sync(d->fs, d->work_fd, "");
	judge_time(d, "a directory", r, fsu_now_ns(d->fs) - begun_ns);
	(void)fsu_unlinkat(d->fs, d->work_fd, "dirsync", 0); /* it goes with the rest otherwise */
}

/* As a leader publishes: staged, synced, renamed, the store's directory synced. */
static int commit(struct doctor *d, int i)
{
	static const uint8_t data[4096];
	char from[32], to[32];
	int r;

	(void)snprintf(from, sizeof(from), "commit/tenure/%d", i);
	(void)snprintf(to, sizeof(to), "commit/store/%d", i);
	r = fsu_file_stage(d->fs, d->work_fd, from, data, sizeof(data), NULL);
	if (r == 0)
		r = fsu_renameat(d->fs, d->work_fd, from, d->work_fd, to);
	if (r == 0)
		r = fsu_dir_sync(d->fs, d->work_fd, "commit/store");
	return r;
}

/* The best of a few: the first ones pay for what later ones find in a cache. */
static int measure(struct doctor *d, int64_t *ret_ns)
{
	const int64_t begun_ns = fsu_now_ns(d->fs);
	int r = doctor_room_make(d, "commit");

	if (r == 0)
		r = doctor_room_make(d, "commit/tenure");
	if (r == 0)
		r = doctor_room_make(d, "commit/store");
	*ret_ns = INT64_MAX;
	for (int i = 0; r == 0 && i < COMMITS; i++) {
		const int64_t since_ns = fsu_now_ns(d->fs);

		r = commit(d, i);
		if (fsu_now_ns(d->fs) - since_ns < *ret_ns)
			*ret_ns = fsu_now_ns(d->fs) - since_ns;
		if (fsu_now_ns(d->fs) - begun_ns > COMMITS_NS)
			break;
	}
	return r;
}

/* A heartbeat comes each fifth of a lease; a tenth of that is what it may take in comfort. */
static void commit_speed(struct doctor *d)
{
	const int64_t enough_ns = (int64_t)d->lease_ms * FSU_NS_PER_MS / 50;
	int64_t took_ns;
	int r = measure(d, &took_ns);

	if (r < 0) {
		doctor_failed(d, "publish a file", r);
	} else {
		d->commit_ns = took_ns;
		if (took_ns > enough_ns)
			doctor_say(d, DOCTOR_WARN,
				   "choose a longer lease (high-availability.filesystem.lease), or "
				   "faster storage",
				   "a commit takes %.0f ms, much for a lease of %g s: leaders may "
				   "change for nothing",
				   ms(took_ns), d->lease_ms / 1000.0);
		else
			doctor_ok(d, "a commit takes %.2f ms", ms(took_ns));
	}
	doctor_room_remove(d, "commit/tenure");
	doctor_room_remove(d, "commit/store");
	doctor_room_remove(d, "commit");
}

static const struct doctor_check checks[] = {
	{ "content", content, true },
	{ "fsync-file", fsync_file, true },
	{ "fsync-directory", fsync_directory, true },
	{ "commit-speed", commit_speed, true },
};
DOCTOR_ROOM(doctor_data, checks);
