/*
 * The life of a simulated process: it opens the services, contends in each election, works for as
 * long as it lives, and when it is to leave closes everything in order.
 */
#include <stdio.h>
#include <string.h>

#include "src/services/services.h"
#include "tests/simulation/sim.h"

#define OPEN_TRIES 100
#define PAUSE_NS (50 * FSU_NS_PER_MS)

static const char *const election_names[SIM_ELECTIONS] = { FSHA_ELECTION_DISPATCHER, NULL };

/* ---- What a contender is told ---- */

static const char *name_of(const struct sim_election *e)
{
	return e->index == 0 ? "dispatcher" : "job";
}

void sim_log_term(const struct sim_election *e, enum ops_kind kind, uint64_t epoch)
{
	sim_log((struct ops_event){ .kind = kind,
				    .process = e->process->name,
				    .election = name_of(e),
				    .epoch = epoch,
				    .deadline_ns =
					    kind == OPS_LEADS ? sim_lease_deadline_ns(e) : 0 });
}

static void granted(void *ctx, const fsha_uuid *session, uint64_t epoch)
{
	struct sim_election *e = ctx;

	e->session = *session;
	e->epoch = e->last = epoch;
	sim_lease_begin(e);
	e->granted_ns = sim_now_ns();
	e->revoked_ns = 0;
	e->told = false;
	sim_log_term(e, OPS_GRANT, epoch);
	sim->counts[SIM_GRANTS]++;
	if (e->election)
		(void)fsha_election_confirm_leadership(e->election, session, "somewhere:6123",
						       NULL);
}

static void revoked(void *ctx)
{
	struct sim_election *e = ctx;

	sim_log_term(e, OPS_REVOKE, e->epoch);
	sim_lease_revoked(e);
	sim->counts[SIM_REVOKES]++;
	e->epoch = 0;
}

bool sim_leads(struct sim_election *e)
{
	return e->election && e->epoch && fsha_election_has_leadership(e->election, &e->session);
}

void sim_ask(struct sim_process *p)
{
	for (unsigned i = 0; p->alive && i < SIM_ELECTIONS; i++)
		if (sim_leads(&p->elections[i])) {
			sim_log_term(&p->elections[i], OPS_LEADS, p->elections[i].epoch);
			sim->counts[SIM_LED]++;
		}
}

/* Not of one that stands still: it would be asked by its own threads only. */
void sim_ask_expired(void)
{
	for (unsigned i = 0; i < sim->n_processes; i++) {
		struct sim_process *p = &sim->processes[i];
		bool over = false;

		for (unsigned e = 0; e < SIM_ELECTIONS; e++)
			over = over ||
			       (p->elections[e].epoch && sim_lease_is_over(&p->elections[e]));
		if (over && p->alive && p->paused_until_ns <= sim_now_ns() &&
		    chance_draw(&sim->chance, 4) == 0)
			sim_ask(p);
	}
}

/* What the library reports goes to stderr, for a run that is looked at. */
static void report(void *ctx, int level, const char *event, const char *fields)
{
	const struct sim_process *p = ctx;

	(void)level;
	(void)fprintf(stderr, "%lld %s %s %s\n", (long long)sim_now_ns(), p->name, event, fields);
}

/* ---- Life ---- */

static bool open_services(struct sim_process *p)
{
	fsha_services_options options = FSHA_SERVICES_OPTIONS_INIT;
	fsha_result result = FSHA_E_IO;

	if (sim->loud) {
		options.log = report;
		options.log_ctx = p;
	}
	for (int i = 0; i < OPEN_TRIES && result != FSHA_OK && !p->leave; i++) {
		result = services_open_with(&p->fs, sim->config, &options, &p->services, NULL);
		if (result != FSHA_OK)
			fsu_sleep(&p->fs, PAUSE_NS);
	}
	return result == FSHA_OK;
}

static bool start_election(struct sim_process *p, unsigned i)
{
	struct sim_election *e = &p->elections[i];
	fsha_contender contender = { sizeof(contender), e, granted, revoked, NULL };
	char name[FSHA_ELECTION_JOB_TEXT];
	fsha_result result = FSHA_E_IO;

	if (i > 0)
		(void)fsha_job_election_name(&sim_jobs[0], name);
	for (int n = 0; n < OPEN_TRIES && result != FSHA_OK && !p->leave; n++) {
		result = fsha_election_start(p->services, i ? name : election_names[i], &contender,
					     &e->election, NULL);
		if (result != FSHA_OK)
			fsu_sleep(&p->fs, PAUSE_NS);
	}
	return result == FSHA_OK;
}

static bool open_stores(struct sim_process *p)
{
	fsha_result result = FSHA_E_IO;

	for (int i = 0; i < OPEN_TRIES && result != FSHA_OK && !p->leave; i++) {
		result = p->state ?
				 FSHA_OK :
				 fsha_state_store_open(p->services, "ns", FSHA_ELECTION_DISPATCHER,
						       &p->state, NULL);
		if (result == FSHA_OK && !p->jobs)
			result = fsha_job_graph_store_open(p->services, &p->jobs, NULL);
		if (result == FSHA_OK)
			result = fsha_job_graph_store_start(p->jobs, NULL, NULL);
		if (result != FSHA_OK)
			fsu_sleep(&p->fs, PAUSE_NS);
	}
	return result == FSHA_OK;
}

static void close_all(struct sim_process *p)
{
	fsha_job_graph_store_close(p->jobs);
	fsha_state_store_close(p->state);
	for (unsigned i = 0; i < SIM_ELECTIONS; i++) {
		fsha_election *e = p->elections[i].election;

		p->elections[i].election = NULL; /* it is asked no more */
		(void)fsha_election_close(e, NULL);
	}
	(void)fsha_services_close(p->services, NULL);
	p->jobs = NULL;
	p->state = NULL;
	p->services = NULL;
}

static void *live(void *arg)
{
	struct sim_process *p = arg;
	bool up = open_services(p);

	for (unsigned i = 0; up && i < SIM_ELECTIONS; i++)
		up = start_election(p, i);
	up = up && open_stores(p);
	while (up && !p->leave) {
		sim_work(p);
		fsu_sleep(&p->fs, (1 + chance_draw(&p->chance, 60)) * FSU_NS_PER_MS);
	}
	if (up && sim->healed)
		sim_read_all(p);
	close_all(p);
	sim->counts[SIM_LEFT]++;
	return NULL;
}

void sim_process_start(struct sim_process *p)
{
	p->alive = true;
	p->leave = false;
	p->life++;
	p->op = 0;
	p->chance = chance_of(sim->seed * 1000 + p->client * 100 + p->life);
	p->paused_until_ns = p->cut_off_until_ns = 0;
	(void)snprintf(p->name, sizeof(p->name), "p%u.%u", p->client, p->life);
	memset(p->elections, 0, sizeof(p->elections));
	memset(p->member, 0, sizeof(p->member));
	p->beat_ns = p->stood_ns = 0;
	for (unsigned i = 0; i < SIM_ELECTIONS; i++) {
		p->elections[i].process = p;
		p->elections[i].index = i;
	}
	(void)sim_thread_create(p, live, p);
	sim->counts[SIM_JOINED]++;
}

void sim_process_kill(struct sim_process *p)
{
	p->alive = false;
	sim_threads_abandon(p);
	sim_process_reclaim(p);
	p->services = NULL;
	p->state = NULL;
	p->jobs = NULL;
}
