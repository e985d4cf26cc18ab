/* The smallest leader: waits until it leads, says where it is, writes, resigns. See the README. */
#include <fsha/fsha.h>
#include <stdio.h>
#include <unistd.h>

static void granted(void *ctx, const fsha_uuid *session, uint64_t epoch)
{
	(void)ctx;
	(void)session;
	printf("leading in term %llu\n", (unsigned long long)epoch);
}

static void revoked(void *ctx)
{
	(void)ctx;
	printf("leading no more\n");
}

int main(void)
{
	const fsha_contender contender = {
		.struct_size = sizeof(contender),
		.grant_leadership = granted,
		.revoke_leadership = revoked,
	};
	fsha_error error = FSHA_ERROR_INIT;
	fsha_config *config = fsha_config_create();
	fsha_services *services = NULL;
	fsha_election *election = NULL;
	fsha_state_store *store = NULL;
	fsha_version version;
	fsha_uuid session;

	if (fsha_config_load_environment(config, &error) != FSHA_OK || /* FSHA_STORAGE_DIR */
	    fsha_services_open(config, NULL, &services, &error) != FSHA_OK ||
	    fsha_state_store_open(services, "greetings", "greeter", &store, &error) != FSHA_OK ||
	    fsha_election_start(services, "greeter", &contender, &election, &error) != FSHA_OK) {
		fprintf(stderr, "%s\n", error.message);
		return 1;
	}
	while (!fsha_election_term(election, &session, NULL))
		sleep(1);
	if (fsha_election_confirm_leadership(election, &session, "here:1234", &error) != FSHA_OK ||
	    fsha_state_store_add(store, "hello", "world", 5, &version, &error) != FSHA_OK)
		fprintf(stderr, "%s: %s\n", fsha_result_name(error.result), error.message);

	fsha_election_close(election, NULL); /* resigns: the next leader needs no timeout */
	fsha_state_store_close(store);
	fsha_services_close(services, NULL);
	fsha_config_destroy(config);
	return 0;
}
