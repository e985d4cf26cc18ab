/* The general store: single values, batches, streams. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/storm/stores.h"

#define SETTLE_TRIES 5

static void name_of(unsigned key, char *ret_name)
{
	(void)snprintf(ret_name, KEY_SIZE, "k%u", key);
}

/* What is in doubt is asked for again, for a moment: the storage may answer by then. */
static fsha_result settle(fsha_state_store *store, const char *name, const fsha_version *version,
			  fsha_result result, fsha_error *reterr)
{
	const struct timespec pause = { 0, 20000000 };

	for (int i = 0; result == FSHA_E_INDOUBT && i < SETTLE_TRIES; i++) {
		(void)nanosleep(&pause, NULL);
		result = fsha_state_store_settle(store, name, version, reterr);
		if (result == FSHA_E_NOT_FOUND)
			return FSHA_E_IO; /* it was not done and never will be */
		if (result == FSHA_E_VERSION)
			result = FSHA_E_INDOUBT;
	}
	return result;
}

/* ---- single values ---- */

fsha_result state_write(struct stores *s, unsigned key, const char *value, fsha_error *reterr)
{
	size_t size = stores_payload(s, value, stores_random(s, 8) == 0 ? 8192 : 300);
	fsha_version old, new = { 0 };
	fsha_result result;
	char name[KEY_SIZE];

	name_of(key, name);
	result = fsha_state_store_exists(s->state, name, &old, reterr);
	if (result != FSHA_OK)
		return result == FSHA_E_INDOUBT ? FSHA_E_IO : result; /* nothing was sent */
	if (fsha_version_is_existing(&old))
		result = fsha_state_store_replace(s->state, name, &old, s->buf, size, &new, reterr);
	else
		result = fsha_state_store_add(s->state, name, s->buf, size, &new, reterr);
	return settle(s->state, name, &new, result, reterr);
}

fsha_result state_remove(struct stores *s, unsigned key, fsha_error *reterr)
{
	char name[KEY_SIZE];

	name_of(key, name);
	return fsha_state_store_remove(s->state, name, NULL, reterr);
}

fsha_result state_read(struct stores *s, unsigned key, char *ret_value, fsha_error *reterr)
{
	fsha_result result;
	char name[KEY_SIZE];
	size_t size;
	void *data;

	name_of(key, name);
	result = fsha_state_store_get(s->state, name, &data, &size, NULL, reterr);
	if (result != FSHA_OK)
		return result;
	result = stores_value(data, size, ret_value);
	fsha_free(data);
	return result;
}

/* ---- batches: PAIR names that always have one and the same value ---- */

static void name_in_pair(unsigned key, unsigned i, char *ret_name)
{
	(void)snprintf(ret_name, KEY_SIZE, "k%u-%u", key, i);
}

static fsha_result change_pair(struct stores *s, unsigned key, uint32_t how, size_t size,
			       fsha_error *reterr)
{
	fsha_state_change changes[PAIR];
	char names[PAIR][KEY_SIZE];
	fsha_version version = { 0 };
	fsha_result result;

	for (unsigned i = 0; i < PAIR; i++) {
		name_in_pair(key, i, names[i]);
		changes[i] = (fsha_state_change){
			.how = how, .name = names[i], .data = size ? s->buf : NULL, .size = size
		};
	}
	result = fsha_state_store_batch(s->batch, changes, PAIR, &version, NULL, reterr);
	if (how == FSHA_STATE_REMOVE)
		return result;
	return settle(s->batch, names[0], &version, result, reterr);
}

fsha_result batch_write(struct stores *s, unsigned key, const char *value, fsha_error *reterr)
{
	return change_pair(s, key, FSHA_STATE_PUT, stores_payload(s, value, 1000), reterr);
}

fsha_result batch_remove(struct stores *s, unsigned key, fsha_error *reterr)
{
	return change_pair(s, key, FSHA_STATE_REMOVE, 0, reterr);
}

/* The version is all zero when it is absent. */
static fsha_result read_in_pair(struct stores *s, unsigned key, unsigned i, char *ret_value,
				fsha_version *ret_version, fsha_error *reterr)
{
	fsha_result result;
	char name[KEY_SIZE];
	size_t size;
	void *data;

	name_in_pair(key, i, name);
	result = fsha_state_store_get(s->batch, name, &data, &size, ret_version, reterr);
	if (result == FSHA_E_NOT_FOUND) {
		memset(ret_version, 0, sizeof(*ret_version));
		ret_value[0] = '\0';
		return FSHA_OK;
	}
	if (result != FSHA_OK)
		return result;
	result = stores_value(data, size, ret_value);
	fsha_free(data);
	return result;
}

/*
 * The first is read before and after the others. If it is the same version, it was that all the
 * time, for versions only grow; and then the others must have been that as well. (Absent twice is
 * not absent all the time.)
 */
fsha_result batch_read(struct stores *s, unsigned key, char *ret_value, fsha_error *reterr)
{
	char values[PAIR + 1][VALUE_SIZE];
	fsha_version versions[PAIR + 1];
	fsha_result result;
	bool same = true;

	for (unsigned i = 0; i <= PAIR; i++) {
		result = read_in_pair(s, key, i % PAIR, values[i], &versions[i], reterr);
		if (result != FSHA_OK)
			return result;
	}
	for (unsigned i = 1; i < PAIR; i++)
		same &= fsha_version_compare(&versions[0], &versions[i]) == 0;
	if (fsha_version_compare(&versions[0], &versions[PAIR]) != 0 || (!same && !values[0][0]))
		return FSHA_E_TIMEOUT; /* it changes: no one value to tell of */
	if (!same) {
		stores_violation(s, "half a batch was seen", values[0]);
		return FSHA_E_CORRUPT;
	}
	memcpy(ret_value, values[0], VALUE_SIZE);
	return values[0][0] ? FSHA_OK : FSHA_E_NOT_FOUND;
}

/* ---- streams ---- */

struct cursor {
	char *buf;
	size_t at, size;
};

static int64_t give(void *ctx, void *buf, size_t size)
{
	struct cursor *c = ctx;
	size_t n = c->size - c->at < size ? c->size - c->at : size;

	memcpy(buf, c->buf + c->at, n);
	c->at += n;
	return (int64_t)n;
}

static int take(void *ctx, const void *data, size_t size)
{
	struct cursor *c = ctx;

	if (size > c->size - c->at)
		return -1;
	memcpy(c->buf + c->at, data, size);
	c->at += size;
	return 0;
}

fsha_result stream_write(struct stores *s, unsigned key, const char *value, fsha_error *reterr)
{
	/* What fits into the first 64 KiB is written as any value. */
	struct cursor c = { s->buf, 0, stores_payload(s, value, PAYLOAD_MAX) };
	fsha_version old, new = { 0 };
	fsha_result result;
	char name[KEY_SIZE];

	name_of(key, name);
	result = fsha_state_store_exists(s->stream, name, &old, reterr);
	if (result != FSHA_OK)
		return result == FSHA_E_INDOUBT ? FSHA_E_IO : result;
	if (fsha_version_is_existing(&old))
		result = fsha_state_store_replace_stream(s->stream, name, &old, give, &c, &new,
							 reterr);
	else
		result = fsha_state_store_add_stream(s->stream, name, give, &c, &new, reterr);
	return settle(s->stream, name, &new, result, reterr);
}

fsha_result stream_remove(struct stores *s, unsigned key, fsha_error *reterr)
{
	char name[KEY_SIZE];

	name_of(key, name);
	return fsha_state_store_remove(s->stream, name, NULL, reterr);
}

fsha_result stream_read(struct stores *s, unsigned key, char *ret_value, fsha_error *reterr)
{
	struct cursor c = { s->buf, 0, sizeof(s->buf) };
	fsha_result result;
	char name[KEY_SIZE];

	name_of(key, name);
	result = fsha_state_store_get_stream(s->stream, name, take, &c, NULL, NULL, reterr);
	return result == FSHA_OK ? stores_value(s->buf, c.at, ret_value) : result;
}
