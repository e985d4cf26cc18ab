/*
 * Cleaning up one job, and everything: pointers before blobs, what is not to go stays, and a leader
 * that was stopped in the middle of a write publishes nothing when it wakes up.
 */
#include "tests/test_hook.h"

#include "src/cluster/layout.h"
#include "src/services/cleanup.h"

static const fsha_job_id job = { { 0xaa, 1 } }, other = { { 0xbb, 2 } };

/* ---- data ---- */

static const char *job_name(const char *before, const fsha_job_id *id, char *text)
{
	char hex[FSHA_HEX_ID_TEXT];

	(void)snprintf(text, 80, "%s%s", before, fsha_job_id_format(id, hex));
	return text;
}

static void put(fsha_services *s, const char *directory, const char *election, uint16_t kind,
		bool owned, const char *key)
{
	const struct store_options options = { .directory = directory,
					       .election = election,
					       .kind = kind,
					       .owned = owned,
					       .removable = owned };
	struct store *store;

	assert_ok(services_store_open(s, &options, &store, &t.error));
	assert_ok(store_write(store, STORE_PUT, key, NULL, "x", 1, NULL, &t.error));
	services_store_close(s, store);
}

/* What a job leaves behind. Somebody leads the dispatcher here. */
static void put_job(fsha_services *s, const fsha_job_id *id)
{
	char hex[FSHA_HEX_ID_TEXT], text[80], election[FSHA_ELECTION_JOB_TEXT];
	struct player master;

	fsha_job_id_format(id, hex);
	fsha_job_election_name(id, election);
	put(s, LAYOUT_JOB_GRAPHS, ELECTION, FSU_KIND_JOB_GRAPH, false, hex);
	put(s, LAYOUT_RUNNING_JOBS, ELECTION, FSU_KIND_RUNNING_JOB, false, hex);
	put(s, job_name(LAYOUT_BLOBS "/job_", id, text), ELECTION, FSU_KIND_BLOB, true, "blob_1");
	player_lead(&master, s, election);
	assert_ok(fsha_election_confirm_leadership(master.election, &master.session, "master",
						   &t.error));
	put(s, job_name(LAYOUT_CHECKPOINTS "/", id, text), election, FSU_KIND_CHECKPOINT, true,
	    "0000000000000000001");
	put(s, text, election, FSU_KIND_CHECKPOINT, true, "0000000000000000002");
	put(s, text, election, FSU_KIND_CHECKPOINT, true, "@counter");
	player_close(&master);
}

static bool has_key(fsha_services *s, const char *directory, const char *election, uint16_t kind,
		    bool owned, const char *key)
{
	const struct store_options options = { .directory = directory,
					       .election = election,
					       .kind = kind,
					       .owned = owned,
					       .removable = owned };
	fsha_version version;
	struct store *store;

	assert_ok(services_store_open(s, &options, &store, &t.error));
	assert_ok(store_exists(store, key, &version, &t.error));
	services_store_close(s, store);
	return fsha_version_is_existing(&version);
}

/* Bits of what is still there of a job. */
enum {
	GRAPH = 1,
	RUNNING = 2,
	CHECKPOINTS = 4,
	BLOBS = 8,
	LEADER = 16,
	ALL = GRAPH | RUNNING | CHECKPOINTS | BLOBS,
};

static int left(fsha_services *s, const fsha_job_id *id)
{
	char hex[FSHA_HEX_ID_TEXT], text[80], election[FSHA_ELECTION_JOB_TEXT];
	fsha_leader_information info;
	int bits = 0;

	fsha_job_id_format(id, hex);
	fsha_job_election_name(id, election);
	if (has_key(s, LAYOUT_JOB_GRAPHS, ELECTION, FSU_KIND_JOB_GRAPH, false, hex))
		bits |= GRAPH;
	if (has_key(s, LAYOUT_RUNNING_JOBS, ELECTION, FSU_KIND_RUNNING_JOB, false, hex))
		bits |= RUNNING;
	if (count_names(LAYOUT_CHECKPOINTS, hex, NULL) > 0)
		bits |= CHECKPOINTS;
	if (count_names(LAYOUT_BLOBS, job_name("job_", id, text), NULL) > 0)
		bits |= BLOBS;
	if (fsha_leader_read(s, election, &info, NULL) == FSHA_OK &&
	    !fsha_uuid_is_null(&info.session))
		bits |= LEADER;
	return bits;
}

/* ---- one job ---- */

static void all_of_one_job_goes_and_nothing_else(void **state)
{
	fsha_services *s = open_services();
	struct player dispatcher;

	(void)state;
	player_lead(&dispatcher, s, ELECTION);
	put_job(s, &job);
	put_job(s, &other);
	put(s, LAYOUT_JOB_RESULTS, ELECTION, FSU_KIND_STATE, false, "result");
	assert_int_equal(left(s, &job), ALL);
	assert_ok(fsha_services_global_cleanup(s, &job, &t.error));
	assert_int_equal(left(s, &job), 0);
	assert_int_equal(left(s, &other), ALL);
	assert_true(has_key(s, LAYOUT_JOB_RESULTS, ELECTION, FSU_KIND_STATE, false, "result"));
	assert_true(fsha_election_has_leadership(dispatcher.election, &dispatcher.session));
	/* Again, and of a job that never was: nothing to do. */
	assert_ok(fsha_services_global_cleanup(s, &job, &t.error));
	assert_ok(fsha_services_global_cleanup(s, &(fsha_job_id){ { 9 } }, &t.error));
	player_close(&dispatcher);
	close_services(s);
}

static void versions_of_a_job_that_comes_again_are_higher(void **state)
{
	fsha_services *s = open_services();
	struct player dispatcher, master;
	char election[FSHA_ELECTION_JOB_TEXT];
	uint64_t epoch;

	(void)state;
	fsha_job_election_name(&job, election);
	player_lead(&dispatcher, s, ELECTION);
	player_lead(&master, s, election);
	epoch = master.epoch;
	player_close(&master);
	assert_ok(fsha_services_global_cleanup(s, &job, &t.error));
	player_lead(&master, s, election);
	assert_true(master.epoch > epoch + 1); /* the cleanup was a term too */
	player_close(&master);
	player_close(&dispatcher);
	close_services(s);
}

static void only_the_dispatchers_leader_cleans_up(void **state)
{
	fsha_services *a = open_services(), *b = open_services();
	struct player dispatcher;
	char election[256];

	(void)state;
	player_lead(&dispatcher, a, ELECTION);
	put_job(a, &job);
	assert_refused(fsha_services_global_cleanup(b, &job, &t.error), FSHA_E_NOT_LEADER,
		       "dispatcher");
	assert_int_equal(left(a, &job), ALL);
	/* Not even a claim was made: one term for the master, one name. */
	assert_int_equal(count_names(job_name("elections/job-", &job, election), "epoch-", NULL),
			 1);
	player_close(&dispatcher);
	close_services(a);
	close_services(b);
}

static void a_master_that_lives_elsewhere_is_named(void **state)
{
	fsha_services *a = open_services(), *b = open_services();
	struct player dispatcher, master;
	char election[FSHA_ELECTION_JOB_TEXT];

	(void)state;
	fsha_job_election_name(&job, election);
	player_lead(&dispatcher, a, ELECTION);
	put_job(a, &job);
	player_lead(&master, b, election);
	assert_ok(fsha_election_confirm_leadership(master.election, &master.session,
						   "master.example:1", &t.error));
	assert_refused(fsha_services_global_cleanup(a, &job, &t.error), FSHA_E_NOT_LEADER,
		       "master.example:1");
	assert_int_equal(left(a, &job), ALL | LEADER);
	assert_true(fsha_election_has_leadership(master.election, &master.session));
	player_close(&master);
	assert_ok(fsha_services_global_cleanup(a, &job, &t.error));
	assert_int_equal(left(a, &job), 0);
	player_close(&dispatcher);
	close_services(a);
	close_services(b);
}

static void the_term_of_a_master_of_our_own_is_used_and_ended(void **state)
{
	fsha_services *s = open_services();
	struct player dispatcher, master;
	fsha_contender c;
	fsha_election *e;
	fsha_uuid session;

	(void)state;
	player_lead(&dispatcher, s, ELECTION);
	put_job(s, &job);
	player_init(&master);
	c = contender_of(&master);
	assert_ok(fsha_election_start_job(s, &job, &c, &e, &t.error));
	post_lock(&master.post);
	master.election = e;
	post_unlock(&master.post);
	WAIT_FOR(&master.post, master.leads);
	session = master.session;
	assert_ok(fsha_services_global_cleanup(s, &job, &t.error));
	assert_int_equal(master.revokes, 1);
	assert_false(fsha_election_has_leadership(master.election, &session));
	assert_int_equal(left(s, &job) & ALL, 0);
	player_close(&master);
	player_close(&dispatcher);
	close_services(s);
}

/* The write of a stopped process: its rename hangs, and comes when everything is long over. */
struct sleeper {
	struct hook hook;
	fsha_services *services;
	struct player master;
	pthread_t thread;
	struct gate commit; /* where its write waits */
	char directory[80], election[FSHA_ELECTION_JOB_TEXT];
	fsha_result result;
};

static int stop_in_commit(struct hook *h, const char *op, const char *path, const char *to)
{
	struct sleeper *z = (struct sleeper *)h;

	(void)path;
	if (strcmp(op, "rename") == 0 && strncmp(to, "0000000000000000009~", 20) == 0) {
		gate_set(&h->gate, true); /* its heartbeats too */
		gate_pass(&z->commit);
	}
	return 0;
}

static void *write_late(void *arg)
{
	struct sleeper *z = arg;
	const struct store_options options = { .directory = z->directory,
					       .election = z->election,
					       .kind = FSU_KIND_CHECKPOINT,
					       .owned = true,
					       .removable = true };
	struct store *store;

	if (services_store_open(z->services, &options, &store, NULL) != FSHA_OK)
		return NULL;
	z->result =
		store_write(store, STORE_ADD, "0000000000000000009", NULL, "late", 4, NULL, NULL);
	services_store_close(z->services, store);
	return NULL;
}

static void sleeper_start(struct sleeper *z)
{
	hook_init(&z->hook);
	z->hook.decide = stop_in_commit;
	gate_init(&z->commit);
	gate_set(&z->commit, true);
	z->result = FSHA_OK;
	z->services = open_hooked(&z->hook);
	fsha_job_election_name(&job, z->election);
	(void)job_name(LAYOUT_CHECKPOINTS "/", &job, z->directory);
	player_lead(&z->master, z->services, z->election);
	assert_ok(fsha_election_confirm_leadership(z->master.election, &z->master.session,
						   "sleeper", &t.error));
	assert_int_equal(pthread_create(&z->thread, NULL, write_late, z), 0);
	WAIT_FOR(&z->commit.post, z->commit.waiting == 1);
}

static void sleeper_wake(struct sleeper *z)
{
	gate_set(&z->commit, false);
	gate_set(&z->hook.gate, false);
	assert_int_equal(pthread_join(z->thread, NULL), 0);
}

static void sleeper_end(struct sleeper *z)
{
	player_close(&z->master);
	close_services(z->services);
}

static void a_stopped_master_publishes_nothing_when_it_wakes_up(void **state)
{
	static struct sleeper z;
	fsha_services *s = open_services();
	struct player dispatcher;

	(void)state;
	player_lead(&dispatcher, s, ELECTION);
	put_job(s, &job);
	sleeper_start(&z);
	assert_ok(fsha_services_global_cleanup(s, &job, &t.error));
	assert_int_equal(left(s, &job), 0);
	sleeper_wake(&z);
	if (z.result != FSHA_E_FENCED && z.result != FSHA_E_NOT_LEADER)
		fail_msg("its write is %s", fsha_result_name(z.result));
	assert_int_equal(left(s, &job) & ALL, 0);
	sleeper_end(&z);
	assert_int_equal(left(s, &job) & ALL, 0);
	player_close(&dispatcher);
	close_services(s);
}

static void without_the_claim_it_would_have_been_published(void **state)
{
	static struct sleeper z;

	(void)state;
	/* What the test above rests on: this very write does come through when nobody claims. */
	sleeper_start(&z);
	sleeper_wake(&z);
	assert_int_equal(z.result, FSHA_OK);
	sleeper_end(&z);
}

/* ---- a failure on the way ---- */

/* mode 1: no tombstone of a checkpoint can be published; count: how often it was tried. */
static int no_checkpoint_is_removed(struct hook *h, const char *op, const char *path,
				    const char *to)
{
	(void)path;
	if (atomic_load(&h->mode) == 0 || strcmp(op, "rename") != 0)
		return 0;
	if (strncmp(to, "0000000000000000001~", 20) != 0 && strncmp(to, "@pack~", 6) != 0)
		return 0;
	(void)atomic_fetch_add(&h->count, 1);
	return -EIO;
}

static void blobs_stay_while_a_pointer_does(void **state)
{
	static struct hook hook;
	struct player dispatcher;
	fsha_services *s;

	(void)state;
	hook_init(&hook);
	hook.decide = no_checkpoint_is_removed;
	s = open_hooked(&hook);
	player_lead(&dispatcher, s, ELECTION);
	put_job(s, &job);
	atomic_store(&hook.mode, 1);
	assert_result(fsha_services_global_cleanup(s, &job, &t.error), FSHA_E_IO);
	assert_true(atomic_load(&hook.count) > 0);
	assert_int_equal(left(s, &job), CHECKPOINTS | BLOBS);
	atomic_store(&hook.mode, 0);
	assert_ok(fsha_services_global_cleanup(s, &job, &t.error));
	assert_int_equal(left(s, &job), 0);
	player_close(&dispatcher);
	close_services(s);
}

/* ---- everything ---- */

static void put_everything(fsha_services *s)
{
	struct player dispatcher, manager, user;
	fsha_state_store *store;

	player_lead(&dispatcher, s, ELECTION);
	put_job(s, &job);
	put_job(s, &other);
	put(s, LAYOUT_BLOBS "/no_job", ELECTION, FSU_KIND_BLOB, true, "blob_2");
	put(s, LAYOUT_JOB_RESULTS, ELECTION, FSU_KIND_STATE, false, "result");
	player_lead(&manager, s, FSHA_ELECTION_RESOURCE_MANAGER);
	put(s, LAYOUT_WORKERS, FSHA_ELECTION_RESOURCE_MANAGER, FSU_KIND_WORKER, false, "task");
	put(s, LAYOUT_WORKERS, FSHA_ELECTION_RESOURCE_MANAGER, FSU_KIND_WORKER, false,
	    "@framework_id");
	player_lead(&user, s, "a user's");
	assert_ok(fsha_state_store_open(s, "a space", "a user's", &store, &t.error));
	assert_ok(fsha_state_store_add(store, "k", "v", 1, NULL, &t.error));
	fsha_state_store_close(store);
	player_close(&user);
	player_close(&manager);
	player_close(&dispatcher);
}

static size_t left_of_all(fsha_services *s)
{
	fsha_state_store *store;
	fsha_version version;
	size_t n = 0;

	n += left(s, &job) != 0;
	n += left(s, &other) != 0;
	n += count_names(LAYOUT_BLOBS, "", NULL);
	n += has_key(s, LAYOUT_WORKERS, FSHA_ELECTION_RESOURCE_MANAGER, FSU_KIND_WORKER, false,
		     "task");
	n += has_key(s, LAYOUT_WORKERS, FSHA_ELECTION_RESOURCE_MANAGER, FSU_KIND_WORKER, false,
		     "@framework_id");
	assert_ok(fsha_state_store_open(s, "a space", "a user's", &store, &t.error));
	assert_ok(fsha_state_store_exists(store, "k", &version, &t.error));
	n += fsha_version_is_existing(&version);
	fsha_state_store_close(store);
	return n;
}

#define EVERYTHING 8

static void all_data_goes_but_the_results(void **state)
{
	fsha_services *s = open_services();
	char name[256];

	(void)state;
	put_everything(s);
	assert_int_equal(left_of_all(s), EVERYTHING);
	assert_ok(fsha_services_cleanup_all_data(s, &t.error));
	assert_int_equal(left_of_all(s), 0);
	assert_true(has_key(s, LAYOUT_JOB_RESULTS, ELECTION, FSU_KIND_STATE, false, "result"));
	/* Its elections are vacant and there: versions only grow. */
	assert_int_equal(count_names("elections/" ELECTION, "epoch-", name), 1);
	assert_non_null(strstr(name, "-vacant"));
	/* And it can be used again. */
	put_everything(s);
	assert_int_equal(left_of_all(s), EVERYTHING);
	close_services(s);
}

static void closing_with_cleanup_closes_too(void **state)
{
	fsha_services *s = open_services(), *reader = open_services();
	fsha_state_store *store;

	(void)state;
	put_everything(s);
	assert_ok(fsha_state_store_open(s, "a space", "a user's", &store, &t.error));
	assert_refused(fsha_services_close_and_cleanup_all_data(s, &t.error), FSHA_E_STATE,
		       "a%20space");
	assert_int_equal(left_of_all(reader), EVERYTHING);
	fsha_state_store_close(store);
	assert_ok(fsha_services_close_and_cleanup_all_data(s, &t.error));
	assert_int_equal(left_of_all(reader), 0);
	close_services(reader);
	assert_int_equal(count_names("members", "", NULL), 0);
	assert_ok(fsha_services_close_and_cleanup_all_data(NULL, &t.error));
	s = open_services();
	put_everything(s);
	assert_ok(fsha_services_close_with_optional_clean(s, 0, &t.error));
	s = open_services();
	assert_int_equal(left_of_all(s), EVERYTHING);
	close_services(s);
}

static void nothing_goes_while_anybody_leads_and_who_it_is_is_told(void **state)
{
	fsha_services *s = open_services(), *b = open_services();
	struct player p;

	(void)state;
	put_everything(s);
	player_lead(&p, b, "a user's");
	assert_ok(
		fsha_election_confirm_leadership(p.election, &p.session, "user.example", &t.error));
	assert_refused(fsha_services_cleanup_all_data(s, &t.error), FSHA_E_NOT_LEADER,
		       "user.example");
	assert_int_equal(left_of_all(s), EVERYTHING);
	/* Nothing stays claimed. */
	assert_refused(fsha_services_cleanup_all_data(b, &t.error), FSHA_E_STATE, "a%20user%27s");
	player_close(&p);
	assert_ok(fsha_services_cleanup_all_data(b, &t.error));
	assert_int_equal(left_of_all(s), 0);
	close_services(s);
	close_services(b);
}

static void blobs_of_all_stay_while_a_pointer_does(void **state)
{
	static struct hook hook;
	fsha_services *s;

	(void)state;
	hook_init(&hook);
	hook.decide = no_checkpoint_is_removed;
	s = open_hooked(&hook);
	put_everything(s);
	atomic_store(&hook.mode, 1);
	assert_result(fsha_services_cleanup_all_data(s, &t.error), FSHA_E_IO);
	assert_int_equal(left(s, &job) & (CHECKPOINTS | BLOBS), CHECKPOINTS | BLOBS);
	assert_int_equal(count_names(LAYOUT_BLOBS, "", NULL), 3);
	/* What could go went all the same: the one worker, the one key of a user. */
	assert_int_equal(left_of_all(s), EVERYTHING - 3);
	atomic_store(&hook.mode, 0);
	assert_ok(fsha_services_cleanup_all_data(s, &t.error));
	assert_int_equal(left_of_all(s), 0);
	close_services(s);
}

static void a_stopped_leader_publishes_nothing_after_all_was_cleaned(void **state)
{
	static struct sleeper z;
	fsha_services *s = open_services();

	(void)state;
	put_everything(s);
	sleeper_start(&z);
	assert_ok(fsha_services_close_and_cleanup_all_data(s, &t.error));
	sleeper_wake(&z);
	assert_int_not_equal(z.result, FSHA_OK);
	sleeper_end(&z);
	s = open_services();
	assert_int_equal(left_of_all(s), 0);
	close_services(s);
}

/* ---- in memory ---- */

static void memory_is_cleaned_in_the_same_way(void **state)
{
	static const char *const types[] = { "standalone", "embedded" };
	char hex[FSHA_HEX_ID_TEXT];

	(void)state;
	fsha_job_id_format(&job, hex);
	for (int i = 0; i < 2; i++) {
		struct player p;
		fsha_services *s;

		assert_ok(fsha_config_set(t.config, FSHA_KEY_TYPE, types[i], &t.error));
		s = open_services();
		if (i == 1)
			player_lead(&p, s, ELECTION);
		put(s, LAYOUT_JOB_GRAPHS, ELECTION, FSU_KIND_JOB_GRAPH, false, hex);
		assert_ok(fsha_services_global_cleanup(s, &job, &t.error));
		assert_false(
			has_key(s, LAYOUT_JOB_GRAPHS, ELECTION, FSU_KIND_JOB_GRAPH, false, hex));
		put(s, LAYOUT_JOB_GRAPHS, ELECTION, FSU_KIND_JOB_GRAPH, false, hex);
		if (i == 1)
			player_close(&p);
		assert_ok(fsha_services_cleanup_all_data(s, &t.error));
		assert_false(
			has_key(s, LAYOUT_JOB_GRAPHS, ELECTION, FSU_KIND_JOB_GRAPH, false, hex));
		assert_ok(fsha_services_close_and_cleanup_all_data(s, &t.error));
	}
}

static fsha_result clean_in_grant(struct player *p)
{
	fsha_result result = fsha_services_global_cleanup(p->ctx, &job, NULL);

	return result == FSHA_E_STATE ? fsha_services_cleanup_all_data(p->ctx, NULL) : result;
}

static void wrong_calls_are_refused(void **state)
{
	fsha_services *s = open_services();
	struct player p;

	(void)state;
	assert_result(fsha_services_global_cleanup(NULL, &job, &t.error), FSHA_E_INVALID);
	assert_result(fsha_services_global_cleanup(s, NULL, &t.error), FSHA_E_INVALID);
	assert_result(fsha_services_cleanup_all_data(NULL, &t.error), FSHA_E_INVALID);
	player_init(&p);
	p.in_grant = clean_in_grant;
	p.ctx = s;
	player_start(&p, s, ELECTION);
	WAIT_FOR(&p.post, p.acted == 1);
	assert_int_equal(p.in_grant_result, FSHA_E_STATE);
	player_close(&p);
	close_services(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_of_one_job_goes_and_nothing_else),
		TEST(versions_of_a_job_that_comes_again_are_higher),
		TEST(only_the_dispatchers_leader_cleans_up),
		TEST(a_master_that_lives_elsewhere_is_named),
		TEST(the_term_of_a_master_of_our_own_is_used_and_ended),
		TEST(a_stopped_master_publishes_nothing_when_it_wakes_up),
		TEST(without_the_claim_it_would_have_been_published),
		TEST(blobs_stay_while_a_pointer_does),
		TEST(all_data_goes_but_the_results),
		TEST(closing_with_cleanup_closes_too),
		TEST(nothing_goes_while_anybody_leads_and_who_it_is_is_told),
		TEST(blobs_of_all_stay_while_a_pointer_does),
		TEST(a_stopped_leader_publishes_nothing_after_all_was_cleaned),
		TEST(memory_is_cleaned_in_the_same_way),
		TEST(wrong_calls_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
