/*
 * Processes that a test starts, tells what to do, and listens to. Every wait has a limit; a process
 * dies with the test.
 */
#ifndef TESTS_PROCESS_PROCESS_H
#define TESTS_PROCESS_PROCESS_H

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "tests/test_services.h"

#define PROCESS_GRANTS_MAX 512

extern char **environ;

struct process {
	pid_t pid;
	int in, out;
	char text[8192]; /* read and not yet understood */
	size_t used;
	/* What it told: */
	unsigned grants, revokes, errors, timeouts;
	bool leads;
	uint64_t epoch;
	int64_t granted_ns, revoked_ns;
	char session[64];
	char error[512]; /* the last one */
	char done[512];  /* the answer to the last command; "" while it is awaited */
};

static inline int64_t boottime_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* The helper programs lie beside the test. */
static inline void helper_path(const char *name, char *ret_path, size_t size)
{
	char own[512], *slash;
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);

	assert_true(n > 0);
	own[n] = '\0';
	slash = strrchr(own, '/');
	assert_non_null(slash);
	*slash = '\0';
	(void)snprintf(ret_path, size, "%s/process_%s", own, name);
}

/* Start `argv`, a program by its path, and hold the ends of its standard input and output. */
static inline void process_spawn(struct process *p, char *const argv[])
{
	posix_spawn_file_actions_t actions;
	int in[2], out[2];

	memset(p, 0, sizeof(*p));
	(void)signal(SIGPIPE, SIG_IGN); /* who is killed does not listen */
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
	(void)posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
	assert_int_equal(posix_spawn(&p->pid, argv[0], &actions, NULL, argv, environ), 0);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(in[0]);
	(void)close(out[1]);
	p->in = in[1];
	p->out = out[0];
}

/* One of the programs of tests/process, on `storage`. */
static inline void process_start_in(struct process *p, const char *name, const char *storage,
				    const char *lease, const char *file)
{
	char path[600], dir[128], lease_text[16], file_text[128];
	char *argv[] = { path, dir, lease_text, file ? file_text : NULL, NULL };

	helper_path(name, path, sizeof(path));
	(void)snprintf(dir, sizeof(dir), "%s", storage);
	(void)snprintf(lease_text, sizeof(lease_text), "%s", lease);
	(void)snprintf(file_text, sizeof(file_text), "%s", file ? file : "");
	process_spawn(p, argv);
}

static inline void process_start(struct process *p, const char *name, const char *lease,
				 const char *file)
{
	process_start_in(p, name, t.dir, lease, file);
}

static inline void process_line(struct process *p, const char *line)
{
	unsigned long long epoch = 0, ns = 0;

	if (sscanf(line, "grant %llu %63s %llu", &epoch, p->session, &ns) == 3) {
		p->grants++;
		p->leads = true;
		p->epoch = epoch;
		p->granted_ns = (int64_t)ns;
	} else if (sscanf(line, "revoke %llu", &ns) == 1) {
		p->revokes++;
		p->leads = false;
		p->revoked_ns = (int64_t)ns;
	} else if (strncmp(line, "done ", 5) == 0) {
		p->timeouts += strncmp(line, "done close TIMEOUT", 18) == 0;
		(void)snprintf(p->done, sizeof(p->done), "%.500s", line + 5);
	} else {
		p->errors++;
		(void)snprintf(p->error, sizeof(p->error), "%.500s", line);
	}
}

/* Understand the next whole line, if there is one. */
static inline bool process_next(struct process *p)
{
	char *end = memchr(p->text, '\n', p->used);
	size_t len;

	if (!end)
		return false;
	*end = '\0';
	process_line(p, p->text);
	len = (size_t)(end + 1 - p->text);
	p->used -= len;
	memmove(p->text, end + 1, p->used);
	return true;
}

/* Read what there is; false at the end. */
static inline bool process_read(struct process *p)
{
	ssize_t n = read(p->out, p->text + p->used, sizeof(p->text) - p->used);

	if (n > 0)
		p->used += (size_t)n;
	return n > 0;
}

/* Listen to `count` processes until one of them says something, or the time is over (false). */
static inline bool processes_listen(struct process *all, size_t count, int64_t deadline_ms)
{
	struct pollfd fds[8];
	int64_t left_ms = deadline_ms - now_ms();

	for (size_t i = 0; i < count; i++)
		if (process_next(&all[i]))
			return true;
	for (size_t i = 0; i < count; i++)
		fds[i] = (struct pollfd){ .fd = all[i].out, .events = POLLIN };
	if (left_ms <= 0 || poll(fds, count, (int)left_ms) <= 0)
		return false;
	for (size_t i = 0; i < count; i++)
		if (fds[i].revents && !process_read(&all[i]) && all[i].out >= 0) {
			/* It is gone: whoever waits for it should not wait for the limit. */
			(void)close(all[i].out);
			all[i].out = -1;
		}
	return true;
}

#define LISTEN_FOR(all, count, condition)                             \
	do {                                                          \
		int64_t deadline_ = now_ms() + LIMIT_MS;              \
		while (!(condition))                                  \
			if (!processes_listen(all, count, deadline_)) \
				fail_msg("in vain: %s", #condition);  \
	} while (0)

static inline void process_tell(struct process *p, const char *line)
{
	char text[256];
	int n = snprintf(text, sizeof(text), "%s\n", line);

	p->done[0] = '\0';
	assert_int_equal(write(p->in, text, (size_t)n), n);
}

/* Tell it, and wait for the answer: "RESULT ...". */
static inline const char *process_ask(struct process *p, const char *line)
{
	process_tell(p, line);
	LISTEN_FOR(p, 1, p->done[0]);
	return strchr(p->done, ' ') + 1;
}

static inline void process_close_pipes(struct process *p)
{
	if (p->in >= 0)
		(void)close(p->in);
	if (p->out >= 0)
		(void)close(p->out);
	p->in = p->out = -1;
}

/* The exit code, or 1000 and the signal. Its pipes stay open for what it said last. */
static inline int process_wait(struct process *p)
{
	int status = 0;

	assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
	p->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static inline void process_kill(struct process *p)
{
	assert_int_equal(kill(p->pid, SIGKILL), 0);
	assert_int_equal(process_wait(p), 1000 + SIGKILL);
	process_close_pipes(p);
	p->leads = false;
}

/* Let it end by itself. */
static inline void process_quit(struct process *p)
{
	int code;

	(void)close(p->in);
	p->in = -1;
	while (p->out >= 0 && process_read(p))
		while (process_next(p))
			;
	code = process_wait(p);
	if (code != 0)
		fail_msg("exit code %d, after: %s", code, p->error);
	process_close_pipes(p);
}

#endif
