/*
 * fsha backup, fsha restore: programs of their own, because of the library that they need; this
 * starts them in its place.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "src/cli/cli_error.h"
#include "src/cli/commands.h"

#define PROGRAM "fsha-archive"

/* Beside this program, as it is built, or where `make install` puts it. */
static const char *const places[] = { PROGRAM, "../libexec/fsha/" PROGRAM };

int archive_main(int argc, char **argv, struct cli_options *options)
{
	fsha_error error = FSHA_ERROR_INIT;
	char here[PATH_MAX], path[PATH_MAX + sizeof("../libexec/fsha/" PROGRAM)];
	ssize_t n = readlink("/proc/self/exe", here, sizeof(here) - 1);
	char *slash;

	(void)argc;
	argv[0] = options->command; /* a part of the line that is handed on */
	here[n < 0 ? 0 : n] = '\0';
	slash = strrchr(here, '/');
	if (slash)
		slash[1] = '\0';
	for (size_t i = 0; slash && i < sizeof(places) / sizeof(places[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", here, places[i]);
		(void)execv(path, options->line); /* returns only when it failed */
	}
	(void)cli_error_set(&error, FSHA_E_UNSUPPORTED, errno,
			    "cannot start " PROGRAM ", which belongs beside fsha or into "
			    "../libexec/fsha");
	return cli_error_print(&error, options->json);
}
