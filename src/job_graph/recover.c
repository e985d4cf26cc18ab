/* Reading job graphs, and changing what is stored with one. */
#include <errno.h>
#include <string.h>

#include "src/cluster/layout.h"
#include "src/job_graph/job_graph.h"
#include "src/job_graph/requirements.h"
#include "src/result/error.h"

/* How often a change starts over because the graph was replaced meanwhile. */
#define CHANGE_TRIES 50

/* Read it, take it apart (`ret_parts` points into the record), and make it own. */
static fsha_result recover(fsha_job_graph_store *s, const fsha_job_id *id,
			   struct record *ret_record, struct requirements_parts *ret_parts,
			   fsha_version *ret_version, fsha_error *reterr)
{
	const struct fsu *fs = services_fs(s->services);
	char key[FSHA_HEX_ID_TEXT];
	fsha_result result;

	fsha_job_id_format(id, key);
	result = store_get(s->store, key, ret_record, ret_version, reterr);
	if (result != FSHA_OK)
		return result;
	if (requirements_split(ret_record->data, ret_record->size, ret_parts) < 0)
		result = error_set(reterr, FSHA_E_CORRUPT, 0, "decode",
				   "'" LAYOUT_JOB_GRAPHS
				   "/%s' is damaged: its resource requirements have no end",
				   key);
	if (result == FSHA_OK) {
		(void)pthread_mutex_lock(&s->mutex);
		if (ids_add(fs, &s->own, id) < 0)
			result = error_os(reterr, -ENOMEM, "alloc", "cannot recover job graph '%s'",
					  key);
		(void)pthread_mutex_unlock(&s->mutex);
	}
	if (result != FSHA_OK)
		record_done(fs, ret_record);
	return result;
}

fsha_result fsha_job_graph_store_recover(fsha_job_graph_store *s, const fsha_job_id *id,
					 void **ret_graph, size_t *ret_size, fsha_error *reterr)
{
	struct requirements_parts parts;
	struct record record;
	fsha_result result;

	result = job_graph_check_started(s, id, reterr);
	if (result == FSHA_OK && (!ret_graph || !ret_size))
		result = error_set(reterr, FSHA_E_INVALID, 0, "recover", "an argument is NULL");
	if (result == FSHA_OK)
		result = recover(s, id, &record, &parts, NULL, reterr);
	if (result != FSHA_OK)
		return result;
	/* With the zero byte behind it. */
	memmove(record.data, parts.graph, parts.graph_size + 1);
	*ret_graph = record.data;
	*ret_size = parts.graph_size;
	record.data = NULL;
	record_done(services_fs(s->services), &record);
	return FSHA_OK;
}

static fsha_stored_job_graph *put_together(const struct fsu *fs, const fsha_job_id *id,
					   const struct requirements_parts *parts,
					   const fsha_version *version)
{
	fsha_stored_job_graph *stored;
	char *text;

	stored = fsu_alloc(fs, sizeof(*stored) + parts->graph_size + parts->requirements_size + 2);
	if (!stored)
		return NULL;
	text = (char *)(stored + 1);
	if (parts->graph_size > 0)
		memcpy(text, parts->graph, parts->graph_size);
	*stored = (fsha_stored_job_graph){
		.struct_size = sizeof(*stored),
		.id = *id,
		.graph = text,
		.size = parts->graph_size,
		.version = *version,
	};
	if (parts->requirements_size > 0) {
		text += parts->graph_size + 1;
		memcpy(text, parts->requirements, parts->requirements_size);
		stored->requirements = text;
		stored->requirements_size = parts->requirements_size;
	}
	return stored;
}

fsha_result fsha_job_graph_store_recover_stored(fsha_job_graph_store *s, const fsha_job_id *id,
						fsha_stored_job_graph **ret_stored,
						fsha_error *reterr)
{
	struct requirements_parts parts;
	fsha_stored_job_graph *stored;
	struct record record;
	fsha_version version;
	fsha_result result;

	result = job_graph_check_started(s, id, reterr);
	if (result == FSHA_OK && !ret_stored)
		result = error_set(reterr, FSHA_E_INVALID, 0, "recover", "an argument is NULL");
	if (result == FSHA_OK)
		result = recover(s, id, &record, &parts, &version, reterr);
	if (result != FSHA_OK)
		return result;
	stored = put_together(services_fs(s->services), id, &parts, &version);
	record_done(services_fs(s->services), &record);
	if (!stored)
		return error_os(reterr, -ENOMEM, "alloc", "cannot recover a job graph");
	*ret_stored = stored;
	return FSHA_OK;
}

/* The graph as it is, with these requirements, unless it is replaced in between: VERSION. */
static fsha_result change_requirements(fsha_job_graph_store *s, const fsha_job_id *id,
				       const char *requirements, size_t size, fsha_error *reterr)
{
	const struct fsu *fs = services_fs(s->services);
	struct requirements_parts parts;
	char key[FSHA_HEX_ID_TEXT];
	struct record record;
	fsha_version version;
	fsha_result result;
	uint8_t *payload;
	size_t total;
	int r;

	result = recover(s, id, &record, &parts, &version, reterr);
	if (result != FSHA_OK)
		return result;
	parts.requirements = requirements;
	parts.requirements_size = size;
	r = requirements_join(fs, &parts, &payload, &total);
	record_done(fs, &record);
	if (r < 0)
		return job_graph_cannot_join(r, reterr);
	result = store_write(s->store, STORE_REPLACE, fsha_job_id_format(id, key), &version,
			     payload, total, NULL, reterr);
	fsu_release(fs, payload);
	return result;
}

fsha_result fsha_job_graph_store_put_job_resource_requirements(fsha_job_graph_store *s,
							       const fsha_job_id *id,
							       const char *requirements,
							       size_t size, fsha_error *reterr)
{
	fsha_result result = job_graph_check_started(s, id, reterr);

	if (result == FSHA_OK && !requirements)
		result = error_set(reterr, FSHA_E_INVALID, 0, "put", "an argument is NULL");
	if (result == FSHA_OK)
		result = requirements_check(requirements, size, reterr);
	if (result != FSHA_OK)
		return result;
	(void)pthread_mutex_lock(&s->writing);
	result = FSHA_E_VERSION;
	for (int i = 0; i < CHANGE_TRIES && result == FSHA_E_VERSION; i++)
		result = change_requirements(s, id, requirements, size, reterr);
	(void)pthread_mutex_unlock(&s->writing);
	return result;
}
