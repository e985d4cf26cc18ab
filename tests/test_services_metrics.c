/* What the metrics tell of a services object and of its cluster. */
#include "tests/test_hook.h"

static fsha_metrics metrics_of(fsha_services *s)
{
	fsha_metrics m = { .struct_size = sizeof(m) };

	assert_ok(fsha_metrics_read(s, &m, &t.error));
	return m;
}

/* Is `line` one of the lines of the text? */
static bool has_line(const char *text, const char *line)
{
	size_t len = strlen(line);

	for (const char *at = text; (at = strstr(at, line)); at++)
		if ((at == text || at[-1] == '\n') && at[len] == '\n')
			return true;
	return false;
}

#define assert_line(text, line)                                       \
	do {                                                          \
		if (!has_line(text, line))                            \
			fail_msg("no line '%s' in:\n%s", line, text); \
	} while (0)

/* Every sample follows a HELP and a TYPE of its metric, and none stands there twice. */
static void check_format(const char *text)
{
	char *copy = strdup(text), *save = NULL, typed[128] = "", *lines[4096];
	size_t n = 0;

	assert_non_null(copy);
	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		size_t len = strcspn(line, "{ ");

		assert_true(n < sizeof(lines) / sizeof(lines[0]));
		if (strncmp(line, "# TYPE ", 7) == 0)
			(void)snprintf(typed, sizeof(typed), "%.*s", (int)strcspn(line + 7, " "),
				       line + 7);
		if (line[0] == '#')
			continue;
		if (strncmp(line, typed, strlen(typed)) != 0 || strlen(typed) > len)
			fail_msg("'%s' comes under the type of %s", line, typed);
		line[strcspn(line, "}") + (strchr(line, '}') ? 1 : 0)] = '\0';
		for (size_t i = 0; i < n; i++)
			assert_string_not_equal(lines[i], line);
		lines[n++] = line;
	}
	assert_true(n > 10);
	assert_int_equal(text[strlen(text) - 1], '\n');
	free(copy);
}

/* Every sample names the cluster; without that they are compared below. */
static void strip_cluster(const fsha_services *s, char *text)
{
	char label[FSHA_UUID_TEXT + 16], id[FSHA_UUID_TEXT];
	size_t len;

	len = (size_t)snprintf(label, sizeof(label), "{cluster=\"%s\"",
			       fsha_uuid_format((const fsha_uuid *)&s->cluster.id, id));
	for (char *line = text; *line; line = strchr(line, '\n') + 1) {
		char *at = line + strcspn(line, "{ \n");

		if (line[0] == '#')
			continue;
		if (strncmp(at, label, len) != 0 || (at[len] != ',' && at[len] != '}'))
			fail_msg("'%.*s' is not of %s}", (int)strcspn(line, "\n"), line, label);
		if (at[len] == ',')
			memmove(at + 1, at + len + 1, strlen(at + len + 1) + 1);
		else
			memmove(at, at + len + 1, strlen(at + len + 1) + 1);
	}
}

static char *text_of(fsha_services *s)
{
	char *text = NULL;
	size_t size;

	assert_ok(fsha_metrics_text(s, &text, &size, &t.error));
	assert_int_equal(size, strlen(text));
	check_format(text);
	strip_cluster(s, text);
	return text;
}

static void metrics_count_what_was_done_and_what_was_refused(void **state)
{
	const fsha_state_change changes[] = { { .how = FSHA_STATE_PUT, .name = "a" },
					      { .how = FSHA_STATE_PUT, .name = "b" } };
	fsha_services *s = open_services();
	fsha_state_store *store;
	struct player p;
	fsha_metrics m;
	size_t size;
	void *data;

	(void)state;
	assert_ok(fsha_state_store_open(s, "space", ELECTION, &store, &t.error));
	assert_result(fsha_state_store_add(store, "early", "1", 1, NULL, NULL), FSHA_E_NOT_LEADER);
	player_lead(&p, s, ELECTION);
	for (int i = 0; i < 2; i++)
		(void)fsha_state_store_add(store, "name", "1", 1, NULL, NULL);
	assert_ok(fsha_state_store_get(store, "name", &data, &size, NULL, &t.error));
	fsha_free(data);
	assert_result(fsha_state_store_get(store, "none", &data, &size, NULL, NULL),
		      FSHA_E_NOT_FOUND);
	assert_ok(fsha_state_store_remove(store, "name", NULL, &t.error));
	assert_ok(fsha_state_store_batch(store, changes, 2, NULL, NULL, &t.error));
	m = metrics_of(s);
	assert_int_equal(m.operations[FSHA_OPERATION_BATCH].done, 1);
	assert_int_equal(m.operations[FSHA_OPERATION_WRITE].done, 1);
	assert_int_equal(m.operations[FSHA_OPERATION_WRITE].refused, 1);
	assert_int_equal(m.operations[FSHA_OPERATION_WRITE].fenced, 1);
	assert_int_equal(m.operations[FSHA_OPERATION_GET].done, 1);
	assert_int_equal(m.operations[FSHA_OPERATION_GET].refused, 1);
	assert_int_equal(m.operations[FSHA_OPERATION_REMOVE].done, 1);
	assert_int_equal(m.operations[FSHA_OPERATION_CLAIM].done, 1);
	assert_true(m.operations[FSHA_OPERATION_WRITE].total_ns > 0);
	assert_int_equal(m.stores, 1);
	player_close(&p);
	assert_int_equal(metrics_of(s).operations[FSHA_OPERATION_RESIGN].done, 1);
	fsha_state_store_close(store);
	assert_int_equal(metrics_of(s).stores, 0);
	close_services(s);
}

static void everything_that_is_timed_is_counted(void **state)
{
	fsha_services *s = open_services();
	fsha_state_store *store;
	fsha_version version;
	struct player p;
	size_t count;
	char **names;

	(void)state;
	player_lead(&p, s, ELECTION);
	assert_ok(fsha_election_confirm_leadership(p.election, &p.session, ADDRESS, &t.error));
	assert_ok(fsha_state_store_open(s, "space", ELECTION, &store, &t.error));
	assert_ok(fsha_state_store_exists(store, "name", &version, &t.error));
	assert_ok(fsha_state_store_list(store, &names, &count, &t.error));
	fsha_free(names);
	assert_int_equal(metrics_of(s).operations[FSHA_OPERATION_EXISTS].done, 1);
	assert_int_equal(metrics_of(s).operations[FSHA_OPERATION_LIST].done, 1);
	assert_true(metrics_of(s).operations[FSHA_OPERATION_PUBLISH].done > 0);
	POLL_FOR(metrics_of(s).operations[FSHA_OPERATION_HEARTBEAT].done > 0);
	POLL_FOR(metrics_of(s).operations[FSHA_OPERATION_POLL].done > 0);
	fsha_state_store_close(store);
	player_close(&p);
	close_services(s);
}

static void metrics_tell_who_leads_under_which_epoch(void **state)
{
	fsha_services *s = open_services(), *other = open_services();
	struct player p, standby;
	char *text, line[128];
	fsha_metrics m;

	(void)state;
	m = metrics_of(s);
	assert_int_equal(m.elections, 0);
	assert_int_equal(m.lease_left_ns, 0);
	assert_int_equal(m.lease_ns, LEASE_MS * INT64_C(1000000));
	player_lead(&p, s, "a \"quoted\" name");
	player_init(&standby);
	player_start(&standby, other, "a \"quoted\" name");
	m = metrics_of(s);
	assert_int_equal(m.elections, 1);
	assert_int_equal(m.leading, 1);
	assert_in_range(m.lease_left_ns, 1, m.lease_ns);
	assert_int_equal(metrics_of(other).elections, 1);
	assert_int_equal(metrics_of(other).leading, 0);
	text = text_of(s);
	assert_line(text, "fsha_is_leader{election=\"a \\\"quoted\\\" name\"} 1");
	assert_line(text, "fsha_grants_total{election=\"a \\\"quoted\\\" name\"} 1");
	(void)snprintf(line, sizeof(line),
		       "fsha_term_epoch{election=\"a \\\"quoted\\\" name\"} %llu",
		       (unsigned long long)p.epoch);
	assert_line(text, line);
	assert_line(text, "fsha_lease_seconds 1");
	fsha_free(text);
	text = text_of(other);
	assert_line(text, "fsha_is_leader{election=\"a \\\"quoted\\\" name\"} 0");
	fsha_free(text);
	player_close(&standby);
	player_close(&p);
	close_services(other);
	close_services(s);
}

static void a_damaged_record_is_counted(void **state)
{
	char name[300], path[600];
	fsha_services *s = open_services();
	fsha_state_store *store;
	struct player p;
	size_t size;
	void *data;
	FILE *file;

	(void)state;
	player_lead(&p, s, ELECTION);
	assert_ok(fsha_state_store_open(s, "space", ELECTION, &store, &t.error));
	assert_ok(fsha_state_store_add(store, "name", "1", 1, NULL, &t.error));
	assert_int_equal(count_names("state/space", "name~", name), 1);
	(void)snprintf(path, sizeof(path), "%s/default/state/space/%s", t.dir, name);
	file = fopen(path, "r+");
	assert_non_null(file);
	assert_true(fputs("rubbish", file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_result(fsha_state_store_get(store, "name", &data, &size, NULL, NULL),
		      FSHA_E_CORRUPT);
	assert_int_equal(metrics_of(s).corrupt_records, 1);
	assert_int_equal(metrics_of(s).operations[FSHA_OPERATION_GET].failed, 1);
	fsha_state_store_close(store);
	player_close(&p);
	close_services(s);
}

static void metrics_answer_while_the_filesystem_hangs(void **state)
{
	static struct hook hook;
	fsha_services *s;
	struct player p;
	fsha_metrics m;
	char *text;

	(void)state;
	hook_init(&hook);
	s = open_hooked(&hook);
	player_lead(&p, s, ELECTION);
	gate_set(&hook.gate, true);
	WAIT_FOR(&p.post, !p.leads);
	m = metrics_of(s);
	assert_int_equal(m.leading, 0);
	assert_int_equal(m.lease_left_ns, 0);
	text = text_of(s);
	assert_line(text, "fsha_is_leader{election=\"" ELECTION "\"} 0");
	fsha_free(text);
	gate_set(&hook.gate, false);
	player_close(&p);
	close_services(s);
}

static char *cluster_text_of(fsha_services *s)
{
	char *text = NULL;
	size_t size;

	assert_ok(fsha_metrics_cluster_text(s, 0, &text, &size, &t.error));
	check_format(text);
	strip_cluster(s, text);
	return text;
}

static void cluster_text_tells_of_leaders_members_and_stores(void **state)
{
	fsha_services *s = open_services(), *reader = open_services();
	fsha_state_store *store;
	struct player p;
	char *text;

	(void)state;
	player_lead(&p, s, ELECTION);
	assert_ok(fsha_state_store_open(s, "space", ELECTION, &store, &t.error));
	assert_ok(fsha_state_store_add(store, "name", "1", 1, NULL, &t.error));
	text = cluster_text_of(reader);
	assert_line(text, "fsha_cluster_has_leader{election=\"" ELECTION "\"} 1");
	assert_line(text, "fsha_cluster_epoch{election=\"" ELECTION "\"} 1");
	assert_line(text, "fsha_cluster_contenders{election=\"" ELECTION "\"} 1");
	assert_line(text, "fsha_cluster_members{state=\"alive\"} 1");
	/* The value and whose namespace it is. */
	assert_line(text, "fsha_cluster_store_files{store=\"state\"} 2");
	assert_line(text, "fsha_cluster_store_files{store=\"workers\"} 0");
	assert_non_null(strstr(text, "\nfsha_cluster_storage_free_bytes "));
	fsha_free(text);
	fsha_state_store_close(store);
	player_close(&p);
	text = cluster_text_of(reader);
	assert_line(text, "fsha_cluster_has_leader{election=\"" ELECTION "\"} 0");
	fsha_free(text);
	close_services(reader);
	close_services(s);
}

static void metrics_refuse_bad_arguments(void **state)
{
	fsha_metrics m = { .struct_size = sizeof(m) - 1 };
	fsha_services *s = open_services();
	char *text;
	size_t size;

	(void)state;
	assert_refused(fsha_metrics_read(s, &m, &t.error), FSHA_E_INVALID, "struct_size");
	assert_refused(fsha_metrics_read(s, NULL, &t.error), FSHA_E_INVALID, "NULL");
	assert_refused(fsha_metrics_text(s, NULL, &size, &t.error), FSHA_E_INVALID, "NULL");
	assert_refused(fsha_metrics_text(NULL, &text, &size, &t.error), FSHA_E_INVALID, "NULL");
	assert_refused(fsha_metrics_cluster_text(s, 0, &text, NULL, &t.error), FSHA_E_INVALID,
		       "NULL");
	close_services(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(metrics_count_what_was_done_and_what_was_refused),
		TEST(everything_that_is_timed_is_counted),
		TEST(metrics_tell_who_leads_under_which_epoch),
		TEST(a_damaged_record_is_counted),
		TEST(metrics_answer_while_the_filesystem_hangs),
		TEST(cluster_text_tells_of_leaders_members_and_stores),
		TEST(metrics_refuse_bad_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
