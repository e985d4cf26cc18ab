/* Opening: what the configuration says decides on which filesystem, and what is elected. */
#include <errno.h>
#include <string.h>

#include "src/config/config.h"
#include "src/result/error.h"
#include "src/services/memory.h"
#include "src/services/standalone.h"

#define FLAGS_KNOWN (FSHA_SERVICES_SHARED_TERM | FSHA_SERVICES_NO_CREATE)

static int init_locks(struct fsha_services *s)
{
	pthread_condattr_t attr;
	int r;

	r = pthread_mutex_init(&s->mutex, NULL);
	if (r != 0)
		return -r;
	r = pthread_condattr_init(&attr);
	if (r == 0) {
		(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
		r = pthread_cond_init(&s->changed, &attr);
		(void)pthread_condattr_destroy(&attr);
	}
	if (r != 0)
		(void)pthread_mutex_destroy(&s->mutex);
	return -r;
}

static fsha_result check_options(const fsha_services_options *options, fsha_error *reterr)
{
	if (!options)
		return FSHA_OK;
	if (options->struct_size != sizeof(*options) || (options->flags & ~FLAGS_KNOWN) ||
	    options->reserved0)
		return error_set(reterr, FSHA_E_INVALID, 0, "open",
				 "the services options have an unknown size or flag: start from "
				 "FSHA_SERVICES_OPTIONS_INIT");
	return FSHA_OK;
}

static int log_setting(void *ctx, const fsha_config_finding *finding)
{
	services_log(ctx, FSHA_LOG_WARNING, "setting", "key=%s message=\"%s\"", finding->key,
		     finding->message);
	return 0;
}

/* The filesystem of the mode. */
static fsha_result open_filesystem(const struct fsu *base, const struct config_services *settings,
				   const struct fsu **ret_fs, const struct fsu **ret_memory,
				   fsha_error *reterr)
{
	const struct fsu *memory = NULL;
	int r = 0;

	if (settings->mode == CONFIG_EMBEDDED)
		r = memory_get_shared(base, settings->storage_dir, settings->cluster_id, &memory);
	else if (settings->mode == CONFIG_STANDALONE)
		r = memory_get_private(base, &memory);
	if (r < 0)
		return error_os(reterr, r, "alloc", "cannot open the services");
	*ret_fs = memory ? memory : base;
	*ret_memory = memory;
	return FSHA_OK;
}

/* Memory keeps every result, as in Flink, and has one place for them. */
static int keep_job_results(const struct fsu *fs, struct fsha_services *s,
			    const struct config_services *settings)
{
	if (settings->mode != CONFIG_FILESYSTEM)
		return 0;
	s->job_result_delete = settings->job_result_delete;
	if (!settings->job_result_path[0])
		return 0;
	s->job_result_path = fsu_strdup(fs, settings->job_result_path);
	return s->job_result_path ? 0 : -ENOMEM;
}

/* An object that has everything but its cluster. */
static fsha_result create(const struct fsu *fs, const struct config_services *settings,
			  const fsha_services_options *options, struct fsha_services **ret_services,
			  fsha_error *reterr)
{
	struct fsha_services *s = fsu_alloc(fs, sizeof(*s));
	int r = s ? keep_job_results(fs, s, settings) : -ENOMEM;

	if (r == 0)
		r = init_locks(s);
	if (r < 0) {
		fsu_release(fs, s ? s->job_result_path : NULL);
		fsu_release(fs, s);
		return error_os(reterr, r, "alloc", "cannot open the services");
	}
	if (options)
		s->options = *options;
	s->mode = settings->mode;
	s->poll_ns = (int64_t)settings->poll_ms * FSU_NS_PER_MS;
	s->tasks_end = &s->tasks;
	s->executor.event_fd = s->watchdog.event_fd = s->heartbeat.event_fd = -1;
	s->claimer.event_fd = s->poller.event_fd = s->janitor.event_fd = -1;
	s->chores.worker.event_fd = -1;
	atomic_init(&s->refs, 1);
	*ret_services = s;
	return FSHA_OK;
}

static void destroy_without_cluster(const struct fsu *fs, struct fsha_services *s)
{
	(void)pthread_cond_destroy(&s->changed);
	(void)pthread_mutex_destroy(&s->mutex);
	fsu_release(fs, s->job_result_path);
	fsu_release(fs, s);
}

static fsha_result open_on(const struct fsu *fs, const struct config_services *settings,
			   const fsha_config *config, const fsha_services_options *options,
			   struct fsha_services **ret_services, fsha_error *reterr)
{
	const uint32_t flags = options ? options->flags : 0;
	const struct cluster_options cluster_options = {
		.storage_dir = settings->mode == CONFIG_FILESYSTEM ? settings->storage_dir :
								     MEMORY_STORAGE,
		.cluster_id = settings->cluster_id,
		.lease_ms = settings->lease_given ? settings->lease_ms : 0,
		/* Its own memory is always empty. */
		.create = !(flags & FSHA_SERVICES_NO_CREATE) || settings->mode == CONFIG_STANDALONE,
	};
	struct fsha_services *s = NULL;
	fsha_result result;

	result = create(fs, settings, options, &s, reterr);
	if (result != FSHA_OK)
		return result;
	result = cluster_open(fs, &cluster_options, &s->cluster, reterr);
	if (result != FSHA_OK) {
		destroy_without_cluster(fs, s);
		return result;
	}
	s->cluster.counters = &s->counters;
	if (settings->mode == CONFIG_STANDALONE)
		result = standalone_create(s, config, reterr);
	if (result != FSHA_OK) {
		cluster_close(&s->cluster);
		destroy_without_cluster(fs, s);
		return result;
	}
	/* What is wrong with the others of them does not keep a cluster from starting. */
	if (s->options.log)
		(void)fsha_config_check(config, log_setting, s, NULL);
	*ret_services = s;
	return FSHA_OK;
}

fsha_result services_open_with(const struct fsu *base, const fsha_config *config,
			       const fsha_services_options *options, fsha_services **ret_services,
			       fsha_error *reterr)
{
	const struct fsu *fs = base, *memory = NULL;
	struct config_services settings;
	struct fsha_services *s = NULL;
	fsha_result result;

	if (!config || !ret_services)
		return error_set(reterr, FSHA_E_INVALID, 0, "open", "an argument is NULL");
	result = check_options(options, reterr);
	if (result == FSHA_OK)
		result = config_services_read(config, &settings, reterr);
	if (result == FSHA_OK && settings.mode != CONFIG_FILESYSTEM && options &&
	    (options->flags & FSHA_SERVICES_SHARED_TERM))
		result = error_set(
			reterr, FSHA_E_UNSUPPORTED, 0, "open",
			"cannot share a term with other processes: this cluster is in the "
			"memory of one; write '" FSHA_KEY_TYPE ": filesystem' and "
			"'" FSHA_KEY_STORAGE_DIR ": /a/shared/directory'");
	if (result == FSHA_OK)
		result = open_filesystem(base, &settings, &fs, &memory, reterr);
	if (result != FSHA_OK)
		return result;
	result = open_on(fs, &settings, config, options, &s, reterr);
	if (result != FSHA_OK) {
		memory_leave(memory);
		memory_put(memory);
		return result;
	}
	s->memory = memory;
	*ret_services = s;
	return FSHA_OK;
}

fsha_result fsha_services_open(const fsha_config *config, const fsha_services_options *options,
			       fsha_services **ret_services, fsha_error *reterr)
{
	return services_open_with(&fsu_posix, config, options, ret_services, reterr);
}

fsha_mode fsha_services_mode(const fsha_services *s)
{
	if (!s || s->mode == CONFIG_FILESYSTEM)
		return FSHA_MODE_FILESYSTEM;
	return s->mode == CONFIG_EMBEDDED ? FSHA_MODE_EMBEDDED : FSHA_MODE_STANDALONE;
}
