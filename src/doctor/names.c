/*
 * Names: what is made is there, once; what is renamed is under one name, and only one of two who
 * rename it wins; a listing shows it all. The election is made of this.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fsutil/fsu_list.h"
#include "src/doctor/visit.h"

#define NAME_LENGTH 255 /* the longest that fsha makes: quarantine/ */
#define MANY 100
#define ADVICE \
	"use another filesystem: elections rest on this (a local one, NFSv4.1 or 4.2, CephFS)"

static int rename_here(struct doctor *d, const char *from, const char *to)
{
	return fsu_renameat(d->fs, d->work_fd, from, d->work_fd, to);
}

static void create_exclusive(struct doctor *d)
{
	int r = doctor_file_make(d, "once");

	if (r < 0) {
		doctor_failed(d, "make a file", r);
		return;
	}
	r = doctor_file_make(d, "once");
	if (r == -EEXIST)
		doctor_ok(d, "of two who make one name (O_EXCL), one is refused");
	else
		doctor_say(d, DOCTOR_FAIL, ADVICE,
			   "of two who make one name (O_EXCL), the second was told: %s",
			   r == 0 ? "done" : strerrordesc_np(-r));
	(void)fsu_unlinkat(d->fs, d->work_fd, "once", 0); /* it goes with the rest otherwise */
}

static void name_length(struct doctor *d)
{
	char name[NAME_LENGTH + 1];
	int r;

	memset(name, 'n', NAME_LENGTH);
	name[NAME_LENGTH] = '\0';
	r = doctor_file_make(d, name);
	if (r == -ENAMETOOLONG)
		doctor_say(d, DOCTOR_FAIL, "use a filesystem whose names have 255 bytes",
			   "names of %d bytes are too long here", NAME_LENGTH);
	else if (r < 0)
		doctor_failed(d, "make a file with a long name", r);
	else
		doctor_ok(d, "names may have %d bytes", NAME_LENGTH);
	(void)fsu_unlinkat(d->fs, d->work_fd, name, 0); /* it goes with the rest otherwise */
}

/* Is a name in the listing as it was given? */
static int is_listed(struct doctor *d, const char *dir, const char *name)
{
	struct fsu_list list;
	int r;

	fsu_list_init(&list, d->fs);
	r = fsu_list_read(&list, d->work_fd, dir, false, FSU_NS_PER_S / 10);
	if (r == 0)
		r = fsu_list_has(&list, name);
	fsu_list_done(&list);
	return r;
}

static void judge_bytes(struct doctor *d, const char *name)
{
	int listed = is_listed(d, "bytes", name);
	int other = doctor_exists(d, "bytes/NAME@x~y%2E.");

	if (listed < 0 || other < 0)
		doctor_failed(d, "look at a name", listed < 0 ? listed : other);
	else if (!listed)
		doctor_say(d, DOCTOR_FAIL, ADVICE, "a name with @, ~ and %% is changed on its way");
	else if (other)
		doctor_say(d, DOCTOR_FAIL, "switch case folding off for this directory",
			   "names in upper and lower case are the same here");
	else
		doctor_ok(d, "names are kept byte for byte, upper and lower case apart");
}

static void name_bytes(struct doctor *d)
{
	static const char name[] = "name@x~y%2E.";
	int r = doctor_room_make(d, "bytes");

	if (r == 0)
		r = doctor_file_make(d, "bytes/name@x~y%2E.");
	if (r < 0)
		doctor_failed(d, "make a file with @, ~ and % in its name", r);
	else
		judge_bytes(d, name);
	doctor_room_remove(d, "bytes");
}

static void judge_rename(struct doctor *d, int again)
{
	int old = doctor_exists(d, "name/a"), new = doctor_exists(d, "name/b");
	int third = doctor_exists(d, "name/c");

	if (old < 0 || new < 0 || third < 0)
		doctor_failed(d, "look at a name", old < 0 ? old : new < 0 ? new : third);
	else if (again == 0 || third)
		doctor_say(d, DOCTOR_FAIL, ADVICE,
			   "one name was renamed twice: two candidates would win one election");
	else if (again != -ENOENT && again != -ESTALE)
		doctor_failed(d, "be told that a name is gone", again);
	else if (old || !new)
		doctor_say(d, DOCTOR_FAIL, ADVICE, "after a rename %s",
			   old ? "the old name is still there" : "the new name is not there");
	else
		doctor_ok(d, "rename has one winner; the others are told that the name is gone");
}

static void rename_once(struct doctor *d)
{
	int r = doctor_room_make(d, "name");

	if (r == 0)
		r = doctor_file_make(d, "name/a");
	if (r == 0)
		r = rename_here(d, "name/a", "name/b");
	if (r < 0)
		doctor_failed(d, "rename a file", r);
	else
		judge_rename(d, rename_here(d, "name/a", "name/c"));
	doctor_room_remove(d, "name");
}

/* Directories appear whole: built under another name and renamed into place. */
static int rename_directories(struct doctor *d, int *ret_onto)
{
	int r = doctor_room_make(d, "built");

	if (r == 0)
		r = doctor_file_make(d, "built/in");
	if (r == 0)
		r = doctor_room_make(d, "full");
	if (r == 0)
		r = doctor_file_make(d, "full/in");
	if (r < 0)
		return r;
	*ret_onto = rename_here(d, "built", "full");
	if (*ret_onto == 0)
		return 0;
	return rename_here(d, "built", "placed");
}

static void rename_directory(struct doctor *d)
{
	int onto = 0, there = 0, r = rename_directories(d, &onto);

	if (r == 0)
		there = doctor_exists(d, "placed/in");
	if (r < 0 || there < 0)
		doctor_failed(d, "rename a directory", r < 0 ? r : there);
	else if (onto != -ENOTEMPTY && onto != -EEXIST)
		doctor_say(d, DOCTOR_FAIL, ADVICE,
			   "a directory was renamed over one that is not empty, or the refusal was "
			   "odd: %s",
			   onto == 0 ? "done" : strerrordesc_np(-onto));
	else if (!there)
		doctor_say(d, DOCTOR_FAIL, ADVICE, "a renamed directory has lost what was in it");
	else
		doctor_ok(d, "directories are renamed whole, and never over one that is not empty");
	doctor_room_remove(d, "built");
	doctor_room_remove(d, "full");
	doctor_room_remove(d, "placed");
}

static void remove_names(struct doctor *d)
{
	int r = doctor_room_make(d, "room"), full = 0, there = 0;

	if (r == 0)
		r = doctor_file_make(d, "room/in");
	if (r == 0)
		full = fsu_unlinkat(d->fs, d->work_fd, "room", AT_REMOVEDIR);
	if (r == 0 && full < 0)
		r = fsu_unlinkat(d->fs, d->work_fd, "room/in", 0);
	if (r == 0 && full < 0)
		r = fsu_unlinkat(d->fs, d->work_fd, "room", AT_REMOVEDIR);
	if (r == 0)
		r = there = doctor_exists(d, "room");
	if (full != -ENOTEMPTY && full != -EEXIST && r >= 0)
		doctor_say(d, DOCTOR_FAIL,
			   "use another filesystem: a leader could be fenced with a write of its "
			   "own still there",
			   "rmdir of a directory that is not empty says: %s",
			   full == 0 ? "done" : strerrordesc_np(-full));
	else if (r < 0)
		doctor_failed(d, "remove a file and its directory", r);
	else if (there)
		doctor_say(d, DOCTOR_FAIL, ADVICE, "a directory that was removed is still there");
	else
		doctor_ok(d, "rmdir refuses what is not empty; what is removed is gone");
	doctor_room_remove(d, "room");
}

static int make_many(struct doctor *d)
{
	char name[32];
	int r = doctor_room_make(d, "many");

	for (int i = 0; r == 0 && i < MANY; i++) {
		(void)snprintf(name, sizeof(name), "many/%03d", i);
		r = doctor_file_make(d, name);
	}
	return r;
}

static void listing(struct doctor *d)
{
	struct fsu_list list;
	char name[8];
	int r = make_many(d), missed = 0;

	fsu_list_init(&list, d->fs);
	if (r == 0)
		r = fsu_list_read(&list, d->work_fd, "many", false, FSU_NS_PER_S / 2);
	for (int i = 0; r == 0 && i < MANY; i++) {
		(void)snprintf(name, sizeof(name), "%03d", i);
		missed += !fsu_list_has(&list, name);
	}
	if (r < 0)
		doctor_failed(d, "make files and list them", r);
	else if (missed > 0 || list.count != MANY)
		doctor_say(d, DOCTOR_FAIL,
			   "use another filesystem: fsha believes what a directory lists",
			   "of %d names the listing shows %d, and %d that are none of them", MANY,
			   MANY - missed, (int)list.count - (MANY - missed));
	else
		doctor_ok(d, "a listing shows all of %d names", MANY);
	fsu_list_done(&list);
	doctor_room_remove(d, "many");
}

static const struct doctor_check checks[] = {
	{ "create-exclusive", create_exclusive, true },
	{ "name-length", name_length, true },
	{ "name-bytes", name_bytes, true },
	{ "rename", rename_once, true },
	{ "rename-directory", rename_directory, true },
	{ "remove", remove_names, true },
	{ "listing", listing, true },
};
DOCTOR_ROOM(doctor_names, checks);
