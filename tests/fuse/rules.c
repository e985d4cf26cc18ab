/* What becomes of a call: whether it waits, and how it fails. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/fuse/faultfs.h"
#include "tests/lib/crashfs_internal.h"

#define NS_PER_MS 1000000
/* How often a call that hangs looks whether its caller was killed. */
#define LOOK_MS 20

/* ---- which calls ---- */

/* The process of a thread: what FUSE calls a pid is a thread's. */
static pid_t process_of(pid_t tid)
{
	char path[64], line[128];
	int pid = 0;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", tid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (pid == 0 && fgets(line, sizeof(line), file))
		(void)sscanf(line, "Tgid: %d", &pid);
	(void)fclose(file);
	return pid;
}

static bool concerns(const struct rule *rule, const struct call *call)
{
	if (rule->id == 0 || !(rule->kinds & 1u << call->kind))
		return false;
	if (rule->client >= 0 && rule->client != (int)call->mount->client)
		return false;
	return rule->pid == 0 || rule->pid == process_of(call->tid);
}

/* Of the calls that it concerns, is it this one? Asked once for each. */
static bool chooses(struct faultfs *fs, struct rule *rule)
{
	unsigned long seen = ++rule->seen;

	if (rule->times > 0 && rule->hits >= rule->times)
		return false;
	if (rule->every > 0 && seen % rule->every != 0)
		return false;
	if (rule->chance > 0 && cfs_draw(&fs->random) % 1000 >= rule->chance)
		return false;
	rule->hits++;
	return true;
}

/* ---- waiting; all under the mutex ---- */

/* Until something changes, or for `ms`. */
static void wait_ms(struct faultfs *fs, int64_t ms)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)(ms % 1000 * NS_PER_MS);
	until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	(void)pthread_cond_timedwait(&fs->changed, &fs->mutex, &until);
}

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / NS_PER_MS;
}

/* Who was killed does not wait; what it asked for may be on its way all the same. */
static void let_go_if_killed(struct call *call)
{
	if (call->replied || !fuse_req_interrupted(call->req))
		return;
	(void)fuse_reply_err(call->req, EINTR);
	call->replied = true;
}

/* While the rule is there, or for its delay. A place in the table may get another rule meanwhile.
 */
static void wait_out(struct faultfs *fs, const struct rule *rule, struct call *call)
{
	int64_t end_ms = now_ms() + rule->delay_ms;
	unsigned id = rule->id;

	fs->held++;
	while (rule->id == id && !fs->stopping) {
		int64_t left_ms = LOOK_MS;

		if (rule->action == ACTION_DELAY)
			left_ms = end_ms - now_ms();
		if (left_ms <= 0)
			break;
		wait_ms(fs, left_ms < LOOK_MS ? left_ms : LOOK_MS);
		let_go_if_killed(call);
	}
	fs->held--;
}

/* Directory times are real ones, so that a process can compare them with its own clock. */
static void set_clock(struct faultfs *fs)
{
	struct timespec now;
	int64_t ahead_ns;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	ahead_ns = (int64_t)now.tv_sec * FSU_NS_PER_S + now.tv_nsec -
		   fsu_wall_ns(crashfs_client(fs->crashfs, 0));
	if (ahead_ns > 0)
		crashfs_advance(fs->crashfs, ahead_ns);
}

/* The next call of the client in crashfs fails so. */
static void arm(struct faultfs *fs, const struct rule *rule, const struct call *call)
{
	unsigned client = call->mount->client;
	struct crashfs_fault fault = {
		.client = client,
		.at = crashfs_count(fs->crashfs, client),
		.error = rule->error,
		.mode = CRASHFS_NOT_DONE,
	};

	if (rule->action == ACTION_LOSE)
		fault.mode = CRASHFS_DONE;
	else if (rule->action == ACTION_SHORT)
		fault.mode = CRASHFS_SHORT;
	crashfs_fault_arm(fs->crashfs, &fault);
}

/* Only calls on names outlive who asked for them; a descriptor does not. */
static bool outlives_its_caller(const struct call *call)
{
	return call->kind == CRASHFS_RENAMEAT || call->kind == CRASHFS_UNLINKAT ||
	       call->kind == CRASHFS_MKDIRAT;
}

static int take_nodes(struct call *call)
{
	int r = 0;

	if (call->node)
		r = node_take(call->mount, node_ino(call->node), &call->fd);
	if (r < 0)
		call->node = 0;
	if (r == 0 && call->other)
		r = node_take(call->mount, node_ino(call->other), &call->other_fd);
	if (r < 0)
		call->other = 0;
	return r;
}

static void drop_nodes(struct call *call)
{
	/* After a power cut there are no descriptors to close. */
	if (call->node && !call->mount->fs->stopping)
		node_drop(call->mount, node_ino(call->node), 1);
	if (call->other && !call->mount->fs->stopping)
		node_drop(call->mount, node_ino(call->other), 1);
	call->node = call->other = 0;
}

int call_begin(struct call *call, fuse_req_t req, unsigned kind, uint64_t node, uint64_t other)
{
	struct mount *m = fuse_req_userdata(req);
	const struct rule *failing = NULL;
	struct faultfs *fs = m->fs;
	int r;

	*call = (struct call){ .mount = m, .req = req, .kind = kind, .node = node, .other = other };
	call->tid = fuse_req_ctx(req)->pid;
	(void)pthread_mutex_lock(&fs->mutex);
	fs->counts[m->client][kind]++;
	r = fs->stopping ? -EIO : take_nodes(call);
	for (unsigned i = 0; r == 0 && i < RULES_MAX; i++) {
		struct rule *rule = &fs->rules[i];

		if (rule->action == ACTION_LATE || !concerns(rule, call) || !chooses(fs, rule))
			continue;
		if (rule->action == ACTION_HANG || rule->action == ACTION_DELAY)
			wait_out(fs, rule, call);
		else if (!failing)
			failing = rule;
	}
	if (fs->stopping || (call->replied && !outlives_its_caller(call)))
		r = -EIO;
	if (r < 0) {
		drop_nodes(call);
		(void)pthread_mutex_unlock(&fs->mutex);
		if (!call->replied)
			(void)fuse_reply_err(req, -r);
		return r;
	}
	set_clock(fs);
	if (failing && failing->id)
		arm(fs, failing, call);
	return 0;
}

bool call_end(struct call *call)
{
	struct faultfs *fs = call->mount->fs;

	crashfs_fault_clear(fs->crashfs);
	for (unsigned i = 0; i < RULES_MAX; i++) {
		struct rule *rule = &fs->rules[i];

		if (rule->action == ACTION_LATE && concerns(rule, call) && chooses(fs, rule))
			wait_out(fs, rule, call);
	}
	drop_nodes(call);
	(void)pthread_mutex_unlock(&fs->mutex);
	return !call->replied;
}

void call_answer(struct call *call, int r)
{
	if (call_end(call))
		(void)fuse_reply_err(call->req, -r);
}

/* ---- commands ---- */

static bool parse_kinds(char *text, uint32_t *ret_kinds)
{
	char *save, *name;
	unsigned k;

	*ret_kinds = 0;
	for (name = strtok_r(text, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		for (k = 0; k < CRASHFS_CALLS; k++)
			if (strcmp(name, crashfs_call_name((enum crashfs_call)k)) == 0)
				break;
		if (k == CRASHFS_CALLS && strcmp(name, "lookup") != 0)
			return false;
		*ret_kinds |= 1u << k;
	}
	return *ret_kinds != 0;
}

static int parse_errno(const char *name)
{
	for (int e = 1; e < 134; e++) {
		const char *known = strerrorname_np(e);

		if (known && strcmp(known, name) == 0)
			return e;
	}
	return 0;
}

static bool parse_number(const char *text, long *ret_number)
{
	char *end;

	*ret_number = strtol(text, &end, 10);
	return *text && !*end && *ret_number >= 0;
}

/* One NAME=VALUE. */
static bool parse_setting(struct rule *rule, const char *name, char *value)
{
	long n = 0;

	if (strcmp(name, "kind") == 0)
		return parse_kinds(value, &rule->kinds);
	if (strcmp(name, "error") == 0)
		return (rule->error = parse_errno(value)) > 0;
	if (!parse_number(value, &n))
		return false;
	if (strcmp(name, "client") == 0)
		rule->client = (int)n;
	else if (strcmp(name, "pid") == 0)
		rule->pid = (pid_t)n;
	else if (strcmp(name, "ms") == 0)
		rule->delay_ms = n;
	else if (strcmp(name, "every") == 0)
		rule->every = (unsigned)n;
	else if (strcmp(name, "chance") == 0)
		rule->chance = (unsigned)n;
	else if (strcmp(name, "times") == 0)
		rule->times = (unsigned)n;
	else
		return false;
	return true;
}

static const char *parse_settings(struct rule *rule, char **save)
{
	char *word, *value;

	while ((word = strtok_r(NULL, " ", save))) {
		value = strchr(word, '=');
		if (!value)
			return "NAME=VALUE is what it takes";
		*value++ = '\0';
		if (!parse_setting(rule, word, value))
			return "no such setting, or a wrong value";
	}
	return NULL;
}

const char *rule_add(struct faultfs *fs, char *text, unsigned *ret_id)
{
	static const char *const actions[] = { "hang", "late", "delay", "fail", "lose", "short" };
	struct rule rule = { .client = -1, .kinds = UINT32_MAX, .error = EIO };
	const char *wrong;
	char *save, *word;
	unsigned a = 0;

	word = strtok_r(text, " ", &save);
	while (a < 6 && (!word || strcmp(word, actions[a]) != 0))
		a++;
	if (a == 6)
		return "no such action";
	rule.action = (enum action)a;
	wrong = parse_settings(&rule, &save);
	if (wrong)
		return wrong;
	for (unsigned i = 0; i < RULES_MAX; i++) {
		if (fs->rules[i].id != 0)
			continue;
		*ret_id = rule.id = ++fs->last_id;
		fs->rules[i] = rule;
		return NULL;
	}
	return "too many rules";
}

bool rule_remove(struct faultfs *fs, unsigned id)
{
	bool found = id == 0;

	for (unsigned i = 0; i < RULES_MAX; i++) {
		if (fs->rules[i].id == 0 || (id != 0 && fs->rules[i].id != id))
			continue;
		fs->rules[i].id = 0;
		found = true;
	}
	(void)pthread_cond_broadcast(&fs->changed);
	return found;
}

const char *count_calls(struct faultfs *fs, char *text, unsigned long *ret_count)
{
	struct rule which = { .client = -1, .kinds = UINT32_MAX };
	const char *wrong;
	char *save = text;

	wrong = parse_settings(&which, &save);
	if (wrong)
		return wrong;
	*ret_count = 0;
	for (unsigned c = 0; c < CRASHFS_CLIENTS; c++)
		for (unsigned k = 0; k < KINDS; k++)
			if ((which.client < 0 || which.client == (int)c) && which.kinds & 1u << k)
				*ret_count += fs->counts[c][k];
	return NULL;
}
