/*
 * A program of which several copies run and one works: it counts, once a second, where the leader
 * before it stopped.
 *
 *     make
 *     gcc -Iinclude examples/counter.c build/libfsha.a \
 *             $(pkg-config --libs libxxhash zlib yaml-0.1 jansson) -pthread -o counter
 *     ./counter /a/shared/directory one.example:7000
 *
 * Start it two or three times with different addresses, kill the one that counts, and watch.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fsha/fsha.h>

#define NAME "counter"

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	(void)number;
	stopped = 1;
}

/*
 * The contender is told in turn: granted, revoked, granted, ... This one asks instead, in main().
 */
static void on_grant(void *ctx, const fsha_uuid *session, uint64_t epoch)
{
	char text[FSHA_UUID_TEXT];

	(void)ctx;
	printf("leading: epoch %llu, session %s\n", (unsigned long long)epoch,
	       fsha_uuid_format(session, text));
}

static void on_revoke(void *ctx)
{
	(void)ctx;
	printf("leading no more\n");
}

static void on_error(void *ctx, const fsha_error *error)
{
	(void)ctx;
	fprintf(stderr, "%s: %s\n", fsha_result_name(error->result), error->message);
}

static fsha_result count_up(fsha_state_store *store, unsigned long *ret_count, fsha_error *reterr)
{
	unsigned long count = 0;
	fsha_version version;
	fsha_result result;
	char text[32];
	void *data;
	size_t size;

	result = fsha_state_store_get(store, "count", &data, &size, &version, reterr);
	if (result == FSHA_OK) {
		count = strtoul(data, NULL, 10); /* what get returns has a zero byte behind it */
		fsha_free(data);
	} else if (result != FSHA_E_NOT_FOUND) {
		return result;
	}
	*ret_count = count + 1;
	snprintf(text, sizeof(text), "%lu", count + 1);
	if (result == FSHA_E_NOT_FOUND)
		return fsha_state_store_add(store, "count", text, strlen(text), NULL, reterr);
	return fsha_state_store_replace(store, "count", &version, text, strlen(text), NULL, reterr);
}

static void work(fsha_election *election, fsha_state_store *store, const char *address)
{
	fsha_error error = FSHA_ERROR_INIT;
	uint64_t epoch, confirmed = 0;
	unsigned long count = 0;
	fsha_uuid session;

	for (; !stopped; sleep(1)) {
		if (!fsha_election_term(election, &session, &epoch))
			continue;
		if (epoch != confirmed) {
			confirmed = epoch;
			if (fsha_election_confirm_leadership(election, &session, address, &error) !=
			    FSHA_OK)
				on_error(NULL, &error);
		}
		switch (count_up(store, &count, &error)) {
		case FSHA_OK: /* done: it survives a power cut */
			printf("%lu\n", count);
			break;
		case FSHA_E_NOT_LEADER: /* not done: the term ended meanwhile */
		case FSHA_E_FENCED:     /* a newer leader is at work; nothing is ours any more */
			break;
		case FSHA_E_INDOUBT: /* the old value or the new one: the next turn reads which */
		default:             /* not done */
			on_error(NULL, &error);
		}
	}
}

int main(int argc, char **argv)
{
	const struct sigaction action = { .sa_handler = on_signal };
	const fsha_contender contender = {
		.struct_size = sizeof(contender),
		.grant_leadership = on_grant,
		.revoke_leadership = on_revoke,
		.handle_error = on_error,
	};
	fsha_config *config = fsha_config_create();
	fsha_error error = FSHA_ERROR_INIT;
	fsha_services *services = NULL;
	fsha_state_store *store = NULL;
	fsha_election *election = NULL;
	fsha_result result;

	if (argc != 3 || !config) {
		fprintf(stderr, "usage: counter DIRECTORY ADDRESS\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);

	result = fsha_config_set(config, FSHA_KEY_STORAGE_DIR, argv[1], &error);
	if (result == FSHA_OK)
		result = fsha_services_open(config, NULL, &services, &error);
	if (result == FSHA_OK)
		result = fsha_state_store_open(services, NAME, NAME, &store, &error);
	if (result == FSHA_OK)
		result = fsha_election_start(services, NAME, &contender, &election, &error);
	if (result == FSHA_OK)
		work(election, store, argv[2]);
	else
		on_error(NULL, &error);

	/* In this order. Closing the election resigns: the next leader needs no timeout. */
	fsha_election_close(election, NULL);
	fsha_state_store_close(store);
	fsha_services_close(services, NULL);
	fsha_config_destroy(config);
	return result == FSHA_OK ? 0 : 1;
}
