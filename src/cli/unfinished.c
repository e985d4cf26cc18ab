#include "src/cli/unfinished.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

static _Atomic(const char *) unfinished;

/* The kernel has set the default action again (SA_RESETHAND), which comes when this returns. */
static void on_signal(int number)
{
	const char *path = atomic_load(&unfinished);

	if (path)
		(void)unlink(path);
	(void)raise(number);
}

/* What is ignored (nohup) stays so. */
static void catch (int number)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND }, old;

	if (sigaction(number, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
		(void)sigaction(number, &action, NULL);
}

void unfinished_begin(const char *path)
{
	static const int numbers[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };

	atomic_store(&unfinished, path);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		catch (numbers[i]);
}

void unfinished_end(void)
{
	atomic_store(&unfinished, NULL);
}
