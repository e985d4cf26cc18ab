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

/* ---- Who led is told so ---- */

/* The first moment at which its end could be told: when it runs, and was told of its begin. */
static int64_t could_be_told_ns(const struct sim_election *e)
{
	int64_t at_ns = sim_lease_deadline_ns(e);

	if (e->granted_ns > at_ns)
		at_ns = e->granted_ns;
	return e->process->stood_ns > at_ns ? e->process->stood_ns : at_ns;
}

void sim_lease_revoked(struct sim_election *e)
{
	const int64_t took_ns = sim_now_ns() - could_be_told_ns(e);

	e->revoked_ns = sim_now_ns();
	if (took_ns > sim->told_ns)
		sim->told_ns = took_ns;
}

static void look_at(struct sim_election *e)
{
	const struct sim_process *p = e->process;
	const int64_t from_ns = could_be_told_ns(e);

	/* One that ended before its lease did (it resigned, it was fenced) proves nothing here. */
	if (e->told || !e->last || sim_now_ns() <= from_ns + SIM_TOLD_NS ||
	    (e->revoked_ns && e->revoked_ns < from_ns))
		return;
	e->told = true;
	sim_log_term(e, OPS_OVER, e->last);
	sim->counts[SIM_OVER]++;
	sim->counts[SIM_OVER_HUNG] += p->cut_off_hangs && p->cut_off_until_ns > sim_now_ns();
}

void sim_lease_look(void)
{
	const int64_t now_ns = sim_now_ns();

	for (unsigned i = 0; i < sim->n_processes; i++) {
		struct sim_process *p = &sim->processes[i];

		if (p->paused_until_ns > p->stood_ns)
			p->stood_ns = p->paused_until_ns < now_ns ? p->paused_until_ns : now_ns;
		for (unsigned e = 0; p->alive && e < SIM_ELECTIONS; e++)
			look_at(&p->elections[e]);
	}
}
