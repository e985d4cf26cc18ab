/* UUIDs, job ids, names of jobs' elections and resource versions as text. */
#include "fsha/election.h"

#include <stdbool.h>
#include <string.h>

#include "fsutil/fsu_uuid.h"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* 32 hex digits, with a dash at the usual places when `dashes`. */
static bool parse_16_bytes(const char *text, bool dashes, uint8_t *ret_bytes)
{
	uint8_t bytes[16];

	for (size_t i = 0; i < 16; i++) {
		int high, low;

		if (dashes && (i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
			return false;
		high = hex_digit(text[0]);
		low = high < 0 ? -1 : hex_digit(text[1]);
		if (low < 0)
			return false;
		bytes[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	if (*text)
		return false;
	memcpy(ret_bytes, bytes, sizeof(bytes));
	return true;
}

static bool all_zero(const uint8_t *bytes)
{
	for (size_t i = 0; i < 16; i++)
		if (bytes[i])
			return false;
	return true;
}

static char *format_16_bytes(const uint8_t *bytes, bool dashes, char *text)
{
	static const char digits[] = "0123456789abcdef";
	char *p = text;

	for (size_t i = 0; i < 16; i++) {
		if (dashes && (i == 4 || i == 6 || i == 8 || i == 10))
			*p++ = '-';
		*p++ = digits[bytes[i] >> 4];
		*p++ = digits[bytes[i] & 15];
	}
	*p = '\0';
	return text;
}

char *fsha_uuid_format(const fsha_uuid *uuid, char *text)
{
	return format_16_bytes(uuid->bytes, true, text);
}

fsha_result fsha_uuid_parse(const char *text, fsha_uuid *ret_uuid)
{
	if (!text || !ret_uuid)
		return FSHA_E_INVALID;
	if (parse_16_bytes(text, true, ret_uuid->bytes) ||
	    parse_16_bytes(text, false, ret_uuid->bytes))
		return FSHA_OK;
	return FSHA_E_INVALID;
}

int fsha_uuid_equal(const fsha_uuid *a, const fsha_uuid *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

int fsha_uuid_is_null(const fsha_uuid *uuid)
{
	return all_zero(uuid->bytes);
}

const fsha_uuid *fsha_default_leader_id(void)
{
	static const fsha_uuid id;

	return &id;
}

const fsha_job_id *fsha_default_job_id(void)
{
	static const fsha_job_id id;

	return &id;
}

char *fsha_job_id_format(const fsha_job_id *id, char *text)
{
	return format_16_bytes(id->bytes, false, text);
}

char *fsha_job_election_name(const fsha_job_id *id, char *text)
{
	fsha_job_id_format(id, stpcpy(text, "job-"));
	return text;
}

fsha_result fsha_job_id_parse(const char *text, fsha_job_id *ret_id)
{
	if (!text || !ret_id || !parse_16_bytes(text, false, ret_id->bytes))
		return FSHA_E_INVALID;
	return FSHA_OK;
}

char *fsha_version_format(const fsha_version *version, char *text)
{
	fsu_hex_format(version->epoch, 16, text);
	text[16] = '.';
	fsu_hex_format(version->sequence, 16, text + 17);
	text[33] = '.';
	fsu_hex_format(version->seat, 4, text + 34);
	return text;
}

fsha_result fsha_version_parse(const char *text, fsha_version *ret_version)
{
	fsha_version version = { 0 };
	uint64_t seat;

	if (!text || !ret_version || strlen(text) != FSHA_VERSION_TEXT - 1 || text[16] != '.' ||
	    text[33] != '.')
		return FSHA_E_INVALID;
	if (fsu_hex_parse(text, 16, &version.epoch) < 0 ||
	    fsu_hex_parse(text + 17, 16, &version.sequence) < 0 ||
	    fsu_hex_parse(text + 34, 4, &seat) < 0)
		return FSHA_E_INVALID;
	version.seat = (uint16_t)seat;
	*ret_version = version;
	return FSHA_OK;
}

int fsha_version_compare(const fsha_version *a, const fsha_version *b)
{
	if (a->epoch != b->epoch)
		return a->epoch < b->epoch ? -1 : 1;
	if (a->sequence != b->sequence)
		return a->sequence < b->sequence ? -1 : 1;
	if (a->seat != b->seat)
		return a->seat < b->seat ? -1 : 1;
	return 0;
}

int fsha_version_is_existing(const fsha_version *version)
{
	/* No term writes sequence 0, and settings are written under epoch 0. */
	return version->sequence != 0;
}
