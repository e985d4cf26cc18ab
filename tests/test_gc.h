/* What the tests of gc begin with: a town whose leaders were killed, and a process that collects.
 */
#ifndef TESTS_TEST_GC_H
#define TESTS_TEST_GC_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fsha/maintenance.h"
#include "src/cluster/layout.h"
#include "src/maintenance/orphans.h"
#include "src/maintenance/quarantine.h"
#include "src/maintenance/remains.h"
#include "src/maintenance/retire.h"
#include "src/maintenance/verify.h"
#include "src/services/upkeep.h"
#include "tests/lib/disk.h"
#include "tests/lib/holder.h"
#include "tests/lib/oom.h"
#include "tests/lib/town.h"

#define GC 1                         /* the client that collects */
#define SLOW 2                       /* another process, alive */
#define CACHE_NS (30 * FSU_NS_PER_S) /* a filesystem of many hosts, ... */
#define UNKNOWN_TYPE 0x65735546      /* ... whose locks nobody believes */
#define STRANGER "feedfeedfeedfeedfeedfeedfeedfeed"
#define BLOBS LAYOUT_BLOBS "/job_" STRANGER

struct place {
	struct crashfs *disk;
	struct town town;
	struct holder holder;
	char told[8000];
};

static inline int tell(void *ctx, const fsha_action *a)
{
	struct place *p = ctx;
	size_t used = strlen(p->told);

	(void)snprintf(p->told + used, sizeof(p->told) - used, "%s %s %s\n",
		       fsha_action_outcome_name(a->outcome), a->code, a->path);
	return 0;
}

static inline fsha_result gc(struct place *p, uint32_t flags)
{
	fsha_gc_options options = { sizeof(options), flags, 0 };

	p->told[0] = '\0';
	return fsha_gc(p->holder.services, &options, tell, p, NULL, &p->holder.error);
}

static inline void expect_gc(struct place *p, uint32_t flags)
{
	if (gc(p, flags) != FSHA_OK)
		fail_msg("%s\n%s", p->holder.error.message, crashfs_log(p->disk));
}

static inline void live_long(struct place *p)
{
	lease_begin(&p->holder.services->member->lease, fsu_now_ns(p->holder.fs),
		    3600 * FSU_NS_PER_S);
}

/* A town whose leaders were killed, and a process that leads the dispatcher now. */
static inline void open_with(struct place *p, int64_t cache_ns, void (*before)(struct town *t))
{
	memset(p, 0, sizeof(*p));
	p->disk = crashfs_create(&(struct crashfs_options){
		.seed = 1, .cache_ns = cache_ns, .statfs_type = cache_ns ? UNKNOWN_TYPE : 0 });
	town_start(&p->town, p->disk);
	if (before)
		before(&p->town);
	town_kill(&p->town);
	holder_start(&p->holder, p->disk, GC, ACTOR_ELECTION);
	live_long(p);
}

static inline void close_place(struct place *p)
{
	crashfs_hook_set(p->disk, NULL, NULL);
	holder_stop(&p->holder);
	for (unsigned i = 0; i < CRASHFS_CLIENTS; i++)
		assert_int_equal(crashfs_open_fds(p->disk, i), 0);
	assert_int_equal(crashfs_bytes_allocated(p->disk), 0);
	crashfs_destroy(p->disk);
}

static inline unsigned count(struct place *p, const char *directory, const char *prefix)
{
	const char *names = crashfs_ls(p->disk, town_path(&p->town, "%s", directory));
	unsigned n = 0;

	for (const char *at = names; at && *at;
	     at += strcspn(at, "\n") + (strchr(at, '\n') != NULL))
		n += strncmp(at, prefix, strlen(prefix)) == 0;
	return n;
}

static inline void assert_told(struct place *p, const char *text)
{
	if (!strstr(p->told, text))
		fail_msg("'%s' was not told, but:\n%s", text, p->told);
}

#define STRANGER_ELECTION LAYOUT_ELECTIONS "/job-" STRANGER

static inline void store_orphans(struct town *t)
{
	town_write(t, BLOBS, ACTOR_ELECTION, FSU_KIND_BLOB, true, "b", "blob");
	town_write(t, LAYOUT_BLOBS "/job_" TOWN_JOB, ACTOR_ELECTION, FSU_KIND_BLOB, true, "b",
		   "blob");
	town_write(t, LAYOUT_BLOBS "/job_" TOWN_JOB_2, ACTOR_ELECTION, FSU_KIND_BLOB, true, "b",
		   "blob");
}

/* Its master has resigned, and so has the dispatcher; nothing else knows of the job. */
static inline void end_the_job(struct town *t)
{
	char path[700];

	assert_int_equal(actor_remove(&t->a, TOWN_JOB), FSHA_OK);
	town_find(t, LAYOUT_RUNNING_JOBS, TOWN_JOB, true, path);
	crashfs_rm(t->disk, town_path(t, "%s", path));
	crashfs_rm(t->disk, town_path(t, LAYOUT_CHECKPOINTS "/" TOWN_JOB));
	town_resign(t);
}

/* Old versions and tombstones would begin a term, and so start threads. */
static inline void empty_the_graphs(struct town *t)
{
	crashfs_rm(t->disk, town_path(t, LAYOUT_JOB_GRAPHS));
	assert_int_equal(fsu_mkdirat(t->hand, AT_FDCWD, town_path(t, LAYOUT_JOB_GRAPHS), 0700), 0);
	disk_sync_dir(t->hand, TOWN_CLUSTER); /* without it the cluster has lost something */
}

static inline void make_directory(struct place *p, const char *path)
{
	assert_int_equal(fsu_mkdirat(p->town.hand, AT_FDCWD, town_path(&p->town, "%s", path), 0700),
			 0);
}

#define RETIRED "ee000000000000000000000000000000" /* a job whose election was being retired */
#define RETIRED_ELECTION LAYOUT_ELECTIONS "/job-" RETIRED

/* Cut short before its tenures were taken away. */
static inline void leave_half_retired(struct place *p)
{
	make_directory(p, RETIRED_ELECTION);
	crashfs_put(p->disk, town_path(&p->town, RETIRED_ELECTION "/retired-0000000000000001"), "",
		    0);
	make_directory(p, RETIRED_ELECTION "/trash");
	make_directory(p, RETIRED_ELECTION "/tenure-0000000000000001-" STRANGER);
}

/* An election as a former process left it. */
static inline void make_election(struct place *p, const char *epoch, const char *member)
{
	assert_int_equal(
		fsu_mkdirat(p->town.hand, AT_FDCWD, town_path(&p->town, STRANGER_ELECTION), 0700),
		0);
	assert_int_equal(fsu_mkdirat(p->town.hand, AT_FDCWD,
				     town_path(&p->town, STRANGER_ELECTION "/trash"), 0700),
			 0);
	crashfs_put(
		p->disk,
		town_path(&p->town, STRANGER_ELECTION "/epoch-%s-" STRANGER "-%s", epoch, member),
		"", 0);
}

#endif
