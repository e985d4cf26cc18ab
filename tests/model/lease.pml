/*
 * The lease: a leader that beats, one that watches it and then leads, and the clocks of the two. The
 * election is in election.pml; there no clock counts. The checks and the mistakes that they must
 * find are in tests/model/run.
 *
 *   here                                in the code
 *   leader                              member_beat, lease_is_alive, lease_renew
 *   look in watcher                     member_watch_look: look_at_beat
 *   expel in watcher                    stand_by, member_watch_may_live, outwait, member_expel
 *
 * Between two ticks of the clock every process takes as many steps as it likes; any number of ticks
 * may pass between two of its steps, in the middle of a call too. A beat is done or not; when its
 * reply says that it failed, it may have been done, or be under way still. The lock of the leader
 * may be freed at any time, as a server that has lost its state frees it. Looks that fail say
 * nothing and are left out.
 *
 * -DDRIFT: the watcher's clock is up to a quarter faster than the leader's.
 */
#ifdef DRIFT
#define LEASE 8
#else
#define LEASE 4
#endif
#define QUARTER (LEASE / 4)
#ifdef NO_QUARTER
#define SPAN LEASE
#else
#define SPAN (LEASE + QUARTER)
#endif
#ifndef BEATS
#define BEATS 2
#endif
#define NEVER 255

/*
 * Moments are kept as how long ago they were, as far as that matters, so that time has no end:
 * `begun` and `tried` on the leader's clock, `since` on the watcher's, `left` is of the lease.
 */
byte begun = NEVER; /* this try of a beat */
byte tried = NEVER; /* the first try of this beat */
byte since;         /* the end of the look that saw the last change; or of the expulsion */
#ifdef SPAN_FROM_THE_BEGIN_OF_A_LOOK
byte looked; /* the begin of this look */
#endif
byte left = LEASE;
bool expired;

byte beat;        /* the number in the name of the beat file */
bool expelled;    /* the file has another name */
byte late;        /* a rename to this number is under way; 0: none */
bool lock = true; /* held */
bool granted;     /* to the watcher */

#define OLDER(age, most) age = (age < (most) -> age + 1 : age)

/* The property: as long as the old leader may say that it leads, nobody else has been granted. */
bool old_leader_stops_first = true;
#define ONE_LEADS \
	old_leader_stops_first = !granted || expired || left == 0; \
	assert(old_leader_stops_first)

proctype clock()
{
	byte drift;

end_clock:
	do
	:: d_step {
			true ->
				OLDER(begun, LEASE);
				OLDER(tried, LEASE);
				OLDER(since, SPAN + 1);
#ifdef SPAN_FROM_THE_BEGIN_OF_A_LOOK
				OLDER(looked, SPAN + 1);
#endif
				OLDER(drift, 4);
				left = (left > 0 -> left - 1 : 0)
		}
#ifdef DRIFT /* a tick more, after four */
	:: d_step { drift == 4 -> drift = 0; OLDER(since, SPAN + 1) }
#endif
	od
}

proctype network()
{
end_network:
	do
	:: d_step {
			late != 0 ->
				beat = (beat == late - 1 && !expelled -> late : beat);
				late = 0
		}
	od
}

/* lease_is_alive: once it was seen to have run out it stays so. */
#define ASK expired = (left == 0 -> true : expired)

proctype leader()
{
	byte next = 1;

begin:
	atomic {
		ASK;
		begun = 0;
		tried = (tried == NEVER -> 0 : tried)
	};
	if
	:: expired || next > BEATS -> goto ended
	:: !expired && next <= BEATS
	fi;

	if
	:: d_step { beat == next - 1 && !expelled -> beat = next }; goto renew
	:: d_step { beat == next - 1 && !expelled -> beat = next }
	:: d_step { beat == next - 1 && !expelled -> late = next }
	:: beat != next - 1 || expelled
	fi;
	/* It failed: which_beat. */
	if
	:: beat == next && !expelled
	:: beat == next - 1 && !expelled -> goto begin
	:: expelled -> goto ended
	fi;
#ifndef RETRY_COUNTS_FROM_ITSELF
	begun = tried;
#endif
renew:
	/* lease_renew asks, and stores in another step. */
#ifndef LATE_BEAT_EXTENDS
	atomic { ASK };
	if
	:: expired -> goto ended
	:: !expired
	fi;
#endif
	atomic {
		left = (LEASE - begun > left -> LEASE - begun : left);
#ifdef LATE_BEAT_EXTENDS
		expired = false;
#endif
		ONE_LEADS;
		next++;
		tried = NEVER;
		begun = NEVER
	};
	goto begin;
ended:
	/* It leads on by its clock, until that runs out. */
	atomic { begun = NEVER; tried = NEVER }
}

proctype watcher()
{
	byte seen = NEVER, saw;
	bool overdue, condemned;

look:
	overdue = since > SPAN;
#ifdef SPAN_FROM_THE_BEGIN_OF_A_LOOK
	looked = 0;
#endif
	if
	:: !lock -> goto expel
	:: lock
	fi;
	d_step { saw = (expelled -> BEATS + 1 : beat) };
	/* The look ends, at once or much later. */
	d_step {
#ifdef CONDEMNED_BY_THE_END_OF_A_LOOK
		overdue = since > SPAN;
#endif
		condemned = saw == seen && overdue;
#ifdef SPAN_FROM_THE_BEGIN_OF_A_LOOK
		since = (saw != seen -> looked : since);
#else
		since = (saw != seen -> 0 : since);
#endif
		seen = saw;
		saw = 0;
		overdue = false
	};
	if
	:: condemned -> goto grant
	:: !condemned -> goto look
	fi;

	/* It may lead on: its next beat is taken from it, and its lease waited for. */
expel:
	overdue = false;
#ifdef LOCK_IS_BELIEVED
	goto grant;
#endif
#ifndef WAIT_WITHOUT_EXPELLING
	expelled = true;
#endif
	since = 0;
end_wait:
	since >= SPAN;
grant:
	atomic { granted = true; ONE_LEADS }
}

/* A server may free the lock of a member that is cut off. */
proctype server()
{
	lock = false
}

init {
	atomic {
		run clock();
		run network();
		run leader();
		run watcher();
		run server();
	}
}
