/*
 * A job that survives its master: it adds up 1, 2, 3, ... and takes a checkpoint after each step.
 * Whoever is started next goes on from the latest one.
 *
 *     make
 *     gcc -Iinclude examples/checkpoint_recovery.c build/libfsha.a \
 *             $(pkg-config --libs libxxhash zlib yaml-0.1 jansson) -pthread \
 *             -o checkpoint_recovery
 *     ./checkpoint_recovery /a/shared/directory 0123456789abcdef0123456789abcdef 5
 *     ./checkpoint_recovery /a/shared/directory 0123456789abcdef0123456789abcdef 3 finish
 *     build/fsha checkpoint ls 0123456789abcdef0123456789abcdef -d /a/shared/directory
 *
 * It is what Flink's FileSystemCheckpointRecoveryFactory would be on fsha: the state of a job lies
 * in files of its own, and the library keeps which of them are complete, in which order, and which
 * ids were taken. A master that was replaced can neither add to that nor discard from it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <fsha/fsha.h>

#define RETAINED 2
#define PATH_SIZE 4096

/* ---- the factory ---- */

struct checkpoint_recovery_factory {
	fsha_services *services;
	fsha_job_id job;
	char directory[PATH_SIZE / 2]; /* of the files that hold the state */
};

/*
 * A checkpoint is not needed any more: its file goes. This may be called twice for one, and by an
 * old master that wakes up; it does no harm, since no id is given out twice and so no file name.
 */
static fsha_result discard(void *ctx, const fsha_completed_checkpoint *checkpoint,
			   fsha_error *reterr)
{
	(void)ctx;
	if (unlink(checkpoint->external_pointer) == 0 || errno == ENOENT)
		return FSHA_OK;
	snprintf(reterr->message, sizeof(reterr->message), "cannot remove '%.300s': %s",
		 checkpoint->external_pointer, strerror(errno));
	return FSHA_E_IO;
}

static fsha_result create_completed_checkpoint_store(struct checkpoint_recovery_factory *f,
						     uint32_t max_retained,
						     fsha_checkpoint_store **ret_store,
						     fsha_error *reterr)
{
	fsha_checkpoint_store_options options = FSHA_CHECKPOINT_STORE_OPTIONS_INIT;

	options.max_retained = max_retained;
	options.discard = discard;
	return fsha_checkpoint_store_open(f->services, &f->job, &options, ret_store, reterr);
}

static fsha_result create_checkpoint_id_counter(struct checkpoint_recovery_factory *f,
						fsha_checkpoint_id_counter **ret_counter,
						fsha_error *reterr)
{
	return fsha_checkpoint_id_counter_open(f->services, &f->job, ret_counter, reterr);
}

/* ---- the job ---- */

struct sum {
	uint64_t number, sum;
};

static fsha_result failed(const char *what, const char *path, fsha_error *reterr)
{
	snprintf(reterr->message, sizeof(reterr->message), "cannot %s '%.300s': %s", what, path,
		 strerror(errno));
	return reterr->result = FSHA_E_IO;
}

/* The state into a file, durably, before anything says that there is such a checkpoint. */
static fsha_result write_state(const char *directory, const char *path, const struct sum *state,
			       fsha_error *reterr)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), dir_fd, r;

	if (fd < 0)
		return failed("make", path, reterr);
	r = dprintf(fd, "%" PRIu64 " %" PRIu64 "\n", state->number, state->sum) < 0 || fsync(fd);
	if (close(fd) || r)
		return failed("write", path, reterr);
	dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return failed("open", directory, reterr);
	r = fsync(dir_fd);
	close(dir_fd);
	return r ? failed("sync", directory, reterr) : FSHA_OK;
}

static fsha_result take_checkpoint(struct checkpoint_recovery_factory *f,
				   fsha_checkpoint_store *store,
				   fsha_checkpoint_id_counter *counter, const struct sum *state,
				   fsha_error *reterr)
{
	fsha_completed_checkpoint checkpoint = FSHA_COMPLETED_CHECKPOINT_INIT;
	char path[PATH_SIZE];
	fsha_result result;

	result = fsha_checkpoint_id_counter_get_and_increment(counter, &checkpoint.id, reterr);
	if (result != FSHA_OK)
		return result;
	snprintf(path, sizeof(path), "%s/chk-%" PRId64, f->directory, checkpoint.id);
	result = write_state(f->directory, path, state, reterr);
	if (result != FSHA_OK)
		return result;
	checkpoint.timestamp_ms = (int64_t)time(NULL) * 1000;
	checkpoint.external_pointer = path;
	checkpoint.metadata = "one sum";
	checkpoint.metadata_size = 7;
	checkpoint.retention = FSHA_RETAIN_ON_FAILURE;
	result = fsha_checkpoint_store_add(store, &checkpoint, NULL, reterr);
	/* In doubt, it may be there after all, and must have its file then. */
	if (result != FSHA_OK && result != FSHA_E_INDOUBT && result != FSHA_E_FENCED)
		(void)unlink(path);
	if (result == FSHA_OK)
		printf("checkpoint %" PRId64 ": the sum up to %" PRIu64 " is %" PRIu64 "\n",
		       checkpoint.id, state->number, state->sum);
	return result;
}

static fsha_result recover(fsha_checkpoint_store *store, struct sum *ret_state, fsha_error *reterr)
{
	fsha_completed_checkpoint *latest;
	fsha_result result;
	FILE *file;
	int n;

	result = fsha_checkpoint_store_get_latest(store, &latest, reterr);
	if (result == FSHA_E_NOT_FOUND) {
		printf("nothing to recover\n");
		return FSHA_OK;
	}
	if (result != FSHA_OK)
		return result;
	file = fopen(latest->external_pointer, "re");
	n = file ? fscanf(file, "%" SCNu64 " %" SCNu64, &ret_state->number, &ret_state->sum) : 0;
	if (file)
		fclose(file);
	if (n == 2)
		printf("recovered checkpoint %" PRId64 ": the sum up to %" PRIu64 " is %" PRIu64
		       "\n",
		       latest->id, ret_state->number, ret_state->sum);
	else
		result = failed("read", latest->external_pointer, reterr);
	fsha_free(latest);
	return result;
}

static fsha_result work(struct checkpoint_recovery_factory *f, fsha_checkpoint_store *store,
			fsha_checkpoint_id_counter *counter, long steps, int finish,
			fsha_error *reterr)
{
	struct sum state = { 0, 0 };
	fsha_result result = recover(store, &state, reterr);

	for (long i = 0; i < steps && result == FSHA_OK; i++) {
		state.number++;
		state.sum += state.number;
		result = take_checkpoint(f, store, counter, &state, reterr);
	}
	if (result == FSHA_OK && finish) {
		result = fsha_checkpoint_store_shutdown(store, FSHA_JOB_FINISHED, reterr);
		if (result == FSHA_OK)
			result = fsha_checkpoint_id_counter_shutdown(counter, FSHA_JOB_FINISHED,
								     reterr);
	}
	return result;
}

/* ---- leading it ---- */

static fsha_result run(struct checkpoint_recovery_factory *f, long steps, int finish,
		       fsha_error *reterr)
{
	fsha_checkpoint_id_counter *counter = NULL;
	fsha_checkpoint_store *store = NULL;
	char name[FSHA_ELECTION_JOB_TEXT];
	fsha_election *election;
	fsha_uuid session;
	fsha_result result;

	/* A short term of office; a real master contends with fsha_election_start. */
	result = fsha_election_acquire(f->services, fsha_job_election_name(&f->job, name),
				       3 * fsha_services_lease_ms(f->services), &election, &session,
				       reterr);
	if (result != FSHA_OK)
		return result;
	/* After the grant: what the master before us added is all there now. */
	result = create_completed_checkpoint_store(f, RETAINED, &store, reterr);
	if (result == FSHA_OK)
		result = create_checkpoint_id_counter(f, &counter, reterr);
	if (result == FSHA_OK)
		result = work(f, store, counter, steps, finish, reterr);
	fsha_checkpoint_id_counter_close(counter);
	/* Waits until the files of what was dropped are gone. */
	if (fsha_checkpoint_store_close(store, result == FSHA_OK ? reterr : NULL) != FSHA_OK &&
	    result == FSHA_OK)
		result = FSHA_E_TIMEOUT;
	fsha_election_close(election, NULL);
	return result;
}

int main(int argc, char **argv)
{
	struct checkpoint_recovery_factory f = { .services = NULL };
	fsha_error error = FSHA_ERROR_INIT;
	fsha_config *config;
	fsha_result result;

	if (argc < 4 || fsha_job_id_parse(argv[2], &f.job) != FSHA_OK) {
		fprintf(stderr, "usage: checkpoint_recovery DIRECTORY JOB STEPS [finish]\n");
		return 2;
	}
	snprintf(f.directory, sizeof(f.directory), "%s/state-of-%.32s", argv[1], argv[2]);
	if (mkdir(f.directory, 0700) != 0 && errno != EEXIST) {
		fprintf(stderr, "cannot make '%s': %s\n", f.directory, strerror(errno));
		return 1;
	}
	config = fsha_config_create();
	result = config ? fsha_config_set(config, FSHA_KEY_STORAGE_DIR, argv[1], &error) :
			  FSHA_E_NOMEM;
	if (result == FSHA_OK && getenv("FSHA_LEASE"))
		result = fsha_config_set(config, FSHA_KEY_LEASE, getenv("FSHA_LEASE"), &error);
	if (result == FSHA_OK)
		result = fsha_services_open(config, NULL, &f.services, &error);
	if (result == FSHA_OK)
		result = run(&f, strtol(argv[3], NULL, 10), argc > 4, &error);
	fsha_services_close(f.services, NULL);
	fsha_config_destroy(config);
	if (result != FSHA_OK)
		fprintf(stderr, "%s: %s\n", fsha_result_name(result), error.message);
	return result == FSHA_OK ? 0 : 1;
}
