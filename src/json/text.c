#include "src/json/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "src/json/scan.h"

/* Something that the scan lets pass. Without memory it says anything else. */
static bool is_content_error(const json_error_t *error)
{
	switch (json_error_code(error)) {
	case json_error_invalid_utf8:
	case json_error_null_character:
	case json_error_null_byte_in_key:
	case json_error_duplicate_key:
	case json_error_numeric_overflow:
		return true;
	default: /* an escape that is none is a matter of syntax to it */
		return strstr(error->text, "invalid escape") || strstr(error->text, "Unicode");
	}
}

int json_text_load(const char *text, size_t len, json_t **ret_value, char *ret_why)
{
	json_error_t error = { 0 }; /* where memory ends early, jansson leaves its code as it was */
	bool too_deep, is_json;
	json_t *value;

	is_json = json_scan(text, len, JSON_TEXT_DEPTH_MAX, &too_deep);
	if (too_deep) {
		(void)snprintf(ret_why, JSON_TEXT_WHY_SIZE, "no JSON: more than %d levels deep",
			       JSON_TEXT_DEPTH_MAX);
		return -EBADMSG;
	}
	value = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!value && is_json && !is_content_error(&error))
		return -ENOMEM;
	if (!value) {
		(void)snprintf(ret_why, JSON_TEXT_WHY_SIZE, "no JSON: line %d, column %d: %.120s",
			       error.line, error.column, error.text);
		return -EBADMSG;
	}
	*ret_value = value;
	return 0;
}

int json_text_dump(const struct fsu *fs, const json_t *value, size_t flags, char **ret_text,
		   size_t *ret_len)
{
	size_t len = json_dumpb(value, NULL, 0, flags);
	char *text;

	if (len == 0)
		return -ENOMEM;
	text = fsu_alloc(fs, len + 1);
	if (!text)
		return -ENOMEM;
	if (json_dumpb(value, text, len, flags) != len) {
		fsu_release(fs, text);
		return -ENOMEM;
	}
	*ret_text = text;
	*ret_len = len;
	return 0;
}

/* How many bytes follow the first one of a character; -1: it cannot be the first. */
static int follow(unsigned char first)
{
	if (first < 0x80)
		return 0;
	if (first >= 0xc2 && first < 0xe0)
		return 1;
	if (first >= 0xe0 && first < 0xf0)
		return 2;
	return first >= 0xf0 && first < 0xf5 ? 3 : -1;
}

bool json_text_is_utf8(const char *text)
{
	static const unsigned long least[] = { 0, 0x80, 0x800, 0x10000 };
	const unsigned char *p = (const unsigned char *)text;

	while (*p) {
		int n = follow(*p);
		unsigned long c = n > 0 ? *p & (0x3fu >> n) : *p;

		if (n < 0)
			return false;
		p++;
		for (int i = 0; i < n; i++, p++) {
			if ((*p & 0xc0) != 0x80)
				return false;
			c = c << 6 | (*p & 0x3f);
		}
		if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
			return false;
	}
	return true;
}
