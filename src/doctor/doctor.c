#include "src/doctor/doctor.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "src/cluster/cluster.h"
#include "src/config/config.h"
#include "src/doctor/meeting.h"
#include "src/result/error.h"

static const struct doctor_room *const rooms[] = {
	&doctor_mount, &doctor_owner, &doctor_names, &doctor_fence,    &doctor_locks,
	&doctor_data,  &doctor_time,  &doctor_space, &doctor_identity, &doctor_cluster,
};

const char *doctor_grade_name(enum doctor_grade grade)
{
	static const char *const names[] = { "ok", "warn", "FAIL" };

	assert(grade < DOCTOR_GRADES);
	return names[grade];
}

void doctor_begin(struct doctor *d, const char *check)
{
	if (d->check != check)
		d->told = 0;
	d->check = check;
	if (d->options->begin)
		d->options->begin(d->options->ctx, check);
}

bool doctor_is_stopped(const struct doctor *d)
{
	return d->options->stopped && d->options->stopped(d->options->ctx);
}

static fsha_result open_dir(struct doctor *d, fsha_error *reterr)
{
	const char *dir = d->options->dir;
	/* Symbolic links in the path to it are the administrator's business. */
	int fd = fsu_openat(d->fs, AT_FDCWD, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	int r;

	if (fd == -ENOENT || fd == -ENOTDIR || fd == -EACCES || fd == -ELOOP)
		return error_set(reterr, FSHA_E_CONFIG, -fd, "open", "cannot open directory '%s'",
				 dir);
	if (fd < 0)
		return error_os(reterr, fd, "open", "cannot open directory '%s'", dir);
	d->dir_fd = fd;
	r = fsu_mount_identify(d->fs, fd, &d->mount);
	if (r < 0)
		return error_os(reterr, r, "statfs", "cannot identify the filesystem of '%s'", dir);
	return FSHA_OK;
}

/* The first finding: without a place to work in there is little to see. */
static void enter(struct doctor *d)
{
	int r;

	doctor_begin(d, "work");
	r = doctor_work_make(d);
	if (r < 0)
		doctor_failed(d, "make and enter a directory here", r);
	else
		doctor_ok(d, "directories can be made here");
}

static void run_rooms(struct doctor *d)
{
	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		for (size_t j = 0; j < rooms[i]->count; j++) {
			const struct doctor_check *check = &rooms[i]->checks[j];

			if (check->works && d->work_fd < 0)
				continue;
			if (doctor_is_stopped(d)) {
				d->summary.stopped = true;
				return;
			}
			doctor_begin(d, check->name);
			check->run(d);
			assert(d->told <= 1);
		}
	}
}

static fsha_result run(const struct doctor_options *options, struct doctor_summary *ret_summary,
		       fsha_error *reterr)
{
	struct doctor d = {
		.fs = options->fs ? options->fs : &fsu_posix,
		.options = options,
		.dir_fd = -1,
		.work_fd = -1,
		.alive = FSU_LOCK_INIT,
		.lease_ms = options->lease_ms ? options->lease_ms : CLUSTER_LEASE_MS_DEFAULT,
	};
	fsha_result result;

	doctor_begin(&d, "directory");
	result = open_dir(&d, reterr);
	if (result == FSHA_OK) {
		(void)snprintf(d.summary.filesystem, sizeof(d.summary.filesystem), "%s",
			       d.mount.type);
		(void)snprintf(d.summary.target, sizeof(d.summary.target), "%s", d.mount.target);
		doctor_read_text(d.fs, "/proc/sys/kernel/random/boot_id", d.boot_id,
				 sizeof(d.boot_id));
		doctor_begin(&d, "cluster");
		doctor_cluster_open(&d);
		if (options->peer) {
			result = doctor_peer(&d, reterr);
		} else {
			enter(&d);
			run_rooms(&d);
		}
		doctor_begin(&d, "tidying up");
		if (d.work_fd >= 0)
			doctor_work_remove(&d);
		doctor_cluster_close(&d);
		*ret_summary = d.summary;
	}
	if (d.dir_fd >= 0)
		(void)fsu_close(d.fs, d.dir_fd); /* a directory */
	return result;
}

fsha_result doctor_run(const struct doctor_options *options, struct doctor_summary *ret_summary,
		       fsha_error *reterr)
{
	struct doctor_options resolved = *options;
	struct config_services settings;
	fsha_result result;

	if (!options->config)
		return run(options, ret_summary, reterr);
	result = config_services_read(options->config, &settings, reterr);
	if (result != FSHA_OK)
		return result;
	resolved.dir = settings.storage_dir;
	resolved.cluster_id = settings.cluster_id;
	resolved.lease_ms = settings.lease_given ? settings.lease_ms : 0;
	return run(&resolved, ret_summary, reterr);
}
