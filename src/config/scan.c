#include "src/config/scan.h"

#include <errno.h>
#include <string.h>

/* Not isspace() and its kin: their answers depend on the locale of the program. */
bool scan_is_blank(char c)
{
	return c && (unsigned char)c <= ' ';
}

bool scan_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

char scan_lower(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	return c;
}

int scan_number(const char **text, uint64_t *ret_number)
{
	uint64_t number = 0;

	if (!scan_is_digit(**text))
		return -EINVAL;
	for (; scan_is_digit(**text); (*text)++)
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(**text - '0'), &number))
			return -ERANGE;
	*ret_number = number;
	return 0;
}

int scan_unit(const char *text, char *ret_unit)
{
	size_t len = strlen(text);

	while (len && scan_is_blank(text[len - 1]))
		len--;
	if (len >= SCAN_UNIT_MAX)
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		ret_unit[i] = scan_lower(text[i]);
	ret_unit[len] = '\0';
	return 0;
}

int scan_number_and_unit(const char *text, uint64_t *ret_number, char *ret_unit)
{
	int r;

	while (scan_is_blank(*text))
		text++;
	r = scan_number(&text, ret_number);
	if (r < 0)
		return r;
	while (scan_is_blank(*text))
		text++;
	return scan_unit(text, ret_unit);
}
