/*
 * Save a framework (its id, its workers, the number of the last task id) in a file, and bring it
 * back, in this cluster or another.
 *
 *     make
 *     gcc -Iinclude examples/backup_restore.c build/libfsha.a \
 *             $(pkg-config --libs libxxhash zlib yaml-0.1 jansson) -pthread -o backup_restore
 *     export FSHA_STORAGE_DIR=/a/shared/directory
 *     ./backup_restore backup framework.json
 *     ./backup_restore restore framework.json
 *
 * The file is JSON; its checksum is looked at before anything is restored.
 */
#include <stdio.h>
#include <string.h>

#include <fsha/fsha.h>

/* Whoever can read may back up, also while another process leads. */
static fsha_result backup_framework_state(fsha_worker_store *store, const char *path,
					  fsha_error *reterr)
{
	fsha_framework_backup *backup = NULL;
	fsha_result result;

	result = fsha_framework_backup_take(store, &backup, reterr);
	if (result == FSHA_OK)
		result = fsha_framework_backup_write(backup, path, reterr);
	if (result == FSHA_OK)
		printf("saved %zu workers of %s\n", backup->worker_count,
		       backup->framework_id ? backup->framework_id : "no framework");
	fsha_free(backup);
	return result;
}

/* Only the leader may restore: nobody else writes meanwhile, or afterwards under an older term. */
static fsha_result restore_framework_state(fsha_services *services, fsha_worker_store *store,
					   const char *path, fsha_error *reterr)
{
	fsha_framework_backup *backup = NULL;
	fsha_election *election = NULL;
	fsha_uuid session;
	fsha_result result;

	result = fsha_framework_backup_read(path, &backup, reterr);
	if (result == FSHA_OK)
		result = fsha_election_acquire(services, FSHA_ELECTION_RESOURCE_MANAGER, 60000,
					       &election, &session, reterr);
	if (result == FSHA_OK)
		result = fsha_framework_backup_restore(store, backup, reterr);
	if (result == FSHA_OK)
		printf("restored %zu workers of %s\n", backup->worker_count,
		       backup->framework_id ? backup->framework_id : "no framework");
	fsha_election_close(election, NULL);
	fsha_free(backup);
	return result;
}

int main(int argc, char **argv)
{
	int restore = argc == 3 && strcmp(argv[1], "restore") == 0;
	fsha_error error = FSHA_ERROR_INIT;
	fsha_services *services = NULL;
	fsha_worker_store *store = NULL;
	fsha_config *config;
	fsha_result result;

	if (!restore && !(argc == 3 && strcmp(argv[1], "backup") == 0)) {
		fprintf(stderr, "usage: backup_restore backup|restore FILE\n");
		return 2;
	}
	config = fsha_config_create();
	result = fsha_config_load_environment(config, &error); /* FSHA_STORAGE_DIR */
	if (result == FSHA_OK)
		result = fsha_services_open(config, NULL, &services, &error);
	if (result == FSHA_OK)
		result = fsha_worker_store_open(services, &store, &error);
	if (result == FSHA_OK)
		result = fsha_worker_store_start(store, &error);
	if (result == FSHA_OK)
		result = restore ? restore_framework_state(services, store, argv[2], &error) :
				   backup_framework_state(store, argv[2], &error);
	if (result != FSHA_OK)
		fprintf(stderr, "%s: %s\n", fsha_result_name(result), error.message);

	fsha_worker_store_close(store);
	fsha_services_close(services, NULL);
	fsha_config_destroy(config);
	return result == FSHA_OK ? 0 : 1;
}
