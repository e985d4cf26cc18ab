/*
 * Files and directories of other users, which only root can make: what is in a cluster must belong
 * to root, to who looks, to the owner of its directory, or to the group that shares it.
 */
#include "tests/test_services.h"

#include <grp.h>
#include <sys/wait.h>

#define NS "state/ns"
#define STRANGER 23456 /* users and a group that nobody has */
#define OTHER 23457
#define GROUP 34567

static fsha_state_store *store;
static fsha_services *services;

static void store_open_ns(void)
{
	services = open_services();
	assert_ok(fsha_state_store_open(services, "ns", ELECTION, &store, &t.error));
}

static void store_close_ns(void)
{
	fsha_state_store_close(store);
	close_services(services);
}

static void make_cluster(void)
{
	struct player p;

	services = open_services();
	player_lead(&p, services, ELECTION);
	assert_ok(fsha_state_store_open(services, "ns", ELECTION, &store, &t.error));
	assert_ok(fsha_state_store_add(store, "k", "value", 5, NULL, &t.error));
	fsha_state_store_close(store);
	player_close(&p);
	close_services(services);
}

static fsha_result get(void)
{
	fsha_result result;
	size_t size;
	void *data;

	store_open_ns();
	result = fsha_state_store_get(store, "k", &data, &size, NULL, &t.error);
	if (result == FSHA_OK)
		fsha_free(data);
	store_close_ns();
	return result;
}

static const char *path_of_k(void)
{
	char path[300], last[256];

	assert_int_equal(count_names(NS, "k~", last), 1);
	(void)snprintf(path, sizeof(path), NS "/%s", last);
	return in_cluster(path);
}

static int give_away(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return lchown(path, STRANGER, GROUP);
}

struct codes {
	char text[1024];
};

static int note_code(void *ctx, const fsha_finding *finding)
{
	struct codes *codes = ctx;
	size_t used = strlen(codes->text);

	if (finding->severity >= FSHA_SEVERITY_ERROR)
		(void)snprintf(codes->text + used, sizeof(codes->text) - used, "%s:%s ",
			       finding->code, finding->path);
	return 0;
}

static const char *verify(void)
{
	fsha_verify_summary summary = FSHA_VERIFY_SUMMARY_INIT;
	static struct codes codes;

	codes.text[0] = '\0';
	assert_ok(fsha_verify(t.config, note_code, &codes, &summary, &t.error));
	return codes.text;
}

static void a_record_of_another_user_is_refused_and_told(void **state)
{
	(void)state;
	make_cluster();
	assert_int_equal(chown(path_of_k(), STRANGER, (gid_t)-1), 0);
	assert_refused(get(), FSHA_E_CORRUPT, "belongs to a user");
	assert_non_null(strstr(verify(), "record-foreign:" NS "/k~"));
}

static void a_directory_of_another_user_is_told(void **state)
{
	(void)state;
	make_cluster();
	assert_string_equal(verify(), "");
	assert_int_equal(chown(in_cluster("elections/" ELECTION), STRANGER, (gid_t)-1), 0);
	assert_string_equal(verify(), "foreign-owner:elections/" ELECTION " ");
}

/* An administrator looks; or a file server that shows all users as one. */
static void a_cluster_that_is_another_users_as_a_whole_can_be_read(void **state)
{
	(void)state;
	make_cluster();
	assert_int_equal(nftw(in_cluster(""), give_away, 16, FTW_PHYS), 0);
	assert_ok(get());
	assert_string_equal(verify(), "");
}

/* `sudo fsha gc`, say: what it leaves there the next leader must be able to read. */
static void root_leads_in_no_cluster_of_another_user(void **state)
{
	fsha_election *e = NULL;
	fsha_uuid session;
	char last[256];

	(void)state;
	make_cluster();
	assert_int_equal(nftw(in_cluster(""), give_away, 16, FTW_PHYS), 0);
	services = open_services();
	assert_refused(fsha_election_acquire(services, ELECTION, LIMIT_MS, &e, &session, &t.error),
		       FSHA_E_CONFIG, "could not read what root writes");
	close_services(services);
	assert_int_equal(count_names("members", "", last), 0);
	assert_ok(get());
}

static void where_a_group_shares_a_cluster_its_files_may_be_anybodys_of_the_group(void **state)
{
	(void)state;
	assert_int_equal(chown(t.dir, 0, GROUP), 0);
	assert_int_equal(chmod(t.dir, 02770), 0);
	make_cluster();
	assert_int_equal(chown(path_of_k(), STRANGER, GROUP), 0);
	assert_ok(get());
	assert_string_equal(verify(), "");
	assert_int_equal(chown(path_of_k(), STRANGER, GROUP + 1), 0);
	assert_refused(get(), FSHA_E_CORRUPT, "belongs to a user");
}

static void a_cluster_directory_that_another_made_where_everybody_may_is_refused(void **state)
{
	(void)state;
	make_cluster();
	assert_int_equal(nftw(in_cluster(""), give_away, 16, FTW_PHYS), 0);
	assert_int_equal(chmod(t.dir, 01777), 0);
	assert_refused(fsha_services_open(t.config, NULL, &services, &t.error), FSHA_E_CONFIG,
		       "made by another user");
}

/* In a child: as that user, lead and read what the one before wrote, then write. */
static void lead_as(uid_t uid, const char *before, const char *after)
{
	int status = -1;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		const gid_t group = GROUP;
		struct player p;
		size_t size = 0;
		void *data = NULL;

		(void)umask(077);
		if (setgroups(1, &group) < 0 || setgid((gid_t)uid) < 0 || setuid(uid) < 0)
			_exit(2);
		if (fsha_services_open(t.config, NULL, &services, &t.error) != FSHA_OK)
			_exit(3);
		player_lead(&p, services, ELECTION);
		if (fsha_state_store_open(services, "ns", ELECTION, &store, &t.error) != FSHA_OK)
			_exit(4);
		if (before &&
		    (fsha_state_store_get(store, "k", &data, &size, NULL, &t.error) != FSHA_OK ||
		     strcmp(data, before) != 0))
			_exit(5);
		if (fsha_state_store_remove(store, "k", NULL, &t.error) != FSHA_OK ||
		    fsha_state_store_add(store, "k", after, strlen(after), NULL, &t.error) !=
			    FSHA_OK)
			_exit(6);
		fsha_state_store_close(store);
		if (fsha_election_close(p.election, &t.error) != FSHA_OK)
			_exit(7);
		_exit(fsha_services_close(services, &t.error) == FSHA_OK ? 0 : 8);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0)
		fail_msg("user %u ended with %#x", uid, status);
}

static void users_of_a_group_follow_each_other_as_leaders(void **state)
{
	(void)state;
	assert_int_equal(chown(t.dir, 0, GROUP), 0);
	assert_int_equal(chmod(t.dir, 02770), 0);
	lead_as(STRANGER, NULL, "first");
	lead_as(OTHER, "first", "second");
	lead_as(STRANGER, "second", "third");
	assert_string_equal(verify(), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_record_of_another_user_is_refused_and_told),
		TEST(a_directory_of_another_user_is_told),
		TEST(a_cluster_that_is_another_users_as_a_whole_can_be_read),
		TEST(root_leads_in_no_cluster_of_another_user),
		TEST(where_a_group_shares_a_cluster_its_files_may_be_anybodys_of_the_group),
		TEST(a_cluster_directory_that_another_made_where_everybody_may_is_refused),
		TEST(users_of_a_group_follow_each_other_as_leaders),
	};

	if (geteuid() != 0) {
		print_error("only root can make files of other users: sudo make check-root\n");
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
