/*
 * The janitor: everything that may hang or can wait. Old versions, old leader records, the history,
 * trash, and the directories of members that are gone.
 */
#include <string.h>

#include "src/cluster/layout.h"
#include "src/election/doubt.h"
#include "src/election/election.h"
#include "src/election/history.h"
#include "src/record/name.h"
#include "src/result/error.h"
#include "src/services/standalone.h"
#include "src/services/upkeep.h"

#define TRASH_NS_MAX FSU_NS_PER_S

static void clean_stores(struct fsha_services *s)
{
	struct open_store *o, *next, *done = NULL;

	services_lock(s);
	for (o = s->stores; o; o = next) {
		if (!o->owners) {
			next = o->next;
			continue;
		}
		o->cleaning = true;
		services_unlock(s);
		(void)store_clean(o->store);
		store_compact(o->store);
		services_lock(s);
		o->cleaning = false;
		next = o->next;
		if (o->owners || o->kept || o->hanging)
			continue;
		services_store_unlist(s, o);
		o->next = done;
		done = o;
	}
	services_unlock(s);
	while (done) {
		o = done;
		done = o->next;
		services_store_free(s, o);
	}
}

static void clean_election(struct fsha_election *e, struct term *t, bool history_due,
			   int64_t published_ns, int64_t trash_until_ns)
{
	struct fsha_services *s = e->services;

	doubt_end_all(t);
	if (history_due && history_publish(t, NULL) == FSHA_OK) {
		history_due = false;
		services_lock(s);
		if (e->term == t)
			e->history_due = false;
		services_unlock(s);
	}
	/*
	 * Old records stay for a while, so that quick listings never miss an election, and until
	 * what they tell of former terms is in the history; or no longer than it would be there.
	 */
	if (fsu_now_ns(services_fs(s)) > published_ns + INDEX_RETAIN_NS) {
		if (history_due)
			history_trim_leaders(t);
		else
			leader_clean(t);
	}
	tenure_empty_trash_until(&s->cluster, t->election_fd, trash_until_ns);
}

/* One that is led here: its term and what is due, taken under the mutex. */
struct led {
	struct fsha_election *election; /* a reference */
	struct term *term;              /* a reference */
	bool history_due;
	int64_t published_ns;
};

/* All that are led here, in fresh memory; NULL when there is none, or no memory. */
static struct led *take_led(struct fsha_services *s, size_t *ret_count)
{
	struct led *led = NULL;
	size_t n = 0;

	services_lock(s);
	for (struct fsha_election *e = s->elections; e; e = e->next)
		n++;
	if (n > 0)
		led = fsu_alloc(services_fs(s), n * sizeof(*led));
	n = 0;
	for (struct fsha_election *e = s->elections; e && led; e = e->next) {
		/*
		 * Not in the first moments of a term: nothing may keep a new leader from its work.
		 */
		if (!election_leads(e) || !e->published_ns)
			continue;
		atomic_fetch_add(&e->refs, 1);
		led[n++] = (struct led){ e, term_ref(e->term), e->history_due, e->published_ns };
	}
	services_unlock(s);
	*ret_count = n;
	return led;
}

static bool is_closing(struct fsha_services *s)
{
	bool closing;

	services_lock(s);
	closing = s->closing;
	services_unlock(s);
	return closing;
}

int64_t janitor_trash_until(const struct fsha_services *s)
{
	int64_t ns = cluster_lease_ns(&s->cluster) / 10;

	return fsu_now_ns(services_fs(s)) + (ns < TRASH_NS_MAX ? ns : TRASH_NS_MAX);
}

/* Returns whether any election is led here. */
static bool clean_elections(struct fsha_services *s)
{
	const int64_t trash_until_ns = janitor_trash_until(s);
	size_t count;
	struct led *led = take_led(s, &count);

	for (size_t i = 0; i < count; i++) {
		if (!is_closing(s)) {
			clean_election(led[i].election, led[i].term, led[i].history_due,
				       led[i].published_ns, trash_until_ns);
			upkeep_stores(s, led[i].term);
		}
		term_unref(led[i].term);
		election_unref(led[i].election);
	}
	fsu_release(services_fs(s), led);
	return count > 0;
}

void janitor_run(struct worker *w)
{
	struct fsha_services *s = w->services;
	int64_t lease = cluster_lease_ns(&s->cluster);
	int64_t members_ns = 0, round_ns = 0;

	while (!is_closing(s)) {
		int64_t now_ns = fsu_now_ns(services_fs(s));
		bool leads;

		clean_stores(s);
		if (s->standalone)
			standalone_clean(s);
		upkeep_drop_unused(s, round_ns);
		round_ns = now_ns;
		leads = !s->standalone && clean_elections(s);
		if (leads && now_ns >= members_ns) {
			upkeep_remains(s);
			members_ns = now_ns + lease;
		}
		(void)worker_wait(w, -1, now_ns + lease / 5);
	}
}
