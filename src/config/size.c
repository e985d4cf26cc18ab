#include "src/config/size.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "src/config/scan.h"

static const struct {
	const char *name;
	unsigned power; /* of 1024 */
} units[] = {
	{ "", 0 },  { "b", 0 },  { "bytes", 0 },     { "k", 1 },         { "kb", 1 },
	{ "m", 2 }, { "mb", 2 }, { "kibibytes", 1 }, { "g", 3 },         { "gb", 3 },
	{ "t", 4 }, { "tb", 4 }, { "mebibytes", 2 }, { "gibibytes", 3 }, { "tebibytes", 4 },
};

int config_size_parse(const char *text, uint64_t *ret_bytes)
{
	char unit[SCAN_UNIT_MAX];
	uint64_t number;
	int r;

	r = scan_number_and_unit(text, &number, unit);
	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(units[i].name, unit))
			continue;
		if (__builtin_mul_overflow(number, UINT64_C(1) << (10 * units[i].power), &number))
			return -ERANGE;
		*ret_bytes = number;
		return 0;
	}
	return -EINVAL;
}
