/*
 * Checkpoints with all the threads: what is dropped is discarded in the background, and nobody
 * waits for that but who closes the store.
 */
#include "tests/test_services.h"

#define JOB_HEX "000102030405060708090a0b0c0d0e0f"
#define JOB_DIRECTORY "checkpoints/" JOB_HEX

static const fsha_job_id job = { { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 } };

struct master {
	fsha_services *services;
	fsha_checkpoint_store *store;
	struct player player;
	struct post post;
	struct gate gate; /* in discard */
	/* Under the mutex: */
	unsigned discards, cleaned, failed;
	fsha_result close_result; /* of a close from within discard */
	bool close_within;
};

static fsha_result on_discard(void *ctx, const fsha_completed_checkpoint *checkpoint,
			      fsha_error *reterr)
{
	struct master *m = ctx;
	fsha_result result = FSHA_OK;

	(void)checkpoint;
	(void)reterr;
	gate_pass(&m->gate);
	if (m->close_within)
		result = fsha_checkpoint_store_close(m->store, NULL);
	post_lock(&m->post);
	m->close_result = result;
	m->discards++;
	post_unlock(&m->post);
	return FSHA_OK;
}

static void on_cleaned(void *ctx, int64_t id, const fsha_error *error)
{
	struct master *m = ctx;

	(void)id;
	post_lock(&m->post);
	if (error)
		m->failed++;
	else
		m->cleaned++;
	post_unlock(&m->post);
}

static void open_store(struct master *m)
{
	fsha_checkpoint_store_options options = FSHA_CHECKPOINT_STORE_OPTIONS_INIT;

	options.ctx = m;
	options.discard = on_discard;
	options.cleaned = on_cleaned;
	assert_ok(fsha_checkpoint_store_open(m->services, &job, &options, &m->store, &t.error));
}

static void lead(struct master *m)
{
	char election[FSHA_ELECTION_JOB_TEXT];

	memset(m, 0, sizeof(*m));
	post_init(&m->post);
	gate_init(&m->gate);
	m->services = open_services();
	player_lead(&m->player, m->services, fsha_job_election_name(&job, election));
	open_store(m);
}

static void done(struct master *m)
{
	player_close(&m->player);
	close_services(m->services);
}

static void add(struct master *m, int64_t id)
{
	fsha_completed_checkpoint c = FSHA_COMPLETED_CHECKPOINT_INIT;

	c.id = id;
	assert_ok(fsha_checkpoint_store_add(m->store, &c, NULL, &t.error));
}

static void adding_does_not_wait_for_discarding_and_close_does(void **state)
{
	struct master m;

	(void)state;
	lead(&m);
	gate_set(&m.gate, true);
	add(&m, 1);
	add(&m, 2);
	WAIT_FOR(&m.gate.post, m.gate.waiting > 0);
	for (int64_t id = 3; id <= 10; id++)
		add(&m, id);
	assert_int_equal(fsha_checkpoint_store_latest_id(m.store), 10);
	gate_set(&m.gate, false);
	assert_ok(fsha_checkpoint_store_close(m.store, &t.error));
	assert_int_equal(m.discards, 9);
	assert_int_equal(m.cleaned, 9);
	assert_int_equal(m.failed, 0);
	open_store(&m);
	assert_int_equal(fsha_checkpoint_store_count(m.store), 1);
	assert_int_equal(fsha_checkpoint_store_latest_id(m.store), 10);
	assert_ok(fsha_checkpoint_store_close(m.store, &t.error));
	done(&m);
}

static void a_discard_that_hangs_holds_up_no_revocation(void **state)
{
	fsha_uuid session;
	struct master m;

	(void)state;
	lead(&m);
	gate_set(&m.gate, true);
	add(&m, 1);
	add(&m, 2);
	WAIT_FOR(&m.gate.post, m.gate.waiting > 0);
	assert_true(fsha_election_term(m.player.election, &session, NULL));
	assert_ok(fsha_election_resign(m.player.election, &session, &t.error));
	WAIT_FOR(&m.player.post, m.player.revokes > 0);
	gate_set(&m.gate, false);
	WAIT_FOR(&m.post, m.discards > 0);
	/* The tombstone came too late: it stays marked for the next master, or for us. */
	WAIT_FOR(&m.post, m.cleaned + m.failed > 0);
	assert_ok(fsha_checkpoint_store_close(m.store, &t.error));
	WAIT_FOR(&m.player.post, m.player.leads);
	open_store(&m);
	WAIT_FOR(&m.post, m.cleaned > 0);
	assert_ok(fsha_checkpoint_store_close(m.store, &t.error));
	done(&m);
}

static void close_from_discard_is_refused(void **state)
{
	struct master m;

	(void)state;
	lead(&m);
	m.close_within = true;
	add(&m, 1);
	add(&m, 2);
	WAIT_FOR(&m.post, m.discards > 0);
	assert_int_equal(m.close_result, FSHA_E_STATE);
	assert_ok(fsha_checkpoint_store_close(m.store, &t.error));
	done(&m);
}

static void close_does_not_wait_forever_for_a_discard_that_hangs(void **state)
{
	struct master m;

	(void)state;
	lead(&m);
	gate_set(&m.gate, true);
	add(&m, 1);
	add(&m, 2);
	add(&m, 3);
	WAIT_FOR(&m.gate.post, m.gate.waiting > 0);
	assert_refused(fsha_checkpoint_store_close(m.store, &t.error), FSHA_E_TIMEOUT,
		       "who opens it next");
	gate_set(&m.gate, false);
	WAIT_FOR(&m.post, m.discards == 1);
	/* It calls nothing more, not even for the other one; and its memory is gone by the end. */
	done(&m);
	assert_int_equal(m.discards, 1);
	assert_int_equal(m.cleaned + m.failed, 0);
}

/* ---- counting ---- */

#define THREADS 4
#define IDS_EACH 25

struct taker {
	fsha_services *services;
	pthread_t thread;
	int64_t ids[IDS_EACH];
	fsha_result result;
};

static void *take_ids(void *arg)
{
	struct taker *k = arg;
	fsha_checkpoint_id_counter *counter;

	k->result = fsha_checkpoint_id_counter_open(k->services, &job, &counter, NULL);
	if (k->result != FSHA_OK)
		return NULL;
	for (int i = 0; i < IDS_EACH && k->result == FSHA_OK; i++)
		k->result = fsha_checkpoint_id_counter_get_and_increment(counter, &k->ids[i], NULL);
	fsha_checkpoint_id_counter_close(counter);
	return NULL;
}

static void ids_are_unique_and_rise_among_threads(void **state)
{
	bool seen[THREADS * IDS_EACH + 1] = { false };
	struct taker takers[THREADS];
	struct master m;

	(void)state;
	lead(&m);
	for (int i = 0; i < THREADS; i++) {
		takers[i].services = m.services;
		assert_int_equal(pthread_create(&takers[i].thread, NULL, take_ids, &takers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(takers[i].thread, NULL), 0);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(takers[i].result, FSHA_OK);
		for (int k = 0; k < IDS_EACH; k++) {
			int64_t id = takers[i].ids[k];

			assert_true(id >= 1 && id <= THREADS * IDS_EACH);
			assert_true(k == 0 || id > takers[i].ids[k - 1]);
			assert_false(seen[id]);
			seen[id] = true;
		}
	}
	assert_ok(fsha_checkpoint_store_close(m.store, &t.error));
	done(&m);
}

static void old_counts_are_cleaned_away_also_when_nobody_has_it_open(void **state)
{
	struct taker taker = { .services = NULL };
	struct master m;

	(void)state;
	lead(&m);
	taker.services = m.services;
	assert_ok(fsha_checkpoint_store_close(m.store, &t.error));
	(void)take_ids(&taker);
	assert_int_equal(taker.result, FSHA_OK);
	POLL_FOR(count_names(JOB_DIRECTORY, "@counter~", NULL) == 1);
	done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(adding_does_not_wait_for_discarding_and_close_does),
		TEST(a_discard_that_hangs_holds_up_no_revocation),
		TEST(close_from_discard_is_refused),
		TEST(close_does_not_wait_forever_for_a_discard_that_hangs),
		TEST(ids_are_unique_and_rise_among_threads),
		TEST(old_counts_are_cleaned_away_also_when_nobody_has_it_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
