/* The cluster that is there, which is only read. */
#include <stdio.h>
#include <string.h>

#include "fsutil/fsu_file.h"
#include "fsutil/fsu_path.h"
#include "src/cluster/layout.h"
#include "src/doctor/visit.h"
#include "src/member/info.h"
#include "src/member/watch.h"

#define MEMBERS_MAX 100 /* that are looked at */
#define NAMES_MAX 1000
#define DEAD_WARN 10
#define BUILT_AGE_NS (600 * FSU_NS_PER_S)

void doctor_cluster_open(struct doctor *d)
{
	const struct cluster_options options = {
		.storage_dir = d->options->dir,
		.cluster_id = d->options->cluster_id,
		.inspect = true,
	};

	d->error = (fsha_error)FSHA_ERROR_INIT;
	d->found = cluster_open(d->fs, &options, &d->cluster, &d->error);
	if (d->found == FSHA_OK && !fsu_uuid_is_null(&d->cluster.id))
		d->lease_ms = d->cluster.lease_ms;
}

void doctor_cluster_close(struct doctor *d)
{
	if (d->found == FSHA_OK)
		cluster_close(&d->cluster);
}

static bool is_there(const struct doctor *d)
{
	return d->found == FSHA_OK;
}

static void cluster(struct doctor *d)
{
	if (d->found == FSHA_E_NOT_FOUND)
		doctor_ok(d, "there is no cluster '%.100s' yet", d->options->cluster_id);
	else if (d->found != FSHA_OK)
		doctor_say(d, DOCTOR_FAIL,
			   d->found == FSHA_E_UNSUPPORTED ?
				   "upgrade fsha on this host" :
				   "look at it with 'fsha verify', or choose another cluster-id",
			   "%.400s", d->error.message);
	else if (fsu_uuid_is_null(&d->cluster.id))
		doctor_say(d, DOCTOR_FAIL, "see 'fsha verify'",
			   "the settings of cluster '%.100s' are damaged or gone",
			   d->options->cluster_id);
	else
		doctor_ok(d, "cluster '%.100s' of format %u", d->options->cluster_id,
			  d->cluster.format);
}

static void lease(struct doctor *d)
{
	const uint32_t wanted_ms = d->options->lease_ms;
	bool known = is_there(d) && !fsu_uuid_is_null(&d->cluster.id);

	if (known && wanted_ms && wanted_ms != d->cluster.lease_ms)
		doctor_say(d, DOCTOR_FAIL,
			   "set high-availability.filesystem.lease to the cluster's, or leave it "
			   "out",
			   "a lease of %g s is configured, but the cluster has %g s: this host is "
			   "refused",
			   wanted_ms / 1000.0, d->cluster.lease_ms / 1000.0);
	else
		doctor_ok(d, "%g s, %s: a leader that stops is replaced after %g s",
			  d->lease_ms / 1000.0,
			  known     ? "the cluster's" :
			  wanted_ms ? "as configured" :
				      "the default",
			  d->lease_ms * 1.25 / 1000);
}

/* ---- Members ---- */

struct census {
	unsigned members, held, free, strange;
	unsigned namesakes; /* that live on another host of this host's name */
};

static void count_member(struct doctor *d, const struct fsu_uuid *id, struct census *census)
{
	struct member_info info;
	struct member_watch w;
	char host[INFO_HOST_SIZE];

	member_watch_init(&w, &d->cluster, id);
	(void)member_watch_look(&w);
	if (w.verdict == MEMBER_DEAD_LOCK)
		census->free++;
	else if (w.lock_held)
		census->held++;
	if (w.verdict != MEMBER_GONE)
		census->members++;
	doctor_host(d, host);
	if (w.lock_held && d->boot_id[0] &&
	    member_info_read(&d->cluster, id, &info, NULL) == FSHA_OK && info.boot_id[0] &&
	    strcmp(info.host, host) == 0 && strcmp(info.boot_id, d->boot_id) != 0)
		census->namesakes++;
	member_watch_done(&w);
}

static int take_census(struct doctor *d, struct census *ret_census)
{
	struct census census = { 0 };
	struct fsu_list list;
	unsigned looked = 0;
	int r;

	fsu_list_init(&list, d->fs);
	r = fsu_list_pass(&list, d->cluster.members_fd, "", d->cluster.local);
	for (size_t i = 0; r == 0 && i < list.count; i++) {
		const char *name = fsu_list_name(&list, i);
		struct fsu_uuid id;

		if (fsu_uuid_parse(name, strlen(name), &id) < 0)
			census.strange += name[0] != '~';
		else if (looked++ < MEMBERS_MAX)
			count_member(d, &id, &census);
		else
			census.members++;
	}
	fsu_list_done(&list);
	*ret_census = census;
	return r;
}

static void members(struct doctor *d)
{
	struct census census;
	int r;

	if (!is_there(d) || d->cluster.members_fd < 0)
		return;
	r = take_census(d, &census);
	if (r < 0)
		doctor_failed(d, "list the members of the cluster", r);
	else if (census.namesakes > 0 && d->mount.kind == FSU_MOUNT_NFS)
		doctor_say(d, DOCTOR_FAIL,
			   "give each host a name of its own, and its NFS client an identifier",
			   "%u member%s on another host of the same name as this one: their NFS "
			   "clients may drop each other's locks",
			   census.namesakes, census.namesakes == 1 ? " lives" : "s live");
	else if (census.namesakes > 0)
		doctor_say(d, DOCTOR_WARN, "give each host a name of its own",
			   "%u member%s on another host of the same name as this one",
			   census.namesakes, census.namesakes == 1 ? " lives" : "s live");
	else if (census.free > DEAD_WARN)
		doctor_say(d, DOCTOR_WARN, "run 'fsha gc', or wait for a leader to do it",
			   "%u members, %u of them dead", census.members, census.free);
	else if (census.strange > 0)
		doctor_say(d, DOCTOR_WARN, "see 'fsha verify'",
			   "%u names among the members are none of fsha's", census.strange);
	else
		doctor_ok(d, "%u members, %u hold their lock, %u are dead", census.members,
			  census.held, census.free);
}

/* ---- What should not be there ---- */

struct oddities {
	unsigned links, built, silly, quarantined;
};

static bool is_link(struct doctor *d, int dir_fd, const char *name, struct statx *ret_stat)
{
	int r = fsu_statx(d->fs, dir_fd, name, AT_SYMLINK_NOFOLLOW, STATX_TYPE | STATX_MTIME,
			  ret_stat);

	if (r < 0)
		memset(ret_stat, 0, sizeof(*ret_stat));
	return r == 0 && S_ISLNK(ret_stat->stx_mode);
}

/* Half-built for a while: by the clock that file times are of. */
static bool is_old(const struct doctor *d, const struct statx *st)
{
	return st->stx_mtime.tv_sec > 0 &&
	       fsu_wall_ns(d->fs) + d->skew_ns - st->stx_mtime.tv_sec * FSU_NS_PER_S > BUILT_AGE_NS;
}

static int look_at(struct doctor *d, const char *directory, struct oddities *oddities)
{
	struct fsu_list list;
	char path[512];
	int r;

	fsu_list_init(&list, d->fs);
	r = fsu_list_pass(&list, d->cluster.fd, directory, d->cluster.local);
	for (size_t i = 0; r == 0 && i < list.count && i < NAMES_MAX; i++) {
		const char *name = fsu_list_name(&list, i);
		struct statx st;

		(void)snprintf(path, sizeof(path), "%s%s%s", directory, directory[0] ? "/" : "",
			       name);
		if (is_link(d, d->cluster.fd, path, &st))
			oddities->links++;
		else if (name[0] == '~')
			oddities->built += is_old(d, &st);
		else if (strncmp(name, ".nfs", 4) == 0)
			oddities->silly++;
		else if (strcmp(directory, LAYOUT_QUARANTINE) == 0)
			oddities->quarantined++;
	}
	fsu_list_done(&list);
	return r;
}

static void leftovers(struct doctor *d)
{
	static const char *const directories[] = { "", LAYOUT_ELECTIONS, LAYOUT_MEMBERS,
						   LAYOUT_QUARANTINE };
	struct oddities o = { 0 };
	int r = 0;

	if (!is_there(d))
		return;
	for (size_t i = 0; r == 0 && i < sizeof(directories) / sizeof(directories[0]); i++)
		r = look_at(d, directories[i], &o);
	if (o.links > 0)
		doctor_say(d, DOCTOR_FAIL, "find out who made them, and remove them",
			   "%u symbolic links in the cluster directory: fsha makes none and "
			   "follows none",
			   o.links);
	else if (r < 0)
		doctor_failed(d, "list the cluster directory: see 'fsha verify'", r);
	else if (o.quarantined > 0)
		doctor_say(d, DOCTOR_WARN, "look at them, see 'fsha verify'; then remove them",
			   "%u damaged records are in quarantine", o.quarantined);
	else if (o.built > 0)
		doctor_say(d, DOCTOR_WARN, "run 'fsha gc'",
			   "%u directories that were never finished", o.built);
	else if (o.silly > 0)
		doctor_say(d, DOCTOR_WARN, "see which program on which host has them open",
			   "%u removed files that an NFS client keeps open (.nfs...)", o.silly);
	else
		doctor_ok(d, "nothing is left behind in the cluster");
}

static void doctors(struct doctor *d)
{
	doctor_work_sweep(d);
	if (d->left > 0)
		doctor_say(d, DOCTOR_WARN, "remove " DOCTOR_PREFIX "* when no doctor runs",
			   "%u directories of killed doctors cannot be removed", d->left);
	else if (d->left_removed > 0)
		doctor_ok(d, "%u directories of killed doctors were removed", d->left_removed);
	else
		doctor_ok(d, "no killed doctor has left anything");
}

static const struct doctor_check checks[] = {
	{ "cluster", cluster, false },       { "lease", lease, false },
	{ "members", members, false },       { "leftovers", leftovers, false },
	{ "former-doctors", doctors, true },
};
DOCTOR_ROOM(doctor_cluster, checks);
