/*
 * A contender: the resource manager of a cluster. It leads or stands by until a signal stops it,
 * and says which. Start several on one directory and stop the one that leads.
 *
 *     FSHA_STORAGE_DIR=/a/shared/directory ./resource_manager one.example:6123
 */
#include <signal.h>
#include <stdio.h>

#include <fsha/fsha.h>

struct resource_manager {
	const char *address;
	fsha_election *election;
	fsha_uuid session; /* of this term: whatever is done in it carries it */
};

/* Callbacks come one at a time, from a thread of the library. */
static void on_grant(void *ctx, const fsha_uuid *session, uint64_t epoch)
{
	struct resource_manager *manager = ctx;
	fsha_error error = FSHA_ERROR_INIT;
	char text[FSHA_UUID_TEXT];

	manager->session = *session;
	printf("leading: term %llu, session %s\n", (unsigned long long)epoch,
	       fsha_uuid_format(session, text));
	/* Here starts what only the leader runs. Once it does, it may be found. */
	if (fsha_election_confirm_leadership(manager->election, session, manager->address,
					     &error) != FSHA_OK)
		fprintf(stderr, "%s: %s\n", fsha_result_name(error.result), error.message);
}

static void on_revoke(void *ctx)
{
	(void)ctx;
	printf("leading no more\n"); /* here it stops */
}

/* The library goes on by itself: this is for the log. robust_component.c does more. */
static void on_error(void *ctx, const fsha_error *error)
{
	(void)ctx;
	fprintf(stderr, "%s: %s\n", fsha_result_name(error->result), error->message);
}

int main(int argc, char **argv)
{
	struct resource_manager manager = { .address = argc == 2 ? argv[1] : NULL };
	const fsha_contender contender = {
		.struct_size = sizeof(contender),
		.ctx = &manager,
		.grant_leadership = on_grant,
		.revoke_leadership = on_revoke,
		.handle_error = on_error,
	};
	fsha_config *config = fsha_config_create();
	fsha_error error = FSHA_ERROR_INIT;
	fsha_services *services = NULL;
	fsha_result result;
	sigset_t signals;
	int signal_number;

	if (!manager.address || !config) {
		fprintf(stderr, "usage: resource_manager ADDRESS\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* Blocked before there are threads, so that sigwait() below gets them. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);

	result = fsha_config_load_environment(config, &error); /* FSHA_STORAGE_DIR */
	if (result == FSHA_OK)
		result = fsha_services_create(config, FSHA_TRY_ADDRESS_RESOLUTION, NULL, &services,
					      &error);
	if (result == FSHA_OK)
		result = fsha_election_start(services, FSHA_ELECTION_RESOURCE_MANAGER, &contender,
					     &manager.election, &error);
	if (result == FSHA_OK)
		sigwait(&signals, &signal_number);
	else
		on_error(NULL, &error);

	fsha_election_close(manager.election, NULL); /* resigns: the next leader needs no timeout */
	fsha_services_close(services, NULL);
	fsha_config_destroy(config);
	return result == FSHA_OK ? 0 : 1;
}
