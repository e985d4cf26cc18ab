/*
 * A blob that is far larger than the memory that it may take: 5 GiB with FSHA_TEST_LONG (which
 * needs twice that on disk), else 96 MiB.
 */
#include <sys/resource.h>

#include "tests/lib/run.h"
#include "tests/test_services.h"

#define MIB (UINT64_C(1) << 20)
/* What the library may hold of it: a few chunks. The rest is the C library's and a sanitizer's. */
#define GROWTH_MAX_KIB (32 * 1024)

static uint64_t size_of_blob(void)
{
	return test_size(96, 96, 5 * 1024) * MIB;
}

/* A sparse file with something to be checked at both ends and in the middle. */
static void make_file(const char *path, uint64_t size)
{
	const off_t places[] = { 0, (off_t)(size / 2) + 17, (off_t)size - 4 };
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		assert_int_equal(pwrite(fd, "mark", 4, places[i]), 4);
	assert_int_equal(close(fd), 0);
}

static void check_file(const char *path, uint64_t size)
{
	const off_t places[] = { 0, (off_t)(size / 2) + 17, (off_t)size - 4 };
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char text[4];

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, size);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		assert_int_equal(pread(fd, text, 4, places[i]), 4);
		assert_memory_equal(text, "mark", 4);
	}
	assert_int_equal(close(fd), 0);
}

static long peak_kib(void)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_maxrss;
}

static void a_blob_of_any_size_takes_constant_memory(void **state)
{
	const uint8_t hash[FSHA_BLOB_HASH_SIZE] = { 1 };
	char source[128], target[128];
	fsha_services *s = open_services();
	fsha_blob_store *store;
	uint64_t size = size_of_blob();
	fsha_blob_key key;
	struct player p;
	long before;

	(void)state;
	(void)alarm(1800); /* by the disk */
	(void)snprintf(source, sizeof(source), "%s/source", t.dir);
	(void)snprintf(target, sizeof(target), "%s/target", t.dir);
	make_file(source, size);
	player_lead(&p, s, ELECTION);
	assert_ok(fsha_blob_key_make(FSHA_BLOB_PERMANENT, hash, &key, &t.error));
	assert_ok(fsha_blob_store_open(s, &store, &t.error));
	before = peak_kib();
	assert_ok(fsha_blob_store_put(store, source, NULL, &key, &t.error));
	assert_int_equal(unlink(source), 0);
	assert_ok(fsha_blob_store_get(store, NULL, &key, target, &t.error));
	if (peak_kib() > before + GROWTH_MAX_KIB)
		fail_msg("it took %ld KiB", peak_kib() - before);
	check_file(target, size);
	fsha_blob_store_close(store);
	player_close(&p);
	close_services(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_blob_of_any_size_takes_constant_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
