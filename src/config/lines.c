/*
 * flink-conf.yaml, by lines as Flink reads it: text from a '#' at the start or behind white space
 * is a comment, the first ": " ends the key, both sides are trimmed and there are no quotes. So "a:
 * b: c" is the value "b: c". A key with nothing behind it is not set.
 */
#include "src/config/file.h"

#include <string.h>

#include "src/config/config.h"

/* As Java's trim(): everything up to the space. UTF-8 beyond ASCII is text. */
static bool is_blank(char c)
{
	return (unsigned char)c <= ' ';
}

static size_t trim(const char **text, size_t len)
{
	while (len && is_blank(**text)) {
		(*text)++;
		len--;
	}
	while (len && is_blank((*text)[len - 1]))
		len--;
	return len;
}

static size_t without_comment(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (line[i] == '#' && (i == 0 || is_blank(line[i - 1])))
			return i;
	return len;
}

/* The first ": " in `len` bytes, or NULL. */
static const char *separator(const char *text, size_t len)
{
	for (size_t i = 0; i + 1 < len; i++)
		if (text[i] == ':' && text[i + 1] == ' ')
			return text + i;
	return NULL;
}

static fsha_result add(struct config_reader *reader, unsigned line, const char *key, size_t key_len,
		       const char *value, size_t value_len)
{
	/* One byte more than is allowed, so that what is too long is still too long when cut. */
	char key_text[CONFIG_KEY_MAX + 2], value_text[FSHA_CONFIG_VALUE_MAX + 2];

	if (key_len > CONFIG_KEY_MAX)
		key_len = CONFIG_KEY_MAX + 1;
	if (value_len > FSHA_CONFIG_VALUE_MAX)
		value_len = FSHA_CONFIG_VALUE_MAX + 1;
	memcpy(key_text, key, key_len);
	key_text[key_len] = '\0';
	memcpy(value_text, value, value_len);
	value_text[value_len] = '\0';
	return config_reader_add(reader, line, key_text, value_text);
}

/* `*parent_line`: the line of a "key:" without a value just before, or 0. */
static fsha_result parse_line(struct config_reader *reader, unsigned line, const char *text,
			      size_t len, unsigned *parent_line)
{
	const char *key = text, *value, *colon;
	unsigned parent = *parent_line;
	size_t key_len, value_len;

	len = trim(&key, without_comment(text, len));
	if (!len || (len == 3 && !memcmp(key, "---", 3)))
		return FSHA_OK;
	/* Flink would take the inner keys for keys of their own and the outer one for nothing. */
	if (parent && key > text)
		return config_reader_error(
			reader, line,
			"nested below line %u, but flink-conf.yaml is flat: write the whole key "
			"in one line, or use a config.yaml",
			parent);

	*parent_line = 0;
	colon = separator(key, len);
	if (!colon && key[len - 1] == ':') {
		*parent_line = line;
		return FSHA_OK;
	}
	if (!colon)
		return config_reader_error(
			reader, line,
			"not a setting: write 'key: value', with a space behind the colon");

	value = colon + 1;
	value_len = trim(&value, (size_t)(key + len - value));
	key_len = trim(&key, (size_t)(colon - key));
	return add(reader, line, key, key_len, value, value_len);
}

fsha_result config_lines_parse(struct config_reader *reader)
{
	const char *text = reader->text;
	unsigned line = 0, parent_line = 0;

	while (*text) {
		size_t len = strcspn(text, "\r\n");
		fsha_result result = parse_line(reader, ++line, text, len, &parent_line);

		if (result != FSHA_OK)
			return result;
		text += len;
		if (text[0] == '\r' && text[1] == '\n')
			text++;
		if (*text)
			text++;
	}
	return FSHA_OK;
}
