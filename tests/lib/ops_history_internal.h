/*
 * What the files of the history checker share: operations, the grants of an election.
 */
#ifndef TESTS_OPS_HISTORY_INTERNAL_H
#define TESTS_OPS_HISTORY_INTERNAL_H

#include "tests/lib/ops_history.h"

#define OPS_NEVER INT64_MAX

struct ops_history {
	struct ops_event *events;
	size_t count, room;
	/* The words of all events, each once: an open hash table. */
	char **words;
	size_t words_count, words_room;
};

/* Of real memory. */
void *ops_alloc(size_t count, size_t size);

/* A begin and its end. */
struct ops_call {
	const struct ops_event *begin;
	int64_t from_ns, to_ns;   /* OPS_NEVER: it did not return */
	enum ops_outcome outcome; /* unknown then */
	struct ops_value seen;    /* by a read, with OPS_OK */
};

/* One epoch that was granted. */
struct ops_grant {
	const struct ops_event *event;
	int64_t revoked_ns; /* OPS_NEVER: not */
	int64_t newer_ns;   /* the first grant of a newer epoch; OPS_NEVER: none */
};

struct ops_election {
	const char *name;
	struct ops_grant *grants; /* by epoch */
	size_t count;
};

/* When an epoch newer than `epoch` was granted first. */
int64_t ops_newer_ns(const struct ops_election *e, uint64_t epoch);

struct ops_check {
	struct ops_history *history;
	struct ops_verdict *verdict;
	unsigned flags;
	struct ops_election *elections;
	size_t elections_count;
	struct ops_call *calls;
	size_t calls_count;
	int64_t *cuts; /* rising */
	size_t cuts_count;
};

void ops_violate(struct ops_check *c, unsigned rule, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Rules 1 and 6 to 9 (ops_history_leaders.c). */
void ops_check_leaders(struct ops_check *c);
/* Rules 2 to 5, for the calls of one key; they are sorted anew (ops_history_register.c). */
void ops_check_register(struct ops_check *c, const struct ops_election *election,
			struct ops_call *calls, size_t count);

#endif
