/*
 * config.yaml: mappings within mappings, flattened by dots as Flink does it. One loop over the
 * events of libyaml, with no recursion and a limit on the depth. A list becomes one value in flow
 * form,
 * "[a, b]"; a null is a key that is not set. Anchors and aliases are refused: one alias can stand
 * for a thousand settings, and Flink's own files have none. Tags are not looked at.
 *
 * libyaml has its own memory; the file it parses is in memory and limited, see
 * FSHA_CONFIG_FILE_MAX.
 */
#include "src/config/file.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "src/config/config.h"
#include "src/result/error.h"

struct yaml_reader {
	struct config_reader *reader;
	yaml_parser_t parser;
	yaml_event_t event; /* the present one, ours to delete */
	unsigned line;      /* where it starts */
	/* The key so far, and how much of it belongs to the mappings around each depth. */
	char key[CONFIG_KEY_MAX + 2];
	size_t key_len;
	unsigned key_line; /* an entry is where its key is */
	size_t prefix[CONFIG_DEPTH_MAX];
	size_t depth;  /* mappings that are open */
	bool in_value; /* a key was read, its value comes next */
	bool seen_document;
};

/* In lines from 1; what the reader of bytes finds has an offset only. */
static unsigned error_line(const struct yaml_reader *y)
{
	unsigned line = 1;

	if (y->parser.error != YAML_READER_ERROR)
		return (unsigned)y->parser.problem_mark.line + 1;
	for (size_t i = 0; i < y->parser.problem_offset && i < y->reader->len; i++)
		line += y->reader->text[i] == '\n';
	return line;
}

static fsha_result parser_error(struct yaml_reader *y)
{
	const yaml_parser_t *parser = &y->parser;
	const char *problem = parser->problem ? parser->problem : "not understood";

	if (parser->error == YAML_MEMORY_ERROR)
		return error_set(y->reader->reterr, FSHA_E_NOMEM, 0, "parse",
				 "cannot read '%s': out of memory", config_tail(y->reader->path));
	return config_reader_error(y->reader, error_line(y), "this is no YAML: %s%s%s",
				   parser->context ? parser->context : "",
				   parser->context ? ", " : "", problem);
}

static fsha_result refuse_anchors(struct yaml_reader *y)
{
	const yaml_event_t *event = &y->event;
	const yaml_char_t *anchor = NULL;

	if (event->type == YAML_ALIAS_EVENT)
		anchor = event->data.alias.anchor;
	else if (event->type == YAML_SCALAR_EVENT)
		anchor = event->data.scalar.anchor;
	else if (event->type == YAML_SEQUENCE_START_EVENT)
		anchor = event->data.sequence_start.anchor;
	else if (event->type == YAML_MAPPING_START_EVENT)
		anchor = event->data.mapping_start.anchor;
	if (anchor)
		return config_reader_error(
			y->reader, y->line,
			"anchors and aliases (& and *) are not supported: write "
			"the value where it is meant, in quotes if it starts so");
	return FSHA_OK;
}

static fsha_result next_event(struct yaml_reader *y)
{
	yaml_event_delete(&y->event);
	if (!yaml_parser_parse(&y->parser, &y->event)) {
		/* It may have been half made. */
		memset(&y->event, 0, sizeof(y->event));
		return parser_error(y);
	}
	y->line = (unsigned)y->event.start_mark.line + 1;
	return refuse_anchors(y);
}

/* The text of the present scalar; an escaped NUL would cut it short unseen. */
static fsha_result scalar(struct yaml_reader *y, const char **ret_text)
{
	const char *text = (const char *)y->event.data.scalar.value;

	assert(y->event.type == YAML_SCALAR_EVENT);
	if (strlen(text) != y->event.data.scalar.length)
		return config_reader_error(y->reader, y->line, "a NUL character in a text");
	*ret_text = text;
	return FSHA_OK;
}

static bool is_null(const yaml_event_t *event)
{
	static const char *const nulls[] = { "", "~", "null", "Null", "NULL" };

	if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	for (size_t i = 0; i < sizeof(nulls) / sizeof(nulls[0]); i++)
		if (!strcmp((const char *)event->data.scalar.value, nulls[i]))
			return true;
	return false;
}

/* ---- Lists: one value, written as it would be in one line. ---- */

struct list_text {
	char text[FSHA_CONFIG_VALUE_MAX + 2];
	size_t len;
	bool is_map[CONFIG_DEPTH_MAX];
	size_t items[CONFIG_DEPTH_MAX]; /* written so far; in a mapping keys and values each count
					 */
	size_t depth;
};

/* What does not fit leaves the text one byte longer than a value may be. */
static void list_append(struct list_text *list, const char *text)
{
	size_t len = strlen(text), room = sizeof(list->text) - 1 - list->len;

	if (len > room)
		len = room;
	memcpy(list->text + list->len, text, len);
	list->len += len;
	list->text[list->len] = '\0';
}

static void list_separate(struct list_text *list)
{
	size_t i = list->depth - 1;

	if (list->items[i])
		list_append(list, list->is_map[i] && list->items[i] % 2 ? ": " : ", ");
	list->items[i]++;
}

static fsha_result list_open(struct yaml_reader *y, struct list_text *list, bool is_map)
{
	if (y->depth + list->depth >= CONFIG_DEPTH_MAX)
		return config_reader_error(y->reader, y->line, "nested deeper than %d",
					   CONFIG_DEPTH_MAX);
	if (list->depth)
		list_separate(list);
	list->is_map[list->depth] = is_map;
	list->items[list->depth] = 0;
	list->depth++;
	list_append(list, is_map ? "{" : "[");
	return FSHA_OK;
}

static fsha_result list_event(struct yaml_reader *y, struct list_text *list)
{
	const char *text = "";
	fsha_result result;

	switch (y->event.type) {
	case YAML_SEQUENCE_START_EVENT:
		return list_open(y, list, false);
	case YAML_MAPPING_START_EVENT:
		return list_open(y, list, true);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		list_append(list, list->is_map[--list->depth] ? "}" : "]");
		return FSHA_OK;
	default:
		break;
	}
	result = scalar(y, &text);
	if (result != FSHA_OK)
		return result;
	list_separate(list);
	list_append(list, text);
	return FSHA_OK;
}

/* From the start of a list to its end. */
static fsha_result read_list(struct yaml_reader *y)
{
	struct list_text list = { .len = 0 };
	fsha_result result;

	assert(y->event.type == YAML_SEQUENCE_START_EVENT);
	for (;;) {
		result = list_event(y, &list);
		if (result != FSHA_OK)
			return result;
		if (!list.depth)
			return config_reader_add(y->reader, y->key_line, y->key, list.text);
		result = next_event(y);
		if (result != FSHA_OK)
			return result;
	}
}

/* ---- Mappings. ---- */

static void key_cut(struct yaml_reader *y, size_t len)
{
	y->key_len = len;
	y->key[len] = '\0';
	y->in_value = false;
}

static fsha_result read_key(struct yaml_reader *y)
{
	size_t start = y->prefix[y->depth - 1], room = sizeof(y->key) - 1 - start, len;
	const char *text = "";
	fsha_result result;

	result = scalar(y, &text);
	if (result != FSHA_OK)
		return result;
	if (!text[0])
		return config_reader_error(y->reader, y->line, "a key is empty");

	/* Cut at one byte more than is allowed: still too long when it is added. */
	len = strlen(text);
	key_cut(y, start);
	memcpy(y->key + start, text, len < room ? len : room);
	y->key_len = start + (len < room ? len : room);
	y->key[y->key_len] = '\0';
	y->key_line = y->line;
	y->in_value = true;
	return FSHA_OK;
}

static fsha_result open_mapping(struct yaml_reader *y)
{
	if (y->depth >= CONFIG_DEPTH_MAX)
		return config_reader_error(y->reader, y->line, "nested deeper than %d",
					   CONFIG_DEPTH_MAX);
	if (y->depth && y->key_len < sizeof(y->key) - 1) {
		y->key[y->key_len++] = '.';
		y->key[y->key_len] = '\0';
	}
	y->prefix[y->depth++] = y->key_len;
	y->in_value = false;
	return FSHA_OK;
}

static void close_mapping(struct yaml_reader *y)
{
	assert(y->depth > 0);
	y->depth--;
	key_cut(y, y->depth ? y->prefix[y->depth - 1] : 0);
}

static fsha_result read_value(struct yaml_reader *y)
{
	fsha_result result = FSHA_OK;
	const char *text = "";

	if (y->event.type == YAML_MAPPING_START_EVENT)
		return open_mapping(y);
	if (y->event.type == YAML_SEQUENCE_START_EVENT) {
		result = read_list(y);
	} else if (!is_null(&y->event)) {
		result = scalar(y, &text);
		if (result == FSHA_OK)
			result = config_reader_add(y->reader, y->key_line, y->key, text);
	}
	if (result == FSHA_OK)
		key_cut(y, y->prefix[y->depth - 1]);
	return result;
}

static fsha_result handle(struct yaml_reader *y)
{
	switch (y->event.type) {
	case YAML_STREAM_START_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		return FSHA_OK;
	case YAML_DOCUMENT_START_EVENT:
		if (y->seen_document)
			return config_reader_error(y->reader, y->line,
						   "a second document: only one is read");
		y->seen_document = true;
		return FSHA_OK;
	case YAML_MAPPING_END_EVENT:
		close_mapping(y);
		return FSHA_OK;
	default:
		break;
	}
	if (y->in_value)
		return read_value(y);
	if (y->depth) {
		if (y->event.type == YAML_SCALAR_EVENT)
			return read_key(y);
		return config_reader_error(y->reader, y->line, "a key must be plain text");
	}
	if (y->event.type == YAML_MAPPING_START_EVENT)
		return open_mapping(y);
	/* "---" and nothing behind it. */
	if (y->event.type == YAML_SCALAR_EVENT && is_null(&y->event))
		return FSHA_OK;
	return config_reader_error(
		y->reader, y->line,
		"not a setting: write 'key: value', with a space behind the colon");
}

fsha_result config_yaml_parse(struct config_reader *reader)
{
	struct yaml_reader y = { .reader = reader };
	fsha_result result;

	if (!yaml_parser_initialize(&y.parser))
		return error_set(reader->reterr, FSHA_E_NOMEM, 0, "parse",
				 "cannot read '%s': out of memory", config_tail(reader->path));
	yaml_parser_set_encoding(&y.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&y.parser, (const unsigned char *)reader->text, reader->len);

	/* Every event consumes text or closes what text has opened, so this ends. */
	do {
		result = next_event(&y);
		if (result == FSHA_OK && y.event.type == YAML_STREAM_END_EVENT)
			break;
		if (result == FSHA_OK)
			result = handle(&y);
	} while (result == FSHA_OK);

	yaml_event_delete(&y.event);
	yaml_parser_delete(&y.parser);
	return result;
}
