/*
 * Texts of people as values: durations, sizes, ports, base64, UTF-8. No canonical form is claimed
 * but for base64: a value printed in the plainest way is read as the same value.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "src/config/duration.h"
#include "src/config/size.h"
#include "src/config/values.h"
#include "src/json/text.h"
#include "src/worker/base64.h"
#include "src/worker/codec.h"
#include "tests/fuzz/fuzz.h"

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
	(void)seed;
	return LLVMFuzzerMutate(data, size, size_max);
}

static void duration(const char *text)
{
	char plain[32];
	uint64_t ms, again;
	int r = config_duration_parse(text, &ms);

	FUZZ_CHECK(r == 0 || r == -EINVAL || r == -ERANGE);
	if (r < 0)
		return;
	(void)snprintf(plain, sizeof(plain), "%" PRIu64 " ms", ms);
	FUZZ_CHECK(config_duration_parse(plain, &again) == 0);
	FUZZ_CHECK(again == ms);
}

static void size_of(const char *text)
{
	char plain[32];
	uint64_t bytes, again;
	int r = config_size_parse(text, &bytes);

	FUZZ_CHECK(r == 0 || r == -EINVAL || r == -ERANGE);
	if (r < 0)
		return;
	(void)snprintf(plain, sizeof(plain), "%" PRIu64 "b", bytes);
	FUZZ_CHECK(config_size_parse(plain, &again) == 0);
	FUZZ_CHECK(again == bytes);
}

static void ports(const char *text)
{
	fsha_port_range ranges[FSHA_PORT_RANGES_MAX];
	size_t count = 0;
	int r = config_ports_parse(text, ranges, FSHA_PORT_RANGES_MAX, &count);

	FUZZ_CHECK(r == 0 || r == -EINVAL || r == -ERANGE || r == -E2BIG);
	FUZZ_CHECK(count <= FSHA_PORT_RANGES_MAX);
	for (size_t i = 0; r == 0 && i < count; i++)
		FUZZ_CHECK(ranges[i].first <= ranges[i].last);
}

static void base64(const uint8_t *data, size_t size)
{
	uint8_t *bytes = malloc(size / 4 * 3 + 1);
	char *again = malloc(base64_len(size) + 1);
	size_t len = 0;

	FUZZ_CHECK(bytes && again);
	if (base64_decode((const char *)data, size, bytes, &len) == 0) {
		FUZZ_CHECK(base64_len(len) == size);
		base64_encode(bytes, len, again);
		FUZZ_CHECK(size == 0 || memcmp(again, data, size) == 0);
	}
	free(bytes);
	/* And the other way round. */
	base64_encode(data, size, again);
	bytes = malloc(base64_len(size) / 4 * 3 + 1);
	FUZZ_CHECK(bytes);
	FUZZ_CHECK(base64_decode(again, base64_len(size), bytes, &len) == 0);
	FUZZ_CHECK(len == size && (size == 0 || memcmp(bytes, data, size) == 0));
	free(again);
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);

	fuzz_begin(0);
	duration(text);
	size_of(text);
	ports(text);
	base64(data, size);
	/* Two judges of one thing: what a worker may hold must fit into its backup. */
	FUZZ_CHECK(utf8_is_valid(text, strlen(text)) == json_text_is_utf8(text));
	fuzz_end();
	free(text);
	return 0;
}
