/*
 * fsha watch: a line for each change of leader. The time of a line is that of the notification;
 * what has to be read from the directory for it (the epoch) is read afterwards, in this thread,
 * since the library's executor must not wait for a file.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "src/cli/cli_error.h"
#include "src/cli/cli_output.h"
#include "src/cli/commands.h"

#define NS_PER_MS INT64_C(1000000)
/* Changes that wait to be printed. A reader that is slower than this many loses the oldest. */
#define QUEUE_SIZE 256

struct change {
	int64_t wall_ns;
	bool leads;
	fsha_uuid session;
	char address[FSHA_ADDRESS_MAX + 1];
};

struct watch {
	struct cli_options *options;
	const char *election;
	uint32_t count;     /* 0: no limit */
	int64_t timeout_ns; /* -1: none */
	fsha_services *services;
	int event_fd, signal_fd;
	pthread_mutex_t mutex; /* of the queue; innermost */
	struct change queue[QUEUE_SIZE];
	size_t first, used;
};

enum {
	KEY_COUNT = 0x200,
	KEY_TIMEOUT,
};

static const struct argp_option fields[] = {
	{ "count", KEY_COUNT, "N", 0, "end after N lines", 0 },
	{ "timeout", KEY_TIMEOUT, "SEC", 0, "end after so many seconds", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct watch *w = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return cli_options_init(state, w->options, "fsha watch");
	case KEY_COUNT:
		return cli_options_number("--count", arg, &w->count);
	case KEY_TIMEOUT:
		return cli_options_seconds("--timeout", arg, &w->timeout_ns);
	case ARGP_KEY_ARG:
		if (w->election)
			return cli_options_error("watch takes one ELECTION");
		w->election = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		return cli_options_error("watch needs an ELECTION");
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = fields,
	.parser = parse,
	.args_doc = "ELECTION",
	.doc = "A line for each change of leader, the present one first."
	       "\vEnds with 0 at SIGINT and SIGTERM, after N lines, and at the timeout; but with "
	       "126 "
	       "when it timed out before N lines.",
	.children = cli_options_children,
};

/* ---- In the executor ---- */

static void on_leader(void *ctx, const char *address, const fsha_uuid *session)
{
	struct watch *w = ctx;
	struct change *change;
	uint64_t one = 1;

	(void)pthread_mutex_lock(&w->mutex);
	if (w->used == QUEUE_SIZE) {
		w->first = (w->first + 1) % QUEUE_SIZE;
		w->used--;
	}
	change = &w->queue[(w->first + w->used++) % QUEUE_SIZE];
	*change = (struct change){ .wall_ns = cli_output_wall_ns(), .leads = address != NULL };
	if (address) {
		change->session = *session;
		(void)snprintf(change->address, sizeof(change->address), "%s", address);
	}
	(void)pthread_mutex_unlock(&w->mutex);
	if (write(w->event_fd, &one, sizeof(one)) < 0)
		return; /* only when it is full, and then it is readable */
}

static void on_error(void *ctx, const fsha_error *error)
{
	(void)ctx;
	(void)cli_error_print(error, false); /* stdout has only changes */
}

/* ---- In the main thread ---- */

/* The epoch of a session, or 0 when it cannot be told any more. */
static uint64_t epoch_of(const struct watch *w, const fsha_uuid *session)
{
	fsha_leader_information information;
	fsha_term_history *terms;
	uint64_t epoch = 0;
	size_t count;

	if (fsha_leader_read(w->services, w->election, &information, NULL) == FSHA_OK &&
	    fsha_uuid_equal(&information.session, session))
		return information.epoch;
	if (fsha_history_read(w->services, w->election, &terms, &count, NULL) != FSHA_OK)
		return 0;
	for (size_t i = 0; i < count; i++)
		if (fsha_uuid_equal(&terms[i].session, session))
			epoch = terms[i].epoch;
	fsha_free(terms);
	return epoch;
}

static void print_change(const struct watch *w, const struct change *c)
{
	char time[CLI_TIME_SIZE], session[FSHA_UUID_TEXT], address[FSHA_ADDRESS_MAX + 1];
	uint64_t epoch = c->leads ? epoch_of(w, &c->session) : 0;

	cli_output_time(c->wall_ns, time);
	if (w->options->json) {
		json_t *leader = json_null();

		if (c->leads)
			leader =
				json_pack("{s:o, s:o, s:o}", "address", cli_output_text(c->address),
					  "session", cli_output_uuid(&c->session), "epoch",
					  epoch ? json_integer((json_int_t)epoch) : json_null());
		cli_output_json_line(json_pack("{s:s, s:I, s:o, s:o}", "time", time, "wall_ns",
					       (json_int_t)c->wall_ns, "election",
					       cli_output_text(w->election), "leader", leader));
	} else if (!c->leads) {
		printf("%s no leader\n", time);
	} else {
		cli_output_clean(c->address, address, sizeof(address));
		printf("%s leader %s session %s epoch ", time, address,
		       fsha_uuid_format(&c->session, session));
		printf(epoch ? "%llu\n" : "unknown\n", (unsigned long long)epoch);
	}
	(void)fflush(stdout); /* an error is told at the end */
}

/* Prints what waits. True when that was all that was asked for. */
static bool print_changes(struct watch *w)
{
	uint64_t posted;

	if (read(w->event_fd, &posted, sizeof(posted)) < 0)
		return false; /* nothing new */
	for (;;) {
		struct change change;
		bool any;

		(void)pthread_mutex_lock(&w->mutex);
		any = w->used > 0;
		if (any) {
			change = w->queue[w->first];
			w->first = (w->first + 1) % QUEUE_SIZE;
			w->used--;
		}
		(void)pthread_mutex_unlock(&w->mutex);
		if (!any)
			return false;
		print_change(w, &change);
		if (w->count && --w->count == 0)
			return true;
	}
}

static int64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_BOOTTIME, &now); /* cannot fail */
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int loop(struct watch *w)
{
	struct pollfd fds[] = { { .fd = w->event_fd, .events = POLLIN },
				{ .fd = w->signal_fd, .events = POLLIN } };
	int64_t end_ns = w->timeout_ns < 0 ? -1 : now_ns() + w->timeout_ns;

	for (;;) {
		int64_t left_ns = end_ns < 0 ? -1 : end_ns - now_ns();
		int timeout_ms = -1;

		if (end_ns >= 0)
			timeout_ms = left_ns > 0 ? (int)(left_ns / NS_PER_MS) + 1 : 0;
		if (poll(fds, 2, timeout_ms) < 0 && errno != EINTR)
			return -errno;
		if (print_changes(w) || ferror(stdout))
			return 0;
		if (fds[1].revents)
			return 0;
		if (end_ns >= 0 && now_ns() >= end_ns)
			return w->count ? -ETIMEDOUT : 0;
	}
}

static fsha_result watch_election(struct watch *w, fsha_error *reterr)
{
	const fsha_leader_listener listener = {
		.struct_size = sizeof(listener),
		.ctx = w,
		.notify_leader_address = on_leader,
		.handle_error = on_error,
	};
	fsha_retriever *retriever;
	fsha_result result;
	int r;

	result = fsha_retriever_start(w->services, w->election, &listener, &retriever, reterr);
	if (result != FSHA_OK)
		return result;
	r = loop(w);
	result = fsha_retriever_stop(retriever, reterr);
	if (r == -ETIMEDOUT)
		return cli_error_set(reterr, FSHA_E_TIMEOUT, 0,
				     "'%s' did not change as often as was waited for", w->election);
	if (r < 0)
		return cli_error_set(reterr, FSHA_E_IO, -r, "cannot wait: %s", strerror(-r));
	return result;
}

/* Before the library makes threads, so that all of them inherit the mask. */
static int prepare(struct watch *w)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	(void)pthread_sigmask(SIG_BLOCK, &signals, NULL); /* cannot fail */
	w->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return w->signal_fd < 0 || w->event_fd < 0 ? -errno : 0;
}

int watch_main(int argc, char **argv, struct cli_options *options)
{
	/* Static: a callback that hangs at the end may still use it. */
	static struct watch w = { .timeout_ns = -1, .mutex = PTHREAD_MUTEX_INITIALIZER };
	fsha_error error = FSHA_ERROR_INIT;
	fsha_result result;
	int r;

	w.options = options;
	if (argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, &w) != 0)
		return CLI_EXIT_USAGE;
	r = prepare(&w);
	if (r < 0) {
		(void)cli_error_set(&error, FSHA_E_IO, -r, "cannot watch: %s", strerror(-r));
		return cli_error_print(&error, options->json);
	}
	result = cli_options_open(options, FSHA_SERVICES_NO_CREATE, &w.services, &error);
	if (result == FSHA_OK) {
		result = watch_election(&w, &error);
		(void)fsha_services_close(w.services, NULL); /* it only read */
	}
	return result == FSHA_OK ? cli_output_end() : cli_error_print(&error, options->json);
}
