#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/storm/crowd.h"

#define ARGS_MAX 32

uint64_t crowd_random(struct crowd *c, uint64_t below)
{
	c->random ^= c->random << 13;
	c->random ^= c->random >> 7;
	c->random ^= c->random << 17;
	return (c->random >> 16) % below;
}

static unsigned places(const struct crowd *c)
{
	return (unsigned)(c->members + c->readers);
}

void crowd_fail(struct crowd *c, const char *format, ...)
{
	va_list args;

	for (unsigned i = 0; i < places(c); i++)
		if (c->all[i].pid > 0) {
			(void)kill(c->all[i].pid, SIGKILL);
			(void)waitpid(c->all[i].pid, NULL, 0);
		}
	(void)printf("FAIL %s on %s: ", c->disturbance, c->type);
	va_start(args, format);
	(void)vprintf(format, args);
	va_end(args);
	(void)printf(" (SEED=%" PRIu64 ", %s)\n", c->seed, c->logs);
	exit(1);
}

static void log_text(struct crowd *c, const char *name, char *line, int n)
{
	if (n < 0 || write(c->log_fd, line, (size_t)n) != n)
		crowd_fail(c, "cannot write the history: %s", name);
}

void crowd_log(struct crowd *c, const char *text)
{
	char line[128];

	log_text(c, text, line,
		 snprintf(line, sizeof(line), "%" PRId64 " - %s\n", page_now_ns(), text));
}

void crowd_open(struct crowd *c)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/page", c->logs);
	c->page = page_map(path);
	(void)snprintf(path, sizeof(path), "%s/history.all", c->logs);
	c->log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (!c->page || c->log_fd < 0)
		crowd_fail(c, "cannot write in '%s': %s", c->logs, strerror(errno));
	atomic_store(&c->page->pause_us, (uint32_t)c->pause_us);
	c->random = c->seed | 1;
}

/* ---- beginning ---- */

/* A time namespace is for the children that come next, so each gets one of its own. */
static void enter_time(struct crowd *c, const struct process *p)
{
	char line[64];
	int fd, n;

	if (!p->boottime_offset_s)
		return;
	n = snprintf(line, sizeof(line), "boottime %" PRId64 " 0\n", p->boottime_offset_s);
	if (unshare(CLONE_NEWTIME) < 0)
		crowd_fail(c, "cannot make a time namespace: %s", strerror(errno));
	fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, line, (size_t)n) != n)
		crowd_fail(c, "cannot set an offset of time: %s", strerror(errno));
	(void)close(fd);
}

/* Back to that of the host. */
static void leave_time(struct crowd *c, const struct process *p)
{
	int fd;

	if (!p->boottime_offset_s)
		return;
	fd = open("/proc/self/ns/time", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWTIME) < 0)
		crowd_fail(c, "cannot leave a time namespace: %s", strerror(errno));
	(void)close(fd);
}

/* The program lies beside this one. STORM_WRAPPER, split at spaces, goes before it: valgrind. */
static void run_member(struct crowd *c, unsigned slot)
{
	const struct process *p = &c->all[slot];
	char own[512], path[600], wrapper[512] = "", err[600], texts[4][32];
	char *argv[ARGS_MAX], *save = NULL, *slash;
	const char *wanted = getenv("STORM_WRAPPER");
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
	int args = 0, fd;

	if (n <= 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		_exit(127);
	own[n] = '\0';
	slash = strrchr(own, '/');
	if (slash)
		*slash = '\0';
	(void)snprintf(path, sizeof(path), "%s/storm_member", own);
	(void)snprintf(wrapper, sizeof(wrapper), "%s", wanted ? wanted : "");
	(void)snprintf(err, sizeof(err), "%s/stderr.%u", c->logs, slot);
	(void)snprintf(texts[0], sizeof(texts[0]), "%u", slot);
	(void)snprintf(texts[1], sizeof(texts[1]), "%" PRIu64, p->incarnation);
	(void)snprintf(texts[2], sizeof(texts[2]), "%lu ms", c->lease_ms);
	(void)snprintf(texts[3], sizeof(texts[3]), "%" PRIu64,
		       c->seed + slot * 1000003 + p->incarnation * 7919);
	for (char *w = strtok_r(wrapper, " ", &save); w && args < ARGS_MAX - 9;
	     w = strtok_r(NULL, " ", &save))
		argv[args++] = w;
	argv[args++] = path;
	argv[args++] = (char *)(uintptr_t)c->storage;
	argv[args++] = (char *)(uintptr_t)c->logs;
	argv[args++] = texts[0];
	argv[args++] = texts[1];
	argv[args++] = (char *)(uintptr_t)(slot < c->members ? "contend" : "read");
	argv[args++] = texts[2];
	argv[args++] = texts[3];
	argv[args] = NULL;
	fd = open(err, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0 ||
	    (p->preload && setenv("LD_PRELOAD", p->preload, 1) != 0))
		_exit(127);
	(void)execvp(argv[0], argv);
	_exit(127);
}

void crowd_start(struct crowd *c, unsigned slot)
{
	struct process *p = &c->all[slot];
	struct slot *s = &c->page->slots[slot];

	for (int e = 0; e < ELECTIONS; e++)
		atomic_store(&s->leads[e], 0);
	atomic_store(&s->writing, 0);
	p->incarnation++;
	p->stopped = false;
	enter_time(c, p);
	(void)fflush(NULL);
	p->pid = fork();
	if (p->pid == 0)
		run_member(c, slot);
	if (p->pid < 0)
		crowd_fail(c, "cannot fork: %s", strerror(errno));
	leave_time(c, p);
}

void crowd_start_all(struct crowd *c)
{
	for (unsigned i = 0; i < places(c); i++)
		if (!c->all[i].pid)
			crowd_start(c, i);
}

/* ---- ends ---- */

/* The last line that it wrote on its stderr. */
static const char *last_words(const struct crowd *c, unsigned slot)
{
	static char text[600];
	char path[600];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/stderr.%u", c->logs, slot);
	text[0] = '\0';
	f = fopen(path, "re");
	while (f && fgets(text, sizeof(text), f))
		;
	if (f)
		(void)fclose(f);
	text[strcspn(text, "\n")] = '\0';
	return text;
}

/* One that has ended although nobody wanted it. */
static void fail_ended(struct crowd *c, unsigned slot, int status)
{
	c->all[slot].pid = 0;
	crowd_fail(c, "process %u ended by itself, with %s %d; it said: %s", slot,
		   WIFEXITED(status) ? "exit code" : "signal",
		   WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), last_words(c, slot));
}

void crowd_assert_alive(struct crowd *c)
{
	int status;

	for (unsigned i = 0; i < places(c); i++)
		if (c->all[i].pid > 0 && waitpid(c->all[i].pid, &status, WNOHANG) > 0)
			fail_ended(c, i, status);
}

void crowd_kill(struct crowd *c, unsigned slot)
{
	struct process *p = &c->all[slot];
	struct slot *s = &c->page->slots[slot];
	bool leads = false;
	int status = 0;

	for (int e = 0; e < ELECTIONS; e++)
		leads |= atomic_load(&s->leads[e]) != 0;
	if (kill(p->pid, SIGKILL) < 0 || waitpid(p->pid, &status, 0) != p->pid)
		crowd_fail(c, "cannot kill process %u: %s", slot, strerror(errno));
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		fail_ended(c, slot, status);
	p->pid = 0;
	for (int e = 0; e < ELECTIONS; e++)
		atomic_store(&s->leads[e], 0);
	c->kills++;
	c->kills_of_leaders += leads;
}

void crowd_kill_all(struct crowd *c)
{
	for (unsigned i = 0; i < places(c); i++)
		if (c->all[i].pid > 0)
			crowd_kill(c, i);
}

static void signal_and_see(struct crowd *c, unsigned slot, int number, int option)
{
	struct process *p = &c->all[slot];
	int status = 0;

	if (kill(p->pid, number) < 0 || waitpid(p->pid, &status, option) != p->pid)
		crowd_fail(c, "cannot signal process %u: %s", slot, strerror(errno));
	if (number == SIGSTOP ? !WIFSTOPPED(status) : !WIFCONTINUED(status))
		fail_ended(c, slot, status);
	p->stopped = number == SIGSTOP;
}

void crowd_stop(struct crowd *c, unsigned slot)
{
	signal_and_see(c, slot, SIGSTOP, WUNTRACED);
	c->stops++;
	c->stops_of_writes += atomic_load(&c->page->slots[slot].writing);
}

void crowd_continue(struct crowd *c, unsigned slot)
{
	signal_and_see(c, slot, SIGCONT, WCONTINUED);
}

void crowd_end(struct crowd *c)
{
	int64_t end_ns = page_now_ns() + LIMIT_NS;
	const struct timespec pause = { 0, 5000000 };
	int status = 0;

	crowd_assert_alive(c);
	for (unsigned i = 0; i < places(c); i++)
		if (c->all[i].pid > 0)
			(void)kill(c->all[i].pid, SIGTERM);
	for (unsigned i = 0; i < places(c); i++) {
		pid_t pid = 0;

		if (c->all[i].pid <= 0)
			continue;
		while ((pid = waitpid(c->all[i].pid, &status, WNOHANG)) == 0 &&
		       page_now_ns() < end_ns)
			(void)nanosleep(&pause, NULL);
		if (pid == 0)
			crowd_fail(c, "process %u does not end", i);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			fail_ended(c, i, status);
		c->all[i].pid = 0;
	}
}

/* ---- waiting ---- */

void crowd_sleep(struct crowd *c, uint64_t us)
{
	const struct timespec pause = { (time_t)(us / 1000000), (long)(us % 1000000) * 1000 };

	(void)nanosleep(&pause, NULL);
	crowd_assert_alive(c);
}

int crowd_leader(const struct crowd *c, enum election e)
{
	uint64_t highest = 0;
	int leader = -1;

	for (unsigned i = 0; i < c->members; i++) {
		uint64_t epoch = atomic_load(&c->page->slots[i].leads[e]);

		if (epoch > highest && !c->all[i].stopped) {
			highest = epoch;
			leader = (int)i;
		}
	}
	return leader;
}

void crowd_await_leaders(struct crowd *c)
{
	int64_t end_ns = page_now_ns() + LIMIT_NS;

	for (int e = 0; e < ELECTIONS; e++)
		while (crowd_leader(c, (enum election)e) < 0) {
			if (page_now_ns() > end_ns)
				crowd_fail(c, "nobody leads election %d", e);
			crowd_sleep(c, 2000);
		}
}

void crowd_await_writes(struct crowd *c, uint64_t writes)
{
	int64_t end_ns = page_now_ns() + LIMIT_NS;
	uint64_t before[KINDS];

	for (int k = 0; k < KINDS; k++)
		before[k] = atomic_load(&c->page->counts[k].acknowledged);
	for (int k = 0; k < KINDS; k++)
		while (atomic_load(&c->page->counts[k].acknowledged) < before[k] + writes) {
			if (page_now_ns() > end_ns)
				crowd_fail(c, "no write of kind %d is acknowledged any more", k);
			crowd_sleep(c, 5000);
		}
}
