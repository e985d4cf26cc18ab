/* Around every call of the table: the hook, the count, the faults, and the log of what came out. */
#include "tests/lib/crashfs_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRACE_CHANGES 0x80

static const char *const names[CRASHFS_CALLS] = {
	[CRASHFS_OPENAT] = "openat",         [CRASHFS_CLOSE] = "close",
	[CRASHFS_PREAD] = "pread",           [CRASHFS_WRITE] = "write",
	[CRASHFS_FSYNC] = "fsync",           [CRASHFS_RENAMEAT] = "renameat",
	[CRASHFS_UNLINKAT] = "unlinkat",     [CRASHFS_MKDIRAT] = "mkdirat",
	[CRASHFS_STATX] = "statx",           [CRASHFS_GETDENTS] = "getdents",
	[CRASHFS_REWIND] = "rewind",         [CRASHFS_LOCK] = "lock",
	[CRASHFS_FSTATFS] = "fstatfs",       [CRASHFS_MOUNTINFO] = "mountinfo",
	[CRASHFS_MOUNTSTATS] = "mountstats", [CRASHFS_NOTIFY] = "notify",
	[CRASHFS_RANDOM] = "random",         [CRASHFS_ALLOC] = "alloc",
	[CRASHFS_CLONE] = "clone",
};

const char *crashfs_call_name(enum crashfs_call call)
{
	assert((unsigned)call < CRASHFS_CALLS);
	return names[call];
}

void crashfs_fault_arm(struct crashfs *c, const struct crashfs_fault *fault)
{
	assert(c->n_armed < CFS_FAULTS);
	assert(fault->client < CRASHFS_CLIENTS);
	assert(fault->error > 0 || fault->mode == CRASHFS_SHORT || fault->mode == CRASHFS_CRASH);
	assert(fault->error < 4096);
	c->armed[c->n_armed++] = (struct cfs_armed){ .fault = *fault };
}

void crashfs_fault_clear(struct crashfs *c)
{
	c->n_armed = 0;
	c->fired = 0;
}

unsigned crashfs_faults_fired(const struct crashfs *c)
{
	return c->fired;
}

void crashfs_count_reset(struct crashfs *c)
{
	for (unsigned i = 0; i < CRASHFS_CLIENTS; i++) {
		memset(c->clients[i].counts, 0, sizeof(c->clients[i].counts));
		c->clients[i].trace_count = 0;
	}
}

static uint64_t count_masked(const struct cfs_client *cl, uint32_t mask)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < CRASHFS_CALLS; i++)
		if (mask == 0 || (mask & 1u << i))
			n += cl->counts[i];
	return n;
}

uint64_t crashfs_count(const struct crashfs *c, unsigned client)
{
	assert(client < CRASHFS_CLIENTS);
	return count_masked(&c->clients[client], 0);
}

bool crashfs_call_at(const struct crashfs *c, unsigned client, uint64_t at,
		     enum crashfs_call *ret_call, bool *ret_changes)
{
	const struct cfs_client *cl = &c->clients[client];

	assert(client < CRASHFS_CLIENTS);
	if (at >= cl->trace_count)
		return false;
	*ret_call = (enum crashfs_call)(cl->trace[at] & ~TRACE_CHANGES);
	*ret_changes = (cl->trace[at] & TRACE_CHANGES) != 0;
	return true;
}

void crashfs_hook_set(struct crashfs *c, crashfs_hook *hook, void *hook_ctx)
{
	c->hook = hook;
	c->hook_ctx = hook_ctx;
}

/* ---- Before a call ---- */

/* Without the mutex, so that the hook may make calls, and stop threads that make some. */
static void run_hook(struct crashfs *c, enum crashfs_call kind, const char *path, unsigned client)
{
	crashfs_hook *hook = c->hook;
	void *hook_ctx = c->hook_ctx;

	if (!hook || c->in_hook)
		return;
	c->in_hook = true;
	(void)pthread_mutex_unlock(&c->mutex);
	hook(hook_ctx, kind, path, client);
	(void)pthread_mutex_lock(&c->mutex);
	c->in_hook = false;
}

static const struct crashfs_fault *find_fault(struct crashfs *c, const struct cfs_client *cl,
					      enum crashfs_call kind)
{
	for (unsigned i = 0; i < c->n_armed; i++) {
		struct cfs_armed *armed = &c->armed[i];
		const struct crashfs_fault *f = &armed->fault;
		uint64_t number;

		if (f->client != cl->index || armed->spent)
			continue;
		if (f->calls_mask != 0 && !(f->calls_mask & 1u << kind))
			continue;
		number = count_masked(cl, f->calls_mask);
		if (number < f->at || (number > f->at && !f->repeat))
			continue;
		armed->spent = !f->repeat;
		return f;
	}
	return NULL;
}

static bool can_be_short(enum crashfs_call kind)
{
	return kind == CRASHFS_PREAD || kind == CRASHFS_WRITE || kind == CRASHFS_GETDENTS;
}

static void apply_fault(struct cfs_call *call, const struct crashfs_fault *f)
{
	struct crashfs *c = call->cl->c;

	c->fired++;
	call->verdict = CFS_FAIL;
	call->error = f->error;
	switch (f->mode) {
	case CRASHFS_NOT_DONE:
		call->fault = "not done";
		break;
	case CRASHFS_DONE:
		call->fault = "done";
		/* What only asks has nothing that could be done: the answer is lost. */
		if (call->changes)
			call->verdict = CFS_RUN_THEN_FAIL;
		break;
	case CRASHFS_SHORT:
		call->fault = "short";
		if (call->error == 0)
			call->error = EIO;
		if (can_be_short(call->kind))
			call->verdict = CFS_RUN_HALF;
		break;
	case CRASHFS_CRASH:
		call->fault = "power cut";
		call->error = EIO;
		c->crashed = true;
		c->undecided = true;
		break;
	}
}

static void trace(struct cfs_client *cl, enum crashfs_call kind, bool changes)
{
	void *memory = cl->trace;

	if (cl->trace_count >= CFS_TRACE_MAX)
		return;
	cfs_reserve(&memory, &cl->trace_size, cl->trace_count + 1, 1);
	cl->trace = memory;
	cl->trace[cl->trace_count++] = (uint8_t)(kind | (changes ? TRACE_CHANGES : 0));
}

/* What there is room for of `text`, and a 0. Returns where that is. (Each call comes here: no
 * printf.) */
static char *append(char *at, const char *end, const char *text)
{
	size_t room = (size_t)(end - at) - 1, len = strnlen(text, room);

	memcpy(at, text, len);
	at[len] = '\0';
	return at + len;
}

/* The number of a call is drawn after its hook, whose own calls come before it. */
static void begin(struct cfs_call *call, const char *path, const char *to)
{
	struct cfs_client *cl = call->cl;
	struct crashfs *c = cl->c;
	const struct crashfs_fault *fault;
	const char *text_end = call->text + sizeof(call->text);
	char *at;

	run_hook(c, call->kind, path, cl->index);
	at = append(call->text, text_end, path);
	if (to)
		(void)append(append(at, text_end, " -> "), text_end, to);
	call->number = count_masked(cl, 0);
	call->verdict = CFS_RUN;
	c->now_ns += CFS_CALL_NS;
	c->acting = cl->index;
	fault = c->crashed ? NULL : find_fault(c, cl, call->kind);
	cl->counts[call->kind]++;
	trace(cl, call->kind, call->changes);
	if (c->crashed) {
		call->verdict = CFS_FAIL;
		call->error = EIO;
	}
	if (fault)
		apply_fault(call, fault);
	if (c->calls_left > 0 && --c->calls_left == 0)
		cfs_die(c, "this does not come to an end");
}

void cfs_begin(struct cfs_call *call, void *ctx, enum crashfs_call kind, const char *path,
	       const char *to, bool changes)
{
	*call = (struct cfs_call){ .cl = ctx, .kind = kind, .changes = changes };
	(void)pthread_mutex_lock(&call->cl->c->mutex);
	begin(call, path, to);
}

void cfs_begin_fd(struct cfs_call *call, void *ctx, enum crashfs_call kind, int fd, bool changes)
{
	const struct cfs_desc *desc;
	char path[CFS_LOG_TEXT];

	*call = (struct cfs_call){ .cl = ctx, .kind = kind, .changes = changes };
	(void)pthread_mutex_lock(&call->cl->c->mutex);
	desc = cfs_desc(call->cl, fd);
	/* A copy: the hook may close it. */
	(void)append(path, path + sizeof(path), desc ? desc->path : "");
	begin(call, path, NULL);
}

/* ---- After it ---- */

long cfs_end(struct cfs_call *call, long result)
{
	struct crashfs *c = call->cl->c;
	struct cfs_log_entry *entry = &c->log[c->log_count++ % CRASHFS_LOG];

	/* What could not be done anyway says so itself. */
	if (call->verdict == CFS_RUN_THEN_FAIL && result >= 0)
		result = -call->error;
	entry->client = call->cl->index;
	entry->kind = call->kind;
	entry->number = call->number;
	entry->result = result;
	entry->fault = call->fault;
	(void)append(entry->text, entry->text + sizeof(entry->text), call->text);
	(void)pthread_mutex_unlock(&c->mutex);
	return result;
}

const char *crashfs_log(struct crashfs *c)
{
	uint64_t first = c->log_count > CRASHFS_LOG ? c->log_count - CRASHFS_LOG : 0;
	size_t len;
	FILE *out;

	free(c->log_text);
	c->log_text = NULL;
	out = open_memstream(&c->log_text, &len);
	if (!out)
		abort();
	for (uint64_t i = first; i < c->log_count; i++) {
		const struct cfs_log_entry *e = &c->log[i % CRASHFS_LOG];

		(void)fprintf(out, "  client %u call %llu: %s %s = %ld", e->client,
			      (unsigned long long)e->number, names[e->kind], e->text, e->result);
		if (e->result < 0)
			(void)fprintf(out, " %s", strerrorname_np((int)-e->result));
		if (e->fault)
			(void)fprintf(out, "    <- fault: %s", e->fault);
		(void)fputc('\n', out);
	}
	(void)fclose(out);
	return c->log_text;
}
