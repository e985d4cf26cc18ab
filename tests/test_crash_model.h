/*
 * What the crash model's tests begin with: a film, and a leader of several elections whose steps
 * are filmed.
 */
#ifndef TESTS_TEST_CRASH_MODEL_H
#define TESTS_TEST_CRASH_MODEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fsha/fsha.h"
#include "src/cluster/layout.h"
#include "src/leader/leader.h"
#include "src/services/services.h"
#include "tests/lib/film.h"
#include "tests/lib/run.h"

#define JOB_HEX "000102030405060708090a0b0c0d0e0f"
#define JOB_ELECTION "job-" JOB_HEX
#define DISPATCHER FSHA_ELECTION_DISPATCHER
#define MANAGER FSHA_ELECTION_RESOURCE_MANAGER

static const fsha_job_id job = { { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 } };
static const char *const all_elections[] = { DISPATCHER, MANAGER, JOB_ELECTION, NULL };

struct stage {
	struct crashfs *disk;
	struct film *film;
	struct holder h;
	fsha_error error;
};

#define must(stage, call)                                                             \
	do {                                                                          \
		fsha_result must_ = (call);                                           \
		if (must_ != FSHA_OK)                                                 \
			fail_msg("%s: %s (%s)\n%s", #call, fsha_result_name(must_),   \
				 (stage)->error.message, crashfs_log((stage)->disk)); \
	} while (0)

/* What differs between films: caches of hosts, or one kernel (0); states of each frame; chance. */
struct stage_options {
	int64_t cache_ns;
	uint64_t limit, seed; /* seed 0: SEED, or 1 */
	uint64_t whole;       /* 0: limit */
};

/* The lease must not end while the film is on. */
static inline void hold_lease(struct holder *h)
{
	lease_begin(&h->services->member->lease, fsu_now_ns(h->fs), 36000 * FSU_NS_PER_S);
}

static inline void stage_open(struct stage *s, const char *name, struct stage_options o)
{
	uint64_t seed = 1;

	(void)test_seed(&seed);
	if (o.seed)
		seed = o.seed;
	*s = (struct stage){ .error = FSHA_ERROR_INIT };
	s->disk = crashfs_create(&(struct crashfs_options){ .seed = seed, .cache_ns = o.cache_ns });
	s->film = film_open(&(struct film_options){ .name = name,
						    .elections = all_elections,
						    .whole = o.whole ? o.whole : o.limit,
						    .limit = o.limit,
						    .again = 40,
						    .seed = seed });
}

/* A leader of all of them, whose coming was no part of it. */
static inline void stage_lead(struct stage *s)
{
	holder_start(&s->h, s->disk, 0, DISPATCHER);
	holder_lead_too(&s->h, MANAGER);
	holder_lead_too(&s->h, JOB_ELECTION);
	hold_lease(&s->h);
	for (struct attached_term *a = s->h.services->attached; a; a = a->next)
		film_granted(s->film, a->term->election, a->term);
}

static inline void stage_begin(struct stage *s)
{
	film_begin(s->film, s->disk);
}

static inline void stage_close(struct stage *s)
{
	film_end(s->film);
	holder_stop(&s->h);
	for (unsigned i = 0; i < CRASHFS_CLIENTS; i++)
		assert_int_equal(crashfs_open_fds(s->disk, i), 0);
	assert_int_equal(crashfs_bytes_allocated(s->disk), 0);
	crashfs_destroy(s->disk);
	film_close(s->film);
}

/* One filmed step. */
#define step(stage, name, call)                          \
	do {                                             \
		film_step((stage)->film, (name), false); \
		must(stage, call);                       \
		film_ack((stage)->film);                 \
	} while (0)
/* One that is there as a whole or not at all. */
#define step_atomic(stage, name, call)                  \
	do {                                            \
		film_step((stage)->film, (name), true); \
		must(stage, call);                      \
		film_ack((stage)->film);                \
	} while (0)

/* ---- a leader with a store of the general kind ---- */

struct shelf {
	struct stage s;
	fsha_state_store *store;
	struct store *raw;
};

static inline void shelf_take_up(struct shelf *f)
{
	const struct store_options options = { .directory = "state/ns",
					       .election = DISPATCHER,
					       .kind = FSU_KIND_STATE,
					       .owned = true };

	must(&f->s,
	     fsha_state_store_open(f->s.h.services, "ns", DISPATCHER, &f->store, &f->s.error));
	must(&f->s, services_store_open(f->s.h.services, &options, &f->raw, &f->s.error));
	f->raw->compact_files = 3;
}

static inline void shelf_put_down(struct shelf *f)
{
	services_store_close(f->s.h.services, f->raw);
	fsha_state_store_close(f->store);
}

static inline void shelf_open(struct shelf *f, const char *name, struct stage_options o)
{
	stage_open(&f->s, name, o);
	stage_lead(&f->s);
	shelf_take_up(f);
}

static inline void shelf_close(struct shelf *f)
{
	film_end(f->s.film);
	shelf_put_down(f);
	stage_close(&f->s);
}

static inline fsha_result add(struct shelf *f, const char *key, const char *value)
{
	return fsha_state_store_add(f->store, key, value, strlen(value), NULL, &f->s.error);
}

static inline fsha_result replace(struct shelf *f, const char *key, const char *value)
{
	fsha_version version;
	fsha_result result = fsha_state_store_exists(f->store, key, &version, &f->s.error);

	if (result != FSHA_OK)
		return result;
	return fsha_state_store_replace(f->store, key, &version, value, strlen(value), NULL,
					&f->s.error);
}

static inline fsha_result change_many(struct shelf *f, const char *value)
{
	const fsha_state_change changes[] = {
		{ .how = FSHA_STATE_PUT, .name = "k1", .data = value, .size = strlen(value) },
		{ .how = FSHA_STATE_PUT, .name = "k2", .data = value, .size = strlen(value) },
		{ .how = FSHA_STATE_PUT, .name = "k4", .data = value, .size = strlen(value) },
		{ .how = FSHA_STATE_REMOVE, .name = "k3" },
	};

	return fsha_state_store_batch(f->store, changes, 4, NULL, NULL, &f->s.error);
}

/* What the janitor does, and what it does when old versions have become old enough. */
static inline fsha_result look_after(struct shelf *f)
{
	(void)store_clean(f->raw);
	crashfs_advance(f->s.disk, INDEX_RETAIN_NS + FSU_NS_PER_MS);
	(void)store_clean(f->raw);
	return FSHA_OK;
}

static inline fsha_result compact(struct shelf *f)
{
	store_compact(f->raw);
	return FSHA_OK;
}

#endif
