#include "src/json/scan.h"

#include <string.h>

struct scan {
	const char *at, *end;
	int depth_left;
	bool too_deep;
};

static bool value(struct scan *s);

static void skip_spaces(struct scan *s)
{
	while (s->at < s->end && strchr(" \t\r\n", *s->at) && *s->at)
		s->at++;
}

static bool take(struct scan *s, char c)
{
	if (s->at == s->end || *s->at != c)
		return false;
	s->at++;
	return true;
}

static bool word(struct scan *s, const char *text)
{
	size_t len = strlen(text);

	if ((size_t)(s->end - s->at) < len || memcmp(s->at, text, len) != 0)
		return false;
	s->at += len;
	return true;
}

static bool string(struct scan *s)
{
	if (!take(s, '"'))
		return false;
	while (s->at < s->end && *s->at != '"') {
		if ((unsigned char)*s->at < ' ')
			return false;
		if (*s->at == '\\' && ++s->at == s->end)
			return false;
		s->at++;
	}
	return take(s, '"');
}

static bool digits(struct scan *s)
{
	const char *from = s->at;

	while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
		s->at++;
	return s->at > from;
}

static bool number(struct scan *s)
{
	(void)take(s, '-');
	if (!take(s, '0') && !digits(s))
		return false;
	if (take(s, '.') && !digits(s))
		return false;
	if (!take(s, 'e') && !take(s, 'E'))
		return true;
	if (!take(s, '+'))
		(void)take(s, '-');
	return digits(s);
}

static bool member(struct scan *s)
{
	if (!string(s))
		return false;
	skip_spaces(s);
	return take(s, ':') && value(s);
}

/* What is between the brackets, and the closing one. */
static bool items(struct scan *s, char close, bool (*item)(struct scan *s))
{
	if (s->depth_left == 0) {
		s->too_deep = true;
		return false;
	}
	s->depth_left--;
	skip_spaces(s);
	if (!take(s, close)) {
		do {
			skip_spaces(s);
			if (!item(s))
				return false;
			skip_spaces(s);
		} while (take(s, ','));
		if (!take(s, close))
			return false;
	}
	s->depth_left++;
	return true;
}

/* As deep as the limit allows, and no deeper. */
static bool value(struct scan *s)
{
	skip_spaces(s);
	if (take(s, '{'))
		return items(s, '}', member);
	if (take(s, '['))
		return items(s, ']', value);
	if (s->at < s->end && *s->at == '"')
		return string(s);
	return word(s, "true") || word(s, "false") || word(s, "null") || number(s);
}

bool json_scan(const char *text, size_t len, int depth_max, bool *ret_too_deep)
{
	struct scan s = { .at = text, .end = text + len, .depth_left = depth_max };
	bool is_json;

	skip_spaces(&s);
	is_json = s.at < s.end && (*s.at == '{' || *s.at == '[') && value(&s);
	skip_spaces(&s);
	*ret_too_deep = s.too_deep;
	return is_json && s.at == s.end;
}
