/*
 * What the tests on faultfs share: a filesystem for each test, mounted for CLIENTS hosts in a mount
 * namespace of the test's own, so that nothing is left of it whatever becomes of the test. The
 * test's own process uses the first mount: t.dir.
 */
#ifndef TESTS_FUSE_FAULT_H
#define TESTS_FUSE_FAULT_H

#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#include "tests/lib/run.h"
#include "tests/process/process.h"

#define CLIENTS 3
#define FAULT_LIMIT_MS 10000 /* of an answer */

static struct {
	struct process server;
	char base[32];
	char dirs[CLIENTS][40]; /* as each host sees it */
	char answer[256];       /* the last one */
} f;

/* The next line of the server. */
static inline void fault_listen(void)
{
	int64_t deadline_ms = now_ms() + FAULT_LIMIT_MS;
	struct process *p = &f.server;
	char *end;

	while (!(end = memchr(p->text, '\n', p->used))) {
		struct pollfd fd = { .fd = p->out, .events = POLLIN };

		if (now_ms() >= deadline_ms || poll(&fd, 1, FAULT_LIMIT_MS) < 0 || !process_read(p))
			fail_msg("the filesystem does not answer");
	}
	*end = '\0';
	(void)snprintf(f.answer, sizeof(f.answer), "%.250s", p->text);
	p->used -= (size_t)(end + 1 - p->text);
	memmove(p->text, end + 1, p->used);
	if (strncmp(f.answer, "ok", 2) != 0)
		fail_msg("the filesystem says: %s", f.answer);
}

/* A command of faultfs.h; the number that it answers with. */
static inline unsigned long fault(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline unsigned long fault(const char *format, ...)
{
	char line[256];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	assert_true(n > 0 && n < (int)sizeof(line) - 1);
	line[n++] = '\n';
	assert_int_equal(write(f.server.in, line, (size_t)n), n);
	fault_listen();
	return strtoul(f.answer + 2, NULL, 10);
}

static inline void fault_start(uint64_t seed)
{
	char path[600], seed_text[32];
	char option[] = "-rs";
	char *argv[] = { path, option, seed_text, f.dirs[0], f.dirs[1], f.dirs[2], NULL };

	helper_path("", path, sizeof(path));
	(void)strcpy(strstr(path, "process_"), "fuse_faultfs");
	(void)snprintf(seed_text, sizeof(seed_text), "%llu", (unsigned long long)seed);
	(void)strcpy(f.base, "/tmp/fsha-fuse-XXXXXX");
	assert_non_null(mkdtemp(f.base));
	for (int i = 0; i < CLIENTS; i++) {
		(void)snprintf(f.dirs[i], sizeof(f.dirs[i]), "%s/%d", f.base, i);
		assert_int_equal(mkdir(f.dirs[i], 0700), 0);
	}
	process_spawn(&f.server, argv);
	fault_listen();
	(void)strcpy(t.dir, f.dirs[0]);
}

/* What still hangs ends with an error; the directories go. */
static inline void fault_stop(void)
{
	process_quit(&f.server);
	assert_int_equal(access(f.base, F_OK), -1);
}

static inline int fault_setup_lease(const char *lease)
{
	t = (struct fixture){ .error = FSHA_ERROR_INIT };
	/* A test that hangs must not take the others' time. */
	(void)alarm(60);
	t.config = fsha_config_create();
	if (!t.config)
		return -1;
	fault_start(1);
	return fsha_config_set(t.config, FSHA_KEY_STORAGE_DIR, t.dir, NULL) ||
	       fsha_config_set(t.config, FSHA_KEY_LEASE, lease, NULL) ||
	       fsha_config_set(t.config, FSHA_KEY_POLL_INTERVAL, "20 ms", NULL);
}

static inline int fault_setup(void **state)
{
	(void)state;
	return fault_setup_lease(LEASE);
}

static inline int fault_teardown(void **state)
{
	(void)state;
	fault_stop();
	fsha_config_destroy(t.config);
	(void)alarm(0);
	return 0;
}

#define FAULT_TEST(name) cmocka_unit_test_setup_teardown(name, fault_setup, fault_teardown)

/* Before there are threads. False: it says what is missing. */
static inline bool fault_enter_namespace(void)
{
	/* What was said is to be seen whatever ends the test. */
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
		return true;
	(void)fprintf(stderr, "cannot have a mount namespace (root is needed): %s\n",
		      strerror(errno));
	return false;
}

#endif
