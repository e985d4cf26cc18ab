/*
 * The sweep of what a leader says of itself in leaders/: every system call of each publication
 * fails in every way, alone and in pairs, and is the last before a power cut. Whatever happens:
 * what is read is the record before or the new one, whole; what was acknowledged is durable, and
 * seen by who comes up then; what was not done never comes; it can be published again; the next
 * leader is elected and publishes above it, and nothing of the old one is seen after that.
 */
#include "src/leader/leader.h"
#include "tests/lib/oom.h"
#include "tests/test_sweep_leader.h"

#define HERE "akka.tcp://flink@here:6123/user/dispatcher"
#define THERE "akka.tcp://flink@there:6123/user/dispatcher"

struct publication {
	struct scene scene; /* the first: it is the context of what is shared */
	/* What is published, ... */
	enum leader_state state;
	const char *address;
	bool vacate;        /* ... once the term was resigned, ... */
	fsha_version floor; /* ... above this one; sequence 0: any */
	bool has_old;
	struct leader old, new;
};

/* ---- what is read ---- */

/* By a process that has only just come up. */
static fsha_result read_anew(struct crashfs *disk, struct leader *ret_leader)
{
	const struct cluster_options options = { .storage_dir = "/", .cluster_id = "c" };
	fsha_error error = FSHA_ERROR_INIT;
	struct cluster cluster;
	fsha_result result;

	memset(ret_leader, 0, sizeof(*ret_leader));
	if (cluster_open(crashfs_client(disk, B), &options, &cluster, &error) != FSHA_OK)
		fail_msg("%s\n%s", error.message, crashfs_log(disk));
	result = leader_read(&cluster, ACTOR_ELECTION, ret_leader, &error);
	cluster_close(&cluster);
	return result;
}

static bool is_same(const struct leader *a, const struct leader *b)
{
	return a->state == b->state && a->epoch == b->epoch &&
	       fsu_uuid_equal(&a->session, &b->session) && fsu_uuid_equal(&a->member, &b->member) &&
	       a->granted_wall_ns == b->granted_wall_ns && strcmp(a->address, b->address) == 0;
}

static struct leader said_by(const struct term *t, enum leader_state state, const char *address)
{
	struct leader leader = { .state = state,
				 .epoch = t->epoch.number,
				 .session = t->epoch.session,
				 .member = t->epoch.member,
				 .granted_wall_ns = t->granted_wall_ns };

	(void)snprintf(leader.address, sizeof(leader.address), "%s", address);
	return leader;
}

/* ---- what is there before ---- */

static void say(struct publication *p, enum leader_state state, const char *address)
{
	struct term *t = p->scene.a.term;

	assert_int_equal(leader_publish(t, state, address, NULL, &p->floor, NULL), FSHA_OK);
	p->old = said_by(t, state, address);
	p->has_old = true;
}

static void lead(struct publication *p, struct crashfs *disk, enum leader_state state,
		 const char *address)
{
	struct scene *s = &p->scene;

	memset(p, 0, sizeof(*p));
	start_contender(s, disk);
	assert_int_equal(actor_claim(&s->a), FSHA_OK);
	s->epoch = s->a.term->epoch.number;
	p->state = state;
	p->address = address;
	p->new = said_by(s->a.term, state, address);
}

/* Nobody led before. */
static void start_first(void *ctx, struct crashfs *disk)
{
	lead(ctx, disk, LEADER_GRANTED, "");
}

/* Somebody led, and died: his record stands until the next one says that it leads. */
static void start_granted(void *ctx, struct crashfs *disk)
{
	struct publication *p = ctx;
	struct leader left;
	struct actor former;

	actor_start(&former, disk, FORMER);
	assert_int_equal(actor_claim(&former), FSHA_OK);
	assert_int_equal(leader_publish(former.term, LEADER_CONFIRMED, THERE, NULL, NULL, NULL),
			 FSHA_OK);
	left = said_by(former.term, LEADER_CONFIRMED, THERE);
	actor_kill(&former);
	lead(p, disk, LEADER_GRANTED, "");
	p->old = left;
	p->has_old = true;
}

static void start_confirming(void *ctx, struct crashfs *disk)
{
	lead(ctx, disk, LEADER_CONFIRMED, HERE);
	say(ctx, LEADER_GRANTED, "");
}

/* To another address, above what stands there. */
static void start_changing(void *ctx, struct crashfs *disk)
{
	lead(ctx, disk, LEADER_CONFIRMED, HERE);
	say(ctx, LEADER_CONFIRMED, THERE);
}

static void start_leaving(void *ctx, struct crashfs *disk)
{
	struct publication *p = ctx;

	lead(p, disk, LEADER_NONE, "");
	say(p, LEADER_CONFIRMED, HERE);
	p->floor = (fsha_version){ 0 }; /* a last word has none */
	p->vacate = true;
}

static void start_resigned(void *ctx, struct crashfs *disk)
{
	struct publication *p = ctx;

	start_leaving(p, disk);
	p->vacate = false;
	assert_int_equal(claim_vacate(p->scene.a.term, NULL), FSHA_OK);
}

/* ---- what is done ---- */

static int publish(void *ctx, const struct fsu *fs)
{
	struct publication *p = ctx;
	struct actor *a = &p->scene.a;
	fsha_result result = FSHA_OK;

	(void)fs;
	if (p->vacate)
		result = claim_vacate(a->term, &a->error);
	if (result != FSHA_OK)
		return result;
	return leader_publish(a->term, p->state, p->address, p->floor.sequence ? &p->floor : NULL,
			      NULL, &a->error);
}

/* ---- what must hold after it ---- */

/* Also if the clock of the old leader had stood still all the time. */
static const char *try_late_words(struct publication *p, const struct sweep_run *run)
{
	static const enum term_end ends[] = { TERM_LIVE, TERM_LIVE, TERM_RESIGNED };
	static const enum leader_state states[] = { LEADER_GRANTED, LEADER_CONFIRMED, LEADER_NONE };
	struct actor *a = &p->scene.a;

	lease_begin(&a->member->lease, fsu_now_ns(a->fs), 60 * FSU_NS_PER_S);
	for (size_t i = 0; i < 3; i++) {
		atomic_store(&a->term->end, ends[i]);
		CHECK(leader_publish(a->term, states[i], i == 1 ? "late" : "", NULL, NULL, NULL) !=
		      FSHA_OK);
	}
	atomic_store(&a->term->end, TERM_LIVE);
	leader_clean(a->term);
	return NULL;
}

/* It is elected and says so; `found` is what is read until then. */
static const char *succeed(struct publication *p, struct crashfs *after,
			   const struct sweep_run *run, const struct leader *found)
{
	const bool is_late = after == p->scene.a.disk && run->when == SWEEP_RETURNED;
	struct leader leader, said;
	const char *wrong = NULL;
	struct actor b;

	actor_start(&b, after, B);
	actor_take_over(&b);
	CHECK(b.term->epoch.number > p->scene.epoch);
	/* What was not done did not come meanwhile. */
	(void)read_anew(after, &leader);
	CHECK(is_same(&leader, found));
	said = said_by(b.term, LEADER_GRANTED, "");
	CHECK(leader_publish(b.term, LEADER_GRANTED, "", NULL, NULL, &b.error) == FSHA_OK);
	if (is_late)
		wrong = try_late_words(p, run);
	if (wrong)
		return wrong;
	CHECK(read_anew(after, &leader) == FSHA_OK && is_same(&leader, &said));
	said = said_by(b.term, LEADER_CONFIRMED, "next");
	CHECK(leader_publish(b.term, LEADER_CONFIRMED, "next", NULL, NULL, &b.error) == FSHA_OK);
	if (is_late)
		wrong = try_late_words(p, run);
	if (wrong)
		return wrong;
	leader_clean(b.term);
	CHECK(read_anew(after, &leader) == FSHA_OK && is_same(&leader, &said));
	actor_stop(&b);
	return NULL;
}

/* The claimer tries again: in every other run, so that in the others nothing else comes there. */
static const char *publish_again(struct publication *p, const struct sweep_run *run,
				 struct leader *found)
{
	struct actor *a = &p->scene.a;

	if (p->vacate || run->outcome == FSHA_OK || run->faults[0].at % 2 == 0)
		return NULL;
	CHECK(publish(p, a->fs) == FSHA_OK);
	CHECK(read_anew(a->disk, found) == FSHA_OK && is_same(found, &p->new));
	return NULL;
}

static const char *check_published(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	struct publication *p = ctx;
	const char *wrong = check_doubt(&p->scene, run);
	const fsha_result none = p->has_old ? FSHA_OK : FSHA_E_NOT_FOUND;
	bool is_old, is_new;
	struct leader found;
	fsha_result result;

	if (wrong)
		return wrong;
	result = read_anew(after, &found);
	CHECK(result == FSHA_OK || result == none);
	is_new = result == FSHA_OK && is_same(&found, &p->new);
	is_old = result == none && is_same(&found, &p->old);
	if (run->when != SWEEP_CUT_DURING && run->outcome == FSHA_OK)
		CHECK(is_new);
	else if (run->when == SWEEP_CUT_DURING || run->outcome == FSHA_E_INDOUBT)
		CHECK(is_old || is_new);
	else
		CHECK(is_old);
	if (run->when == SWEEP_RETURNED)
		wrong = publish_again(p, run, &found);
	return wrong ? wrong : succeed(p, after, run, &found);
}

/* ---- the sweeps ---- */

static struct publication publication;

static const struct {
	const char *name;
	void (*setup)(void *ctx, struct crashfs *disk);
} ways[] = {
	{ "publish the first grant", start_first },
	{ "publish a grant", start_granted },
	{ "publish an address", start_confirming },
	{ "publish another address", start_changing },
	{ "publish that nobody leads", start_resigned },
	{ "resign and publish that", start_leaving },
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

static void what_is_read_is_old_or_new_and_durable_at_every_fault(void **state)
{
	(void)state;
	for (size_t i = 0; i < WAYS; i++)
		sweep(&publication, ways[i].name, ways[i].setup, publish, check_published, A);
}

static void and_at_every_pair_of_faults(void **state)
{
	(void)state;
	for (size_t i = 0; i < WAYS; i++)
		sweep_pairs(&publication, ways[i].name, ways[i].setup, publish, check_published);
}

static void lack_of_memory_changes_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < WAYS; i++) {
		const struct sweep_scenario scenario = scenario_of(
			&publication, ways[i].name, ways[i].setup, publish, check_published, A);

		oom_assert(&scenario);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_read_is_old_or_new_and_durable_at_every_fault),
		cmocka_unit_test(and_at_every_pair_of_faults),
		cmocka_unit_test(lack_of_memory_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
