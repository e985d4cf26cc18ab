/*
 * The election and its fence, as src/election/ does it. The checks and the mistakes that they must
 * find are in tests/model/run.
 *
 * A process of this model is one claim and the term that follows it. A candidate that claims again,
 * or was killed and started again, is the next process; the old one may stop for ever, or for long
 * and then go on, between any two of its steps. So CLAIMS processes are every way in which up to
 * CLAIMS candidates claim CLAIMS times in all. Nobody knows whether a holder lives: each may claim
 * over each at any moment. No clock and no lease is in here (lease.pml).
 *
 *   here                                     in the code
 *   look                                     epoch_read
 *   make                                     claim_run: next_epoch, mkdir of the tenure
 *   swap, and the look after a failure       claim.c: swap, epoch_swap
 *   fence                                    tenure_fence; within it tenure_remove
 *   check, grant                             grant_refused, granted
 *   lead: stage, publish, settle             term_commit: fsu_file_stage, fsu_publish
 *   lead: discard                            term_discard
 *   resign                                   claim_vacate, term_commit_last, claim_clean_up
 *   give_back                                give_back
 *   stand by (LIVE only)                     stand_by, heartbeat_is_own, lead
 *   sync (POWER only)                        sync_election
 *
 * A listing is not atomic; each name that it shows, or does not, is as it was at some moment of it.
 * Each name is therefore read in a step of its own, after which time may pass. epoch_read looks
 * again while it has seen no epoch name, so it always brings one.
 *
 * A rename is done or not; when the reply says that it failed it may have been done, or be under way
 * still (process network). rmdir and mkdir need no such cases: a tenure that was made although the
 * reply said no is never used, and rmdir is repeated until a listing does not show the name.
 *
 * -DLIVE: the same claims by candidates that know who is dead, few faults, and then a leader.
 * -DPOWER: once the power is cut; what was not synced may be lost, and all processes are.
 * -DSERVER: once the server restarts, and a process dies with it; what that one had not synced is
 *     lost, and the others go on (a CephFS client repeats what it has not synced, unless it is dead).
 *     This is more than doc/GUARANTEES.md assumes: with three claims the promise does not hold. One
 *     claimant removes the old leader's tenure, is overtaken by another, who finds it removed and is
 *     granted, and dies with the server: the tenure is back.
 */
#ifndef CLAIMS
#define CLAIMS 3
#endif
#ifndef CANDIDATES
#define CANDIDATES CLAIMS
#endif
#define BIT(s) (1 << (s))

/* Names of the epoch file: 0 is the first one, vacant, of epoch 0. */
#define HELD(s) (1 + 2 * (s))
#define VACANT(s) (2 + 2 * (s))
#define NAMES (1 + 2 * CLAIMS)
#define IS(name) ((names >> (name)) & 1)
#define SESSION(name) (((name) - 1) / 2)
#define NUMBER(name) ((name) == 0 -> 0 : number[SESSION(name)])

/* The election directory; a set of sessions is a byte. */
short names = 1;     /* epoch files that are there */
byte number[CLAIMS]; /* of a session: the epoch in the names of its tenure and its epoch file */
byte tenure;         /* tenure directories that are there */
byte moved;          /* ... out of sight, but there (FENCE_BY_RENAME) */
byte staged;         /* ... with the file of a write in them */

byte file;           /* the name in `names` */
#ifdef SWAP_WITHOUT_SESSION
#define MINE (file != from && NUMBER(file) == number[my])
#else
#define MINE IS(HELD(my))
#endif

/* Packets under way: renames that were told to have failed. */
byte late_swap[CLAIMS]; /* 1 + the name that it replaces */
byte late_vacate, late_publish;

/* What has happened. */
byte made;      /* sessions begun */
byte held;      /* sessions that the epoch file has named */
byte published; /* sessions whose last write is in the store */
byte granted;   /* epochs */
byte highest;   /* epoch granted */

/* The properties. What is violated is told by this name. */
bool one_epoch_file = true, epochs_grow = true, epoch_is_granted_once = true;
bool nothing_older_after_a_grant = true, one_unfenced_tenure = true;
bool lost_is_lost = true, not_done_is_final = true;

#ifdef LIVE
#ifndef DEATHS
#define DEATHS (CANDIDATES - 1)
#endif
byte deaths = DEATHS;
byte owner[CLAIMS]; /* of a session: its candidate */
byte dead;          /* candidates */
byte leading;       /* candidates */
bool enough_claims = true, somebody_leads = true;
#define FREE(name) ((name) == 0 || (name) == VACANT(SESSION(name)) || (dead & BIT(owner[SESSION(name)])))
#ifdef NO_CLAIM_OVER_ONESELF
#define OWN(name) false
#else
#define OWN(name) ((name) != 0 && owner[SESSION(name)] == me)
#endif
#define END_OF_ALL (dead & BIT(me))
#endif

/* Without FAULTS any number of them. */
#ifdef FAULTS
byte faults = FAULTS;
#define FAULTY (faults > 0)
#define SPEND faults--
#else
#define FAULTY true
#define SPEND skip
#endif

#ifdef POWER
short synced_names = 1;
byte synced_file, synced_tenure;
byte down; /* processes that the power cut has ended */
#define END_OF_ALL (down & BIT(me))
#endif
#ifdef SERVER
byte undone[CLAIMS]; /* tenures that this one has removed, not synced */
byte before[CLAIMS]; /* 1 + the name that it has replaced, not synced */
byte killed;
#define END_OF_ALL (killed & BIT(me))
#endif
#ifdef SERVER
#define SYNC atomic { undone[me] = 0; before[me] = 0 }
#elif defined(POWER) && !defined(NO_SYNC)
#define SYNC atomic { synced_names = names; synced_file = file; synced_tenure = tenure }
#else
#define SYNC skip
#endif

#ifdef SERVER
#define REPLACED before[me] = from + 1
#else
#define REPLACED skip
#endif

#define EMPTY(s) ((staged & BIT(s)) == 0)
#ifdef FENCE_PREVIOUS_ONLY
#define TO_FENCE(s) (from == HELD(s) && (tenure & BIT(s)))
#else
#define TO_FENCE(s) ((tenure & ~moved & BIT(s)) && number[s] <= number[my] && (s) != my)
#endif

/* rename(2) of the epoch file, which is there. The old name never returns. */
inline move(f, t)
{
	names = (names & ~(1 << (f))) | (1 << (t));
	one_epoch_file = names != 0 && (names & (names - 1)) == 0;
	assert(one_epoch_file);
	epochs_grow = NUMBER(t) >= NUMBER(f);
	assert(epochs_grow);
	late_vacate = (f == HELD(SESSION(f)) -> late_vacate & ~BIT(SESSION(f)) : late_vacate);
	held = ((t) == VACANT(SESSION(t)) -> held : held | (tenure & BIT(SESSION(t))));
	file = t;
	/* A packet for a name that is gone does nothing any more. */
	k = 0;
	do
	:: k < CLAIMS -> late_swap[k] = (late_swap[k] == (f) + 1 -> 0 : late_swap[k]); k++
	:: k == CLAIMS -> break
	od;
	k = 0
}

/* A change of a store takes effect. */
inline effect(s)
{
	nothing_older_after_a_grant = number[s] >= highest;
	assert(nothing_older_after_a_grant)
}

/* The file of a write leaves the tenure; a packet that is under way finds nothing. */
inline gone(s)
{
	staged = staged & ~BIT(s);
	late_publish = late_publish & ~BIT(s)
}

/* rename(2) out of the tenure into a store: of a file that is there. */
inline publish(s)
{
	effect(s);
	gone(s);
	published = published | BIT(s)
}

inline rmdir(s)
{
#ifdef SERVER
	undone[me] = undone[me] | (tenure & BIT(s));
#endif
	tenure = tenure & ~BIT(s);
	held = held & ~BIT(s)
}

/* Take a tenure apart, until it is gone. */
inline tenure_remove(s)
{
#ifdef FENCE_BY_RENAME
	d_step { moved = moved | BIT(s) }
#else
	do
	:: d_step { EMPTY(s) -> rmdir(s) }; break
	:: d_step { !EMPTY(s) -> gone(s) };
#ifdef ONE_PASS
		/* What was in it has been moved away; so it must be empty now. */
		if
		:: d_step { EMPTY(s) -> rmdir(s) }
		:: !EMPTY(s)
		fi;
		break
#endif
	od
#endif
}

inline grant()
{
	d_step {
		epoch_is_granted_once = (granted & BIT(number[my])) == 0;
		assert(epoch_is_granted_once);
		granted = granted | BIT(number[my]);
		highest = (number[my] > highest -> number[my] : highest);
#ifndef ONLY_WRITES_COUNT
		k = 0;
		do
		:: k < CLAIMS ->
			one_unfenced_tenure = !(tenure & held & BIT(k)) || number[k] >= highest;
			assert(one_unfenced_tenure);
			k++
		:: k == CLAIMS -> break
		od;
		k = 0
#endif
	}
}

/* rename(2) of the own epoch file to vacant, as it may end; `vacated` when it said that it worked. */
inline vacate()
{
	if
	:: d_step { IS(HELD(my)) -> move(HELD(my), VACANT(my)) }; goto vacated
	:: d_step { FAULTY && IS(HELD(my)) -> SPEND; move(HELD(my), VACANT(my)) }
	:: d_step { FAULTY && IS(HELD(my)) -> SPEND; late_vacate = late_vacate | BIT(my) }
#ifdef LIVE
	:: d_step { FAULTY && IS(HELD(my)) -> SPEND }
#endif
	:: !IS(HELD(my))
	fi
}

proctype candidate(byte me)
{
	byte my, from, i, k;
	bool found, resigning;

start:
#ifdef END_OF_ALL
	{
	skip;
#endif
#ifdef LIVE
	/* The file is vacant, or its holder dead, or it is ourselves; or a wrong belief. */
end_stand_by:
	if
	:: FREE(file) || OWN(file)
	:: d_step { FAULTY -> SPEND }
	fi;
	d_step {
		from = file;
		enough_claims = made < CLAIMS;
		assert(enough_claims);
		my = made;
		made++;
		owner[my] = me;
		number[my] = NUMBER(from) + 1;
		tenure = tenure | BIT(my)
	};
#else
	my = me;
	from = file;
	/* Candidates are alike: that they begin in this order leaves nothing out. */
end_make:
	d_step {
		made == my;
		made++;
		number[my] = NUMBER(from) + 1;
		tenure = tenure | BIT(my)
	};
#endif

swap:
	if
#ifdef SWAP_BY_CREATE
	:: d_step { IS(from) -> names = names | (1 << HELD(my)) };
		d_step { move(from, HELD(my)) };
		goto won
#endif
	:: d_step { IS(from) -> REPLACED; move(from, HELD(my)) }; goto won
	:: d_step { FAULTY && IS(from) -> SPEND; REPLACED; move(from, HELD(my)) }
	:: d_step { FAULTY && IS(from) -> SPEND; late_swap[my] = from + 1 }
#ifdef LIVE /* else the same as a packet that never comes */
	:: d_step { FAULTY && IS(from) -> SPEND }
#endif
	:: !IS(from)
	fi;
	if
#ifdef ENOENT_IS_LOST
	:: !IS(from) -> goto lost
#endif
	:: MINE -> goto won
	:: IS(from) -> goto swap
	:: IS(from) -> goto leave /* given up: it may happen later */
	:: !MINE && !IS(from) -> goto lost
	fi;

lost:
#ifndef SERVER /* who took it from us may be undone: then we claim over ourselves, see stand by */
	atomic { lost_is_lost = !IS(HELD(my)); assert(lost_is_lost) };
#else
	skip;
#endif
	goto leave;

won:
	SYNC;
#ifdef GRANT_BEFORE_FENCING
	grant();
#endif
fence:
	do
#ifdef LIVE /* as many as that show nothing: at one moment */
	:: d_step {
			i < CLAIMS && !TO_FENCE(i) ->
				do
				:: i < CLAIMS && !TO_FENCE(i) -> i++
				:: else -> break
				od
		}
#else
	:: d_step { i < CLAIMS && !TO_FENCE(i) -> i++ }
#endif
	:: i < CLAIMS && TO_FENCE(i) ->
		found = true;
		tenure_remove(i);
		i++
	:: d_step { i < CLAIMS && TO_FENCE(i) && FAULTY -> SPEND };
		goto give_back /* no more time, or an error */
	:: i == CLAIMS -> break
	od;
	if
#ifdef ONE_PASS
	:: d_step { found = false; i = 0 }
#else
	:: d_step { found -> found = false; i = 0 }; goto fence
	:: d_step { !found -> i = 0 }
#endif
	fi;
#ifndef NO_SYNC_BEFORE_THE_GRANT
	SYNC;
#endif

	if
	:: MINE
	:: !MINE -> goto give_back
	fi;
	if
	:: tenure & BIT(my)
	:: !(tenure & BIT(my)) -> goto give_back
	:: d_step { FAULTY -> SPEND }; goto give_back /* the lease has run out */
	fi;
	from = 0;
#ifndef GRANT_BEFORE_FENCING
	grant();
#endif

#ifdef LIVE
	leading = leading | BIT(me);
end_lead:
	if
	:: file != HELD(my) -> leading = leading & ~BIT(me); goto ended /* somebody claimed over us */
	:: d_step { FAULTY -> SPEND; leading = leading & ~BIT(me) }; goto resign
	fi;
#endif

lead:
	if
	:: tenure & BIT(my) -> goto stage
	:: !(tenure & BIT(my)) -> goto ended /* fenced */
	:: goto resign
	fi;

stage:
	if
	:: d_step { tenure & BIT(my) -> staged = staged | BIT(my) }
	:: !(tenure & BIT(my)) -> goto ended
	fi;
	if
	:: d_step { staged & BIT(my) -> publish(my); published = published & ~BIT(my) };
		goto written
	:: d_step { FAULTY && (staged & BIT(my)) -> SPEND; publish(my) }
	:: d_step { FAULTY && (staged & BIT(my)) -> SPEND; late_publish = late_publish | BIT(my) }
	:: !(staged & BIT(my)) /* a successor has it */
	fi;

	/* Settle. */
	if
	:: d_step { published & BIT(my) -> published = published & ~BIT(my) }; goto written
	:: !(published & BIT(my))
	fi;
#ifdef NOT_DONE_BY_LISTING
	goto not_done;
#endif
	if
	:: d_step { staged & BIT(my) -> gone(my) }; goto not_done
	:: d_step { FAULTY && (staged & BIT(my)) -> SPEND; gone(my) }
	:: d_step { FAULTY && (staged & BIT(my)) -> SPEND }
	:: !(staged & BIT(my))
	fi;
	if
	:: d_step { published & BIT(my) -> published = published & ~BIT(my) }; goto written
	:: !(published & BIT(my)) && !(staged & BIT(my)) -> goto written /* in doubt; the next write */
	:: !(published & BIT(my)) -> goto ended
	fi;
not_done:
	/* What is told now must stay so, whatever is under way: this name is never made again. */
	atomic { not_done_is_final = !(staged & BIT(my)); assert(not_done_is_final) };
written:
	if
	:: resigning -> tenure_remove(my); goto ended
	:: !resigning -> goto lead
	fi;

resign:
	resigning = true;
	vacate();
	if
	:: IS(HELD(my)) -> goto resign
	:: IS(HELD(my)) -> goto ended /* the member gives itself up */
	:: IS(VACANT(my)) -> goto vacated
	:: !IS(HELD(my)) && !IS(VACANT(my)) -> goto leave
	fi;

give_back:
	atomic { i = 0; found = false };
	vacate();
vacated:
	if
	:: resigning -> goto stage /* "no leader" is a write too */
	:: !resigning -> goto leave
	fi;

leave:
	/* One try; what stays, others clear away. */
	if
	:: d_step { (tenure & BIT(my)) && EMPTY(my) -> rmdir(my) }
	:: true
	fi;
ended:
	atomic { my = 0; from = 0; i = 0; found = false; resigning = false };
#ifdef LIVE
	goto start
#else
	skip
#endif
#ifdef END_OF_ALL
	} unless { END_OF_ALL };
#endif
#ifdef POWER
	d_step { down = down & ~BIT(me); from = 0; i = 0; found = false; resigning = false };
	if
	:: made > me /* the next one is this candidate's next claim */
	:: made <= me -> goto start
	fi
#endif
}

/* The packets that are under way come at any time, or never. */
#define PACKETS(s) \
	:: d_step { late_swap[s] != 0 -> x = late_swap[s] - 1; move(x, HELD(s)); x = 0 } \
	:: d_step { late_vacate & BIT(s) -> move(HELD(s), VACANT(s)) } \
	WRITES_OR_LOST(s)
#ifdef LIVE
#define WRITES_OR_LOST(s) :: d_step { late_swap[s] != 0 -> late_swap[s] = 0 } \
	:: d_step { late_vacate & BIT(s) -> late_vacate = late_vacate & ~BIT(s) }
#else
#define WRITES_OR_LOST(s) :: d_step { late_publish & BIT(s) -> publish(s) } \
	:: d_step { tenure & held & BIT(s) -> effect(s) } /* a discard */
#endif

proctype network()
{
	byte x, k;

end_network:
	do
	PACKETS(0)
	PACKETS(1)
#if CLAIMS > 2
	PACKETS(2)
#endif
#if CLAIMS > 3
	PACKETS(3)
#endif
#if CLAIMS > 4
	PACKETS(4)
#endif
#if CLAIMS > 5
	PACKETS(5)
#endif
#if CLAIMS > 6
	PACKETS(6)
#endif
	od
}

#ifdef POWER
/* Of what was not synced, names of the epoch file and tenures may be lost. */
proctype power()
{
end_power:
	atomic {
		down = BIT(CLAIMS) - 1;
		late_vacate = 0;
		late_publish = 0;
		late_swap[0] = 0;
		late_swap[1] = 0;
#if CLAIMS > 2
		late_swap[2] = 0;
#endif
		if
		:: names = synced_names; file = synced_file
		:: true
		fi;
		if
		:: tenure = synced_tenure; staged = staged & tenure
		:: true
		fi
	}
}
#endif

#ifdef SERVER
#define RESTART(s) :: d_step { \
		killed = BIT(s); \
		tenure = tenure | undone[s]; \
		if \
		:: before[s] != 0 && file == HELD(s) -> \
			file = before[s] - 1; \
			names = 1 << file; \
			late_vacate = late_vacate & ~BIT(s); \
			k = 0; \
			do \
			:: k < CLAIMS -> late_swap[k] = (late_swap[k] == HELD(s) + 1 -> 0 : late_swap[k]); k++ \
			:: k == CLAIMS -> break \
			od \
		:: else \
		fi; \
		k = 0 }
proctype server()
{
	byte k;

	if
	RESTART(0)
	RESTART(1)
#if CLAIMS > 2
	RESTART(2)
#endif
	fi
}
#endif

#ifdef LIVE
/* Up to all but one die, and what has not gone wrong by some time does not go wrong. */
#define DIE(c) :: d_step { deaths > 0 && !(dead & BIT(c)) -> dead = dead | BIT(c); deaths-- }
proctype fate()
{
	do
	DIE(0)
	DIE(1)
#if CANDIDATES > 2
	DIE(2)
#endif
	:: d_step { faults > 0 -> faults = 0 }
	:: break
	od
}

/*
 * Nothing can move any more: somebody leads. That this comes in every run is the other half: the
 * runner checks that there is no cycle (pan -l). Weak fairness would not do instead of the two: it
 * says nothing of a state in which all wait.
 */
#define LED \
	(file != 0 && file == HELD(SESSION(file)) && (leading & ~dead & BIT(owner[SESSION(file)])))
proctype monitor()
{
	timeout;
	atomic { somebody_leads = LED; assert(somebody_leads) }
}
#endif

init {
	atomic {
		run network();
#ifdef LIVE
		run fate();
		run monitor();
#endif
#ifdef POWER
		run power();
#endif
#ifdef SERVER
		run server();
#endif
		run candidate(0);
		run candidate(1);
#if CLAIMS > 2 && CANDIDATES > 2
		run candidate(2);
#endif
#if CLAIMS > 3 && !defined(LIVE)
		run candidate(3);
#endif
	}
}
