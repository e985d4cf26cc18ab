#include "src/config/values.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "src/config/duration.h"
#include "src/config/file.h"
#include "src/config/keys.h"
#include "src/config/scan.h"
#include "src/config/size.h"
#include "src/result/error.h"

/* What a value that fits may be, whichever it is. */
union value {
	uint64_t amount;
	int64_t number;
	int boolean;
};

static int parse_signed(const char *text, int64_t *ret_number)
{
	uint64_t magnitude, limit = INT64_MAX;
	bool negative;
	int r;

	while (scan_is_blank(*text))
		text++;
	negative = *text == '-';
	if (*text == '-' || *text == '+')
		text++;
	r = scan_number(&text, &magnitude);
	if (r < 0)
		return r;
	while (scan_is_blank(*text))
		text++;
	if (*text)
		return -EINVAL;
	if (magnitude > limit)
		return -ERANGE;
	*ret_number = negative ? -(int64_t)magnitude : (int64_t)magnitude;
	return 0;
}

static int parse_boolean(const char *text, int *ret_value)
{
	char word[SCAN_UNIT_MAX];
	int r;

	while (scan_is_blank(*text))
		text++;
	r = scan_unit(text, word);
	if (r < 0)
		return r;
	if (strcmp(word, "true") != 0 && strcmp(word, "false") != 0)
		return -EINVAL;
	*ret_value = word[0] == 't';
	return 0;
}

static int parse_ports(const char *text)
{
	fsha_port_range ranges[FSHA_PORT_RANGES_MAX];
	size_t count;

	return config_ports_parse(text, ranges, FSHA_PORT_RANGES_MAX, &count);
}

/* How each kind is read, and what is said when it cannot be. */
static const struct {
	const char *name;
	const char *not_one; /* NULL: any text is one */
	const char *form;
} kinds[] = {
	[FSHA_CONFIG_TEXT] = { "text", NULL, NULL },
	[FSHA_CONFIG_PATH] = { "path", NULL, NULL },
	[FSHA_CONFIG_DURATION] = { "duration", "not a duration",
				   "a number and a unit, such as '10 s', '500 ms' or '1 min'" },
	[FSHA_CONFIG_SIZE] = { "size", "not a size",
			       "a number and a unit, such as '64 kb', '1 mb' or '2g'" },
	[FSHA_CONFIG_NUMBER] = { "number", "not a number", "a whole number in decimal" },
	[FSHA_CONFIG_BOOLEAN] = { "boolean", "neither", "'true' or 'false'" },
	[FSHA_CONFIG_PORTS] = { "ports", "not ports",
				"a port, a range or a list, such as '50000-50025,50100'" },
};
#define KINDS ((int)(sizeof(kinds) / sizeof(kinds[0])))

const char *fsha_config_kind_text(int kind)
{
	return kind >= 0 && kind < KINDS ? kinds[kind].name : "unknown";
}

static int parse(int kind, const char *text, union value *ret_value)
{
	switch (kind) {
	case FSHA_CONFIG_DURATION:
		return config_duration_parse(text, &ret_value->amount);
	case FSHA_CONFIG_SIZE:
		return config_size_parse(text, &ret_value->amount);
	case FSHA_CONFIG_NUMBER:
		return parse_signed(text, &ret_value->number);
	case FSHA_CONFIG_BOOLEAN:
		return parse_boolean(text, &ret_value->boolean);
	case FSHA_CONFIG_PORTS:
		return parse_ports(text);
	default:
		return 0;
	}
}

static bool is_within(int kind, const fsha_config_option *option, const union value *value)
{
	if (!option || (option->min == 0 && option->max == 0))
		return true;
	if (kind == FSHA_CONFIG_NUMBER)
		return value->number >= option->min && value->number <= option->max;
	assert(kind == FSHA_CONFIG_DURATION || kind == FSHA_CONFIG_SIZE);
	return value->amount >= (uint64_t)option->min && value->amount <= (uint64_t)option->max;
}

fsha_result config_refuse(const fsha_config *config, const char *key, const char *why,
			  const char *form, fsha_error *reterr)
{
	char quoted_key[CONFIG_QUOTE_SIZE], quoted[CONFIG_QUOTE_SIZE];
	const struct config_entry *entry = config_find(config, key);
	const char *origin, *value = fsha_config_get(config, key, &origin);

	return error_set(reterr, FSHA_E_CONFIG, 0, "configure",
			 "cannot use %s '%s' (%s): %s; write %s",
			 config_quote(entry ? entry->key : key, quoted_key),
			 config_quote(value ? value : "", quoted), config_tail(origin), why, form);
}

/* `key` may be one that no option has: then the kind alone counts. */
static fsha_result read_value(const fsha_config *config, const char *key, int kind,
			      union value *ret_value, fsha_error *reterr)
{
	const fsha_config_option *option = config_option_find(key);
	const char *text = fsha_config_get(config, key, NULL), *form;
	char quoted_key[CONFIG_QUOTE_SIZE];
	union value value = { .amount = 0 };
	int r;

	if (!text)
		return error_set(reterr, FSHA_E_NOT_FOUND, 0, "configure", "'%s' is not set",
				 config_quote(key, quoted_key));
	form = option && option->form ? option->form : kinds[kind].form;
	r = parse(kind, text, &value);
	if (r < 0)
		return config_refuse(config, key,
				     r == -ERANGE && kind == FSHA_CONFIG_PORTS ?
					     "out of bounds, or a range the wrong way round" :
				     r == -ERANGE ? "too large" :
				     r == -E2BIG  ? "too many ranges" :
						    kinds[kind].not_one,
				     form, reterr);
	if (!is_within(kind, option, &value))
		return config_refuse(config, key, "out of bounds", form, reterr);
	*ret_value = value;
	return FSHA_OK;
}

fsha_result config_value_check(const fsha_config *config, const fsha_config_option *option,
			       fsha_error *reterr)
{
	union value value;
	fsha_result result;

	assert(option->kind >= 0 && option->kind < KINDS);
	if (!kinds[option->kind].not_one)
		return FSHA_OK;
	result = read_value(config, option->key, option->kind, &value, reterr);
	return result == FSHA_E_NOT_FOUND ? FSHA_OK : result;
}

static fsha_result get(const fsha_config *config, const char *key, int kind, void *ret,
		       union value *ret_value, fsha_error *reterr)
{
	if (!config || !key || !ret)
		return error_set(reterr, FSHA_E_INVALID, 0, "configure",
				 "cannot read a %s: an argument is NULL",
				 fsha_config_kind_text(kind));
	return read_value(config, key, kind, ret_value, reterr);
}

fsha_result fsha_config_get_duration_ms(const fsha_config *config, const char *key,
					uint64_t *ret_ms, fsha_error *reterr)
{
	union value value;
	fsha_result result = get(config, key, FSHA_CONFIG_DURATION, ret_ms, &value, reterr);

	if (result == FSHA_OK)
		*ret_ms = value.amount;
	return result;
}

fsha_result fsha_config_get_size(const fsha_config *config, const char *key, uint64_t *ret_bytes,
				 fsha_error *reterr)
{
	union value value;
	fsha_result result = get(config, key, FSHA_CONFIG_SIZE, ret_bytes, &value, reterr);

	if (result == FSHA_OK)
		*ret_bytes = value.amount;
	return result;
}

fsha_result fsha_config_get_number(const fsha_config *config, const char *key, int64_t *ret_number,
				   fsha_error *reterr)
{
	union value value;
	fsha_result result = get(config, key, FSHA_CONFIG_NUMBER, ret_number, &value, reterr);

	if (result == FSHA_OK)
		*ret_number = value.number;
	return result;
}

fsha_result fsha_config_get_boolean(const fsha_config *config, const char *key, int *ret_value,
				    fsha_error *reterr)
{
	union value value;
	fsha_result result = get(config, key, FSHA_CONFIG_BOOLEAN, ret_value, &value, reterr);

	if (result == FSHA_OK)
		*ret_value = value.boolean;
	return result;
}

/* ---- Ports. ---- */

/* A port up to `end`, in decimal with blanks around it. */
static int parse_port(const char *text, const char *end, uint16_t *ret_port)
{
	uint32_t port = 0;

	while (text < end && scan_is_blank(*text))
		text++;
	while (end > text && scan_is_blank(end[-1]))
		end--;
	if (text == end)
		return -EINVAL;
	for (; text < end; text++) {
		if (!scan_is_digit(*text))
			return -EINVAL;
		port = port * 10 + (uint32_t)(*text - '0');
		if (port > UINT16_MAX)
			return -ERANGE;
	}
	*ret_port = (uint16_t)port;
	return 0;
}

static int parse_range(const char *text, const char *end, fsha_port_range *ret_range)
{
	const char *dash = memchr(text, '-', (size_t)(end - text));
	fsha_port_range range;
	int r;

	r = parse_port(text, dash ? dash : end, &range.first);
	if (r < 0)
		return r;
	range.last = range.first;
	if (dash)
		r = parse_port(dash + 1, end, &range.last);
	if (r == 0 && range.last < range.first)
		r = -ERANGE;
	if (r == 0)
		*ret_range = range;
	return r;
}

int config_ports_parse(const char *text, fsha_port_range *ret_ranges, size_t max, size_t *ret_count)
{
	size_t count = 0;

	for (;;) {
		const char *end = text + strcspn(text, ",");
		fsha_port_range range;
		int r = parse_range(text, end, &range);

		if (r < 0)
			return r;
		if (count == max)
			return -E2BIG;
		ret_ranges[count++] = range;
		if (!*end)
			break;
		text = end + 1;
	}
	*ret_count = count;
	return 0;
}

fsha_result fsha_config_get_job_manager_ports(const fsha_config *config,
					      fsha_port_range *ret_ranges, size_t max,
					      size_t *ret_count, fsha_error *reterr)
{
	fsha_port_range ranges[FSHA_PORT_RANGES_MAX];
	union value value;
	fsha_result result;
	size_t count = 0;

	if (!ret_count)
		ret_ranges = NULL;
	result = get(config, FSHA_KEY_JOB_MANAGER_PORTS, FSHA_CONFIG_PORTS, ret_ranges, &value,
		     reterr);
	if (result != FSHA_OK)
		return result;
	(void)config_ports_parse(fsha_config_get(config, FSHA_KEY_JOB_MANAGER_PORTS, NULL), ranges,
				 FSHA_PORT_RANGES_MAX, &count);
	assert(count > 0);
	if (count > max)
		return error_set(reterr, FSHA_E_INVALID, 0, "configure",
				 "cannot return %zu ranges of ports: there is room for %zu", count,
				 max);
	memcpy(ret_ranges, ranges, count * sizeof(ranges[0]));
	*ret_count = count;
	return FSHA_OK;
}
