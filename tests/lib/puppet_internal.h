/* What the two files of puppets know of each other: puppet.c steps, puppet_ops.c is the table. */
#ifndef TESTS_PUPPET_INTERNAL_H
#define TESTS_PUPPET_INTERNAL_H

#include "tests/lib/fiber.h"
#include "tests/lib/puppet.h"

#define PUPPET_STAMPS 32

/* The time of the last change of a directory that a puppet was told of. */
struct puppet_stamp {
	uint64_t inode;
	int64_t ctime_ns;
	int64_t looked_ns;
};

struct puppet {
	struct theatre *theatre;
	unsigned client;
	enum puppet_state state;
	struct puppet_call next;
	int64_t wakes_ns;
	bool killed;
	int64_t killed_ns; /* what it takes the time to be since then */
	unsigned killed_calls;
	uint64_t seen;
	struct puppet_stamp stamps[PUPPET_STAMPS];
	unsigned n_stamps;
	struct fiber *fiber;
	void (*body)(struct puppet *self, void *arg);
	void *arg;
	struct puppet *former; /* the one that was started before it */
};

/* One process: what stands in the place of its client's table. */
struct puppet_process {
	struct theatre *theatre;
	unsigned client;
	struct fsu real;
	uint64_t random;
};

struct theatre {
	struct crashfs *disk;
	struct puppet_process process[CRASHFS_CLIENTS];
	struct puppet *last;    /* that was started */
	struct puppet *running; /* NULL: the test itself */
};

extern const struct fsu_ops puppet_ops;

/* The running puppet stops here, and goes on when it is stepped. */
void puppet_stop(struct puppet *p, enum puppet_state state);
void puppet_saw(struct puppet *p, const void *data, size_t len);
/* A puppet makes no sense any more: ends the test. */
__attribute__((noreturn)) void puppet_die(const struct theatre *t, const char *what);

#endif
