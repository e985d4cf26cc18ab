/*
 * Names of files, and texts that become names: what is read is written back the same, and no text
 * of a user leads out of the directory that it is for.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fsha/blob.h"
#include "fsutil/fsu_path.h"
#include "src/checkpoint/checkpoint.h"
#include "src/cluster/layout.h"
#include "src/election/tenure.h"
#include "src/maintenance/area.h"
#include "src/record/name.h"
#include "tests/fuzz/fuzz.h"

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
	(void)seed;
	return LLVMFuzzerMutate(data, size, size_max);
}

static void encode(const uint8_t *data, size_t size)
{
	char component[FSU_COMPONENT_MAX + 1], name[FSU_NAME_MAX + 1];
	size_t len;

	if (fsu_path_encode((const char *)data, size, component) < 0)
		return;
	FUZZ_CHECK(component[0] != '.' && component[0] != '\0');
	FUZZ_CHECK(!strpbrk(component, "/@~ \n"));
	FUZZ_CHECK(fsu_path_decode(component, strlen(component), name, &len) == 0);
	FUZZ_CHECK(len == size && memcmp(name, data, size) == 0);
}

static void decode(const char *text)
{
	char component[FSU_COMPONENT_MAX + 1], name[FSU_NAME_MAX + 1];
	size_t len;

	if (fsu_path_decode(text, strlen(text), name, &len) < 0)
		return;
	FUZZ_CHECK(fsu_path_encode(name, len, component) == 0);
	FUZZ_CHECK(strcmp(component, text) == 0);
}

static void cluster_id(const char *text)
{
	char path[300], name[FSU_NAME_MAX + 1];
	size_t len;

	if (fsu_path_encode_id(text, path, sizeof(path)) < 0)
		return;
	FUZZ_CHECK(strlen(path) < sizeof(path));
	for (const char *p = path;; p++) {
		size_t part = strcspn(p, "/");

		FUZZ_CHECK(fsu_path_decode(p, part, name, &len) == 0);
		p += part;
		if (!*p)
			break;
	}
}

static void file_name(const char *text)
{
	char key[FSHA_NAME_MAX + 1], again[NAME_SIZE];
	struct name name;

	if (!name_parse(text, &name))
		return;
	memcpy(key, text, name.key_len);
	key[name.key_len] = '\0';
	name_format(key, &name.version, name.form, again);
	FUZZ_CHECK(strcmp(again, text) == 0);
	FUZZ_CHECK(name_is_of(text, key, &name));
}

static void election_files(const char *text)
{
	struct epoch epoch;
	struct fsu_uuid session;
	uint64_t number;
	char again[EPOCH_NAME_SIZE];

	if (epoch_parse(text, &epoch)) {
		epoch_format(&epoch, again);
		FUZZ_CHECK(strcmp(again, text) == 0);
	}
	if (tenure_parse(text, &number, &session)) {
		tenure_format(number, &session, again);
		FUZZ_CHECK(strcmp(again, text) == 0);
	}
	if (layout_is_quarantine_name(text))
		FUZZ_CHECK(text[0] != '.');
}

static void numbers(const char *text)
{
	char again[FSHA_VERSION_TEXT + FSHA_BLOB_KEY_TEXT + CHECKPOINT_KEY_SIZE];
	fsha_version version;
	struct fsu_uuid uuid;
	fsha_blob_key key;
	fsha_uuid public_uuid;
	fsha_job_id job;
	uint64_t number;
	int64_t id;

	if (fsu_uuid_parse(text, strlen(text), &uuid) == 0) {
		fsu_uuid_format(&uuid, again);
		FUZZ_CHECK(strcmp(again, text) == 0);
	}
	for (unsigned digits = 1; digits <= 16 && strlen(text) >= digits; digits++)
		if (fsu_hex_parse(text, digits, &number) == 0) {
			fsu_hex_format(number, digits, again);
			FUZZ_CHECK(strncmp(again, text, digits) == 0);
		}
	if (fsha_version_parse(text, &version) == FSHA_OK)
		FUZZ_CHECK(strcmp(fsha_version_format(&version, again), text) == 0);
	if (checkpoint_parse_key(text, &id)) {
		checkpoint_key(id, again);
		FUZZ_CHECK(strcmp(again, text) == 0);
	}
	/* These may be written in upper case. */
	if (fsha_blob_key_parse(text, &key) == FSHA_OK)
		FUZZ_CHECK(strcasecmp(fsha_blob_key_format(&key, again), text) == 0);
	if (fsha_job_id_parse(text, &job) == FSHA_OK)
		FUZZ_CHECK(strcasecmp(fsha_job_id_format(&job, again), text) == 0);
	if (fsha_uuid_parse(text, &public_uuid) == FSHA_OK)
		(void)fsha_uuid_format(&public_uuid, again);
}

/* A path out of a backup, or of a person: of a directory of ours, and of nothing above it. */
static void store_path(const char *text)
{
	struct store_options options = { .kind = 0 };

	if (!area_of_path(text, NULL, &options))
		return;
	FUZZ_CHECK(text[0] != '/');
	for (const char *p = text; *p; p += *p == '/') {
		size_t part = strcspn(p, "/");

		FUZZ_CHECK(part > 0);
		FUZZ_CHECK(p[0] != '.');
		FUZZ_CHECK(p[part] != '/' || p[part + 1]);
		p += part;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);

	fuzz_begin(0);
	encode(data, size);
	decode(text);
	cluster_id(text);
	file_name(text);
	election_files(text);
	numbers(text);
	store_path(text);
	fuzz_end();
	free(text);
	return 0;
}
