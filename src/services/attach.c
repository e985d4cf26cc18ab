/* Terms shared among processes of one host: fsha/term.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fsha/term.h"
#include "fsutil/fsu_page.h"
#include "fsutil/fsu_path.h"
#include "src/election/claim.h"
#include "src/election/election.h"
#include "src/result/error.h"

/*
 * Seats of processes that write at the same moment; each is a lock file in the member's directory.
 * Seat 0 is the member's own.
 */
#define SEATS_MAX 1024

fsha_result fsha_election_share(fsha_election *e, fsha_shared_term *ret_term, fsha_error *reterr)
{
	fsha_result result = FSHA_OK;
	struct fsha_services *s;

	if (!e || !ret_term)
		return error_set(reterr, FSHA_E_INVALID, 0, "share", "an argument is NULL");
	s = e->services;
	services_lock(s);
	if (!(s->options.flags & FSHA_SERVICES_SHARED_TERM)) {
		result = error_set(reterr, FSHA_E_STATE, 0, "share",
				   "the services were not opened with FSHA_SERVICES_SHARED_TERM");
	} else if (!election_leads(e)) {
		result = error_set(reterr, FSHA_E_NOT_LEADER, 0, "share",
				   "this process does not lead '%s'", e->component);
	} else {
		*ret_term = (fsha_shared_term){ .epoch = e->term->epoch.number };
		memcpy(&ret_term->session, &e->term->epoch.session, sizeof(ret_term->session));
		(void)snprintf(ret_term->lease_path, sizeof(ret_term->lease_path), "/proc/%d/fd/%d",
			       (int)getpid(), e->term->lease->fd);
	}
	services_unlock(s);
	return result;
}

fsha_result fsha_services_guard_fds(fsha_services *s, int *ret_hold_fd, int *ret_lease_fd,
				    fsha_error *reterr)
{
	int hold_fd = -EBADF, lease_fd = -EBADF;

	if (!s || !ret_hold_fd || !ret_lease_fd)
		return error_set(reterr, FSHA_E_INVALID, 0, "guard", "an argument is NULL");
	services_lock(s);
	if (s->member && (s->options.flags & FSHA_SERVICES_SHARED_TERM) &&
	    lease_is_alive(&s->member->lease)) {
		hold_fd = fsu_fd_copy(s->member->lock.fd);
		lease_fd = fsu_fd_copy(s->member->lease.fd);
	}
	services_unlock(s);
	if (hold_fd < 0 || lease_fd < 0) {
		fsu_fd_close(hold_fd);
		fsu_fd_close(lease_fd);
		return error_set(
			reterr, FSHA_E_STATE, 0, "guard",
			"this process is no member now, or its services were not opened with "
			"FSHA_SERVICES_SHARED_TERM");
	}
	*ret_hold_fd = hold_fd;
	*ret_lease_fd = lease_fd;
	return FSHA_OK;
}

/* A seat that no other living process of the term has. */
static fsha_result take_seat(struct term *t, fsha_error *reterr)
{
	const struct cluster *c = t->cluster;
	char path[FSU_UUID_HEX + 16], member[FSU_UUID_HEX + 1];
	int r = -EAGAIN;

	fsu_uuid_format(&t->epoch.member, member);
	for (uint16_t seat = 1; seat <= SEATS_MAX && r == -EAGAIN; seat++) {
		(void)snprintf(path, sizeof(path), "%s/seat-%04x", member, seat);
		r = fsu_lock_take(c->fs, c->members_fd, path, true, &t->seat_lock);
		if (r == 0)
			t->seat = seat;
	}
	if (r == -EAGAIN)
		return error_set(reterr, FSHA_E_TIMEOUT, 0, "lock",
				 "%d processes write in this term of '%s' already", SEATS_MAX,
				 t->election);
	if (r == -ENOENT)
		return error_set(reterr, FSHA_E_FENCED, ENOENT, "lock",
				 "that term of '%s' is over: its member is gone", t->election);
	return r < 0 ? error_os(reterr, r, "lock", "cannot take a seat in '%s'", t->election) :
		       FSHA_OK;
}

static fsha_result fenced(const char *election, uint64_t epoch, const char *why, fsha_error *reterr)
{
	return error_set(reterr, FSHA_E_FENCED, 0, "attach", "term %llu of '%s' is over: %s",
			 (unsigned long long)epoch, election, why);
}

/* The term that the epoch file names, if it is the one that is meant. */
static fsha_result find_term(struct fsha_services *s, const char *component, int election_fd,
			     const fsha_shared_term *shared, struct epoch *ret_epoch,
			     fsha_error *reterr)
{
	struct fsu_list list;
	int r;

	fsu_list_init(&list, services_fs(s));
	r = epoch_read(&s->cluster, election_fd, &list, ret_epoch);
	fsu_list_done(&list);
	if (r < 0)
		return error_os(reterr, r, "list", "cannot look at election '%s'", component);
	if (ret_epoch->number != shared->epoch ||
	    memcmp(&ret_epoch->session, &shared->session, sizeof(shared->session)) != 0)
		return fenced(component, shared->epoch, "a newer leader exists", reterr);
	if (epoch_is_vacant(ret_epoch))
		return fenced(component, shared->epoch, "it was resigned", reterr);
	return FSHA_OK;
}

static fsha_result attach(struct fsha_services *s, const char *component, int election_fd,
			  const fsha_shared_term *shared, struct term **ret_term,
			  fsha_error *reterr)
{
	struct epoch epoch;
	struct term *t;
	fsha_result result;
	int r;

	result = find_term(s, component, election_fd, shared, &epoch, reterr);
	if (result != FSHA_OK)
		return result;
	t = term_create(&s->cluster, election_fd, component, &epoch, NULL);
	if (!t)
		return error_os(reterr, -ENOMEM, "alloc", "cannot attach to '%s'", component);
	t->shared = true;
	r = lease_attach(&t->attached, services_fs(s), shared->lease_path);
	if (r < 0) {
		term_unref(t);
		return r == -ESTALE ?
			       fenced(component, shared->epoch, "its process is gone", reterr) :
			       error_os(reterr, r, "mmap", "cannot attach to '%s'", component);
	}
	t->lease = &t->attached;
	/* The path may by now be another process's of the same number. */
	if (!fsu_uuid_equal(&t->lease->page->member, &epoch.member) || !term_is_live(t))
		result = fenced(component, shared->epoch, "its lease has run out", reterr);
	else
		result = take_seat(t, reterr);
	if (result != FSHA_OK) {
		term_unref(t);
		return result;
	}
	*ret_term = t;
	return FSHA_OK;
}

fsha_result fsha_services_attach(fsha_services *s, const char *election,
				 const fsha_shared_term *shared, fsha_error *reterr)
{
	char component[FSU_COMPONENT_MAX + 1];
	struct attached_term *a;
	struct term *t = NULL, *present;
	fsha_result result;
	int fd = -1;

	if (!s || !shared)
		return error_set(reterr, FSHA_E_INVALID, 0, "attach", "an argument is NULL");
	if (s->memory)
		return error_set(reterr, FSHA_E_UNSUPPORTED, 0, "attach",
				 "cannot attach to '%s': this cluster is in the memory of one "
				 "process",
				 election ? election : "");
	result = services_encode_election(election, component, reterr);
	if (result != FSHA_OK)
		return result;
	present = services_term(s, component);
	if (present) {
		term_unref(present);
		return error_set(reterr, FSHA_E_STATE, 0, "attach",
				 "this services object already takes part in '%s'", component);
	}
	result = claim_open_election(&s->cluster, component, false, &fd, reterr);
	if (result == FSHA_E_NOT_FOUND)
		return fenced(component, shared->epoch, "there is no such election", reterr);
	if (result == FSHA_OK) {
		result = attach(s, component, fd, shared, &t, reterr);
		(void)fsu_close(services_fs(s), fd); /* a directory */
	}
	if (result != FSHA_OK)
		return result;
	a = fsu_alloc(services_fs(s), sizeof(*a));
	if (!a) {
		term_unref(t);
		return error_os(reterr, -ENOMEM, "alloc", "cannot attach to '%s'", component);
	}
	a->term = t;
	services_lock(s);
	a->next = s->attached;
	s->attached = a;
	services_unlock(s);
	return FSHA_OK;
}
