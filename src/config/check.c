/*
 * Everything that can be said of a configuration without asking the storage. Keys of Flink's that
 * do not concern high availability are none of our business: only those that begin as ours do, or
 * look like a slip of the pen.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "fsha/utils.h"
#include "src/config/config.h"
#include "src/config/file.h"
#include "src/config/keys.h"
#include "src/config/values.h"
#include "src/result/error.h"

#define GUESS_MAX 128 /* bytes of keys that are compared letter by letter */
#define SLIPS_OURS 6  /* letters that may be wrong in a key that begins as ours do */
#define SLIPS_ANY 2   /* in any other */

struct check {
	const fsha_config *config;
	int (*visit)(void *ctx, const fsha_config_finding *finding);
	void *ctx;
	bool ended;
	fsha_error first; /* its result is FSHA_OK as long as there is none */
};

static void tell(struct check *c, fsha_config_finding_kind kind, const struct config_entry *entry,
		 const char *message)
{
	fsha_config_finding finding = { .kind = (int32_t)kind,
					.is_error = kind == FSHA_CONFIG_BAD_VALUE,
					.key = entry ? entry->key : "",
					.origin = entry ? entry->origin : "default",
					.message = message };

	if (c->visit && !c->ended && c->visit(c->ctx, &finding))
		c->ended = true;
}

static void tell_error(struct check *c, const struct config_entry *entry, const fsha_error *error)
{
	/* One mistake is found by each check that meets it. */
	if (c->first.result != FSHA_OK && !strcmp(c->first.message, error->message))
		return;
	if (c->first.result == FSHA_OK)
		(void)error_copy(&c->first, error);
	tell(c, FSHA_CONFIG_BAD_VALUE, entry, error->message);
}

/* ---- Guessing what was meant. ---- */

static size_t least(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* How many letters must be put in, left out or changed to come from one to the other. */
static size_t distance(const char *a, const char *b)
{
	size_t row[GUESS_MAX + 1], b_len = strlen(b);

	assert(b_len <= GUESS_MAX);
	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t above = row[j];

			row[j] =
				least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[b_len];
}

/* The option whose key is nearest, if no more than `slips` letters are wrong. */
static const fsha_config_option *guess(const char *key, size_t slips)
{
	const fsha_config_option *nearest = NULL;

	if (strlen(key) > GUESS_MAX)
		return NULL;
	for (size_t i = 0; i < config_option_count; i++) {
		size_t d;

		if (config_options[i].instead)
			continue;
		d = distance(key, config_options[i].key);
		if (d <= slips) {
			nearest = &config_options[i];
			slips = d ? d - 1 : 0;
		}
	}
	return nearest;
}

static bool is_ours(const char *key)
{
	static const char *const beginnings[] = { "high-availability", "recovery.",
						  "job-result-store.", "cleanup-strategy." };

	for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++)
		if (!strncmp(key, beginnings[i], strlen(beginnings[i])))
			return true;
	return false;
}

/* ---- The checks. ---- */

static void check_unknown(struct check *c, const struct config_entry *entry)
{
	bool ours = is_ours(entry->key);
	const fsha_config_option *meant = guess(entry->key, ours ? SLIPS_OURS : SLIPS_ANY);
	char message[FSHA_MESSAGE_SIZE], quoted[CONFIG_QUOTE_SIZE];

	if (!ours && !meant)
		return;
	(void)snprintf(message, sizeof(message),
		       "%s (%s) is no key that is known here, and has no effect%s%s%s",
		       config_quote(entry->key, quoted), config_tail(entry->origin),
		       meant ? ": did you mean '" : "", meant ? meant->key : "", meant ? "'?" : "");
	tell(c, FSHA_CONFIG_UNKNOWN, entry, message);
}

/* An entry of an option, under its present or an old name. */
static void check_name(struct check *c, const struct config_entry *entry,
		       const fsha_config_option *option, bool is_old)
{
	const struct config_entry *used = config_find(c->config, option->key);
	char message[FSHA_MESSAGE_SIZE];

	assert(used);
	if (option->instead) {
		(void)snprintf(message, sizeof(message), "%s (%s) does not apply here: %s",
			       entry->key, config_tail(entry->origin), option->instead);
		tell(c, FSHA_CONFIG_NOT_APPLYING, entry, message);
	} else if (is_old && strcmp(used->key, entry->key) != 0) {
		(void)snprintf(message, sizeof(message),
			       "%s (%s) has no effect: %s (%s) is set, its newer name", entry->key,
			       config_tail(entry->origin), used->key, config_tail(used->origin));
		tell(c, FSHA_CONFIG_SHADOWED, entry, message);
	} else if (is_old) {
		(void)snprintf(message, sizeof(message), "%s (%s) is an old name: write '%s'",
			       entry->key, config_tail(entry->origin), option->key);
		tell(c, FSHA_CONFIG_OLD_NAME, entry, message);
	}
}

static void check_names(struct check *c)
{
	const struct config_entries *entries = &c->config->entries;

	for (size_t i = 0; i < entries->count && !c->ended; i++) {
		const struct config_entry *entry = entries->items[i];
		const fsha_config_option *option;
		bool is_old;

		/* The strongest source of a key comes first; the others are overridden as meant. */
		if (i > 0 && !strcmp(entries->items[i - 1]->key, entry->key))
			continue;
		option = config_option_find_any(entry->key, &is_old);
		if (option)
			check_name(c, entry, option, is_old);
		else
			check_unknown(c, entry);
	}
}

static void check_retained(struct check *c)
{
	const struct config_entry *entry = config_find(c->config, FSHA_KEY_CHECKPOINTS_RETAINED);
	char message[FSHA_MESSAGE_SIZE], quoted[CONFIG_QUOTE_SIZE];
	int64_t number;

	if (fsha_config_get_number(c->config, FSHA_KEY_CHECKPOINTS_RETAINED, &number, NULL) !=
		    FSHA_OK ||
	    number > 0)
		return;
	assert(entry); /* the default is above 0 */
	(void)snprintf(message, sizeof(message),
		       "%s '%s' (%s) is less than 1: 1 is used, since a job needs its latest "
		       "checkpoint",
		       entry->key, config_quote(entry->value, quoted), config_tail(entry->origin));
	tell(c, FSHA_CONFIG_CORRECTED, entry, message);
}

static void check_values(struct check *c)
{
	fsha_cleanup_strategy strategy;
	fsha_error error;

	for (size_t i = 0; i < config_option_count && !c->ended; i++) {
		const fsha_config_option *option = &config_options[i];

		error = (fsha_error)FSHA_ERROR_INIT;
		if (!option->instead && config_value_check(c->config, option, &error) != FSHA_OK)
			tell_error(c, config_find(c->config, option->key), &error);
	}
	error = (fsha_error)FSHA_ERROR_INIT;
	if (fsha_config_get_cleanup_strategy(c->config, &strategy, &error) != FSHA_OK)
		tell_error(c, config_find(c->config, FSHA_KEY_CLEANUP_STRATEGY), &error);
	check_retained(c);
}

static void check_services(struct check *c)
{
	struct config_services settings;
	fsha_error error = FSHA_ERROR_INIT;

	if (config_services_read(c->config, &settings, &error) != FSHA_OK)
		tell_error(c, NULL, &error);
}

fsha_result fsha_config_check(const fsha_config *config,
			      int (*visit)(void *ctx, const fsha_config_finding *finding),
			      void *ctx, fsha_error *reterr)
{
	struct check c = { .config = config, .visit = visit, .ctx = ctx, .first = FSHA_ERROR_INIT };

	if (!config)
		return error_set(reterr, FSHA_E_INVALID, 0, "configure",
				 "cannot check a configuration: config is NULL");
	check_names(&c);
	if (!c.ended)
		check_values(&c);
	if (!c.ended)
		check_services(&c);
	if (c.ended || c.first.result == FSHA_OK)
		return FSHA_OK;
	return error_copy(reterr, &c.first);
}
