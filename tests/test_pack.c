/* The list of a pack: what is written is read back, and nothing else is taken for one. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/state/pack.h"

static const fsha_version pack_version = { .epoch = 2, .sequence = 9, .seat = 1 };

static struct pack_member member(const char *key, uint64_t sequence, enum name_form form)
{
	return (struct pack_member){
		.key = key,
		.version = { .epoch = 2, .sequence = sequence },
		.form = form,
		.size = 200,
	};
}

static uint8_t *encode(const struct pack_member *members, size_t count, size_t *ret_len)
{
	uint8_t *payload;

	assert_int_equal(pack_encode(&fsu_posix, members, count, &payload, ret_len), 0);
	return payload;
}

static int decode(const uint8_t *payload, size_t len, struct pack **ret_pack)
{
	/* Of exactly this length, so that a sanitizer sees a read behind the end. */
	uint8_t *copy = malloc(len ? len : 1);
	const char *why;
	int r;

	assert_non_null(copy);
	memcpy(copy, payload, len);
	r = pack_decode(&fsu_posix, copy, len, &pack_version, 1000, ret_pack, &why);
	assert_true(r == 0 || r == -EBADMSG);
	assert_true((r == 0) == (why == NULL));
	free(copy);
	return r;
}

static void a_list_is_read_back_as_it_was_written(void **state)
{
	const struct pack_member members[] = {
		member("@counter", 3, NAME_VALUE),
		member("a", 9, NAME_TOMBSTONE),
		member("b%2F", 1, NAME_VALUE),
	};
	uint8_t *payload, *again;
	struct pack *pack;
	size_t len, len2;

	(void)state;
	payload = encode(members, 3, &len);
	assert_int_equal(decode(payload, len, &pack), 0);
	assert_int_equal(pack->count, 3);
	assert_int_equal(pack->size, 600);
	assert_int_equal(fsha_version_compare(&pack->version, &pack_version), 0);
	for (size_t i = 0; i < 3; i++) {
		const struct pack_member *m = &pack->members[i];

		assert_string_equal(m->key, members[i].key);
		assert_int_equal(fsha_version_compare(&m->version, &members[i].version), 0);
		assert_int_equal(m->form, members[i].form);
		assert_int_equal(m->size, 200);
		assert_int_equal(m->offset, 1000 + i * 200);
	}
	again = encode(pack->members, pack->count, &len2);
	assert_int_equal(len, len2);
	assert_memory_equal(payload, again, len);
	fsu_release(&fsu_posix, again);
	fsu_release(&fsu_posix, pack);
	fsu_release(&fsu_posix, payload);
}

static void what_is_not_of_its_length_is_refused(void **state)
{
	const struct pack_member members[] = {
		member("a", 3, NAME_VALUE),
		member("b", 3, NAME_VALUE),
	};
	uint8_t *payload, *longer;
	struct pack *pack;
	size_t len;

	(void)state;
	payload = encode(members, 2, &len);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(decode(payload, cut, &pack), -EBADMSG);
	longer = calloc(1, len + 1);
	assert_non_null(longer);
	memcpy(longer, payload, len);
	assert_int_equal(decode(longer, len + 1, &pack), -EBADMSG);
	free(longer);
	fsu_release(&fsu_posix, payload);
}

static void no_changed_byte_gives_a_list_that_would_be_written_otherwise(void **state)
{
	const struct pack_member members[] = {
		member("a", 3, NAME_VALUE),
		member("bb", 4, NAME_TOMBSTONE),
		member("c", 5, NAME_VALUE),
	};
	uint8_t *payload, *again;
	struct pack *pack;
	size_t len, len2, taken = 0;

	(void)state;
	payload = encode(members, 3, &len);
	for (size_t i = 0; i < len; i++) {
		for (unsigned x = 1; x < 256; x++) {
			payload[i] ^= (uint8_t)x;
			if (decode(payload, len, &pack) == 0) {
				again = encode(pack->members, pack->count, &len2);
				assert_int_equal(len, len2);
				assert_memory_equal(payload, again, len);
				fsu_release(&fsu_posix, again);
				fsu_release(&fsu_posix, pack);
				taken++;
			}
			payload[i] ^= (uint8_t)x;
		}
	}
	assert_true(taken > 0);
	fsu_release(&fsu_posix, payload);
}

/* One that encode would write if it were asked to, with a member that cannot be. */
static void refuse(struct pack_member wrong)
{
	const struct pack_member members[] = { member("a", 3, NAME_VALUE), wrong };
	struct pack *pack;
	uint8_t *payload;
	size_t len;

	payload = encode(members, 2, &len);
	assert_int_equal(decode(payload, len, &pack), -EBADMSG);
	fsu_release(&fsu_posix, payload);
}

static void members_that_cannot_be_are_refused(void **state)
{
	char long_key[FSHA_NAME_MAX + 2];
	struct pack_member m;

	(void)state;
	refuse(member("b", 10, NAME_VALUE)); /* newer than the pack */
	refuse(member("b~c", 3, NAME_VALUE));
	refuse(member("b/c", 3, NAME_VALUE));
	refuse(member("b", 3, NAME_MARKED));
	refuse(member("b", 3, NAME_JSON));
	refuse(member("b", 3, (enum name_form)200));
	memset(long_key, 'b', sizeof(long_key) - 1);
	long_key[sizeof(long_key) - 1] = '\0';
	refuse(member(long_key, 3, NAME_VALUE));
	m = member("b", 3, NAME_VALUE);
	m.version = (fsha_version){ 0 };
	refuse(m);
	m = member("b", 3, NAME_VALUE);
	m.size = 128; /* no record is that short */
	refuse(m);
	m.size = PACK_SIZE_MAX;
	refuse(m);
}

static void members_out_of_order_or_twice_are_refused(void **state)
{
	const struct pack_member members[] = {
		member("a", 3, NAME_VALUE),
		member("b", 3, NAME_VALUE),
	};
	struct pack *pack;
	uint8_t *payload;
	size_t len;

	(void)state;
	payload = encode(members, 2, &len);
	payload[8] = 'b'; /* the first key: now twice */
	assert_int_equal(decode(payload, len, &pack), -EBADMSG);
	payload[8] = 'c';
	assert_int_equal(decode(payload, len, &pack), -EBADMSG);
	payload[8] = 'a';
	assert_int_equal(decode(payload, len, &pack), 0);
	fsu_release(&fsu_posix, pack);
	fsu_release(&fsu_posix, payload);
}

static void a_number_of_members_that_cannot_be_is_refused(void **state)
{
	static const uint8_t none[4];
	const uint8_t many[4] = { 0xff, 0xff, 0xff, 0xff };
	struct pack *pack;

	(void)state;
	assert_int_equal(decode(none, sizeof(none), &pack), -EBADMSG);
	assert_int_equal(decode(many, sizeof(many), &pack), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_is_read_back_as_it_was_written),
		cmocka_unit_test(what_is_not_of_its_length_is_refused),
		cmocka_unit_test(no_changed_byte_gives_a_list_that_would_be_written_otherwise),
		cmocka_unit_test(members_that_cannot_be_are_refused),
		cmocka_unit_test(members_out_of_order_or_twice_are_refused),
		cmocka_unit_test(a_number_of_members_that_cannot_be_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
