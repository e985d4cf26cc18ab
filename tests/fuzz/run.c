/*
 * In place of libFuzzer, for any compiler: each file of the corpus as it is, and then changed at
 * random. It finds little; it keeps target and corpus from rotting. The program is called
 * fuzz_<target>. On a failure it prints the seed and leaves the input beside itself.
 */
#include <dirent.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "tests/lib/run.h"

#define INPUT_MAX ((size_t)1 << 20)
#define GROWTH 64 /* bytes that one change may add */

static struct {
	uint64_t random;
	const uint8_t *data; /* of the present input */
	size_t size;
	uint64_t seed;
	const char *target;
	char kept[4096]; /* where an input goes that fails */
} now;

static uint64_t draw(void)
{
	uint64_t z = now.random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* A few small changes, anywhere. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t size_max)
{
	for (uint64_t n = 1 + draw() % 4; n > 0; n--) {
		size_t at = size > 0 ? draw() % size : 0, len = 1 + draw() % GROWTH;

		switch (draw() % 5) {
		case 0:
			if (size > 0)
				data[at] ^= (uint8_t)(1u << draw() % 8);
			break;
		case 1:
			if (size > 0)
				data[at] = (uint8_t)draw();
			break;
		case 2:
			size = at; /* cut off */
			break;
		case 3: /* something again */
			len = len < size - at ? len : size - at;
			len = len < size_max - size ? len : size_max - size;
			memmove(data + at + len, data + at, size - at);
			size += len;
			break;
		default: /* something left out */
			len = len < size - at ? len : size - at;
			memmove(data + at, data + at + len, size - at - len);
			size -= len;
			break;
		}
	}
	return size;
}

/* The process ends here: what a handler may not call cannot do harm any more. */
static void keep_input(int signal)
{
	FILE *file = fopen(now.kept, "wb");

	if (file) {
		(void)fwrite(now.data, 1, now.size, file);
		(void)fclose(file);
	}
	(void)fprintf(stderr, "SEED=%llu; %zu bytes kept: build/tests/fuzz_%s %s\n",
		      (unsigned long long)now.seed, now.size, now.target, now.kept);
	(void)raise(signal); /* its default action: SA_RESETHAND */
}

static void run_one(const uint8_t *data, size_t size)
{
	/* Memory of exactly that size: what is read beyond it shows. */
	uint8_t *copy = fuzz_copy(data, size);

	now.data = copy;
	now.size = size;
	(void)LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static uint8_t *read_input(const char *path, size_t *ret_size)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = malloc(INPUT_MAX + GROWTH * 8);

	if (!file || !data) {
		(void)fprintf(stderr, "cannot read '%s'\n", path);
		exit(1);
	}
	*ret_size = fread(data, 1, INPUT_MAX, file);
	(void)fclose(file);
	return data;
}

static void run_file(const char *path, unsigned long changes)
{
	size_t size, changed_size;
	uint8_t *data = read_input(path, &size), *changed = malloc(INPUT_MAX + GROWTH * 8);

	if (!changed)
		exit(1);
	run_one(data, size);
	for (unsigned long i = 0; i < changes; i++) {
		memcpy(changed, data, size);
		changed_size = LLVMFuzzerCustomMutator(changed, size, size + (size_t)GROWTH * 4,
						       (unsigned)draw());
		run_one(changed, changed_size);
	}
	free(changed);
	free(data);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* Always in the same order, so that a seed repeats. */
static size_t run_directory(const char *directory, unsigned long changes)
{
	struct dirent **entries;
	char path[4096];
	size_t files = 0;
	int count = scandir(directory, &entries, NULL, by_name);

	if (count < 0) {
		(void)fprintf(stderr, "there is no corpus '%s'\n", directory);
		exit(1);
	}
	for (int i = 0; i < count; i++) {
		if (entries[i]->d_name[0] != '.') {
			(void)snprintf(path, sizeof(path), "%s/%s", directory, entries[i]->d_name);
			run_file(path, changes);
			files++;
		}
		free(entries[i]);
	}
	free(entries);
	return files;
}

int main(int argc, char **argv)
{
	const struct sigaction on_crash = { .sa_handler = keep_input, .sa_flags = SA_RESETHAND };
	const unsigned long changes = test_size(200, 2000, 20000);
	char directory[256];
	struct stat st;
	size_t files = 0;

	if (!test_seed(&now.seed))
		now.seed = (uint64_t)time(NULL) << 16 ^ (uint64_t)getpid();
	now.random = now.seed;
	now.target = strrchr(argv[0], '_') ? strrchr(argv[0], '_') + 1 : argv[0];
	(void)snprintf(now.kept, sizeof(now.kept), "%s.crash", argv[0]);
	(void)snprintf(directory, sizeof(directory), "tests/fuzz/corpus/%s", now.target);
	(void)sigaction(SIGABRT, &on_crash, NULL);
	(void)sigaction(SIGSEGV, &on_crash, NULL);
	(void)printf("%s: SEED=%llu, %lu changes of each file\n", now.target,
		     (unsigned long long)now.seed, changes);
	(void)fflush(stdout);
	if (argc < 2)
		files = run_directory(directory, changes);
	for (int i = 1; i < argc; i++)
		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode)) {
			files += run_directory(argv[i], changes);
		} else {
			run_file(argv[i], 0);
			files++;
		}
	if (files == 0) {
		(void)fprintf(stderr, "the corpus is empty\n");
		return 1;
	}
	(void)printf("%zu inputs passed\n", files);
	return 0;
}
