#include "src/member/lease.h"

#include <assert.h>
#include <errno.h>

#include "fsha/term.h"
#include "fsutil/fsu_page.h"

int lease_init(struct lease *lease, const struct fsu *fs, const struct fsu_uuid *member,
	       bool shared)
{
	void *page;
	int r;

	*lease = (struct lease){ .fs = fs, .fd = -1, .writable = true };
	lease->page = &lease->private_page;
	if (shared) {
		r = fsu_page_create(sizeof(struct lease_page), &lease->fd, &page);
		if (r < 0)
			return r;
		lease->page = page;
	}
	lease->page->member = *member;
	atomic_store(&lease->page->deadline_ns, INT64_MIN);
	atomic_store(&lease->page->expired, 1);
	lease->page->magic = LEASE_MAGIC;
	return 0;
}

int lease_attach(struct lease *lease, const struct fsu *fs, const char *path)
{
	const void *page;
	int fd, r;

	fd = fsu_page_open(path);
	if (fd < 0)
		return -ESTALE;
	r = fsu_page_map(fd, sizeof(struct lease_page), &page);
	fsu_fd_close(fd);
	if (r < 0)
		return r == -EINVAL ? -ESTALE : r;
	if (((const struct lease_page *)page)->magic != LEASE_MAGIC) {
		fsu_page_unmap(page, sizeof(struct lease_page));
		return -ESTALE;
	}
	*lease = (struct lease){ .fs = fs, .fd = -1 };
	lease->page = (struct lease_page *)(uintptr_t)page;
	return 0;
}

void lease_done(struct lease *lease)
{
	if (lease->page && lease->page != &lease->private_page)
		fsu_page_unmap(lease->page, sizeof(struct lease_page));
	fsu_fd_close(lease->fd);
	lease->page = NULL;
	lease->fd = -1;
}

void lease_begin(struct lease *lease, int64_t start_ns, int64_t length_ns)
{
	assert(lease->writable);
	assert(length_ns > 0);
	atomic_store(&lease->page->deadline_ns, start_ns + length_ns);
	atomic_store(&lease->page->expired, 0);
}

bool lease_is_alive(struct lease *lease)
{
	struct lease_page *page = lease->page;

	if (atomic_load(&page->expired))
		return false;
	if (fsu_now_ns(lease->fs) < atomic_load(&page->deadline_ns))
		return true;
	/* Once anybody saw it run out it stays so, even if a late heartbeat would say otherwise. */
	if (lease->writable)
		atomic_store(&page->expired, 1);
	return false;
}

bool lease_renew(struct lease *lease, int64_t start_ns, int64_t length_ns)
{
	assert(lease->writable);
	if (!lease_is_alive(lease))
		return false;
	/*
	 * If this thread is stopped here for long, the new deadline is past by the time it is
	 * stored.
	 */
	if (start_ns + length_ns > atomic_load(&lease->page->deadline_ns))
		atomic_store(&lease->page->deadline_ns, start_ns + length_ns);
	return true;
}

void lease_expire(struct lease *lease)
{
	assert(lease->writable);
	atomic_store(&lease->page->expired, 1);
}

int64_t lease_deadline_ns(const struct lease *lease)
{
	return atomic_load(&lease->page->expired) ? INT64_MIN :
						    atomic_load(&lease->page->deadline_ns);
}

/* ---- fsha/term.h: the page alone, for guards ---- */

const fsha_lease *fsha_lease_map(int fd)
{
	const void *page;

	if (fsu_page_map(fd, sizeof(struct lease_page), &page) < 0)
		return NULL;
	if (((const struct lease_page *)page)->magic != LEASE_MAGIC) {
		fsu_page_unmap(page, sizeof(struct lease_page));
		return NULL;
	}
	return page;
}

void fsha_lease_unmap(const fsha_lease *lease)
{
	fsu_page_unmap(lease, sizeof(struct lease_page));
}

int64_t fsha_lease_remaining_ns(const fsha_lease *lease)
{
	const struct lease_page *page = (const struct lease_page *)lease;

	if (atomic_load(&page->expired))
		return 0;
	return atomic_load(&page->deadline_ns) - fsu_now_ns(&fsu_posix);
}
