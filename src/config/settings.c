/*
 * From texts to what the services need: the type, the directory, the cluster id, the timers.
 * Whoever comes from ZooKeeper or Kubernetes reads here what to write instead.
 */
#include "src/config/config.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "fsutil/fsu_path.h"
#include "src/config/file.h"
#include "src/config/keys.h"
#include "src/result/error.h"

#define KUBERNETES_FACTORY \
	"org.apache.flink.kubernetes.highavailability.KubernetesHaServicesFactory"
#define A_DIRECTORY "/a/directory/on/the/shared/filesystem"
#define WRITE_DIRECTORY "write '" FSHA_KEY_STORAGE_DIR ": " A_DIRECTORY "'"
#define WRITE_BOTH                                                         \
	"write '" FSHA_KEY_TYPE ": filesystem' and '" FSHA_KEY_STORAGE_DIR \
	": /a/directory/on/the/shared/filesystem'"

/*
 * Not strcasecmp(), whose idea of case depends on the locale. `len` bytes of `text`, all of `word`.
 */
static bool equals_ignoring_case(const char *text, size_t len, const char *word)
{
	if (strlen(word) != len)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (c != word[i])
			return false;
	}
	return true;
}

/* ---- The type. ---- */

enum type {
	TYPE_UNSET,
	TYPE_FILESYSTEM,
	TYPE_ZOOKEEPER,
	TYPE_KUBERNETES,
	TYPE_STANDALONE,
	TYPE_EMBEDDED,
	TYPE_OTHER,
};

static enum type type_parse(const char *text)
{
	static const struct {
		const char *name;
		enum type type;
	} names[] = {
		{ "", TYPE_UNSET },
		{ "filesystem", TYPE_FILESYSTEM },
		{ "zookeeper", TYPE_ZOOKEEPER },
		{ "kubernetes", TYPE_KUBERNETES },
		{ "none", TYPE_STANDALONE },
		{ "standalone", TYPE_STANDALONE },
		{ "embedded", TYPE_EMBEDDED },
	};
	size_t len;

	text += strspn(text, " \t\r\n");
	len = strlen(text);
	while (len && strchr(" \t\r\n", text[len - 1]))
		len--;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (equals_ignoring_case(text, len, names[i].name))
			return names[i].type;
	/* How Kubernetes was asked for before Flink 1.15. */
	if (len == strlen(KUBERNETES_FACTORY) && !memcmp(text, KUBERNETES_FACTORY, len))
		return TYPE_KUBERNETES;
	return TYPE_OTHER;
}

/* A directory that somebody named for this very run says well enough what is meant. */
static bool directory_is_explicit(const fsha_config *config)
{
	const struct config_entry *entry = config_find(config, FSHA_KEY_STORAGE_DIR);

	return entry && entry->source != CONFIG_FILE;
}

/*
 * Nothing said at all is Flink's NONE. A storage directory in a file without a type is a mistake:
 * whoever wrote it wants nothing in memory.
 */
static fsha_result read_unset(const fsha_config *config, enum config_mode *ret_mode,
			      fsha_error *reterr)
{
	if (directory_is_explicit(config))
		*ret_mode = CONFIG_FILESYSTEM;
	else if (!config_find(config, FSHA_KEY_STORAGE_DIR))
		*ret_mode = CONFIG_STANDALONE;
	else
		return error_set(reterr, FSHA_E_CONFIG, 0, "configure",
				 "%s is not set: " WRITE_BOTH, FSHA_KEY_TYPE);
	return FSHA_OK;
}

fsha_result config_mode_read(const fsha_config *config, enum config_mode *ret_mode,
			     fsha_error *reterr)
{
	const struct config_entry *entry = config_find(config, FSHA_KEY_TYPE);
	enum type type = entry ? type_parse(entry->value) : TYPE_UNSET;
	const char *key = entry ? entry->key : "",
		   *origin = entry ? config_tail(entry->origin) : "";
	char quoted[CONFIG_QUOTE_SIZE];

	(void)config_quote(entry ? entry->value : "", quoted);
	switch (type) {
	case TYPE_FILESYSTEM:
		*ret_mode = CONFIG_FILESYSTEM;
		return FSHA_OK;
	case TYPE_STANDALONE:
		*ret_mode = CONFIG_STANDALONE;
		return FSHA_OK;
	case TYPE_EMBEDDED:
		*ret_mode = CONFIG_EMBEDDED;
		return FSHA_OK;
	case TYPE_UNSET:
		return read_unset(config, ret_mode, reterr);
	case TYPE_ZOOKEEPER:
		return error_set(
			reterr, FSHA_E_CONFIG, 0, "configure",
			"cannot use %s '%s' (%s): fsha replaces it; " WRITE_BOTH
			"; high-availability.zookeeper.* then means nothing, save storageDir "
			"and path.namespace in it",
			key, quoted, origin);
	case TYPE_KUBERNETES:
		return error_set(reterr, FSHA_E_CONFIG, 0, "configure",
				 "cannot use %s '%s' (%s): fsha replaces it; " WRITE_BOTH
				 "; high-availability.kubernetes.* then means nothing",
				 key, quoted, origin);
	case TYPE_OTHER:
		break;
	}
	return error_set(reterr, FSHA_E_CONFIG, 0, "configure",
			 "cannot use %s '%s' (%s): no such type, and factory classes are "
			 "Java's; " WRITE_BOTH,
			 key, quoted, origin);
}

bool config_type_is_local(const fsha_config *config)
{
	enum config_mode mode;

	return config_mode_read(config, &mode, NULL) == FSHA_OK && mode != CONFIG_FILESYSTEM;
}

/* ---- The directory. ---- */

static fsha_result refuse_dir(const struct config_entry *entry, const char *why, fsha_error *reterr)
{
	char quoted[CONFIG_QUOTE_SIZE];
	bool old;

	return error_set(reterr, FSHA_E_CONFIG, 0, "configure",
			 "cannot use %s '%s' (%s): %s; write '%s: " A_DIRECTORY "'", entry->key,
			 config_quote(entry->value, quoted), config_tail(entry->origin), why,
			 config_option_find_any(entry->key, &old)->key);
}

/* The length of "scheme" in "scheme:...", or 0. A path starts with a slash, so it has none. */
static size_t scheme_len(const char *text)
{
	size_t len =
		strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");

	return text[len] == ':' ? len : 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Percent-decoding; never longer than `text`. -EINVAL for a stray '%' and an encoded NUL. */
static int decode(const char *text, char *ret_path)
{
	while (*text) {
		if (*text == '%') {
			int high = hex_digit(text[1]);
			int low = high < 0 ? -1 : hex_digit(text[2]);

			if (low < 0 || (high == 0 && low == 0))
				return -EINVAL;
			*ret_path++ = (char)(high * 16 + low);
			text += 3;
		} else {
			*ret_path++ = *text++;
		}
	}
	*ret_path = '\0';
	return 0;
}

/* Behind "//": an empty host or localhost. Moves on to the path. */
static bool skip_own_host(const char **text)
{
	size_t len = strcspn(*text, "/");

	if (len && !equals_ignoring_case(*text, len, "localhost"))
		return false;
	*text += len;
	return true;
}

static fsha_result read_dir(const struct config_entry *entry, char *ret_path, fsha_error *reterr)
{
	const char *text = entry->value;
	size_t len;

	if (strlen(text) > FSHA_CONFIG_VALUE_MAX)
		return refuse_dir(entry, "too long", reterr);

	len = scheme_len(text);
	if (len && !equals_ignoring_case(text, len, "file"))
		return refuse_dir(entry, "it must be a directory that this host has mounted",
				  reterr);
	if (len) {
		text += len + 1;
		if (!strncmp(text, "//", 2)) {
			text += 2;
			if (!skip_own_host(&text))
				return refuse_dir(entry, "it names another host", reterr);
		}
		if (decode(text, ret_path) < 0)
			return refuse_dir(entry, "a '%' must be written %25 in a file: URI",
					  reterr);
	} else {
		memcpy(ret_path, text, strlen(text) + 1);
	}
	if (!ret_path[0])
		return refuse_dir(entry, "it is empty", reterr);
	if (ret_path[0] != '/')
		return refuse_dir(entry, "not an absolute path", reterr);

	for (len = strlen(ret_path); len > 1 && ret_path[len - 1] == '/'; len--)
		ret_path[len - 1] = '\0';
	return FSHA_OK;
}

static fsha_result read_storage_dir(const fsha_config *config, char *ret_path, fsha_error *reterr)
{
	const struct config_entry *entry = config_find(config, FSHA_KEY_STORAGE_DIR);

	if (!entry)
		return error_set(reterr, FSHA_E_CONFIG, 0, "configure",
				 "%s is not set: " WRITE_DIRECTORY, FSHA_KEY_STORAGE_DIR);
	return read_dir(entry, ret_path, reterr);
}

/* In memory it is no place, but what tells clusters apart: as it is written. */
static void read_label(const fsha_config *config, char *ret_path)
{
	const struct config_entry *entry = config_find(config, FSHA_KEY_STORAGE_DIR);

	ret_path[0] = '\0';
	if (entry)
		strncat(ret_path, entry->value, FSHA_CONFIG_VALUE_MAX);
}

/* ---- The rest. ---- */

/* As in Flink, a blank path is none. */
static fsha_result read_job_results(const fsha_config *config, struct config_services *settings,
				    fsha_error *reterr)
{
	const struct config_entry *entry = config_find(config, FSHA_KEY_JOB_RESULT_PATH);
	fsha_result result;
	int delete_on_commit = 1;

	result = fsha_config_get_boolean(config, FSHA_KEY_JOB_RESULT_DELETE, &delete_on_commit,
					 reterr);
	if (result != FSHA_OK)
		return result;
	settings->job_result_delete = delete_on_commit;
	if (!entry || !entry->value[strspn(entry->value, " \t")])
		return FSHA_OK;
	return read_dir(entry, settings->job_result_path, reterr);
}

static fsha_result read_cluster_id(const fsha_config *config, char *ret_id, fsha_error *reterr)
{
	char encoded[FSHA_CONFIG_VALUE_MAX + 1], quoted[CONFIG_QUOTE_SIZE];
	const char *origin, *id = fsha_config_get(config, FSHA_KEY_CLUSTER_ID, &origin);
	int r = -ENAMETOOLONG;

	assert(id); /* it has a default */
	if (strlen(id) <= CONFIG_CLUSTER_ID_MAX)
		r = fsu_path_encode_id(id, encoded, sizeof(encoded));
	if (r < 0)
		return error_set(reterr, FSHA_E_CONFIG, 0, "configure",
				 "cannot use %s '%s' (%s): %s; write a name such as '/default'",
				 FSHA_KEY_CLUSTER_ID, config_quote(id, quoted), config_tail(origin),
				 r == -ENAMETOOLONG ? "too long" : "it names nothing");
	memcpy(ret_id, id, strlen(id) + 1);
	return FSHA_OK;
}

/* Its bounds are in the table of options. */
static fsha_result read_timer(const fsha_config *config, const char *key, uint32_t *ret_ms,
			      fsha_error *reterr)
{
	fsha_result result;
	uint64_t ms;

	result = fsha_config_get_duration_ms(config, key, &ms, reterr);
	if (result != FSHA_OK)
		return result;
	assert(ms <= UINT32_MAX);
	*ret_ms = (uint32_t)ms;
	return FSHA_OK;
}

fsha_result config_storage_read(const fsha_config *config, struct config_services *ret_settings,
				fsha_error *reterr)
{
	struct config_services settings = { .poll_ms = 0 };
	fsha_result result;

	assert(config);
	result = read_storage_dir(config, settings.storage_dir, reterr);
	if (result == FSHA_OK)
		result = read_cluster_id(config, settings.cluster_id, reterr);
	if (result == FSHA_OK)
		*ret_settings = settings;
	return result;
}

fsha_result config_services_read(const fsha_config *config, struct config_services *ret_settings,
				 fsha_error *reterr)
{
	struct config_services settings = { .poll_ms = 0 };
	fsha_result result;

	assert(config);
	result = config_mode_read(config, &settings.mode, reterr);
	if (result == FSHA_OK && settings.mode == CONFIG_FILESYSTEM)
		result = read_storage_dir(config, settings.storage_dir, reterr);
	else if (result == FSHA_OK)
		read_label(config, settings.storage_dir);
	if (result == FSHA_OK)
		result = read_cluster_id(config, settings.cluster_id, reterr);
	if (result == FSHA_OK)
		result = read_timer(config, FSHA_KEY_LEASE, &settings.lease_ms, reterr);
	if (result == FSHA_OK && config_find(config, FSHA_KEY_POLL_INTERVAL))
		result = read_timer(config, FSHA_KEY_POLL_INTERVAL, &settings.poll_ms, reterr);
	if (result == FSHA_OK)
		result = read_job_results(config, &settings, reterr);
	if (result != FSHA_OK)
		return result;

	settings.lease_given = config_find(config, FSHA_KEY_LEASE) != NULL;
	*ret_settings = settings;
	return FSHA_OK;
}
