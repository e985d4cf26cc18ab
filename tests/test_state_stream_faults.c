/* Every fault of a streamed write or read, and every allocation that fails. */
#include "tests/lib/oom.h"
#include "tests/test_state_stream.h"

static int add(void *ctx, const struct fsu *fs)
{
	struct scene *s = ctx;

	(void)fs;
	assert_int_equal(lseek(s->fd, 0, SEEK_SET), 0);
	return fsha_state_store_add_fd(s->store, "n", s->fd, FSHA_TO_END, NULL, &s->error);
}

static int replace(void *ctx, const struct fsu *fs)
{
	struct scene *s = ctx;
	struct feed f = { .s = s, .size = LARGE };

	(void)fs;
	return fsha_state_store_replace_stream(s->store, "k", &s->version, feed_read, &f, NULL,
					       &s->error);
}

static int get(void *ctx, const struct fsu *fs)
{
	struct scene *s = ctx;
	int answer = 0;

	(void)fs;
	/* As a process that has not looked yet. */
	fsha_state_store_release_all(s->store, NULL);
	return fsha_state_store_get_stream(s->store, "k", refuse, &answer, NULL, NULL, &s->error);
}

static int first_byte(void *ctx, const void *data, size_t size)
{
	(void)size;
	*(char *)ctx = *(const char *)data;
	return 0;
}

/* As a fresh reader sees it: its first byte; 0: there is none. */
static const char *value_of(struct crashfs *after, const char *name, char *ret_value)
{
	fsha_state_store *store;
	struct holder reader;
	fsha_result result;
	uint64_t size = LARGE;

	*ret_value = '\0';
	holder_start_reader(&reader, after, 1);
	result = fsha_state_store_open(reader.services, "ns", "dispatcher", &store, &reader.error);
	if (result == FSHA_OK) {
		result = fsha_state_store_get_stream(store, name, first_byte, ret_value, &size,
						     NULL, &reader.error);
		fsha_state_store_close(store);
	}
	holder_stop(&reader);
	if (result != FSHA_OK && result != FSHA_E_NOT_FOUND)
		return sweep_say("cannot read '%s': %s", name, fsha_result_name(result));
	return size == LARGE ? NULL : "it has another size";
}

static const char *expect(struct crashfs *after, const struct sweep_run *run, const char *name,
			  char old, char new)
{
	bool told = run->when != SWEEP_CUT_DURING && run->outcome != FSHA_E_INDOUBT;
	const char *wrong;
	char value;

	if (told && (run->outcome == FSHA_E_CORRUPT || run->outcome == FSHA_E_FENCED))
		return sweep_say("outcome %s", fsha_result_name(run->outcome));
	wrong = value_of(after, name, &value);
	if (wrong)
		return wrong;
	if (value != old && value != new)
		return sweep_say("'%s' is '%c'", name, value);
	if (told && value != (run->outcome == FSHA_OK ? new : old))
		return sweep_say("'%s' is '%c' after %s", name, value,
				 fsha_result_name(run->outcome));
	return NULL;
}

static const char *check_add(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	(void)ctx;
	return expect(after, run, "n", '\0', 'n');
}

static const char *check_replace(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	(void)ctx;
	return expect(after, run, "k", 'o', 'f');
}

static const char *check_get(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	(void)ctx;
	if (run->when == SWEEP_RETURNED && run->outcome == FSHA_E_NOT_FOUND)
		return "not found, and there";
	return expect(after, run, "k", 'o', 'o');
}

static struct sweep_scenario scenario_of(const char *name, struct scene *scene,
					 int (*op)(void *ctx, const struct fsu *fs),
					 const char *(*look)(void *ctx, struct crashfs *after,
							     const struct sweep_run *run))
{
	return (struct sweep_scenario){
		.name = name,
		.options = { .seed = 1 },
		.ctx = scene,
		.setup = lead,
		.operation = op,
		.check = look,
		.teardown = leave,
	};
}

static void adding_a_stream_is_old_or_new_at_every_fault(void **state)
{
	struct scene scene;
	const struct sweep_scenario scenario = scenario_of("add_fd", &scene, add, check_add);

	(void)state;
	sweep_assert(&scenario);
}

static void replacing_by_a_stream_is_old_or_new_at_every_fault(void **state)
{
	struct scene scene;
	const struct sweep_scenario scenario =
		scenario_of("replace_stream", &scene, replace, check_replace);

	(void)state;
	sweep_assert(&scenario);
}

static void reading_a_stream_is_right_or_fails_at_every_fault(void **state)
{
	struct scene scene;
	const struct sweep_scenario scenario = scenario_of("get_stream", &scene, get, check_get);

	(void)state;
	sweep_assert(&scenario);
}

static const char *check_add_memory(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	return run->when == SWEEP_RETURNED ? check_add(ctx, after, run) : NULL;
}

static const char *check_get_memory(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	return run->when == SWEEP_RETURNED ? check_get(ctx, after, run) : NULL;
}

static void streams_without_memory_change_nothing(void **state)
{
	struct scene scene;
	const struct sweep_scenario adding = scenario_of("add_fd", &scene, add, check_add_memory);
	const struct sweep_scenario reading =
		scenario_of("get_stream", &scene, get, check_get_memory);

	(void)state;
	oom_assert(&adding);
	oom_assert(&reading);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adding_a_stream_is_old_or_new_at_every_fault),
		cmocka_unit_test(replacing_by_a_stream_is_old_or_new_at_every_fault),
		cmocka_unit_test(reading_a_stream_is_right_or_fails_at_every_fault),
		cmocka_unit_test(streams_without_memory_change_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
