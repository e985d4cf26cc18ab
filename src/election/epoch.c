#include "src/election/epoch.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "epoch-"
#define VACANT "vacant"
#define MEMBER_AT (sizeof(PREFIX) - 1 + 16 + 1 + FSU_UUID_HEX + 1)
#define READ_TRIES 20
#define SURE_NS (3 * FSU_NS_PER_S) /* where directory times are whole seconds */

bool epoch_equal(const struct epoch *a, const struct epoch *b)
{
	return a->number == b->number && fsu_uuid_equal(&a->session, &b->session) &&
	       fsu_uuid_equal(&a->member, &b->member);
}

void epoch_format(const struct epoch *epoch, char *ret_name)
{
	char session[FSU_UUID_HEX + 1], member[FSU_UUID_HEX + 1] = VACANT;

	fsu_uuid_format(&epoch->session, session);
	if (!epoch_is_vacant(epoch))
		fsu_uuid_format(&epoch->member, member);
	(void)snprintf(ret_name, EPOCH_NAME_SIZE, PREFIX "%016llx-%s-%s",
		       (unsigned long long)epoch->number, session, member);
}

bool epoch_parse(const char *name, struct epoch *ret_epoch)
{
	struct epoch e = { .number = 0 };
	const char *p = name + sizeof(PREFIX) - 1;

	if (strncmp(name, PREFIX, sizeof(PREFIX) - 1) != 0 || strlen(name) <= MEMBER_AT ||
	    fsu_hex_parse(p, 16, &e.number) < 0 || p[16] != '-' ||
	    fsu_uuid_parse(p + 17, FSU_UUID_HEX, &e.session) < 0 || name[MEMBER_AT - 1] != '-')
		return false;
	p = name + MEMBER_AT;
	if (strcmp(p, VACANT) != 0 &&
	    (fsu_uuid_parse(p, strlen(p), &e.member) < 0 || fsu_uuid_is_null(&e.member)))
		return false;
	if (e.number > EPOCH_MAX)
		return false;
	*ret_epoch = e;
	return true;
}

int epoch_read(const struct cluster *c, int election_fd, struct fsu_list *list,
	       struct epoch *ret_epoch)
{
	struct epoch e;
	bool found = false;
	int r;

	for (int i = 0; i < READ_TRIES; i++) {
		r = fsu_list_pass(list, election_fd, "", c->local);
		if (r < 0)
			return r;
		/*
		 * A scan during a rename may show neither name, or both; each was the present one
		 * at some moment of the scan, and the newer one is the truth.
		 */
		for (size_t j = 0; j < list->count; j++) {
			if (!epoch_parse(fsu_list_name(list, j), &e))
				continue;
			if (!found || e.number > ret_epoch->number ||
			    (e.number == ret_epoch->number && epoch_is_vacant(&e)))
				*ret_epoch = e;
			found = true;
		}
		if (found)
			return 0;
		if (i > READ_TRIES / 2)
			fsu_sleep(c->fs, FSU_CLOCK_STEP_NS);
	}
	return -ENOENT;
}

int epoch_read_surely(const struct cluster *c, int election_fd, struct fsu_list *list,
		      struct epoch *ret_epoch)
{
	int r = epoch_read(c, election_fd, list, ret_epoch);

	if (r != -ENOENT)
		return r;
	r = fsu_list_read(list, election_fd, "", c->local, SURE_NS);
	for (size_t i = 0; r == 0 && i < list->count; i++)
		if (epoch_parse(fsu_list_name(list, i), ret_epoch))
			r = -EAGAIN;
	if (r == 0)
		r = list->stable ? -ENOENT : -EAGAIN;
	return r;
}

bool epoch_is_retired(const struct fsu_list *list)
{
	bool retired = false;
	struct epoch e;

	for (size_t i = 0; i < list->count; i++) {
		const char *name = fsu_list_name(list, i);

		if (epoch_parse(name, &e))
			return false; /* a person made it one again */
		retired |= strncmp(name, EPOCH_RETIRED, sizeof(EPOCH_RETIRED) - 1) == 0;
	}
	return retired;
}

int epoch_swap(const struct cluster *c, int election_fd, const struct epoch *from,
	       const struct epoch *to)
{
	char from_name[EPOCH_NAME_SIZE], to_name[EPOCH_NAME_SIZE];
	struct fsu_list list;
	struct epoch now;
	int r, error;

	assert(to->number >= from->number);
	epoch_format(from, from_name);
	epoch_format(to, to_name);
	error = fsu_renameat(c->fs, election_fd, from_name, election_fd, to_name);
	if (error == 0)
		return 1;

	/*
	 * A rename whose reply was lost in a server restart answers ENOENT to the retry: look,
	 * whatever it said.
	 */
	fsu_list_init(&list, c->fs);
	r = epoch_read(c, election_fd, &list, &now);
	fsu_list_done(&list);
	if (r < 0)
		return r;
	if (epoch_equal(&now, to))
		return 1;
	if (epoch_equal(&now, from))
		return error; /* a late packet may still do it: only the same swap may be tried */
	return 0;
}
