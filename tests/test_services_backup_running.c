/* Backups of a cluster that is written to. */
#include "tests/test_backup.h"

static struct memory m;

struct writer {
	pthread_t thread;
	fsha_state_store *first, *second;
	_Atomic bool stop;
	_Atomic unsigned rounds;
	unsigned pause_us;
};

/* The second store never runs ahead of the first, and is one behind at most. */
static void *write_pairs(void *ctx)
{
	struct writer *w = ctx;
	char value[24];

	for (unsigned i = 1; !atomic_load(&w->stop); i++) {
		fsha_state_store *stores[] = { w->first, w->second };

		(void)snprintf(value, sizeof(value), "%u", i);
		for (int j = 0; j < 2; j++) {
			fsha_version v;

			(void)fsha_state_store_exists(stores[j], "n", &v, NULL);
			(void)fsha_state_store_replace(stores[j], "n", &v, value, strlen(value),
						       NULL, NULL);
		}
		atomic_store(&w->rounds, i);
		if (w->pause_us && i % 8 == 0)
			(void)usleep(w->pause_us);
	}
	return NULL;
}

static void start_writer(struct writer *w, fsha_services *s, unsigned pause_us)
{
	*w = (struct writer){ .pause_us = pause_us };
	put(s, "first", "n", "0");
	put(s, "second", "n", "0");
	assert_ok(fsha_state_store_open(s, "first", ELECTION, &w->first, &t.error));
	assert_ok(fsha_state_store_open(s, "second", ELECTION, &w->second, &t.error));
	assert_int_equal(pthread_create(&w->thread, NULL, write_pairs, w), 0);
}

static void stop_writer(struct writer *w)
{
	atomic_store(&w->stop, true);
	(void)pthread_join(w->thread, NULL);
	fsha_state_store_close(w->first);
	fsha_state_store_close(w->second);
}

/* As the manifest names it: others of the name were overtaken. */
static unsigned number_of(struct memory *archive, const char *prefix)
{
	struct item *manifest = &archive->items[archive->count - 1];
	char text[16];

	manifest->data[manifest->size] = '\0';
	for (size_t i = archive->count - 1; i-- > 0;) {
		struct item *item = &archive->items[i];

		if (strncmp(item->path, prefix, strlen(prefix)) != 0 ||
		    !strstr((char *)manifest->data, item->path))
			continue;
		(void)snprintf(text, sizeof(text), "%.*s", (int)item->size, (char *)item->data);
		return (unsigned)strtoul(text, NULL, 10);
	}
	fail_msg("the backup has no %s", prefix);
	return 0;
}

static void a_backup_of_a_running_cluster_is_of_one_moment(void **state)
{
	fsha_services *s = open_services(), *reader = open_services();
	unsigned first, second, last = 0;
	struct writer w;
	struct player p;

	(void)state;
	player_lead(&p, s, ELECTION);
	start_writer(&w, s, 40000);
	for (int i = 0; i < 20; i++) {
		take(reader, &m);
		first = number_of(&m, "state/first/n~");
		second = number_of(&m, "state/second/n~");
		if (second > first || first > second + 1 || second < last)
			fail_msg("%u in the first store, %u in the second, after %u", first, second,
				 last);
		last = second;
		memory_done(&m);
	}
	stop_writer(&w);
	player_close(&p);
	close_services(reader);
	close_services(s);
}

static void a_cluster_that_never_rests_has_no_common_moment(void **state)
{
	fsha_services *s = open_services(), *reader = open_services();
	struct writer w;
	struct player p;

	(void)state;
	player_lead(&p, s, ELECTION);
	start_writer(&w, s, 0);
	while (atomic_load(&w.rounds) < 2)
		(void)usleep(1000);
	/* The disk may rest for longer than a look takes: then it is a backup. */
	if (take_with(reader, &m, 0, 300) != FSHA_OK)
		assert_int_equal(t.error.result, FSHA_E_TIMEOUT);
	memory_done(&m);
	assert_ok(take_with(reader, &m, FSHA_BACKUP_EACH_STORE, 20000));
	(void)number_of(&m, "state/first/n~");
	stop_writer(&w);
	player_close(&p);
	close_services(reader);
	close_services(s);
	memory_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_backup_of_a_running_cluster_is_of_one_moment),
		TEST(a_cluster_that_never_rests_has_no_common_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
