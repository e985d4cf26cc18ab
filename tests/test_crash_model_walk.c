/*
 * The crash model on random walks: a leader writes, batches, removes, cleans and packs in random
 * order, and now and then dies and comes again; so what is not synced yet of many operations comes
 * together. SEED repeats one walk.
 */
#include "tests/test_crash_model.h"

#define STEPS 14
#define KEYS 5

struct walk {
	struct shelf f;
	uint64_t random;
	unsigned next_value;
};

static unsigned draw(struct walk *w, unsigned below)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (unsigned)((w->random >> 20) % below);
}

static const char *draw_key(struct walk *w)
{
	static const char *const keys[KEYS] = { "k1", "k2", "k3", "k4", "k5" };

	return keys[draw(w, KEYS)];
}

/* Changes of two keys or more, each put or removed. */
static fsha_result change_some(struct walk *w, unsigned count)
{
	static const char *const keys[KEYS] = { "k1", "k2", "k3", "k4", "k5" };
	fsha_state_change changes[KEYS] = { 0 };
	unsigned first = draw(w, KEYS);
	char value[16];

	(void)snprintf(value, sizeof(value), "%u", ++w->next_value);
	for (unsigned i = 0; i < count; i++) {
		changes[i].name = keys[(first + i) % KEYS];
		changes[i].how = draw(w, 3) ? FSHA_STATE_PUT : FSHA_STATE_REMOVE;
		if (changes[i].how == FSHA_STATE_PUT) {
			changes[i].data = value;
			changes[i].size = strlen(value);
		}
	}
	return fsha_state_store_batch(w->f.store, changes, count, NULL, NULL, &w->f.s.error);
}

/* The process dies and another one comes; what it had not synced is there, as long as there is
 * power. */
static void die_and_come_again(struct walk *w)
{
	struct shelf *f = &w->f;

	film_step(f->s.film, "die and come again", false);
	crashfs_kill_client(f->s.disk, 0);
	shelf_put_down(f);
	holder_stop(&f->s.h);
	stage_lead(&f->s);
	shelf_take_up(f);
	film_ack(f->s.film);
}

static void make_step(struct walk *w)
{
	struct stage *s = &w->f.s;

	switch (draw(w, 12)) {
	case 0 ... 2:
		step(s, "change one", change_some(w, 1));
		break;
	case 3 ... 5:
		step_atomic(s, "change some", change_some(w, 2 + draw(w, KEYS - 2)));
		break;
	case 6:
		step(s, "remove",
		     fsha_state_store_remove(w->f.store, draw_key(w), NULL, &s->error));
		break;
	case 7 ... 8:
		step(s, "clean", look_after(&w->f));
		break;
	case 9:
		film_step(s->film, "compact", false);
		store_compact(w->f.raw);
		film_ack(s->film);
		break;
	case 10:
		film_step(s->film, "empty the trash", false);
		(void)tenure_empty_trash(&s->h.services->cluster, s->h.term->election_fd, 100);
		film_ack(s->film);
		break;
	default:
		die_and_come_again(w);
		break;
	}
}

static void walk(uint64_t seed)
{
	struct walk w = { .random = seed * UINT64_C(2654435761) + 1 };
	char name[64];

	(void)snprintf(name, sizeof(name), "walk, SEED=%llu", (unsigned long long)seed);
	shelf_open(&w.f, name,
		   (struct stage_options){ seed % 3 == 2 ? 30 * FSU_NS_PER_S : 0,
					   test_size(12, 40, 100), seed, 0 });
	stage_begin(&w.f.s);
	for (unsigned i = 0; i < STEPS; i++)
		make_step(&w);
	shelf_close(&w.f);
}

static void what_is_acknowledged_survives_every_cut_of_a_random_walk(void **state)
{
	uint64_t first = 1;
	const uint64_t walks = test_seed(&first) ? 1 : test_size(8, 30, 180);

	(void)state;
	print_message("seeds %llu to %llu\n", (unsigned long long)first,
		      (unsigned long long)(first + walks - 1));
	for (uint64_t seed = first; seed < first + walks; seed++)
		walk(seed);
}

static void as_many_states_were_checked_as_it_takes(void **state)
{
	(void)state;
	film_assert_checked(test_size(4000, 45000, 840000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_acknowledged_survives_every_cut_of_a_random_walk),
		cmocka_unit_test(as_many_states_were_checked_as_it_takes),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	film_print_totals();
	return failed;
}
