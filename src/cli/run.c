/*
 * fsha run: contend, and run COMMAND while leading. This process does the contending; COMMAND is
 * the child of the guard (guard.h), which ends it in time whatever becomes of this process.
 *
 * Order at a clean end: COMMAND and all below it are gone, the election is resigned, and only then
 * does this process end with COMMAND's exit code. Nobody else leads while COMMAND runs.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "src/cli/cli_error.h"
#include "src/cli/commands.h"
#include "src/cli/guard.h"
#include "src/cli/run_term.h"

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)
#define NEVER INT64_MAX
#define MARGIN_MIN_NS (20 * NS_PER_MS)
#define MARGIN_MAX_NS (100 * NS_PER_MS)
/* How long killed processes may take to be gone before we say that they cannot be killed. */
#define KILL_NS (2 * NS_PER_S)

struct arguments {
	struct cli_options *options;
	const char *election, *address;
	int64_t grace_ns; /* -1: a quarter of the lease */
	bool once;
	char **command;
};

struct run {
	struct arguments a;
	struct guard guard;
	struct run_term term;
	fsha_services *services;
	int signal_fd;
	int64_t lease_ns, grace_ns;

	/* of the present COMMAND */
	fsha_uuid session;
	pid_t pid; /* 0: not known */
	bool busy, stop_sent, killed;
	int64_t give_up_ns; /* when the guard should have ended it */
	bool ending;        /* TERM asked us to end, and not COMMAND alone */

	bool done;
	bool unkillable; /* COMMAND may be alive: then nothing is resigned */
	int code;
};

/* ---- Arguments ---- */

enum {
	KEY_ELECTION = 0x200,
	KEY_ADDRESS,
	KEY_GRACE,
	KEY_ONCE,
};

static const struct argp_option fields[] = {
	{ "election", KEY_ELECTION, "NAME", 0, "what to contend for", 0 },
	{ "address", KEY_ADDRESS, "ADDR", 0,
	  "where COMMAND is to be found, published while it runs", 0 },
	{ "grace", KEY_GRACE, "SEC", 0,
	  "time between TERM and KILL when the leadership is lost (a quarter of the lease, at most "
	  "half)",
	  0 },
	{ "once", KEY_ONCE, NULL, 0, "end when the leadership is lost, with 122", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return cli_options_init(state, a->options, "fsha run");
	case KEY_ELECTION:
		a->election = arg;
		return 0;
	case KEY_ADDRESS:
		a->address = arg;
		return 0;
	case KEY_GRACE:
		return cli_options_seconds("--grace", arg, &a->grace_ns);
	case KEY_ONCE:
		a->once = true;
		return 0;
	case ARGP_KEY_ARGS: /* COMMAND and all behind it, options too */
		a->command = state->argv + state->next;
		return 0;
	case ARGP_KEY_END:
		if (!a->election)
			return cli_options_error("run needs --election NAME");
		if (!a->address)
			return cli_options_error("run needs --address ADDR");
		/* An address that cannot be published would be led for, and never found. */
		if (!*a->address || strlen(a->address) > FSHA_ADDRESS_MAX)
			return cli_options_error("--address must have 1 to %d bytes, not %zu",
						 FSHA_ADDRESS_MAX, strlen(a->address));
		if (!a->command)
			return cli_options_error("run needs a COMMAND");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = fields,
	.parser = parse,
	.args_doc = "--election NAME --address ADDR -- COMMAND [ARGUMENT...]",
	.doc = "Contend for an election, and run COMMAND while leading it."
	       "\vCOMMAND finds FSHA_ELECTION, FSHA_EPOCH, FSHA_SESSION, FSHA_ADDRESS, "
	       "FSHA_CLUSTER_UUID, FSHA_LEASE_PATH and all settings (FSHA_STORAGE_DIR, ...) in its "
	       "environment, and is a process group of its own. It must stay in the foreground: "
	       "when "
	       "it ends, what it left behind is ended too.\n\n"
	       "When the leadership is lost, COMMAND gets TERM and after the grace KILL, before "
	       "another can lead, also when this process is killed or stopped; then it contends "
	       "again. When COMMAND ends by itself, the leadership is resigned and its exit code "
	       "is "
	       "ours, 128+N for signal N.\n\n"
	       "TERM, INT and QUIT are passed on to COMMAND's process group, HUP, USR1, USR2 and "
	       "WINCH to COMMAND; while waiting to lead, TERM, INT, QUIT and HUP end with 128+N. "
	       "After TERM it does not contend again when COMMAND lives on and the leadership is "
	       "lost; after INT and QUIT it does.\n\n"
	       "Standard output is COMMAND's alone.",
	.children = cli_options_children,
};

/* ---- COMMAND comes and goes ---- */

static int64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_BOOTTIME, &now); /* cannot fail */
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void end(struct run *r, int code)
{
	if (!r->done)
		r->code = code;
	r->done = true;
}

static void complain(const struct run *r, const char *what, int os_errno)
{
	fprintf(stderr, "fsha: cannot %s '%.200s': %s\n", what, r->a.command[0],
		strerror(os_errno));
}

/* The guard is dead or does not answer. What it watched must end all the same. */
static void guard_lost(struct run *r)
{
	const struct timespec pause = { .tv_nsec = 5 * NS_PER_MS };
	int64_t until_ns = now_ns() + KILL_NS;
	pid_t pid;

	fputs("fsha: the guard process is gone: ending the command\n", stderr);
	(void)kill(r->guard.pid, SIGKILL); /* not reaped yet, so it is still its number */
	do {
		if (r->pid)
			guard_child_signal_all(r->pid, SIGKILL);
		/* We are the reaper behind the guard: without children there is nobody left. */
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			continue;
		if (pid < 0 && errno == ECHILD)
			break;
		(void)nanosleep(&pause, NULL);
	} while (now_ns() < until_ns);
	if (pid == 0) {
		fputs("fsha: the command cannot be killed: its lease must run out\n", stderr);
		r->unkillable = true;
	} else {
		r->busy = false;
		run_term_idle(&r->term);
	}
	end(r, CLI_EXIT_IO);
}

static void start(struct run *r, const fsha_shared_term *term, int hold_fd, int lease_fd)
{
	int64_t margin_ns = r->lease_ns / 20;
	struct guard_message message = {
		.type = GUARD_START,
		.epoch = term->epoch,
		.grace_ns = r->grace_ns,
		.lease_ms = (uint32_t)(r->lease_ns / NS_PER_MS),
	};
	fsha_uuid cluster;

	if (margin_ns < MARGIN_MIN_NS)
		margin_ns = MARGIN_MIN_NS;
	message.margin_ns = margin_ns > MARGIN_MAX_NS ? MARGIN_MAX_NS : margin_ns;
	fsha_uuid_format(&term->session, message.session);
	fsha_services_cluster_uuid(r->services, &cluster);
	fsha_uuid_format(&cluster, message.cluster);
	memcpy(message.lease_path, term->lease_path, sizeof(message.lease_path));
	r->session = term->session;
	r->busy = true;
	r->stop_sent = r->killed = false;
	if (guard_send(&r->guard, &message, hold_fd, lease_fd) < 0)
		guard_lost(r);
	(void)close(hold_fd);
	(void)close(lease_fd);
}

static void stop(struct run *r)
{
	const struct guard_message message = { .type = GUARD_STOP };

	if (r->stop_sent)
		return;
	r->stop_sent = true;
	r->give_up_ns = now_ns() + r->grace_ns;
	if (guard_send(&r->guard, &message, -1, -1) < 0)
		guard_lost(r);
}

/* The guard should have killed it by now. */
static void give_up(struct run *r)
{
	if (!r->killed && r->pid) {
		r->killed = true;
		r->give_up_ns = now_ns() + KILL_NS;
		(void)kill(-r->pid, SIGKILL);
		return;
	}
	guard_lost(r);
}

static int exit_code(int status)
{
	return WIFSIGNALED(status) ? CLI_EXIT_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

/*
 * It died of a signal that a terminal sends and the guard does not. INT and QUIT are for COMMAND to
 * judge (a shell survives the one, a JVM the other); only if it ends by them do we.
 */
static bool is_interrupted(int status)
{
	return WIFSIGNALED(status) && (WTERMSIG(status) == SIGINT || WTERMSIG(status) == SIGQUIT);
}

static void on_ended(struct run *r, const struct guard_message *message)
{
	r->pid = 0;
	r->busy = false;
	r->give_up_ns = NEVER;
	run_term_idle(&r->term);
	if (message->failure == GUARD_FAILURE_EXEC) {
		complain(r, "execute", message->value);
		end(r, CLI_EXIT_EXEC);
	} else if (message->failure == GUARD_FAILURE_START) {
		complain(r, "start", message->value);
		end(r, CLI_EXIT_IO);
	} else if (!message->stopped || r->ending || is_interrupted(message->value)) {
		end(r, exit_code(message->value));
	} else if (r->a.once) {
		fprintf(stderr, "fsha: the leadership of '%s' was lost\n", r->a.election);
		end(r, CLI_EXIT_NOT_LEADER);
	} else {
		/*
		 * The lease was short enough for the guard to act, and may have been renewed since:
		 * a leader without COMMAND is of no use. In the usual case it is over: NOT_LEADER.
		 */
		(void)fsha_election_resign(r->term.election, &r->session, NULL);
	}
}

/* ---- The loop ---- */

static void on_term(struct run *r)
{
	fsha_error error = FSHA_ERROR_INIT;
	int hold_fd, lease_fd;
	fsha_shared_term term;

	switch (run_term_look(&r->term, &term, &hold_fd, &lease_fd, &error)) {
	case RUN_TERM_START:
		start(r, &term, hold_fd, lease_fd);
		break;
	case RUN_TERM_STOP:
		stop(r);
		break;
	case RUN_TERM_FAILED:
		end(r, cli_error_print(&error, false));
		break;
	case RUN_TERM_NOTHING:
		break;
	}
}

static void on_guard(struct run *r)
{
	struct guard_message message;
	int got = guard_receive(&r->guard, &message);

	if (got < 0)
		guard_lost(r);
	else if (got > 0 && message.type == GUARD_STARTED)
		r->pid = message.value;
	else if (got > 0 && message.type == GUARD_ENDED)
		on_ended(r, &message);
}

static void on_signal(struct run *r)
{
	struct guard_message message = { .type = GUARD_SIGNAL };
	struct signalfd_siginfo info;
	int number;

	if (read(r->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	number = (int)info.ssi_signo;
	if (r->busy) {
		if (number == SIGTERM)
			r->ending = true;
		message.value = number;
		if (guard_send(&r->guard, &message, -1, -1) < 0)
			guard_lost(r);
	} else if (number != SIGUSR1 && number != SIGUSR2 && number != SIGWINCH) {
		end(r, CLI_EXIT_SIGNAL + number);
	}
}

static void loop(struct run *r)
{
	struct pollfd fds[] = { { .fd = r->signal_fd, .events = POLLIN },
				{ .fd = r->guard.fd, .events = POLLIN },
				{ .fd = r->term.event_fd, .events = POLLIN } };

	while (!r->done) {
		int64_t left_ns = r->give_up_ns == NEVER ? -1 : r->give_up_ns - now_ns();

		if (r->give_up_ns != NEVER && left_ns <= 0) {
			give_up(r);
			continue;
		}
		(void)poll(fds, 3, left_ns < 0 ? -1 : (int)(left_ns / NS_PER_MS) + 1);
		/* What ended first: a COMMAND that ended by itself was not stopped. */
		if (fds[1].revents)
			on_guard(r);
		if (fds[0].revents && !r->done)
			on_signal(r);
		if (!r->done)
			on_term(r);
	}
}

/* ---- Begin and end ---- */

/* Before there are threads, so that all inherit the mask; what COMMAND gets is the one before. */
static int block_signals(struct run *r, sigset_t *ret_before)
{
	static const int numbers[] = {
		SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH
	};
	sigset_t signals;

	sigemptyset(&signals);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaddset(&signals, numbers[i]);
	(void)sigprocmask(SIG_BLOCK, &signals, ret_before); /* cannot fail */
	r->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	return r->signal_fd < 0 ? -errno : 0;
}

static fsha_result set_grace(struct run *r, fsha_error *reterr)
{
	r->lease_ns = fsha_services_lease_ms(r->services) * NS_PER_MS;
	r->grace_ns = r->a.grace_ns < 0 ? r->lease_ns / 4 : r->a.grace_ns;
	if (r->grace_ns <= r->lease_ns / 2)
		return FSHA_OK;
	return cli_error_set(reterr, FSHA_E_INVALID, 0,
			     "--grace %g is too long: at most half of the lease, %g s",
			     (double)r->grace_ns / 1e9, (double)r->lease_ns / 2e9);
}

static fsha_result contend(struct run *r, const fsha_config *config, fsha_error *reterr)
{
	fsha_result result;

	result = cli_options_open_with(r->a.options, config, FSHA_SERVICES_SHARED_TERM,
				       &r->services, reterr);
	if (result == FSHA_OK)
		result = set_grace(r, reterr);
	if (result == FSHA_OK)
		result = run_term_contend(&r->term, r->services, r->a.election,
					  r->grace_ns + 2 * KILL_NS, reterr);
	return result;
}

static int run_guarded(struct run *r, const fsha_config *config)
{
	fsha_error error = FSHA_ERROR_INIT;

	if (contend(r, config, &error) == FSHA_OK)
		loop(r);
	else
		end(r, cli_error_print(&error, false));
	if (r->unkillable)
		_exit(r->code); /* resigning would let another lead beside it */
	assert(!r->busy);
	if (fsha_election_close(r->term.election, &error) != FSHA_OK)
		(void)cli_error_print(&error, false);
	guard_close(&r->guard);
	(void)fsha_services_close(r->services, NULL); /* what hangs in it ends with the process */
	return r->code;
}

static int run_command(struct run *r, const fsha_config *config)
{
	struct guard_command command = {
		.argv = r->a.command,
		.election = r->a.election,
		.address = r->a.address,
		.config = config,
	};
	sigset_t signals;
	int error;

	/* Behind the guard: should it be killed, what it was the parent of comes to us. */
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	error = block_signals(r, &signals);
	command.signals = &signals;
	if (error == 0)
		error = run_term_init(&r->term, r->a.address);
	if (error == 0)
		error = guard_fork(&r->guard, &command);
	if (error < 0) {
		fprintf(stderr, "fsha: cannot begin: %s\n", strerror(-error));
		return CLI_EXIT_IO;
	}
	return run_guarded(r, config);
}

int run_main(int argc, char **argv, struct cli_options *options)
{
	/* Static: a callback that hangs at the end may still use it. */
	static struct run r = { .guard = { .fd = -1 }, .give_up_ns = NEVER };
	fsha_error error = FSHA_ERROR_INIT;
	fsha_config *config = NULL;
	int code;

	r.a = (struct arguments){ .options = options, .grace_ns = -1 };
	if (argp_parse(&argp, argc, argv, ARGP_NO_HELP | ARGP_IN_ORDER, NULL, &r.a) != 0)
		return CLI_EXIT_USAGE;
	if (cli_options_config(options, &config, &error) != FSHA_OK)
		return cli_error_print(&error, false);
	code = run_command(&r, config);
	fsha_config_destroy(config);
	return code;
}
