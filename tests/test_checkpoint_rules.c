/* What depends on no storage: which checkpoints are superfluous, whose data goes, the bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/checkpoint/checkpoint.h"

#define C FSHA_CHECKPOINT
#define S FSHA_SAVEPOINT
#define Y FSHA_SYNC_SAVEPOINT

/* ---- what is superfluous ---- */

/*
 * The rule as Flink's documentation tells it, on a queue: from the oldest to the newest, as long as
 * there are too many. Never the newest; savepoints always; anything when the newest has stopped the
 * job; else all but the most recent one that is no savepoint. Marks the survivors.
 */
static size_t reference(const uint32_t *types, size_t count, size_t retain, bool *ret_survives)
{
	size_t queue[16], n = count, at = 0;

	for (size_t i = 0; i < count; i++) {
		queue[i] = i;
		ret_survives[i] = false;
	}
	while (n > retain && at < n) {
		bool newer_checkpoint = false, superfluous;

		for (size_t j = at + 1; j < n; j++)
			newer_checkpoint |= types[queue[j]] == C;
		superfluous = types[queue[at]] != C || types[queue[n - 1]] == Y || newer_checkpoint;
		if (at == n - 1)
			superfluous = false;
		if (!superfluous) {
			at++;
			continue;
		}
		memmove(&queue[at], &queue[at + 1], (n - at - 1) * sizeof(queue[0]));
		n--;
	}
	for (size_t i = 0; i < n; i++)
		ret_survives[queue[i]] = true;
	return n;
}

static void subsuming_follows_the_rule_for_every_short_sequence(void **state)
{
	const size_t longest = 9;
	size_t tried = 0;

	(void)state;
	for (size_t length = 1, sequences = 3; length <= longest; length++, sequences *= 3) {
		for (size_t number = 0; number < sequences; number++) {
			uint32_t types[16];
			size_t rest = number;

			for (size_t i = 0; i < length; i++, rest /= 3)
				types[i] = (uint32_t)(C + rest % 3);
			for (uint32_t retain = 1; retain <= 4; retain++) {
				bool drop[16], survives[16];
				size_t left = reference(types, length, retain, survives);

				assert_int_equal(checkpoint_subsume(types, length, retain, drop),
						 length - left);
				for (size_t i = 0; i < length; i++)
					if (drop[i] == survives[i])
						fail_msg("sequence %zu of %zu, %u retained: "
							 "checkpoint %zu",
							 number, length, retain, i);
				tried++;
			}
		}
	}
	assert_int_equal(tried, 4 * (29524 - 1)); /* 3 + 9 + ... + 3^9 sequences */
}

struct subsuming {
	const char *types; /* oldest first: c, s, y */
	uint32_t retain;
	const char *left; /* x: dropped */
};

static void subsuming_by_example(void **state)
{
	static const struct subsuming examples[] = {
		{ "c", 1, "c" },
		{ "cc", 1, "xc" },
		{ "ccc", 2, "xcc" },
		{ "cs", 1, "cs" }, /* the last checkpoint stays beyond the number */
		{ "ccs", 1, "xcs" },
		{ "css", 1, "cxs" }, /* the scan goes on past it */
		{ "cy", 1, "xy" },   /* the job was stopped: nothing builds upon it */
		{ "sc", 1, "xc" },
		{ "scs", 2, "xcs" },
		{ "cys", 1, "cxs" }, /* that it was stopped once does not count */
		{ "ss", 1, "xs" },
		{ "ccss", 3, "xcss" },
	};

	(void)state;
	for (size_t k = 0; k < sizeof(examples) / sizeof(examples[0]); k++) {
		const struct subsuming *e = &examples[k];
		size_t n = strlen(e->types);
		uint32_t types[8];
		char left[8] = "";
		bool drop[8];

		for (size_t i = 0; i < n; i++)
			types[i] = e->types[i] == 'c' ? C : e->types[i] == 's' ? S : Y;
		(void)checkpoint_subsume(types, n, e->retain, drop);
		memcpy(left, e->types, n + 1);
		for (size_t i = 0; i < n; i++)
			if (drop[i])
				left[i] = 'x';
		assert_string_equal(left, e->left);
	}
}

/* ---- whose data goes ---- */

static void data_goes_with_the_job_as_the_policy_says(void **state)
{
	/* FINISHED, CANCELED, FAILED, SUSPENDED */
	static const char *const goes[] = { [FSHA_NEVER_RETAIN] = "yyyn",
					    [FSHA_RETAIN_ON_FAILURE] = "yynn",
					    [FSHA_RETAIN_ON_CANCELLATION] = "ynnn" };

	(void)state;
	for (uint32_t r = FSHA_NEVER_RETAIN; r <= FSHA_RETAIN_ON_CANCELLATION; r++)
		for (int end = FSHA_JOB_FINISHED; end <= FSHA_JOB_SUSPENDED; end++) {
			fsha_completed_checkpoint c = FSHA_COMPLETED_CHECKPOINT_INIT;

			c.retention = r;
			assert_int_equal(checkpoint_discarded_at_end(&c, end),
					 goes[r][end - FSHA_JOB_FINISHED] == 'y');
			c.type = S;
			assert_false(checkpoint_discarded_at_end(&c, end));
			c.type = Y;
			assert_false(checkpoint_discarded_at_end(&c, end));
		}
}

static void only_the_data_of_checkpoints_goes_with_a_newer_one(void **state)
{
	fsha_completed_checkpoint c = FSHA_COMPLETED_CHECKPOINT_INIT;

	(void)state;
	for (uint32_t r = FSHA_NEVER_RETAIN; r <= FSHA_RETAIN_ON_CANCELLATION; r++) {
		c.retention = r;
		c.type = C;
		assert_true(checkpoint_discarded_when_subsumed(&c));
		c.type = S;
		assert_false(checkpoint_discarded_when_subsumed(&c));
		c.type = Y;
		assert_false(checkpoint_discarded_when_subsumed(&c));
	}
}

static void types_and_policies_have_names(void **state)
{
	(void)state;
	assert_string_equal(fsha_checkpoint_type_name(C), "CHECKPOINT");
	assert_string_equal(fsha_checkpoint_type_name(S), "SAVEPOINT");
	assert_string_equal(fsha_checkpoint_type_name(Y), "SYNC_SAVEPOINT");
	assert_string_equal(fsha_checkpoint_type_name(0), "UNKNOWN");
	assert_string_equal(fsha_checkpoint_type_name(4), "UNKNOWN");
	assert_string_equal(fsha_checkpoint_type_name(-1), "UNKNOWN");
	assert_string_equal(fsha_checkpoint_retention_name(1), "NEVER_RETAIN");
	assert_string_equal(fsha_checkpoint_retention_name(2), "RETAIN_ON_FAILURE");
	assert_string_equal(fsha_checkpoint_retention_name(3), "RETAIN_ON_CANCELLATION");
	assert_string_equal(fsha_checkpoint_retention_name(4), "UNKNOWN");
}

/* ---- keys and bytes ---- */

static void a_key_is_the_id_in_19_digits_and_nothing_else(void **state)
{
	static const char *const wrong[] = { "",
					     "1",
					     "0000000000000000000",
					     "00000000000000000001",
					     "000000000000000001",
					     "-000000000000000001",
					     "000000000000000000x",
					     "9223372036854775808",
					     "9999999999999999999" };
	char key[CHECKPOINT_KEY_SIZE];
	int64_t id = 0;

	(void)state;
	checkpoint_key(1, key);
	assert_string_equal(key, "0000000000000000001");
	checkpoint_key(INT64_MAX, key);
	assert_string_equal(key, "9223372036854775807");
	assert_true(checkpoint_parse_key(key, &id));
	assert_int_equal(id, INT64_MAX);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (checkpoint_parse_key(wrong[i], &id))
			fail_msg("'%s' is taken for %lld", wrong[i], (long long)id);
}

static fsha_completed_checkpoint example(void)
{
	fsha_completed_checkpoint c = FSHA_COMPLETED_CHECKPOINT_INIT;

	c.id = 42;
	c.timestamp_ms = -5;
	c.type = S;
	c.retention = FSHA_RETAIN_ON_FAILURE;
	c.metadata = "meta\0data";
	c.metadata_size = 9;
	c.external_pointer = "file:/s/chk-42";
	return c;
}

static void what_was_encoded_is_decoded_and_anything_else_refused(void **state)
{
	fsha_completed_checkpoint c = example(), d;
	char pointer[FSHA_CHECKPOINT_POINTER_MAX + 1];
	uint8_t *data, *bad;
	size_t size;

	(void)state;
	assert_int_equal(checkpoint_encode(&fsu_posix, &c, &data, &size), 0);
	assert_true(checkpoint_decode(data, size, 42, &d, pointer));
	assert_int_equal(d.id, 42);
	assert_int_equal(d.timestamp_ms, -5);
	assert_int_equal(d.type, S);
	assert_int_equal(d.retention, FSHA_RETAIN_ON_FAILURE);
	assert_int_equal(d.metadata_size, 9);
	assert_memory_equal(d.metadata, c.metadata, 9);
	assert_string_equal(d.external_pointer, c.external_pointer);
	assert_false(checkpoint_decode(data, size, 43, &d, pointer));
	for (size_t len = 0; len < size; len++)
		assert_false(checkpoint_decode(data, len, 42, &d, pointer));
	bad = malloc(size + 1);
	assert_non_null(bad);
	memcpy(bad, data, size);
	bad[size] = 0;
	assert_false(checkpoint_decode(bad, size + 1, 42, &d, pointer));
	for (unsigned value = 0; value < 256; value++) {
		bad[16] = (uint8_t)value;
		assert_int_equal(checkpoint_decode(bad, size, 42, &d, pointer),
				 value >= C && value <= Y);
	}
	bad[16] = C;
	for (unsigned value = 0; value < 256; value++) {
		bad[17] = (uint8_t)value;
		assert_int_equal(checkpoint_decode(bad, size, 42, &d, pointer),
				 value >= 1 && value <= 3);
	}
	free(bad);
	fsu_release(&fsu_posix, data);
}

/* Any bytes at all are decoded or refused, and what is decoded comes back from the encoder. */
static void random_bytes_are_refused_or_canonical(void **state)
{
	uint64_t seed = 0x243f6a8885a308d3u, x = seed;
	fsha_completed_checkpoint c = example(), d;
	char pointer[FSHA_CHECKPOINT_POINTER_MAX + 1];
	uint8_t *data, *again, copy[128];
	size_t size, again_size, decoded = 0;

	(void)state;
	print_message("seed 0x%llx\n", (unsigned long long)seed);
	assert_int_equal(checkpoint_encode(&fsu_posix, &c, &data, &size), 0);
	assert_true(size <= sizeof(copy));
	for (int i = 0; i < 20000; i++) {
		memcpy(copy, data, size);
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		copy[x % size] = (uint8_t)(x >> 32);
		if (!checkpoint_decode(copy, size, 42, &d, pointer))
			continue;
		decoded++;
		assert_int_equal(checkpoint_encode(&fsu_posix, &d, &again, &again_size), 0);
		assert_int_equal(again_size, size);
		assert_memory_equal(again, copy, size);
		fsu_release(&fsu_posix, again);
	}
	assert_true(decoded > 100);
	fsu_release(&fsu_posix, data);
}

static void a_checkpoint_that_is_none_is_refused_with_the_reason(void **state)
{
	fsha_error error = FSHA_ERROR_INIT;
	fsha_completed_checkpoint c;
	char *pointer;

	(void)state;
#define REFUSED(part)                                                           \
	do {                                                                    \
		assert_int_equal(checkpoint_check(&c, &error), FSHA_E_INVALID); \
		assert_non_null(strstr(error.message, part));                   \
	} while (0)
	c = example();
	assert_int_equal(checkpoint_check(&c, &error), FSHA_OK);
	assert_int_equal(checkpoint_check(NULL, &error), FSHA_E_INVALID);
	c.struct_size = 8;
	REFUSED("struct_size");
	c = example();
	c.id = 0;
	REFUSED("id 0");
	c.id = -7;
	REFUSED("id -7");
	c = example();
	c.type = 4;
	REFUSED("type 4");
	c = example();
	c.retention = 0;
	REFUSED("retention policy 0");
	c = example();
	c.metadata = NULL;
	REFUSED("NULL");
	c.metadata_size = 0;
	assert_int_equal(checkpoint_check(&c, &error), FSHA_OK);
	c = example();
	c.metadata_size = FSHA_CHECKPOINT_METADATA_MAX + 1;
	REFUSED("at most");
	pointer = malloc(FSHA_CHECKPOINT_POINTER_MAX + 2);
	assert_non_null(pointer);
	memset(pointer, 'p', FSHA_CHECKPOINT_POINTER_MAX + 1);
	pointer[FSHA_CHECKPOINT_POINTER_MAX + 1] = '\0';
	c = example();
	c.external_pointer = pointer;
	REFUSED("external pointer");
	c.external_pointer = pointer + 1;
	assert_int_equal(checkpoint_check(&c, &error), FSHA_OK);
	c.external_pointer = NULL;
	assert_int_equal(checkpoint_check(&c, &error), FSHA_OK);
	free(pointer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(subsuming_follows_the_rule_for_every_short_sequence),
		cmocka_unit_test(subsuming_by_example),
		cmocka_unit_test(data_goes_with_the_job_as_the_policy_says),
		cmocka_unit_test(only_the_data_of_checkpoints_goes_with_a_newer_one),
		cmocka_unit_test(types_and_policies_have_names),
		cmocka_unit_test(a_key_is_the_id_in_19_digits_and_nothing_else),
		cmocka_unit_test(what_was_encoded_is_decoded_and_anything_else_refused),
		cmocka_unit_test(random_bytes_are_refused_or_canonical),
		cmocka_unit_test(a_checkpoint_that_is_none_is_refused_with_the_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
