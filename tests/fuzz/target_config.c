/*
 * Flink's files, both forms, and the values in them. Neither form is canonical (spaces, comments,
 * quotes), so what is claimed is: what was read, written down by us and read again, is the same.
 * Each input is read as both.
 */
#include <stdio.h>
#include <string.h>

#include "fsha/utils.h"
#include "src/config/config.h"
#include "src/config/file.h"
#include "src/config/keys.h"
#include "tests/fuzz/fuzz.h"

#define MEMORY ((size_t)24 << 20)

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
	(void)seed;
	return LLVMFuzzerMutate(data, size, size_max);
}

static void check_error(fsha_result result, const fsha_error *error)
{
	FUZZ_CHECK(result != FSHA_E_NOMEM);
	if (result != FSHA_OK) {
		FUZZ_CHECK(error->result == (int)result);
		FUZZ_CHECK(error->message[0]);
		FUZZ_CHECK(memchr(error->message, '\0', sizeof(error->message)));
	}
}

/* In double quotes, and what YAML does not let stand for itself as its code point. */
static void print_yaml(FILE *out, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	(void)fputc('"', out);
	while (*p) {
		const unsigned follow = *p >= 0xf0 ? 3 : *p >= 0xe0 ? 2 : *p >= 0xc0 ? 1 : 0;
		unsigned long point = follow ? *p & (0x3fu >> follow) : *p;

		for (unsigned i = 0; i < follow; i++)
			point = point << 6 | (*++p & 0x3f);
		p++;
		if (point < ' ' || point >= 0x7f || point == '"' || point == '\\')
			(void)fprintf(out, "\\U%08lx", point);
		else
			(void)fputc((int)point, out);
	}
	(void)fputc('"', out);
}

static char *print_all(const struct config_entries *entries, bool flat, size_t *ret_len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_len);

	FUZZ_CHECK(out);
	for (size_t i = 0; i < entries->count; i++) {
		const struct config_entry *e = entries->items[i];

		FUZZ_CHECK(strlen(e->key) <= CONFIG_KEY_MAX);
		FUZZ_CHECK(strlen(e->value) <= FSHA_CONFIG_VALUE_MAX);
		if (flat) {
			(void)fprintf(out, "%s: %s\n", e->key, e->value);
		} else {
			print_yaml(out, e->key);
			(void)fputs(": ", out);
			print_yaml(out, e->value);
			(void)fputc('\n', out);
		}
	}
	FUZZ_CHECK(fclose(out) == 0);
	return text;
}

/* Which form it is goes by its name. */
static const char *const paths[] = { "/a/config.yaml", "/a/flink-conf.yaml" };
static const char *const again_paths[] = { "/b/config.yaml", "/b/flink-conf.yaml" };

static void read_again(const struct config_entries *entries, bool flat)
{
	struct config_entries again;
	fsha_error error = FSHA_ERROR_INIT;
	fsha_result result;
	size_t len = 0;
	char *text = print_all(entries, flat, &len);

	config_entries_init(&again, fuzz_disk());
	/* Keys are written out whole: that may be longer than what was read. */
	if (entries->count > 0 && len <= FSHA_CONFIG_FILE_MAX) {
		fuzz_put_file(again_paths[flat], (const uint8_t *)text, len);
		result = config_file_read(fuzz_disk(), again_paths[flat], &again, &error);
		check_error(result, &error);
		FUZZ_CHECK(result == FSHA_OK);
		FUZZ_CHECK(again.count == entries->count);
		for (size_t i = 0; i < again.count; i++) {
			FUZZ_CHECK(strcmp(again.items[i]->key, entries->items[i]->key) == 0);
			FUZZ_CHECK(strcmp(again.items[i]->value, entries->items[i]->value) == 0);
		}
	}
	config_entries_done(&again);
	free(text);
}

static int count_findings(void *ctx, const fsha_config_finding *finding)
{
	size_t *count = ctx;

	FUZZ_CHECK(finding->message[0]);
	(*count)++;
	return 0;
}

/* What a program asks of it. */
static void use(const char *path)
{
	fsha_config *config = config_create_with(fuzz_disk());
	static struct config_services services;
	static fsha_ha_storage_configuration storage;
	fsha_port_range ranges[FSHA_PORT_RANGES_MAX];
	fsha_cleanup_strategy strategy;
	fsha_error error = FSHA_ERROR_INIT;
	char host[FSHA_HOST_SIZE], url[FSHA_URL_SIZE];
	uint16_t port = 0;
	size_t count = 0;

	FUZZ_CHECK(config);
	check_error(fsha_config_load_file(config, path, &error), &error);
	check_error(fsha_config_check(config, count_findings, &count, &error), &error);
	check_error(config_services_read(config, &services, &error), &error);
	check_error(fsha_config_get_ha_storage(config, &storage, &error), &error);
	check_error(fsha_config_get_job_manager_address(config, host, sizeof(host), &port, &error),
		    &error);
	check_error(fsha_config_get_web_monitor_address(config, url, sizeof(url), &error), &error);
	check_error(fsha_config_get_job_manager_ports(config, ranges, FSHA_PORT_RANGES_MAX, &count,
						      &error),
		    &error);
	check_error(fsha_config_get_cleanup_strategy(config, &strategy, &error), &error);
	fsha_config_destroy(config);
}

static void read_as(const uint8_t *data, size_t size, bool flat)
{
	struct config_entries entries;
	fsha_error error = FSHA_ERROR_INIT;
	fsha_result result;

	fuzz_put_file(paths[flat], data, size);
	config_entries_init(&entries, fuzz_disk());
	result = config_file_read(fuzz_disk(), paths[flat], &entries, &error);
	check_error(result, &error);
	if (result == FSHA_OK) {
		read_again(&entries, flat);
		use(paths[flat]);
	}
	config_entries_done(&entries);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_begin(MEMORY);
	read_as(data, size, false);
	read_as(data, size, true);
	fuzz_end();
	return 0;
}
