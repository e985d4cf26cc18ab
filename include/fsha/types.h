/*
 * Small values that everything shares: UUIDs, resource versions, job ids.
 */
#ifndef FSHA_TYPES_H
#define FSHA_TYPES_H

#include "fsha/result.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FSHA_NAME_MAX 200     /* bytes of a name once encoded for the disk */
#define FSHA_ADDRESS_MAX 1023 /* bytes of a leader's address */
#define FSHA_UUID_TEXT 37     /* bytes of a UUID as text, with the terminator */
#define FSHA_HEX_ID_TEXT 33   /* bytes of 32 hex digits, with the terminator */
#define FSHA_VERSION_TEXT 39  /* bytes of a resource version as text, with the terminator */

/** A UUID. All zero means "none" (and is Flink's DEFAULT_LEADER_ID). */
typedef struct fsha_uuid {
	uint8_t bytes[16];
} fsha_uuid;

/** A job id: 16 bytes, written as 32 hex digits. All zero is Flink's DEFAULT_JOB_ID. */
typedef struct fsha_job_id {
	uint8_t bytes[16];
} fsha_job_id;

/**
 * The version of a record: by whom (epoch of the term, seat among the processes that share it) and
 * in which order (sequence) it was written. Versions of one name only grow, across leaders and
 * across removal and re-creation. All zero means "does not exist" (Flink: the resource version -1
 * of `exists`).
 */
typedef struct fsha_version {
	uint64_t epoch;
	uint64_t sequence;
	uint16_t seat;
	uint16_t reserved0;
	uint32_t reserved1;
} fsha_version;

/**
 * "8-4-4-4-12" hex digits into `text` of FSHA_UUID_TEXT bytes. Returns `text`. Any thread. Since
 * 0.1.
 */
FSHA_API char *fsha_uuid_format(const fsha_uuid *uuid, char *text);
/**
 * Accepts the dashed form and 32 plain hex digits, upper or lower case. FSHA_OK or
 * FSHA_E_INVALID. Since 0.1.
 */
FSHA_API fsha_result fsha_uuid_parse(const char *text, fsha_uuid *ret_uuid);
/** 1 when equal. Since 0.1. */
FSHA_API int fsha_uuid_equal(const fsha_uuid *a, const fsha_uuid *b);
/** 1 when all zero. Since 0.1. */
FSHA_API int fsha_uuid_is_null(const fsha_uuid *uuid);

/**
 * The session of every leader where nothing is elected (fsha_services_mode: standalone), all zero.
 * Flink: DEFAULT_LEADER_ID. Any thread. Static. Since 0.1.
 */
FSHA_API const fsha_uuid *fsha_default_leader_id(void);
#define FSHA_DEFAULT_LEADER_ID (*fsha_default_leader_id())
/** The job of a cluster that runs one and gave it no id, all zero. Flink: DEFAULT_JOB_ID. Any
 * thread. Static. Since 0.1. */
FSHA_API const fsha_job_id *fsha_default_job_id(void);
#define FSHA_DEFAULT_JOB_ID (*fsha_default_job_id())

/** 32 lower-case hex digits into `text` of FSHA_HEX_ID_TEXT bytes. Returns `text`. Since 0.1. */
FSHA_API char *fsha_job_id_format(const fsha_job_id *id, char *text);
/** Exactly 32 hex digits, upper or lower case. FSHA_OK or FSHA_E_INVALID. Since 0.1. */
FSHA_API fsha_result fsha_job_id_parse(const char *text, fsha_job_id *ret_id);

/**
 * "epoch.sequence.seat" in hex, 16, 16 and 4 digits, into `text` of FSHA_VERSION_TEXT bytes.
 * Since 0.1.
 */
FSHA_API char *fsha_version_format(const fsha_version *version, char *text);
/** The same form back. FSHA_OK or FSHA_E_INVALID. Since 0.1. */
FSHA_API fsha_result fsha_version_parse(const char *text, fsha_version *ret_version);
/** Less than, equal to or greater than 0, as a is older, the same, newer. Since 0.1. */
FSHA_API int fsha_version_compare(const fsha_version *a, const fsha_version *b);
/** 1 when the version says that something exists. Since 0.1. */
FSHA_API int fsha_version_is_existing(const fsha_version *version);

#ifdef __cplusplus
}
#endif
#endif
