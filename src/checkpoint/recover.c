/*
 * What is there when a store is opened.
 *
 * Who does not lead may look while the leader adds and drops. A listing is no picture of one moment
 * then: it may miss a checkpoint that was added meanwhile, and show the one before it as dropped
 * already, or show one that is gone when it is to be read; as if the job had an older state, or
 * none. But what was there when a listing began it shows in one form or another, for tombstones
 * stay for longer than a listing takes. So if the highest id that it shows is that of a checkpoint,
 * which was read, this was the newest one at a moment after that. If it is that of a dropped one, a
 * second listing that shows the same one on top has missed nothing. Of the lower ones some may have
 * been dropped before they were read, as the opener may always find.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "src/checkpoint/checkpoint.h"
#include "src/result/error.h"

#define LOOKS_MAX 100

/* One look at all of it. */
struct look {
	/* The highest checkpoint that is known, dropped or not; the id is 0 when there is none. */
	int64_t id;
	fsha_version version;
	bool read;            /* what can be: it exists, and was not dropped meanwhile */
	char told[NAME_SIZE]; /* the last key of a broken one, of this look and those before it */
};

/* One that cannot be read: the end of the open, unless the caller has said otherwise. */
static fsha_result tell_broken(fsha_checkpoint_store *s, struct look *look, const char *key,
			       const fsha_error *error, fsha_error *reterr)
{
	if (!(s->options.flags & FSHA_CHECKPOINT_SKIP_BROKEN))
		return error_set(reterr, FSHA_E_CORRUPT, 0, "recover",
				 "checkpoint '%s/%.40s' cannot be recovered: %.300s; "
				 "FSHA_CHECKPOINT_SKIP_BROKEN goes on without it",
				 s->directory, key, error->message);
	if (strcmp(key, look->told) <= 0)
		return FSHA_OK; /* in a look before this one */
	(void)snprintf(look->told, sizeof(look->told), "%s", key);
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
static fsha_result load(fsha_checkpoint_store *s, struct look *look, const char *key, int64_t id,
			fsha_error *reterr)
{
	const struct fsu *fs = services_fs(s->services);
	char pointer[FSHA_CHECKPOINT_POINTER_MAX + 1];
	fsha_error error = FSHA_ERROR_INIT;
	fsha_completed_checkpoint decoded;
	struct checkpoint *c = NULL;
	struct record record;
	fsha_result result;

	result = store_get(s->store, key, &record, NULL, &error);
	look->read = result != FSHA_E_NOT_FOUND;
	if (!look->read)
		return FSHA_OK; /* dropped by its leader meanwhile */
	if (result == FSHA_E_CORRUPT)
		return tell_broken(s, look, key, &error, reterr);
	if (result != FSHA_OK)
		return error_copy(reterr, &error);
	if (!checkpoint_decode(record.data, record.size, id, &decoded, pointer)) {
		(void)error_set(&error, FSHA_E_CORRUPT, 0, "decode",
				"its payload is not that of checkpoint '%s'", key);
		result = tell_broken(s, look, key, &error, reterr);
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

static fsha_result look_once(fsha_checkpoint_store *s, struct look *look, fsha_error *reterr)
{
	const struct fsu *fs = services_fs(s->services);
	fsha_error error = FSHA_ERROR_INIT;
	struct store_handle *handles;
	fsha_result result;
	size_t count;
	int64_t id;

	result = store_handles_and_gone(s->store, &handles, &count, reterr);
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
			result = tell_broken(s, look, handles[i].key, &error, reterr);
			continue;
		}
		look->id = id;
		look->version = handles[i].version;
		look->read = false;
		if (handles[i].form == NAME_MARKED)
			result = take_up(s, id, reterr);
		else if (name_form_lives(handles[i].form))
			result = load(s, look, handles[i].key, id, reterr);
	}
	fsu_release(fs, handles);
	return result;
}

/* As if it had not been looked at. */
static void forget(fsha_checkpoint_store *s)
{
	checkpoint_free_retained(s);
	fsu_release(services_fs(s->services), s->retained);
	s->retained = NULL;
	s->size = 0;
	checkpoint_free_removals(services_fs(s->services), &s->due);
}

fsha_result checkpoint_recover(fsha_checkpoint_store *s, fsha_error *reterr)
{
	struct look look = { .id = 0 }, last;
	fsha_result result;

	for (int i = 0; i < LOOKS_MAX; i++) {
		last = look;
		look.id = 0;
		result = look_once(s, &look, reterr);
		if (result != FSHA_OK || look.read || look.id == 0)
			return result;
		if (i > 0 && look.id == last.id &&
		    fsha_version_compare(&look.version, &last.version) == 0)
			return FSHA_OK;
		forget(s);
	}
	return error_set(reterr, FSHA_E_TIMEOUT, 0, "recover",
			 "cannot recover '%s': it changes faster than it can be read",
			 s->directory);
}
