/* Locks: by them the end of a process is seen at once. They are never what keeps two leaders apart.
 */
#include <errno.h>
#include <string.h>

#include "fsutil/fsu_file.h"
#include "src/doctor/visit.h"

#define FILE_NAME "lock"
#define ADVICE                                                                                   \
	"switch locks on at the server and on this host (lockd, rpc.statd, the mount options), " \
	"or use another filesystem"

/* Two open file descriptions of one file. */
struct pair {
	int one, two; /* -1 */
};

static int open_lock(struct doctor *d)
{
	return fsu_openat(d->fs, d->work_fd, FILE_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
			  FSU_FILE_MODE);
}

static int pair_open(struct doctor *d, struct pair *ret_pair)
{
	ret_pair->two = -1;
	ret_pair->one = open_lock(d);
	if (ret_pair->one >= 0)
		ret_pair->two = open_lock(d);
	return ret_pair->one < 0 ? ret_pair->one : ret_pair->two < 0 ? ret_pair->two : 0;
}

static void shut(struct doctor *d, int *fd)
{
	if (*fd >= 0)
		(void)fsu_close(d->fs, *fd); /* nothing was written to it */
	*fd = -1;
}

static void pair_close(struct doctor *d, struct pair *p)
{
	shut(d, &p->one);
	shut(d, &p->two);
	(void)fsu_unlinkat(d->fs, d->work_fd, FILE_NAME, 0); /* it goes with the rest otherwise */
}

/* 0: taken, -EAGAIN: somebody else has it. */
static int take(struct doctor *d, int fd, int command)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int r = fsu_lock(d->fs, fd, command, &lock);

	return r == -EACCES ? -EAGAIN : r;
}

static void cannot_lock(struct doctor *d, int r)
{
	doctor_say(d, DOCTOR_FAIL, ADVICE, "files cannot be locked: %s", strerrordesc_np(-r));
}

static void lock_exclusive(struct doctor *d)
{
	struct pair p;
	int r = pair_open(d, &p), held, second;

	if (r == 0)
		r = take(d, p.one, F_OFD_SETLK);
	if (r < 0) {
		cannot_lock(d, r);
		pair_close(d, &p);
		return;
	}
	held = fsu_lock_is_held(d->fs, p.two);
	second = take(d, p.two, F_OFD_SETLK);
	if (second == 0)
		doctor_say(d, DOCTOR_FAIL, ADVICE,
			   "two descriptors got one write lock: locks do nothing here");
	else if (second != -EAGAIN)
		cannot_lock(d, second);
	else if (held != 1)
		doctor_say(d, DOCTOR_WARN, ADVICE,
			   "a lock that is held is not seen by asking (F_OFD_GETLK): heartbeats "
			   "alone count");
	else
		doctor_ok(d, "a write lock (OFD) is had by one, and seen by the others");
	pair_close(d, &p);
}

/* A process that ends closes its files: that must be enough. */
static void lock_release(struct doctor *d)
{
	struct pair p;
	int r = pair_open(d, &p);

	if (r == 0)
		r = take(d, p.one, F_OFD_SETLK);
	if (r < 0) {
		cannot_lock(d, r);
	} else {
		shut(d, &p.one);
		r = take(d, p.two, F_OFD_SETLK);
		if (r == 0)
			doctor_ok(d, "a close sets the lock free");
		else
			doctor_say(d, DOCTOR_WARN, ADVICE,
				   "a lock stays after its file was closed (%s): the end of a "
				   "process is seen after 1.25 leases of silence",
				   strerrordesc_np(-r));
	}
	pair_close(d, &p);
}

/* POSIX locks go with any close; those of descriptions must not. */
static void lock_close(struct doctor *d)
{
	struct pair p;
	int r = pair_open(d, &p), third;

	if (r == 0)
		r = take(d, p.one, F_OFD_SETLK);
	third = r == 0 ? open_lock(d) : -1;
	shut(d, &third);
	if (r < 0)
		cannot_lock(d, r);
	else if (take(d, p.two, F_OFD_SETLK) == 0)
		doctor_say(d, DOCTOR_FAIL,
			   "use a kernel since 3.15, and a filesystem with locks of open file "
			   "descriptions",
			   "a lock goes when any other descriptor of its file is closed");
	else
		doctor_ok(d, "a lock stays when another descriptor of its file is closed");
	pair_close(d, &p);
}

/* Other programs go by these; fsha does not. The two kinds exclude each other. */
static void lock_posix(struct doctor *d)
{
	struct pair p;
	int r = pair_open(d, &p), refused = 0;

	if (r == 0)
		r = take(d, p.one, F_OFD_SETLK);
	if (r == 0)
		refused = take(d, p.two, F_SETLK);
	shut(d, &p.one);
	if (r == 0)
		r = take(d, p.two, F_SETLK);
	if (refused == 0 && r == 0)
		doctor_say(d, DOCTOR_WARN,
			   "see that other programs do not share files with fsha by such locks",
			   "POSIX locks do not exclude those of descriptions");
	else if (r < 0 || refused != -EAGAIN)
		doctor_say(d, DOCTOR_WARN,
			   "fsha needs none of them; see whether other programs here do",
			   "POSIX locks do not work: %s", strerrordesc_np(r < 0 ? -r : -refused));
	else
		doctor_ok(d, "POSIX locks work too, and exclude the others");
	pair_close(d, &p);
}

static const struct doctor_check checks[] = {
	{ "lock-exclusive", lock_exclusive, true },
	{ "lock-release", lock_release, true },
	{ "lock-close", lock_close, true },
	{ "lock-posix", lock_posix, true },
};
DOCTOR_ROOM(doctor_locks, checks);
