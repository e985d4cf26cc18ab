/* What the kernel says of the filesystem and its mount options: nfs(5), mount.ceph(8). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/doctor/visit.h"

static bool is_nfs(const struct doctor *d)
{
	return d->mount.kind == FSU_MOUNT_NFS;
}

static bool is_ceph(const struct doctor *d)
{
	return d->mount.kind == FSU_MOUNT_CEPH || d->mount.kind == FSU_MOUNT_CEPH_FUSE;
}

/* The value of a mount option, "" for one without, cut off at `size`; false: it is not there. */
static bool option(const struct doctor *d, const char *name, char *ret_value, size_t size)
{
	const size_t len = strlen(name);

	for (const char *p = d->mount.options; *p; p += strcspn(p, ","), p += *p == ',') {
		const size_t whole = strcspn(p, ",");

		if (whole < len || strncmp(p, name, len) != 0)
			continue;
		if (whole == len)
			ret_value[0] = '\0';
		else if (p[len] == '=')
			(void)snprintf(ret_value, size, "%.*s", (int)(whole - len - 1),
				       p + len + 1);
		else
			continue;
		return true;
	}
	return false;
}

static bool has(const struct doctor *d, const char *name)
{
	char value[64];

	return option(d, name, value, sizeof(value));
}

static bool is(const struct doctor *d, const char *name, const char *value)
{
	char found[64];

	return option(d, name, found, sizeof(found)) && strcmp(found, value) == 0;
}

static void filesystem(struct doctor *d)
{
	const struct fsu_mount *m = &d->mount;

	switch (m->kind) {
	case FSU_MOUNT_LOCAL:
		doctor_ok(d, "%s is a local filesystem: good for processes of one host", m->type);
		return;
	case FSU_MOUNT_NFS:
	case FSU_MOUNT_CEPH:
	case FSU_MOUNT_CEPH_FUSE:
		doctor_ok(d, "%s from %s is made for several hosts", m->type, m->source);
		return;
	case FSU_MOUNT_OVERLAY:
		doctor_say(d, DOCTOR_WARN,
			   "use a volume: what lies in an overlay ends with its container, and "
			   "other containers do not see it",
			   "overlay is the filesystem of one container");
		return;
	case FSU_MOUNT_OTHER:
		break;
	}
	doctor_say(d, DOCTOR_WARN,
		   "prefer a local filesystem, NFSv4.1 or 4.2, or CephFS; here run 'fsha doctor "
		   "--peer' on all hosts before you trust it",
		   "%s is not known: its locks are not believed, heartbeats alone count", m->type);
}

static void read_only(struct doctor *d)
{
	if (d->mount.read_only)
		doctor_say(d, DOCTOR_FAIL, "mount it read-write", "it is mounted read-only");
	else
		doctor_ok(d, "it is mounted read-write");
}

static void survives(struct doctor *d)
{
	const char *type = d->mount.type;

	if (strcmp(type, "tmpfs") == 0 || strcmp(type, "ramfs") == 0)
		doctor_say(d, DOCTOR_WARN, "use a disk, unless this is for a test",
			   "%s is memory: all is gone when this host restarts", type);
	else if (has(d, "nobarrier") || is(d, "barrier", "0"))
		doctor_say(d, DOCTOR_WARN,
			   "mount it with barriers, unless its disks have a cache with a battery",
			   "without barriers a power cut may undo what fsync promised");
	else if (is_nfs(d))
		doctor_ok(d, "a rename lasts if the server exports with 'sync', which no client "
			     "can see");
	else
		doctor_ok(d, "no mount option takes the promise of fsync back");
}

static void nfs_version(struct doctor *d)
{
	const struct fsu_mount *m = &d->mount;
	const char *advice = "mount with vers=4.2 or vers=4.1";

	if (!is_nfs(d))
		return;
	if (m->nfs_version == 0)
		doctor_say(d, DOCTOR_WARN, "look at the mount options: 'vers=' is not there",
			   "the version of NFS cannot be told, so locks are not believed");
	else if (m->nfs_version < 3)
		doctor_say(d, DOCTOR_FAIL, advice,
			   "NFSv2 has no durable writes and no 64-bit sizes");
	else if (m->nfs_version == 3)
		doctor_say(d, DOCTOR_WARN, advice,
			   "NFSv3 never frees the locks of a dead host: its end is seen after 1.25 "
			   "leases of silence");
	else if (m->nfs_minor == 0)
		doctor_say(d, DOCTOR_WARN, advice,
			   "NFSv4.0 has no sessions: a rename that is sent twice may be answered "
			   "wrongly, which fsha finds out by looking");
	else
		doctor_ok(d, "NFSv%u.%u", m->nfs_version, m->nfs_minor);
}

/* *Measured* with a nominal timeout of 3 s: errors after 21 s, some calls pending after 110 s. */
static void nfs_hard(struct doctor *d)
{
	if (!is_nfs(d))
		return;
	if (d->mount.soft)
		doctor_say(d, DOCTOR_WARN, "mount with 'hard'",
			   "a soft mount gives up calls that the server may still do: more writes "
			   "end in doubt");
	else
		doctor_ok(d, "mounted 'hard': calls wait for the server");
}

static void lock_options(struct doctor *d)
{
	if (!is_nfs(d) && !is_ceph(d))
		return;
	if (d->mount.locks_local)
		doctor_say(d, DOCTOR_WARN, "mount without 'nolock' and 'local_lock'",
			   "locks stay on this host (nolock or local_lock): fsha is safe, and a "
			   "killed leader is found after 1.25 leases instead of at once");
	else
		doctor_ok(d, "no mount option keeps locks on this host");
}

static void nfs_caches(struct doctor *d)
{
	if (!is_nfs(d))
		return;
	if (has(d, "nocto"))
		doctor_say(d, DOCTOR_WARN, "mount without 'nocto'",
			   "'nocto' lets this host believe old attributes of files that it opens");
	else if (has(d, "noac") || is(d, "lookupcache", "none") || is(d, "acregmax", "0") ||
		 is(d, "acdirmax", "0"))
		doctor_say(d, DOCTOR_WARN,
			   "mount without 'noac', 'actimeo=0' and 'lookupcache=none': they are not "
			   "needed",
			   "caches are switched off: fsha asks the server by itself where it "
			   "matters, and the rest becomes slow");
	else
		doctor_ok(d, "default caches (%s)",
			  has(d, "lookupcache") ? "lookupcache is set, which is fine" :
						  "fsha asks the server where it matters");
}

static void nfs_transport(struct doctor *d)
{
	char proto[32] = "";

	if (!is_nfs(d))
		return;
	(void)option(d, "proto", proto, sizeof(proto));
	if (strncmp(proto, "udp", 3) == 0)
		doctor_say(d, DOCTOR_WARN, "mount with proto=tcp",
			   "NFS over UDP may take pieces of two packets for one");
	else
		doctor_ok(d, "over %s", proto[0] ? proto : "a transport that is not told");
}

/* Linux: nfs.recover_lost_locks, off by default since 3.12. */
static void nfs_lost_locks(struct doctor *d)
{
	char value[16];

	if (!is_nfs(d) || d->mount.nfs_version < 4)
		return;
	doctor_read_text(d->fs, "/sys/module/nfs/parameters/recover_lost_locks", value,
			 sizeof(value));
	if (value[0] == 'Y' || value[0] == '1')
		doctor_say(d, DOCTOR_WARN,
			   "set the parameter recover_lost_locks of the kernel module nfs to N",
			   "a lock that was lost to another host is taken again in silence");
	else
		doctor_ok(d, "lost locks are told, not taken again in silence");
}

static void lock_lease(struct doctor *d)
{
	const uint32_t server_ms = d->mount.lock_lease_ms;

	if (!is_nfs(d) || d->mount.nfs_version < 4)
		return;
	if (server_ms == 0)
		doctor_say(
			d, DOCTOR_WARN, "see that /proc/self/mountstats can be read",
			"the server's lock lease is not known: after a killed leader the new one "
			"waits until the old lease has run out");
	else if (d->lease_ms >= server_ms)
		doctor_say(
			d, DOCTOR_WARN,
			"choose a lease below it (high-availability.filesystem.lease), or raise "
			"nfsv4leasetime at the server",
			"the lease of %g s is not below the server's lock lease of %g s: after a "
			"killed leader the new one waits until the old lease has run out",
			d->lease_ms / 1000.0, server_ms / 1000.0);
	else
		doctor_ok(d, "the lease of %g s is below the server's lock lease of %g s",
			  d->lease_ms / 1000.0, server_ms / 1000.0);
}

static void ceph_session(struct doctor *d)
{
	if (!is_ceph(d))
		return;
	if (is(d, "recover_session", "clean"))
		doctor_say(d, DOCTOR_WARN, "mount with recover_session=no",
			   "recover_session=clean: a host that was shut out comes back by itself, "
			   "with what it had not written dropped without a word");
	else
		doctor_ok(d, "a host that was shut out stays out until it is mounted again; one "
			     "that dies is given up after session_timeout (60 s, at least 30 s)");
}

static void ceph_sync(struct doctor *d)
{
	if (d->mount.kind != FSU_MOUNT_CEPH)
		return;
	if (has(d, "nowsync"))
		doctor_say(d, DOCTOR_WARN, "mount with wsync",
			   "nowsync: names are made and removed without waiting for the server, so "
			   "errors come late");
	else
		doctor_ok(d, "names are made and removed at the server before a call returns");
}

static const struct doctor_check checks[] = {
	{ "filesystem", filesystem, false },
	{ "read-only", read_only, false },
	{ "durability", survives, false },
	{ "nfs-version", nfs_version, false },
	{ "nfs-hard", nfs_hard, false },
	{ "lock-options", lock_options, false },
	{ "nfs-caches", nfs_caches, false },
	{ "nfs-transport", nfs_transport, false },
	{ "nfs-lost-locks", nfs_lost_locks, false },
	{ "lock-lease", lock_lease, false },
	{ "ceph-session", ceph_session, false },
	{ "ceph-sync", ceph_sync, false },
};
DOCTOR_ROOM(doctor_mount, checks);
