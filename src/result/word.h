/* Words of Flink's that may be written in any case. Not strcasecmp(), which follows the locale. */
#ifndef SRC_RESULT_WORD_H
#define SRC_RESULT_WORD_H

#include <stdbool.h>

static inline char word_upper(char c)
{
	if (c >= 'a' && c <= 'z')
		return (char)(c - 'a' + 'A');
	return c;
}

static inline bool word_equal(const char *a, const char *b)
{
	while (*a && word_upper(*a) == word_upper(*b)) {
		a++;
		b++;
	}
	return !*a && !*b;
}

#endif
