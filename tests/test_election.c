/* What an election answers by itself, while no thread of the library runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/election/election.h"
#include "tests/lib/holder.h"

static char component[] = "dispatcher";

/*
 * No watchdog runs here, as if it were stopped: nobody has told the term that the lease is over.
 */
static void has_leadership_asks_the_clock_and_no_flag(void **state)
{
	const struct crashfs_options options = { .seed = 1 };
	struct crashfs *disk = crashfs_create(&options);
	struct fsha_election e = { .component = component };
	fsha_uuid session;
	struct holder h;

	(void)state;
	holder_start(&h, disk, 0, component);
	e.services = h.services;
	e.term = h.term;
	memcpy(&session, &h.term->epoch.session, sizeof(session));
	assert_int_equal(fsha_election_has_leadership(&e, &session), 1);
	crashfs_advance(disk, lease_deadline_ns(h.term->lease) - fsu_now_ns(h.fs));
	assert_int_equal(fsha_election_has_leadership(&e, &session), 0);
	assert_int_equal(fsha_election_term(&e, NULL, NULL), 0);
	holder_stop(&h);
	crashfs_destroy(disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_leadership_asks_the_clock_and_no_flag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
