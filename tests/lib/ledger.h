/*
 * All that a cluster holds, as one of its processes reads it: each value of each store with its
 * version, what leaders/ tells of each election, and which cluster it is. Two of them can be
 * compared, so that a test need not know what its operation writes to tell whether all of it is
 * there.
 */
#ifndef TESTS_LEDGER_H
#define TESTS_LEDGER_H

#include "fsutil/fsu_path.h"
#include "src/maintenance/area.h"
#include "tests/lib/holder.h"

#define LEDGER_NAME_SIZE (AREA_DIRECTORY_SIZE + FSU_COMPONENT_MAX + 2)

struct ledger_entry {
	char name[LEDGER_NAME_SIZE]; /* "state/ns/key", "leaders/dispatcher", "SETTINGS" */
	const struct area *area;     /* NULL: no value of a store */
	char election[FSU_COMPONENT_MAX + 1];
	fsha_version version;
	enum name_form form;
	bool damaged;    /* it cannot be read */
	uint64_t digest; /* of its bytes */
};

/* Begins as all zeros. */
struct ledger {
	struct ledger_entry *at; /* sorted by name */
	size_t count, size;
	uint64_t digest;
};

/*
 * What `h` reads; `existed`: there was a cluster before it came. A value that a listing shows and
 * nobody finds is an error.
 */
fsha_result ledger_read(struct ledger *ledger, struct holder *h, bool existed);
void ledger_done(struct ledger *ledger);
/* NULL: there is none. */
const struct ledger_entry *ledger_find(const struct ledger *ledger, const char *name);
bool ledger_entry_same(const struct ledger_entry *a, const struct ledger_entry *b);
/*
 * Each store that the cluster has, flat or nested, as it is opened: until one returns something
 * else than FSHA_OK.
 */
typedef fsha_result ledger_visit(void *ctx, struct holder *h, const struct area *area,
				 const struct store_options *options);
fsha_result ledger_each_store(struct holder *h, ledger_visit *visit, void *ctx);
/*
 * All that a leader does in the background for what it leads, as if enough time went by for each:
 * old versions, tombstones, packs, trash. Nothing of it changes a ledger.
 */
fsha_result ledger_clean(struct holder *h);

#endif
