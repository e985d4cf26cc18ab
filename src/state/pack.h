/*
 * Packs: many records in one file, published by one rename and therefore all of them or none
 * (doc/FORMAT.md). A record that lists the members, then the members, each a whole record that can
 * be verified alone and moved to another pack as it is. What a pack holds of a key counts by its
 * version, like a file of its own.
 *
 * A pack never changes, so its list is read once.
 */
#ifndef SRC_STATE_PACK_H
#define SRC_STATE_PACK_H

#include "src/record/record.h"

#define PACK_KEY "@pack"
#define PACK_MEMBERS_MAX 65536
/* Of all members together. One value of 64 MiB fits with its envelope, and so do many small ones.
 */
#define PACK_SIZE_MAX (UINT64_C(128) << 20)

/* What the list needs for a member besides its key. */
#define PACK_ENTRY_SIZE (4 + 8 + 8 + 2 + 1 + 4)

struct pack_member {
	const char *key; /* encoded */
	fsha_version version;
	enum name_form form; /* NAME_VALUE or NAME_TOMBSTONE */
	uint32_t size;
	uint64_t offset; /* in the file; decode and load fill it in, encode does not look at it */
};

struct pack {
	fsha_version version;
	uint64_t size; /* bytes of all members */
	size_t count;
	struct pack_member *members; /* in ascending order of keys; the same memory */
};

/* NULL: there is no such member. */
const struct pack_member *pack_find(const struct pack *pack, const char *key);

/* Open the file; its name comes out too (NAME_SIZE bytes), for messages. */
fsha_result pack_open(const struct record_place *place, const fsha_version *version, char *ret_name,
		      int *ret_fd, size_t *ret_size, fsha_error *reterr);
/* The bytes from `offset` on, as far as there are any. -errno. */
int pack_read_at(const struct fsu *fs, int fd, uint8_t *buf, size_t len, uint64_t offset,
		 size_t *ret_len);

/* The list of members, as the payload of the pack's own record: fsu_release it. -ENOMEM. */
int pack_encode(const struct fsu *fs, const struct pack_member *members, size_t count,
		uint8_t **ret_payload, size_t *ret_len);
/*
 * The other direction: no I/O. `offset` is where the first member begins. -EBADMSG for what encode
 * would not have written, with `ret_why`; -ENOMEM. fsu_release it.
 */
int pack_decode(const struct fsu *fs, const uint8_t *payload, size_t len,
		const fsha_version *version, uint64_t offset, struct pack **ret_pack,
		const char **ret_why);

/*
 * Read and verify the list of the pack `version`. NOT_FOUND when the file is gone; CORRUPT, with
 * its name.
 */
fsha_result pack_load(const struct record_place *place, const fsha_version *version,
		      struct pack **ret_pack, fsha_error *reterr);

/* Write a pack under `path`, with the version in `content`, and make it durable. For term_commit.
 */
fsha_result pack_stage(const struct record_place *place, const struct record_content *content,
		       const struct pack_member *members, size_t count, const void *records,
		       size_t records_size, int dirfd, const char *path, struct pack **ret_pack,
		       int *ret_errno, const char **ret_op, fsha_error *reterr);

/* Where a member lies. */
struct pack_part {
	fsha_version pack;
	uint64_t offset;
	uint32_t size;
};
/* The bytes of a member, not verified: fsu_release them. Results as record_read. */
fsha_result pack_read_bytes(const struct record_place *place, const struct pack_part *part,
			    uint8_t **ret_bytes, fsha_error *reterr);
/*
 * The same for who reads many: each pack is opened once and read in large pieces, as long as it is
 * read from its beginning to its end, more or less. All zero but `fs` to begin with. One thread.
 */
#define PACK_WINDOWS 8
struct pack_window {
	fsha_version pack; /* all zero: none is open */
	int fd;
	uint64_t start; /* of the bytes in `bytes` */
	size_t len;
	uint8_t *bytes;
	uint64_t used; /* when, counted in reads */
};
struct pack_reader {
	const struct fsu *fs;
	struct pack_window windows[PACK_WINDOWS];
	uint64_t reads;
};
fsha_result pack_reader_read(struct pack_reader *reader, const struct record_place *place,
			     const struct pack_part *part, uint8_t **ret_bytes, fsha_error *reterr);
void pack_reader_done(struct pack_reader *reader);

#endif
