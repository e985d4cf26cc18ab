/* Hosts and ports. Names are not looked up. */
#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "fsha/utils.h"
#include "src/config/file.h"
#include "src/config/keys.h"
#include "src/config/values.h"
#include "src/result/error.h"

#define HOST_FORM "a host name or an address"

_Static_assert(FSHA_URL_SIZE >= sizeof("https://[]:65535") - 1 + FSHA_HOST_SIZE,
	       "room for every host");

/* What would end a host, or mean something else, in a URL: blanks, delimiters, control characters.
 */
static bool is_host(const char *text)
{
	size_t len = strlen(text);

	if (len == 0 || len >= FSHA_HOST_SIZE)
		return false;
	for (; *text; text++)
		if ((unsigned char)*text <= ' ' || *text == 0x7f || strchr("/\\?#@[]\"'<>", *text))
			return false;
	return true;
}

/* An IPv6 address may be written in brackets, as in a URL; they are no part of it. */
static bool take_host(const char *text, char *ret_host)
{
	size_t len = strlen(text);

	if (len >= FSHA_HOST_SIZE + 2)
		return false;
	if (len > 2 && text[0] == '[' && text[len - 1] == ']' && memchr(text, ':', len)) {
		char inner[FSHA_HOST_SIZE + 2];

		memcpy(inner, text + 1, len - 2);
		inner[len - 2] = '\0';
		if (!is_host(inner))
			return false;
		memcpy(ret_host, inner, len - 1);
		return true;
	}
	if (!is_host(text))
		return false;
	memcpy(ret_host, text, len + 1);
	return true;
}

static fsha_result read_host(const fsha_config *config, const char *key, char *ret_host,
			     fsha_error *reterr)
{
	const char *text = fsha_config_get(config, key, NULL);

	if (!text)
		return error_set(reterr, FSHA_E_CONFIG, 0, "configure",
				 "%s is not set: write '%s: " HOST_FORM "'", key, key);
	if (!take_host(text, ret_host))
		return config_refuse(config, key, "no host", HOST_FORM, reterr);
	return FSHA_OK;
}

/* The table of options keeps it within 65535. */
static fsha_result read_port(const fsha_config *config, const char *key, uint16_t *ret_port,
			     fsha_error *reterr)
{
	fsha_result result;
	int64_t number;

	result = fsha_config_get_number(config, key, &number, reterr);
	if (result != FSHA_OK)
		return result;
	assert(number >= 0);
	assert(number <= UINT16_MAX);
	*ret_port = (uint16_t)number;
	return FSHA_OK;
}

fsha_result fsha_config_get_job_manager_address(const fsha_config *config, char *host,
						size_t host_size, uint16_t *ret_port,
						fsha_error *reterr)
{
	char found[FSHA_HOST_SIZE];
	fsha_result result;
	uint16_t port;

	if (!config || !host || !ret_port)
		return error_set(reterr, FSHA_E_INVALID, 0, "configure",
				 "cannot read the job manager's address: an argument is NULL");
	result = read_host(config, FSHA_KEY_JOB_MANAGER_ADDRESS, found, reterr);
	if (result == FSHA_OK)
		result = read_port(config, FSHA_KEY_JOB_MANAGER_PORT, &port, reterr);
	if (result != FSHA_OK)
		return result;
	if (strlen(found) >= host_size)
		return error_set(reterr, FSHA_E_INVALID, 0, "configure",
				 "cannot return the job manager's address: %zu bytes are too few",
				 host_size);
	memcpy(host, found, strlen(found) + 1);
	*ret_port = port;
	return FSHA_OK;
}

/* Both or, out of memory, none. */
static fsha_result set_both(fsha_config *config, const char *host, const char *port,
			    fsha_error *reterr)
{
	struct config_entry like = { .source = CONFIG_PROGRAM, .origin = CONFIG_ORIGIN_PROGRAM };
	struct config_entries both;
	int r;

	config_entries_init(&both, config->entries.fs);
	like.key = FSHA_KEY_JOB_MANAGER_ADDRESS;
	like.value = host;
	r = config_entries_put(&both, &like);
	like.key = FSHA_KEY_JOB_MANAGER_PORT;
	like.value = port;
	if (r == 0)
		r = config_entries_put(&both, &like);
	if (r == 0 &&
	    config_entries_merged_count(&config->entries, &both) > FSHA_CONFIG_ENTRIES_MAX) {
		config_entries_done(&both);
		return error_set(reterr, FSHA_E_INVALID, 0, "configure",
				 "cannot set the job manager's address: more than %d settings",
				 FSHA_CONFIG_ENTRIES_MAX);
	}
	if (r == 0)
		r = config_entries_merge(&config->entries, &both);
	config_entries_done(&both);
	if (r < 0)
		return error_os(reterr, r, "configure", "cannot set the job manager's address");
	return FSHA_OK;
}

fsha_result fsha_config_set_job_manager_address(fsha_config *config, const char *host,
						uint32_t port, fsha_error *reterr)
{
	char found[FSHA_HOST_SIZE], port_text[16], quoted[CONFIG_QUOTE_SIZE];

	if (!config || !host)
		return error_set(reterr, FSHA_E_INVALID, 0, "configure",
				 "cannot set the job manager's address: an argument is NULL");
	if (!take_host(host, found))
		return error_set(
			reterr, FSHA_E_INVALID, 0, "configure",
			"cannot set the job manager's address '%s': no host; give " HOST_FORM,
			config_quote(host, quoted));
	if (port < 1 || port > UINT16_MAX)
		return error_set(reterr, FSHA_E_INVALID, 0, "configure",
				 "cannot set the job manager's port %" PRIu32
				 ": give a port from 1 to 65535",
				 port);

	(void)snprintf(port_text, sizeof(port_text), "%" PRIu32, port);
	return set_both(config, found, port_text, reterr);
}

fsha_result fsha_config_get_web_monitor_address(const fsha_config *config, char *url, size_t size,
						fsha_error *reterr)
{
	char host[FSHA_HOST_SIZE], found[FSHA_URL_SIZE];
	const char *key = FSHA_KEY_REST_ADDRESS;
	fsha_result result;
	uint16_t port;
	bool brackets;
	int ssl, n;

	if (!config || !url)
		return error_set(reterr, FSHA_E_INVALID, 0, "configure",
				 "cannot read the REST endpoint's address: an argument is NULL");
	if (!fsha_config_get(config, key, NULL)) {
		if (!fsha_config_get(config, FSHA_KEY_JOB_MANAGER_ADDRESS, NULL))
			return error_set(reterr, FSHA_E_CONFIG, 0, "configure",
					 "neither %s nor %s is set: write '%s: " HOST_FORM "'", key,
					 FSHA_KEY_JOB_MANAGER_ADDRESS, key);
		key = FSHA_KEY_JOB_MANAGER_ADDRESS;
	}
	result = read_host(config, key, host, reterr);
	if (result == FSHA_OK)
		result = read_port(config, FSHA_KEY_REST_PORT, &port, reterr);
	if (result == FSHA_OK)
		result = fsha_config_get_boolean(config, FSHA_KEY_REST_SSL, &ssl, reterr);
	if (result != FSHA_OK)
		return result;

	brackets = strchr(host, ':') != NULL;
	n = snprintf(found, sizeof(found), "%s://%s%s%s:%u", ssl ? "https" : "http",
		     brackets ? "[" : "", host, brackets ? "]" : "", (unsigned)port);
	assert(n > 0);
	assert((size_t)n < sizeof(found));
	if ((size_t)n >= size)
		return error_set(reterr, FSHA_E_INVALID, 0, "configure",
				 "cannot return the REST endpoint's address: %zu bytes are too few",
				 size);
	memcpy(url, found, (size_t)n + 1);
	return FSHA_OK;
}
