/*
 * The members of the storms (tests/storm/member.c) as processes on the hosts of faultfs: each of
 * them contends for three elections and writes all stores, and what they tell is judged as one
 * history.
 */
#ifndef TESTS_FUSE_HOSTS_H
#define TESTS_FUSE_HOSTS_H

#include <sys/mman.h>

#include "tests/fuse/fault.h"
#include "tests/lib/chance.h"
#include "tests/lib/ops_history.h"
#include "tests/storm/stores.h"

#define MEMBERS_MAX 6

static struct {
	char logs[40];
	struct page *page;
	int log_fd, reader_fd;
	uint64_t seed, incarnation, op;
	struct process all[MEMBERS_MAX];
	struct chance chance;
} h;

static inline void hosts_open(uint64_t seed)
{
	char path[64];

	memset(&h, 0, sizeof(h));
	h.seed = seed;
	h.chance = chance_of(seed);
	(void)strcpy(h.logs, "/tmp/fsha-fuse-logs-XXXXXX");
	assert_non_null(mkdtemp(h.logs));
	(void)snprintf(path, sizeof(path), "%s/page", h.logs);
	h.page = page_map(path);
	assert_non_null(h.page);
	(void)snprintf(path, sizeof(path), "%s/history.all", h.logs);
	h.log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	assert_true(h.log_fd >= 0);
	print_message("SEED=%llu %s\n", (unsigned long long)seed, h.logs);
}

/* The logs stay when something was wrong: whoever looks for it wants them. */
static inline void hosts_close(void)
{
	(void)munmap(h.page, sizeof(*h.page));
	(void)close(h.log_fd);
	assert_int_equal(nftw(h.logs, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static inline void hosts_log(struct ops_event event)
{
	if (event.time_ns == 0)
		event.time_ns = page_now_ns();
	event.process = "reader";
	assert_true(ops_event_log(h.log_fd, &event));
}

/* A member in this place, on the host of its number. */
static inline void hosts_start(unsigned slot, const char *role)
{
	char path[600], storage[64], logs[40], texts[3][32], role_text[16], lease[16];
	uint64_t number = ++h.incarnation, member_seed = h.seed * 31 + number;
	char *argv[] = {
		path, storage, logs, texts[0], texts[1], role_text, lease, texts[2], NULL
	};

	helper_path("", path, sizeof(path));
	(void)strcpy(strstr(path, "process_"), "storm_member");
	(void)snprintf(storage, sizeof(storage), "%s", f.dirs[slot % CLIENTS]);
	(void)snprintf(logs, sizeof(logs), "%s", h.logs);
	(void)snprintf(texts[0], sizeof(texts[0]), "%u", slot);
	(void)snprintf(texts[1], sizeof(texts[1]), "%llu", (unsigned long long)number);
	(void)snprintf(texts[2], sizeof(texts[2]), "%llu", (unsigned long long)member_seed);
	(void)snprintf(role_text, sizeof(role_text), "%s", role);
	(void)snprintf(lease, sizeof(lease), "%s", LEASE);
	process_spawn(&h.all[slot], argv);
}

static inline void hosts_kill(unsigned slot)
{
	struct process *p = &h.all[slot];

	if (p->pid == 0)
		return;
	assert_int_equal(kill(p->pid, SIGKILL), 0);
	(void)process_wait(p);
	process_close_pipes(p);
	for (int e = 0; e < ELECTIONS; e++)
		atomic_store(&h.page->slots[slot].leads[e], 0);
}

static inline void hosts_kill_all(void)
{
	/* At one blow. */
	for (unsigned i = 0; i < MEMBERS_MAX; i++)
		if (h.all[i].pid)
			(void)kill(h.all[i].pid, SIGKILL);
	for (unsigned i = 0; i < MEMBERS_MAX; i++)
		hosts_kill(i);
}

/* None of them ends by itself. */
static inline void hosts_assert_alive(void)
{
	for (unsigned i = 0; i < MEMBERS_MAX; i++) {
		int status = 0;

		if (h.all[i].pid && waitpid(h.all[i].pid, &status, WNOHANG) == h.all[i].pid) {
			h.all[i].pid = 0;
			fail_msg("member %u has ended: %s %d", i,
				 WIFEXITED(status) ? "code" : "signal",
				 WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
		}
	}
}

static inline bool hosts_led(void)
{
	hosts_assert_alive();
	for (int e = 0; e < ELECTIONS; e++) {
		bool led = false;

		for (unsigned i = 0; i < MEMBERS_MAX; i++)
			led |= atomic_load(&h.page->slots[i].leads[e]) != 0;
		if (!led)
			return false;
	}
	return true;
}

static inline uint64_t hosts_acknowledged(void)
{
	uint64_t sum = 0;

	for (int k = 0; k < KINDS; k++)
		sum += atomic_load(&h.page->counts[k].acknowledged);
	return sum;
}

/* Let them work undisturbed until each kind of store was written `writes` times more. */
static inline void hosts_await_writes(uint64_t writes)
{
	uint64_t before[KINDS];
	int64_t deadline_ms = now_ms() + 2 * LIMIT_MS;

	for (int k = 0; k < KINDS; k++)
		before[k] = atomic_load(&h.page->counts[k].acknowledged);
	for (int k = 0; k < KINDS; k++)
		while (atomic_load(&h.page->counts[k].acknowledged) < before[k] + writes) {
			hosts_assert_alive();
			if (now_ms() > deadline_ms)
				fail_msg("nothing was written to %s", store_kinds[k].name);
			(void)usleep(5000);
		}
}

/* Ask all to end. Whoever could not because the storage hangs says so by its code, 0 too. */
static inline void hosts_end(void)
{
	for (unsigned i = 0; i < MEMBERS_MAX; i++)
		if (h.all[i].pid)
			(void)kill(h.all[i].pid, SIGTERM);
	for (unsigned i = 0; i < MEMBERS_MAX; i++) {
		if (!h.all[i].pid)
			continue;
		assert_int_equal(process_wait(&h.all[i]), 0);
		process_close_pipes(&h.all[i]);
	}
}

static inline int hosts_compare_lines(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Ids that must be unique are noted by whoever was given them, a line each. */
static inline void hosts_judge_ids(void)
{
	char path[64], *line = NULL, **lines = NULL;
	size_t count = 0, room = 0, size = 0, twice = 0;
	FILE *ids;

	(void)snprintf(path, sizeof(path), "%s/ids", h.logs);
	ids = fopen(path, "re");
	assert_non_null(ids);
	while (getline(&line, &size, ids) > 0) {
		if (count == room) {
			char **more = realloc(lines, (room + 256) * sizeof(*lines));

			assert_non_null(more);
			lines = more;
			room += 256;
		}
		lines[count++] = line;
		line = NULL;
	}
	free(line);
	assert_int_equal(fclose(ids), 0);
	assert_true(count > 0);
	qsort(lines, count, sizeof(*lines), hosts_compare_lines);
	for (size_t i = 1; i < count; i++)
		if (strcmp(lines[i - 1], lines[i]) == 0) {
			print_message("given out twice: %s", lines[i]);
			twice++;
		}
	for (size_t i = 0; i < count; i++)
		free(lines[i]);
	free(lines);
	print_message("%zu ids, %zu given out twice\n", count, twice);
	assert_int_equal(twice, 0);
}

/* All that was told so far, and nothing wrong in it. */
static inline void hosts_judge(void)
{
	static struct ops_verdict verdict;
	struct ops_history *history = ops_history_create();
	char path[64], error[OPS_LINE_SIZE];
	bool good;

	for (int i = -1; i < MEMBERS_MAX; i++) {
		(void)snprintf(path, sizeof(path), "%s/history.", h.logs);
		(void)snprintf(path + strlen(path), 16, i < 0 ? "all" : "%d", i);
		if (access(path, F_OK) == 0 && !ops_history_read(history, path, error))
			fail_msg("%s", error);
	}
	good = ops_history_check(history, 0, &verdict);
	print_message("%zu events, %zu grants, %zu writes (%zu of unknown end), %zu reads\n",
		      verdict.events, verdict.grants, verdict.writes, verdict.unknown,
		      verdict.reads);
	if (!good)
		ops_verdict_print(&verdict);
	ops_history_destroy(history);
	assert_true(good);
	assert_int_equal(atomic_load(&h.page->violations), 0);
	hosts_judge_ids();
}

/* Each key of each store is read once, by this process, and told in the history. */
static inline void hosts_read_all(void)
{
	static struct stores stores;
	fsha_services *services = open_services();
	char ids[64], key[KEY_SIZE], value[OPS_VALUE_SIZE];
	fsha_result result;

	(void)snprintf(ids, sizeof(ids), "%s/ids", h.logs);
	assert_ok(stores_open(&stores, services, h.page, ids, h.seed, &t.error));
	for (unsigned k = 0; k < KINDS; k++)
		for (unsigned i = 0; i < store_kinds[k].keys; i++) {
			const struct store_kind *kind = &store_kinds[k];
			struct ops_event end = { .kind = OPS_END, .op = ++h.op };

			(void)stores_key(&stores, (enum kind)k, i, NULL, key);
			hosts_log((struct ops_event){ .kind = OPS_READ,
						      .op = h.op,
						      .election = election_names[kind->election],
						      .key = key });
			result = kind->read(&stores, i, value, &t.error);
			if (result == FSHA_OK && !ops_value_parse(value, strlen(value), &end.value))
				result = FSHA_E_CORRUPT;
			end.outcome = ops_outcome_of_read(result);
			hosts_log(end);
			if (result != FSHA_OK && result != FSHA_E_NOT_FOUND)
				fail_msg("%s: %s: %s", key, fsha_result_name(result),
					 t.error.message);
		}
	stores_close(&stores);
	close_services(services);
}

static inline int hosts_finding(void *ctx, const fsha_finding *finding)
{
	unsigned *bad = ctx;

	if (finding->severity <= FSHA_SEVERITY_INFO)
		return 0;
	print_message("verify: %s %s: %s\n", finding->code, finding->path, finding->message);
	(*bad)++;
	return 0;
}

/* `fsha verify` has nothing to say against it. */
static inline void hosts_verify(void)
{
	unsigned bad = 0;

	assert_ok(fsha_verify(t.config, hosts_finding, &bad, NULL, &t.error));
	assert_int_equal(bad, 0);
}

#endif
