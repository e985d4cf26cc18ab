#include "src/doctor/verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/result/error.h"

#define POLL_MS 200 /* how often fsha looks on shared filesystems */
#define SLOW_MS 1000

#define FORMAT "%d,%d,%d,%d,%d,%d,%d,%d,%d,%s"

static void format_result(const struct meeting *m, const struct measured *x, char *ret_word)
{
	/* The boot tells hosts apart, whatever they are called. */
	(void)snprintf(ret_word, WORD_SIZE, FORMAT, (int)m->d->mount.kind, x->new_name,
		       x->removed_name, x->listing, x->hand_over, x->lock_seen, x->lock_free,
		       x->fence, x->winners, m->d->boot_id[0] ? m->d->boot_id : "-");
}

static bool parse_result(const char *word, int *ret_kind, struct measured *ret, char *ret_boot)
{
	int *const numbers[] = { ret_kind,        &ret->new_name,  &ret->removed_name,
				 &ret->listing,   &ret->hand_over, &ret->lock_seen,
				 &ret->lock_free, &ret->fence,     &ret->winners };
	const char *p = word;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		char *end;
		long value = strtol(p, &end, 10);

		if (end == p || *end != ',' || value < -1 || value > 1000000)
			return false;
		*numbers[i] = (int)value;
		p = end + 1;
	}
	(void)snprintf(ret_boot, sizeof(((struct doctor *)0)->boot_id), "%s", p);
	return true;
}

struct common {
	struct measured worst;
	bool same_kind, same_host;
	bool claims; /* one winner each time */
};

static int larger(int a, int b)
{
	return a > b ? a : b;
}

static void take_worst(struct measured *worst, const struct measured *x)
{
	worst->new_name = larger(worst->new_name, x->new_name);
	worst->removed_name = larger(worst->removed_name, x->removed_name);
	worst->listing = larger(worst->listing, x->listing);
	worst->hand_over = larger(worst->hand_over, x->hand_over);
	worst->lock_seen = worst->lock_seen && x->lock_seen;
	worst->lock_free = worst->lock_free < 0 || x->lock_free < 0 ?
				   -1 :
				   larger(worst->lock_free, x->lock_free);
	/* -1, it could not be put up, is as bad as one that was passed. */
	worst->fence = worst->fence ? worst->fence : x->fence;
}

static fsha_result compare(struct meeting *m, const struct measured *own, struct common *ret_common,
			   fsha_error *reterr)
{
	struct common c = { .worst = { .lock_seen = 1 }, true, true, true };
	char word[WORD_SIZE], boot[sizeof(m->d->boot_id)];
	fsha_result result;

	format_result(m, own, word);
	result = meeting_say(m, "result", word, reterr);
	for (size_t i = 0; i < m->count && result == FSHA_OK; i++) {
		struct measured x = { .winners = 0 };
		int kind;

		result = meeting_hear(m, i, "result", word, reterr);
		if (result != FSHA_OK)
			break;
		if (!parse_result(word, &kind, &x, boot))
			return error_set(reterr, FSHA_E_CORRUPT, 0, "meet",
					 "cannot understand what a peer says: run the same version "
					 "of fsha on all hosts");
		take_worst(&c.worst, &x);
		c.claims = c.claims && x.winners == 1;
		c.same_kind = c.same_kind && kind == (int)m->d->mount.kind;
		c.same_host = c.same_host && strcmp(boot, m->d->boot_id) == 0;
	}
	*ret_common = c;
	return result;
}

static void tell_delay(struct doctor *d, const char *check, const char *what, int ms)
{
	doctor_begin(d, check);
	if (ms > SLOW_MS)
		doctor_say(d, DOCTOR_WARN,
			   "look at the server and the network; choose a lease well above this",
			   "%s is seen by the others after %d ms", what, ms);
	else
		doctor_ok(d, "%s is seen by the others after %d ms", what, ms);
}

static void tell_peers(struct meeting *m, const struct common *c)
{
	char labels[300] = "", label[FSU_NAME_MAX + 1];
	struct doctor *d = m->d;
	size_t len = 0;

	for (size_t i = 0; i < m->count && len < sizeof(labels); i++)
		len += (size_t)snprintf(labels + len, sizeof(labels) - len, "%s%s", i ? ", " : "",
					meeting_label(m, i, label));
	doctor_begin(d, "peers");
	if (!c->same_kind)
		doctor_say(d, DOCTOR_WARN, "mount the same filesystem in the same way on all hosts",
			   "%s have different kinds of filesystem here", labels);
	else if (c->same_host && d->mount.kind != FSU_MOUNT_LOCAL)
		doctor_say(d, DOCTOR_WARN, "run the peers on different hosts",
			   "%s are all on one host: this tells nothing of others", labels);
	else
		doctor_ok(d, "%s%s", labels, c->same_host ? "; all on one host" : "");
}

static void tell_locks(struct doctor *d, const struct measured *x)
{
	const bool works = x->lock_seen && x->lock_free >= 0;

	doctor_begin(d, "peer-locks");
	if (works)
		doctor_ok(d, "a lock is seen by the others, and that it is free after %d ms",
			  x->lock_free);
	else if (!x->lock_seen && fsu_mount_locks_cluster_wide(&d->mount))
		doctor_say(
			d, DOCTOR_FAIL,
			"mount without nolock and local_lock on all hosts, and see that the lock "
			"service of the server runs",
			"a lock that one peer holds is not seen by another, but these mounts say "
			"that it would be: members that live would be taken for dead");
	else
		doctor_say(d, DOCTOR_WARN,
			   "nothing, if a failover after 1.25 leases is soon enough",
			   "%s: heartbeats alone count",
			   x->lock_seen ? "that a lock is free is not seen within 5 s" :
					  "locks are not seen by the others");
}

static void tell_fence(struct doctor *d, const struct common *c)
{
	doctor_begin(d, "peer-fence");
	if (c->worst.fence > 0)
		doctor_say(d, DOCTOR_FAIL, "do not use this filesystem for fsha",
			   "after another peer had removed a leader's directory, %d of its calls "
			   "still worked",
			   c->worst.fence);
	else if (c->worst.fence < 0)
		doctor_say(
			d, DOCTOR_FAIL,
			"run fsha as the same user on all hosts, and see that they are mapped to "
			"the same at the server",
			"a peer could not empty and remove the directory of another");
	else
		doctor_ok(d, "after another peer has removed a leader's directory nothing comes "
			     "out of it");
	doctor_begin(d, "hand-over");
	if (!c->claims)
		doctor_say(d, DOCTOR_FAIL, "do not use this filesystem for fsha",
			   "of those who claimed one election, not exactly one won");
	else if (c->worst.hand_over > SLOW_MS)
		doctor_say(d, DOCTOR_WARN, "look at the server and the network",
			   "from resigning to the next claim, %d ms", c->worst.hand_over);
	else
		doctor_ok(d, "from resigning to the next claim, which one wins, %d ms",
			  c->worst.hand_over);
}

/* What a cluster with this lease may expect here. */
static void tell_failover(struct doctor *d, const struct measured *x)
{
	const int look_ms = d->mount.kind == FSU_MOUNT_LOCAL ? 0 : POLL_MS;
	const int silence_ms = (int)(d->lease_ms + d->lease_ms / 4) + look_ms + x->hand_over;
	const bool at_once =
		x->lock_seen && x->lock_free >= 0 &&
		(d->mount.kind == FSU_MOUNT_LOCAL || (d->mount.lock_lease_ms > d->lease_ms));
	const char *ceph = d->mount.kind == FSU_MOUNT_CEPH || d->mount.kind == FSU_MOUNT_CEPH_FUSE ?
				   "; on CephFS at least its session_timeout" :
				   "";

	doctor_begin(d, "failover");
	doctor_ok(d,
		  "with a lease of %g s expect: a leader that resigns %d ms, one that is killed %d "
		  "ms, a host that dies %d ms%s",
		  d->lease_ms / 1000.0, look_ms + x->hand_over,
		  at_once ? look_ms + x->lock_free + x->hand_over : silence_ms, silence_ms, ceph);
}

static void tell(struct meeting *m, const struct common *c)
{
	struct doctor *d = m->d;

	tell_peers(m, c);
	tell_delay(d, "peer-new-name", "a new name", c->worst.new_name);
	tell_delay(d, "peer-removed-name", "a removed name", c->worst.removed_name);
	tell_delay(d, "peer-listing", "a new name in a listing", c->worst.listing);
	tell_locks(d, &c->worst);
	tell_fence(d, c);
	tell_failover(d, &c->worst);
}

fsha_result verdict_reach(struct meeting *m, const struct measured *own, fsha_error *reterr)
{
	struct common common;
	fsha_result result = compare(m, own, &common, reterr);

	if (result == FSHA_OK)
		tell(m, &common);
	return result;
}
