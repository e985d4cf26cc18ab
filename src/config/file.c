#include "src/config/file.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "src/config/config.h"
#include "src/result/error.h"

#define NESTED_NAME "config.yaml"
#define FLAT_NAME "flink-conf.yaml"
#define PATH_SIZE 4096
#define BUFFER_FIRST 16384
#define TAIL_MAX 120

/* In the middle of a character of UTF-8, where no text may be cut. */
static bool is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

const char *config_quote(const char *text, char *buf)
{
	static const char dots[] = "...";
	size_t len = strlen(text), max = CONFIG_QUOTE_SIZE - sizeof(dots);
	bool cut = len > max;

	if (cut) {
		len = max;
		while (len > max - 3 && is_continuation(text[len]))
			len--;
	}
	for (size_t i = 0; i < len; i++) {
		unsigned char byte = (unsigned char)text[i];

		buf[i] = text[i];
		if (byte < ' ' || byte == 0x7f)
			buf[i] = '?';
	}
	memcpy(buf + len, cut ? dots : "", cut ? sizeof(dots) : 1);
	return buf;
}

const char *config_tail(const char *text)
{
	size_t len = strlen(text);

	if (len <= TAIL_MAX)
		return text;
	text += len - TAIL_MAX;
	while (is_continuation(*text))
		text++;
	return text;
}

fsha_result config_reader_error(struct config_reader *reader, unsigned line, const char *format,
				...)
{
	char detail[FSHA_MESSAGE_SIZE];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);
	return error_set(reader->reterr, FSHA_E_CONFIG, 0, "parse", "%s:%u: %s",
			 config_tail(reader->path), line, detail);
}

fsha_result config_reader_add(struct config_reader *reader, unsigned line, const char *key,
			      const char *value)
{
	char origin[PATH_SIZE + 16], quoted[CONFIG_QUOTE_SIZE];
	const struct config_entry *before;
	int r;

	if (!key[0])
		return config_reader_error(reader, line, "a key is empty");
	if (strlen(key) > CONFIG_KEY_MAX)
		return config_reader_error(reader, line, "the key '%s' is longer than %d bytes",
					   config_quote(key, quoted), CONFIG_KEY_MAX);
	if (strlen(value) > FSHA_CONFIG_VALUE_MAX)
		return config_reader_error(reader, line,
					   "the value of '%s' is longer than %d bytes",
					   config_quote(key, quoted), FSHA_CONFIG_VALUE_MAX);
	before = config_entries_in(reader->entries, key, CONFIG_FILE);
	if (before)
		return config_reader_error(reader, line, "'%s' was given in line %u already",
					   config_quote(key, quoted), before->line);
	if (reader->entries->count >= FSHA_CONFIG_ENTRIES_MAX)
		return config_reader_error(reader, line, "more than %d settings",
					   FSHA_CONFIG_ENTRIES_MAX);

	(void)snprintf(origin, sizeof(origin), "%s:%u", reader->path, line);
	r = config_entries_put(reader->entries, &(struct config_entry){ .source = CONFIG_FILE,
									.line = line,
									.key = key,
									.value = value,
									.origin = origin });
	if (r < 0)
		return error_os(reader->reterr, r, "parse", "cannot read '%s'",
				config_tail(reader->path));
	return FSHA_OK;
}

static fsha_result cannot_read(fsha_error *reterr, const char *path, int r)
{
	fsha_result result = r == -ENOENT || r == -ENOTDIR ? FSHA_E_NOT_FOUND :
			     r == -ENOMEM                  ? FSHA_E_NOMEM :
							     FSHA_E_IO;

	return error_set(reterr, result, -r, "read", "cannot read the configuration '%s'",
			 config_tail(path));
}

/*
 * Until the end of the file or one byte more than is allowed. What fstat says of the size is not
 * asked.
 */
static int read_all(const struct fsu *fs, int fd, char **ret_text, size_t *ret_len)
{
	size_t size = BUFFER_FIRST, len = 0;
	char *text;
	ssize_t n;
	int r = -ENOMEM;

	text = fsu_alloc(fs, size);
	if (!text)
		return r;

	for (;;) {
		n = fsu_pread(fs, fd, text + len, size - 1 - len, (off_t)len);
		if (n < 0) {
			r = (int)n;
			break;
		}
		len += (size_t)n;
		if (n == 0 || len > FSHA_CONFIG_FILE_MAX) {
			text[len] = '\0';
			*ret_text = text;
			*ret_len = len;
			return 0;
		}
		if (len == size - 1) {
			char *larger = fsu_resize(fs, text, size * 2);

			if (!larger)
				break;
			text = larger;
			size *= 2;
		}
	}
	fsu_release(fs, text);
	return r;
}

/*
 * fsu_file_read would refuse a symbolic link, and the files of a mounted ConfigMap are links.
 * O_NONBLOCK keeps the open of a FIFO from waiting for its writer.
 */
static fsha_result load_text(const struct fsu *fs, const char *path, char **ret_text,
			     size_t *ret_len, fsha_error *reterr)
{
	struct statx stat = { 0 };
	int fd, r;

	fd = fsu_openat(fs, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
	if (fd < 0)
		return cannot_read(reterr, path, fd);

	r = fsu_statx(fs, fd, "", AT_EMPTY_PATH, STATX_TYPE, &stat);
	if (r >= 0 && !S_ISREG(stat.stx_mode)) {
		(void)fsu_close(fs, fd);
		return error_set(reterr, FSHA_E_IO, 0, "read",
				 "cannot read the configuration '%s': not a regular file",
				 config_tail(path));
	}
	if (r >= 0)
		r = read_all(fs, fd, ret_text, ret_len);
	/* Nothing was written, so there is nothing that close could tell. */
	(void)fsu_close(fs, fd);
	return r < 0 ? cannot_read(reterr, path, r) : FSHA_OK;
}

static bool is_flat(const char *path)
{
	const char *slash = strrchr(path, '/');

	return !strcmp(slash ? slash + 1 : path, FLAT_NAME);
}

static fsha_result parse(struct config_reader *reader)
{
	static const char bom[] = "\xef\xbb\xbf";
	const char *nul = memchr(reader->text, '\0', reader->len);

	if (reader->len > FSHA_CONFIG_FILE_MAX)
		return error_set(reader->reterr, FSHA_E_CONFIG, 0, "parse",
				 "cannot read the configuration '%s': larger than %d bytes",
				 config_tail(reader->path), FSHA_CONFIG_FILE_MAX);
	if (nul) {
		unsigned line = 1;

		for (const char *p = reader->text; p < nul; p++)
			line += *p == '\n';
		return config_reader_error(reader, line, "a NUL byte: this is no text in UTF-8");
	}
	/* Windows editors write one. */
	if (!strncmp(reader->text, bom, strlen(bom))) {
		reader->text += strlen(bom);
		reader->len -= strlen(bom);
	}
	return is_flat(reader->path) ? config_lines_parse(reader) : config_yaml_parse(reader);
}

static fsha_result read_file(const struct fsu *fs, const char *path, struct config_entries *entries,
			     fsha_error *reterr)
{
	struct config_reader reader = { .path = path, .entries = entries, .reterr = reterr };
	char *text = NULL;
	fsha_result result;

	result = load_text(fs, path, &text, &reader.len, reterr);
	if (result != FSHA_OK)
		return result;

	assert(text);
	reader.text = text;
	result = parse(&reader);
	fsu_release(fs, text);
	return result;
}

/* The older name counts only where the newer one is not. */
static fsha_result read_directory(const struct fsu *fs, const char *dir,
				  struct config_entries *entries, fsha_error *reterr)
{
	static const char *const names[] = { NESTED_NAME, FLAT_NAME };
	size_t len = strlen(dir);
	char path[PATH_SIZE];

	while (len > 1 && dir[len - 1] == '/')
		len--;
	for (size_t i = 0; i < 2; i++) {
		fsha_error error = FSHA_ERROR_INIT;
		fsha_result result;
		int n;

		n = snprintf(path, sizeof(path), "%.*s%s%s", (int)len, dir,
			     dir[len - 1] == '/' ? "" : "/", names[i]);
		if (n < 0 || (size_t)n >= sizeof(path))
			return cannot_read(reterr, dir, -ENAMETOOLONG);
		result = read_file(fs, path, entries, &error);
		if (result == FSHA_OK)
			return result;
		if (result != FSHA_E_NOT_FOUND)
			return error_copy(reterr, &error);
	}
	return error_set(reterr, FSHA_E_NOT_FOUND, ENOENT, "read",
			 "cannot read a configuration from '%s': neither %s nor %s is there",
			 config_tail(dir), NESTED_NAME, FLAT_NAME);
}

fsha_result config_file_read(const struct fsu *fs, const char *path, struct config_entries *entries,
			     fsha_error *reterr)
{
	struct statx stat = { 0 };
	int r;

	if (strlen(path) >= PATH_SIZE)
		return cannot_read(reterr, path, -ENAMETOOLONG);

	r = fsu_statx(fs, AT_FDCWD, path, 0, STATX_TYPE, &stat);
	if (r < 0)
		return cannot_read(reterr, path, r);

	return S_ISDIR(stat.stx_mode) ? read_directory(fs, path, entries, reterr) :
					read_file(fs, path, entries, reterr);
}
