/* What must hold in a state that a power cut has left. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/leader/leader.h"
#include "src/maintenance/verify.h"
#include "tests/lib/film_internal.h"
#include "tests/lib/sweep.h"

/* ---- What is there ---- */

/*
 * Leftovers are allowed. So is an epoch file without its tenure: a cut in the middle of a claim may
 * keep the swap and not the mkdir, and that nobody leads by it cannot be told at once when the cut
 * has taken what the member said of its lock; the next claim makes it good.
 */
static bool is_sound(const struct finding *f)
{
	return finding_type(f->code)->severity == FSHA_SEVERITY_INFO ||
	       f->code == FINDING_TENURE_MISSING;
}

/* It was damaged before the film began, by the test; or it has been taken away since. */
static bool was_damaged(const struct ledger *before, const struct finding *f)
{
	for (size_t i = 0; i < before->count; i++) {
		const struct ledger_entry *entry = &before->at[i];

		if (entry->damaged && (f->code == FINDING_QUARANTINED ||
				       (f->code == FINDING_RECORD_DAMAGED &&
					strncmp(f->path, entry->name, strlen(entry->name)) == 0)))
			return true;
	}
	return false;
}

static const char *verify(const struct film *film, struct holder *h)
{
	fsha_verify_summary summary = FSHA_VERIFY_SUMMARY_INIT;
	struct findings found;
	const char *wrong = NULL;
	fsha_result result;

	findings_init(&found, h->fs);
	result = verify_run(&h->services->cluster, NULL, false, &summary, &found, &h->error);
	if (result != FSHA_OK)
		wrong = sweep_say("verify: %s", h->error.message);
	for (size_t i = 0; i < found.count && !wrong; i++) {
		const struct finding *f = &found.items[i];

		if (!is_sound(f) && !was_damaged(&film->ledgers[0], f))
			wrong = sweep_say("verify: %s '%s': %s", finding_type(f->code)->name,
					  f->path, f->message);
	}
	findings_done(&found);
	return wrong;
}

/* May the key be as `seen` (NULL: absent) in a state between these ledgers? */
static bool is_allowed(const struct ledger *const *ledgers, size_t n, const char *name,
		       const struct ledger_entry *seen)
{
	for (size_t i = 0; i < n; i++) {
		const struct ledger_entry *entry = ledger_find(ledgers[i], name);

		if (seen ? entry && ledger_entry_same(entry, seen) : !entry)
			return true;
	}
	return false;
}

/* The middle of a removal in two steps: the value as it was, marked by a higher version. */
static bool is_mark_between(const struct ledger *low, const struct ledger *high,
			    const struct ledger_entry *seen)
{
	const struct ledger_entry *entry = ledger_find(low, seen->name);

	return seen->form == NAME_MARKED && entry && entry->digest == seen->digest &&
	       fsha_version_compare(&entry->version, &seen->version) < 0 &&
	       !ledger_find(high, seen->name);
}

struct expected {
	const struct ledger *low, *high;
	const struct ledger *loose[8]; /* what the loose key may be, besides */
	size_t n_loose;
	const char *loose_name;
	bool atomic;
};

static const char *check_key(const struct expected *e, const char *name,
			     const struct ledger_entry *seen)
{
	const struct ledger *const sides[2] = { e->low, e->high };

	if (is_allowed(sides, 2, name, seen))
		return NULL;
	if (seen && is_mark_between(e->low, e->high, seen))
		return NULL;
	if (e->loose_name[0] && strncmp(name, e->loose_name, strlen(e->loose_name)) == 0 &&
	    is_allowed(e->loose, e->n_loose, name, seen))
		return NULL;
	if (!seen)
		return sweep_say("'%s' is gone", name);
	return sweep_say("'%s' is what it was neither before nor after (version %llu.%llu)", name,
			 (unsigned long long)seen->version.epoch,
			 (unsigned long long)seen->version.sequence);
}

static const char *compare(const struct expected *e, const struct ledger *seen)
{
	const struct ledger *const sides[2] = { e->low, e->high };
	const char *wrong = NULL;

	if (e->atomic && seen->digest != e->low->digest && seen->digest != e->high->digest)
		return "a part of what is to come as a whole is there";
	for (size_t i = 0; i < seen->count && !wrong; i++)
		wrong = check_key(e, seen->at[i].name, &seen->at[i]);
	for (size_t k = 0; k < 2; k++)
		for (size_t i = 0; i < sides[k]->count && !wrong; i++)
			if (!ledger_find(seen, sides[k]->at[i].name))
				wrong = check_key(e, sides[k]->at[i].name, NULL);
	return wrong;
}

static struct expected expect(const struct film *film, const struct film_frame *frame)
{
	struct expected e = {
		.low = film_low(film, frame),
		.high = film_high(film, frame),
		.loose_name = frame->loose,
		.atomic = frame->atomic,
	};

	for (size_t i = frame->loose_from; frame->loose[0] && i < film->n_ledgers && e.n_loose < 8;
	     i++)
		e.loose[e.n_loose++] = &film->ledgers[i];
	return e;
}

/* ---- Who comes next ---- */

static const char *lead(const struct film *film, const struct film_frame *frame, struct holder *h)
{
	const char *const *elections = film->options.elections;

	if (holder_try_join(h) != FSHA_OK)
		return sweep_say("cannot join: %s", h->error.message);
	for (size_t i = 0; elections[i]; i++) {
		struct term *term;
		uint64_t epoch;

		if (holder_try_lead(h, elections[i]) != FSHA_OK)
			return sweep_say("cannot lead '%s': %s", elections[i], h->error.message);
		term = services_term(h->services, elections[i]);
		epoch = term->epoch.number;
		term_unref(term);
		if (epoch <= frame->epochs[i])
			return sweep_say("epoch %llu of '%s' is granted a second time",
					 (unsigned long long)epoch, elections[i]);
	}
	return NULL;
}

/* A value for a key that the operation was about to change; whatever is there has a lower version.
 */
static const char *write_key(struct holder *h, const struct expected *e,
			     const struct ledger_entry *entry)
{
	const struct ledger *const sides[2] = { e->low, e->high };
	struct store_options options = { .election = entry->election };
	char directory[LEDGER_NAME_SIZE];
	fsha_version version = { 0 };
	struct store *store;
	fsha_result result;

	(void)snprintf(directory, sizeof(directory), "%.*s",
		       (int)(strrchr(entry->name, '/') - entry->name), entry->name);
	options.directory = directory;
	area_store_options(entry->area, NULL, &options);
	options.kind = entry->area->kind;
	if (services_store_open(h->services, &options, &store, &h->error) != FSHA_OK)
		return sweep_say("cannot open '%s': %s", directory, h->error.message);
	result = store_write(store, STORE_PUT, strrchr(entry->name, '/') + 1, NULL, "next", 4,
			     &version, &h->error);
	services_store_close(h->services, store);
	if (result != FSHA_OK)
		return sweep_say("cannot write '%s': %s", entry->name, h->error.message);
	for (size_t k = 0; k < 2; k++) {
		const struct ledger_entry *before = ledger_find(sides[k], entry->name);

		if (before && fsha_version_compare(&before->version, &version) >= 0)
			return sweep_say("the version of '%s' goes back", entry->name);
	}
	return NULL;
}

static bool leads(struct holder *h, const char *election)
{
	struct term *term = services_term(h->services, election);

	term_unref(term);
	return term != NULL;
}

static const char *write_all(struct holder *h, const struct expected *e, const struct ledger *seen)
{
	const char *wrong = NULL;

	for (struct attached_term *a = h->services->attached; a && !wrong; a = a->next)
		if (leader_publish(a->term, LEADER_CONFIRMED, "next", NULL, NULL, &h->error) !=
		    FSHA_OK)
			wrong = sweep_say("the next leader cannot publish: %s", h->error.message);
	for (size_t i = 0; i < seen->count && !wrong; i++) {
		const struct ledger_entry *entry = &seen->at[i];
		const struct ledger_entry *low = ledger_find(e->low, entry->name);
		const struct ledger_entry *high = ledger_find(e->high, entry->name);
		bool steady = low && high && ledger_entry_same(low, high);

		if (!steady && entry->area && !entry->area->format && entry->form == NAME_VALUE &&
		    leads(h, entry->election))
			wrong = write_key(h, e, entry);
	}
	return wrong;
}

static const char *stop(struct holder *h, const char *wrong)
{
	struct crashfs *disk = h->disk;

	if (wrong) /* and leave the rest to the test that fails */
		return wrong;
	holder_stop(h);
	if (crashfs_open_fds(disk, FILM_CLIENT) > 0)
		return "the next leader leaves descriptors open";
	if (crashfs_bytes_allocated(disk) > 0)
		return "the next leader leaves memory";
	return NULL;
}

/* ---- The recovery is cut too ---- */

struct second_cut {
	uint64_t at;
	struct crashfs *disk, *frame; /* NULL: not yet */
};

static void cut_when_it_is_time(void *ctx, enum crashfs_call call, const char *path,
				unsigned client)
{
	struct second_cut *cut = ctx;

	(void)call;
	(void)path;
	(void)client;
	if (!cut->frame && cut->at-- == 0)
		cut->frame = crashfs_fork(cut->disk);
}

static const char *clean_up(struct holder *h)
{
	lease_begin(&h->services->member->lease, fsu_now_ns(h->fs), 3600 * FSU_NS_PER_S);
	return ledger_clean(h) == FSHA_OK ? NULL : sweep_say("cannot clean: %s", h->error.message);
}

/* Reads what is there, once more, and compares it with what was there before. */
static const char *read_again(const struct film *film, const struct film_frame *frame,
			      struct crashfs *after, const struct ledger *before, bool clean)
{
	const struct expected e = { .low = before, .high = before, .loose_name = "" };
	struct ledger seen = { 0 };
	struct holder h;
	const char *wrong = NULL;

	if (holder_try_start_reader(&h, after, FILM_CLIENT) != FSHA_OK)
		wrong = sweep_say("cannot open: %s", h.error.message);
	if (!wrong)
		wrong = verify(film, &h);
	if (!wrong)
		wrong = lead(film, frame, &h);
	if (!wrong && clean)
		wrong = clean_up(&h);
	if (!wrong && ledger_read(&seen, &h, true) != FSHA_OK)
		wrong = sweep_say("cannot read: %s", h.error.message);
	if (!wrong)
		wrong = compare(&e, &seen);
	ledger_done(&seen);
	return stop(&h, wrong);
}

static const char *cut_again(const struct film *film, const struct film_frame *frame,
			     struct crashfs *disk, const struct ledger *before, uint64_t draw)
{
	struct second_cut cut = { .at = draw % 2000, .disk = disk };
	const char *wrong;

	film_totals.again++;
	crashfs_hook_set(disk, cut_when_it_is_time, &cut);
	wrong = read_again(film, frame, disk, before, true);
	crashfs_hook_set(disk, NULL, NULL);
	if (!wrong && cut.frame) {
		crashfs_crash(cut.frame, draw);
		crashfs_recover(cut.frame);
		wrong = read_again(film, frame, cut.frame, before, false);
	}
	crashfs_destroy(cut.frame);
	return wrong;
}

/* ---- All of it ---- */

const char *film_check(struct film *film, const struct film_frame *frame, struct crashfs *after,
		       uint64_t draw)
{
	const struct expected e = expect(film, frame);
	bool existed = crashfs_exists(after, "/c");
	bool again = film->options.again > 0 && draw % film->options.again == 0 && existed;
	struct crashfs *copy = again ? crashfs_fork(after) : NULL;
	struct ledger seen = { 0 };
	const char *wrong = NULL;
	struct holder h;

	if (holder_try_start_reader(&h, after, FILM_CLIENT) != FSHA_OK)
		wrong = sweep_say("cannot open: %s", h.error.message);
	if (!wrong)
		wrong = verify(film, &h);
	if (!wrong)
		wrong = lead(film, frame, &h);
	if (!wrong && ledger_read(&seen, &h, existed) != FSHA_OK)
		wrong = sweep_say("cannot read: %s", h.error.message);
	if (!wrong)
		wrong = compare(&e, &seen);
	if (!wrong)
		wrong = write_all(&h, &e, &seen);
	wrong = stop(&h, wrong);
	if (!wrong && again)
		wrong = cut_again(film, frame, copy, &seen, draw / (film->options.again + 1));
	crashfs_destroy(copy);
	ledger_done(&seen);
	return wrong;
}
