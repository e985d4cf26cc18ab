#include "tests/lib/puppet_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/crashfs_internal.h"

void puppet_die(const struct theatre *t, const char *what)
{
	cfs_die(t->disk, "puppet: %s", what);
}

static bool has_ended(const struct puppet *p)
{
	return p->state == PUPPET_ENDED || p->state == PUPPET_KILLED;
}

struct theatre *theatre_create(struct crashfs *disk, uint64_t seed)
{
	struct theatre *t = cfs_xalloc(sizeof(*t));

	t->disk = disk;
	for (unsigned i = 0; i < CRASHFS_CLIENTS; i++) {
		struct puppet_process *process = &t->process[i];
		struct fsu own = { .ops = &puppet_ops, .ctx = process };

		*process = (struct puppet_process){ .theatre = t, .client = i };
		process->random = seed ^ (i + 1) * UINT64_C(0xd1b54a32d192ed03);
		process->real = crashfs_table_swap(disk, i, &own);
	}
	return t;
}

void theatre_destroy(struct theatre *t)
{
	if (!t)
		return;
	assert(!t->running);
	for (const struct puppet *p = t->last; p; p = p->former)
		if (!has_ended(p))
			theatre_kill(t, p->client);
	while (t->last) {
		struct puppet *p = t->last;

		t->last = p->former;
		free(p);
	}
	for (unsigned i = 0; i < CRASHFS_CLIENTS; i++)
		(void)crashfs_table_swap(t->disk, i, &t->process[i].real);
	free(t);
}

struct crashfs *theatre_disk(struct theatre *t)
{
	return t->disk;
}

/* ---- Stepping ---- */

static void run_body(void *arg)
{
	struct puppet *p = arg;

	p->body(p, p->arg);
	p->state = p->killed ? PUPPET_KILLED : PUPPET_ENDED;
}

/* Up to its next stop. */
static void run(struct puppet *p)
{
	struct theatre *t = p->theatre;

	assert(!t->running);
	t->running = p;
	fiber_resume(p->fiber);
	t->running = NULL;
	if (!fiber_ended(p->fiber))
		return;
	fiber_destroy(p->fiber);
	p->fiber = NULL;
}

void puppet_stop(struct puppet *p, enum puppet_state state)
{
	assert(p->theatre->running == p);
	p->state = state;
	fiber_yield(p->fiber);
	p->wakes_ns = FSU_FOREVER;
}

struct puppet *puppet_start(struct theatre *t, unsigned client,
			    void (*body)(struct puppet *self, void *arg), void *arg)
{
	struct puppet *p = cfs_xalloc(sizeof(*p));

	assert(client < CRASHFS_CLIENTS);
	*p = (struct puppet){
		.theatre = t,
		.client = client,
		.wakes_ns = FSU_FOREVER,
		.body = body,
		.arg = arg,
		.former = t->last,
	};
	t->last = p;
	p->fiber = fiber_create(run_body, p);
	run(p);
	return p;
}

enum puppet_state puppet_state(const struct puppet *p)
{
	return p->state;
}

unsigned puppet_client(const struct puppet *p)
{
	return p->client;
}

struct theatre *puppet_theatre(const struct puppet *p)
{
	return p->theatre;
}

const struct puppet_call *puppet_next(const struct puppet *p)
{
	return p->state == PUPPET_READY ? &p->next : NULL;
}

int64_t puppet_wakes_ns(const struct puppet *p)
{
	return p->wakes_ns;
}

static int64_t now_ns(const struct theatre *t)
{
	const struct fsu *fs = &t->process[0].real;

	return fs->ops->now_ns(fs->ctx);
}

bool puppet_can_step(const struct puppet *p)
{
	return p->state == PUPPET_READY ||
	       (p->state == PUPPET_WAITS && p->wakes_ns <= now_ns(p->theatre));
}

void puppet_step(struct puppet *p)
{
	assert(puppet_can_step(p));
	run(p);
}

void puppet_finish(struct puppet *p)
{
	while (!has_ended(p)) {
		if (puppet_can_step(p))
			puppet_step(p);
		else if (p->wakes_ns == FSU_FOREVER)
			puppet_die(p->theatre, "it waits for nothing, and is to end");
		else
			crashfs_advance(p->theatre->disk, p->wakes_ns - now_ns(p->theatre));
	}
}

uint64_t puppet_seen(const struct puppet *p)
{
	return p->seen;
}

void puppet_saw(struct puppet *p, const void *data, size_t len)
{
	const uint8_t *bytes = data;
	uint64_t hash = p->seen ^ len;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	p->seen = cfs_draw(&hash);
}

bool puppet_is_killed(const struct puppet *p)
{
	return p->killed;
}

/* ---- All of them ---- */

bool theatre_can_step(const struct theatre *t)
{
	for (const struct puppet *p = t->last; p; p = p->former)
		if (puppet_can_step(p))
			return true;
	return false;
}

int64_t theatre_wakes_ns(const struct theatre *t)
{
	int64_t first_ns = FSU_FOREVER;

	for (const struct puppet *p = t->last; p; p = p->former)
		if (p->state == PUPPET_WAITS && p->wakes_ns < first_ns)
			first_ns = p->wakes_ns;
	return first_ns;
}

bool theatre_pass_time(struct theatre *t)
{
	int64_t wakes_ns = theatre_wakes_ns(t), time_ns = now_ns(t);

	if (wakes_ns == FSU_FOREVER)
		return false;
	if (wakes_ns > time_ns)
		crashfs_advance(t->disk, wakes_ns - time_ns);
	return true;
}

/* The first ones first. */
static void step_each(struct puppet *p)
{
	if (!p)
		return;
	step_each(p->former);
	if (puppet_can_step(p))
		puppet_step(p);
}

void theatre_finish(struct theatre *t)
{
	for (;;) {
		while (theatre_can_step(t))
			step_each(t->last);
		if (!theatre_pass_time(t))
			return;
	}
}

/* ---- Ends ---- */

static void kill_puppet(struct puppet *p)
{
	if (has_ended(p))
		return;
	assert(p->theatre->running != p);
	p->killed = true;
	p->killed_ns = now_ns(p->theatre);
	run(p);
	assert(p->state == PUPPET_KILLED); /* nothing stops it now */
}

void theatre_kill(struct theatre *t, unsigned client)
{
	crashfs_kill_client(t->disk, client);
	for (struct puppet *p = t->last; p; p = p->former)
		if (p->client == client)
			kill_puppet(p);
}

void theatre_kill_all(struct theatre *t)
{
	for (struct puppet *p = t->last; p; p = p->former)
		kill_puppet(p);
}
