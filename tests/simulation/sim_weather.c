/*
 * What goes wrong, and when.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/crashfs_internal.h"
#include "tests/lib/crashfs_serve.h"
#include "tests/simulation/sim.h"

/* A leader that was forgotten this long goes on and believes that it leads. */
#define PAUSE_MAX_NS (4 * SIM_LEASE_NS)

static unsigned draw(unsigned below)
{
	return chance_draw(&sim->chance, below);
}

static int64_t draw_ns(int64_t below_ns)
{
	return (int64_t)draw((unsigned)(below_ns / 1000)) * 1000;
}

/* Some that live; NULL: none. */
static struct sim_process *any_alive(void)
{
	struct sim_process *p = &sim->processes[draw(sim->n_processes)];

	return p->alive ? p : NULL;
}

/* Trouble is for leaders, mostly. */
static struct sim_process *victim(void)
{
	for (unsigned i = 0; i < sim->n_processes && draw(4); i++) {
		struct sim_process *p = &sim->processes[i];

		if (p->alive && (p->elections[0].epoch || p->elections[1].epoch))
			return p;
	}
	return any_alive();
}

/* ---- Single calls ---- */

static const int errors[] = { EIO, ENOSPC, ESTALE, EINTR, EACCES, ETIMEDOUT, ENOMEM };

/* What a resend of a call that was done is told. */
static int resend_error(enum crashfs_call kind)
{
	switch (kind) {
	case CRASHFS_RENAMEAT:
	case CRASHFS_UNLINKAT:
		return ENOENT;
	case CRASHFS_MKDIRAT:
		return EEXIST;
	default:
		return EIO;
	}
}

void sim_choose_fault(const struct sim_thread *t)
{
	const struct sim_process *p = t->process;
	const bool off = p->cut_off_until_ns > sim_now_ns();
	/* The calls on which everything depends, and their proofs. */
	const bool commits = t->kind == CRASHFS_RENAMEAT || t->kind == CRASHFS_FSYNC;

	sim->fault = sim->fault_late = false;
	if (!t->in_call || (!off && !chance_is(&sim->chance, p->fault_rate * (commits ? 3 : 1))))
		return;
	sim->fault = true;
	sim->fault_error = errors[draw(sizeof(errors) / sizeof(errors[0]))];
	sim->fault_mode = CRASHFS_NOT_DONE;
	/* Who is cut off is told so by its own host. ESTALE would be an answer: it was expelled. */
	if (off)
		sim->fault_error = draw(2) ? EIO : ETIMEDOUT;
	if (off || draw(3) == 0) {
		sim->counts[SIM_FAULTS]++;
	} else if (t->kind == CRASHFS_RENAMEAT && draw(2) == 0) {
		sim->fault_late = true;
		sim->fault_error = draw(2) ? ETIMEDOUT : EIO;
	} else if (t->changes) {
		sim->fault_mode = CRASHFS_DONE;
		if (draw(2))
			sim->fault_error = resend_error(t->kind);
		sim->counts[SIM_LOST]++;
	} else {
		sim->fault_mode = CRASHFS_SHORT;
		sim->counts[SIM_SHORT]++;
	}
}

static void forget_late(struct sim_late *l)
{
	free(l->from_place);
	free(l->to_place);
	*l = (struct sim_late){ 0 };
}

static struct cfs_place *place_of(const struct sim_process *p, int dirfd, const char *path)
{
	struct cfs_place *place = cfs_xalloc(sizeof(*place));

	if (cfs_place(p->real->ctx, dirfd, path, false, place) == 0)
		return place;
	free(place);
	return NULL;
}

void sim_send_late(struct sim_process *p, const struct sim_rename *rename)
{
	for (unsigned i = 0; i < SIM_LATE; i++) {
		struct sim_late *l = &sim->late[i];

		if (l->process)
			continue;
		*l = (struct sim_late){ .process = p,
					.life = p->life,
					.from_place = place_of(p, rename->from_dirfd, rename->from),
					.to_place = place_of(p, rename->to_dirfd, rename->to),
					.beat = rename->beat,
					.due_ns = sim_now_ns() +
						  draw_ns(draw(4) ? SIM_LEASE_NS / 10 :
								    3 * SIM_LEASE_NS) };
		(void)snprintf(l->from, sizeof(l->from), "%s", rename->from);
		(void)snprintf(l->to, sizeof(l->to), "%s", rename->to);
		if (!l->from_place || !l->to_place)
			forget_late(l);
		return;
	}
}

/* By the directories, which may have been renamed or removed since; true: it was done. */
static bool rename_late(const struct sim_late *l)
{
	const struct fsu *wire = crashfs_client(sim->disk, SIM_WIRE);
	const int from = crashfs_open_ino(sim->disk, SIM_WIRE, l->from_place->dir, O_RDONLY);
	const int to = crashfs_open_ino(sim->disk, SIM_WIRE, l->to_place->dir, O_RDONLY);
	const bool done = from >= 0 && to >= 0 &&
			  wire->ops->renameat(wire->ctx, from, l->from_place->name, to,
					      l->to_place->name) == 0;

	if (from >= 0)
		(void)wire->ops->close(wire->ctx, from);
	if (to >= 0)
		(void)wire->ops->close(wire->ctx, to);
	return done;
}

static void deliver(struct sim_late *l)
{
	struct sim_process *p = l->process;
	const bool dead = !p->alive || p->life != l->life;

	/* A member whose joining has failed is never one, should it come or not. */
	l->beat.beats = l->beat.beats && !l->beat.joins;
	sim_beat_send(&l->beat, l->from);
	if (rename_late(l))
		sim->counts[dead ? SIM_SENT_DEAD : SIM_SENT_LATE]++;
	sim_beat_end(&l->beat, p, l->from, l->to);
}

void sim_deliver_late(void)
{
	for (unsigned i = 0; i < SIM_LATE; i++) {
		struct sim_late *l = &sim->late[i];

		if (!l->process || (l->due_ns > sim_now_ns() && !sim->healed))
			continue;
		deliver(l);
		forget_late(l);
	}
}

/* ---- Processes ---- */

static void pause_process(struct sim_process *p)
{
	p->paused_until_ns = sim_now_ns() + draw_ns(PAUSE_MAX_NS);
	sim->counts[SIM_PAUSES]++;
}

static void hang_call(const struct sim_process *p)
{
	struct sim_thread *t = p->threads;

	for (unsigned n = draw(10); t && n > 0; n--)
		t = t->next;
	if (!t || !t->in_call)
		return;
	t->hung_until_ns = sim_now_ns() + draw_ns(PAUSE_MAX_NS);
	sim->counts[SIM_HANGS]++;
}

static void cut_off(struct sim_process *p)
{
	p->cut_off_until_ns = sim_now_ns() + draw_ns(PAUSE_MAX_NS);
	p->cut_off_hangs = draw(2);
	sim->counts[SIM_CUT_OFF]++;
}

/*
 * A heartbeat that was carried out and was not answered, and then nothing else is, for most of a
 * lease: what is found done later counts from when it was sent.
 */
void sim_lose_beat(struct sim_process *p)
{
	if (sim->healed || draw(2) || p->cut_off_until_ns > sim_now_ns())
		return;
	p->cut_off_until_ns = sim_now_ns() + SIM_LEASE_NS / 2 + draw_ns(SIM_LEASE_NS / 2);
	p->cut_off_hangs = false;
	sim->counts[SIM_BEATS_LOST]++;
}

/* Its renames may have left its host already; nobody waits for their answers. */
static void kill_process(struct sim_process *p)
{
	for (const struct sim_thread *t = p->threads; t; t = t->next)
		if (t->rename && draw(2))
			sim_send_late(p, t->rename);
	sim_process_kill(p);
	p->starts_ns = sim_now_ns() + draw_ns(2 * SIM_LEASE_NS);
	sim->counts[SIM_KILLS]++;
}

static void cut_power(void)
{
	for (unsigned i = 0; i < sim->n_processes; i++)
		if (sim->processes[i].alive) {
			sim_process_kill(&sim->processes[i]);
			sim->processes[i].starts_ns = sim_now_ns() + draw_ns(SIM_LEASE_NS);
		}
	for (unsigned i = 0; i < SIM_LATE; i++)
		forget_late(&sim->late[i]);
	crashfs_crash(sim->disk, sim->chance.state);
	crashfs_recover(sim->disk);
	sim_log((struct ops_event){ .kind = OPS_CUT });
	sim->counts[SIM_POWER_CUTS]++;
}

/* What was sent is sent again; locks are lost only where nobody promises that they are not. */
static void restart_server(void)
{
	const bool lost = sim->odd && draw(2);

	crashfs_restart(sim->disk, 0, sim->chance.state, lost);
	sim->counts[SIM_RESTARTS]++;
	sim->counts[SIM_LOCKS_LOST] += lost;
}

static void change_rates(void)
{
	static const unsigned rates[] = { 0, 0, 5, 20, 60, 100 };

	for (unsigned i = 0; i < sim->n_processes; i++)
		sim->processes[i].fault_rate = rates[draw(sizeof(rates) / sizeof(rates[0]))];
}

/* Called often: each is seldom. */
void sim_weather(void)
{
	const unsigned what = draw(40000);
	struct sim_process *p = victim();

	if (sim->healed || what >= 200)
		return;
	if (what < 30)
		change_rates();
	else if (what < 34 && sim->seed % 2 == 0)
		cut_power();
	else if (what < 44 && sim->network)
		restart_server();
	else if (!p || what < 44)
		return;
	else if (what < 80)
		pause_process(p);
	else if (what < 130)
		hang_call(p);
	else if (what < 155)
		cut_off(p);
	else if (what < 185)
		kill_process(p);
	else
		p->leave = true;
}

void sim_heal(void)
{
	const int64_t now_ns = sim_now_ns();

	sim_lease_look(); /* who stood still stood so until now */
	sim->healed = true;
	sim_deliver_late();
	for (unsigned i = 0; i < sim->n_processes; i++) {
		struct sim_process *p = &sim->processes[i];

		p->paused_until_ns = p->cut_off_until_ns = p->fault_rate = 0;
		if (!p->alive && p->starts_ns > now_ns)
			p->starts_ns = now_ns;
		for (struct sim_thread *t = p->threads; t; t = t->next)
			t->hung_until_ns = 0;
	}
	sim->heal_ns = now_ns;
	sim_log((struct ops_event){ .kind = OPS_HEALED });
}
