#include "src/cli/value_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/cli/cli_error.h"
#include "src/cli/unfinished.h"

#define CHUNK 65536

static fsha_result cannot(const char *what, const char *path, fsha_error *reterr)
{
	int os_errno = errno;

	return cli_error_set(reterr, os_errno == ENOMEM ? FSHA_E_NOMEM : FSHA_E_IO, os_errno,
			     "cannot %s '%.200s': %s", what, path, strerror(os_errno));
}

bool value_file_is_standard(const char *path)
{
	return !path || strcmp(path, "-") == 0;
}

static int write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, data, size);

		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0) {
			data += n;
			size -= (size_t)n;
		}
	}
	return 0;
}

/* To the end, into a file without a name; -1 and errno. */
static int spool(int from)
{
	const char *dir = getenv("TMPDIR");
	char path[4096], chunk[CHUNK];
	ssize_t n = 1;
	int fd;

	if (snprintf(path, sizeof(path), "%s/fsha-XXXXXX", dir && *dir ? dir : "/tmp") >=
	    (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -1;
	(void)unlink(path);
	while (n > 0) {
		n = read(from, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n > 0 && write_all(fd, chunk, (size_t)n) < 0)
			n = -1;
	}
	if (n == 0 && lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	(void)close(fd); /* it goes with that */
	return -1;
}

fsha_result value_file_open(const char *path, int *ret_fd, fsha_error *reterr)
{
	bool standard = value_file_is_standard(path);
	const char *name = standard ? "standard input" : path;
	int fd = standard ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	int copy;

	if (fd < 0 || fstat(fd, &st) < 0) {
		fsha_result result = cannot("read", name, reterr);

		if (fd >= 0)
			(void)close(fd); /* it was only read */
		return result;
	}
	if (S_ISREG(st.st_mode)) {
		*ret_fd = fd;
		return FSHA_OK;
	}
	copy = spool(fd);
	if (copy < 0)
		(void)cannot("take in", name, reterr);
	(void)close(fd); /* it was only read */
	*ret_fd = copy;
	return copy < 0 ? FSHA_E_IO : FSHA_OK;
}

fsha_result value_target_open(struct value_target *ret_target, const char *path, fsha_error *reterr)
{
	struct value_target t = { .path = path, .fd = STDOUT_FILENO };
	size_t len = path ? strlen(path) : 0;
	mode_t mask;

	if (!value_file_is_standard(path)) {
		t.temporary = malloc(len + 8);
		if (!t.temporary)
			return cannot("write", path, reterr);
		(void)snprintf(t.temporary, len + 8, "%s.XXXXXX", path);
		unfinished_begin(t.temporary);
		t.fd = mkostemp(t.temporary, O_CLOEXEC);
		if (t.fd < 0) {
			fsha_result result = cannot("write", path, reterr);

			unfinished_end();
			free(t.temporary);
			return result;
		}
		/* As any file that a command makes. */
		mask = umask(0);
		(void)umask(mask);
		(void)fchmod(t.fd, 0666 & ~mask);
	}
	*ret_target = t;
	return FSHA_OK;
}

fsha_result value_target_close(struct value_target *t, fsha_result result, fsha_error *reterr)
{
	if (!t->temporary)
		return result;
	if (close(t->fd) < 0 && result == FSHA_OK)
		result = cannot("write", t->path, reterr);
	if (result == FSHA_OK && rename(t->temporary, t->path) < 0)
		result = cannot("write", t->path, reterr);
	if (result != FSHA_OK)
		(void)unlink(t->temporary);
	unfinished_end();
	free(t->temporary);
	return result;
}
