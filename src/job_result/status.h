/* The names of how a job ended. */
#ifndef SRC_JOB_RESULT_STATUS_H
#define SRC_JOB_RESULT_STATUS_H

#include <stdbool.h>
#include <stdint.h>

bool status_is_application(int32_t status);

#endif
