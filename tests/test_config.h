/*
 * What the tests of a configuration share: a configuration, a directory for files, no variables.
 */
#ifndef TESTS_TEST_CONFIG_H
#define TESTS_TEST_CONFIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/config/config.h"
#include "src/config/keys.h"

#define DATA "tests/data/config" /* tests run in the root of the tree */

static struct fixture {
	char dir[64];
	char path[160];
	fsha_config *config;
	fsha_error error;
} t;

static const char *const variables[] = {
	"FSHA_STORAGE_DIR",
	"FSHA_CLUSTER_ID",
	"FSHA_LEASE",
	"FSHA_HIGH_AVAILABILITY_TYPE",
	"FSHA_HIGH_AVAILABILITY_STORAGEDIR",
	"FSHA_HIGH_AVAILABILITY_CLUSTER_ID",
	"FSHA_HIGH_AVAILABILITY_FILESYSTEM_LEASE",
	"FSHA_HIGH_AVAILABILITY_FILESYSTEM_POLL_INTERVAL",
};

static inline int setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		(void)unsetenv(variables[i]);
	t = (struct fixture){ .dir = "/tmp/fsha-test-config-XXXXXX", .error = FSHA_ERROR_INIT };
	t.config = fsha_config_create();
	return t.config && mkdtemp(t.dir) ? 0 : -1;
}

static inline const char *in_dir(const char *name)
{
	(void)snprintf(t.path, sizeof(t.path), "%s/%s", t.dir, name);
	return t.path;
}

static inline int teardown(void **state)
{
	static const char *const names[] = { "config.yaml", "flink-conf.yaml", "real.yaml" };

	(void)state;
	fsha_config_destroy(t.config);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (unlink(in_dir(names[i])) < 0 && errno == EISDIR)
			(void)rmdir(t.path);
	return rmdir(t.dir);
}

/* Writes a file of the fixture's directory and returns its path. */
static inline const char *file_of(const char *name, const void *text, size_t len)
{
	FILE *file = fopen(in_dir(name), "we");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
	return t.path;
}

static inline fsha_result load_bytes(const char *name, const void *text, size_t len)
{
	return fsha_config_load_file(t.config, file_of(name, text, len), &t.error);
}

static inline fsha_result load(const char *name, const char *text)
{
	return load_bytes(name, text, strlen(text));
}

static inline void set(const char *key, const char *value)
{
	assert_int_equal(fsha_config_set(t.config, key, value, &t.error), FSHA_OK);
}

static inline void assert_value(const char *key, const char *value, const char *origin)
{
	const char *from = NULL, *found = fsha_config_get(t.config, key, &from);

	assert_non_null(found);
	assert_string_equal(found, value);
	assert_string_equal(from, origin);
}

/* The error says `text` behind the directory of the fixture. */
static inline void assert_message(fsha_result result, fsha_result expected, const char *text)
{
	const char *message = t.error.message;

	assert_int_equal(result, expected);
	assert_int_equal(t.error.result, expected);
	if (!strncmp(message, t.dir, strlen(t.dir)))
		message += strlen(t.dir) + 1;
	assert_string_equal(message, text);
}

static inline void assert_refused(fsha_result result, fsha_result expected, const char *part)
{
	assert_int_equal(result, expected);
	assert_int_equal(t.error.result, expected);
	if (!strstr(t.error.message, part))
		fail_msg("'%s' is not in the message '%s'", part, t.error.message);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
