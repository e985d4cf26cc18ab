/* Words of Flink's that may be written in any case. Not strcasecmp(), which follows the locale. */
#ifndef SRC_RESULT_WORD_H
#define SRC_RESULT_WORD_H

#include <stdbool.h>

static inline bool word_equal(const char *a, const char *b)
{
	for (;; a++, b++) {
		char x = *a >= 'a' && *a <= 'z' ? (char)(*a - 'a' + 'A') : *a;
		char y = *b >= 'a' && *b <= 'z' ? (char)(*b - 'a' + 'A') : *b;

		if (x != y || !x)
			return x == y;
	}
}

#endif
