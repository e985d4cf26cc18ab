/*
 * fsha doctor: is this directory good for fsha? The checks run in a thread of their own, since they
 * hang when the filesystem does; this one waits for them, for signals, and for too long.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "src/cli/cli_error.h"
#include "src/cli/cli_output.h"
#include "src/cli/commands.h"
#include "src/doctor/doctor.h"

/* Without a step for so long, the filesystem hangs. */
#define HANG_MS 20000
/* And after a signal, which only shortens the wait for what should come at once. */
#define STOP_MS 5000

#define NS_PER_MS 1000000
#define WAIT_NS INT64_C(30000000000)

enum {
	EXIT_WARN = 1,
	EXIT_FAIL = 2
};

struct arguments {
	struct cli_options *options;
	bool dir_given;
	const char *peer;
	int64_t wait_ns;
};

enum {
	KEY_PEER = 0x200,
	KEY_WAIT
};

static const struct argp_option fields[] = {
	{ "peer", KEY_PEER, "LABEL", 0,
	  "examine it together with other hosts that do the same now; LABEL is this host's own",
	  0 },
	{ "wait", KEY_WAIT, "SEC", 0, "how long to wait for the first of them (30)", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return cli_options_init(state, a->options, "fsha doctor");
	case KEY_PEER:
		a->peer = arg;
		return 0;
	case KEY_WAIT:
		return cli_options_seconds("--wait", arg, &a->wait_ns);
	case ARGP_KEY_END:
		if (a->wait_ns >= 0 && !a->peer)
			return cli_options_error("--wait is for --peer");
		return 0;
	case ARGP_KEY_ARG:
		if (a->dir_given)
			return cli_options_error("doctor takes one DIR at most");
		a->dir_given = true;
		a->options->storage_dir = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = fields,
	.parser = parse,
	.args_doc = "[DIR]",
	.doc = "Is DIR (the storage directory), as this host mounts it, good for fsha? About forty "
	       "checks of the filesystem, its mount options, this host and the cluster that is "
	       "there, one line each, with what to do. May run beside a cluster, which is only "
	       "read; what is made for the checks is removed."
	       "With --peer, on two or more hosts at once, with the same directory: what they see "
	       "of each other's names and locks, and when, whether the fence holds for all, and "
	       "what failover times to expect, in one verdict."
	       "\vExit code: 0 all is well, 1 there are warnings, 2 something failed: do not run "
	       "fsha there; 120 and above when it could not be examined: 119 when a peer comes "
	       "too late or its LABEL is in use, 126 when none came or one is gone.",
	.children = cli_options_children,
};

/* What the two threads share. */
struct visit {
	const char *directory; /* as it is configured */
	struct doctor_options options;
	struct doctor_summary summary;
	fsha_error error;
	fsha_result result;
	atomic_bool stop;
	int event_fd;          /* a step was made */
	pthread_mutex_t mutex; /* around what follows, and around printing */
	const char *check;     /* the one that runs; a static string */
	bool done;
	json_t *checks; /* NULL: as text */
};

static void step(struct visit *v)
{
	const uint64_t one = 1;
	ssize_t n = write(v->event_fd, &one, sizeof(one));

	(void)n; /* it cannot be full: the other thread would have to miss 2^64 steps */
}

/* ---- Printing ---- */

static const char *json_grade(enum doctor_grade grade)
{
	static const char *const names[] = { "ok", "warn", "fail" };

	return names[grade];
}

/* Under the mutex. */
static void print(const struct visit *v, const char *check, enum doctor_grade grade,
		  const char *text, const char *advice)
{
	char clean[DOCTOR_TEXT_SIZE];

	if (v->checks) {
		json_array_append_new(v->checks,
				      json_pack("{s:s, s:s, s:o, s:s}", "check", check, "grade",
						json_grade(grade), "text", cli_output_text(text),
						"advice", advice));
		return;
	}
	cli_output_clean(text, clean, sizeof(clean));
	printf("%-4s %s: %s\n", doctor_grade_name(grade), check, clean);
	if (advice[0])
		printf("     %s\n", advice);
	(void)fflush(stdout); /* as it comes: cli_output_end tells of errors */
}

static void print_summary(struct visit *v)
{
	const struct doctor_summary *s = &v->summary;
	const unsigned *n = s->findings;

	if (v->checks) {
		cli_output_json(json_pack("{s:o, s:o, s:o, s:o, s:i, s:i, s:i}", "directory",
					  cli_output_text(v->directory ? v->directory : ""),
					  "filesystem", cli_output_text(s->filesystem),
					  "mounted_on", cli_output_text(s->target), "checks",
					  v->checks, "ok", (int)n[DOCTOR_OK], "warn",
					  (int)n[DOCTOR_WARN], "fail", (int)n[DOCTOR_FAIL]));
		v->checks = NULL;
		return;
	}
	printf("%u ok, %u warnings, %u failed\n", n[DOCTOR_OK], n[DOCTOR_WARN], n[DOCTOR_FAIL]);
}

/* ---- The thread that examines ---- */

static void on_begin(void *ctx, const char *check)
{
	struct visit *v = ctx;

	(void)pthread_mutex_lock(&v->mutex);
	v->check = check;
	(void)pthread_mutex_unlock(&v->mutex);
	step(v);
}

static void on_finding(void *ctx, const struct doctor_finding *finding)
{
	struct visit *v = ctx;

	(void)pthread_mutex_lock(&v->mutex);
	print(v, finding->check, finding->grade, finding->text, finding->advice);
	(void)pthread_mutex_unlock(&v->mutex);
}

static bool on_asked(void *ctx)
{
	struct visit *v = ctx;

	return atomic_load(&v->stop);
}

static void *examine(void *ctx)
{
	struct visit *v = ctx;

	v->result = doctor_run(&v->options, &v->summary, &v->error);
	(void)pthread_mutex_lock(&v->mutex);
	v->done = true;
	(void)pthread_mutex_unlock(&v->mutex);
	step(v);
	return NULL;
}

/* ---- The thread that waits ---- */

static bool is_done(struct visit *v)
{
	bool done;

	(void)pthread_mutex_lock(&v->mutex);
	done = v->done;
	(void)pthread_mutex_unlock(&v->mutex);
	return done;
}

/* It never comes back: what hangs may still hold the directory. */
__attribute__((noreturn)) static void give_up(struct visit *v, int number)
{
	char text[160];

	(void)pthread_mutex_lock(&v->mutex);
	(void)snprintf(text, sizeof(text), "the filesystem does not answer: this check hangs%s",
		       number ? " and cannot be stopped" : " since 20 s");
	v->summary.findings[DOCTOR_FAIL]++;
	print(v, v->check, DOCTOR_FAIL, text,
	      "see whether the file server runs and can be reached; what is left here as "
	      ".fsha-doctor-* is removed by the next doctor");
	print_summary(v);
	(void)fflush(stdout); /* there is nobody left to tell */
	_exit(number ? CLI_EXIT_SIGNAL + number : EXIT_FAIL);
}

/* Returns the number of the signal that stopped it, or 0. */
static int wait_for(struct visit *v, int signal_fd)
{
	int number = 0;

	while (!is_done(v)) {
		struct pollfd fds[] = { { .fd = v->event_fd, .events = POLLIN },
					{ .fd = signal_fd, .events = POLLIN } };
		struct signalfd_siginfo info;
		uint64_t steps;
		int n = poll(fds, 2, number ? STOP_MS : HANG_MS);

		if (n == 0)
			give_up(v, number);
		if (n > 0 && fds[0].revents)
			n = (int)read(v->event_fd, &steps, sizeof(steps));
		if (n > 0 && fds[1].revents &&
		    read(signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
			if (number)
				give_up(v, number); /* who asks twice does not want to wait */
			number = (int)info.ssi_signo;
			atomic_store(&v->stop, true);
		}
	}
	return number;
}

/* Those that end a command, unless they are ignored (nohup): they come through a descriptor. */
static int take_signals(sigset_t *ret_set)
{
	static const int numbers[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
	struct sigaction old;

	(void)sigemptyset(ret_set);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
			(void)sigaddset(ret_set, numbers[i]);
	(void)pthread_sigmask(SIG_BLOCK, ret_set, NULL);
	(void)signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is an errno then */
	return signalfd(-1, ret_set, SFD_CLOEXEC);
}

static int visit(struct visit *v)
{
	sigset_t signals;
	pthread_t thread;
	int signal_fd = take_signals(&signals), number, r;

	v->event_fd = eventfd(0, EFD_CLOEXEC);
	if (v->event_fd < 0 || signal_fd < 0)
		return cli_error_set(&v->error, FSHA_E_IO, errno, "cannot begin");
	r = pthread_create(&thread, NULL, examine, v);
	if (r != 0)
		return cli_error_set(&v->error, FSHA_E_NOMEM, r, "cannot start a thread");
	number = wait_for(v, signal_fd);
	(void)pthread_join(thread, NULL);
	(void)close(v->event_fd);
	(void)close(signal_fd);
	if (number && v->summary.stopped) {
		(void)fflush(stdout); /* what there is */
		(void)raise(number);  /* comes when it is let through */
		(void)pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
	}
	return v->result;
}

static int judge(const struct doctor_summary *s)
{
	return s->findings[DOCTOR_FAIL] ? EXIT_FAIL : s->findings[DOCTOR_WARN] ? EXIT_WARN : 0;
}

int doctor_main(int argc, char **argv, struct cli_options *options)
{
	struct arguments a = { .options = options, .wait_ns = -1 };
	/* Static: should the thread hang, it outlives this function. */
	static struct visit v;
	fsha_config *config = NULL;
	fsha_result result;
	int end;

	v = (struct visit){ .error = FSHA_ERROR_INIT,
			    .check = "directory",
			    .mutex = PTHREAD_MUTEX_INITIALIZER };
	if (argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, &a) != 0)
		return CLI_EXIT_USAGE;
	if (a.wait_ns < 0)
		a.wait_ns = WAIT_NS;
	result = cli_options_config(options, &config, &v.error);
	if (options->json)
		v.checks = json_array();
	v.options = (struct doctor_options){ .config = config,
					     .peer = a.peer,
					     .wait_ms = (uint32_t)(a.wait_ns / NS_PER_MS),
					     .begin = on_begin,
					     .tell = on_finding,
					     .stopped = on_asked,
					     .ctx = &v };
	if (result == FSHA_OK) {
		v.directory = fsha_config_get(config, FSHA_KEY_STORAGE_DIR, NULL);
		result = visit(&v);
	}
	if (result == FSHA_OK)
		print_summary(&v);
	fsha_config_destroy(config);
	if (result != FSHA_OK) {
		json_decref(v.checks);
		return cli_error_print(&v.error, options->json);
	}
	end = cli_output_end();
	return end == CLI_EXIT_OK ? judge(&v.summary) : end;
}
