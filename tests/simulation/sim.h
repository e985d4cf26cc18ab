/*
 * Deterministic simulation: processes that run the whole library, with all its threads, on one
 * simulated shared directory, in simulated time, while everything goes wrong that can. One seed is
 * one run, to the last call.
 *
 * Each thread of the library is a fiber (sim_threads.c takes the place of pthreads and of the
 * events between threads, by the linker's --wrap). It stops before each call on the shared
 * directory (sim_table.c) and where it waits; the scheduler (sim_run.c) says who goes on, how much
 * time passes, and what goes wrong (sim_weather.c). A process (sim_process.c) contends in two
 * elections and uses the stores as an application does; all it does and is told goes into a history
 * (tests/lib/ops_history.h), which is judged at the end.
 *
 * Killing a process takes its fibers, its descriptors, its locks and its memory away between any
 * two calls; nothing of it runs again.
 */
#ifndef TESTS_SIMULATION_SIM_H
#define TESTS_SIMULATION_SIM_H

#include <pthread.h>

#include "fsha/fsha.h"
#include "tests/lib/chance.h"
#include "tests/lib/crashfs.h"
#include "tests/lib/fiber.h"
#include "tests/lib/ops_history.h"

#define SIM_PROCESSES 5 /* at most; each is a client of the crash filesystem */
#define SIM_LEASE_NS (1000 * FSU_NS_PER_MS)
#define SIM_TOLD_NS (SIM_LEASE_NS / 50) /* GUARANTEES.md, G21: a revocation takes no longer */
#define SIM_WIRE SIM_PROCESSES          /* the client by which what was sent late arrives */
#define SIM_ELECTIONS 2
#define SIM_KEYS 3
#define SIM_JOBS 2
#define SIM_LATE 8
#define SIM_FDS 64
#define SIM_MEMBER_SIZE 33 /* the name of a member, with NUL */

/* What happened in a run, for the test to see that it did. */
enum sim_count {
	SIM_STEPS,
	SIM_FAULTS, /* a call failed and was not done */
	SIM_LOST,   /* the same, but done */
	SIM_SHORT,
	SIM_SENT_LATE,  /* a rename failed, and was done later */
	SIM_SENT_DEAD,  /* the same, and whoever had sent it was dead by then */
	SIM_PAUSES,     /* a process stood still */
	SIM_HANGS,      /* one call of it did */
	SIM_CUT_OFF,    /* nothing that a process asked was answered */
	SIM_BEATS_LOST, /* from a heartbeat on, which was carried out */
	SIM_KILLS,
	SIM_POWER_CUTS,
	SIM_RESTARTS, /* of the server */
	SIM_LOCKS_LOST,
	SIM_LEFT,   /* a process closed everything and ended */
	SIM_JOINED, /* one came up */
	SIM_RESIGNED,
	SIM_GRANTS,
	SIM_REVOKES,
	SIM_LED,       /* somebody said that it leads */
	SIM_OVER,      /* a lease ended, and whoever led was held to having been told */
	SIM_OVER_HUNG, /* the same, while nothing that it asked was answered */
	SIM_WRITES,
	SIM_BATCHES,
	SIM_JOB_GRAPHS,
	SIM_CHECKPOINTS,
	SIM_READS,
	SIM_DONE,
	SIM_DOUBTS,
	SIM_SETTLED,
	SIM_FENCED,
	SIM_NOT_LEADER,
	SIM_FAILED, /* the storage */
	SIM_COUNTS
};
extern const char *const sim_count_names[SIM_COUNTS];

struct cfs_place;
struct sim;
struct sim_process;

enum sim_state {
	SIM_READY,
	SIM_WAITS, /* for a time, an event, a mutex or a condition */
	SIM_ENDED
};

/* A rename that may be a heartbeat. */
struct sim_beat {
	bool beats, joins;
	bool sent; /* and nothing of the kind was carried out before */
	int64_t start_ns;
	char member[SIM_MEMBER_SIZE];
};

/* What a thread that stands before a rename asks for. */
struct sim_rename {
	int from_dirfd, to_dirfd;
	const char *from, *to;
	struct sim_beat beat;
};

struct sim_thread {
	struct sim_thread *next; /* of its process */
	struct sim_process *process;
	struct fiber *fiber;
	void *(*run)(void *arg);
	void *arg;
	enum sim_state state;
	bool in_call; /* ready, before a call on the shared directory */
	enum crashfs_call kind;
	const struct sim_rename *rename; /* or NULL */
	bool changes;
	int64_t wakes_ns; /* of the true time */
	int fds[4];
	size_t n_fds;
	pthread_mutex_t *mutex;
	pthread_cond_t *condition;
	bool signalled;
	int64_t hung_until_ns;
};

struct sim_election {
	struct sim_process *process;
	unsigned index;
	fsha_election *election;
	fsha_uuid session;
	uint64_t epoch; /* that the contender was granted; 0: none, or revoked */
	uint64_t last;  /* the last one that it was */
	/* Under which member it was granted, and when its last beat began that was carried out. */
	char member[SIM_MEMBER_SIZE];
	int64_t beat_ns; /* by the clock of the process */
	int64_t granted_ns, revoked_ns;
	bool told; /* held to having been told of the end of its last term */
};

struct sim_process {
	struct sim *sim;
	unsigned client;
	unsigned life;
	char name[24];
	struct fsu fs;          /* what the library is given */
	const struct fsu *real; /* the client of the crash filesystem */
	int drift_ppm;
	struct sim_thread *threads;
	struct sim_block *blocks; /* all memory of the library */
	int open_fds[SIM_FDS];
	size_t n_open_fds;
	bool alive;
	bool leave; /* it is to close everything and end */
	int64_t paused_until_ns, cut_off_until_ns, starts_ns;
	int64_t stood_ns;    /* still, until then */
	unsigned fault_rate; /* of a thousand calls */
	bool cut_off_hangs;  /* else its calls fail */
	struct sim_election elections[SIM_ELECTIONS];
	/* The last one that it became, and the same of its beat. */
	char member[SIM_MEMBER_SIZE];
	int64_t beat_ns;
	fsha_services *services;
	fsha_state_store *state;
	fsha_job_graph_store *jobs;
	uint64_t op;
	struct chance chance;
};

/*
 * A rename that was sent, and whose sender was told that it failed, or is dead. As the server gets
 * it: by the directories themselves, whoever still has them open.
 */
struct sim_late {
	struct sim_process *process; /* NULL: free */
	unsigned life;
	struct cfs_place *from_place, *to_place;
	char from[300], to[300];
	struct sim_beat beat;
	int64_t due_ns;
};

struct sim {
	uint64_t seed;
	struct chance chance;
	struct crashfs *disk;
	const struct fsu *clock; /* the true time */
	bool network, odd;       /* odd: locks can be lost, as a CephFS client's */
	unsigned n_processes;
	struct sim_process processes[SIM_PROCESSES];
	fsha_config *config;
	struct sim_thread *running;
	struct ops_history *history;
	int64_t logged_ns;
	uint64_t digest;
	uint64_t sequence; /* of values */
	bool healed, loud, calm;
	int64_t heal_ns;
	int64_t bound_ns; /* from then on somebody leads within it */
	int64_t told_ns;  /* the most that a revocation took from the end of a lease */
	struct sim_late late[SIM_LATE];
	/* What happens to the call that is made next. */
	int fault_error;
	enum crashfs_mode fault_mode;
	bool fault, fault_late;
	uint64_t counts[SIM_COUNTS];
};

/* The run that is on, if any; there is one at a time. */
extern struct sim *sim;

/* ---- sim_run.c ---- */

struct sim_result {
	uint64_t digest;
	uint64_t counts[SIM_COUNTS];
	struct ops_verdict verdict;
	int64_t leaderless_ns; /* from healed until somebody led everything */
	int64_t told_ns;       /* from the end of a lease until its leader was told, at most */
};
/* One run. False: a rule was violated, or it did not end; `how` says so. */
bool sim_play(uint64_t seed, bool print, struct sim_result *ret_result);
/*
 * Nothing goes wrong, clocks run alike and calls take no time; then the leader of the first
 * election stops for good, with its lock held or freed. From then until another one leads it.
 */
int64_t sim_follow(uint64_t seed, bool lock_freed);
/* Of such a seed the filesystem is one where a freed lock is no proof of a death. */
#define SIM_SEED_OF_DOUBT(i) (3 * (i) + 2)

int64_t sim_now_ns(void);
/* An event, at the present time or just behind the last one. */
void sim_log(struct ops_event event);
void sim_mix(uint64_t number);
__attribute__((noreturn, format(printf, 1, 2))) void sim_die(const char *format, ...);

/* ---- sim_weather.c ---- */

/* Perhaps something goes wrong now. */
void sim_weather(void);
/* What the call of this thread, which is made next, comes to. */
void sim_choose_fault(const struct sim_thread *t);
void sim_lose_beat(struct sim_process *p);
/* From now on all goes well. */
void sim_heal(void);
/* Renames whose time has come. */
void sim_deliver_late(void);
void sim_send_late(struct sim_process *p, const struct sim_rename *rename);

/* ---- sim_lease.c ---- */

/* The library asks for a rename; it is about to be carried out; it was or was not. */
void sim_beat_begin(struct sim_beat *b, const struct sim_process *p, const char *from,
		    const char *to);
void sim_beat_send(struct sim_beat *b, const char *from);
void sim_beat_end(const struct sim_beat *b, struct sim_process *p, const char *from,
		  const char *to);
void sim_lease_begin(struct sim_election *e);
/* The true time from which on nobody may say that it leads under this grant. */
int64_t sim_lease_deadline_ns(const struct sim_election *e);
bool sim_lease_is_over(const struct sim_election *e);
/* Its revoke callback is entered. */
void sim_lease_revoked(struct sim_election *e);
/* Into the history: whose revoke callback must have been entered by now. */
void sim_lease_look(void);

/* ---- sim_threads.c ---- */

struct sim_thread *sim_thread_create(struct sim_process *p, void *(*run)(void *), void *arg);
/* The running thread stops here. */
void sim_stop(enum sim_state state);
/* Can it go on, as far as it depends on itself? */
bool sim_thread_can_go(const struct sim_thread *t);
/* Of all that wait, its time as the true one; FSU_FOREVER. */
int64_t sim_thread_wakes_ns(const struct sim_thread *t);
void sim_thread_go(struct sim_thread *t);
/* All threads of a process, wherever they stand. */
void sim_threads_abandon(struct sim_process *p);
/* Those that have ended. */
void sim_threads_reap(struct sim_process *p);

/* ---- sim_table.c ---- */

extern const struct fsu_ops sim_ops;
int64_t sim_local_ns(const struct sim_process *p, int64_t true_ns);
/* The first true time at which its clock says so. */
int64_t sim_true_ns(const struct sim_process *p, int64_t local_ns);
/* Its memory and its descriptors go. */
void sim_process_reclaim(struct sim_process *p);

/* ---- sim_process.c ---- */

void sim_process_start(struct sim_process *p);
/* kill -9 */
void sim_process_kill(struct sim_process *p);
/* Something of a term, for the history. */
void sim_log_term(const struct sim_election *e, enum ops_kind kind, uint64_t epoch);
/* Does it say that it leads? */
void sim_ask(struct sim_process *p);
/* The same of those whose lease is over, whoever may know of it. */
void sim_ask_expired(void);
/* It led this when it was asked. */
bool sim_leads(struct sim_election *e);

/* ---- sim_work.c ---- */

/* One thing that an application does. */
void sim_work(struct sim_process *p);
/* Reads of every key. */
void sim_read_all(struct sim_process *p);
extern const fsha_job_id sim_jobs[SIM_JOBS];

#endif
