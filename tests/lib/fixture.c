#include "tests/lib/fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fsutil/fsu_file.h"
#include "src/election/claim.h"

struct cluster_options fixture_cluster_options(bool create)
{
	return (struct cluster_options){
		.storage_dir = FIXTURE_STORAGE,
		.cluster_id = FIXTURE_ID,
		.lease_ms = create ? FIXTURE_LEASE_MS : 0,
		.create = create,
	};
}

fsha_result fixture_open_cluster(struct fixture *f, unsigned client, bool create,
				 fsha_error *reterr)
{
	struct cluster_options options = fixture_cluster_options(create);
	fsha_result result;

	assert_true(client < FIXTURE_CLIENTS);
	assert_false(f->open[client]);
	options.cluster_id = f->id;
	result = cluster_open(f->client[client], &options, &f->cluster[client], reterr);
	f->open[client] = result == FSHA_OK;
	return result;
}

void fixture_close_cluster(struct fixture *f, unsigned client)
{
	if (f->open[client])
		cluster_close(&f->cluster[client]);
	f->open[client] = false;
}

static void make_storage(struct fixture *f)
{
	const struct fsu *fs = f->client[0];
	int root;

	root = fsu_openat(fs, AT_FDCWD, "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	assert_true(root >= 0);
	assert_int_equal(fsu_mkdirat(fs, AT_FDCWD, FIXTURE_STORAGE, FSU_DIR_MODE), 0);
	assert_int_equal(fsu_fsync(fs, root), 0);
	assert_int_equal(fsu_close(fs, root), 0);
}

struct fixture *fixture_open(const struct fixture_options *options)
{
	static const struct fixture_options local = { .bare = false };
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	if (!options)
		options = &local;
	f->id = options->id ? options->id : FIXTURE_ID;
	f->fs = crashfs_create(&options->fs);
	for (unsigned i = 0; i < FIXTURE_CLIENTS; i++)
		f->client[i] = crashfs_client(f->fs, i);
	make_storage(f);
	for (unsigned i = 0; i < FIXTURE_CLIENTS && !options->bare; i++) {
		fsha_error error = FSHA_ERROR_INIT;

		assert_result(f, fixture_open_cluster(f, i, i == 0, &error), FSHA_OK, &error);
	}
	crashfs_count_reset(f->fs);
	return f;
}

void fixture_close(struct fixture *f)
{
	if (!f)
		return;
	crashfs_hook_set(f->fs, NULL, NULL);
	crashfs_fault_clear(f->fs);
	for (unsigned i = 0; i < FIXTURE_CLIENTS; i++)
		fixture_close_cluster(f, i);
	for (unsigned i = 0; i < CRASHFS_CLIENTS; i++) {
		if (crashfs_open_fds(f->fs, i) == 0)
			continue;
		fixture_print_log(f);
		fail_msg("client %u has %u descriptors left", i, crashfs_open_fds(f->fs, i));
	}
	if (crashfs_bytes_allocated(f->fs) > 0) {
		fixture_print_log(f);
		fail_msg("%zu bytes were not released", crashfs_bytes_allocated(f->fs));
	}
	crashfs_destroy(f->fs);
	free(f);
}

void fixture_recover(struct fixture *f)
{
	crashfs_hook_set(f->fs, NULL, NULL);
	crashfs_fault_clear(f->fs);
	/* While no call works: these descriptors are the kernel's, and go with the processes. */
	for (unsigned i = 0; i < FIXTURE_CLIENTS; i++)
		fixture_close_cluster(f, i);
	crashfs_recover(f->fs);
}

const char *fixture_path(struct fixture *f, const char *format, ...)
{
	int used = snprintf(f->path, sizeof(f->path), "%s/", FIXTURE_CLUSTER), n;
	va_list args;

	va_start(args, format);
	n = vsnprintf(f->path + used, sizeof(f->path) - (size_t)used, format, args);
	va_end(args);
	assert_true(n >= 0 && (size_t)(used + n) < sizeof(f->path));
	return f->path;
}

struct member *fixture_member(struct fixture *f, unsigned client)
{
	fsha_error error = FSHA_ERROR_INIT;
	struct member *member = NULL;

	assert_result(f, member_join(&f->cluster[client], false, &member, &error), FSHA_OK, &error);
	return member;
}

struct term *fixture_term(struct fixture *f, struct member *member, const char *election)
{
	return fixture_term_after(f, member, election, NULL);
}

struct term *fixture_term_after(struct fixture *f, struct member *member, const char *election,
				const char *former_end)
{
	const struct cluster *c = member->cluster;
	fsha_error error = FSHA_ERROR_INIT;
	struct claim claim = {
		.cluster = c,
		.election_fd = -1,
		.election = election,
		.member = &member->id,
		.lease = &member->lease,
		.former_end = former_end,
	};
	struct term *term = NULL;
	struct fsu_list list;

	assert_result(f, claim_open_election(c, election, true, &claim.election_fd, &error),
		      FSHA_OK, &error);
	fsu_list_init(&list, c->fs);
	assert_int_equal(epoch_read(c, claim.election_fd, &list, &claim.from), 0);
	fsu_list_done(&list);
	assert_result(f, claim_run(&claim, &term, &error), FSHA_OK, &error);
	assert_int_equal(fsu_close(c->fs, claim.election_fd), 0);
	return term;
}

void fixture_print_log(struct fixture *f)
{
	(void)fprintf(stderr, "the last calls:\n%s", crashfs_log(f->fs));
}

void fixture_assert_result(struct fixture *f, fsha_result result, fsha_result expected,
			   const fsha_error *error, const char *file, int line)
{
	if (result == expected)
		return;
	print_error("result %s (%s), expected %s\n", fsha_result_name(result),
		    error ? error->message : "", fsha_result_name(expected));
	if (f)
		fixture_print_log(f);
	_fail(file, line);
}

struct crashfs_fault fixture_fault(uint64_t at, size_t way)
{
	static const int errors[] = { EIO,   ENOSPC, EDQUOT, ESTALE, EINTR,    EACCES,
				      EROFS, EMFILE, ENOMEM, ENOLCK, ETIMEDOUT };
	static const enum crashfs_mode modes[] = { CRASHFS_NOT_DONE, CRASHFS_DONE, CRASHFS_SHORT };

	_Static_assert(sizeof(errors) / sizeof(errors[0]) * sizeof(modes) / sizeof(modes[0]) ==
			       FIXTURE_SWEEPS,
		       "each error in each mode");
	assert_true(at < FIXTURE_CALLS_MAX);
	return (struct crashfs_fault){
		.at = at,
		.error = errors[way / 3],
		.mode = modes[way % 3],
	};
}

void fixture_lose(struct fixture *f, uint64_t way)
{
	if (way == 0)
		crashfs_crash_losing_all(f->fs);
	else if (way == 1)
		crashfs_crash_keeping_all(f->fs);
	else
		crashfs_crash(f->fs, way);
}

static void slow_hook(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct fixture_slow *slow = ctx;

	(void)path;
	if (call != slow->call || client != slow->client || slow->ns == 0)
		return;
	if (slow->skip > 0) {
		slow->skip--;
		return;
	}
	crashfs_advance(slow->f->fs, slow->ns);
	slow->ns = 0;
}

void fixture_slow_set(struct fixture_slow *slow)
{
	crashfs_hook_set(slow->f->fs, slow_hook, slow);
}
