/* fsha worker framework-id, next-id, backup, restore: what concerns the framework as a whole. */
#include <stdio.h>
#include <string.h>

#include "src/cli/cli_error.h"
#include "src/cli/cli_output.h"
#include "src/cli/worker.h"

/* ---- framework-id ---- */

static int print_framework_id(const struct worker_arguments *a)
{
	char id[FSHA_FRAMEWORK_ID_SIZE] = "", clean[FSHA_FRAMEWORK_ID_SIZE];
	fsha_error error = FSHA_ERROR_INIT;
	struct worker_office o;
	fsha_result result;
	int present = 0;

	result = worker_open(&o, a, false, &error);
	if (result == FSHA_OK) {
		result = fsha_worker_store_get_framework_id(o.store, id, &present, &error);
		worker_close(&o);
	}
	if (result == FSHA_OK && !present)
		result = cli_error_set(&error, FSHA_E_NOT_FOUND, 0,
				       "there is no framework id: the framework is not registered");
	if (result != FSHA_OK)
		return worker_end(a, result, &error);
	if (a->options->json) {
		cli_output_json(json_pack("{s:o}", "framework_id", cli_output_text(id)));
	} else {
		cli_output_clean(id, clean, sizeof(clean));
		puts(clean);
	}
	return cli_output_end();
}

int worker_framework_id(const struct worker_arguments *a)
{
	fsha_error error = FSHA_ERROR_INIT;
	struct worker_office o;
	fsha_result result;
	bool set = a->count == 3 && strcmp(a->words[1], "set") == 0;

	if (a->count == 1)
		return print_framework_id(a);
	if (!set && !(a->count == 2 && strcmp(a->words[1], "clear") == 0)) {
		(void)cli_options_error("'worker framework-id' takes nothing, 'set ID' or 'clear'");
		return CLI_EXIT_USAGE;
	}
	result = worker_open(&o, a, true, &error);
	if (result == FSHA_OK) {
		result = fsha_worker_store_set_framework_id(o.store, set ? a->words[2] : NULL,
							    &error);
		result = office_judge(&o.office, result, &error);
		worker_close(&o);
	}
	if (result == FSHA_OK)
		worker_print_done(a, "framework-id", NULL);
	return worker_end(a, result, &error);
}

/* ---- next-id ---- */

int worker_next_id(const struct worker_arguments *a)
{
	fsha_error error = FSHA_ERROR_INIT;
	char task_id[FSHA_TASK_ID_SIZE];
	struct worker_office o;
	fsha_result result;

	result = worker_open(&o, a, true, &error);
	if (result == FSHA_OK) {
		result = fsha_worker_store_new_task_id(o.store, task_id, &error);
		result = office_judge(&o.office, result, &error);
		worker_close(&o);
	}
	if (result == FSHA_OK) {
		if (a->options->json)
			cli_output_json_line(json_pack("{s:s}", "task", task_id));
		else
			puts(task_id);
	}
	return worker_end(a, result, &error);
}

/* ---- backup and restore ---- */

static void print_backup(const struct worker_arguments *a, const char *what,
			 const fsha_framework_backup *b)
{
	char time[CLI_TIME_SIZE];

	cli_output_time(b->timestamp_ms * 1000000, time);
	if (a->options->json)
		cli_output_json_line(
			json_pack("{s:s, s:I, s:o, s:I}", "done", what, "workers",
				  (json_int_t)b->worker_count, "framework_id",
				  b->framework_id ? cli_output_text(b->framework_id) : json_null(),
				  "timestamp_ms", (json_int_t)b->timestamp_ms));
	else
		printf("%zu workers and %s framework id, as of %s\n", b->worker_count,
		       b->framework_id ? "the" : "no", time);
}

int worker_backup(const struct worker_arguments *a)
{
	fsha_framework_backup *backup = NULL;
	fsha_error error = FSHA_ERROR_INIT;
	struct worker_office o;
	fsha_result result;

	result = worker_open(&o, a, false, &error);
	if (result == FSHA_OK) {
		result = fsha_framework_backup_take(o.store, &backup, &error);
		worker_close(&o);
	}
	if (result == FSHA_OK)
		result = fsha_framework_backup_write(backup, a->words[1], &error);
	if (result == FSHA_OK)
		print_backup(a, "backup", backup);
	fsha_free(backup);
	return worker_end(a, result, &error);
}

int worker_restore(const struct worker_arguments *a)
{
	fsha_framework_backup *backup = NULL;
	fsha_error error = FSHA_ERROR_INIT;
	struct worker_office o;
	fsha_result result;

	/* Nobody is troubled for a file that is no good. */
	result = fsha_framework_backup_read(a->words[1], &backup, &error);
	if (result != FSHA_OK)
		return worker_end(a, result, &error);
	result = worker_open(&o, a, true, &error);
	if (result == FSHA_OK) {
		result = fsha_framework_backup_restore(o.store, backup, &error);
		result = office_judge(&o.office, result, &error);
		worker_close(&o);
	}
	if (result == FSHA_OK)
		print_backup(a, "restore", backup);
	fsha_free(backup);
	return worker_end(a, result, &error);
}
