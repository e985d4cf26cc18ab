/* Backups of a cluster that is written to. */
#include "tests/test_backup.h"
#include "tests/test_hook.h"

static struct memory m;

struct writer {
	pthread_t thread;
	fsha_state_store *first, *second;
	_Atomic bool stop;
	_Atomic unsigned rounds;
	_Atomic unsigned pause_us;
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
		if (i % 8 == 0)
			(void)usleep(atomic_load(&w->pause_us));
	}
	return NULL;
}

static void start_writer(struct writer *w, fsha_services *s, unsigned pause_us)
{
	*w = (struct writer){ .stop = false };
	atomic_store(&w->pause_us, pause_us);
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
static const struct item *saved(struct memory *archive, const char *prefix)
{
	static const struct item nothing;
	struct item *manifest = &archive->items[archive->count - 1];

	manifest->data[manifest->size] = '\0';
	for (size_t i = archive->count - 1; i-- > 0;) {
		const struct item *item = &archive->items[i];

		if (strncmp(item->path, prefix, strlen(prefix)) == 0 &&
		    strstr((char *)manifest->data, item->path))
			return item;
	}
	fail_msg("the backup has no %s", prefix);
	return &nothing;
}

static unsigned number_of(struct memory *archive, const char *prefix)
{
	const struct item *item = saved(archive, prefix);
	char text[16];

	(void)snprintf(text, sizeof(text), "%.*s", (int)item->size, (char *)item->data);
	return (unsigned)strtoul(text, NULL, 10);
}

static void check_saved(const char *prefix, const char *value)
{
	const struct item *item = saved(&m, prefix);

	assert_int_equal(item->size, strlen(value));
	assert_memory_equal(item->data, value, item->size);
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
	/* A value that never rests cannot be copied on a machine where reading is the slower. */
	atomic_store(&w.pause_us, 20000);
	assert_ok(take_with(reader, &m, FSHA_BACKUP_EACH_STORE, 20000));
	(void)number_of(&m, "state/first/n~");
	stop_writer(&w);
	player_close(&p);
	close_services(reader);
	close_services(s);
	memory_done(&m);
}

/* ---- a job's directory that is removed and made again meanwhile ---- */

#define JOB_BLOBS "blobs/job_01000000000000000000000000000000/blob_p-"

struct renewal {
	fsha_blob_store *blobs;
	fsha_job_id job;
	bool done;
};
static struct renewal renewal;

static void put_blobs(const char *text)
{
	fsha_blob_key key = { .type = FSHA_BLOB_PERMANENT };
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/blob", t.dir);
	write_file(path, text, strlen(text));
	for (uint8_t i = 1; i <= 2; i++) {
		key.hash[0] = i;
		assert_ok(fsha_blob_store_put(renewal.blobs, path, &renewal.job, &key, &t.error));
	}
	assert_int_equal(unlink(path), 0);
}

/* Both have been listed, and the first one is saved: the second one is gone then. */
static fsha_result begin_and_renew(void *ctx, const char *path, uint64_t size, fsha_error *reterr)
{
	if (!renewal.done) {
		renewal.done = true;
		assert_ok(fsha_blob_store_delete_all(renewal.blobs, &renewal.job, &t.error));
		put_blobs("new");
		POLL_FOR(count_names("elections/" ELECTION "/trash", "", NULL) == 0);
	}
	return begin_item(ctx, path, size, reterr);
}

static void a_directory_that_is_removed_and_made_again_is_saved_as_it_is_then(void **state)
{
	const fsha_backup_sink sink = { sizeof(sink), &m, begin_and_renew, write_item };
	fsha_services *s = open_services(), *reader = open_services();
	struct player p;

	(void)state;
	renewal = (struct renewal){ .job.bytes = { 1 } };
	player_lead(&p, s, ELECTION);
	assert_ok(fsha_blob_store_open(s, &renewal.blobs, &t.error));
	put_blobs("old");
	put(s, "space", "name", "value");
	m.count = 0;
	assert_ok(fsha_backup_take(reader, NULL, &sink, NULL, &t.error));
	assert_true(renewal.done);
	check_saved(JOB_BLOBS "01", "new");
	check_saved(JOB_BLOBS "02", "new");
	memory_done(&m);
	fsha_blob_store_close(renewal.blobs);
	player_close(&p);
	close_services(reader);
	close_services(s);
}

/* ---- a backup that takes long, and stores that change while they are looked at ---- */

static struct slow {
	fsha_services *leader;
	_Atomic int64_t late_ns; /* so much later it is for who takes the backup */
	unsigned writes;
	unsigned again; /* how often values are still to be overtaken */
} slow;

static int64_t late_now(void *ctx)
{
	(void)ctx;
	return fsu_posix.ops->now_ns(NULL) + atomic_load(&slow.late_ns);
}

static int late_wait(void *ctx, const int *fds, size_t n_fds, int64_t deadline_ns)
{
	(void)ctx;
	if (deadline_ns < FSU_FOREVER)
		deadline_ns -= atomic_load(&slow.late_ns);
	return fsu_posix.ops->wait(NULL, fds, n_fds, deadline_ns);
}

static fsha_services *open_late(struct hook *h, fsha_services *leader)
{
	slow = (struct slow){ .leader = leader };
	hook_init(h);
	hook_ops.now_ns = late_now;
	hook_ops.wait = late_wait;
	return open_hooked(h);
}

static void pass(int64_t ms)
{
	atomic_fetch_add(&slow.late_ns, ms * FSU_NS_PER_MS);
}

static void overtake(const char *name)
{
	char value[24];

	(void)snprintf(value, sizeof(value), "%u", ++slow.writes);
	put(slow.leader, "space", name, value);
}

/* Of two values; the first one of them takes long, and meanwhile both are replaced. */
static fsha_result begin_slowly(void *ctx, const char *path, uint64_t size, fsha_error *reterr)
{
	if (slow.again > 0) {
		slow.again--;
		pass(60000);
		overtake("a");
		overtake("b");
	}
	return begin_item(ctx, path, size, reterr);
}

static fsha_result take_slowly(fsha_services *reader, unsigned again)
{
	const fsha_backup_sink sink = { sizeof(sink), &m, begin_slowly, write_item };

	m.count = 0;
	slow.again = again;
	return fsha_backup_take(reader, NULL, &sink, NULL, &t.error);
}

static void a_backup_that_takes_longer_than_its_timeout_goes_on_while_there_is_progress(
	void **state)
{
	static struct hook h;
	fsha_services *s = open_services(), *reader = open_late(&h, s);
	struct player p;

	(void)state;
	player_lead(&p, s, ELECTION);
	overtake("a");
	overtake("b");
	assert_ok(take_slowly(reader, 1));
	check_saved("state/space/a~", "3");
	check_saved("state/space/b~", "4");
	memory_done(&m);
	/* One value is overtaken in each round: it would never end. */
	assert_refused(take_slowly(reader, 1000), FSHA_E_TIMEOUT, "faster than");
	assert_true(slow.again > 990);
	memory_done(&m);
	player_close(&p);
	close_services(reader);
	close_services(s);
}

/* Each time that a part of its listing is read there is one name more; the last one is missed. */
static int add_meanwhile(struct hook *h, const char *op, const char *path, const char *to)
{
	char name[24];

	(void)to;
	if (atomic_load(&h->mode) > 0 && strcmp(op, "getdents") == 0 &&
	    strstr(path, "/state/space")) {
		(void)snprintf(name, sizeof(name), "n%d", atomic_fetch_sub(&h->mode, 1));
		pass(300); /* a listing that takes longer than a second is refused in any case */
		overtake(name);
	}
	return 0;
}

static void a_listing_during_which_its_store_changed_is_not_saved(void **state)
{
	static struct hook h;
	fsha_services *s = open_services(), *reader = open_late(&h, s);
	struct player p;

	(void)state;
	player_lead(&p, s, ELECTION);
	overtake("a");
	h.decide = add_meanwhile;
	atomic_store(&h.mode, 2);
	assert_ok(take_with(reader, &m, FSHA_BACKUP_EACH_STORE, 0));
	check_saved("state/space/n2~", "2");
	check_saved("state/space/n1~", "3");
	memory_done(&m);
	atomic_store(&h.mode, 1000);
	assert_refused(take_with(reader, &m, FSHA_BACKUP_EACH_STORE, 0), FSHA_E_TIMEOUT,
		       "'state/space' is written to all the time");
	atomic_store(&h.mode, 0);
	memory_done(&m);
	player_close(&p);
	close_services(reader);
	close_services(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_backup_of_a_running_cluster_is_of_one_moment),
		TEST(a_cluster_that_never_rests_has_no_common_moment),
		TEST(a_directory_that_is_removed_and_made_again_is_saved_as_it_is_then),
		TEST(a_backup_that_takes_longer_than_its_timeout_goes_on_while_there_is_progress),
		TEST(a_listing_during_which_its_store_changed_is_not_saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
