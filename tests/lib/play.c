#include "tests/lib/play.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CLAIMS 3
#define NEXT 3 /* the client that comes after all */
#define ELECTION_DIR "/c/elections/" ACTOR_ELECTION
#define STORE_DIR "/c/job_graphs"
#define CACHE_NS (30 * FSU_NS_PER_S)

/* ---- What is written down ---- */

__attribute__((format(printf, 2, 3))) static void complain(struct play *play, const char *format,
							   ...)
{
	va_list args;

	if (play->wrong[0])
		return;
	va_start(args, format);
	(void)vsnprintf(play->wrong, sizeof(play->wrong), format, args);
	va_end(args);
}

static uint64_t mix(uint64_t hash, uint64_t number)
{
	hash = (hash ^ number) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 29;
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
	for (; text && *text; text++)
		hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	return hash;
}

/*
 * What the judge may conclude from when this came: which reads and writes had ended and what had
 * been granted when something begins; at a grant, also what had begun. Two begins, or two ends,
 * tell it nothing by their order, and are no reason to try both.
 */
static void note_order(const struct play *play, struct player *p, const struct ops_event *event)
{
	const bool ends = event->kind == OPS_END, grants = event->kind == OPS_GRANT;

	p->order = mix(p->order, (uint64_t)event->kind * 16 + event->outcome);
	for (unsigned i = 0; i < PLAYERS_MAX && !ends; i++) {
		p->order = mix(p->order, play->player[i].ended);
		if (grants)
			p->order = mix(p->order, play->player[i].begun);
	}
	p->ended += ends || grants;
	p->begun += !ends && !grants;
}

/* Each event has a time of its own. */
static void record(struct play *play, struct player *p, struct ops_event event)
{
	char process[16];

	note_order(play, p, &event);
	(void)snprintf(process, sizeof(process), "player%u", p->index);
	crashfs_advance(p->actor.disk, 1);
	event.process = process;
	event.election = ACTOR_ELECTION;
	event.time_ns = fsu_now_ns(p->actor.fs);
	ops_history_add(play->history, &event);
}

static void record_end(struct player *p, enum ops_outcome outcome, const struct ops_value *value)
{
	struct ops_event event = { .kind = OPS_END, .op = p->ops, .outcome = outcome };

	if (value)
		event.value = *value;
	record(p->play, p, event);
}

/*
 * Not OPS_STRICT: between a claimant's last look at the epoch file and its grant another can be
 * granted, as these leases do not end. What the late one writes must fail all the same.
 */
static void judge(struct play *play, struct ops_history *history)
{
	static struct ops_verdict verdict;

	if (!ops_history_check(history, 0, &verdict))
		complain(play, "rule %u: %s", verdict.kept[0].rule, verdict.kept[0].text);
}

/* ---- What players do ---- */

static fsha_result put(struct actor *a, const char *value)
{
	return store_write(a->store, STORE_PUT, "k", NULL, value, strlen(value), NULL, &a->error);
}

static fsha_result put_two(struct actor *a, const char *value)
{
	const struct store_change changes[] = {
		{ .how = STORE_PUT, .key = "k", .data = value, .size = strlen(value) },
		{ .how = STORE_PUT, .key = "l", .data = value, .size = strlen(value) },
	};
	size_t failed;

	return store_write_batch(a->store, changes, 2, NULL, &failed, &a->error);
}

static void write_as(struct player *p, const struct puppet *self, enum part part)
{
	struct actor *a = &p->actor;
	struct ops_event event = {
		.kind = part == PART_REMOVE ? OPS_REMOVE : OPS_WRITE,
		.op = ++p->ops,
		.key = "job_graphs/k",
		.epoch = a->term->epoch.number,
		.value = { a->term->epoch.number, ++p->writes, p->index },
	};
	char value[OPS_VALUE_SIZE];

	ops_value_format(&event.value, value);
	record(p->play, p, event);
	if (part == PART_REMOVE)
		p->result = actor_remove(a, "k");
	else if (part == PART_BATCH)
		p->result = put_two(a, value);
	else
		p->result = put(a, value);
	if (!self || !puppet_is_killed(self))
		record_end(p, ops_outcome_of_write(p->result, &a->error), NULL);
}

/*
 * What one reads who has a successor is not written down: that it leads no more is for its lease to
 * tell it, and these leases do not end.
 */
static void read_as(struct player *p, const struct puppet *self)
{
	struct ops_event event = { .kind = OPS_READ, .op = ++p->ops, .key = "job_graphs/k" };
	struct ops_value value = { 0 };
	enum ops_outcome outcome;
	fsha_result result;
	char text[64];

	record(p->play, p, event);
	result = actor_get(&p->actor, "k", text);
	if (self && puppet_is_killed(self))
		return;
	for (unsigned i = 0; i < PLAYERS_MAX; i++)
		if (p->play->player[i].granted > p->granted)
			return;
	outcome = ops_outcome_of_read(result);
	if (result == FSHA_OK && !ops_value_parse(text, strlen(text), &value))
		outcome = OPS_DAMAGED;
	/* Who is stopped in the middle of a listing may give up for lack of time. */
	if (result != FSHA_OK && result != FSHA_E_NOT_FOUND &&
	    !(result == FSHA_E_TIMEOUT && p->play->trouble == LAPSE))
		complain(p->play, "player %u could not read: %s", p->index, p->actor.error.message);
	record_end(p, outcome, &value);
}

/* At the very moment of the grant. */
static void note_grant(struct player *p)
{
	const char *names = crashfs_ls(p->actor.disk, STORE_DIR);

	p->granted = p->actor.term->epoch.number;
	p->listing = strdup(names ? names : "");
	assert_non_null(p->listing);
	record(p->play, p, (struct ops_event){ .kind = OPS_GRANT, .epoch = p->granted });
}

static bool is_vacant(const struct player *p)
{
	return strstr(crashfs_ls(p->actor.disk, ELECTION_DIR), "-vacant") != NULL;
}

static void claim_as(struct player *p, const struct puppet *self)
{
	/*
	 * As the claimer does, which looks again; but a rival that lives is left alone, or two
	 * would never come to an end.
	 */
	for (unsigned i = 0; i < CLAIMS; i++) {
		p->result = actor_claim(&p->actor);
		if (p->result == FSHA_OK || (p->result == FSHA_E_VERSION && !is_vacant(p)))
			break;
	}
	if (puppet_is_killed(self) || p->result != FSHA_OK)
		return;
	note_grant(p);
	read_as(p, self);
	if (!puppet_is_killed(self))
		write_as(p, self, PART_PUT);
}

static void act_part(struct puppet *self, void *arg)
{
	struct player *p = arg;
	enum part part = p->play->parts[p->index];

	if (part == PART_CLAIM)
		claim_as(p, self);
	else if (part == PART_RESIGN)
		p->result = actor_resign(&p->actor);
	else
		write_as(p, self, part);
	p->done = !puppet_is_killed(self);
}

/* ---- The scene ---- */

static void lead_first(struct player *p)
{
	if (actor_claim(&p->actor) != FSHA_OK)
		fail_msg("%s", p->actor.error.message);
	note_grant(p);
	write_as(p, NULL, PART_PUT);
}

static bool stands_before_rename(const struct puppet *p)
{
	const struct puppet_call *next = puppet_next(p);

	return next && next->kind == CRASHFS_RENAMEAT;
}

static bool is_ahead(const struct play *play, unsigned i)
{
	return play->ahead == ALL_AHEAD ||
	       (play->ahead == CLAIMANTS_AHEAD && play->parts[i] == PART_CLAIM);
}

static void set_up(void *ctx, struct schedule_cast *cast)
{
	struct play *play = ctx;

	play->disk = theatre_disk(cast->theatre);
	play->history = ops_history_create();
	play->late.path[0] = '\0';
	play->wrong[0] = '\0';
	for (unsigned i = 0; i < PLAYERS_MAX && play->parts[i] != PART_NONE; i++) {
		struct player *p = &play->player[i];

		*p = (struct player){ .play = play, .index = i, .result = FSHA_E_STATE };
		actor_start(&p->actor, play->disk, i);
		p->started = true;
		/* Somebody beats for the others. */
		if (i > 0 || play->trouble != LAPSE)
			lease_begin(&p->actor.member->lease, fsu_now_ns(p->actor.fs),
				    600 * FSU_NS_PER_S);
		if (play->parts[i] != PART_CLAIM)
			lead_first(p);
	}
	for (unsigned i = 0; i < PLAYERS_MAX && play->parts[i] != PART_NONE; i++)
		play->puppet[i] = cast->player[cast->players++] =
			puppet_start(cast->theatre, i, act_part, &play->player[i]);
	for (unsigned i = 0; i < cast->players; i++)
		while (is_ahead(play, i) && !stands_before_rename(cast->player[i]))
			puppet_step(cast->player[i]);
}

static void tear_down(void *ctx)
{
	struct play *play = ctx;

	for (unsigned i = 0; i < PLAYERS_MAX; i++) {
		struct player *p = &play->player[i];

		if (p->started)
			actor_stop(&p->actor);
		free(p->listing);
		*p = (struct player){ 0 };
	}
	ops_history_destroy(play->history);
	play->history = NULL;
}

/* ---- What else can happen ---- */

enum act {
	ACT_LAPSE,  /* all are as slow as if the first one was stopped for longer than its lease */
	ACT_REPLY,  /* a rename is done, and its reply lost: the request that is sent again fails */
	ACT_DELAY,  /* a rename is on its way when the caller is told of an error */
	ACT_ARRIVE, /* and comes now */
	ACTS
};

/* The troubled player's; only its kind means anything when it stands before none. */
static struct puppet_call next_call(const struct play *play)
{
	const struct puppet_call *next = puppet_next(play->puppet[play->troubled]);

	return next ? *next : (struct puppet_call){ .kind = CRASHFS_CALLS };
}

/* Does it stand before a rename that others can see? */
static bool troubled(const struct play *play)
{
	struct puppet_call next = next_call(play);

	return next.kind == CRASHFS_RENAMEAT &&
	       (strncmp(next.path, "epoch-", 6) == 0 || strncmp(next.path, "tenure-", 7) == 0);
}

static bool may(void *ctx, unsigned act)
{
	const struct play *play = ctx;

	switch (act) {
	case ACT_LAPSE:
		return play->trouble == LAPSE && !play->player[0].done;
	case ACT_REPLY:
		return play->trouble == LOST_REPLY && troubled(play);
	case ACT_DELAY:
		return play->trouble == DELAY && troubled(play);
	default:
		return play->late.path[0] != '\0';
	}
}

/* As the server does it, whatever the one who sent it does meanwhile. */
static void rename_now(struct play *play, const struct puppet_call *call)
{
	bool commit = strncmp(call->path, "tenure-", 7) == 0 && strchr(call->to, '~');
	char from[512], to[512];

	(void)snprintf(from, sizeof(from), ELECTION_DIR "/%s", call->path);
	(void)snprintf(to, sizeof(to), "%s/%s", commit ? STORE_DIR : ELECTION_DIR, call->to);
	(void)fsu_renameat(crashfs_client(play->disk, play->troubled), AT_FDCWD, from, AT_FDCWD,
			   to);
}

static void act(void *ctx, struct schedule_cast *cast, unsigned act)
{
	struct play *play = ctx;
	struct crashfs_fault fault = { .client = play->troubled, .error = EIO };

	switch (act) {
	case ACT_LAPSE:
		crashfs_advance(play->disk, 2 * ACTOR_LEASE_MS * FSU_NS_PER_MS);
		break;
	case ACT_REPLY:
		play->late = next_call(play);
		rename_now(play, &play->late);
		play->late.path[0] = '\0';
		break;
	case ACT_DELAY:
		play->late = next_call(play);
		fault.at = crashfs_count(play->disk, play->troubled);
		crashfs_fault_arm(play->disk, &fault);
		puppet_step(cast->player[play->troubled]);
		crashfs_fault_clear(play->disk);
		break;
	default:
		rename_now(play, &play->late);
		play->late.path[0] = '\0';
		break;
	}
}

/* ---- What must hold at the end ---- */

/* The names of a directory that begin so, one after the other. */
static bool each_name(const char *prefix, const char **at, char *ret_name)
{
	while (**at) {
		size_t len = strcspn(*at, "\n");

		assert_true(len < 256);
		memcpy(ret_name, *at, len);
		ret_name[len] = '\0';
		*at += len + ((*at)[len] == '\n');
		if (strncmp(ret_name, prefix, strlen(prefix)) == 0)
			return true;
	}
	return false;
}

static bool has_line(const char *lines, const char *line)
{
	size_t len = strlen(line);

	for (const char *p = lines; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
		if (strncmp(p, line, len) == 0 && (p[len] == '\n' || !p[len]))
			return true;
	return false;
}

/* No name of an older epoch has come since a grant. */
static void check_fenced(struct play *play, const struct player *p)
{
	const char *names = crashfs_ls(play->disk, STORE_DIR), *at = names ? names : "";
	char name[256];

	while (p->granted && each_name("", &at, name)) {
		const char *version = strchr(name, '~');
		uint64_t epoch = version ? strtoull(version + 1, NULL, 16) : 0;

		if (version && epoch < p->granted && !has_line(p->listing, name))
			complain(play, "'%s' came after epoch %llu was granted", name,
				 (unsigned long long)p->granted);
	}
}

/*
 * One epoch file, and no tenure but that of the term that it names. But a claim that ran out of
 * time before it had fenced has given the election up: what is there then is for the next one to
 * fence.
 */
static void check_election(struct play *play, bool led)
{
	const char *names = crashfs_ls(play->disk, ELECTION_DIR), *at = names;
	struct epoch epoch = { .number = 0 };
	char name[256], tenure[TENURE_NAME_SIZE];
	unsigned epochs = 0;

	while (each_name("epoch-", &at, name))
		epochs += epoch_parse(name, &epoch);
	if (epochs != 1)
		complain(play, "there are %u epoch files", epochs);
	tenure_format(epoch.number, &epoch.session, tenure);
	at = names;
	while (each_name("tenure-", &at, name))
		if (strcmp(name, tenure) != 0 ? led || !epoch_is_vacant(&epoch) :
						epoch_is_vacant(&epoch))
			complain(play, "'%s' was left", name);
	for (unsigned i = 0; i < PLAYERS_MAX; i++)
		if (play->player[i].granted > epoch.number)
			complain(play, "epoch %llu was granted, and the file says %llu",
				 (unsigned long long)play->player[i].granted,
				 (unsigned long long)epoch.number);
}

/* Somebody who comes then leads, above all, and finds what was acknowledged. */
static void check_next(struct play *play, struct crashfs *disk)
{
	struct player next = { .play = play, .index = NEXT };

	actor_start(&next.actor, disk, NEXT);
	if (actor_claim(&next.actor) != FSHA_OK) {
		complain(play, "the next claim failed: %s", next.actor.error.message);
	} else {
		note_grant(&next);
		read_as(&next, NULL);
		write_as(&next, NULL, PART_PUT);
		if (next.result != FSHA_OK)
			complain(play, "the next leader cannot write: %s",
				 next.actor.error.message);
		read_as(&next, NULL);
	}
	actor_stop(&next.actor);
	free(next.listing);
	judge(play, play->history);
}

/* Nobody who led before can write any more. */
static void check_stale(struct play *play)
{
	for (unsigned i = 0; i < PLAYERS_MAX; i++) {
		struct player *p = &play->player[i];

		if (!p->actor.term)
			continue;
		if (put(&p->actor, "stale") == FSHA_OK)
			complain(play, "player %u could write after its successor's grant", i);
	}
}

/*
 * The others left the election to the first one, which had claimed it and lived; then its lease ran
 * out before its grant.
 */
static bool gave_it_back(const struct play *play)
{
	const struct player *first = &play->player[0];

	return play->trouble == LAPSE && play->parts[0] == PART_CLAIM && is_vacant(first);
}

static const char *check(void *ctx, const struct schedule_cast *cast)
{
	struct play *play = ctx;
	bool led = false;

	for (unsigned i = 0; i < cast->players; i++) {
		const struct player *p = &play->player[i];

		if (!p->done)
			complain(play, "player %u has not come to its end", i);
		led |= play->parts[i] == PART_CLAIM && p->granted;
		check_fenced(play, p);
	}
	if (!led && !gave_it_back(play))
		complain(play, "of all who claimed, nobody led");
	check_election(play, play->trouble != LAPSE);
	if (!play->wrong[0])
		check_next(play, play->disk);
	check_election(play, true);
	if (!play->wrong[0])
		check_stale(play);
	return play->wrong[0] ? play->wrong : NULL;
}

/* All that was written down so far, and what the next leader finds on the copy. */
static const char *check_cut(void *ctx, struct crashfs *after)
{
	struct play *play = ctx;
	struct ops_history *before = play->history;
	struct ops_event power_cut = { .kind = OPS_CUT };

	play->history = ops_history_create();
	for (size_t i = 0; i < ops_history_count(before); i++)
		ops_history_add(play->history, ops_history_at(before, i));
	power_cut.time_ns = fsu_now_ns(crashfs_client(after, NEXT));
	ops_history_add(play->history, &power_cut);
	check_next(play, after);
	ops_history_destroy(play->history);
	play->history = before;
	return play->wrong[0] ? play->wrong : NULL;
}

/* All that the judgement at the end looks at and that nobody was told. */
static uint64_t digest(void *ctx)
{
	const struct play *play = ctx;
	uint64_t hash = mix(play->late.path[0] != '\0', play->wrong[0] != '\0');

	for (unsigned i = 0; i < PLAYERS_MAX; i++) {
		hash = mix(hash, play->player[i].order);
		hash = hash_text(hash, play->player[i].listing);
	}
	return hash;
}

/* The same as note_order(), from the history itself: every pair whose order means something. */
static uint64_t hash_order(const struct ops_history *h)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < ops_history_count(h); i++)
		for (size_t k = i + 1; k < ops_history_count(h); k++) {
			const struct ops_event *a = ops_history_at(h, i), *b = ops_history_at(h, k);
			const bool ends = a->kind == OPS_END || a->kind == OPS_GRANT;

			if (a->process == b->process || b->kind == OPS_END ||
			    (!ends && b->kind != OPS_GRANT))
				continue;
			sum += mix(hash_text(mix(mix(a->kind, a->op), a->epoch), a->process),
				   hash_text(mix(mix(b->kind, b->op), b->epoch), b->process));
		}
	return sum;
}

/* Who led, what came of the writes, in which order, and what is on disk. */
static uint64_t outcome(void *ctx)
{
	struct play *play = ctx;
	uint64_t hash = hash_text(hash_order(play->history), crashfs_ls(play->disk, ELECTION_DIR));

	hash = hash_text(hash, crashfs_ls(play->disk, STORE_DIR));
	for (unsigned i = 0; i < PLAYERS_MAX; i++)
		hash = (hash ^ (uint64_t)(play->player[i].result + 100)) * UINT64_C(0x100000001b3) +
		       play->player[i].granted;
	return hash;
}

struct schedule_scene play_scene(struct play *play, const char *name, bool cached)
{
	return (struct schedule_scene){
		.name = name,
		.options = { .seed = 1, .cache_ns = cached ? CACHE_NS : 0 },
		.ctx = play,
		.setup = set_up,
		.check = check,
		.check_cut = check_cut,
		.teardown = tear_down,
		.digest = digest,
		.outcome = outcome,
		.acts = ACTS,
		.may = may,
		.act = act,
		.pauses = { 1, 1, 1 },
	};
}
