#include "src/cli/job_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/cli/cli_error.h"

#define CHUNK 65536

static fsha_result cannot(const char *what, const char *path, int os_errno, fsha_error *reterr)
{
	return cli_error_set(reterr, FSHA_E_IO, os_errno, "cannot %s '%.200s': %s", what, path,
			     strerror(os_errno));
}

/* Until the end, at most one byte more than a record can hold. */
static int read_all(int fd, struct job_file *file)
{
	size_t room = 0;

	while (file->size <= FSHA_STATE_VALUE_MAX) {
		ssize_t n;

		if (room - file->size < CHUNK) {
			void *data;

			room = room ? 2 * room : 4 * CHUNK;
			data = realloc(file->data, room);
			if (!data)
				return -ENOMEM;
			file->data = data;
		}
		n = read(fd, (char *)file->data + file->size, room - file->size);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			file->size += (size_t)n;
	}
	return -EFBIG;
}

fsha_result job_file_read(struct job_file *ret_file, const char *path, fsha_error *reterr)
{
	bool from_stdin = !path || strcmp(path, "-") == 0;
	struct job_file file = { .data = NULL };
	int fd = STDIN_FILENO, r;

	if (!from_stdin) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return cannot("read", path, errno, reterr);
	}
	r = read_all(fd, &file);
	if (!from_stdin)
		(void)close(fd); /* it was only read */
	if (r == 0) {
		*ret_file = file;
		return FSHA_OK;
	}
	job_file_done(&file);
	if (r == -EFBIG)
		return cli_error_set(reterr, FSHA_E_INVALID, EFBIG,
				     "cannot store '%.200s': larger than %llu bytes",
				     from_stdin ? "standard input" : path,
				     (unsigned long long)FSHA_STATE_VALUE_MAX);
	return cannot("read", from_stdin ? "standard input" : path, -r, reterr);
}

void job_file_done(struct job_file *file)
{
	free(file->data);
	file->data = NULL;
}

fsha_result job_file_write(const struct job_file *file, const char *path, fsha_error *reterr)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	size_t done = 0;

	if (fd < 0)
		return cannot("write", path, errno, reterr);
	while (done < file->size) {
		ssize_t n = write(fd, (const char *)file->data + done, file->size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int os_errno = errno;

			(void)close(fd); /* the first error counts */
			return cannot("write", path, os_errno, reterr);
		}
		done += (size_t)n;
	}
	return close(fd) < 0 ? cannot("write", path, errno, reterr) : FSHA_OK;
}

static char *base64(const unsigned char *data, size_t size)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
	char *text = malloc((size + 2) / 3 * 4 + 1), *p = text;

	if (!text)
		return NULL;
	for (size_t i = 0; i < size; i += 3) {
		size_t left = size - i;
		uint32_t bits = (uint32_t)data[i] << 16 |
				(left > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
				(left > 2 ? data[i + 2] : 0);

		*p++ = digits[bits >> 18];
		*p++ = digits[bits >> 12 & 63];
		*p++ = digits[left > 1 ? bits >> 6 & 63 : 64];
		*p++ = digits[left > 2 ? bits & 63 : 64];
	}
	*p = '\0';
	return text;
}

json_t *job_file_json(const struct job_file *file)
{
	json_t *text = json_stringn(file->data, file->size);
	json_t *graph;
	char *encoded;

	if (text)
		return json_pack("{s:s, s:o}", "encoding", "utf-8", "data", text);
	encoded = base64(file->data, file->size);
	graph = encoded ? json_pack("{s:s, s:s}", "encoding", "base64", "data", encoded) : NULL;
	free(encoded);
	return graph;
}
