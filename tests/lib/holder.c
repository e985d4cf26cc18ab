#include "tests/lib/holder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/election/claim.h"
#include "src/result/error.h"

static void die(const struct holder *h, const char *what)
{
	fail_msg("%s: %s\n%s", what, h->error.message, crashfs_log(h->disk));
}

fsha_result holder_try_start_reader(struct holder *h, struct crashfs *disk, unsigned client)
{
	fsha_config *config = fsha_config_create();
	fsha_result result;

	*h = (struct holder){ .disk = disk, .client = client, .error = FSHA_ERROR_INIT };
	h->fs = crashfs_client(disk, client);
	assert_non_null(config);
	result = fsha_config_set(config, FSHA_KEY_STORAGE_DIR, "/", &h->error);
	if (result == FSHA_OK)
		result = fsha_config_set(config, FSHA_KEY_CLUSTER_ID, "c", &h->error);
	if (result == FSHA_OK)
		result = fsha_config_set(config, FSHA_KEY_LEASE, "2 s", &h->error);
	if (result == FSHA_OK)
		result = services_open_with(h->fs, config, NULL, &h->services, &h->error);
	fsha_config_destroy(config);
	return result;
}

void holder_start_reader(struct holder *h, struct crashfs *disk, unsigned client)
{
	if (holder_try_start_reader(h, disk, client) != FSHA_OK)
		die(h, "cannot open the services");
}

fsha_result holder_try_join(struct holder *h)
{
	crashfs_advance(h->disk, 2 * HOLDER_LEASE_MS * FSU_NS_PER_MS);
	return member_join(&h->services->cluster, false, &h->services->member, &h->error);
}

static fsha_result claim(struct holder *h, const char *election, struct term **ret_term)
{
	struct fsha_services *s = h->services;
	struct claim q = {
		.cluster = &s->cluster,
		.election_fd = -1,
		.election = election,
		.member = &s->member->id,
		.lease = &s->member->lease,
	};
	struct fsu_list list;
	fsha_result result;
	int r;

	result = claim_open_election(&s->cluster, election, true, &q.election_fd, &h->error);
	if (result != FSHA_OK)
		return result;
	fsu_list_init(&list, h->fs);
	r = epoch_read(&s->cluster, q.election_fd, &list, &q.from);
	fsu_list_done(&list);
	result = r < 0 ? error_os(&h->error, r, "list", "cannot read the epoch file") :
			 claim_run(&q, ret_term, &h->error);
	(void)fsu_close(h->fs, q.election_fd);
	return result;
}

fsha_result holder_try_lead(struct holder *h, const char *election)
{
	struct attached_term *a;
	struct term *term = NULL;
	fsha_result result = claim(h, election, &term);

	if (result != FSHA_OK)
		return result;
	/* Takes part in a term that was just claimed. */
	a = fsu_alloc(h->fs, sizeof(*a));
	assert_non_null(a);
	a->term = term;
	a->next = h->services->attached;
	h->services->attached = a;
	if (!h->term)
		h->term = term;
	return FSHA_OK;
}

void holder_start(struct holder *h, struct crashfs *disk, unsigned client, const char *election)
{
	holder_start_reader(h, disk, client);
	if (holder_try_join(h) != FSHA_OK)
		die(h, "cannot join");
	holder_lead_too(h, election);
}

void holder_lead_too(struct holder *h, const char *election)
{
	if (holder_try_lead(h, election) != FSHA_OK)
		die(h, "cannot lead");
}

void holder_stop(struct holder *h)
{
	if (h->services && fsha_services_close(h->services, &h->error) != FSHA_OK)
		die(h, "cannot close the services");
	h->services = NULL;
	h->term = NULL;
}
