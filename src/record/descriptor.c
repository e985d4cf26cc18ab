#include "src/record/descriptor.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "fsha/state.h"
#include "src/result/error.h"

/* A signal handler of the user's that comes for ever must not keep us for ever. */
#define EINTR_MAX 1000

static ssize_t failed(struct descriptor_source *d, int os_errno)
{
	/* What no waiting helps against is the caller's mistake. */
	bool wrong = os_errno == EBADF || os_errno == EISDIR || os_errno == EINVAL;

	d->source.result = error_set(&d->error, wrong ? FSHA_E_INVALID : FSHA_E_IO, os_errno,
				     "read", "cannot read descriptor %d", d->fd);
	d->source.error = &d->error;
	return -os_errno;
}

static ssize_t ended(struct descriptor_source *d)
{
	if (d->size == FSHA_TO_END)
		return 0;
	d->source.result = error_set(&d->error, FSHA_E_INVALID, 0, "read",
				     "descriptor %d ended after %llu of %llu bytes", d->fd,
				     (unsigned long long)d->done, (unsigned long long)d->size);
	d->source.error = &d->error;
	return -ENODATA;
}

static ssize_t read_descriptor(void *ctx, void *buf, size_t size)
{
	struct descriptor_source *d = ctx;
	ssize_t n = -1;

	if (d->size != FSHA_TO_END && size > d->size - d->done)
		size = (size_t)(d->size - d->done);
	if (size == 0)
		return 0;
	errno = EINTR;
	for (int i = 0; n < 0 && errno == EINTR && i < EINTR_MAX; i++)
		n = read(d->fd, buf, size); /* lint: not of the shared directory */
	if (n < 0)
		return failed(d, errno);
	if (n == 0)
		return ended(d);
	d->done += (uint64_t)n;
	return n;
}

void descriptor_source_init(struct descriptor_source *d, int fd, uint64_t size)
{
	*d = (struct descriptor_source){
		.fd = fd,
		.size = size,
		.error = FSHA_ERROR_INIT,
	};
	d->source.source.read = read_descriptor;
	d->source.source.ctx = d;
}

static fsha_result write_descriptor(void *ctx, const void *data, size_t size, fsha_error *reterr)
{
	struct descriptor_sink *d = ctx;
	const char *at = data;
	int interrupted = 0;

	while (size > 0) {
		ssize_t n = write(d->fd, at, size); /* lint: not of the shared directory */

		if (n < 0 && errno == EINTR && interrupted++ < EINTR_MAX)
			continue;
		if (n <= 0) {
			int os_errno = n < 0 ? errno : EIO;

			return error_set(reterr,
					 os_errno == EBADF || os_errno == EINVAL ? FSHA_E_INVALID :
										   FSHA_E_IO,
					 os_errno, "write", "cannot write to descriptor %d", d->fd);
		}
		interrupted = 0;
		at += n;
		size -= (size_t)n;
	}
	return FSHA_OK;
}

void descriptor_sink_init(struct descriptor_sink *d, int fd)
{
	*d = (struct descriptor_sink){ .sink = { .write = write_descriptor, .ctx = d }, .fd = fd };
}
