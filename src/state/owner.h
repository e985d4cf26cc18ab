/*
 * Whose directory it is: state/<namespace>/@owner~<v> (and so in checkpoints/<job> and blobs/<job>)
 * names the election whose leaders may write there. The directory is built in the tenure with its
 * owner inside and renamed into place, so it is never seen without one, and making it is fenced
 * like every write.
 */
#ifndef SRC_STATE_OWNER_H
#define SRC_STATE_OWNER_H

#include "src/election/term.h"

#define OWNER_KEY "@owner"

/* The payload of an owner record into FSU_COMPONENT_MAX + 1 bytes. */
int owner_decode(const uint8_t *buf, size_t len, char *ret_owner);
/*
 * FSHA_OK: `election` owns it. FSHA_E_CONFIG: another does, both named. FSHA_E_CORRUPT: there is no
 * telling; `*ret_empty` (may be NULL, else it is false before) because the directory is empty.
 */
fsha_result owner_check(const struct cluster *c, int dir_fd, const char *directory,
			const char *election, bool *ret_empty, fsha_error *reterr);
/* Whose it is, into FSU_COMPONENT_MAX + 1 bytes. NOT_FOUND: there is no such directory. */
fsha_result owner_of(const struct cluster *c, const char *directory, char *ret_owner,
		     fsha_error *reterr);
/*
 * Make `directory`, which lies at `path`, for the election of the term. FSHA_OK also when it is
 * there by now: the caller checks.
 */
fsha_result owner_make_directory(struct term *term, const char *directory, const char *path,
				 fsha_error *reterr);

#endif
