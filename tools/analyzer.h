/*
 * For the static analyzers only, which look at one file at a time and so cannot know that these
 * functions never return FSHA_OK: without it they follow paths where a result was not written and
 * yet "no error" came back. `make lint` includes it before every file of src/ that may use them.
 */
#ifndef TOOLS_ANALYZER_H
#define TOOLS_ANALYZER_H

#include "src/result/error.h"

static inline fsha_result analyzer_failed(fsha_result ignored, fsha_result result)
{
	(void)ignored;
	return result;
}

#define error_set(reterr, result, ...) \
	analyzer_failed(error_set(reterr, result, __VA_ARGS__), result)
#define error_wrap(reterr, result, ...) \
	analyzer_failed(error_wrap(reterr, result, __VA_ARGS__), result)
#define error_os(...) analyzer_failed(error_os(__VA_ARGS__), FSHA_E_IO)

#endif
