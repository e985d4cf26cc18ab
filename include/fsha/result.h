/*
 * Results and errors. Every function says what the caller may do next; the detail travels in an
 * fsha_error that the caller owns.
 */
#ifndef FSHA_RESULT_H
#define FSHA_RESULT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FSHA_API __attribute__((visibility("default")))

typedef enum fsha_result {
	FSHA_OK = 0,              /* done, and durable where the function says so */
	FSHA_E_INVALID = -1,      /* your argument: nothing was done */
	FSHA_E_STATE = -2,        /* not started, already started, or already closed */
	FSHA_E_NOT_FOUND = -3,    /* none of that name (Flink: NotExistException) */
	FSHA_E_EXISTS = -4,       /* there is one already (Flink: AlreadyExistException) */
	FSHA_E_VERSION = -5,      /* replaced meanwhile: read again */
	FSHA_E_INDOUBT = -6,      /* done or not, ask later (PossibleInconsistentStateException) */
	FSHA_E_NOT_LEADER = -7,   /* this process does not lead: nothing was done */
	FSHA_E_FENCED = -8,       /* a newer leader exists: stop at once */
	FSHA_E_CORRUPT = -9,      /* a damaged record, kept for a person to look at */
	FSHA_E_UNSUPPORTED = -10, /* not by this version, mode or filesystem */
	FSHA_E_CONFIG = -11,      /* the message names the setting, and what to write */
	FSHA_E_TIMEOUT = -12,     /* nothing changed; try again */
	FSHA_E_IO = -13,          /* the storage failed; nothing changed */
	FSHA_E_NOMEM = -14        /* out of memory; nothing changed */
} fsha_result;

#define FSHA_MESSAGE_SIZE 480
#define FSHA_CAUSE_SIZE 240

/**
 * What went wrong, in the caller's memory. Set struct_size (or use FSHA_ERROR_INIT); every function
 * that takes an fsha_error accepts NULL, and writes it only on failure.
 */
typedef struct fsha_error {
	size_t struct_size;
	int32_t result;      /* an fsha_result */
	int32_t os_errno;    /* positive; 0 when no system call failed */
	uint32_t maybe_done; /* 1: with FSHA_E_FENCED, the change may have become visible before the
				newer leader was granted (its request had been sent) */
	int32_t cause_result; /* what led to it, when that was another error: its result; else 0 */
	const char *op; /* what was being done, a static string such as "rename"; never NULL */
	char message[FSHA_MESSAGE_SIZE]; /* "cannot sync 'leaders/dispatcher': Stale file handle" */
	char cause[FSHA_CAUSE_SIZE]; /* that error in a line, "IO: cannot list ...", and what led
					to it in turn; "" when there was none. The message says
					all that a person needs without it */
} fsha_error;
#define FSHA_ERROR_INIT                                    \
	{                                                  \
		sizeof(fsha_error), 0, 0, 0, 0, "", "", "" \
	}

/**
 * The name of a result: "FENCED". "UNKNOWN" for a number that is none.
 *
 * Any thread; the string is static. Since 0.1.
 */
FSHA_API const char *fsha_result_name(int result);

/**
 * What a result means, as a short English phrase in lower case: "a newer leader exists".
 *
 * Any thread; the string is static. Since 0.1.
 */
FSHA_API const char *fsha_result_text(int result);

/** The version of the library that runs, such as "0.1.0". Static. Since 0.1. */
FSHA_API const char *fsha_library_version(void);

#ifdef __cplusplus
}
#endif
#endif
