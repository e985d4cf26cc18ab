/* What is there when a store is opened. */
#include <errno.h>
#include <string.h>

#include "src/checkpoint/checkpoint.h"
#include "src/result/error.h"

/* One that cannot be read: the end of the open, unless the caller has said otherwise. */
static fsha_result tell_broken(fsha_checkpoint_store *s, const char *key, const fsha_error *error,
			       fsha_error *reterr)
{
	if (!(s->options.flags & FSHA_CHECKPOINT_SKIP_BROKEN))
		return error_set(reterr, FSHA_E_CORRUPT, 0, "recover",
				 "checkpoint '%s/%.40s' cannot be recovered: %.300s; "
				 "FSHA_CHECKPOINT_SKIP_BROKEN goes on without it",
				 s->directory, key, error->message);
	services_log(s->services, FSHA_LOG_WARNING, "checkpoint_skipped",
		     "directory=%s checkpoint=%s error=\"%s\"", s->directory, key, error->message);
	if (s->options.broken)
		s->options.broken(s->options.ctx, key, error);
	return FSHA_OK;
}

static fsha_result no_memory(const fsha_checkpoint_store *s, fsha_error *reterr)
{
	return error_os(reterr, -ENOMEM, "alloc", "cannot recover '%s'", s->directory);
}

/* Room for it was made. */
static fsha_result load(fsha_checkpoint_store *s, const char *key, int64_t id, fsha_error *reterr)
{
	const struct fsu *fs = services_fs(s->services);
	char pointer[FSHA_CHECKPOINT_POINTER_MAX + 1];
	fsha_error error = FSHA_ERROR_INIT;
	fsha_completed_checkpoint decoded;
	struct checkpoint *c = NULL;
	struct record record;
	fsha_result result;

	result = store_get(s->store, key, &record, NULL, &error);
	if (result == FSHA_E_NOT_FOUND)
		return FSHA_OK; /* subsumed by its leader meanwhile */
	if (result == FSHA_E_CORRUPT)
		return tell_broken(s, key, &error, reterr);
	if (result != FSHA_OK)
		return error_copy(reterr, &error);
	if (!checkpoint_decode(record.data, record.size, id, &decoded, pointer)) {
		(void)error_set(&error, FSHA_E_CORRUPT, 0, "decode",
				"its payload is not that of checkpoint '%s'", key);
		result = tell_broken(s, key, &error, reterr);
	} else {
		c = checkpoint_create(fs, &decoded);
		result = c ? FSHA_OK : no_memory(s, reterr);
	}
	record_done(fs, &record);
	if (c)
		s->retained[s->count++] = c;
	return result;
}

/* Its removal was cut short, maybe before its data was discarded. */
static fsha_result take_up(fsha_checkpoint_store *s, int64_t id, fsha_error *reterr)
{
	struct removal *removal;

	if (!s->options.discard)
		return FSHA_OK; /* for somebody who can */
	removal = fsu_alloc(services_fs(s->services), sizeof(*removal));
	if (!removal)
		return no_memory(s, reterr);
	removal->id = id;
	removal->discard = true;
	checkpoint_add_due(s, removal);
	return FSHA_OK;
}

fsha_result checkpoint_recover(fsha_checkpoint_store *s, fsha_error *reterr)
{
	const struct fsu *fs = services_fs(s->services);
	fsha_error error = FSHA_ERROR_INIT;
	struct store_handle *handles;
	fsha_result result;
	size_t count;
	int64_t id;

	result = store_handles(s->store, &handles, &count, reterr);
	if (result != FSHA_OK)
		return result;
	s->size = count + 1;
	s->retained = fsu_alloc(fs, s->size * sizeof(*s->retained));
	if (!s->retained)
		result = no_memory(s, reterr);
	/* Names are sorted, and so are the ids. */
	for (size_t i = 0; i < count && result == FSHA_OK; i++) {
		if (!checkpoint_parse_key(handles[i].key, &id)) {
			(void)error_set(&error, FSHA_E_CORRUPT, 0, "list",
					"its name is not that of a checkpoint");
			result = tell_broken(s, handles[i].key, &error, reterr);
		} else if (handles[i].form == NAME_MARKED) {
			result = take_up(s, id, reterr);
		} else {
			result = load(s, handles[i].key, id, reterr);
		}
	}
	fsu_release(fs, handles);
	return result;
}
