/*
 * Reads the value of a storm all the time: a value of an older epoch must never be seen after one
 * of a newer, nor an older one of the same epoch. Ends with its standard input; says then how often
 * it has looked and how many different values it saw, and at once what was wrong.
 *
 *   observer STORAGE_DIR LEASE
 */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "fsha/fsha.h"
#include "tests/process/storm.h"

struct seen {
	uint64_t epoch, sequence, leader_epoch;
	fsha_version version;
	unsigned long reads, values, leaders, corrupt;
	bool wrong;
};

static void look_at_value(struct seen *seen, fsha_state_store *store)
{
	uint64_t epoch = 0, sequence = 0;
	fsha_version version;
	fsha_result result;
	size_t size;
	void *data;

	result = fsha_state_store_get(store, STORM_VALUE, &data, &size, &version, NULL);
	seen->corrupt += result == FSHA_E_CORRUPT;
	if (result != FSHA_OK)
		return; /* not there yet, or it changes faster than it can be read */
	seen->reads++;
	if (sscanf(data, "%" SCNu64 " %" SCNu64, &epoch, &sequence) != 2 || epoch < seen->epoch ||
	    (epoch == seen->epoch && sequence < seen->sequence) ||
	    fsha_version_compare(&version, &seen->version) < 0 || version.epoch != epoch) {
		printf("wrong '%s' after %" PRIu64 " %" PRIu64 "\n", (const char *)data,
		       seen->epoch, seen->sequence);
		seen->wrong = true;
	}
	if (epoch != seen->epoch || sequence != seen->sequence)
		seen->values++;
	seen->epoch = epoch;
	seen->sequence = sequence;
	seen->version = version;
	fsha_free(data);
}

static void look_at_leader(struct seen *seen, fsha_services *services)
{
	fsha_leader_information info;

	if (fsha_leader_read(services, STORM_ELECTION, &info, NULL) != FSHA_OK)
		return;
	if (info.epoch < seen->leader_epoch) {
		printf("wrong leader of %" PRIu64 " after %" PRIu64 "\n", info.epoch,
		       seen->leader_epoch);
		seen->wrong = true;
	}
	seen->leaders += info.epoch != seen->leader_epoch;
	seen->leader_epoch = info.epoch;
}

int main(int argc, char **argv)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	fsha_config *config = fsha_config_create();
	fsha_services *services;
	fsha_state_store *store;
	struct seen seen = { .epoch = 0 };

	if (argc < 3 || !config || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
	    fsha_config_set(config, FSHA_KEY_STORAGE_DIR, argv[1], NULL) != FSHA_OK ||
	    fsha_config_set(config, FSHA_KEY_LEASE, argv[2], NULL) != FSHA_OK ||
	    fsha_services_open(config, NULL, &services, NULL) != FSHA_OK ||
	    fsha_state_store_open(services, STORM_NAMESPACE, STORM_ELECTION, &store, NULL) !=
		    FSHA_OK)
		return 2;
	fsha_config_destroy(config);
	while (poll(&input, 1, 0) == 0) {
		look_at_value(&seen, store);
		look_at_leader(&seen, services);
	}
	printf("saw %lu values in %lu reads, %lu leaders, %lu corrupt\n", seen.values, seen.reads,
	       seen.leaders, seen.corrupt);
	fsha_state_store_close(store);
	return fsha_services_close(services, NULL) != FSHA_OK || seen.wrong || seen.corrupt;
}
