/*
 * A whole cluster directory in which somebody has put files: names and contents of an input's
 * choice, records sealed so that they get past the checksum, packs and streams among them. All that
 * only reads is let loose on it: opening, verify, every store, the salvage of packs, who leads. It
 * must come to its end with a result, and change nothing.
 *
 * An input is a row of files: place, form, length of the name, length of the content (2), name,
 * content. The names of places[] and forms are in the order of the corpus: append only.
 */
#include <errno.h>
#include <string.h>

#include "fsutil/fsu_file.h"
#include "fsutil/fsu_path.h"
#include "fsutil/fsu_stream.h"
#include "src/cluster/layout.h"
#include "src/election/history.h"
#include "src/election/tenure.h"
#include "src/leader/leader.h"
#include "src/maintenance/verify.h"
#include "src/member/member.h"
#include "src/state/salvage.h"
#include "tests/fuzz/fuzz.h"

#define MEMORY ((size_t)64 << 20)
#define ROOT "/storage/c"
#define JOB "00112233445566778899aabbccddeeff"
#define SESSION "0123456789abcdef0123456789abcdef"
#define FILES_MAX 24
#define VALUE_MAX ((size_t)1 << 20)

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
	(void)seed;
	return LLVMFuzzerMutate(data, size, size_max);
}

/* ---- Putting files there ---- */

static const struct {
	const char *directory;
	uint16_t kind;
} places[] = {
	{ LAYOUT_STATE "/ns", FSU_KIND_STATE },
	{ LAYOUT_JOB_GRAPHS, FSU_KIND_JOB_GRAPH },
	{ LAYOUT_JOB_RESULTS, FSU_KIND_JOB_RESULT },
	{ LAYOUT_RUNNING_JOBS, FSU_KIND_RUNNING_JOB },
	{ LAYOUT_CHECKPOINTS "/" JOB, FSU_KIND_CHECKPOINT },
	{ LAYOUT_BLOBS "/job_" JOB, FSU_KIND_BLOB },
	{ LAYOUT_WORKERS, FSU_KIND_WORKER },
	{ LAYOUT_LEADERS, FSU_KIND_LEADER },
	{ LAYOUT_ELECTIONS, FSU_KIND_HISTORY },
	{ LAYOUT_ELECTIONS "/dispatcher", FSU_KIND_HISTORY },
	{ LAYOUT_ELECTIONS "/dispatcher/trash", FSU_KIND_STATE },
	{ LAYOUT_ELECTIONS "/dispatcher/tenure-0000000000000001-" SESSION, FSU_KIND_STATE },
	{ LAYOUT_MEMBERS, FSU_KIND_MEMBER },
	{ LAYOUT_MEMBERS "/" SESSION, FSU_KIND_MEMBER },
	{ "", FSU_KIND_SETTINGS },
	{ LAYOUT_STATE, FSU_KIND_STATE },
	{ LAYOUT_QUARANTINE, FSU_KIND_STATE },
};
#define PLACES (sizeof(places) / sizeof(places[0]))

enum form {
	FORM_RAW,
	FORM_RECORD,
	FORM_TOMBSTONE,
	FORM_PACK,   /* the content: lengths of members (1 byte) and their payloads */
	FORM_STREAM, /* the content is repeated until it needs one */
	FORM_OWNER,
	FORM_DIRECTORY,
	FORMS,
};

static struct {
	struct cluster cluster;
	uint64_t sequence;
	size_t at; /* the present place */
	struct record_place place;
} now;

static void put_bytes(const char *name, const uint8_t *data, size_t size)
{
	char path[700];

	(void)snprintf(path, sizeof(path), ROOT "/%s%s%s", places[now.at].directory,
		       places[now.at].directory[0] ? "/" : "", name);
	/* Twice the same name, or a directory that a file has taken the place of. */
	(void)fsu_file_stage(fuzz_disk(), AT_FDCWD, path, data, size, NULL);
}

static struct record_content content_of(uint16_t kind, const char *key)
{
	return (struct record_content){ .kind = kind,
					.version = { .epoch = 1, .sequence = ++now.sequence },
					.key = key };
}

static void put_record(uint16_t kind, enum name_form form, const char *key, const uint8_t *data,
		       size_t size)
{
	struct record_content content = content_of(kind, key);
	fsha_error error = FSHA_ERROR_INIT;
	char name[NAME_SIZE];
	uint8_t *bytes;
	size_t len;

	content.form = form;
	if (form != NAME_TOMBSTONE) {
		content.payload = data;
		content.size = size;
	}
	FUZZ_CHECK(record_encode(&now.place, &content, &bytes, &len, &error) == FSHA_OK);
	name_format(key, &content.version, form, name);
	put_bytes(name, bytes, len);
	fsu_release(fuzz_disk(), bytes);
}

/* A list that may be a lie: the names of members are "a", "b", ... and one that is the input's. */
static void put_pack(const char *key, const uint8_t *data, size_t size)
{
	struct pack_member members[4] = { { .key = "a" }, { .key = "b" }, { .key = "c" } };
	struct record_content list = content_of(FSU_KIND_PACK, PACK_KEY), member;
	uint8_t *bytes, *payload, *pack = malloc(VALUE_MAX);
	fsha_error error = FSHA_ERROR_INIT;
	size_t count, len = 0, list_len, n;
	char name[NAME_SIZE];

	FUZZ_CHECK(pack);
	for (count = 0; count < 4 && size > 0; count++) {
		members[count].key = count < 3 ? members[count].key : key;
		if (count == 3 && strcmp(key, "c") <= 0)
			break;
		member = content_of(places[now.at].kind, members[count].key);
		member.version = list.version;
		n = fuzz_take(&data, &size);
		member.form = n & 1 ? NAME_TOMBSTONE : NAME_VALUE;
		n = n < size ? n : size;
		member.payload = data;
		member.size = member.form == NAME_TOMBSTONE ? 0 : n;
		FUZZ_CHECK(record_encode(&now.place, &member, &bytes, &n, &error) == FSHA_OK);
		memcpy(pack + len, bytes, n);
		members[count].size = (uint32_t)n;
		members[count].version = list.version;
		members[count].form = member.form;
		len += n;
		data += member.size;
		size -= member.size;
		fsu_release(fuzz_disk(), bytes);
	}
	if (count > 0) {
		FUZZ_CHECK(pack_encode(fuzz_disk(), members, count, &payload, &list.size) == 0);
		/* What is left of the content changes the list, a member or both. */
		for (; size >= 2; data += 2, size -= 2)
			if (data[0] & 1)
				payload[data[0] % list.size] ^= data[1];
			else
				pack[data[0] * 3 % len] ^= data[1];
		list.payload = payload;
		FUZZ_CHECK(record_encode(&now.place, &list, &bytes, &list_len, &error) == FSHA_OK);
		memmove(pack + list_len, pack, len);
		memcpy(pack, bytes, list_len);
		name_format(PACK_KEY, &list.version, NAME_VALUE, name);
		put_bytes(name, pack, list_len + len);
		fsu_release(fuzz_disk(), bytes);
		fsu_release(fuzz_disk(), payload);
	}
	free(pack);
}

static void put_stream(const char *key, const uint8_t *data, size_t size)
{
	struct record_content content = content_of(places[now.at].kind, key);
	uint8_t *bytes = calloc(1, FSU_STREAM_HEAD + size + FSU_STREAM_TAIL);
	fsha_error error = FSHA_ERROR_INIT;
	char name[NAME_SIZE], text[FSU_RECORD_KEY_MAX + 1];
	struct fsu_record head;

	FUZZ_CHECK(bytes);
	FUZZ_CHECK(record_make_head(&now.place, &content, text, &head, &error) == FSHA_OK);
	fsu_record_put_head(&head, FSU_RECORD_STREAMED, bytes);
	if (size > 0)
		memcpy(bytes + FSU_STREAM_HEAD, data, size);
	fuzz_seal(bytes, FSU_STREAM_HEAD + size + FSU_STREAM_TAIL, false);
	name_format(key, &content.version, NAME_VALUE, name);
	put_bytes(name, bytes, FSU_STREAM_HEAD + size + FSU_STREAM_TAIL);
	free(bytes);
}

static void put_file(enum form form, const char *name, const uint8_t *data, size_t size)
{
	const bool is_key = strlen(name) <= FSU_COMPONENT_MAX && !strchr(name, '~');
	char path[700];

	if (form == FORM_DIRECTORY) {
		(void)snprintf(path, sizeof(path), ROOT "/%s/%s", places[now.at].directory, name);
		(void)fsu_mkdirat(fuzz_disk(), AT_FDCWD, path, FSU_DIR_MODE);
	} else if (form == FORM_RAW || !is_key) {
		put_bytes(name, data, size);
	} else if (form == FORM_RECORD) {
		put_record(places[now.at].kind, NAME_VALUE, name, data, size);
	} else if (form == FORM_TOMBSTONE) {
		put_record(places[now.at].kind, NAME_TOMBSTONE, name, data, size);
	} else if (form == FORM_PACK) {
		put_pack(name, data, size);
	} else if (form == FORM_STREAM) {
		put_stream(name, data, size);
	} else {
		put_record(FSU_KIND_OWNER, NAME_VALUE, "@owner", data, size);
	}
}

static void put_files(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < FILES_MAX && size > 5; i++) {
		enum form form;
		size_t name_len, len;
		char *name;

		now.at = fuzz_take(&data, &size) % PLACES;
		now.place = cluster_place(&now.cluster, -1, places[now.at].directory);
		form = (enum form)(fuzz_take(&data, &size) % FORMS);
		name_len = fuzz_take(&data, &size);
		len = fuzz_take(&data, &size);
		len |= (size_t)fuzz_take(&data, &size) << 8;
		name_len = name_len < size ? name_len : size;
		name = fuzz_text(data, name_len);
		data += name_len;
		size -= name_len;
		len = len < size ? len : size;
		/* No filesystem holds others. */
		if (name[0] && !strchr(name, '/') && strcmp(name, ".") != 0 &&
		    strcmp(name, "..") != 0)
			put_file(form, name, data, len);
		free(name);
		data += len;
		size -= len;
	}
}

/* ---- Only reading ---- */

static int refuse_rename(void *ctx, int from_dirfd, const char *from, int to_dirfd, const char *to)
{
	(void)ctx;
	(void)from_dirfd;
	(void)to_dirfd;
	(void)fprintf(stderr, "rename of '%s' to '%s' by who only reads\n", from, to);
	abort();
}

static int refuse_unlink(void *ctx, int dirfd, const char *path, int flags)
{
	(void)ctx;
	(void)dirfd;
	(void)flags;
	(void)fprintf(stderr, "unlink of '%s' by who only reads\n", path);
	abort();
}

static int refuse_mkdir(void *ctx, int dirfd, const char *path, mode_t mode)
{
	(void)ctx;
	(void)dirfd;
	(void)mode;
	(void)fprintf(stderr, "mkdir of '%s' by who only reads\n", path);
	abort();
}

static struct term *no_term(void *ctx, const char *election)
{
	(void)ctx;
	(void)election;
	return NULL;
}

static void read_value(struct store *store, const char *key)
{
	fsha_error error = FSHA_ERROR_INIT;
	struct record record;
	fsha_version version;

	if (store_get(store, key, &record, &version, &error) == FSHA_OK) {
		FUZZ_CHECK(record.size == 0 || record.data);
		record_done(store->cluster->fs, &record);
	}
}

/* Each look reads the directory anew: so they are written down first. */
static void read_packs(struct store *store)
{
	fsha_version versions[FILES_MAX];
	struct salvage_result salvaged;
	fsha_error error = FSHA_ERROR_INIT;
	struct index_pack *pack, *next;
	size_t count = 0;

	HASH_ITER (hh, store->index.packs, pack, next) {
		FUZZ_CHECK(count < FILES_MAX);
		versions[count++] = pack->version;
	}
	for (size_t i = 0; i < count; i++)
		(void)salvage_look(store, &versions[i], &salvaged, &error);
}

static void read_store(const struct cluster *c, const struct area *area, const char *directory)
{
	const struct term_source terms = { no_term, NULL };
	struct store_options options = { .directory = directory, .election = "dispatcher" };
	fsha_error error = FSHA_ERROR_INIT, damage = FSHA_ERROR_INIT;
	struct store_handle *handles;
	struct store *store;
	size_t count = 0;
	char **names;

	area_store_options(area, NULL, &options);
	if (store_open(c, &terms, &options, &store, &error) != FSHA_OK)
		return;
	if (store_known(store, &handles, &count, &damage, &error) == FSHA_OK) {
		for (size_t i = 0; i < count; i++)
			read_value(store, handles[i].key);
		fsu_release(c->fs, handles);
	}
	if (store_strays(store, &names, &count, &error) == FSHA_OK)
		fsu_release(c->fs, names);
	read_packs(store);
	store_close(store);
}

static void read_elections(const struct cluster *c)
{
	static struct history history;
	fsha_error error = FSHA_ERROR_INIT;
	struct member_info info;
	struct fsu_uuid id;
	struct leader leader;
	int fd = fsu_dir_open(c->fs, c->elections_fd, "dispatcher");

	(void)leader_read(c, "dispatcher", &leader, &error);
	if (fd >= 0) {
		(void)history_gather(c, fd, "dispatcher", &history, &error);
		(void)fsu_close(c->fs, fd);
	}
	FUZZ_CHECK(fsu_uuid_parse(SESSION, FSU_UUID_HEX, &id) == 0);
	(void)member_info_read(c, &id, &info, &error);
}

static void read_all(void)
{
	struct fsu_ops ops = *fuzz_disk()->ops;
	const struct fsu reader = { &ops, fuzz_disk()->ctx };
	const struct cluster_options options = { .storage_dir = "/storage",
						 .cluster_id = "c",
						 .inspect = true };
	fsha_error error = FSHA_ERROR_INIT;
	fsha_verify_summary summary = { .struct_size = sizeof(summary) };
	struct findings found;
	struct cluster c;

	ops.renameat = refuse_rename;
	ops.unlinkat = refuse_unlink;
	ops.mkdirat = refuse_mkdir;
	if (cluster_open(&reader, &options, &c, &error) != FSHA_OK)
		return;
	findings_init(&found, &reader);
	(void)verify_run(&c, NULL, false, &summary, &found, &error);
	findings_done(&found);
	if (c.leaders_fd >= 0 && c.elections_fd >= 0 && c.members_fd >= 0) {
		read_elections(&c);
		for (size_t i = 0; i < areas_count; i++)
			for (size_t j = 0; j < PLACES; j++)
				if (places[j].kind == areas[i].kind &&
				    strncmp(places[j].directory, areas[i].directory,
					    strlen(areas[i].directory)) == 0)
					read_store(&c, &areas[i], places[j].directory);
	}
	cluster_close(&c);
}

/* A cluster that somebody led once, with an owner in its nested stores unless the input has one. */
static void make_cluster(bool owners)
{
	const struct cluster_options options = {
		.storage_dir = "/storage", .cluster_id = "c", .lease_ms = 10000, .create = true
	};
	fsha_error error = FSHA_ERROR_INIT;

	now.sequence = 0;
	FUZZ_CHECK(fsu_mkdirat(fuzz_disk(), AT_FDCWD, "/storage", FSU_DIR_MODE) == 0);
	FUZZ_CHECK(cluster_open(fuzz_disk(), &options, &now.cluster, &error) == FSHA_OK);
	for (size_t i = 0; i < PLACES; i++) {
		char path[300];

		(void)snprintf(path, sizeof(path), ROOT "/%s/.", places[i].directory);
		*strrchr(path, '/') = '\0';
		(void)fsu_mkdirat(fuzz_disk(), AT_FDCWD, path, FSU_DIR_MODE);
		now.at = i;
		now.place = cluster_place(&now.cluster, -1, places[i].directory);
		if (owners &&
		    (places[i].kind == FSU_KIND_STATE || places[i].kind == FSU_KIND_CHECKPOINT ||
		     places[i].kind == FSU_KIND_BLOB))
			put_record(FSU_KIND_OWNER, NAME_VALUE, "@owner",
				   (const uint8_t *)"\12\0\0\0dispatcher", 14);
	}
	fuzz_put_file(ROOT "/elections/dispatcher/epoch-0000000000000001-" SESSION "-vacant", NULL,
		      0);
	fuzz_put_file(ROOT "/members/" SESSION "/lock", NULL, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_begin(MEMORY);
	make_cluster(!(fuzz_take(&data, &size) & 1));
	put_files(data, size);
	cluster_close(&now.cluster);
	read_all();
	fuzz_end();
	return 0;
}
