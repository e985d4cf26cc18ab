/*
 * Random puts, removals, batches, compactions, cleanings, takeovers, faults and power cuts, against
 * a plain map: every reader sees at any time exactly what the map says, and what was in doubt is
 * done as a whole or not at all. A failure prints the seed; SEED repeats it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/actor.h"
#include "tests/lib/run.h"

#define KEYS 12
#define STEPS 300
#define SEEDS 15
#define SEEDS_LONG 2000
#define LEASE_NS (36000 * FSU_NS_PER_S)

/* Which value each key has; 0: none. */
struct map {
	unsigned value[KEYS];
};

struct run {
	uint64_t seed, random;
	struct crashfs *disk;
	struct actor actors[2];
	unsigned leader;
	struct map map, after; /* now; and if what is in doubt was done */
	unsigned next_value;
	unsigned step;
	unsigned doubts, cuts, packs;
};

static unsigned draw(struct run *r, unsigned below)
{
	r->random ^= r->random << 13;
	r->random ^= r->random >> 7;
	r->random ^= r->random << 17;
	return (unsigned)((r->random >> 20) % below);
}

static const char *key_of(unsigned i)
{
	static const char *const keys[KEYS] = { "a", "b", "c", "d", "e", "f",
						"g", "h", "i", "j", "k", "l" };

	return keys[i];
}

static struct actor *leader(struct run *r)
{
	return &r->actors[r->leader];
}

static void blame(struct run *r, const char *what)
{
	fprintf(stderr, "%s", crashfs_log(r->disk));
	fail_msg("seed %llu, step %u: %s", (unsigned long long)r->seed, r->step, what);
}

/* ---- What is seen ---- */

static struct map read_map(struct run *r, struct actor *a)
{
	struct map map;
	char text[64], what[600];

	for (unsigned i = 0; i < KEYS; i++) {
		fsha_result result = actor_get(a, key_of(i), text);

		map.value[i] = 0;
		if (result == FSHA_OK)
			map.value[i] = (unsigned)atoi(text);
		else if (result != FSHA_E_NOT_FOUND) {
			(void)snprintf(what, sizeof(what), "cannot read '%s': %s", key_of(i),
				       a->error.message);
			blame(r, what);
		}
	}
	return map;
}

static bool is_same(const struct map *a, const struct map *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static void compare(struct run *r, struct actor *a, const char *who)
{
	struct map seen = read_map(r, a);
	char what[100];

	for (unsigned i = 0; i < KEYS; i++) {
		if (seen.value[i] == r->map.value[i])
			continue;
		(void)snprintf(what, sizeof(what), "%s reads '%s' as %u, it is %u", who, key_of(i),
			       seen.value[i], r->map.value[i]);
		blame(r, what);
	}
}

/* ---- Who leads ---- */

static void lead(struct run *r)
{
	struct actor *a = leader(r);

	actor_take_over(a);
	lease_begin(&a->member->lease, fsu_now_ns(a->fs), LEASE_NS);
}

static void start(struct run *r)
{
	for (unsigned i = 0; i < 2; i++) {
		actor_start(&r->actors[i], r->disk, i);
		r->actors[i].store->compact_files = 4;
	}
	lead(r);
}

/* The other one takes over; the former leader lives on and reads. */
static void take_over(struct run *r)
{
	lease_expire(&leader(r)->member->lease);
	r->leader = 1 - r->leader;
	lead(r);
}

/* Whatever was in doubt is known after it, as a whole. */
static void cut_power(struct run *r)
{
	struct map seen;

	crashfs_fault_clear(r->disk);
	crashfs_crash(r->disk, r->random);
	crashfs_recover(r->disk);
	actor_stop(&r->actors[0]);
	actor_stop(&r->actors[1]);
	r->leader = draw(r, 2);
	start(r);
	seen = read_map(r, leader(r));
	if (is_same(&seen, &r->after))
		r->map = r->after;
	r->after = r->map;
	compare(r, leader(r), "after a power cut, the leader");
	r->cuts++;
}

/* ---- Steps ---- */

/* What became of a write that would make r->after of r->map. */
static void conclude(struct run *r, fsha_result result, const char *key, const fsha_version *v)
{
	struct actor *a = leader(r);

	crashfs_fault_clear(r->disk);
	if (result == FSHA_E_INDOUBT) {
		r->doubts++;
		if (key && draw(r, 2))
			result = store_settle(a->store, key, v, &a->error);
	}
	if (result == FSHA_E_INDOUBT) {
		cut_power(r);
		return;
	}
	if (result == FSHA_OK)
		r->map = r->after;
	else if (result != FSHA_E_IO && result != FSHA_E_NOMEM && result != FSHA_E_NOT_FOUND)
		blame(r, a->error.message);
	r->after = r->map;
}

static struct store_change change(struct run *r, unsigned i, char *text)
{
	struct store_change c = { .how = STORE_REMOVE, .key = key_of(i) };

	r->after.value[i] = 0;
	if (draw(r, 3) == 0)
		return c;
	c.how = STORE_PUT;
	r->after.value[i] = ++r->next_value;
	c.size = (size_t)sprintf(text, "%u", r->next_value);
	c.data = text;
	return c;
}

static void write_batch(struct run *r, unsigned count)
{
	const unsigned first = draw(r, KEYS), stride = draw(r, 2) ? 5 : 1;
	struct store_change changes[KEYS];
	char texts[KEYS][16];
	fsha_version v = { 0 };
	fsha_result result;

	for (unsigned i = 0; i < count; i++)
		changes[i] = change(r, (first + i * stride) % KEYS, texts[i]);
	result = store_write_batch(leader(r)->store, changes, count, &v, NULL, &leader(r)->error);
	r->packs += count > 1 && result == FSHA_OK;
	conclude(r, result, fsha_version_is_existing(&v) ? changes[0].key : NULL, &v);
}

static void write_one(struct run *r)
{
	fsha_version v = { 0 };
	struct store_change c;
	fsha_result result;
	char text[16];

	c = change(r, draw(r, KEYS), text);
	result = store_write(leader(r)->store, c.how, c.key, NULL, c.data, c.size, &v,
			     &leader(r)->error);
	conclude(r, result, c.key, &v);
}

static void clear(struct run *r)
{
	memset(&r->after, 0, sizeof(r->after));
	conclude(r, store_clear(leader(r)->store, &leader(r)->error), NULL, NULL);
}

/* One of the next calls of the leader fails. */
static void arm(struct run *r)
{
	const struct crashfs_fault fault = {
		.client = r->leader,
		.at = draw(r, 25),
		.error = 5, /* EIO */
		.mode = draw(r, 2) ? CRASHFS_DONE : CRASHFS_NOT_DONE,
	};

	crashfs_count_reset(r->disk);
	crashfs_fault_arm(r->disk, &fault);
}

static void step(struct run *r)
{
	if (draw(r, 4) == 0)
		arm(r);
	switch (draw(r, 16)) {
	case 0 ... 3:
		write_one(r);
		break;
	case 4 ... 6:
		write_batch(r, 2 + draw(r, 5));
		break;
	case 7 ... 9:
		store_clean(leader(r)->store);
		break;
	case 10 ... 12:
		store_compact(leader(r)->store);
		break;
	case 13:
		crashfs_advance(r->disk, (int64_t)draw(r, 3000) * FSU_NS_PER_MS);
		break;
	case 14:
		if (draw(r, 10) == 0)
			clear(r);
		break;
	default:
		crashfs_fault_clear(r->disk);
		if (draw(r, 4) == 0)
			cut_power(r);
		else if (draw(r, 3) == 0)
			take_over(r);
		break;
	}
	crashfs_fault_clear(r->disk);
	compare(r, leader(r), "the leader");
	if (draw(r, 3) == 0)
		compare(r, &r->actors[1 - r->leader], "the other one");
}

static void play(uint64_t seed, struct run *ret_run)
{
	struct run r = { .seed = seed, .random = seed * 2654435761u + 1 };
	/* Every third run is that of hosts with caches. */
	const struct crashfs_options options = {
		.seed = seed,
		.cache_ns = seed % 3 == 2 ? 30 * FSU_NS_PER_S : 0,
		.time_step_ns = seed % 3 == 2 ? 4 * FSU_NS_PER_MS : 0,
	};

	r.disk = crashfs_create(&options);
	start(&r);
	for (r.step = 0; r.step < STEPS; r.step++)
		step(&r);
	actor_stop(&r.actors[0]);
	actor_stop(&r.actors[1]);
	for (unsigned i = 0; i < CRASHFS_CLIENTS; i++)
		assert_int_equal(crashfs_open_fds(r.disk, i), 0);
	assert_int_equal(crashfs_bytes_allocated(r.disk), 0);
	crashfs_destroy(r.disk);
	*ret_run = r;
}

static void what_is_read_is_what_was_written_whatever_happens(void **state)
{
	uint64_t first = 1;
	const uint64_t seeds = test_seed(&first) ? 1 : test_size(SEEDS, SEEDS, SEEDS_LONG);
	unsigned doubts = 0, cuts = 0, packs = 0;
	struct run r;

	(void)state;
	for (uint64_t seed = first; seed < first + seeds; seed++) {
		play(seed, &r);
		doubts += r.doubts;
		cuts += r.cuts;
		packs += r.packs;
	}
	print_message("seeds %llu to %llu: %u batches, %u doubts, %u power cuts\n",
		      (unsigned long long)first, (unsigned long long)(first + seeds - 1), packs,
		      doubts, cuts);
	assert_true(seeds == 1 || (doubts > 0 && cuts > 0 && packs > 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_read_is_what_was_written_whatever_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
