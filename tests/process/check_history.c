/*
 * Judge the history of a run: check_history [-s] FILE...
 *
 * Each file holds the events of one process, as tests/lib/ops_history.h describes them; they are
 * merged by time. -s: simulated time (OPS_STRICT). Prints what was found in it and what was
 * violated. Exit code 0: nothing was; 1: a rule was violated; 2: the files are no such history.
 */
#include <stdio.h>
#include <string.h>

#include "tests/lib/ops_history.h"

static struct ops_verdict verdict;

static int judge(struct ops_history *h, unsigned flags)
{
	bool good = ops_history_check(h, flags, &verdict);

	(void)printf("%zu events, %zu operations (%zu reads, %zu writes, %zu of them unknown), "
		     "%zu epochs, %zu late grants, %zu keys, %zu deadlines, %zu violations\n",
		     verdict.events, verdict.operations, verdict.reads, verdict.writes,
		     verdict.unknown, verdict.grants, verdict.late_grants, verdict.keys,
		     verdict.deadlines, verdict.total);
	ops_verdict_print(&verdict);
	return good ? 0 : verdict.total > verdict.violations[0] ? 1 : 2;
}

int main(int argc, char **argv)
{
	const bool strict = argc > 1 && strcmp(argv[1], "-s") == 0;
	struct ops_history *h;
	char error[OPS_LINE_SIZE];
	int status = 0;

	if (argc < 2 + strict) {
		(void)fputs("usage: check_history [-s] FILE...\n", stderr);
		return 2;
	}
	h = ops_history_create();
	for (int i = 1 + strict; i < argc && status == 0; i++)
		if (!ops_history_read(h, argv[i], error)) {
			(void)fprintf(stderr, "check_history: %s\n", error);
			status = 2;
		}
	if (status == 0)
		status = judge(h, strict ? OPS_STRICT : 0);
	ops_history_destroy(h);
	return status;
}
