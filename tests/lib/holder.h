/*
 * A leader with the public interface in its hands, on the crash filesystem: real services, which
 * are given a member and a term as if they were attached to one, so that no thread is started and
 * each run makes the same calls. Stores of any kind are opened on holder->services.
 *
 * What a function of the library returns was allocated through the crash filesystem: release it
 * with fsu_release(holder->fs, ...), never with fsha_free.
 */
#ifndef TESTS_HOLDER_H
#define TESTS_HOLDER_H

#include "src/services/services.h"
#include "tests/lib/crashfs.h"

#define HOLDER_LEASE_MS 2000

struct holder {
	struct crashfs *disk;
	unsigned client;
	const struct fsu *fs;
	fsha_services *services;
	struct term *term; /* of the services; NULL: only a reader */
	fsha_error error;  /* of the last call that failed */
};

/*
 * Opens the cluster at "/c" and leads `election` (encoded). Whoever led it before is fenced; its
 * lease is waited for. Fails the test when that fails.
 */
void holder_start(struct holder *h, struct crashfs *disk, unsigned client, const char *election);
/* Another election besides, after holder_start. */
void holder_lead_too(struct holder *h, const char *election);
/* Leads nothing. */
void holder_start_reader(struct holder *h, struct crashfs *disk, unsigned client);
/*
 * The steps of that, with the results: open, become a member once everybody else's lease has run
 * out, lead one election or several. What was begun is ended by holder_stop.
 */
fsha_result holder_try_start_reader(struct holder *h, struct crashfs *disk, unsigned client);
fsha_result holder_try_join(struct holder *h);
fsha_result holder_try_lead(struct holder *h, const char *election);
/* Everything closed, no descriptor and no memory left. Nothing is resigned. Harmless twice. */
void holder_stop(struct holder *h);

#endif
