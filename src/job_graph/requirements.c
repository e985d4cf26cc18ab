#include "src/job_graph/requirements.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "fsutil/fsu_record.h"
#include "src/json/text.h"
#include "src/result/error.h"

#define MAGIC "FSHAREQ\n"
#define MAGIC_SIZE (sizeof(MAGIC) - 1)

bool requirements_are_mistakable(const void *graph, size_t size)
{
	return size >= MAGIC_SIZE && memcmp(graph, MAGIC, MAGIC_SIZE) == 0;
}

int requirements_join(const struct fsu *fs, const struct requirements_parts *parts,
		      uint8_t **ret_payload, size_t *ret_size)
{
	size_t head = MAGIC_SIZE + 4 + parts->requirements_size, size = head + parts->graph_size;
	struct fsu_writer w = { .size = head };

	if (size > FSHA_STATE_VALUE_MAX)
		return -EMSGSIZE;
	w.buf = fsu_alloc(fs, size);
	if (!w.buf)
		return -ENOMEM;
	memcpy(w.buf, MAGIC, MAGIC_SIZE);
	w.len = MAGIC_SIZE;
	fsu_put_bytes(&w, parts->requirements, parts->requirements_size);
	if (parts->graph_size > 0)
		memcpy(w.buf + head, parts->graph, parts->graph_size);
	*ret_payload = w.buf;
	*ret_size = size;
	return w.error;
}

int requirements_split(const uint8_t *payload, size_t size, struct requirements_parts *ret_parts)
{
	struct fsu_reader r = { .buf = payload, .size = size, .pos = MAGIC_SIZE };
	struct requirements_parts parts = { .graph = payload, .graph_size = size };

	if (requirements_are_mistakable(payload, size)) {
		parts.requirements = fsu_get_bytes(&r, size, &parts.requirements_size);
		if (r.error)
			return -EBADMSG;
		parts.graph = payload + r.pos;
		parts.graph_size = size - r.pos;
	}
	*ret_parts = parts;
	return 0;
}

/* ---- what they may say ---- */

/* -1 stands for the default: 1, or the vertex's own maximum. */
static bool is_bound(const json_t *bound)
{
	json_int_t n = json_integer_value(bound);

	return json_is_integer(bound) && (n == -1 || (n > 0 && n <= INT32_MAX));
}

static fsha_result refuse(const char *vertex, const char *why, fsha_error *reterr)
{
	return error_set(reterr, FSHA_E_INVALID, 0, "put",
			 "the resource requirements of vertex '%.60s' make no sense: %s", vertex,
			 why);
}

static fsha_result check_vertex(const char *vertex, const json_t *value, fsha_error *reterr)
{
	const json_t *inner = json_object_get(value, "parallelism");
	const json_t *lower, *upper;

	value = inner ? inner : value;
	lower = json_object_get(value, "lowerBound");
	upper = json_object_get(value, "upperBound");
	if (!lower && !upper)
		return FSHA_OK; /* something else, which is not ours to judge */
	if (!lower || !upper)
		return refuse(vertex, "one of lowerBound and upperBound is missing", reterr);
	if (!is_bound(lower) || !is_bound(upper))
		return refuse(vertex, "a bound is a number above 0, or -1 for the default", reterr);
	if (json_integer_value(upper) != -1 &&
	    json_integer_value(lower) > json_integer_value(upper))
		return refuse(vertex, "lowerBound is above upperBound", reterr);
	return FSHA_OK;
}

fsha_result requirements_check(const char *text, size_t size, fsha_error *reterr)
{
	_cleanup_json_ json_t *document = NULL;
	char why[JSON_TEXT_WHY_SIZE];
	fsha_result result = FSHA_OK;
	const char *vertex;
	json_t *value;
	int r;

	if (size > FSHA_JOB_REQUIREMENTS_MAX)
		return error_set(reterr, FSHA_E_INVALID, 0, "put",
				 "the resource requirements have %zu bytes, at most %d are allowed",
				 size, FSHA_JOB_REQUIREMENTS_MAX);
	r = json_text_load(text, size, &document, why);
	if (r == -EBADMSG)
		return error_set(reterr, FSHA_E_INVALID, 0, "put",
				 "the resource requirements are %s", why);
	if (r < 0)
		return error_os(reterr, r, "put", "cannot read the resource requirements");
	json_object_foreach(document, vertex, value)
	{
		if (result == FSHA_OK)
			result = check_vertex(vertex, value, reterr);
	}
	return result;
}
