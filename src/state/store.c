#include "src/state/store.h"

#include <errno.h>

#include "src/cluster/layout.h"
#include "src/result/error.h"
#include "src/state/owner.h"

/* How often a directory is opened anew because it was taken away under us. */
#define OPEN_TRIES 20

static int64_t list_limit_ns(const struct store *s)
{
	return cluster_lease_ns(s->cluster) / 5;
}

fsha_result store_open(const struct cluster *c, const struct term_source *terms,
		       const struct store_options *options, struct store **ret_store,
		       fsha_error *reterr)
{
	struct store *s = fsu_alloc(c->fs, sizeof(*s));
	struct record_place place;

	if (s) {
		s->cluster = c;
		s->terms = *terms;
		s->kind = options->kind;
		s->format = options->format;
		s->owned = options->owned;
		s->removable = options->removable;
		s->compact_files = STORE_COMPACT_FILES;
		s->dir_fd = -1;
		s->election = fsu_strdup(c->fs, options->election);
		s->directory = fsu_strdup(c->fs, options->directory);
		s->path = fsu_strdup(c->fs, options->path ? options->path : options->directory);
	}
	if (!s || !s->election || !s->directory || !s->path ||
	    pthread_mutex_init(&s->mutex, NULL) != 0) {
		if (s) {
			fsu_release(c->fs, s->election);
			fsu_release(c->fs, s->directory);
			fsu_release(c->fs, s->path);
		}
		fsu_release(c->fs, s);
		return error_os(reterr, -ENOMEM, "alloc", "cannot open store '%s'",
				options->directory);
	}
	place = cluster_place(c, -1, s->directory);
	index_init(&s->index, &place, c->local);
	*ret_store = s;
	return FSHA_OK;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	index_done(&s->index);
	while (s->directories) {
		struct store_directory *d = s->directories;

		s->directories = d->former;
		(void)fsu_close(s->cluster->fs, d->fd); /* a directory */
		fsu_release(s->cluster->fs, d);
	}
	(void)pthread_mutex_destroy(&s->mutex);
	fsu_release(s->cluster->fs, s->election);
	fsu_release(s->cluster->fs, s->directory);
	fsu_release(s->cluster->fs, s->path);
	fsu_release(s->cluster->fs, s);
}

/* Does the path still lead to what `fd` is? 1, 0, or -errno. */
static int is_named(const struct store *s, int fd)
{
	const struct cluster *c = s->cluster;
	struct fsu_stamp named = { 0 }, opened = { 0 };
	int r;

	r = fsu_stamp_read(c->fs, c->fd, s->path, &named);
	if (r == 0)
		r = fsu_stamp_read(c->fs, fd, "", &opened);
	if (r == -ENOENT || r == -ESTALE || r == -ENOTDIR)
		return 0;
	if (r < 0)
		return r;
	return named.inode == opened.inode && named.device == opened.device;
}

/*
 * -EAGAIN in *ret_r: the directory was taken away under us, and @owner with it. Of a directory that
 * is there, "not found" would say that it is not.
 */
static fsha_result check_owner(struct store *s, int fd, int *ret_r, fsha_error *reterr)
{
	/* What a person has made elsewhere may be empty: the first write puts its own there. */
	bool empty = false, *ret_empty = s->path[0] == '/' ? &empty : NULL;
	fsha_result result = FSHA_OK;

	*ret_r = 0;
	if (s->owned)
		result = owner_check(s->cluster, fd, s->directory, s->election, ret_empty, reterr);
	if (empty)
		return error_set(reterr, FSHA_E_NOT_FOUND, 0, "open", "'%s' is empty", s->path);
	if (s->removable && result != FSHA_OK && result != FSHA_E_CONFIG && is_named(s, fd) == 0)
		*ret_r = -EAGAIN;
	if (result == FSHA_E_NOT_FOUND)
		return error_set(reterr, FSHA_E_IO, ESTALE, "open",
				 "cannot read the " OWNER_KEY " record of '%s'", s->directory);
	return result;
}

static fsha_result open_once(struct store *s, int *ret_r, fsha_error *reterr)
{
	const struct cluster *c = s->cluster;
	struct store_directory *d;
	fsha_result result;
	int fd;

	*ret_r = 0;
	result = layout_look_at_parent(c, s->path, reterr);
	if (result != FSHA_OK)
		return result;
	fd = fsu_dir_open(c->fs, c->fd, s->path);
	if (fd == -ENOENT && layout_is_fixed(s->path))
		return layout_lost(c, s->path, reterr);
	if (fd == -ENOENT)
		return error_set(reterr, FSHA_E_NOT_FOUND, ENOENT, "open", "there is no '%s'",
				 s->path);
	if (fd < 0)
		return error_os(reterr, fd, "open", "cannot open '%s'", s->path);
	result = check_owner(s, fd, ret_r, reterr);
	d = result == FSHA_OK ? fsu_alloc(c->fs, sizeof(*d)) : NULL;
	if (result == FSHA_OK && !d)
		result = error_os(reterr, -ENOMEM, "alloc", "cannot open '%s'", s->directory);
	if (result != FSHA_OK) {
		(void)fsu_close(c->fs, fd); /* a directory */
		return result;
	}
	*d = (struct store_directory){ s->directories, fd };
	s->directories = d;
	s->dir_fd = fd;
	s->index.place.dir_fd = fd;
	return FSHA_OK;
}

fsha_result store_open_directory(struct store *s, fsha_error *reterr)
{
	fsha_result result = FSHA_OK;
	int r = -EAGAIN;

	for (int i = 0; i < OPEN_TRIES && r == -EAGAIN && s->dir_fd < 0; i++)
		result = open_once(s, &r, reterr);
	return result;
}

fsha_result store_check_owner(struct store *s, fsha_error *reterr)
{
	fsha_result result;

	(void)pthread_mutex_lock(&s->mutex);
	result = store_open_directory(s, reterr);
	(void)pthread_mutex_unlock(&s->mutex);
	return result;
}

static fsha_result refresh(struct store *s, fsha_error *reterr)
{
	int r = index_refresh(&s->index, list_limit_ns(s));

	if (r == -EAGAIN)
		return error_set(reterr, FSHA_E_TIMEOUT, 0, "list",
				 "'%s' changes faster than it can be listed", s->directory);
	if (r < 0)
		return error_os(reterr, r, "list", "cannot list '%s'", s->directory);
	return FSHA_OK;
}

bool store_in_doubt(const struct store *s, const struct term *t)
{
	/* In this order: who finds no doubt any more finds that one has ended (doubt.c). */
	return term_in_doubt(t) || s->doubts_ended != atomic_load(&t->doubts_ended);
}

/*
 * Bring the index up to date. Alone in a live term, once it was listed after the grant, it is:
 * older leaders are fenced, and newer ones come only after the lease. Not so while a write of ours
 * is in doubt, or a pack is damaged, which a person may take away.
 */
static fsha_result load(struct store *s, struct term *t, fsha_error *reterr)
{
	uint64_t doubts_ended;
	fsha_result result;

	if (t && !t->shared && s->index.complete && s->index.damaged_count == 0 &&
	    !store_in_doubt(s, t) && fsu_uuid_equal(&s->loaded, &t->epoch.session) &&
	    term_is_live(t))
		return FSHA_OK;
	doubts_ended = t ? atomic_load(&t->doubts_ended) : 0;
	if (t &&
	    (!fsu_uuid_equal(&s->loaded, &t->epoch.session) || s->doubts_ended != doubts_ended))
		index_forget(&s->index);
	result = refresh(s, reterr);
	if (result == FSHA_OK && t) {
		s->loaded = t->epoch.session;
		s->doubts_ended = doubts_ended;
	}
	return result;
}

static void leave_directory(struct store *s)
{
	const struct record_place place = cluster_place(s->cluster, -1, s->directory);

	s->dir_fd = -1;
	s->durable = false;
	index_done(&s->index);
	index_init(&s->index, &place, s->cluster->local);
}

/* Is what we have open still what the path says? */
static fsha_result check_directory(struct store *s, fsha_error *reterr)
{
	int r = s->dir_fd >= 0 ? is_named(s, s->dir_fd) : 1;

	if (r < 0)
		return error_os(reterr, r, "statx", "cannot look at '%s'", s->directory);
	if (r == 0)
		leave_directory(s);
	return FSHA_OK;
}

/* Alone in a live term nobody else can have removed it. */
static bool is_only_writer(const struct store *s, struct term *t)
{
	return t && !t->shared && fsu_uuid_equal(&s->loaded, &t->epoch.session) && term_is_live(t);
}

static fsha_result load_removable(struct store *s, struct term *t, fsha_error *reterr)
{
	fsha_result result;

	for (int i = 0; i < OPEN_TRIES; i++) {
		result = check_directory(s, reterr);
		if (result == FSHA_OK)
			result = store_open_directory(s, reterr);
		if (result != FSHA_OK)
			return result;
		result = load(s, t, reterr);
		/*
		 * A listing counts only if the directory was there until its end: one that is being
		 * unlinked in the trash may show a value without the tombstone above it.
		 */
		if (check_directory(s, result == FSHA_OK ? reterr : NULL) != FSHA_OK)
			return result == FSHA_OK ? FSHA_E_IO : result;
		if (s->dir_fd >= 0)
			return result;
	}
	return error_set(reterr, FSHA_E_TIMEOUT, 0, "open",
			 "'%s' is removed faster than it can be read", s->directory);
}

fsha_result store_load(struct store *s, struct term *t, fsha_error *reterr)
{
	fsha_result result;

	if (s->removable && !is_only_writer(s, t))
		return load_removable(s, t, reterr);
	result = store_open_directory(s, reterr);
	return result == FSHA_OK ? load(s, t, reterr) : result;
}

/* Was all in it written before this term? With the locks of a write held, so it stays so. */
static fsha_result check_former(const struct store *s, const struct term *t, fsha_error *reterr)
{
	const struct cluster *c = s->cluster;
	fsha_result result = FSHA_OK;
	struct fsu_list list;
	struct name name;
	int fd, r;

	fd = fsu_dir_open(c->fs, c->fd, s->path);
	if (fd == -ENOENT)
		return FSHA_OK; /* gone already */
	if (fd < 0)
		return error_os(reterr, fd, "open", "cannot open '%s'", s->directory);
	fsu_list_init(&list, c->fs);
	r = fsu_list_read(&list, fd, "", c->local, cluster_lease_ns(c) / 10);
	(void)fsu_close(c->fs, fd); /* a directory */
	if (r == 0 && !list.stable)
		r = -EAGAIN;
	if (r < 0)
		result = error_os(reterr, r, "list", "cannot list '%s'", s->directory);
	for (size_t i = 0; i < list.count && result == FSHA_OK; i++)
		if (name_parse(fsu_list_name(&list, i), &name) &&
		    name.version.epoch >= t->epoch.number)
			result = error_set(reterr, FSHA_E_EXISTS, 0, "remove",
					   "'%s' was written to under the present term",
					   s->directory);
	fsu_list_done(&list);
	return result;
}

static fsha_result remove_directory(struct store *s, bool former_only, fsha_error *reterr)
{
	struct term *t = s->terms.get(s->terms.ctx, s->election);
	const struct cluster *c = s->cluster;
	char parent[STORE_PATH_SIZE];
	struct fsu_lock lock;
	fsha_result result;
	int r = 0;

	if (!t || !term_is_live(t)) {
		term_unref(t);
		return error_set(reterr, FSHA_E_NOT_LEADER, 0, "remove",
				 "cannot remove '%s': this process does not lead '%s'",
				 s->directory, s->election);
	}
	(void)pthread_mutex_lock(&s->mutex);
	result = term_enter(t, &lock, reterr);
	if (result == FSHA_OK && former_only) {
		result = check_former(s, t, reterr);
		if (result != FSHA_OK)
			term_exit(t, &lock);
	}
	if (result == FSHA_OK) {
		layout_parent(s->path, parent);
		r = term_discard_directory(t, c->fd, s->path);
		if (r == 0)
			r = fsu_dir_sync(c->fs, c->fd, parent);
		if (r < 0)
			result = term_stage_failed(t, s->directory, r, "rename", reterr);
		leave_directory(s);
		term_exit(t, &lock);
	}
	(void)pthread_mutex_unlock(&s->mutex);
	term_unref(t);
	return result;
}

fsha_result store_remove_directory(struct store *s, fsha_error *reterr)
{
	return remove_directory(s, false, reterr);
}

fsha_result store_remove_former_directory(struct store *s, fsha_error *reterr)
{
	return remove_directory(s, true, reterr);
}

void store_forget(struct store *s)
{
	(void)pthread_mutex_lock(&s->mutex);
	index_forget(&s->index);
	(void)pthread_mutex_unlock(&s->mutex);
}
