/* What the files behind fsha/state.h share. */
#ifndef SRC_STATE_STATE_STORE_H
#define SRC_STATE_STATE_STORE_H

#include "fsutil/fsu_path.h"
#include "src/services/services.h"
#include "src/state/store.h"

struct fsha_state_store {
	struct fsha_services *services;
	struct store *store;
	fsha_discard_fn discard; /* NULL: values point to nothing */
	void *discard_ctx;
};

/*
 * A user's name, of FSU_COMPONENT_MAX + 1 bytes at most once encoded. INVALID says what is wrong
 * with `what`.
 */
fsha_result state_store_encode(const char *what, const char *name, char *ret_component,
			       fsha_error *reterr);

#endif
