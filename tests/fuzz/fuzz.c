#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "fsutil/fsu_file.h"
#include "fsutil/fsu_mem.h"

#define FILE_MAX ((size_t)256 << 20)
#define START_NS (1000 * FSU_NS_PER_S)

/* Before each piece of memory: how large it is. */
struct piece {
	_Alignas(max_align_t) size_t size;
};

static struct {
	struct fsu_ops ops;
	struct fsu table;
	const struct fsu *disk;
	size_t memory, memory_max;
	int64_t now_ns;
	uint64_t random;
} now;

/* ---- The table ---- */

static void *count_alloc(void *ctx, size_t size)
{
	struct piece *piece;

	(void)ctx;
	FUZZ_CHECK(size <= now.memory_max);
	FUZZ_CHECK(now.memory + size <= now.memory_max);
	piece = calloc(1, sizeof(*piece) + size);
	FUZZ_CHECK(piece);
	piece->size = size;
	now.memory += size;
	return piece + 1;
}

static void count_release(void *ctx, void *ptr)
{
	struct piece *piece = ptr;

	(void)ctx;
	if (!piece)
		return;
	piece--;
	FUZZ_CHECK(piece->size <= now.memory);
	now.memory -= piece->size;
	free(piece);
}

static void *count_resize(void *ctx, void *ptr, size_t size)
{
	uint8_t *fresh = count_alloc(ctx, size);
	const struct piece *old = ptr;

	if (old) {
		size_t len = old[-1].size < size ? old[-1].size : size;

		memcpy(fresh, ptr, len);
		count_release(ctx, ptr);
	}
	return fresh;
}

static int64_t tell_time(void *ctx)
{
	(void)ctx;
	return now.now_ns;
}

/* Nobody else is there who could wake us. */
static int pass_time(void *ctx, const int *fds, size_t n_fds, int64_t deadline_ns)
{
	(void)ctx;
	(void)fds;
	(void)n_fds;
	FUZZ_CHECK(deadline_ns != FSU_FOREVER);
	if (deadline_ns > now.now_ns)
		now.now_ns = deadline_ns;
	return 0;
}

/* splitmix64 */
static int draw(void *ctx, void *buf, size_t len)
{
	uint8_t *at = buf;

	(void)ctx;
	for (size_t i = 0; i < len; i++) {
		uint64_t z = now.random += UINT64_C(0x9e3779b97f4a7c15);

		z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
		at[i] = (uint8_t)(z >> 32);
	}
	return 0;
}

const struct fsu *fuzz_table(void)
{
	return &now.table;
}

void fuzz_begin(size_t memory_max)
{
	now.ops = *fsu_posix.ops;
	now.ops.alloc = count_alloc;
	now.ops.resize = count_resize;
	now.ops.release = count_release;
	now.ops.now_ns = tell_time;
	now.ops.wall_ns = tell_time;
	now.ops.wait = pass_time;
	now.ops.random = draw;
	now.table = (struct fsu){ &now.ops, fsu_posix.ctx };
	FUZZ_CHECK(now.memory == 0);
	now.memory_max = memory_max;
	now.now_ns = START_NS;
	now.random = 0;
}

void fuzz_end(void)
{
	if (now.disk) {
		FUZZ_CHECK(fsu_mem_open_fds(now.disk) == 0);
		fsu_mem_destroy(now.disk);
		now.disk = NULL;
	}
	FUZZ_CHECK(now.memory == 0);
}

/* ---- Files ---- */

const struct fsu *fuzz_disk(void)
{
	if (!now.disk)
		now.disk = fsu_mem_create(&now.table);
	FUZZ_CHECK(now.disk);
	return now.disk;
}

void fuzz_put_file(const char *path, const uint8_t *data, size_t size)
{
	const struct fsu *disk = fuzz_disk();
	char parent[512];

	FUZZ_CHECK(strlen(path) < sizeof(parent));
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		int r;

		(void)snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
		r = parent[0] ? fsu_mkdirat(disk, AT_FDCWD, parent, FSU_DIR_MODE) : 0;
		FUZZ_CHECK(r == 0 || r == -EEXIST);
	}
	FUZZ_CHECK(fsu_file_stage(disk, AT_FDCWD, path, data, size, NULL) == 0);
}

uint8_t *fuzz_get_file(const char *path, size_t *ret_size)
{
	uint8_t *data, *copy;

	if (fsu_file_read(fuzz_disk(), AT_FDCWD, path, FILE_MAX, &data, ret_size) < 0)
		return NULL;
	copy = fuzz_copy(data, *ret_size);
	fsu_release(fuzz_disk(), data);
	return copy;
}

/* ---- Bytes ---- */

char *fuzz_text(const uint8_t *data, size_t size)
{
	size_t len = strnlen((const char *)data, size);
	char *text = malloc(len + 1);

	FUZZ_CHECK(text);
	if (len > 0)
		memcpy(text, data, len);
	text[len] = '\0';
	return text;
}

uint8_t *fuzz_copy(const void *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	FUZZ_CHECK(copy);
	if (size > 0)
		memcpy(copy, data, size);
	return copy;
}

uint8_t fuzz_take(const uint8_t **data, size_t *size)
{
	if (*size == 0)
		return 0;
	(*size)--;
	return *(*data)++;
}
