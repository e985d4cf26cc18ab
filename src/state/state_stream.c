/* The public face of streams: descriptors and callbacks as sources and sinks. */
#include <errno.h>

#include "src/record/descriptor.h"
#include "src/result/error.h"
#include "src/state/state_store.h"

static fsha_result write_from(fsha_state_store *s, enum store_write how, const char *name,
			      const fsha_version *expected, struct record_source *source,
			      fsha_version *ret_version, fsha_error *reterr)
{
	char key[FSU_COMPONENT_MAX + 1];
	fsha_result result;

	if (!s)
		return error_set(reterr, FSHA_E_INVALID, 0, "write", "an argument is NULL");
	if (how == STORE_REPLACE && !expected)
		return error_set(reterr, FSHA_E_INVALID, 0, "replace",
				 "the expected version is NULL: ask fsha_state_store_exists");
	result = state_store_encode("name", name, key, reterr);
	if (result != FSHA_OK)
		return result;
	return store_write_stream(s->store, how, key, expected, source, ret_version, reterr);
}

static fsha_result read_into(fsha_state_store *s, const char *name, const struct record_sink *sink,
			     uint64_t *ret_size, fsha_version *ret_version, fsha_error *reterr)
{
	char key[FSU_COMPONENT_MAX + 1];
	fsha_result result;

	if (!s)
		return error_set(reterr, FSHA_E_INVALID, 0, "get", "an argument is NULL");
	result = state_store_encode("name", name, key, reterr);
	if (result != FSHA_OK)
		return result;
	return store_get_stream(s->store, key, sink, ret_size, ret_version, reterr);
}

/* ---- descriptors ---- */

static fsha_result write_fd(fsha_state_store *s, enum store_write how, const char *name,
			    const fsha_version *expected, int fd, uint64_t size,
			    fsha_version *ret_version, fsha_error *reterr)
{
	struct descriptor_source source;

	if (fd < 0)
		return error_set(reterr, FSHA_E_INVALID, 0, "write", "%d is no descriptor", fd);
	descriptor_source_init(&source, fd, size);
	return write_from(s, how, name, expected, &source.source, ret_version, reterr);
}

fsha_result fsha_state_store_add_fd(fsha_state_store *s, const char *name, int fd, uint64_t size,
				    fsha_version *ret_version, fsha_error *reterr)
{
	return write_fd(s, STORE_ADD, name, NULL, fd, size, ret_version, reterr);
}

fsha_result fsha_state_store_replace_fd(fsha_state_store *s, const char *name,
					const fsha_version *expected, int fd, uint64_t size,
					fsha_version *ret_version, fsha_error *reterr)
{
	return write_fd(s, STORE_REPLACE, name, expected, fd, size, ret_version, reterr);
}

fsha_result fsha_state_store_get_fd(fsha_state_store *s, const char *name, int fd,
				    uint64_t *ret_size, fsha_version *ret_version,
				    fsha_error *reterr)
{
	struct descriptor_sink sink;

	if (fd < 0)
		return error_set(reterr, FSHA_E_INVALID, 0, "get", "%d is no descriptor", fd);
	descriptor_sink_init(&sink, fd);
	return read_into(s, name, &sink.sink, ret_size, ret_version, reterr);
}

/* ---- callbacks ---- */

struct reader {
	struct record_source source;
	fsha_read_function *read;
	void *ctx;
	fsha_error error;
};

static ssize_t read_callback(void *ctx, void *buf, size_t size)
{
	struct reader *r = ctx;
	int64_t n = r->read(r->ctx, buf, size);

	if (n >= 0)
		return (ssize_t)n;
	if (n < -4095) /* no errno */
		n = -EIO;
	r->source.result =
		error_set(&r->error, FSHA_E_IO, (int)-n, "read", "the source of the value failed");
	r->source.error = &r->error;
	return (ssize_t)n;
}

static fsha_result write_called(fsha_state_store *s, enum store_write how, const char *name,
				const fsha_version *expected, fsha_read_function *from, void *ctx,
				fsha_version *ret_version, fsha_error *reterr)
{
	struct reader reader = {
		.source = { .source = { read_callback, &reader } },
		.read = from,
		.ctx = ctx,
		.error = FSHA_ERROR_INIT,
	};

	if (!from)
		return error_set(reterr, FSHA_E_INVALID, 0, "write", "an argument is NULL");
	return write_from(s, how, name, expected, &reader.source, ret_version, reterr);
}

fsha_result fsha_state_store_add_stream(fsha_state_store *s, const char *name,
					fsha_read_function *from, void *ctx,
					fsha_version *ret_version, fsha_error *reterr)
{
	return write_called(s, STORE_ADD, name, NULL, from, ctx, ret_version, reterr);
}

fsha_result fsha_state_store_replace_stream(fsha_state_store *s, const char *name,
					    const fsha_version *expected, fsha_read_function *from,
					    void *ctx, fsha_version *ret_version,
					    fsha_error *reterr)
{
	return write_called(s, STORE_REPLACE, name, expected, from, ctx, ret_version, reterr);
}

struct writer {
	fsha_write_function *write;
	void *ctx;
};

static fsha_result write_callback(void *ctx, const void *data, size_t size, fsha_error *reterr)
{
	struct writer *w = ctx;
	int r = w->write(w->ctx, data, size);

	if (r == 0)
		return FSHA_OK;
	return error_set(reterr, FSHA_E_IO, r < 0 && r >= -4095 ? -r : 0, "write",
			 "whoever takes the value stopped");
}

fsha_result fsha_state_store_get_stream(fsha_state_store *s, const char *name,
					fsha_write_function *to, void *ctx, uint64_t *ret_size,
					fsha_version *ret_version, fsha_error *reterr)
{
	struct writer writer = { to, ctx };
	const struct record_sink sink = { .write = write_callback, .ctx = &writer };

	if (!to)
		return error_set(reterr, FSHA_E_INVALID, 0, "get", "an argument is NULL");
	return read_into(s, name, &sink, ret_size, ret_version, reterr);
}
