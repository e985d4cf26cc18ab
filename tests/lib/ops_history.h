/*
 * The history of a run, and the checker that judges it: who was granted, who was revoked, who was
 * told that it leads, and when each read and each write began and ended with what. Whatever drives
 * leaders (simulations, storms of real processes, faulty filesystems) records this, so that one
 * checker judges them all.
 *
 * Events, one a line; times are nanoseconds of one clock that all writers of a history share:
 *
 *   <time> <process> grant <election> <epoch>      the grant callback was entered
 *   <time> <process> revoke <election> <epoch>     the revoke callback was entered
 *   <time> <process> leads <election> <epoch> [<deadline>]
 *                                                  has_leadership() said yes; <time> is from before
 *                                                  the call, so it led at <time> or later.
 *                                                  <deadline> is when its lease ends by its own
 *                                                  clock, as a time of this history, from another
 *                                                  source than the library: the start of the last
 *                                                  heartbeat that was carried out, as known after
 *                                                  the call, and one lease
 *   <time> <process> over <election> <epoch>       by <time> the revoke callback must have been
 *                                                  entered: from the same source as a <deadline>,
 *                                                  the lease of this term is over, for as long as
 *                                                  it may take to be told, in which the process
 *                                                  did not stand still, whatever its calls did
 *   <time> <process> begin <op> write <election> <key> <epoch> <value>
 *   <time> <process> begin <op> remove <election> <key> <epoch> <value>
 *   <time> <process> begin <op> read <election> <key>
 *                                                  <time> is from before the call
 *   <time> <process> end <op> ok [<value>|absent]  <time> is from after the call; a read that
 *   <time> <process> end <op> failed               worked tells what it saw, a write tells nothing
 *   <time> <process> end <op> unknown
 *   <time> <process> end <op> damaged              (of a read)
 *   <time> <process> end <op> unclear              (of a write) it was done, and nobody can tell
 *                                                  from outside under which of two terms of its
 *                                                  process: rules 2 to 5 are not asked of its key
 *   <time> - cut                                   the power failed: every process is gone
 *   <time> - healed                                from here on nothing fails, nobody is killed
 *   <time> - end <bound>                           the history ends; ns within which somebody leads
 *
 * <process> is a name, used by one process at a time; <op> a number that the process does not use
 * twice; <election> and <key> are words without spaces, <key> with the kind of the store in it
 * ("job_graphs/<id>"). <value> is "<epoch>.<sequence>.<random>", decimal, decimal, hexadecimal: of
 * the writer's term, rising with each write or removal of that key in that term, and a word that
 * makes it unique. A removal has a value too: it takes part in the order. A begin without an end
 * (the process was killed) is unknown.
 *
 * Two writes of one key under one epoch must not overlap: the second begins after the first has
 * ended (also with unknown). Else nobody could tell their order from outside; rule 0.
 *
 * An operation of unknown end is one that says so, or says nothing more. A history begins with
 * nothing in any key.
 *
 * What must hold. A key is a register: each write takes effect at one moment or never, and a read
 * tells what was there at one moment between its begin and its end. The order of the effects is
 * that of the values, (epoch, sequence), because versions only grow and a version that comes late
 * does not hide a higher one. A write of epoch e takes effect before the grant of any newer epoch,
 * as the newer leader has fenced by then; the callback is entered later still, so what is logged is
 * an upper bound.
 *
 *   0 the history is well formed (this is the fault of who recorded it)
 *   1 an epoch is granted once; the grants of one process rise. (Those of different processes rise
 *     too, but a process that is stopped between the library's last look at its lease and the first
 *     line of the callback is entered late, and no harm is done: it finds out at once. Counted as
 *     late grants; a violation with OPS_STRICT, for simulated time, which stands still there.)
 *     A revoke follows the grant of its term to the same process
 *   2 nothing of a term comes after a newer grant: no write that began after it is acknowledged or
 *     seen; none that began before appears to a read although another read, begun after the grant
 *     as well, had not seen it; and none is seen where something of a newer term must be
 *   3 an acknowledged write is seen by each read that begins after its end, until it is replaced
 *   4 a read returns a whole value that somebody had begun to write to that key, or none
 *   5 a write of unknown outcome is seen from some moment on or never; a failed one never
 *   6 who says that it leads an epoch was granted it, has not been told of its end, and nobody has
 *     been granted a newer one
 *   7 from `healed` on nobody waits longer than the bound for a leader: after healed, and after
 *     each revoke of the newest term, some process is granted or says that it leads
 *   8 nobody says that it leads when its lease is over, be there a newer leader or not: this is
 *     what keeps effects outside of the stores apart
 *   9 who has lost its lease is told so in time: before an `over` of a term there is its revoke
 *
 * Why these alarms are never false: a read R is placed anywhere in its interval, so it is held only
 * to what took effect before it began: acknowledged writes that ended before, what a read saw that
 * ended before, and what must have come before a grant before. A write of unknown outcome binds
 * nobody until it is seen. Events of equal times count as overlapping. An absent read may have met
 * any removal; it is counted for the lowest that fits, which binds later reads least. A removal of
 * unknown outcome that no grant-fenced reader has met although it should have never took effect.
 * A power cut may undo what was seen and not acknowledged; what is not undone by it stays.
 *
 * Why nothing is missed of what the times tell: with the order of the writes known, a history that
 * keeps each pair of operations in order (one ended before the other began) can be replayed as a
 * register; every such pair is looked at.
 */
#ifndef TESTS_OPS_HISTORY_H
#define TESTS_OPS_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fsha/result.h"

enum ops_kind {
	OPS_GRANT,
	OPS_REVOKE,
	OPS_LEADS,
	OPS_OVER,
	OPS_WRITE,
	OPS_REMOVE,
	OPS_READ,
	OPS_END,
	OPS_CUT,
	OPS_HEALED,
	OPS_FINISH
};

enum ops_outcome {
	OPS_OK,     /* of a read: `value` was seen */
	OPS_ABSENT, /* only of a read */
	OPS_FAILED, /* nothing was changed and never will be; or nothing was read */
	OPS_UNKNOWN,
	OPS_DAMAGED, /* only of a read */
	OPS_UNCLEAR  /* only of a write */
};

struct ops_value {
	uint64_t epoch, sequence, random;
};
#define OPS_VALUE_SIZE 64

struct ops_event {
	int64_t time_ns;
	enum ops_kind kind;
	enum ops_outcome outcome; /* of OPS_END */
	const char *process, *election, *key;
	uint64_t op, epoch;
	struct ops_value value;
	int64_t bound_ns;    /* of OPS_FINISH */
	int64_t deadline_ns; /* of OPS_LEADS; 0: nobody but the library knows */
};

struct ops_history;

/* Aborts on lack of memory, as all of this. */
struct ops_history *ops_history_create(void);
void ops_history_destroy(struct ops_history *h);
/* In any order of time; what it points to is copied. */
void ops_history_add(struct ops_history *h, const struct ops_event *event);
size_t ops_history_count(const struct ops_history *h);
/* In the order in which they were added. */
const struct ops_event *ops_history_at(const struct ops_history *h, size_t i);

/*
 * What a result of the library says about a write: NOT_LEADER, VERSION, IO and such have changed
 * nothing. `error` may be NULL only with a result other than FENCED.
 */
enum ops_outcome ops_outcome_of_write(fsha_result result, const fsha_error *error);
enum ops_outcome ops_outcome_of_read(fsha_result result);

/* ---- As text (ops_history_text.c) ---- */

/* Without NUL in it, `ret_text` of OPS_VALUE_SIZE bytes. */
void ops_value_format(const struct ops_value *value, char *ret_text);
/* False: `text` of `size` bytes is no value. A reader reports that as damaged. */
bool ops_value_parse(const char *text, size_t size, struct ops_value *ret_value);

#define OPS_LINE_SIZE 1024
/* With '\n'; the length. An assertion fails when it is too long. */
size_t ops_event_format(const struct ops_event *event, char *ret_line);
/* Changes `line`, into which the event then points. False: it is none. */
bool ops_event_parse(char *line, struct ops_event *ret_event);
/* All of it, a line for each, to stderr. */
void ops_history_print(const struct ops_history *h);
/* Append with one write(2), so that a kill takes no line apart. False: errno tells. */
bool ops_event_log(int fd, const struct ops_event *event);
/*
 * Add what a file holds. A last line without an end, of a process that was killed, is left out.
 * False: `ret_error` of OPS_LINE_SIZE bytes says where and why.
 */
bool ops_history_read(struct ops_history *h, const char *path, char *ret_error);

/* ---- The judgement (ops_history_check.c) ---- */

#define OPS_STRICT 1u /* see rule 1 */

#define OPS_RULES 10
#define OPS_VIOLATIONS_KEPT 50
struct ops_violation {
	unsigned rule;
	char text[600];
};

struct ops_verdict {
	size_t events, operations, reads, writes, unknown, grants, late_grants, keys;
	size_t unclear, keys_unclear; /* writes, and the keys that were not judged for them */
	size_t deadlines;             /* that were held against who said that it leads */
	size_t overs;                 /* terms that were held to having been told in time */
	size_t violations[OPS_RULES]; /* how many of each rule */
	size_t total;
	struct ops_violation kept[OPS_VIOLATIONS_KEPT]; /* the first ones of them */
};
/* True: nothing was violated. */
bool ops_history_check(struct ops_history *h, unsigned flags, struct ops_verdict *ret_verdict);
/* To stderr: what was violated, with the events. */
void ops_verdict_print(const struct ops_verdict *verdict);

#endif
