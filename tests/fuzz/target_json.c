/*
 * What is JSON on disk or in a file of a user's: job results with their seal, framework backups,
 * the manifest of a backup. JSON has many spellings of one value: what is claimed is that what was
 * read, written by us and read again, is written the same. Each input is read as all of them.
 */
#include <errno.h>
#include <string.h>

#include "src/backup/manifest.h"
#include "src/job_result/json.h"
#include "src/json/scan.h"
#include "src/worker/backup_json.h"
#include "tests/fuzz/fuzz.h"

#define MEMORY ((size_t)4 << 20)

static const struct job_result_seal seal = {
	.key = "job_results/k",
	.version = { .epoch = 3, .sequence = 2, .seat = 1 },
	.cluster = { { 1, 2, 3 } },
};

/* ---- Seals: both backups hold a checksum of their value ---- */

/* "checksum" made to fit, as backup_json.c and manifest.c do. */
static size_t seal_value(uint8_t *data, size_t size, size_t size_max)
{
	json_t *root = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
	char sum[BACKUP_CHECKSUM_SIZE];
	char *text;

	if (!json_is_object(root)) {
		json_decref(root);
		return size;
	}
	(void)json_object_del(root, "checksum");
	text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);
	if (text) {
		backup_checksum(text, strlen(text), sum);
		(void)json_object_set_new(root, "checksum", json_string(sum));
		free(text);
	}
	text = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	if (text && strlen(text) <= size_max) {
		size = strlen(text);
		memcpy(data, text, size);
	}
	free(text);
	return size;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
	size = LLVMFuzzerMutate(data, size, size_max);
	return seed % 4 ? seal_value(data, size, size_max) : size;
}

/* ---- Job results ---- */

static void check_why(int r, const char *why)
{
	FUZZ_CHECK(r == 0 || (r == -EBADMSG && why[0]));
	FUZZ_CHECK(memchr(why, '\0', JSON_TEXT_WHY_SIZE));
}

static void job_result(const char *text, size_t len)
{
	char why[JSON_TEXT_WHY_SIZE] = "", *first, *second;
	fsha_job_result *result, *again;
	size_t first_len, second_len;
	int r = job_result_decode(fuzz_table(), text, len, &result, why);

	check_why(r, why);
	if (r < 0)
		return;
	FUZZ_CHECK(job_result_encode(fuzz_table(), result, &first, &first_len, why) == 0);
	FUZZ_CHECK(job_result_decode(fuzz_table(), first, first_len, &again, why) == 0);
	FUZZ_CHECK(job_result_encode(fuzz_table(), again, &second, &second_len, why) == 0);
	FUZZ_CHECK(first_len == second_len && memcmp(first, second, first_len) == 0);
	fsu_release(fuzz_table(), first);
	fsu_release(fuzz_table(), second);
	fsu_release(fuzz_table(), result);
	fsu_release(fuzz_table(), again);
}

static void job_result_seals(const char *text, size_t len)
{
	struct job_result_seal other = seal;
	char why[JSON_TEXT_WHY_SIZE] = "", *sealed;
	size_t sealed_len;
	int r = job_result_check_seal(fuzz_table(), text, len, &seal, why);

	check_why(r, why);
	r = job_result_seal(fuzz_table(), text, len, &seal, &sealed, &sealed_len, why);
	check_why(r, why);
	if (r < 0)
		return;
	FUZZ_CHECK(job_result_check_seal(fuzz_table(), sealed, sealed_len, &seal, why) == 0);
	other.key = "job_results/l";
	FUZZ_CHECK(job_result_check_seal(fuzz_table(), sealed, sealed_len, &other, why) ==
		   -EBADMSG);
	fsu_release(fuzz_table(), sealed);
}

/* ---- Backups ---- */

static char *print_backup(const fsha_framework_backup *backup)
{
	json_t *json = backup_to_json(fuzz_table(), backup);
	size_t len;
	char *text;

	FUZZ_CHECK(json);
	text = backup_print(fuzz_table(), json, JSON_COMPACT, &len);
	FUZZ_CHECK(text);
	json_decref(json);
	return text;
}

static void framework_backup(const char *text, size_t len)
{
	fsha_framework_backup *backup = NULL, *again = NULL;
	fsha_error error = FSHA_ERROR_INIT;
	char *first, *second;

	fuzz_put_file("/backup.json", (const uint8_t *)text, len);
	if (backup_read_with(fuzz_disk(), "/backup.json", &backup, &error) != FSHA_OK) {
		FUZZ_CHECK(error.result == FSHA_E_CORRUPT || error.result == FSHA_E_UNSUPPORTED);
		FUZZ_CHECK(error.message[0]);
		return;
	}
	FUZZ_CHECK(backup_write_with(fuzz_disk(), backup, "/again.json", &error) == FSHA_OK);
	FUZZ_CHECK(backup_read_with(fuzz_disk(), "/again.json", &again, &error) == FSHA_OK);
	first = print_backup(backup);
	second = print_backup(again);
	FUZZ_CHECK(strcmp(first, second) == 0);
	fsu_release(fuzz_table(), first);
	fsu_release(fuzz_table(), second);
	fsu_release(fuzz_table(), backup);
	fsu_release(fuzz_table(), again);
}

static void manifest(const char *text, size_t len)
{
	struct manifest m, again;
	fsha_error error = FSHA_ERROR_INIT;
	char *first, *second;
	size_t first_len, second_len;
	fsha_result result;

	manifest_init(&m, fuzz_table());
	result = manifest_decode(&m, text, len, &error);
	FUZZ_CHECK(result == FSHA_OK || result == FSHA_E_CORRUPT || result == FSHA_E_UNSUPPORTED);
	if (result == FSHA_OK) {
		FUZZ_CHECK(manifest_encode(&m, &first, &first_len) == 0);
		manifest_init(&again, fuzz_table());
		FUZZ_CHECK(manifest_decode(&again, first, first_len, &error) == FSHA_OK);
		FUZZ_CHECK(manifest_encode(&again, &second, &second_len) == 0);
		FUZZ_CHECK(strcmp(first, second) == 0);
		manifest_done(&again);
		fsu_release(fuzz_table(), first);
		fsu_release(fuzz_table(), second);
	}
	manifest_done(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	char why[JSON_TEXT_WHY_SIZE];
	bool too_deep = false;
	json_t *value;

	fuzz_begin(MEMORY + 32 * size);
	/* What jansson takes, the scan must take, or it would be called damaged. */
	if (json_text_load(text, size, &value, why) == 0) {
		FUZZ_CHECK(json_scan(text, size, JSON_TEXT_DEPTH_MAX, &too_deep));
		json_decref(value);
	}
	job_result(text, size);
	job_result_seals(text, size);
	framework_backup(text, size);
	manifest(text, size);
	fuzz_end();
	return 0;
}
