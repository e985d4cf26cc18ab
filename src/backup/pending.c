#include "src/backup/pending.h"

#include <errno.h>
#include <string.h>

#include "src/result/error.h"

#define BYTES_MAX (UINT64_C(8) << 20)
#define COUNT_MAX 1000

static void *release(struct pending *p, const void *data)
{
	fsu_release(p->fs, (void *)(uintptr_t)data);
	return NULL;
}

fsha_result pending_add(struct pending *p, enum store_write how, const char *key, uint8_t *data,
			size_t size, fsha_error *reterr)
{
	char *copy = fsu_strdup(p->fs, key);

	if (copy && p->count == p->size) {
		size_t more = p->size ? p->size * 2 : 64;
		struct store_change *grown =
			fsu_resize(p->fs, p->changes, more * sizeof(*p->changes));

		if (grown) {
			p->changes = grown;
			p->size = more;
		} else {
			copy = release(p, copy);
		}
	}
	if (!copy) {
		(void)release(p, data);
		return error_os(reterr, -ENOMEM, "alloc", "cannot restore '%s'", key);
	}
	p->changes[p->count++] =
		(struct store_change){ .how = how, .key = copy, .data = data, .size = size };
	p->bytes += size;
	return FSHA_OK;
}

bool pending_is_full(const struct pending *p)
{
	return p->count >= COUNT_MAX || p->bytes >= BYTES_MAX;
}

fsha_result pending_flush(struct pending *p, struct store *s, fsha_error *reterr)
{
	fsha_result result = FSHA_OK;

	for (size_t at = 0; at < p->count && result == FSHA_OK; at += COUNT_MAX) {
		size_t n = p->count - at < COUNT_MAX ? p->count - at : COUNT_MAX, failed;

		result = store_write_batch(s, p->changes + at, n, NULL, &failed, reterr);
	}
	pending_drop(p);
	return result;
}

void pending_drop(struct pending *p)
{
	for (size_t i = 0; i < p->count; i++) {
		(void)release(p, p->changes[i].key);
		(void)release(p, p->changes[i].data);
	}
	p->count = 0;
	p->bytes = 0;
}

void pending_done(struct pending *p)
{
	pending_drop(p);
	fsu_release(p->fs, p->changes);
	p->changes = NULL;
	p->size = 0;
}
