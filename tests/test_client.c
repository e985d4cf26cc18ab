/* A client hears who serves the REST endpoint, and writes nothing at all. */
#include "tests/test_hook.h"

#include "src/services/open.h"

/* Whatever would change anything is refused, as to somebody who may only read. */
static int only_read(struct hook *h, const char *op, const char *path, const char *to)
{
	static const char *const changes[] = { "create", "write", "rename", "unlink", "mkdir" };

	(void)path;
	(void)to;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		if (strcmp(op, changes[i]) == 0) {
			(void)atomic_fetch_add(&h->count, 1);
			return -EROFS;
		}
	/* Locks are asked for, but none is taken; what is synced may be another's. */
	return strcmp(op, "fsync") == 0 ? -EROFS : 0;
}

static void client_listen(struct listener *l, fsha_client_services *client)
{
	const fsha_leader_listener listener = { sizeof(listener), l, on_leader,
						on_retrieval_error };

	post_init(&l->post);
	assert_ok(fsha_client_services_retriever_start(client, &listener, &l->retriever, &t.error));
}

static void a_client_follows_the_rest_endpoint_without_writing(void **state)
{
	struct listener l = { .gate = NULL };
	fsha_client_services *client;
	fsha_services *a = open_services(), *b = open_services();
	struct player one, two;
	static struct hook hook; /* threads may end after the test has */

	(void)state;
	hook_init(&hook);
	hook.decide = only_read;
	player_init(&one);
	one.confirm = "http://one:8081";
	player_start(&one, a, FSHA_ELECTION_WEB_MONITOR);
	WAIT_FOR(&one.post, one.leads);
	player_init(&two);
	two.confirm = "http://two:8081";
	player_start(&two, b, FSHA_ELECTION_REST_ENDPOINT);
	assert_ok(client_services_open_with(&hook.fs, t.config, NULL, &client, &t.error));
	client_listen(&l, client);
	WAIT_FOR(&l.post, l.count == 1);
	player_close(&one);
	/* Whether it sees that there was none between them depends on when it looks. */
	WAIT_FOR(&l.post, strcmp(l.heard[l.count - 1].address, "http://two:8081") == 0);
	WAIT_FOR(&two.post, two.leads);
	assert_string_equal(l.heard[0].address, "http://one:8081");
	assert_true(fsha_uuid_equal(&l.heard[l.count - 1].session, &two.session));
	assert_refused(fsha_client_services_close(client, &t.error), FSHA_E_STATE,
		       "retriever of 'rest_endpoint'");
	listener_stop(&l);
	assert_ok(fsha_client_services_close(client, &t.error));
	assert_int_equal(l.errors, 0);
	assert_int_equal(atomic_load(&hook.count), 0);
	player_close(&two);
	close_services(a);
	close_services(b);
}

static void a_cluster_that_is_not_there_is_not_made(void **state)
{
	fsha_client_services *client = NULL;

	(void)state;
	assert_result(fsha_client_services_open(t.config, NULL, &client, &t.error),
		      FSHA_E_NOT_FOUND);
	assert_int_equal(rmdir(t.dir), 0);
	assert_int_equal(mkdir(t.dir, 0700), 0);
}

static void a_standalone_client_gets_the_fixed_address(void **state)
{
	fsha_config *config = fsha_config_create();
	struct listener l = { .gate = NULL };
	fsha_client_services *client = NULL;

	(void)state;
	assert_refused(fsha_client_services_open(config, NULL, &client, &t.error), FSHA_E_CONFIG,
		       "rest.address");
	assert_ok(fsha_config_set(config, "rest.address", "no-such-host.invalid", &t.error));
	assert_refused(fsha_client_services_open(config, NULL, &client, &t.error), FSHA_E_CONFIG,
		       "no-such-host.invalid");
	assert_ok(fsha_config_set(config, "rest.address", "127.0.0.1", &t.error));
	assert_ok(fsha_client_services_open(config, NULL, &client, &t.error));
	client_listen(&l, client);
	WAIT_FOR(&l.post, l.count == 1);
	assert_string_equal(l.heard[0].address, "http://127.0.0.1:8081");
	listener_stop(&l);
	assert_ok(fsha_client_services_close(client, &t.error));
	fsha_config_destroy(config);
}

static void wrong_arguments_are_invalid(void **state)
{
	fsha_services_options options = FSHA_SERVICES_OPTIONS_INIT;
	const fsha_leader_listener listener = { sizeof(listener), NULL, on_leader, NULL };
	fsha_client_services *client = NULL;
	fsha_retriever *r = NULL;

	(void)state;
	assert_result(fsha_client_services_open(NULL, NULL, &client, &t.error), FSHA_E_INVALID);
	assert_result(fsha_client_services_open(t.config, NULL, NULL, &t.error), FSHA_E_INVALID);
	options.flags = FSHA_SERVICES_SHARED_TERM;
	assert_result(fsha_client_services_open(t.config, &options, &client, &t.error),
		      FSHA_E_INVALID);
	options.flags = 0;
	options.struct_size = 1;
	assert_result(fsha_client_services_open(t.config, &options, &client, &t.error),
		      FSHA_E_INVALID);
	assert_result(fsha_client_services_retriever_start(NULL, &listener, &r, &t.error),
		      FSHA_E_INVALID);
	assert_ok(fsha_client_services_close(NULL, &t.error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_client_follows_the_rest_endpoint_without_writing),
		TEST(a_cluster_that_is_not_there_is_not_made),
		TEST(a_standalone_client_gets_the_fixed_address),
		TEST(wrong_arguments_are_invalid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
