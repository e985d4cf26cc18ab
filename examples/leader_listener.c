/*
 * A listener: who is the resource manager now? Needs only permission to read the directory, and
 * runs until a signal stops it.
 *
 *     FSHA_STORAGE_DIR=/a/shared/directory ./leader_listener [ELECTION]
 */
#include <signal.h>
#include <stdio.h>

#include <fsha/fsha.h>

/*
 * Called once for each change: the library leaves out what was told already. Whoever connects to an
 * address sends the session along, and the leader refuses what is not meant for its term.
 */
static void on_leader(void *ctx, const char *address, const fsha_uuid *session)
{
	const char *election = ctx;
	char text[FSHA_UUID_TEXT];

	if (address)
		printf("%s: %s (session %s)\n", election, address, fsha_uuid_format(session, text));
	else
		printf("%s: nobody\n", election); /* disconnect; another will come */
}

/* What is known stays true as far as anybody knows; the library looks again by itself. */
static void on_error(void *ctx, const fsha_error *error)
{
	fprintf(stderr, "%s: %s: %s\n", (const char *)ctx, fsha_result_name(error->result),
		error->message);
}

int main(int argc, char **argv)
{
	char *election = argc > 1 ? argv[1] : (char[]){ FSHA_ELECTION_RESOURCE_MANAGER };
	const fsha_leader_listener listener = {
		.struct_size = sizeof(listener),
		.ctx = election,
		.notify_leader_address = on_leader,
		.handle_error = on_error,
	};
	fsha_services_options options = FSHA_SERVICES_OPTIONS_INIT;
	fsha_config *config = fsha_config_create();
	fsha_error error = FSHA_ERROR_INIT;
	fsha_services *services = NULL;
	fsha_retriever *retriever = NULL;
	fsha_result result = FSHA_E_NOMEM;
	sigset_t signals;
	int signal_number;

	setvbuf(stdout, NULL, _IOLBF, 0);
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);

	options.flags = FSHA_SERVICES_NO_CREATE;
	if (config)
		result = fsha_config_load_environment(config, &error);
	if (result == FSHA_OK)
		result = fsha_services_open(config, &options, &services, &error);
	if (result == FSHA_OK)
		result = fsha_retriever_start(services, election, &listener, &retriever, &error);
	if (result == FSHA_OK)
		sigwait(&signals, &signal_number);
	else
		on_error(election, &error);

	fsha_retriever_stop(retriever, NULL);
	fsha_services_close(services, NULL);
	fsha_config_destroy(config);
	return result == FSHA_OK ? 0 : 1;
}
