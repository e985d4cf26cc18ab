/*
 * Is a text JSON by its form? Without memory: jansson takes a lack of it for a mistake in the text,
 * and a record that is whole must not be called damaged for that.
 */
#ifndef SRC_JSON_SCAN_H
#define SRC_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

/*
 * One object or array, nothing behind it, at most `depth_max` arrays and objects within each other;
 * `*ret_too_deep` tells when it is those. Escapes and UTF-8 are not looked into, nor is whether a
 * name is there twice.
 */
bool json_scan(const char *text, size_t len, int depth_max, bool *ret_too_deep);

#endif
