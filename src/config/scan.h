/* Numbers and units at the start of a text, the same in every locale. */
#ifndef SRC_CONFIG_SCAN_H
#define SRC_CONFIG_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#define SCAN_UNIT_MAX 16 /* bytes of the longest name of a unit, and some */

bool scan_is_blank(char c);
bool scan_is_digit(char c);
char scan_lower(char c);
/* Moves on behind the digits. -EINVAL when there is none, -ERANGE. */
int scan_number(const char **text, uint64_t *ret_number);
/* Blanks, a number, blanks, and what is left in lower case without blanks at its end. */
int scan_number_and_unit(const char *text, uint64_t *ret_number, char *ret_unit);
/* `text` up to blanks at its end, in lower case, of SCAN_UNIT_MAX bytes. -EINVAL: too long. */
int scan_unit(const char *text, char *ret_unit);

#endif
