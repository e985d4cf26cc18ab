/*
 * What an application does with the stores, written down in the history: whoever leads writes, and
 * now and then somebody who does not; everybody reads.
 */
#include <stdio.h>
#include <string.h>

#include "tests/simulation/sim.h"

const fsha_job_id sim_jobs[SIM_JOBS] = { { { 1 } }, { { 2 } } };

static const char *const state_names[SIM_KEYS] = { "a", "b", "c" };
static const char *const state_keys[SIM_KEYS] = { "state/ns/a", "state/ns/b", "state/ns/c" };
static const char *const job_keys[SIM_JOBS] = { "job_graphs/1", "job_graphs/2" };
#define CHECKPOINT_KEY "checkpoints/1"

/* A write or a read that is under way. */
struct doing {
	struct sim_process *process;
	unsigned election;
	uint64_t op;
	struct ops_value value;
	char text[OPS_VALUE_SIZE];
};

/* ---- The history ---- */

static void begin(struct doing *d, struct sim_process *p, enum ops_kind kind, unsigned election,
		  const char *key)
{
	*d = (struct doing){ .process = p, .election = election, .op = ++p->op };
	if (kind != OPS_READ)
		d->value = (struct ops_value){ p->elections[election].last, ++sim->sequence,
					       chance_draw(&p->chance, 1 << 20) };
	ops_value_format(&d->value, d->text);
	sim_log((struct ops_event){ .kind = kind,
				    .process = p->name,
				    .op = d->op,
				    .election = election ? "job" : "dispatcher",
				    .key = key,
				    .epoch = d->value.epoch,
				    .value = d->value });
	sim->counts[kind == OPS_READ ? SIM_READS : SIM_WRITES]++;
}

static void end(const struct doing *d, enum ops_outcome outcome)
{
	sim_log((struct ops_event){
		.kind = OPS_END, .process = d->process->name, .op = d->op, .outcome = outcome });
}

static void count_result(fsha_result result)
{
	switch (result) {
	case FSHA_OK:
		sim->counts[SIM_DONE]++;
		break;
	case FSHA_E_INDOUBT:
		sim->counts[SIM_DOUBTS]++;
		break;
	case FSHA_E_FENCED:
		sim->counts[SIM_FENCED]++;
		break;
	case FSHA_E_NOT_LEADER:
		sim->counts[SIM_NOT_LEADER]++;
		break;
	case FSHA_E_IO:
	case FSHA_E_TIMEOUT:
		sim->counts[SIM_FAILED]++;
		break;
	default:
		break;
	}
}

/*
 * Some writes ask twice who leads (replace, else add). When this very process was given a newer
 * term in between, nobody can tell from outside under which of the two it was done.
 */
static bool is_unclear(const struct doing *d)
{
	const struct sim_election *e = &d->process->elections[d->election];
	uint64_t epoch = e->last;

	if (e->last == d->value.epoch && fsha_election_term(e->election, NULL, &epoch))
		return epoch != d->value.epoch;
	return e->last != d->value.epoch;
}

static void end_write(const struct doing *d, fsha_result result, const fsha_error *error)
{
	count_result(result);
	end(d,
	    result == FSHA_OK && is_unclear(d) ? OPS_UNCLEAR : ops_outcome_of_write(result, error));
}

static void end_read(const struct doing *d, fsha_result result, const void *data, size_t size)
{
	struct ops_event e = { .kind = OPS_END, .process = d->process->name, .op = d->op };

	e.outcome = ops_outcome_of_read(result);
	if (result == FSHA_OK && !ops_value_parse(data, size, &e.value))
		e.outcome = OPS_DAMAGED;
	sim_log(e);
}

/* ---- The general store ---- */

static void read_state(struct sim_process *p, unsigned key)
{
	struct doing d;
	void *data = NULL;
	size_t size = 0;
	fsha_result result;

	begin(&d, p, OPS_READ, 0, state_keys[key]);
	result = fsha_state_store_get(p->state, state_names[key], &data, &size, NULL, NULL);
	end_read(&d, result, data, size);
	fsu_release(&p->fs, data);
}

/* What became of a write in doubt; it stays so when that cannot be told either. */
static fsha_result settle(struct sim_process *p, unsigned key, const fsha_version *version)
{
	fsha_result result = FSHA_E_INDOUBT;

	for (int i = 0; i < 5 && result == FSHA_E_INDOUBT; i++) {
		fsu_sleep(&p->fs, (1 + chance_draw(&p->chance, 50)) * FSU_NS_PER_MS);
		result = fsha_state_store_settle(p->state, state_names[key], version, NULL);
	}
	if (result == FSHA_OK || result == FSHA_E_NOT_FOUND)
		sim->counts[SIM_SETTLED]++;
	return result == FSHA_OK          ? FSHA_OK :
	       result == FSHA_E_NOT_FOUND ? FSHA_E_IO :
					    FSHA_E_INDOUBT;
}

static void write_state(struct sim_process *p, unsigned key)
{
	fsha_error error = FSHA_ERROR_INIT;
	fsha_version version = { 0 };
	fsha_result result;
	struct doing d;

	begin(&d, p, OPS_WRITE, 0, state_keys[key]);
	if (chance_draw(&p->chance, 2)) {
		result = fsha_state_store_add(p->state, state_names[key], d.text, strlen(d.text),
					      &version, &error);
	} else {
		/*
		 * The version that is expected is looked up first; the term may have changed hands
		 * by then, and the value belongs to the one of before.
		 */
		result = fsha_state_store_exists(p->state, state_names[key], &version, &error);
		if (result == FSHA_OK &&
		    (!sim_leads(&p->elections[0]) || p->elections[0].epoch != d.value.epoch))
			result = FSHA_E_NOT_LEADER;
		if (result == FSHA_OK)
			result = fsha_state_store_replace(p->state, state_names[key], &version,
							  d.text, strlen(d.text), &version, &error);
	}
	if (result == FSHA_E_INDOUBT && chance_draw(&p->chance, 4)) {
		count_result(result);
		result = settle(p, key, &version);
	}
	end_write(&d, result, &error);
}

static void remove_state(struct sim_process *p, unsigned key)
{
	fsha_error error = FSHA_ERROR_INIT;
	struct doing d;
	fsha_result result;

	begin(&d, p, OPS_REMOVE, 0, state_keys[key]);
	result = fsha_state_store_remove(p->state, state_names[key], NULL, &error);
	end_write(&d, result, &error);
}

static void write_batch(struct sim_process *p)
{
	fsha_state_change changes[SIM_KEYS] = { 0 };
	fsha_error error = FSHA_ERROR_INIT;
	struct doing d[SIM_KEYS];
	fsha_result result;

	for (unsigned i = 0; i < SIM_KEYS; i++) {
		const bool removes = chance_draw(&p->chance, 4) == 0;

		begin(&d[i], p, removes ? OPS_REMOVE : OPS_WRITE, 0, state_keys[i]);
		changes[i].how = removes ? FSHA_STATE_REMOVE : FSHA_STATE_PUT;
		changes[i].name = state_names[i];
		changes[i].data = removes ? NULL : d[i].text;
		changes[i].size = removes ? 0 : strlen(d[i].text);
	}
	result = fsha_state_store_batch(p->state, changes, SIM_KEYS, NULL, NULL, &error);
	for (unsigned i = 0; i < SIM_KEYS; i++)
		end_write(&d[i], result, &error);
	sim->counts[SIM_BATCHES]++;
}

/* ---- Job graphs ---- */

static void read_job(struct sim_process *p, unsigned job)
{
	struct doing d;
	void *data = NULL;
	size_t size = 0;
	fsha_result result;

	begin(&d, p, OPS_READ, 0, job_keys[job]);
	result = fsha_job_graph_store_recover(p->jobs, &sim_jobs[job], &data, &size, NULL);
	end_read(&d, result, data, size);
	fsu_release(&p->fs, data);
}

static void write_job(struct sim_process *p, unsigned job)
{
	const bool removes = chance_draw(&p->chance, 4) == 0;
	fsha_error error = FSHA_ERROR_INIT;
	struct doing d;
	fsha_result result;

	begin(&d, p, removes ? OPS_REMOVE : OPS_WRITE, 0, job_keys[job]);
	result = removes ? fsha_job_graph_store_remove(p->jobs, &sim_jobs[job], &error) :
			   fsha_job_graph_store_put(p->jobs, &sim_jobs[job], d.text, strlen(d.text),
						    &error);
	end_write(&d, result, &error);
	sim->counts[SIM_JOB_GRAPHS]++;
}

/* ---- Checkpoints: the register is the newest one ---- */

static fsha_result open_checkpoints(struct sim_process *p, fsha_checkpoint_store **ret_store)
{
	fsha_checkpoint_store_options options = FSHA_CHECKPOINT_STORE_OPTIONS_INIT;

	options.max_retained = 2;
	return fsha_checkpoint_store_open(p->services, &sim_jobs[0], &options, ret_store, NULL);
}

static void read_checkpoint(struct sim_process *p)
{
	fsha_completed_checkpoint *c = NULL;
	fsha_checkpoint_store *store = NULL;
	struct doing d;
	fsha_result result;

	begin(&d, p, OPS_READ, 1, CHECKPOINT_KEY);
	result = open_checkpoints(p, &store);
	if (result == FSHA_OK)
		result = fsha_checkpoint_store_get_latest(store, &c, NULL);
	end_read(&d, result, c ? c->metadata : NULL, c ? c->metadata_size : 0);
	fsu_release(&p->fs, c);
	(void)fsha_checkpoint_store_close(store, NULL);
}

static void write_checkpoint(struct sim_process *p)
{
	fsha_completed_checkpoint c = FSHA_COMPLETED_CHECKPOINT_INIT;
	fsha_error error = FSHA_ERROR_INIT;
	fsha_checkpoint_store *store = NULL;
	struct doing d;
	fsha_result result;

	if (open_checkpoints(p, &store) != FSHA_OK)
		return;
	/* Opened after the grant, and the term is still that one. */
	if (sim_leads(&p->elections[1])) {
		begin(&d, p, OPS_WRITE, 1, CHECKPOINT_KEY);
		c.id = fsha_checkpoint_store_latest_id(store) + 1;
		c.metadata = d.text;
		c.metadata_size = strlen(d.text);
		c.external_pointer = "/chk";
		result = fsha_checkpoint_store_add(store, &c, NULL, &error);
		end_write(&d, result, &error);
		sim->counts[SIM_CHECKPOINTS]++;
	}
	(void)fsha_checkpoint_store_close(store, NULL);
}

/* ---- All of it ---- */

static void resign(struct sim_election *e)
{
	if (!sim->calm && sim_leads(e) &&
	    fsha_election_resign(e->election, &e->session, NULL) == FSHA_OK)
		sim->counts[SIM_RESIGNED]++;
}

static void write_something(struct sim_process *p)
{
	const unsigned what = chance_draw(&p->chance, 12);

	if (what < 4)
		write_state(p, chance_draw(&p->chance, SIM_KEYS));
	else if (what < 6)
		remove_state(p, chance_draw(&p->chance, SIM_KEYS));
	else if (what < 8)
		write_batch(p);
	else
		write_job(p, chance_draw(&p->chance, SIM_JOBS));
}

/* And neither leads now nor is about to be told so: what it writes is refused. */
static bool once_led(const struct sim_election *e)
{
	return e->last && !fsha_election_term(e->election, NULL, NULL);
}

void sim_work(struct sim_process *p)
{
	const bool leads = sim_leads(&p->elections[0]);
	const unsigned what = chance_draw(&p->chance, 20);

	if (what == 0 && chance_draw(&p->chance, 4) == 0)
		resign(&p->elections[chance_draw(&p->chance, SIM_ELECTIONS)]);
	else if (what < 4)
		read_state(p, chance_draw(&p->chance, SIM_KEYS));
	else if (what < 6)
		read_job(p, chance_draw(&p->chance, SIM_JOBS));
	else if (what < 8)
		read_checkpoint(p);
	else if (what < 10 && sim_leads(&p->elections[1]))
		write_checkpoint(p);
	else if (leads || (what == 10 && once_led(&p->elections[0])))
		write_something(p);
}

void sim_read_all(struct sim_process *p)
{
	for (unsigned i = 0; i < SIM_KEYS; i++)
		read_state(p, i);
	for (unsigned i = 0; i < SIM_JOBS; i++)
		read_job(p, i);
	read_checkpoint(p);
}
