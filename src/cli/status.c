/* fsha status: the cluster as it is on disk. */
#include <stdio.h>
#include <string.h>

#include "src/cli/cli_error.h"
#include "src/cli/cli_output.h"
#include "src/cli/commands.h"

#define NS_PER_MS 1000000
#define SESSION_SHOWN 8

struct arguments {
	struct cli_options *options;
	const char *election;
	int64_t observe_ns;
};

enum {
	KEY_OBSERVE = 0x200
};

static const struct argp_option fields[] = {
	{ "observe", KEY_OBSERVE, "SEC", 0,
	  "watch heartbeats for so long; 1.25 leases show a process that is stopped", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return cli_options_init(state, a->options, "fsha status");
	case KEY_OBSERVE:
		return cli_options_seconds("--observe", arg, &a->observe_ns);
	case ARGP_KEY_ARG:
		if (a->election)
			return cli_options_error("status takes one ELECTION at most");
		a->election = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = fields,
	.parser = parse,
	.args_doc = "[ELECTION]",
	.doc = "Who leads, who stands by, and how it is known that they live."
	       "\vExit code 0; with ELECTION 122 when nobody leads it, and 124 when there is no "
	       "such.",
	.children = cli_options_children,
};

/* Led: a term was granted, and its holder is not known to be dead. */
static bool is_led(const fsha_election_status *e)
{
	return !fsha_uuid_is_null(&e->leader.session) && e->holder_status &&
	       fsha_liveness_is_alive(e->holder_status->liveness) != 0;
}

/* ---- JSON ---- */

static json_t *member_json(const fsha_member_status *m)
{
	int alive;

	if (!m)
		return json_null();
	alive = fsha_liveness_is_alive(m->liveness);
	return json_pack("{s:o, s:o, s:i, s:I, s:s, s:s, s:o, s:s, s:I}", "member",
			 cli_output_uuid(&m->member), "host", cli_output_text(m->host), "pid",
			 (int)m->pid, "started_wall_ns", (json_int_t)m->started_wall_ns, "boot_id",
			 m->boot_id, "version", m->version, "alive",
			 alive < 0 ? json_null() : json_boolean(alive), "liveness",
			 fsha_liveness_text(m->liveness), "beat", (json_int_t)m->beat);
}

static json_t *leader_json(const fsha_leader_information *l)
{
	return json_pack("{s:o, s:o, s:I, s:b, s:o}", "session", cli_output_uuid(&l->session),
			 "member", cli_output_uuid(&l->member), "since_wall_ns",
			 (json_int_t)l->since_wall_ns, "confirmed", (int)l->confirmed, "address",
			 l->confirmed ? cli_output_text(l->address) : json_null());
}

static json_t *election_json(const fsha_election_status *e)
{
	json_t *standbys = json_array();

	for (size_t i = 0; i < e->standby_count; i++)
		json_array_append_new(standbys, member_json(e->standbys[i]));
	return cli_output_named(
		"name", e->name,
		json_pack("{s:I, s:b, s:o, s:o, s:o}", "epoch", (json_int_t)e->epoch, "led",
			  (int)is_led(e), "leader",
			  fsha_uuid_is_null(&e->leader.session) ? json_null() :
								  leader_json(&e->leader),
			  "holder", member_json(e->holder_status), "standbys", standbys));
}

static void print_json(const fsha_cluster_status *s, const char *path, const char *only)
{
	json_t *elections = json_array(), *members = json_array();

	for (size_t i = 0; i < s->election_count; i++)
		if (!only || strcmp(only, s->elections[i].name) == 0)
			json_array_append_new(elections, election_json(&s->elections[i]));
	for (size_t i = 0; i < s->member_count; i++)
		json_array_append_new(members, member_json(&s->members[i]));
	cli_output_json(json_pack("{s:s, s:o, s:I, s:I, s:s, s:b, s:o, s:o, s:I}", "cluster",
				  s->cluster, "path", cli_output_text(path), "lease_ms",
				  (json_int_t)s->lease_ms, "format", (json_int_t)s->format,
				  "filesystem", s->filesystem, "locks_cluster_wide",
				  (int)s->locks_cluster_wide, "elections", elections, "members",
				  members, "skipped", (json_int_t)s->skipped));
}

/* ---- Tables ---- */

static const char *place(const fsha_member_status *m, char *text, size_t size)
{
	if (!m)
		return "(gone)";
	(void)snprintf(text, size, "%s:%d", m->host, (int)m->pid);
	return text;
}

static void add_leader(json_t *rows, const fsha_election_status *e)
{
	char epoch[24], session[FSHA_UUID_TEXT], at[300], since[CLI_TIME_SIZE], age[CLI_TIME_SIZE];
	char when[2 * CLI_TIME_SIZE + 8] = "-", indented[FSHA_ADDRESS_MAX + 4];
	bool granted = !fsha_uuid_is_null(&e->leader.session);
	const char *leader = "(none)";

	if (granted)
		leader = e->leader.confirmed ? e->leader.address : "(no address yet)";
	(void)snprintf(indented, sizeof(indented), "  %s", leader);
	(void)snprintf(epoch, sizeof(epoch), "%llu", (unsigned long long)e->epoch);
	fsha_uuid_format(&e->leader.session, session);
	session[SESSION_SHOWN] = '\0';
	if (granted) {
		cli_output_time(e->leader.since_wall_ns, since);
		since[19] = '\0'; /* whole seconds are enough for a person */
		(void)snprintf(when, sizeof(when), "%sZ (%s)", since,
			       cli_output_age(e->leader.since_wall_ns, age));
	}
	json_array_append_new(
		rows, json_pack("[o s s s o s]", cli_output_text(indented), epoch,
				granted ? session : "-", when,
				cli_output_text(fsha_uuid_is_null(&e->holder) ?
							"-" :
							place(e->holder_status, at, sizeof(at))),
				e->holder_status ? fsha_liveness_text(e->holder_status->liveness) :
				fsha_uuid_is_null(&e->holder) ? "vacant" :
								"dead (its directory is gone)"));
}

static void print_election(const fsha_election_status *e)
{
	json_t *rows = json_array();
	char at[300], name[FSHA_NAME_MAX + 1];

	cli_output_clean(e->name, name, sizeof(name));
	printf("\nelection %s\n", name);
	json_array_append_new(rows, json_pack("[s s s s s s]", "  LEADER", "EPOCH", "SESSION",
					      "SINCE", "HOST:PID", "LIVES"));
	add_leader(rows, e);
	for (size_t i = 0; i < e->standby_count; i++)
		json_array_append_new(
			rows, json_pack("[s s s s o s]", "  (standby)", "-", "-", "-",
					cli_output_text(place(e->standbys[i], at, sizeof(at))),
					fsha_liveness_text(e->standbys[i]->liveness)));
	cli_output_table(rows);
}

static void print_members(const fsha_cluster_status *s)
{
	json_t *rows = json_array();

	printf("\nmembers\n");
	json_array_append_new(
		rows, json_pack("[s s s s s]", "  MEMBER", "HOST:PID", "STARTED", "BEAT", "LIVES"));
	for (size_t i = 0; i < s->member_count; i++) {
		const fsha_member_status *m = &s->members[i];
		char member[FSHA_UUID_TEXT + 2] = "  ", at[300], beat[24], started[CLI_TIME_SIZE];

		fsha_uuid_format(&m->member, member + 2);
		member[2 + SESSION_SHOWN] = '\0';
		(void)snprintf(beat, sizeof(beat), "%llu", (unsigned long long)m->beat);
		cli_output_time(m->started_wall_ns, started);
		if (strlen(started) > 19)
			strcpy(started + 19, "Z");
		json_array_append_new(rows,
				      json_pack("[s o s s s]", member,
						cli_output_text(place(m, at, sizeof(at))), started,
						beat, fsha_liveness_text(m->liveness)));
	}
	cli_output_table(rows);
}

static void print_text(const fsha_cluster_status *s, const char *path, const char *only)
{
	printf("cluster %s: %s, lease %g s, locks %s\n", path, s->filesystem,
	       (double)s->lease_ms / 1000,
	       s->locks_cluster_wide ? "are trusted" : "are not trusted, heartbeats count");
	for (size_t i = 0; i < s->election_count; i++)
		if (!only || strcmp(only, s->elections[i].name) == 0)
			print_election(&s->elections[i]);
	if (s->election_count == 0)
		printf("\nno elections\n");
	if (s->member_count > 0 && !only)
		print_members(s);
	if (s->skipped)
		printf("\n%zu names or records were not understood\n", s->skipped);
}

/* ---- The command ---- */

static fsha_result judge(const fsha_cluster_status *s, const char *only, fsha_error *reterr)
{
	if (!only)
		return FSHA_OK;
	for (size_t i = 0; i < s->election_count; i++) {
		if (strcmp(only, s->elections[i].name) != 0)
			continue;
		return is_led(&s->elections[i]) ? FSHA_OK :
						  cli_error_set(reterr, FSHA_E_NOT_LEADER, 0,
								"nobody leads '%s'", only);
	}
	if (s->elections_skipped > 0)
		return cli_error_set(
			reterr, FSHA_E_IO, 0,
			"it cannot be told whether there is an election '%s': %zu names "
			"or records could not be read: see fsha verify",
			only, s->skipped);
	return cli_error_set(reterr, FSHA_E_NOT_FOUND, 0, "there is no election '%s'", only);
}

static int show(const struct arguments *a, fsha_services *services)
{
	const char *path = fsha_services_path(services);
	fsha_error error = FSHA_ERROR_INIT;
	fsha_cluster_status *status;
	fsha_result result;

	result = fsha_status_read(services, (uint32_t)(a->observe_ns / NS_PER_MS), &status, &error);
	if (result != FSHA_OK)
		return cli_error_print(&error, a->options->json);
	result = judge(status, a->election, &error);
	if (result != FSHA_OK && result != FSHA_E_NOT_LEADER) {
		fsha_status_destroy(status);
		return cli_error_print(&error, a->options->json);
	}
	if (a->options->json)
		print_json(status, path, a->election);
	else
		print_text(status, path, a->election);
	fsha_status_destroy(status);
	/* stdout has its one document already. */
	return result == FSHA_OK ? CLI_EXIT_OK : cli_error_print(&error, false);
}

int status_main(int argc, char **argv, struct cli_options *options)
{
	struct arguments a = { .options = options };
	fsha_error error = FSHA_ERROR_INIT;
	fsha_services *services;
	int code, end;

	if (argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, &a) != 0)
		return CLI_EXIT_USAGE;
	if (cli_options_open(options, FSHA_SERVICES_NO_CREATE, &services, &error) != FSHA_OK)
		return cli_error_print(&error, options->json);
	code = show(&a, services);
	(void)fsha_services_close(services, NULL); /* it only read */
	end = cli_output_end();
	return code == CLI_EXIT_OK ? end : code;
}
