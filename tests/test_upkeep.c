/*
 * The janitor in stores of the leader's election, while users open, write and clean the same ones:
 * nothing comes back that was removed, and nothing goes that was acknowledged.
 */
#include "tests/test_gc.h"

#define KEYS (STORE_COMPACT_FILES + 10)

static const struct store_options graphs = { .directory = LAYOUT_JOB_GRAPHS,
					     .election = ACTOR_ELECTION,
					     .kind = FSU_KIND_JOB_GRAPH };

static struct store *open_graphs(struct holder *h)
{
	struct store *store;

	assert_int_equal(services_store_open(h->services, &graphs, &store, NULL), FSHA_OK);
	return store;
}

static const char *key_of(unsigned i)
{
	static char key[16];

	(void)snprintf(key, sizeof(key), "key-%04u", i);
	return key;
}

static bool is_there(struct store *store, const char *key)
{
	fsha_version version;

	assert_int_equal(store_exists(store, key, &version, NULL), FSHA_OK);
	return fsha_version_is_existing(&version);
}

static void wait_retained(struct place *p)
{
	crashfs_advance(p->disk, INDEX_RETAIN_NS + FSU_NS_PER_MS);
}

/* ---- what comes between ---- */

struct intrusion {
	struct place *place;
	enum crashfs_call call;
	void (*intrude)(struct place *p);
};

static struct store *opened; /* by the intruder */

/* At the first call of that kind, with no lock of a store held. */
static void intrude_once(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct intrusion *i = ctx;
	void (*intrude)(struct place * p) = i->intrude;

	(void)path;
	if (client != GC || call != i->call || !intrude)
		return;
	i->intrude = NULL;
	intrude(i->place);
}

static void open_and_look(struct place *p)
{
	opened = open_graphs(&p->holder);
	assert_true(is_there(opened, key_of(7)));
}

/* The janitor's pack is published after the user has looked what there is. */
static void a_key_stays_away_that_was_removed_after_the_janitor_packed_it(void **state)
{
	struct intrusion i = { NULL, CRASHFS_WRITE, open_and_look };
	struct holder reader;
	struct store *store;
	struct place p;

	(void)state;
	open_with(&p, 0, NULL);
	i.place = &p;
	store = open_graphs(&p.holder);
	for (unsigned k = 0; k < KEYS; k++)
		assert_int_equal(store_write(store, STORE_ADD, key_of(k), NULL, "x", 1, NULL, NULL),
				 FSHA_OK);
	services_store_close(p.holder.services, store);
	upkeep_stores(p.holder.services, p.holder.term); /* sees them */
	wait_retained(&p);
	crashfs_hook_set(p.disk, intrude_once, &i);
	upkeep_stores(p.holder.services, p.holder.term); /* packs them */
	crashfs_hook_set(p.disk, NULL, NULL);
	assert_null(i.intrude);
	assert_int_equal(count(&p, LAYOUT_JOB_GRAPHS, "@pack~"), 1);

	assert_int_equal(store_write(opened, STORE_REMOVE, key_of(7), NULL, NULL, 0, NULL, NULL),
			 FSHA_OK);
	for (int n = 0; n < 40; n++) {
		wait_retained(&p);
		store_clean(opened);
	}
	assert_false(is_there(opened, key_of(7)));
	assert_true(is_there(opened, key_of(8)));
	services_store_close(p.holder.services, opened);

	holder_start_reader(&reader, p.disk, SLOW);
	store = open_graphs(&reader);
	assert_false(is_there(store, key_of(7)));
	assert_true(is_there(store, key_of(8)));
	services_store_close(reader.services, store);
	holder_stop(&reader);
	close_place(&p);
}

/* A process may lead one election after the other, and each looks at every namespace. */
static void stores_of_an_election_that_is_led_no_more_are_closed(void **state)
{
	const int64_t lease_ns = HOLDER_LEASE_MS * FSU_NS_PER_MS;
	struct place p;
	unsigned open;

	(void)state;
	open_with(&p, 0, NULL);
	assert_true(count(&p, LAYOUT_STATE, "") > 0);
	open = crashfs_open_fds(p.disk, GC);
	for (int i = 0; i < 3; i++) {
		upkeep_stores(p.holder.services, p.holder.term);
		crashfs_advance(p.disk, 2 * lease_ns - FSU_NS_PER_MS);
		upkeep_drop_unused(p.holder.services, FSU_FOREVER);
		assert_non_null(p.holder.services->kept);
		assert_true(crashfs_open_fds(p.disk, GC) > open);
	}
	crashfs_advance(p.disk, 2 * FSU_NS_PER_MS);
	/* Nor when the round in which they were used takes longer. */
	upkeep_drop_unused(p.holder.services,
			   fsu_now_ns(services_fs(p.holder.services)) - 3 * lease_ns);
	assert_non_null(p.holder.services->kept);
	upkeep_drop_unused(p.holder.services, FSU_FOREVER);
	assert_null(p.holder.services->kept);
	assert_null(p.holder.services->stores);
	assert_int_equal(crashfs_open_fds(p.disk, GC), open);
	close_place(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_stays_away_that_was_removed_after_the_janitor_packed_it),
		cmocka_unit_test(stores_of_an_election_that_is_led_no_more_are_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
