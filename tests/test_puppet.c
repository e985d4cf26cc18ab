/* Puppets: processes on one simulated directory that a test steps call by call. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/actor.h"
#include "tests/lib/puppet.h"

#define OBSERVER 3

struct scene {
	struct crashfs *disk;
	struct theatre *theatre;
};

static int open_scene(void **state)
{
	const struct crashfs_options options = { .seed = 1 };
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->disk = crashfs_create(&options);
	s->theatre = theatre_create(s->disk, 1);
	*state = s;
	return 0;
}

static int close_scene(void **state)
{
	struct scene *s = *state;

	theatre_destroy(s->theatre);
	for (unsigned i = 0; i < CRASHFS_CLIENTS; i++)
		assert_int_equal(crashfs_open_fds(s->disk, i), 0);
	assert_int_equal(crashfs_bytes_allocated(s->disk), 0);
	crashfs_destroy(s->disk);
	free(s);
	return 0;
}

/* ---- Bodies ---- */

struct mover {
	const struct fsu *fs;
	const char *from, *to;
	int result;
};

/* Two calls: look, then rename. */
static void move(struct puppet *self, void *arg)
{
	struct mover *m = arg;
	struct statx st;

	(void)self;
	m->result = fsu_statx(m->fs, AT_FDCWD, m->from, 0, STATX_TYPE, &st);
	if (m->result == 0)
		m->result = fsu_renameat(m->fs, AT_FDCWD, m->from, AT_FDCWD, m->to);
}

static struct puppet *start_mover(struct scene *s, unsigned client, struct mover *m)
{
	m->fs = crashfs_client(s->disk, client);
	m->result = 1;
	return puppet_start(s->theatre, client, move, m);
}

/* A process from its start to its end: joins, claims, writes. */
struct life {
	struct actor actor;
	struct crashfs *disk;
	unsigned client;
	fsha_result claimed, written;
};

static void live(struct puppet *self, void *arg)
{
	struct life *l = arg;

	l->claimed = l->written = FSHA_E_STATE;
	if (actor_try_start(&l->actor, l->disk, l->client) == FSHA_OK)
		l->claimed = actor_claim(&l->actor);
	if (l->claimed == FSHA_OK)
		l->written = actor_add(&l->actor, "k", "v");
	actor_stop(&l->actor);
	if (puppet_is_killed(self))
		l->claimed = l->written = FSHA_E_STATE;
}

static struct puppet *start_life(struct scene *s, unsigned client, struct life *l)
{
	*l = (struct life){ .disk = s->disk, .client = client };
	return puppet_start(s->theatre, client, live, l);
}

/* Stands before its next rename of a name that begins so. */
static void step_to_rename(struct puppet *p, const char *prefix)
{
	const struct puppet_call *next = puppet_next(p);

	while (!next || next->kind != CRASHFS_RENAMEAT ||
	       strncmp(next->path, prefix, strlen(prefix)) != 0) {
		assert_int_not_equal(puppet_state(p), PUPPET_ENDED);
		if (!puppet_can_step(p))
			assert_true(theatre_pass_time(puppet_theatre(p)));
		puppet_step(p);
		next = puppet_next(p);
	}
}

static uint64_t draw(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 33;
}

/* ---- Tests ---- */

static void the_test_says_who_does_its_call_next(void **state)
{
	for (unsigned first = 0; first < 2; first++) {
		struct scene *s = *state;
		struct mover m[2] = { { .from = "x", .to = "a" }, { .from = "x", .to = "b" } };
		struct puppet *p[2];

		crashfs_put(s->disk, "/x", "", 0);
		p[0] = start_mover(s, 0, &m[0]);
		p[1] = start_mover(s, 1, &m[1]);
		puppet_step(p[0]);
		puppet_step(p[1]);
		assert_int_equal(puppet_next(p[first])->kind, CRASHFS_RENAMEAT);
		assert_string_equal(puppet_next(p[first])->path, "x");
		assert_string_equal(puppet_next(p[first])->to, first ? "b" : "a");
		assert_true(puppet_next(p[first])->changes);
		assert_true(crashfs_exists(s->disk, "/x"));
		puppet_step(p[first]);
		puppet_step(p[!first]);
		assert_int_equal(m[first].result, 0);
		assert_int_equal(m[!first].result, -ENOENT);
		assert_int_equal(puppet_state(p[0]), PUPPET_ENDED);
		assert_null(puppet_next(p[0]));
		assert_string_equal(crashfs_ls(s->disk, "/"), first ? "b" : "a");
		crashfs_rm(s->disk, first ? "/b" : "/a");
	}
}

static void calls_of_the_test_itself_are_done_at_once(void **state)
{
	struct scene *s = *state;
	struct mover m = { .from = "x", .to = "a" };
	const struct fsu *own;
	struct puppet *p;

	crashfs_put(s->disk, "/x", "", 0);
	p = start_mover(s, 0, &m);
	puppet_step(p);
	own = crashfs_client(s->disk, 0);
	assert_int_equal(fsu_renameat(own, AT_FDCWD, "x", AT_FDCWD, "y"), 0);
	puppet_step(p);
	assert_int_equal(m.result, -ENOENT);
}

static void wait_a_while(struct puppet *self, void *arg)
{
	const struct fsu *fs = crashfs_client(arg, puppet_client(self));

	fsu_sleep(fs, FSU_NS_PER_S);
	(void)fsu_mkdirat(fs, AT_FDCWD, "woken", 0700);
}

static void who_waits_goes_on_when_time_has_come_and_not_before(void **state)
{
	struct scene *s = *state;
	int64_t begun_ns = fsu_now_ns(crashfs_client(s->disk, 0));
	struct puppet *p = puppet_start(s->theatre, 0, wait_a_while, s->disk);

	assert_int_equal(puppet_state(p), PUPPET_WAITS);
	assert_true(puppet_wakes_ns(p) == begun_ns + FSU_NS_PER_S);
	assert_true(theatre_wakes_ns(s->theatre) == puppet_wakes_ns(p));
	assert_false(puppet_can_step(p));
	crashfs_advance(s->disk, FSU_NS_PER_S - 1);
	assert_false(theatre_can_step(s->theatre));
	crashfs_advance(s->disk, 1);
	assert_true(puppet_can_step(p));
	puppet_step(p);
	assert_int_equal(puppet_next(p)->kind, CRASHFS_MKDIRAT);
	assert_false(theatre_pass_time(s->theatre));
	puppet_step(p);
	assert_true(crashfs_exists(s->disk, "/woken"));
}

static void time_passes_for_who_waits_when_all_are_to_end(void **state)
{
	struct scene *s = *state;
	struct puppet *p = puppet_start(s->theatre, 0, wait_a_while, s->disk);

	theatre_finish(s->theatre);
	assert_int_equal(puppet_state(p), PUPPET_ENDED);
	assert_true(crashfs_exists(s->disk, "/woken"));
}

/* Two lives stepped by chance; the log of the last calls, and the listing, as text. */
static char *run_by_chance(uint64_t seed)
{
	void *state;
	struct scene *s;
	struct life l[2];
	struct puppet *p[2];
	uint64_t random = seed;
	char *text = NULL;

	(void)open_scene(&state);
	s = state;
	for (unsigned i = 0; i < 2; i++)
		p[i] = start_life(s, i, &l[i]);
	do {
		unsigned i = (unsigned)draw(&random) % 2;

		if (puppet_can_step(p[i]))
			puppet_step(p[i]);
	} while (theatre_can_step(s->theatre) || theatre_pass_time(s->theatre));
	assert_true(asprintf(&text, "%s%s\n%d %d\n%016llx %016llx\n", crashfs_log(s->disk),
			     crashfs_ls(s->disk, "/c/elections/" ACTOR_ELECTION), l[0].claimed,
			     l[1].claimed, (unsigned long long)puppet_seen(p[0]),
			     (unsigned long long)puppet_seen(p[1])) > 0);
	(void)close_scene(&state);
	return text;
}

static void the_same_choices_give_the_same_run(void **state)
{
	unsigned different = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++) {
		char *first = run_by_chance(seed), *second = run_by_chance(seed);
		char *other = run_by_chance(seed + 100);

		assert_string_equal(first, second);
		different += strcmp(first, other) != 0;
		free(first);
		free(second);
		free(other);
	}
	assert_true(different > 0);
}

/* Everything that stands below a directory, names alone. */
static void tell_names(struct crashfs *disk, const char *path, FILE *out)
{
	const char *names = crashfs_ls(disk, path);
	char *copy, *rest;

	if (!names)
		return;
	copy = rest = strdup(names);
	assert_non_null(copy);
	for (char *name = strsep(&rest, "\n"); name && *name; name = strsep(&rest, "\n")) {
		char below[1024];

		(void)snprintf(below, sizeof(below), "%s/%s", path, name);
		(void)fprintf(out, "%s\n", below);
		tell_names(disk, below, out);
	}
	free(copy);
}

static char *all_names(struct crashfs *disk)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	tell_names(disk, "", out);
	(void)fclose(out);
	return text;
}

static void one_killed_before_any_call_leaves_no_trace_of_its_own(void **state)
{
	unsigned kills = 0;
	bool ended = false;

	(void)state;
	for (unsigned at = 0; !ended; at++) {
		void *fresh;
		struct scene *s;
		struct life l;
		struct puppet *p;
		char *before, *after;

		(void)open_scene(&fresh);
		s = fresh;
		p = start_life(s, 0, &l);
		for (unsigned i = 0; i < at && puppet_state(p) != PUPPET_ENDED; i++) {
			if (!puppet_can_step(p))
				assert_true(theatre_pass_time(s->theatre));
			puppet_step(p);
		}
		ended = puppet_state(p) == PUPPET_ENDED;
		before = all_names(s->disk);
		theatre_kill(s->theatre, 0);
		after = all_names(s->disk);
		assert_string_equal(before, after);
		assert_int_equal(puppet_state(p), ended ? PUPPET_ENDED : PUPPET_KILLED);
		assert_int_equal(l.claimed, ended ? FSHA_OK : FSHA_E_STATE);
		free(before);
		free(after);
		(void)close_scene(&fresh); /* no descriptor, no memory */
		kills += !ended;
	}
	assert_true(kills > 50);
}

static void what_is_not_finished_at_the_end_of_a_theatre_is_killed(void **state)
{
	struct scene *s = *state;
	static struct life l[2];

	for (unsigned i = 0; i < 2; i++)
		step_to_rename(start_life(s, i, &l[i]), "epoch-");
}

static void a_leader_stopped_before_its_rename_is_fenced_when_it_goes_on(void **state)
{
	struct scene *s = *state;
	struct life a, b;
	struct puppet *p = start_life(s, 0, &a);
	char text[64];

	step_to_rename(p, "tenure-");
	assert_non_null(strchr(puppet_next(p)->to, '~')); /* to a version of the key */
	puppet_finish(start_life(s, 1, &b));
	assert_int_equal(b.claimed, FSHA_OK);
	assert_int_equal(b.written, FSHA_OK);
	puppet_finish(p);
	assert_int_equal(a.claimed, FSHA_OK);
	assert_int_equal(a.written, FSHA_E_FENCED);
	observe(s->disk, OBSERVER, "k", text);
	assert_string_equal(text, "v");
}

/* Who looks in vain, and then does something that the other does not see. */
static uint64_t seen_by_looker(bool look_first, const char *to)
{
	struct mover look = { .from = "a", .to = "nowhere" }, m = { .from = "x", .to = to };
	struct puppet *looker, *mover;
	void *state;
	struct scene *s;
	uint64_t seen;

	(void)open_scene(&state);
	s = state;
	crashfs_put(s->disk, "/x", "", 0);
	looker = start_mover(s, 0, &look);
	mover = start_mover(s, 1, &m);
	if (look_first)
		puppet_finish(looker);
	puppet_finish(mover);
	if (!look_first)
		puppet_finish(looker);
	seen = puppet_seen(looker);
	(void)close_scene(&state);
	return seen;
}

static void what_was_seen_tells_orders_apart_only_where_they_matter(void **state)
{
	(void)state;
	assert_true(seen_by_looker(true, "b") == seen_by_looker(false, "b"));
	assert_true(seen_by_looker(true, "a") != seen_by_looker(false, "a"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_scene, close_scene)
	const struct CMUnitTest tests[] = {
		T(the_test_says_who_does_its_call_next),
		T(calls_of_the_test_itself_are_done_at_once),
		T(who_waits_goes_on_when_time_has_come_and_not_before),
		T(time_passes_for_who_waits_when_all_are_to_end),
		cmocka_unit_test(the_same_choices_give_the_same_run),
		cmocka_unit_test(one_killed_before_any_call_leaves_no_trace_of_its_own),
		T(what_is_not_finished_at_the_end_of_a_theatre_is_killed),
		T(a_leader_stopped_before_its_rename_is_fenced_when_it_goes_on),
		cmocka_unit_test(what_was_seen_tells_orders_apart_only_where_they_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
