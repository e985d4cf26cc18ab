#include "src/job_result/status.h"

#include "fsha/job_result.h"
#include "src/result/word.h"

static const char *const names[] = {
	[FSHA_APPLICATION_UNKNOWN] = "UNKNOWN",
	[FSHA_APPLICATION_SUCCEEDED] = "SUCCEEDED",
	[FSHA_APPLICATION_FAILED] = "FAILED",
	[FSHA_APPLICATION_CANCELED] = "CANCELED",
};
#define NAMES ((int32_t)(sizeof(names) / sizeof(names[0])))

bool status_is_application(int32_t status)
{
	return status >= 0 && status < NAMES;
}

const char *fsha_application_status_name(int status)
{
	return names[status_is_application(status) ? status : FSHA_APPLICATION_UNKNOWN];
}

fsha_result fsha_application_status_parse(const char *text, int32_t *ret_status)
{
	for (int32_t i = 0; text && ret_status && i < NAMES; i++)
		if (word_equal(text, names[i])) {
			*ret_status = i;
			return FSHA_OK;
		}
	return FSHA_E_INVALID;
}
