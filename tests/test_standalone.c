/*
 * Standalone services: everybody leads at once, under the default session, at a fixed address; the
 * stores are in memory.
 */
#include "tests/test_services.h"

#include "src/services/memory.h"
#include "src/services/standalone.h"

static int standalone_setup(void **state)
{
	(void)state;
	t = (struct fixture){ .error = FSHA_ERROR_INIT };
	(void)alarm(60 * test_slowness());
	t.config = fsha_config_create();
	return !t.config;
}

static int standalone_teardown(void **state)
{
	(void)state;
	(void)alarm(0);
	fsha_config_destroy(t.config);
	POLL_FOR(memory_count() == 0);
	return 0;
}

#define STANDALONE(name) \
	cmocka_unit_test_setup_teardown(name, standalone_setup, standalone_teardown)

static void set(const char *key, const char *value)
{
	assert_ok(fsha_config_set(t.config, key, value, &t.error));
}

static void set_addresses(void)
{
	set("jobmanager.rpc.address", "master.example");
	set("jobmanager.rpc.port", "6124");
	set("rest.address", "rest.example");
}

/* ---- elections ---- */

/* As the player of test_services.h, whose epochs rise. */
struct one {
	struct post post;
	fsha_election *election;
	unsigned grants, revokes;
	bool leads, out_of_turn;
	fsha_uuid session;
	struct gate *gate;
};

static void on_granted(void *ctx, const fsha_uuid *session, uint64_t epoch)
{
	struct one *o = ctx;

	(void)epoch;
	post_lock(&o->post);
	o->out_of_turn |= o->leads;
	o->leads = true;
	o->session = *session;
	o->grants++;
	post_unlock(&o->post);
	if (o->gate)
		gate_pass(o->gate);
}

static void on_revoked(void *ctx)
{
	struct one *o = ctx;

	post_lock(&o->post);
	o->out_of_turn |= !o->leads;
	o->leads = false;
	o->revokes++;
	post_unlock(&o->post);
}

static void one_start(struct one *o, fsha_services *s, const char *name)
{
	const fsha_contender c = { sizeof(c), o, on_granted, on_revoked, NULL };

	*o = (struct one){ .gate = o->gate };
	post_init(&o->post);
	assert_ok(fsha_election_start(s, name, &c, &o->election, &t.error));
}

static void nothing_configured_is_standalone(void **state)
{
	fsha_services *s = open_services();

	(void)state;
	assert_int_equal(fsha_services_mode(s), FSHA_MODE_STANDALONE);
	assert_string_equal(fsha_services_path(s), "memory:/default");
	close_services(s);
}

static void a_contender_leads_at_once_with_the_default_id(void **state)
{
	fsha_services *s = open_services();
	struct one o = { .gate = NULL };
	fsha_uuid session;
	uint64_t epoch;

	(void)state;
	one_start(&o, s, ELECTION);
	/* Already, before it was told. */
	assert_true(fsha_election_has_leadership(o.election, &FSHA_DEFAULT_LEADER_ID));
	assert_true(fsha_election_term(o.election, &session, &epoch));
	assert_true(fsha_uuid_is_null(&session));
	WAIT_FOR(&o.post, o.leads);
	assert_true(fsha_uuid_equal(&o.session, &FSHA_DEFAULT_LEADER_ID));
	assert_ok(fsha_election_close(o.election, &t.error));
	assert_int_equal(o.grants, 1);
	assert_int_equal(o.revokes, 1);
	assert_false(o.out_of_turn);
	close_services(s);
}

static void only_the_default_id_leads(void **state)
{
	fsha_services *s = open_services();
	const fsha_uuid other = { { 1 } };
	struct one o = { .gate = NULL };

	(void)state;
	one_start(&o, s, ELECTION);
	assert_false(fsha_election_has_leadership(o.election, &other));
	assert_result(fsha_election_resign(o.election, &other, &t.error), FSHA_E_NOT_LEADER);
	assert_ok(fsha_election_close(o.election, &t.error));
	close_services(s);
}

static void confirming_does_nothing_however_often(void **state)
{
	fsha_services *s;
	struct listener l = { .gate = NULL };
	struct one o = { .gate = NULL };

	(void)state;
	set_addresses();
	s = open_services();
	listen_to(&l, s, ELECTION);
	one_start(&o, s, ELECTION);
	for (int i = 0; i < 2; i++)
		assert_ok(fsha_election_confirm_leadership(o.election, &FSHA_DEFAULT_LEADER_ID,
							   "elsewhere", &t.error));
	assert_result(fsha_election_confirm_leadership(o.election, NULL, "x", &t.error),
		      FSHA_E_INVALID);
	WAIT_FOR(&l.post, l.count == 1);
	assert_ok(fsha_election_close(o.election, &t.error));
	listener_stop(&l);
	assert_int_equal(l.count, 1);
	assert_string_equal(l.heard[0].address, "master.example:6124");
	close_services(s);
}

static void a_second_contender_is_refused_and_a_later_one_is_not(void **state)
{
	fsha_services *s = open_services();
	struct one o = { .gate = NULL };
	const fsha_contender c = { sizeof(c), &o, on_granted, on_revoked, NULL };
	fsha_election *second;

	(void)state;
	for (int i = 0; i < 3; i++) {
		one_start(&o, s, ELECTION);
		assert_refused(fsha_election_start(s, ELECTION, &c, &second, &t.error),
			       FSHA_E_STATE, ELECTION);
		WAIT_FOR(&o.post, o.grants == 1);
		assert_ok(fsha_election_close(o.election, &t.error));
		assert_int_equal(o.revokes, 1);
	}
	close_services(s);
}

static void everybody_leads_in_services_of_its_own(void **state)
{
	fsha_services *a = open_services(), *b = open_services();
	struct one one = { .gate = NULL }, two = { .gate = NULL };

	(void)state;
	one_start(&one, a, ELECTION);
	one_start(&two, b, ELECTION);
	WAIT_FOR(&one.post, one.leads);
	WAIT_FOR(&two.post, two.leads);
	assert_ok(fsha_election_close(one.election, &t.error));
	assert_ok(fsha_election_close(two.election, &t.error));
	close_services(a);
	close_services(b);
}

static void resigning_revokes_and_grants_again(void **state)
{
	fsha_services *s = open_services();
	struct one o = { .gate = NULL };

	(void)state;
	one_start(&o, s, ELECTION);
	WAIT_FOR(&o.post, o.grants == 1);
	assert_ok(fsha_election_resign(o.election, &FSHA_DEFAULT_LEADER_ID, &t.error));
	WAIT_FOR(&o.post, o.grants == 2);
	assert_int_equal(o.revokes, 1);
	assert_ok(fsha_election_close(o.election, &t.error));
	assert_int_equal(o.revokes, 2);
	assert_false(o.out_of_turn);
	close_services(s);
}

static void a_close_while_a_callback_runs_times_out_and_all_is_freed_later(void **state)
{
	fsha_services *s;
	struct one o;
	struct gate gate;

	(void)state;
	set(FSHA_KEY_LEASE, "1 s");
	s = open_services();
	gate_init(&gate);
	gate_set(&gate, true);
	o.gate = &gate;
	one_start(&o, s, ELECTION);
	WAIT_FOR(&gate.post, gate.waiting == 1);
	assert_refused(fsha_election_close(o.election, &t.error), FSHA_E_TIMEOUT, "callback");
	gate_set(&gate, false);
	close_services(s);
	assert_int_equal(o.grants, 1);
	/* The teardown waits for the memory to be gone. */
}

static void an_office_is_had_for_the_asking(void **state)
{
	fsha_services *s = open_services();
	fsha_election *e = NULL;
	fsha_uuid session = { { 1 } };

	(void)state;
	assert_ok(fsha_election_acquire(s, ELECTION, 1000, &e, &session, &t.error));
	assert_true(fsha_uuid_is_null(&session));
	assert_ok(fsha_election_close(e, &t.error));
	close_services(s);
}

static void a_process_that_was_stopped_for_long_still_leads(void **state)
{
	const struct timespec pause = { .tv_sec = 1, .tv_nsec = 300000000 };
	fsha_services *s;
	struct one o = { .gate = NULL };

	(void)state;
	set(FSHA_KEY_LEASE, "1 s");
	s = open_services();
	one_start(&o, s, ELECTION);
	WAIT_FOR(&o.post, o.leads);
	/* No thread renews anything, so waiting is as good as being stopped. */
	(void)nanosleep(&pause, NULL);
	assert_true(fsha_election_has_leadership(o.election, &FSHA_DEFAULT_LEADER_ID));
	assert_int_equal(o.revokes, 0);
	assert_ok(fsha_election_close(o.election, &t.error));
	close_services(s);
}

/* ---- retrieval ---- */

static void assert_address(fsha_services *s, const char *election, const char *address)
{
	fsha_leader_information info;
	struct listener l = { .gate = NULL };

	/* Again after a stop. */
	for (int i = 0; i < 2; i++) {
		listen_to(&l, s, election);
		WAIT_FOR(&l.post, l.count == 1);
		fsha_retriever_refresh(l.retriever);
		listener_stop(&l);
		assert_true(l.heard[0].leader);
		assert_string_equal(l.heard[0].address, address);
		assert_true(fsha_uuid_equal(&l.heard[0].session, &FSHA_DEFAULT_LEADER_ID));
	}
	assert_ok(fsha_leader_read(s, election, &info, &t.error));
	assert_string_equal(info.address, address);
	assert_int_equal(info.confirmed, 1);
	assert_true(fsha_uuid_is_null(&info.session));
}

static void retrievers_deliver_the_configured_addresses(void **state)
{
	const fsha_job_id job = { { 0xab } };
	char name[FSHA_ELECTION_JOB_TEXT];
	fsha_services *s;

	(void)state;
	set_addresses();
	s = open_services();
	assert_address(s, FSHA_ELECTION_RESOURCE_MANAGER, "master.example:6124");
	assert_address(s, FSHA_ELECTION_DISPATCHER, "master.example:6124");
	assert_address(s, FSHA_ELECTION_WEB_MONITOR, "http://rest.example:8081");
	assert_address(s, fsha_job_election_name(&job, name), "UNKNOWN");
	assert_address(s, "of a user", "UNKNOWN");
	close_services(s);
}

static void the_configuration_was_copied(void **state)
{
	fsha_services *s;

	(void)state;
	set_addresses();
	set("jobmanager.rpc.address", "::1");
	set("rest.port", "80");
	set("security.ssl.rest.enabled", "true");
	s = open_services();
	set("jobmanager.rpc.address", "changed");
	assert_address(s, FSHA_ELECTION_DISPATCHER, "[::1]:6124");
	assert_address(s, FSHA_ELECTION_REST_ENDPOINT, "https://rest.example:80");
	close_services(s);
}

static void a_job_master_is_at_its_default_address(void **state)
{
	struct listener l = { .gate = NULL };
	const fsha_leader_listener listener = { sizeof(listener), &l, on_leader, NULL };
	const fsha_job_id job = { { 1 } };
	fsha_services *s = open_services();
	char text[FSHA_ADDRESS_MAX + 2];

	(void)state;
	post_init(&l.post);
	assert_ok(fsha_retriever_start_job(s, &job, "job:1", &listener, &l.retriever, &t.error));
	WAIT_FOR(&l.post, l.count == 1);
	assert_string_equal(l.heard[0].address, "job:1");
	listener_stop(&l);
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_result(fsha_retriever_start_job(s, &job, text, &listener, &l.retriever, &t.error),
		      FSHA_E_INVALID);
	assert_result(fsha_retriever_start_job(s, &job, "", &listener, &l.retriever, &t.error),
		      FSHA_E_INVALID);
	assert_result(fsha_retriever_start_job(s, NULL, "x", &listener, &l.retriever, &t.error),
		      FSHA_E_INVALID);
	close_services(s);
}

static void a_missing_address_is_told_with_its_key(void **state)
{
	fsha_services *s = open_services();
	const fsha_leader_listener listener = { sizeof(listener), NULL, on_leader, NULL };
	fsha_leader_information info;
	fsha_retriever *r;

	(void)state;
	assert_refused(fsha_retriever_start(s, FSHA_ELECTION_DISPATCHER, &listener, &r, &t.error),
		       FSHA_E_CONFIG, "jobmanager.rpc.address");
	assert_refused(fsha_leader_read(s, FSHA_ELECTION_REST_ENDPOINT, &info, &t.error),
		       FSHA_E_CONFIG, "rest.address");
	close_services(s);
}

/* ---- create ---- */

static void create_wants_the_addresses_and_looks_up_the_hosts(void **state)
{
	fsha_services *s = NULL;

	(void)state;
	assert_refused(
		fsha_services_create(t.config, FSHA_NO_ADDRESS_RESOLUTION, NULL, &s, &t.error),
		FSHA_E_CONFIG, "jobmanager.rpc.address");
	/* RFC 6761: this name is never known. */
	set("jobmanager.rpc.address", "no-such-host.invalid");
	assert_ok(fsha_services_create(t.config, FSHA_NO_ADDRESS_RESOLUTION, NULL, &s, &t.error));
	close_services(s);
	assert_refused(
		fsha_services_create(t.config, FSHA_TRY_ADDRESS_RESOLUTION, NULL, &s, &t.error),
		FSHA_E_CONFIG, "no-such-host.invalid");
	set("jobmanager.rpc.address", "127.0.0.1");
	assert_ok(fsha_services_create(t.config, FSHA_TRY_ADDRESS_RESOLUTION, NULL, &s, &t.error));
	close_services(s);
	set("rest.address", "no-such-host.invalid");
	assert_refused(
		fsha_services_create(t.config, FSHA_TRY_ADDRESS_RESOLUTION, NULL, &s, &t.error),
		FSHA_E_CONFIG, "rest.address");
	set("rest.address", "::1");
	assert_ok(fsha_services_create(t.config, FSHA_TRY_ADDRESS_RESOLUTION, NULL, &s, &t.error));
	close_services(s);
	assert_result(
		fsha_services_create(t.config, (fsha_address_resolution)7, NULL, &s, &t.error),
		FSHA_E_INVALID);
	assert_result(fsha_services_create(NULL, FSHA_NO_ADDRESS_RESOLUTION, NULL, &s, &t.error),
		      FSHA_E_INVALID);
}

/* ---- stores ---- */

static void stores_are_written_without_leading(void **state)
{
	const fsha_job_id job = { { 3 } };
	fsha_services *s = open_services(), *other = open_services();
	fsha_job_graph_store *graphs;
	fsha_state_store *store, *theirs;
	fsha_version version;
	void *data;
	size_t size;

	(void)state;
	assert_ok(fsha_state_store_open(s, "space", "any", &store, &t.error));
	assert_ok(fsha_state_store_add(store, "k", "v", 1, &version, &t.error));
	assert_ok(fsha_state_store_replace(store, "k", &version, "w", 1, NULL, &t.error));
	assert_result(fsha_state_store_replace(store, "k", &version, "x", 1, NULL, &t.error),
		      FSHA_E_VERSION);
	assert_ok(fsha_state_store_get(store, "k", &data, &size, NULL, &t.error));
	assert_memory_equal(data, "w", 1);
	fsha_free(data);
	assert_ok(fsha_job_graph_store_open(s, &graphs, &t.error));
	assert_ok(fsha_job_graph_store_start(graphs, NULL, &t.error));
	assert_ok(fsha_job_graph_store_put(graphs, &job, "graph", 5, &t.error));
	fsha_job_graph_store_close(graphs);
	/* Services of their own, with memory of their own. */
	assert_ok(fsha_state_store_open(other, "space", "any", &theirs, &t.error));
	assert_ok(fsha_state_store_exists(theirs, "k", &version, &t.error));
	assert_false(fsha_version_is_existing(&version));
	fsha_state_store_close(theirs);
	fsha_state_store_close(store);
	close_services(other);
	close_services(s);
}

static void a_contender_and_a_store_share_the_term(void **state)
{
	fsha_services *s = open_services();
	struct one o = { .gate = NULL };
	fsha_state_store *store;

	(void)state;
	assert_ok(fsha_state_store_open(s, "space", ELECTION, &store, &t.error));
	assert_ok(fsha_state_store_add(store, "a", "v", 1, NULL, &t.error));
	one_start(&o, s, ELECTION);
	assert_ok(fsha_state_store_add(store, "b", "v", 1, NULL, &t.error));
	assert_ok(fsha_election_close(o.election, &t.error));
	assert_ok(fsha_state_store_add(store, "c", "v", 1, NULL, &t.error));
	fsha_state_store_close(store);
	close_services(s);
}

/* A value that is replaced for ever must not fill the memory. */
static void old_versions_go_without_anybody_leading(void **state)
{
	fsha_services *s;
	fsha_state_store *store;
	struct fsu_list list;
	fsha_version version;

	(void)state;
	set(FSHA_KEY_LEASE, "1 s");
	s = open_services();
	assert_ok(fsha_state_store_open(s, "space", "any", &store, &t.error));
	assert_ok(fsha_state_store_add(store, "k", "v", 1, &version, &t.error));
	for (int i = 0; i < 200; i++)
		assert_ok(
			fsha_state_store_replace(store, "k", &version, "v", 1, &version, &t.error));
	fsu_list_init(&list, services_fs(s));
	/* @owner and the last one. */
	POLL_FOR(fsu_list_pass(&list, s->cluster.fd, "state/space", true) == 0 && list.count == 2);
	POLL_FOR(fsu_list_pass(&list, s->cluster.fd, "elections/any/trash", true) == 0 &&
		 list.count == 0);
	fsu_list_done(&list);
	fsha_state_store_close(store);
	close_services(s);
}

static void trash_is_emptied_however_fast_it_is_filled(void **state)
{
	fsha_services *s;
	fsha_state_store *store;
	struct fsu_list list;
	char path[64];

	(void)state;
	set(FSHA_KEY_LEASE, "600 s"); /* the janitor's next turn is far away */
	s = open_services();
	assert_ok(fsha_state_store_open(s, "space", "any", &store, &t.error));
	for (int i = 0; i < 1000; i++) {
		int fd;

		(void)snprintf(path, sizeof(path), "elections/any/trash/%d", i);
		fd = fsu_openat(services_fs(s), s->cluster.fd, path, O_CREAT | O_WRONLY, 0600);
		assert_true(fd >= 0);
		(void)fsu_close(services_fs(s), fd);
	}
	standalone_clean(s);
	fsu_list_init(&list, services_fs(s));
	assert_int_equal(fsu_list_pass(&list, s->cluster.fd, "elections/any/trash", true), 0);
	assert_int_equal(list.count, 0);
	fsu_list_done(&list);
	fsha_state_store_close(store);
	close_services(s);
}

static void close_names_all_that_is_open(void **state)
{
	struct listener l = { .gate = NULL };
	fsha_services *s;
	struct one o = { .gate = NULL };
	fsha_state_store *store;

	(void)state;
	set_addresses();
	s = open_services();
	assert_ok(fsha_state_store_open(s, "space", "any", &store, &t.error));
	one_start(&o, s, "mine");
	listen_to(&l, s, FSHA_ELECTION_REST_ENDPOINT);
	assert_refused(fsha_services_close(s, &t.error), FSHA_E_STATE, "election 'mine'");
	assert_non_null(strstr(t.error.message, "store 'state/space'"));
	assert_non_null(strstr(t.error.message, "retriever of 'rest_endpoint'"));
	listener_stop(&l);
	assert_ok(fsha_election_close(o.election, &t.error));
	assert_refused(fsha_services_close(s, &t.error), FSHA_E_STATE, "open: store 'state/space'");
	fsha_state_store_close(store);
	close_services(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STANDALONE(nothing_configured_is_standalone),
		STANDALONE(a_contender_leads_at_once_with_the_default_id),
		STANDALONE(only_the_default_id_leads),
		STANDALONE(confirming_does_nothing_however_often),
		STANDALONE(a_second_contender_is_refused_and_a_later_one_is_not),
		STANDALONE(everybody_leads_in_services_of_its_own),
		STANDALONE(resigning_revokes_and_grants_again),
		STANDALONE(a_close_while_a_callback_runs_times_out_and_all_is_freed_later),
		STANDALONE(an_office_is_had_for_the_asking),
		STANDALONE(a_process_that_was_stopped_for_long_still_leads),
		STANDALONE(retrievers_deliver_the_configured_addresses),
		STANDALONE(the_configuration_was_copied),
		STANDALONE(a_job_master_is_at_its_default_address),
		STANDALONE(a_missing_address_is_told_with_its_key),
		STANDALONE(create_wants_the_addresses_and_looks_up_the_hosts),
		STANDALONE(stores_are_written_without_leading),
		STANDALONE(a_contender_and_a_store_share_the_term),
		STANDALONE(old_versions_go_without_anybody_leading),
		STANDALONE(trash_is_emptied_however_fast_it_is_filled),
		STANDALONE(close_names_all_that_is_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
