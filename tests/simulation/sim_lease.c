/*
 * When the lease of a simulated process ends, from the other side than the library's: by the start
 * of the last heartbeat that the directory has really carried out, whatever the process was told
 * about it.
 */
#include <stdio.h>
#include <string.h>

#include "tests/simulation/sim.h"

static bool exists(const char *name)
{
	char path[400];

	(void)snprintf(path, sizeof(path), "/c/members/%s", name);
	return crashfs_exists(sim->disk, path);
}

/* "~<member>" becomes "<member>": the first beat of a new member. */
static bool joins(const char *from, const char *to)
{
	return from[0] == '~' && strcmp(from + 1, to) == 0 && strlen(to) == SIM_MEMBER_SIZE - 1;
}

/* "<member>/beat-<n>" */
static bool beats(const char *from, const char *to)
{
	return strncmp(to, from, SIM_MEMBER_SIZE) == 0 &&
	       strncmp(to + SIM_MEMBER_SIZE - 1, "/beat-", 6) == 0;
}

void sim_beat_begin(struct sim_beat *b, const struct sim_process *p, const char *from,
		    const char *to)
{
	b->joins = joins(from, to);
	b->beats = b->joins || (strlen(from) > SIM_MEMBER_SIZE && beats(from, to));
	b->start_ns = sim_local_ns(p, sim_now_ns());
	if (b->beats)
		(void)snprintf(b->member, sizeof(b->member), "%s", to);
}

void sim_beat_send(struct sim_beat *b, const char *from)
{
	b->sent = b->beats && exists(from);
}

void sim_beat_end(const struct sim_beat *b, struct sim_process *p, const char *from, const char *to)
{
	if (!b->sent || exists(from) || !exists(to))
		return;
	if (b->joins) {
		memcpy(p->member, b->member, sizeof(p->member));
		p->beat_ns = b->start_ns;
	} else if (strcmp(p->member, b->member) == 0 && b->start_ns > p->beat_ns) {
		p->beat_ns = b->start_ns;
	}
	for (unsigned i = 0; i < SIM_ELECTIONS; i++) {
		struct sim_election *e = &p->elections[i];

		if (strcmp(e->member, b->member) == 0 && b->start_ns > e->beat_ns)
			e->beat_ns = b->start_ns;
	}
}

/* Whoever is granted a term has joined last: the lease of a former member was over before. */
void sim_lease_begin(struct sim_election *e)
{
	memcpy(e->member, e->process->member, sizeof(e->member));
	e->beat_ns = e->process->beat_ns;
}

bool sim_lease_is_over(const struct sim_election *e)
{
	return sim_local_ns(e->process, sim_now_ns()) >= e->beat_ns + SIM_LEASE_NS;
}

int64_t sim_lease_deadline_ns(const struct sim_election *e)
{
	return sim_true_ns(e->process, e->beat_ns + SIM_LEASE_NS);
}
