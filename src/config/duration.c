#include "src/config/duration.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "src/config/scan.h"

static const struct {
	const char *name;
	uint64_t ms;         /* of one unit, or 0: */
	uint64_t units_a_ms; /* how many make one millisecond */
} units[] = {
	{ "", 1, 0 },
	{ "d", 86400000, 0 },
	{ "day", 86400000, 0 },
	{ "days", 86400000, 0 },
	{ "h", 3600000, 0 },
	{ "hour", 3600000, 0 },
	{ "hours", 3600000, 0 },
	{ "m", 60000, 0 },
	{ "min", 60000, 0 },
	{ "minute", 60000, 0 },
	{ "minutes", 60000, 0 },
	{ "s", 1000, 0 },
	{ "sec", 1000, 0 },
	{ "secs", 1000, 0 },
	{ "second", 1000, 0 },
	{ "seconds", 1000, 0 },
	{ "ms", 1, 0 },
	{ "milli", 1, 0 },
	{ "millis", 1, 0 },
	{ "millisecond", 1, 0 },
	{ "milliseconds", 1, 0 },
	/* The micro sign and the Greek letter mu look the same. */
	{ "\xc2\xb5s", 0, 1000 },
	{ "\xce\xbcs", 0, 1000 },
	{ "us", 0, 1000 },
	{ "micro", 0, 1000 },
	{ "micros", 0, 1000 },
	{ "microsecond", 0, 1000 },
	{ "microseconds", 0, 1000 },
	{ "ns", 0, 1000000 },
	{ "nano", 0, 1000000 },
	{ "nanos", 0, 1000000 },
	{ "nanosecond", 0, 1000000 },
	{ "nanoseconds", 0, 1000000 },
};

static int add_scaled(uint64_t *total, uint64_t number, uint64_t ms)
{
	if (__builtin_mul_overflow(number, ms, &number) ||
	    __builtin_add_overflow(*total, number, total))
		return -ERANGE;
	return 0;
}

/* ".5" of "PT1.5S": up to nine digits, of which three are milliseconds. */
static int parse_fraction(const char **text, uint64_t *ret_ms)
{
	uint64_t ms = 0, weight = 100;
	unsigned digits = 0;

	(*text)++; /* the point */
	/* The weight is 0 from the fourth digit on. */
	for (; scan_is_digit(**text); (*text)++) {
		ms += (uint64_t)(**text - '0') * weight;
		weight /= 10;
		digits++;
	}
	*ret_ms = ms;
	return digits > 9 ? -EINVAL : 0;
}

static const struct {
	char letter;
	bool is_time;
	uint64_t ms;
} iso_parts[] = {
	{ 'd', false, 86400000 },
	{ 'h', true, 3600000 },
	{ 'm', true, 60000 },
	{ 's', true, 1000 },
};
#define ISO_PARTS (sizeof(iso_parts) / sizeof(iso_parts[0]))

/* One "90M" or "1.5S". `*next` is the first part that may still come. */
static int parse_iso_part(const char **text, bool in_time, size_t *next, uint64_t *total)
{
	uint64_t number, fraction_ms = 0;
	bool has_fraction;
	size_t i = *next;
	int r;

	r = scan_number(text, &number);
	if (r < 0)
		return r;
	has_fraction = **text == '.' || **text == ',';
	if (has_fraction) {
		r = parse_fraction(text, &fraction_ms);
		if (r < 0)
			return r;
	}
	while (i < ISO_PARTS &&
	       (iso_parts[i].letter != scan_lower(**text) || iso_parts[i].is_time != in_time))
		i++;
	if (i == ISO_PARTS || (has_fraction && iso_parts[i].letter != 's'))
		return -EINVAL;

	(*text)++;
	*next = i + 1;
	r = add_scaled(total, number, iso_parts[i].ms);
	return r < 0 ? r : add_scaled(total, fraction_ms, 1);
}

/* ISO 8601 as Java's Duration writes it: P[nD][T[nH][nM][n[.n]S]]. `text` is behind the P. */
static int parse_iso(const char *text, uint64_t *ret_ms)
{
	uint64_t total = 0;
	bool in_time = false;
	size_t next = 0;
	int r;

	do {
		if (!in_time && scan_lower(*text) == 't') {
			in_time = true;
			text++;
		}
		/* A P, or a T, with nothing behind it is refused here. */
		r = parse_iso_part(&text, in_time, &next, &total);
		if (r < 0)
			return r;
	} while (*text && !scan_is_blank(*text));

	while (scan_is_blank(*text))
		text++;
	if (*text)
		return -EINVAL;
	*ret_ms = total;
	return 0;
}

static int scale(uint64_t number, const char *name, uint64_t *ret_ms)
{
	uint64_t total = 0;
	int r;

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(units[i].name, name))
			continue;
		if (units[i].units_a_ms) {
			*ret_ms = number / units[i].units_a_ms;
			return 0;
		}
		r = add_scaled(&total, number, units[i].ms);
		if (r == 0)
			*ret_ms = total;
		return r;
	}
	return -EINVAL;
}

int config_duration_parse(const char *text, uint64_t *ret_ms)
{
	char unit[SCAN_UNIT_MAX];
	uint64_t number;
	int r;

	while (scan_is_blank(*text))
		text++;
	if (scan_lower(*text) == 'p')
		return parse_iso(text + 1, ret_ms);

	r = scan_number_and_unit(text, &number, unit);
	return r < 0 ? r : scale(number, unit, ret_ms);
}
