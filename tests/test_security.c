/*
 * Hostile things in the shared directory: whatever lies in the place of any file or directory of
 * ours, nothing outside is changed or removed through it, and nobody waits for it.
 *
 * One sound cluster is made; then for each place and each thing it is copied, the place is taken by
 * the thing, and everything that there is to do with a cluster is done to it. How it ends is
 * another test's business (tests/test_bad_input*.c); here the outside must be as it was.
 *
 * That nothing outside is read as ours is in tests/test_security_links.c.
 */
#include "tests/test_bad_input.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/lib/run.h"

#define JOB "00112233445566778899aabbccddeeff"
#define STRANGER "0123456789abcdef0123456789abcdef"
#define SESSION "fedcba9876543210fedcba9876543210"
#define CASE_S 20 /* nobody waits: what takes longer hangs */

/* A '*' at the end: the last name that begins so. Directories first. */
static const char *const places[] = {
	"leaders",
	"elections",
	"members",
	"job_graphs",
	"job_results",
	"running_jobs",
	"checkpoints",
	"blobs",
	"workers",
	"state",
	"quarantine",
	"elections/dispatcher",
	"elections/dispatcher/trash",
	"elections/dispatcher/tenure-0000000000000001-" SESSION,
	"elections/job-" JOB,
	"elections/job-" JOB "/trash",
	"state/ns",
	"state/other",
	"checkpoints/" JOB,
	"blobs/job_" JOB,
	"members/" STRANGER,
	"members/" STRANGER "/stands",
	/* files */
	"SETTINGS~*",
	"floor-*",
	"elections/dispatcher/epoch-*",
	"elections/dispatcher/@history~*",
	"leaders/dispatcher~*",
	"job_graphs/" JOB "~*",
	"state/ns/k~*",
	"state/ns/@owner~*",
	"state/ns/@pack~*",
	"blobs/job_" JOB "/@owner~*",
	"members/" STRANGER "/lock",
	"members/" STRANGER "/write",
	"members/" STRANGER "/beat-0000000000000001",
	"elections/dispatcher/trash/x",
	"state/ns/~x",
	"members/~x",
	"elections/~x",
};
#define PLACES (sizeof(places) / sizeof(places[0]))

enum hostile {
	LINK_TO_DIRECTORY,
	LINK_TO_FILE,
	LINK_TO_NOTHING,
	LINK_TO_ITSELF,
	HARD_LINK,
	FIFO,
	SOCKET,
	DEVICE,
	HOSTILE,
};
static const char *const hostile_names[] = {
	"link to a directory", "link to a file", "dangling link", "link to itself",
	"hard link",           "fifo",           "socket",        "device"
};

/* ---- Outside ---- */

static char outside[128], sound[128];

static void make_outside(void)
{
	char path[256];

	(void)snprintf(outside, sizeof(outside), "%s/outside", t.dir);
	(void)snprintf(sound, sizeof(sound), "%s/sound", t.dir);
	assert_int_equal(mkdir(outside, 0700), 0);
	for (size_t i = 0; i < 4; i++) {
		static const char *const names[] = { "a",
						     "k~0000000000000009.0000000000000001.0000",
						     "lock", "~b" };

		(void)snprintf(path, sizeof(path), "%s/%s", outside, names[i]);
		write_file(path, "of somebody else's", 18);
	}
	(void)snprintf(path, sizeof(path), "%s/d", outside);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/d/inside", outside);
	write_file(path, "of somebody else's", 18);
}

/* Every name, content, mode and time; not the number of links, which a hard link changes. */
static char seen[16384];
static size_t seen_len;

static int see_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	uint8_t content[256] = { 0 };
	size_t n = S_ISREG(st->st_mode) ? read_file(path, content, sizeof(content) - 1) : 0;

	(void)type;
	(void)at;
	content[n] = '\0';
	seen_len += (size_t)snprintf(
		seen + seen_len, sizeof(seen) - seen_len, "%s %o %lld %lld.%09ld %s\n", path,
		st->st_mode, S_ISREG(st->st_mode) ? (long long)st->st_size : 0LL,
		(long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec, (char *)content);
	return 0;
}

static const char *see_outside(void)
{
	seen_len = 0;
	assert_int_equal(nftw(outside, see_entry, 16, FTW_PHYS), 0);
	assert_true(seen_len < sizeof(seen));
	return seen;
}

/* ---- Time ---- */

/*
 * Maintenance looks again after a pause, many times. The pauses of the test's own thread take no
 * time: the clock of all threads is put forward instead, by less than the lease.
 */
static _Atomic int64_t skew_ns;
static pthread_t impatient;
static struct fsu_ops impatient_ops;
static const struct fsu impatient_fs = { &impatient_ops, NULL };

static int64_t skewed_now_ns(void *ctx)
{
	return fsu_posix.ops->now_ns(ctx) + skew_ns;
}

static int skewed_wait(void *ctx, const int *fds, size_t n_fds, int64_t deadline_ns)
{
	int64_t left_ns = deadline_ns - skewed_now_ns(ctx);

	if (pthread_equal(pthread_self(), impatient) && n_fds == 0 && left_ns > 0 &&
	    left_ns < 3 * FSU_NS_PER_S) {
		skew_ns += left_ns;
		return 0;
	}
	return fsu_posix.ops->wait(
		ctx, fds, n_fds, deadline_ns == FSU_FOREVER ? deadline_ns : deadline_ns - skew_ns);
}

static fsha_services *open_impatient(void)
{
	fsha_services *s = NULL;

	impatient = pthread_self();
	if (!impatient_ops.openat) {
		impatient_ops = *fsu_posix.ops;
		impatient_ops.now_ns = skewed_now_ns;
		impatient_ops.wait = skewed_wait;
	}
	return services_open_with(&impatient_fs, t.config, NULL, &s, &t.error) == FSHA_OK ? s :
											    NULL;
}

/* ---- The cluster ---- */

static void use_stores(fsha_services *s)
{
	const fsha_state_change changes[2] = {
		{ .how = FSHA_STATE_PUT, .name = "one", .data = "1", .size = 1 },
		{ .how = FSHA_STATE_PUT, .name = "two", .data = "2", .size = 1 },
	};
	fsha_job_graph_store *graphs = NULL;
	fsha_state_store *store = NULL;
	fsha_blob_store *blobs = NULL;
	fsha_blob_key key;
	fsha_job_id job;
	uint8_t hash[FSHA_BLOB_HASH_SIZE] = { 1 };
	char local[128];

	(void)fsha_job_id_parse(JOB, &job);
	if (fsha_state_store_open(s, "ns", ELECTION, &store, NULL) == FSHA_OK) {
		(void)fsha_state_store_remove(store, "k", NULL, NULL);
		(void)fsha_state_store_add(store, "k", "value", 5, NULL, NULL);
		(void)fsha_state_store_batch(store, changes, 2, NULL, NULL, NULL);
	}
	fsha_state_store_close(store);
	if (fsha_job_graph_store_open(s, &graphs, NULL) == FSHA_OK &&
	    fsha_job_graph_store_start(graphs, NULL, NULL) == FSHA_OK)
		(void)fsha_job_graph_store_put(graphs, &job, "graph", 5, NULL);
	fsha_job_graph_store_close(graphs);
	(void)snprintf(local, sizeof(local), "%s/local", t.dir);
	write_file(local, "blob", 4);
	(void)fsha_blob_key_make(FSHA_BLOB_PERMANENT, hash, &key, NULL);
	if (fsha_blob_store_open(s, &blobs, NULL) == FSHA_OK)
		(void)fsha_blob_store_put(blobs, local, &job, &key, NULL);
	fsha_blob_store_close(blobs);
}

static int pass_finding(void *ctx, const fsha_finding *finding)
{
	(void)ctx;
	(void)finding;
	return 0;
}

static int pass_action(void *ctx, const fsha_action *action)
{
	(void)ctx;
	(void)action;
	return 0;
}

static void maintain(fsha_services *s)
{
	const fsha_gc_options gc = { .struct_size = sizeof(gc) };
	const fsha_repair_options repair = { .struct_size = sizeof(repair),
					     .flags = FSHA_REPAIR_APPLY };
	fsha_maintenance_summary done = { .struct_size = sizeof(done) };
	fsha_job_id job;

	(void)fsha_job_id_parse(JOB, &job);
	(void)fsha_gc(s, &gc, pass_action, NULL, &done, NULL);
	(void)fsha_repair(s, &repair, pass_action, NULL, &done, NULL);
	(void)fsha_services_global_cleanup(s, &job, NULL);
}

static void use_cluster(void)
{
	fsha_verify_summary summary = FSHA_VERIFY_SUMMARY_INIT;
	fsha_services *s = open_impatient();
	fsha_election *election = NULL;
	fsha_contender contender;
	struct player p;

	if (!s) {
		(void)fsha_verify(t.config, pass_finding, NULL, &summary, NULL);
		return;
	}
	player_init(&p);
	contender = contender_of(&p);
	if (fsha_election_start(s, ELECTION, &contender, &election, NULL) == FSHA_OK) {
		post_lock(&p.post);
		p.election = election;
		post_unlock(&p.post);
		WAIT_FOR(&p.post, p.leads || p.errors > 0);
		if (p.leads) {
			(void)fsha_election_confirm_leadership(election, &p.session, ADDRESS, NULL);
			use_stores(s);
		}
		(void)fsha_election_close(election, NULL);
	}
	maintain(s);
	(void)fsha_services_close(s, NULL);
}

/* With something in each place. */
static void make_sound(void)
{
	fsha_services *s;
	char path[512];
	struct player p, q;

	/* Longer than the clock is put forward. */
	assert_ok(fsha_config_set(t.config, FSHA_KEY_LEASE, "10 s", &t.error));
	s = open_impatient();
	assert_non_null(s);

	player_lead(&p, s, ELECTION);
	player_lead(&q, s, "job-" JOB);
	use_stores(s);
	player_close(&q);
	player_close(&p);
	close_services(s);
	assert_int_equal(mkdir(in_cluster("members/" STRANGER), 0700), 0);
	assert_int_equal(mkdir(in_cluster("members/" STRANGER "/stands"), 0700), 0);
	write_file(in_cluster("members/" STRANGER "/lock"), "", 0);
	write_file(in_cluster("elections/dispatcher/trash/x"), "", 0);
	/* For repair to take away. */
	write_file(in_cluster("state/ns/bad~0000000000000001.0000000000000001.0000"), "x", 1);
	(void)snprintf(path, sizeof(path), "%s/default", t.dir);
	assert_int_equal(rename(path, sound), 0);
}

/* ---- Things in places ---- */

static bool find_place(const char *place, char *ret_path, size_t size)
{
	char directory[300], last[256];
	const char *star = strchr(place, '*'), *slash = strrchr(place, '/');

	if (!star) {
		(void)snprintf(ret_path, size, "%s", in_cluster(place));
		return true;
	}
	(void)snprintf(directory, sizeof(directory), "%.*s", slash ? (int)(slash - place) : 0,
		       place);
	slash = slash ? slash + 1 : place;
	(void)snprintf(ret_path, size, "%.*s", (int)(star - slash), slash);
	if (count_names(directory, ret_path, last) == 0)
		return false;
	(void)snprintf(directory + strlen(directory), sizeof(directory) - strlen(directory), "/%s",
		       last);
	(void)snprintf(ret_path, size, "%s", in_cluster(directory));
	return true;
}

static void bind_socket(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char link[64];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), dir_fd;
	const char *slash = strrchr(path, '/');
	char parent[600];

	/* An address has no room for such a path. */
	(void)snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
	dir_fd = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0 && dir_fd >= 0);
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", dir_fd);
	if ((size_t)snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", link, slash + 1) <
	    sizeof(address.sun_path))
		assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	(void)close(dir_fd);
	(void)close(fd);
}

/* False when this user cannot make it. */
static bool make_hostile(enum hostile what, const char *path)
{
	char target[256];

	switch (what) {
	case LINK_TO_DIRECTORY:
		return symlink(outside, path) == 0;
	case LINK_TO_FILE:
	case HARD_LINK:
		(void)snprintf(target, sizeof(target), "%s/a", outside);
		return (what == HARD_LINK ? link(target, path) : symlink(target, path)) == 0;
	case LINK_TO_NOTHING:
		(void)snprintf(target, sizeof(target), "%s/new", outside);
		return symlink(target, path) == 0;
	case LINK_TO_ITSELF:
		return symlink(strrchr(path, '/') + 1, path) == 0;
	case FIFO:
		return mkfifo(path, 0600) == 0;
	case SOCKET:
		bind_socket(path);
		return true;
	case DEVICE:
		return mknod(path, S_IFCHR | 0600, makedev(5, 1)) == 0;
	default:
		return false;
	}
}

static unsigned holes, tried;

/* Somebody waits. */
static char present[128];
static void tell_hang(int signal)
{
	(void)signal;
	(void)!write(STDERR_FILENO, present, strlen(present));
	_exit(1);
}

static void run_case(const char *place, enum hostile what)
{
	char cluster[128], path[600], before[sizeof(seen)];
	struct stat st;

	(void)snprintf(cluster, sizeof(cluster), "%s/default", t.dir);
	copy_tree(sound, cluster);
	if (find_place(place, path, sizeof(path))) {
		if (lstat(path, &st) == 0)
			remove_thing(path);
		if (make_hostile(what, path)) {
			tried++;
			strcpy(before, see_outside());
			(void)snprintf(present, sizeof(present), "%s in the place of '%s': hangs\n",
				       hostile_names[what], place);
			(void)alarm(CASE_S);
			use_cluster();
			(void)alarm(0);
			if (strcmp(before, see_outside()) != 0) {
				print_error(
					"%s in the place of '%s' was gone through: outside was\n%s"
					"and is\n%s",
					hostile_names[what], place, before, seen);
				holes++;
			}
		}
	}
	remove_thing(cluster);
}

/* All of them are too many for every run: some, at random. */
static void nothing_outside_is_touched_through_what_lies_in_a_place_of_ours(void **state)
{
	/* No multiple of a kind's distance, which would take one kind only. */
	const unsigned long each = test_size(39, 3, 1);
	unsigned cases = 0;
	uint64_t seed = (uint64_t)time(NULL);

	(void)state;
	(void)test_seed(&seed);
	print_message("SEED=%llu\n", (unsigned long long)seed);
	(void)signal(SIGALRM, tell_hang);
	make_outside();
	make_sound();
	for (size_t i = seed % each; i < PLACES * HOSTILE; i += each, cases++)
		run_case(places[i / HOSTILE], (enum hostile)(i % HOSTILE));
	print_message("%u of %u were made\n", tried, cases);
	assert_int_equal(holes, 0);
	/* Not everybody may make devices, and a history is written when there is time for it. */
	assert_true(cases < HOSTILE || tried * 4 >= cases * 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_outside_is_touched_through_what_lies_in_a_place_of_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
