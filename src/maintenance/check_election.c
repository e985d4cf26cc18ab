/* One election: its epoch file, its tenures, its trash and its history. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "src/cluster/layout.h"
#include "src/election/claim.h"
#include "src/election/history.h"
#include "src/maintenance/verify.h"
#include "src/member/watch.h"

struct election {
	struct verify *v;
	const char *directory;
	struct fsu_list list;
	int fd;
	bool found_epoch;
	struct epoch epoch; /* the highest */
	struct findings *found;
};

static void path_of(const struct election *e, const char *name, char *ret_path)
{
	(void)snprintf(ret_path, FINDING_PATH_SIZE, "%s/%s", e->directory, name);
}

/* The highest epoch of the listing is the truth; a rename during it may show two. */
static void find_epoch(struct election *e)
{
	char path[FINDING_PATH_SIZE], name[EPOCH_NAME_SIZE];
	struct epoch epoch;

	for (size_t i = 0; i < e->list.count; i++) {
		if (!epoch_parse(fsu_list_name(&e->list, i), &epoch))
			continue;
		if (e->found_epoch) {
			epoch_format(&e->epoch, name);
			path_of(e, name, path);
			findings_add(e->found, FINDING_EPOCH_SEVERAL, path,
				     "there is another epoch file, '%s': an election has one",
				     fsu_list_name(&e->list, i));
		}
		e->epoch = epoch; /* sorted: by the number first */
		e->found_epoch = true;
	}
}

static bool is_dead(const struct cluster *c, const struct fsu_uuid *id)
{
	struct member_watch watch;
	bool dead;

	if (c->members_fd < 0)
		return true;
	member_watch_init(&watch, c, id);
	dead = member_verdict_is_dead(member_watch_look(&watch));
	member_watch_done(&watch);
	return dead;
}

static void check_floor(struct election *e, uint64_t floor)
{
	char path[FINDING_PATH_SIZE], name[EPOCH_NAME_SIZE];

	/* The next claim takes more than the floor; only who leads below it is out of order. */
	if (epoch_is_vacant(&e->epoch) || e->epoch.number > floor ||
	    is_dead(e->v->cluster, &e->epoch.member))
		return;
	epoch_format(&e->epoch, name);
	path_of(e, name, path);
	findings_add(e->found, FINDING_EPOCH_BELOW_FLOOR, path,
		     "it is led under epoch %llu, and the floor is %llu",
		     (unsigned long long)e->epoch.number, (unsigned long long)floor);
}

static void check_holder(struct election *e)
{
	const struct cluster *c = e->v->cluster;
	char member[FSU_UUID_HEX + 1], path[FINDING_PATH_SIZE], name[EPOCH_NAME_SIZE];
	struct fsu_stamp stamp;

	if (epoch_is_vacant(&e->epoch) || c->members_fd < 0)
		return;
	fsu_uuid_format(&e->epoch.member, member);
	if (fsu_stamp_read(c->fs, c->members_fd, "", &stamp) < 0 ||
	    fsu_stamp_read(c->fs, c->members_fd, member, &stamp) != -ENOENT)
		return;
	epoch_format(&e->epoch, name);
	path_of(e, name, path);
	findings_add(e->found, FINDING_HOLDER_GONE, path,
		     "its leader, member %s, is gone without having resigned", member);
}

/* What lies in the leader's tenure for more than one look. */
static void check_staged(struct election *e, const char *tenure)
{
	char path[FINDING_PATH_SIZE], directory[FINDING_PATH_SIZE];
	struct fsu_list list;

	path_of(e, tenure, directory);
	fsu_list_init(&list, e->found->fs);
	if (check_list(e->v, directory, &list, e->found))
		for (size_t i = 0; i < list.count; i++) {
			(void)snprintf(path, sizeof(path), "%.400s/%s", directory,
				       fsu_list_name(&list, i));
			findings_add(e->found, FINDING_TENURE_BUSY, path,
				     "a write or a removal that did not come to its end");
		}
	fsu_list_done(&list);
}

static void check_tenure(struct election *e, const char *tenure, uint64_t number,
			 const struct fsu_uuid *session, bool *own)
{
	char path[FINDING_PATH_SIZE];

	if (e->found_epoch && number == e->epoch.number &&
	    fsu_uuid_equal(session, &e->epoch.session) && !epoch_is_vacant(&e->epoch)) {
		*own = true;
		check_staged(e, tenure);
		return;
	}
	path_of(e, tenure, path);
	findings_add(e->found, FINDING_TENURE_LEFTOVER, path,
		     "the tenure directory of a candidate or leader that came to no end");
}

static void check_trash(struct election *e)
{
	char directory[FINDING_PATH_SIZE];
	struct fsu_list list;

	path_of(e, LAYOUT_TRASH, directory);
	fsu_list_init(&list, e->found->fs);
	if (check_list(e->v, directory, &list, e->found) && list.count > 0)
		findings_add(e->found, FINDING_TRASH, directory, "%zu entries wait to be unlinked",
			     list.count);
	fsu_list_done(&list);
}

static int decode_history(const struct record *record, void *ctx)
{
	return history_decode(record->data, record->size, ctx);
}

static void check_history(struct election *e, const char *file, const struct name *name)
{
	struct history *history = fsu_alloc(e->found->fs, sizeof(*history));
	struct check_record q = { .directory = e->directory,
				  .path = e->directory,
				  .dir_fd = e->fd,
				  .file_name = file,
				  .name = name,
				  .kind = FSU_KIND_HISTORY,
				  .decode = decode_history,
				  .ctx = history };

	if (history) {
		q.newest = name_newest(&e->list, HISTORY_KEY) == file;
		(void)check_record(e->v, &q, e->found);
	} else {
		e->found->out_of_memory = true;
	}
	fsu_release(e->found->fs, history);
}

static void check_names(struct election *e)
{
	bool own = false, retired = false, trash = false;
	char path[FINDING_PATH_SIZE], tenure[TENURE_NAME_SIZE];
	struct epoch ignored;
	struct name name;

	for (size_t i = 0; i < e->list.count; i++) {
		const char *file = fsu_list_name(&e->list, i);
		struct fsu_uuid session;
		uint64_t number;

		if (epoch_parse(file, &ignored))
			continue;
		if (tenure_parse(file, &number, &session))
			check_tenure(e, file, number, &session, &own);
		else if (strcmp(file, LAYOUT_TRASH) == 0)
			trash = true;
		else if (name_is_of(file, HISTORY_KEY, &name))
			check_history(e, file, &name);
		else if (strncmp(file, EPOCH_RETIRED, sizeof(EPOCH_RETIRED) - 1) == 0)
			retired = true;
		else
			check_unknown(e->found, e->directory, file);
	}
	if (retired)
		findings_add(e->found, FINDING_ELECTION_RETIRED, e->directory,
			     "its removal was cut short");
	else if (!e->found_epoch)
		findings_add(e->found, FINDING_EPOCH_MISSING, e->directory,
			     "it has no epoch file, so nobody can lead it");
	if (trash)
		check_trash(e);
	/* A dead one needs none: a power cut may keep the swap of a claim without its mkdir. */
	if (!e->found_epoch || epoch_is_vacant(&e->epoch) || own ||
	    is_dead(e->v->cluster, &e->epoch.member))
		return;
	tenure_format(e->epoch.number, &e->epoch.session, tenure);
	path_of(e, tenure, path);
	findings_add(e->found, FINDING_TENURE_MISSING, path,
		     "the tenure directory of its leader is gone");
}

void check_election(struct verify *v, const struct unit *unit, struct findings *found)
{
	const struct cluster *c = v->cluster;
	char directory[sizeof(LAYOUT_ELECTIONS) + 256];
	struct election e = { .v = v, .directory = directory, .found = found };
	struct fsu_list again;
	uint64_t floor = 0;

	(void)snprintf(directory, sizeof(directory), LAYOUT_ELECTIONS "/%s", unit->name);
	/* Before the epoch, which is more than the floor was when it was claimed. */
	(void)cluster_floor_read(c, &floor, NULL);
	found->election = unit->name;
	fsu_list_init(&e.list, c->fs);
	if (!check_list(v, directory, &e.list, found))
		goto out;
	e.fd = check_open(v, directory, found);
	if (e.fd < 0)
		goto out;
	find_epoch(&e);
	if (!e.found_epoch) {
		/* A scan during a rename may show neither name. */
		fsu_list_init(&again, c->fs);
		e.found_epoch = epoch_read(c, e.fd, &again, &e.epoch) == 0;
		fsu_list_done(&again);
	}
	if (e.found_epoch) {
		check_floor(&e, floor);
		check_holder(&e);
	}
	check_names(&e);
	(void)fsu_close(c->fs, e.fd); /* a directory */
out:
	found->election = NULL;
	fsu_list_done(&e.list);
}
