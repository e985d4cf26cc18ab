/* A leader with a store of its own, for the tests of fsha/state.h. */
#ifndef TESTS_TEST_STATE_FIXTURE_H
#define TESTS_TEST_STATE_FIXTURE_H

#include "tests/test_hook.h"

struct leading {
	fsha_services *services;
	fsha_state_store *store;
	struct player player;
};

static inline fsha_state_store *open_store(fsha_services *s)
{
	fsha_state_store *store = NULL;

	assert_ok(fsha_state_store_open(s, "ns", ELECTION, &store, &t.error));
	return store;
}

static inline void lead_with(struct leading *l, fsha_services *s)
{
	l->services = s;
	player_lead(&l->player, s, ELECTION);
	l->store = open_store(s);
}

static inline void lead(struct leading *l)
{
	lead_with(l, open_services());
}

static inline void done(struct leading *l)
{
	fsha_state_store_close(l->store);
	player_close(&l->player);
	close_services(l->services);
}

static inline fsha_version add(fsha_state_store *store, const char *name, const char *text)
{
	fsha_version version = { 0 };

	assert_ok(fsha_state_store_add(store, name, text, strlen(text), &version, &t.error));
	assert_true(fsha_version_is_existing(&version));
	return version;
}

static inline void assert_value(fsha_state_store *store, const char *name, const char *text)
{
	void *data = NULL;
	size_t size = 0;

	assert_ok(fsha_state_store_get(store, name, &data, &size, NULL, &t.error));
	assert_int_equal(size, strlen(text));
	assert_string_equal(data, text); /* with the zero byte behind it */
	fsha_free(data);
}

static inline fsha_version version_of(fsha_state_store *store, const char *name)
{
	fsha_version version = { .epoch = 99 };

	assert_ok(fsha_state_store_exists(store, name, &version, &t.error));
	return version;
}

#endif
