/*
 * The payloads of our own records. The first byte of an input says which one; the rest is it. Each
 * is encoded again to the same bytes, from what was decoded alone.
 */
#include <errno.h>
#include <string.h>

#include "fsutil/fsu_path.h"
#include "src/checkpoint/checkpoint.h"
#include "src/cluster/layout.h"
#include "src/election/history.h"
#include "src/job_graph/requirements.h"
#include "src/leader/leader.h"
#include "src/member/info.h"
#include "src/state/owner.h"
#include "src/state/pack.h"
#include "src/worker/codec.h"
#include "tests/fuzz/fuzz.h"

#define MEMORY ((size_t)1 << 20)

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
	(void)seed;
	return LLVMFuzzerMutate(data, size, size_max);
}

static void expect(const uint8_t *data, size_t size, const uint8_t *again, ssize_t len)
{
	FUZZ_CHECK(len >= 0);
	FUZZ_CHECK((size_t)len == size);
	FUZZ_CHECK(size == 0 || memcmp(data, again, size) == 0);
}

static void settings(const uint8_t *data, size_t size)
{
	struct settings settings;
	uint8_t again[SETTINGS_SIZE];

	/* Of a newer format only the number is known. */
	if (settings_decode(data, size, &settings) == 0 && settings.format <= CLUSTER_FORMAT)
		expect(data, size, again, (ssize_t)settings_encode(&settings, again));
}

static void leader(const uint8_t *data, size_t size)
{
	uint8_t again[LEADER_SIZE_MAX];
	fsha_leader_information information;
	struct leader leader;

	if (leader_decode(data, size, &leader) < 0)
		return;
	expect(data, size, again, leader_encode(&leader, again, sizeof(again)));
	leader_to_information(&leader, &information);
}

static void member(const uint8_t *data, size_t size)
{
	uint8_t again[1024];
	struct member_info info;

	if (info_decode(data, size, &info) == 0)
		expect(data, size, again, info_encode(&info, again, sizeof(again)));
}

/* It becomes part of a path: so it must be a name as on disk. */
static void owner(const uint8_t *data, size_t size)
{
	char owner[FSU_COMPONENT_MAX + 1], name[FSU_NAME_MAX + 1];
	uint8_t again[4 + FSU_COMPONENT_MAX];
	struct fsu_writer w = { .buf = again, .size = sizeof(again) };
	size_t len;

	if (owner_decode(data, size, owner) < 0)
		return;
	FUZZ_CHECK(fsu_path_decode(owner, strlen(owner), name, &len) == 0);
	fsu_put_bytes(&w, owner, strlen(owner));
	expect(data, size, again, w.error ? w.error : (ssize_t)w.len);
}

static void history(const uint8_t *data, size_t size)
{
	static struct history history;
	static uint8_t again[HISTORY_SIZE_MAX * 2];

	if (history_decode(data, size, &history) == 0)
		expect(data, size, again, history_encode(&history, again, sizeof(again)));
}

static void requirements(const uint8_t *data, size_t size)
{
	struct requirements_parts parts;
	fsha_error error = FSHA_ERROR_INIT;
	uint8_t *again;
	size_t len;

	if (requirements_split(data, size, &parts) < 0)
		return;
	if (requirements_are_mistakable(data, size)) {
		FUZZ_CHECK(requirements_join(fuzz_table(), &parts, &again, &len) == 0);
		expect(data, size, again, (ssize_t)len);
		fsu_release(fuzz_table(), again);
	} else {
		FUZZ_CHECK(parts.graph == data && parts.graph_size == size);
	}
	if (parts.requirements_size > 0) {
		char *text = (char *)fuzz_copy(parts.requirements, parts.requirements_size);

		(void)requirements_check(text, parts.requirements_size, &error);
		free(text);
	}
}

static void checkpoint(const uint8_t *data, size_t size)
{
	struct fsu_reader r = { .buf = data, .size = size };
	int64_t id = (int64_t)fsu_get_u64(&r);
	static char pointer[FSHA_CHECKPOINT_POINTER_MAX + 1];
	fsha_completed_checkpoint c;
	fsha_error error = FSHA_ERROR_INIT;
	uint8_t *again;
	size_t len;

	if (id < 1) /* no key has one */
		id = 1;
	if (!checkpoint_decode(data, size, id, &c, pointer))
		return;
	FUZZ_CHECK(checkpoint_check(&c, &error) == FSHA_OK);
	FUZZ_CHECK(checkpoint_encode(fuzz_table(), &c, &again, &len) == 0);
	expect(data, size, again, (ssize_t)len);
	fsu_release(fuzz_table(), again);
}

static char *text_or_null(const char *text, size_t len)
{
	return len > 0 ? fuzz_text((const uint8_t *)text, len) : NULL;
}

static void worker(const uint8_t *data, size_t size)
{
	struct worker_fields f;
	fsha_worker w = { .struct_size = sizeof(w) };
	char *slave_id, *hostname;
	uint8_t *again;
	size_t len;

	if (worker_decode(data, size, &f) < 0)
		return;
	slave_id = text_or_null(f.slave_id, f.slave_id_len);
	hostname = text_or_null(f.hostname, f.hostname_len);
	w.state = f.state;
	w.slave_id = slave_id;
	w.hostname = hostname;
	w.launchable = f.launchable;
	w.launchable_size = f.launchable_size;
	len = worker_encoded_size(&w);
	FUZZ_CHECK(len == size); /* before it is written */
	again = malloc(len);
	FUZZ_CHECK(again);
	worker_encode(&w, f.updated_ms, again, len);
	expect(data, size, again, (ssize_t)len);
	free(again);
	free(hostname);
	free(slave_id);
}

static void framework_id(const uint8_t *data, size_t size)
{
	uint8_t again[FSHA_FRAMEWORK_ID_SIZE + 4];
	char id[FSHA_FRAMEWORK_ID_SIZE];

	if (framework_id_decode(data, size, id) == 0)
		expect(data, size, again, (ssize_t)framework_id_encode(id, again));
}

static void counter(const uint8_t *data, size_t size)
{
	uint8_t again[COUNTER_SIZE];
	uint64_t number;

	if (counter_decode(data, size, &number) < 0)
		return;
	counter_encode(number, again);
	expect(data, size, again, sizeof(again));
}

static void pack(const uint8_t *data, size_t size)
{
	const fsha_version version = { .epoch = UINT64_MAX,
				       .sequence = UINT64_MAX,
				       .seat = UINT16_MAX };
	const char *why = NULL;
	struct pack *pack;
	uint8_t *again;
	size_t len;

	if (pack_decode(fuzz_table(), data, size, &version, 0, &pack, &why) < 0) {
		FUZZ_CHECK(why);
		return;
	}
	FUZZ_CHECK(pack->size <= PACK_SIZE_MAX);
	for (size_t i = 0; i < pack->count; i++)
		FUZZ_CHECK(pack_find(pack, pack->members[i].key) == &pack->members[i]);
	FUZZ_CHECK(pack_encode(fuzz_table(), pack->members, pack->count, &again, &len) == 0);
	expect(data, size, again, (ssize_t)len);
	fsu_release(fuzz_table(), again);
	fsu_release(fuzz_table(), pack);
}

/* The order is that of the corpus: append only. */
static void (*const payloads[])(const uint8_t *data, size_t size) = {
	settings,   leader, member,       owner,   history, requirements,
	checkpoint, worker, framework_id, counter, pack,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t which = fuzz_take(&data, &size);
	uint8_t *copy = fuzz_copy(data, size);

	fuzz_begin(MEMORY + 8 * size);
	payloads[which % (sizeof(payloads) / sizeof(payloads[0]))](copy, size);
	fuzz_end();
	free(copy);
	return 0;
}
