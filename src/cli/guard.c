/* The guard process. One loop, no memory allocated in it, no file touched. */
#include "src/cli/guard.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S INT64_C(1000000000)
#define NEVER INT64_MAX
/* While something does not die: how often it is killed again, for processes that appear late. */
#define KILL_AGAIN_NS (10 * NS_PER_S / 1000)

struct guard_process {
	const struct guard_command *command;
	int socket, signal_fd, timer_fd;
	volatile int *report; /* the errno of execve, in memory shared with the child */
	bool orphaned;        /* the main process is gone */

	/* From START to ENDED: */
	bool active;
	struct guard_message start;
	const fsha_lease *lease;
	int hold_fd;
	pid_t pid; /* COMMAND, also the number of its group */
	bool ended;
	int status;
	bool stopping;
	bool stopped_first; /* stopping began before COMMAND ended */
	int64_t kill_at_ns;
};

static int64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_BOOTTIME, &now); /* cannot fail */
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* A main process that is gone, or does not read, is not waited for. */
static void tell(const struct guard_process *g, const struct guard_message *message)
{
	if (!g->orphaned)
		(void)send(g->socket, message, sizeof(*message), MSG_NOSIGNAL);
}

static void tell_ended(const struct guard_process *g, enum guard_failure failure, int value)
{
	struct guard_message message = {
		.type = GUARD_ENDED, .value = value, .failure = failure, .stopped = g->stopped_first
	};

	tell(g, &message);
}

/* Nothing of COMMAND is left: let go of the lock, then say so. */
static void finish(struct guard_process *g)
{
	fsha_lease_unmap(g->lease);
	(void)close(g->hold_fd);
	g->active = false;
	if (*g->report)
		tell_ended(g, GUARD_FAILURE_EXEC, *g->report);
	else
		tell_ended(g, GUARD_FAILURE_NONE, g->status);
}

static void refuse(struct guard_process *g, int os_errno)
{
	g->stopped_first = false;
	tell_ended(g, GUARD_FAILURE_START, os_errno);
}

static void start(struct guard_process *g, const struct guard_message *message, int hold_fd,
		  int lease_fd)
{
	struct guard_message started = { .type = GUARD_STARTED };
	const fsha_lease *lease = fsha_lease_map(lease_fd);
	pid_t pid;

	assert(!g->active);
	(void)close(lease_fd);
	pid = lease ? guard_child_start(g->command, message, g->report) : -EINVAL;
	if (pid < 0) {
		fsha_lease_unmap(lease);
		(void)close(hold_fd);
		refuse(g, -pid);
		return;
	}
	g->active = true;
	g->start = *message;
	g->lease = lease;
	g->hold_fd = hold_fd;
	g->pid = pid;
	g->ended = g->stopping = g->stopped_first = false;
	started.value = pid;
	tell(g, &started);
}

static void begin_to_stop(struct guard_process *g)
{
	if (g->stopping)
		return;
	g->stopping = true;
	g->stopped_first = !g->ended;
	g->kill_at_ns = now_ns() + g->start.grace_ns;
	guard_child_signal_all(g->pid, SIGTERM);
}

/*
 * Those signals that ask to end go to the whole group, as from a terminal; the others to COMMAND.
 */
static void pass_on(const struct guard_process *g, int number)
{
	bool all = number == SIGTERM || number == SIGINT || number == SIGQUIT;

	if (g->active && !g->ended)
		(void)kill(all ? -g->pid : g->pid, number);
}

/* What time asks for. Returns when to look again. */
static int64_t act(struct guard_process *g)
{
	int64_t left_ns, margin_ns = g->start.margin_ns, grace_ns = g->start.grace_ns, now, due_ns;

	if (!g->active)
		return NEVER;
	left_ns = fsha_lease_remaining_ns(g->lease);
	if (g->ended || g->orphaned || left_ns < grace_ns + margin_ns)
		begin_to_stop(g);
	now = now_ns();
	if (!g->stopping)
		return now + left_ns - grace_ns - margin_ns;
	if (now >= g->kill_at_ns || left_ns <= margin_ns) {
		guard_child_signal_all(g->pid, SIGKILL);
		return now + KILL_AGAIN_NS;
	}
	due_ns = now + left_ns - margin_ns;
	return due_ns < g->kill_at_ns ? due_ns : g->kill_at_ns;
}

/* CLOCK_BOOTTIME, so that it is due at once after the host was suspended. */
static void set_timer(const struct guard_process *g, int64_t due_ns)
{
	struct itimerspec when = { .it_value = { .tv_sec = 0 } };

	if (due_ns != NEVER) {
		when.it_value.tv_sec = due_ns / NS_PER_S;
		when.it_value.tv_nsec = due_ns % NS_PER_S;
	}
	(void)timerfd_settime(g->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void reap(struct guard_process *g)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	while (read(g->signal_fd, &info, sizeof(info)) > 0)
		continue;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (!g->active || pid != g->pid)
			continue;
		g->ended = true;
		g->status = status;
	}
	if (!g->active)
		return;
	/* All that COMMAND left behind has come to us, so with no child there is no descendant. */
	if (pid < 0 && errno == ECHILD)
		finish(g);
	else if (g->stopping) /* a death may have made orphans that were not told yet */
		guard_child_signal_orphans(g->pid, SIGTERM);
}

/* The two descriptors of START, or -1. */
static void take_fds(struct msghdr *msg, int *ret_fds)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(msg);

	ret_fds[0] = ret_fds[1] = -1;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(2 * sizeof(int)))
		memcpy(ret_fds, CMSG_DATA(c), 2 * sizeof(int));
}

/* One message. False when there is none now. */
static bool receive(struct guard_process *g)
{
	struct guard_message message;
	struct iovec iov = { .iov_base = &message, .iov_len = sizeof(message) };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} control;
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };
	ssize_t n = recvmsg(g->socket, &msg, MSG_CMSG_CLOEXEC);
	int fds[2];

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n != (ssize_t)sizeof(message)) {
		g->orphaned = true; /* closed: the main process has ended, however it did */
		return false;
	}
	take_fds(&msg, fds);
	switch (message.type) {
	case GUARD_START:
		if (fds[0] < 0) /* out of descriptors */
			refuse(g, EMFILE);
		else
			start(g, &message, fds[0], fds[1]);
		break;
	case GUARD_STOP:
		if (g->active)
			begin_to_stop(g);
		break;
	case GUARD_SIGNAL:
		pass_on(g, message.value);
		break;
	}
	return true;
}

static bool init(struct guard_process *g)
{
	sigset_t all, child;
	void *page;

	/* Out of the terminal's reach; the main process passes on what concerns COMMAND. */
	(void)setsid();
	(void)prctl(PR_SET_NAME, "fsha-guard");
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	sigfillset(&all);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	g->signal_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	g->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	/* cppcheck-suppress invalidFunctionArg; -1 is what an anonymous mapping has */
	page = mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (g->signal_fd < 0 || g->timer_fd < 0 || page == MAP_FAILED)
		return false;
	g->report = page;
	/*
	 * It must be quick when memory is short, too. Without the right to do so, it goes without.
	 */
	(void)mlockall(MCL_CURRENT | MCL_ONFAULT);
	return true;
}

_Noreturn void guard_main(int socket, const struct guard_command *command)
{
	struct guard_process g = { .command = command, .socket = socket };
	struct pollfd fds[3];

	if (!init(&g))
		_exit(1); /* the main process sees the socket closed */
	fds[0] = (struct pollfd){ .fd = g.signal_fd, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = g.timer_fd, .events = POLLIN };
	fds[2] = (struct pollfd){ .fd = g.socket, .events = POLLIN };
	for (;;) {
		uint64_t expirations;

		set_timer(&g, act(&g));
		if (g.orphaned && !g.active)
			_exit(0);
		if (g.orphaned)
			fds[2].fd = -1;
		(void)poll(fds, 3, -1);
		if (read(g.timer_fd, &expirations, sizeof(expirations)) < 0)
			assert(errno == EAGAIN);
		reap(&g);
		while (!g.orphaned && receive(&g))
			continue;
	}
}
