/* A leader with a large value in its store, for the tests of streams in fsha/state.h. */
#ifndef TESTS_TEST_STATE_STREAM_H
#define TESTS_TEST_STATE_STREAM_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "fsutil/fsu_stream.h"
#include "tests/lib/holder.h"

#define LARGE 70000u /* just a stream: the sweeps copy it many thousand times */
#define DIRECTORY "/c/state/ns"

struct scene {
	struct holder h;
	fsha_state_store *store;
	fsha_version version; /* of "k" */
	int fd;               /* LARGE bytes of 'n' */
	fsha_error error;
};

static inline void open_store(struct scene *s)
{
	assert_int_equal(fsha_state_store_open(s->h.services, "ns", "dispatcher", &s->store, NULL),
			 FSHA_OK);
}

/* A descriptor with `size` bytes of `c`, at its beginning. */
static inline int descriptor_of(char c, size_t size)
{
	int fd = memfd_create("value", MFD_CLOEXEC);
	char *data = malloc(size + 1);

	assert_true(fd >= 0);
	assert_non_null(data);
	memset(data, c, size);
	assert_int_equal(write(fd, data, size), size);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	free(data);
	return fd;
}

static inline void lead(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	*s = (struct scene){ .error = FSHA_ERROR_INIT };
	holder_start(&s->h, disk, 0, "dispatcher");
	open_store(s);
	s->fd = descriptor_of('o', LARGE);
	assert_int_equal(
		fsha_state_store_add_fd(s->store, "k", s->fd, FSHA_TO_END, &s->version, &s->error),
		FSHA_OK);
	(void)close(s->fd);
	s->fd = descriptor_of('n', LARGE);
}

static inline void leave(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	(void)disk;
	fsha_state_store_close(s->store);
	holder_stop(&s->h);
	if (s->fd >= 0)
		(void)close(s->fd);
}

/* A callback that gives bytes, and in the middle has something happen. */
struct feed {
	struct scene *s;
	uint64_t size, done;
	uint64_t at; /* when so much was read, `event` happens */
	void (*event)(struct scene *s);
	int error; /* negative: instead of more, once the event is over */
};

static inline int64_t feed_read(void *ctx, void *buf, size_t size)
{
	struct feed *f = ctx;

	if (f->at && f->done >= f->at) {
		f->at = 0;
		if (f->event)
			f->event(f->s);
		if (f->error)
			return f->error;
	}
	if (size > f->size - f->done)
		size = (size_t)(f->size - f->done);
	memset(buf, 'f', size);
	f->done += size;
	return (int64_t)size;
}

/* A callback that takes bytes and answers with the int that `ctx` is. */
static inline int refuse(void *ctx, const void *data, size_t size)
{
	(void)data;
	(void)size;
	return *(int *)ctx;
}

#endif
