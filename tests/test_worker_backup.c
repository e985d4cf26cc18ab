/* The file of a framework's backup: what was written is what is read, and nothing else passes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsha/fsha.h"
#include "src/worker/backup_json.h"
#include "src/worker/base64.h"

#define GOLDEN "tests/data/worker/backup.json"
#define FILE_SIZE 8192

static struct {
	char dir[64], path[128];
	fsha_error error;
} t;

static int setup(void **state)
{
	(void)state;
	strcpy(t.dir, "/tmp/fsha-test-backup-XXXXXX");
	t.error = (fsha_error)FSHA_ERROR_INIT;
	if (!mkdtemp(t.dir))
		return -1;
	(void)snprintf(t.path, sizeof(t.path), "%s/backup.json", t.dir);
	return 0;
}

static size_t count_files(void)
{
	DIR *dir = opendir(t.dir);
	size_t n = 0;

	assert_non_null(dir);
	for (struct dirent *e = readdir(dir); e; e = readdir(dir))
		n += e->d_name[0] != '.';
	(void)closedir(dir);
	return n;
}

static int teardown(void **state)
{
	(void)state;
	(void)unlink(t.path);
	return rmdir(t.dir);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#define assert_refused(call, expected, part)                                                \
	do {                                                                                \
		assert_int_equal(call, expected);                                           \
		if (!strstr(t.error.message, part))                                         \
			fail_msg("'%s' is not in the message '%s'", part, t.error.message); \
	} while (0)

/* ---- a backup ---- */

static const char binary[] = { 'a', 0, (char)0xff, 'b' };
static fsha_worker workers[3];

static fsha_framework_backup sample(void)
{
	assert_int_equal(fsha_worker_init(&workers[0], "größe \"1\"", "docker run\n", 11), FSHA_OK);
	assert_int_equal(fsha_worker_launch(&workers[0], "slave-1", "node-b", &workers[0]),
			 FSHA_OK);
	workers[0].updated_ms = 1700000000123;
	assert_int_equal(fsha_worker_init(&workers[1], "taskmanager-00001", binary, 4), FSHA_OK);
	assert_int_equal(fsha_worker_release(&workers[1], &workers[1]), FSHA_OK);
	workers[1].updated_ms = -1;
	assert_int_equal(fsha_worker_init(&workers[2], "taskmanager-00002", NULL, 0), FSHA_OK);
	workers[2].updated_ms = 0;
	return (fsha_framework_backup){
		.struct_size = sizeof(fsha_framework_backup),
		.framework_id = "framework-7",
		.workers = workers,
		.worker_count = 3,
		.timestamp_ms = 1700000001000,
		.last_task_number = 2,
		.version = FSHA_FRAMEWORK_BACKUP_VERSION,
	};
}

static void assert_same(const fsha_framework_backup *a, const fsha_framework_backup *b)
{
	assert_int_equal(b->struct_size, sizeof(*b));
	assert_int_equal(a->version, b->version);
	assert_int_equal(a->timestamp_ms, b->timestamp_ms);
	assert_int_equal(a->last_task_number, b->last_task_number);
	assert_int_equal(a->framework_id != NULL, b->framework_id != NULL);
	if (a->framework_id)
		assert_string_equal(a->framework_id, b->framework_id);
	assert_int_equal(a->worker_count, b->worker_count);
	for (size_t i = 0; i < a->worker_count; i++) {
		assert_true(fsha_worker_equal(&a->workers[i], &b->workers[i]));
		assert_int_equal(a->workers[i].updated_ms, b->workers[i].updated_ms);
	}
}

static void write_text(const char *text, size_t len)
{
	FILE *file = fopen(t.path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static size_t read_text(const char *path, char *text)
{
	FILE *file = fopen(path, "re");
	size_t len;

	assert_non_null(file);
	len = fread(text, 1, FILE_SIZE - 1, file);
	text[len] = '\0';
	(void)fclose(file);
	return len;
}

static fsha_result read_back(fsha_framework_backup **ret_backup)
{
	return fsha_framework_backup_read(t.path, ret_backup, &t.error);
}

/* ---- there and back ---- */

static void what_was_written_is_read(void **state)
{
	fsha_framework_backup b = sample(), *back = NULL;
	struct stat st;

	(void)state;
	assert_int_equal(fsha_framework_backup_write(&b, t.path, &t.error), FSHA_OK);
	assert_int_equal(read_back(&back), FSHA_OK);
	assert_same(&b, back);
	/* What was read can be written again, over the first. */
	back->framework_id = NULL;
	assert_int_equal(fsha_framework_backup_write(back, t.path, &t.error), FSHA_OK);
	fsha_free(back);
	b.framework_id = NULL;
	assert_int_equal(read_back(&back), FSHA_OK);
	assert_same(&b, back);
	fsha_free(back);
	assert_int_equal(count_files(), 1);
	assert_int_equal(stat(t.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void an_empty_backup_is_read(void **state)
{
	fsha_framework_backup b = sample(), *back = NULL;

	(void)state;
	b.framework_id = NULL;
	b.workers = NULL;
	b.worker_count = 0;
	b.last_task_number = 0;
	assert_int_equal(fsha_framework_backup_write(&b, t.path, &t.error), FSHA_OK);
	assert_int_equal(read_back(&back), FSHA_OK);
	assert_same(&b, back);
	fsha_free(back);
}

/* As every version must read it for ever. */
static void the_golden_file_is_read_and_written(void **state)
{
	char golden[FILE_SIZE], written[FILE_SIZE];
	fsha_framework_backup b = sample(), *back = NULL;

	(void)state;
	assert_int_equal(fsha_framework_backup_read(GOLDEN, &back, &t.error), FSHA_OK);
	assert_same(&b, back);
	fsha_free(back);
	assert_int_equal(fsha_framework_backup_write(&b, t.path, &t.error), FSHA_OK);
	(void)read_text(GOLDEN, golden);
	(void)read_text(t.path, written);
	assert_string_equal(written, golden);
}

/* By a person, or jq: the same values in another order and layout. */
static void a_file_laid_out_anew_is_the_same_backup(void **state)
{
	fsha_framework_backup b = sample(), *back = NULL;
	json_t *json = json_load_file(GOLDEN, 0, NULL);

	(void)state;
	assert_non_null(json);
	assert_int_equal(json_dump_file(json, t.path, JSON_SORT_KEYS | JSON_ENSURE_ASCII), 0);
	json_decref(json);
	assert_int_equal(read_back(&back), FSHA_OK);
	assert_same(&b, back);
	fsha_free(back);
}

/* ---- what does not pass ---- */

static void every_cut_is_refused(void **state)
{
	fsha_framework_backup *back = NULL;
	char text[FILE_SIZE];
	size_t len = read_text(GOLDEN, text);

	(void)state;
	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '}'))
		len--;
	for (size_t i = 0; i <= len; i++) {
		write_text(text, i);
		assert_refused(read_back(&back), FSHA_E_CORRUPT, t.path);
	}
	assert_null(back);
}

/* Any byte may become another: it is refused, or it was layout and the values are the same. */
static void every_changed_byte_is_refused(void **state)
{
	static const char changes[] = { ' ', '1', '"', 'x', '}', (char)0xff };
	fsha_framework_backup b = sample(), *back;
	char text[FILE_SIZE];
	size_t len = read_text(GOLDEN, text), refused = 0;

	(void)state;
	for (size_t i = 0; i < len; i++)
		for (size_t j = 0; j < sizeof(changes); j++) {
			char old = text[i];
			fsha_result result;

			if (old == changes[j])
				continue;
			text[i] = changes[j];
			write_text(text, len);
			text[i] = old;
			back = NULL;
			result = read_back(&back);
			if (result == FSHA_OK) {
				assert_same(&b, back);
			} else {
				/* Version 1 may have become 11. */
				assert_true(result == FSHA_E_CORRUPT ||
					    result == FSHA_E_UNSUPPORTED);
				assert_null(back);
				refused++;
			}
			fsha_free(back);
		}
	assert_true(refused > 4 * len);
}

/* A whole file with a right checksum, made by something else. */
static void write_sealed(const char *key, json_t *value)
{
	fsha_framework_backup b = sample();
	json_t *json = backup_to_json(&fsu_posix, &b), *sealed;
	char sum[33];
	size_t len;
	char *text;

	assert_non_null(json);
	if (strncmp(key, "worker.", 7) == 0)
		assert_int_equal(
			json_object_set_new(json_array_get(json_object_get(json, "workers"), 1),
					    key + 7, value),
			0);
	else if (value)
		assert_int_equal(json_object_set_new(json, key, value), 0);
	else
		assert_int_equal(json_object_del(json, key), 0);
	/* The reader says what the checksum must be: it is that of the values. */
	(void)json_object_del(json, "checksum");
	text = backup_print(&fsu_posix, json, JSON_COMPACT | JSON_SORT_KEYS, &len);
	assert_non_null(text);
	backup_checksum(text, len, sum);
	fsu_release(&fsu_posix, text);
	sealed = json_string(sum);
	assert_int_equal(json_object_set_new(json, "checksum", sealed), 0);
	assert_int_equal(json_dump_file(json, t.path, JSON_INDENT(2)), 0);
	json_decref(json);
}

static void contents_without_sense_are_refused_and_named(void **state)
{
	const struct {
		const char *key;
		json_t *value;
		const char *part;
	} cases[] = {
		{ "format", json_string("other"), "no framework backup" },
		{ "version", json_integer(0), "\"version\"" },
		{ "version", json_string("1"), "\"version\"" },
		{ "timestamp_ms", json_null(), "\"timestamp_ms\"" },
		{ "framework_id", json_integer(1), "\"framework_id\"" },
		{ "framework_id", json_string(""), "framework id" },
		{ "last_task_number", json_integer(-1), "last task number" },
		{ "last_task_number", json_real(1.5), "\"last_task_number\"" },
		{ "workers", json_object(), "\"workers\"" },
		{ "workers", NULL, "\"workers\"" },
		{ "worker.task_id", json_null(), "worker 1: its \"task_id\"" },
		{ "worker.task_id", json_string(""), "worker 1: the task id is empty" },
		{ "worker.state", json_string("Lost"), "worker 1: its \"state\"" },
		{ "worker.slave_id", json_integer(1), "worker 1: its \"slave_id\"" },
		{ "worker.slave_id", json_string(""), "worker 1: worker" },
		{ "worker.updated_ms", json_true(), "worker 1: its \"updated_ms\"" },
		{ "worker.launchable", json_null(), "worker 1: its \"encoding\"" },
		{ "worker.launchable", json_pack("{s:s, s:s}", "encoding", "rot13", "data", "abc"),
		  "worker 1: its \"launchable\"" },
		{ "worker.launchable", json_pack("{s:s, s:s}", "encoding", "base64", "data", "abc"),
		  "worker 1: its \"launchable\" is no base64" },
	};
	fsha_framework_backup *back = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		write_sealed(cases[i].key, cases[i].value);
		assert_refused(read_back(&back), FSHA_E_CORRUPT, cases[i].part);
		assert_null(back);
	}
	write_sealed("version", json_integer(1)); /* and so it is right */
	assert_int_equal(read_back(&back), FSHA_OK);
	fsha_free(back);
}

static void a_newer_version_is_refused_and_said(void **state)
{
	static const char newer[] = "{\"format\": \"fsha-framework-backup\", \"version\": 99}";
	fsha_framework_backup *back = NULL;

	(void)state;
	write_sealed("version", json_integer(2));
	assert_refused(read_back(&back), FSHA_E_UNSUPPORTED, "version 2");
	/* Whatever else it may be then, for us to make no sense of. */
	write_text(newer, strlen(newer));
	assert_refused(read_back(&back), FSHA_E_UNSUPPORTED, "version 99");
}

static void what_is_no_backup_is_refused(void **state)
{
	static const char *const texts[] = { "",
					     "nonsense",
					     "[]",
					     "{}",
					     "1",
					     "{\"format\": 1}",
					     "{\"format\": \"fsha-framework-backup\"}" };
	fsha_framework_backup *back = NULL;
	char *deep = malloc(100000);

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		write_text(texts[i], strlen(texts[i]));
		assert_refused(read_back(&back), FSHA_E_CORRUPT, t.path);
	}
	assert_non_null(deep);
	memset(deep, '[', 100000);
	write_text(deep, 100000);
	free(deep);
	assert_refused(read_back(&back), FSHA_E_CORRUPT, "no JSON");
	assert_int_equal(unlink(t.path), 0);
	assert_refused(read_back(&back), FSHA_E_NOT_FOUND, t.path);
	assert_int_equal(mkfifo(t.path, 0600), 0);
	assert_refused(read_back(&back), FSHA_E_IO, t.path);
	assert_refused(fsha_framework_backup_read(t.dir, &back, &t.error), FSHA_E_IO, t.dir);
	assert_refused(fsha_framework_backup_read(NULL, &back, &t.error), FSHA_E_INVALID, "NULL");
	assert_refused(fsha_framework_backup_read(t.path, NULL, &t.error), FSHA_E_INVALID, "NULL");
}

/* ---- what is not written ---- */

static void backups_that_could_not_be_restored_are_not_written(void **state)
{
	fsha_framework_backup b;

	(void)state;
#define UNFIT(change, result, part)                                                              \
	do {                                                                                     \
		b = sample();                                                                    \
		change;                                                                          \
		assert_refused(fsha_framework_backup_write(&b, t.path, &t.error), result, part); \
	} while (0)
	UNFIT(b.struct_size = 8, FSHA_E_INVALID, "size");
	UNFIT(b.reserved0 = 1, FSHA_E_INVALID, "flag");
	UNFIT(b.version = 0, FSHA_E_INVALID, "version");
	UNFIT(b.version = 2, FSHA_E_UNSUPPORTED, "version 2");
	UNFIT(b.framework_id = "", FSHA_E_INVALID, "framework id");
	UNFIT(b.framework_id = "\xff", FSHA_E_INVALID, "framework id");
	UNFIT(b.workers = NULL, FSHA_E_INVALID, "NULL");
	UNFIT(b.worker_count = FSHA_WORKERS_MAX + 1, FSHA_E_INVALID, "65000");
	UNFIT(b.last_task_number = UINT64_MAX, FSHA_E_INVALID, "too large");
	UNFIT(workers[2].state = 7, FSHA_E_INVALID, "'taskmanager-00002'");
#undef UNFIT
	assert_refused(fsha_framework_backup_write(NULL, t.path, &t.error), FSHA_E_INVALID, "NULL");
	assert_int_equal(count_files(), 0);
}

static void paths_that_name_no_file_are_refused(void **state)
{
	static const char *const paths[] = { "", "/", ".", "..", "x/", "x/.." };
	fsha_framework_backup b = sample();
	char path[128];

	(void)state;
	assert_refused(fsha_framework_backup_write(&b, NULL, &t.error), FSHA_E_INVALID, "no file");
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		assert_int_equal(fsha_framework_backup_write(&b, paths[i], &t.error),
				 FSHA_E_INVALID);
	(void)snprintf(path, sizeof(path), "%s/none/backup.json", t.dir);
	assert_refused(fsha_framework_backup_write(&b, path, &t.error), FSHA_E_IO, path);
	/* A directory stands there: it stays, and nothing is left beside it. */
	assert_int_equal(mkdir(t.path, 0700), 0);
	assert_refused(fsha_framework_backup_write(&b, t.path, &t.error), FSHA_E_IO, t.path);
	assert_int_equal(count_files(), 1);
	assert_int_equal(rmdir(t.path), 0);
}

/* ---- base64 ---- */

static void base64_is_that_of_the_standard(void **state)
{
	static const char *const pairs[][2] = {
		{ "", "" },        { "f", "Zg==" },        { "fo", "Zm8=" },
		{ "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "\xfb\xff", "+/8=" }
	};
	uint8_t back[16];
	char text[16];
	size_t size;

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		size_t len = strlen(pairs[i][0]);

		assert_int_equal(base64_len(len), strlen(pairs[i][1]));
		base64_encode((const uint8_t *)pairs[i][0], len, text);
		assert_memory_equal(text, pairs[i][1], base64_len(len));
		assert_int_equal(base64_decode(pairs[i][1], strlen(pairs[i][1]), back, &size), 0);
		assert_int_equal(size, len);
		assert_memory_equal(back, pairs[i][0], len);
	}
}

static void base64_that_no_encoder_wrote_is_refused(void **state)
{
	static const char *const texts[] = { "Z",    "Zg",   "Zg=",   "====",     "Zh==",
					     "Zm9=", "Z===", "Zm\n9", "Zg==Zg==", "Zm9-" };
	uint8_t back[16];
	size_t size;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (base64_decode(texts[i], strlen(texts[i]), back, &size) != -EINVAL)
			fail_msg("'%s' passes", texts[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_written_is_read),
		TEST(an_empty_backup_is_read),
		TEST(the_golden_file_is_read_and_written),
		TEST(a_file_laid_out_anew_is_the_same_backup),
		TEST(every_cut_is_refused),
		TEST(every_changed_byte_is_refused),
		TEST(contents_without_sense_are_refused_and_named),
		TEST(a_newer_version_is_refused_and_said),
		TEST(what_is_no_backup_is_refused),
		TEST(backups_that_could_not_be_restored_are_not_written),
		TEST(paths_that_name_no_file_are_refused),
		cmocka_unit_test(base64_is_that_of_the_standard),
		cmocka_unit_test(base64_that_no_encoder_wrote_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
