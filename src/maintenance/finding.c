#include "src/maintenance/finding.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_SIZE 600

#define GC "nothing to do: the leader does it, or 'fsha gc'"
#define WAIT "nothing to do: it ends by itself"
#define LOOK "look at it; if nobody needs it, remove it"
#define REPAIR "run 'fsha repair'; it shows first what it would do"
#define BACKUP "stop all processes of the cluster and restore it from a backup"

static const struct finding_type types[FINDING_CODES] = {
	[FINDING_SETTINGS_MISSING] = { "settings-missing", FSHA_SEVERITY_CRITICAL, true, BACKUP },
	[FINDING_SETTINGS_DAMAGED] = { "settings-damaged", FSHA_SEVERITY_CRITICAL, true, BACKUP },
	[FINDING_FLOOR_MISSING] = { "floor-missing", FSHA_SEVERITY_CRITICAL, true,
				    "make an empty file floor-<16 hex digits> whose number is at "
				    "least the highest epoch of all elections" },
	[FINDING_FLOOR_SEVERAL] = { "floor-several", FSHA_SEVERITY_WARNING, true,
				    "remove all but the one with the highest number" },
	[FINDING_DIRECTORY_MISSING] = { "directory-missing", FSHA_SEVERITY_ERROR, true,
					"put it back, or restore a backup, which makes a "
					"directory of values anew; if it is known to have been "
					"empty, make it, with the owner and mode of its "
					"neighbours" },
	[FINDING_WRONG_TYPE] = { "wrong-type", FSHA_SEVERITY_ERROR, true,
				 "move it away by hand; nothing of fsha's is there" },
	[FINDING_UNREADABLE] = { "unreadable", FSHA_SEVERITY_ERROR, true,
				 "check the permissions, the mount and the disk" },
	[FINDING_EXPOSED] = { "exposed", FSHA_SEVERITY_ERROR, false,
			      "take the right away (chmod o-w), and look at what is in it" },
	[FINDING_FOREIGN_OWNER] = { "foreign-owner", FSHA_SEVERITY_ERROR, true,
				    "find out who put it there; chown it, or move it away" },
	[FINDING_UNKNOWN_NAME] = { "unknown-name", FSHA_SEVERITY_WARNING, true, LOOK },
	[FINDING_LEFTOVER] = { "leftover", FSHA_SEVERITY_INFO, true,
			       "nothing to do: somebody builds it, or 'fsha gc --watch' takes it "
			       "away" },
	[FINDING_NFS_LEFTOVER] = { "nfs-leftover", FSHA_SEVERITY_INFO, true,
				   "nothing to do: it goes when the last process on that host "
				   "closes it" },
	[FINDING_RECORD_DAMAGED] = { "record-damaged", FSHA_SEVERITY_ERROR, true, REPAIR },
	[FINDING_RECORD_FOREIGN] = { "record-foreign", FSHA_SEVERITY_ERROR, true, REPAIR },
	[FINDING_RECORD_NEWER] = { "record-newer", FSHA_SEVERITY_ERROR, true,
				   "upgrade fsha on this host" },
	[FINDING_OLD_RECORD_DAMAGED] = { "old-record-damaged", FSHA_SEVERITY_WARNING, true,
					 "a newer version is there: nothing is lost, but check the "
					 "disk" },
	[FINDING_VERSION_AHEAD] = { "version-ahead", FSHA_SEVERITY_CRITICAL, true,
				    "find out who put it there, or whether the storage was rolled "
				    "back; then run 'fsha repair'" },
	[FINDING_VERSION_TWICE] = { "version-twice", FSHA_SEVERITY_CRITICAL, true,
				    "find out who put one of the two there, and move it away by "
				    "hand" },
	[FINDING_OLD_VERSIONS] = { "old-versions", FSHA_SEVERITY_INFO, false, GC },
	[FINDING_TOMBSTONES] = { "tombstones", FSHA_SEVERITY_INFO, false, GC },
	[FINDING_MARKED] = { "marked", FSHA_SEVERITY_INFO, false,
			     "nothing to do: who removes them goes on with that; if nobody does, "
			     "run 'fsha repair'" },
	[FINDING_EPOCH_MISSING] = { "epoch-missing", FSHA_SEVERITY_CRITICAL, true, BACKUP },
	[FINDING_EPOCH_SEVERAL] = { "epoch-several", FSHA_SEVERITY_CRITICAL, true,
				    "stop all processes of the cluster and remove all epoch files "
				    "but the one with the highest number" },
	[FINDING_EPOCH_BELOW_FLOOR] = { "epoch-below-floor", FSHA_SEVERITY_WARNING, true,
					"restart its leader, so that it leads under a newer "
					"epoch" },
	[FINDING_ELECTION_RETIRED] = { "election-retired", FSHA_SEVERITY_INFO, true,
				       "run 'fsha gc', which was interrupted" },
	[FINDING_HOLDER_GONE] = { "holder-gone", FSHA_SEVERITY_INFO, true,
				  "nothing to do: the next contender takes over" },
	[FINDING_TENURE_MISSING] = { "tenure-missing", FSHA_SEVERITY_WARNING, true,
				     "restart its leader: it cannot write" },
	[FINDING_TENURE_LEFTOVER] = { "tenure-leftover", FSHA_SEVERITY_INFO, true,
				      "nothing to do: the next claim takes it away" },
	[FINDING_TENURE_BUSY] = { "tenure-busy", FSHA_SEVERITY_INFO, true,
				  "nothing to do: the next claim takes it away" },
	[FINDING_TRASH] = { "trash", FSHA_SEVERITY_INFO, false, GC },
	[FINDING_LEADER_BEHIND] = { "leader-behind", FSHA_SEVERITY_INFO, true, WAIT },
	[FINDING_OWNER_MISSING] = { "owner-missing", FSHA_SEVERITY_ERROR, true, REPAIR },
	[FINDING_OWNER_WRONG] = { "owner-wrong", FSHA_SEVERITY_ERROR, true,
				  "find out who wrote there; the right owner goes by the name of "
				  "the directory" },
	[FINDING_MEMBER_DEAD] = { "member-dead", FSHA_SEVERITY_INFO, true, GC },
	[FINDING_MEMBER_HALF_REMOVED] = { "member-half-removed", FSHA_SEVERITY_INFO, true, GC },
	[FINDING_BLOBS_ORPHANED] = { "blobs-orphaned", FSHA_SEVERITY_INFO, true,
				     "they may be those of a job that is about to be submitted; "
				     "else 'fsha gc --watch' or 'fsha gc --unknown-jobs'" },
	[FINDING_CHECKPOINTS_ORPHANED] = { "checkpoints-orphaned", FSHA_SEVERITY_INFO, true,
					   "clean the job up, if it is not to be started again" },
	[FINDING_QUARANTINED] = { "quarantined", FSHA_SEVERITY_WARNING, false,
				  "look at them and remove them" },
	[FINDING_NOT_TOLD] = { "not-told", FSHA_SEVERITY_WARNING, false,
			       "see to what is told, then look again" },
};

const char *fsha_severity_name(int severity)
{
	static const char *const names[FSHA_SEVERITIES] = { "info", "warning", "error",
							    "critical" };

	return severity >= 0 && severity < FSHA_SEVERITIES ? names[severity] : "unknown";
}

const struct finding_type *finding_type(enum finding_code code)
{
	assert(code >= 0);
	assert(code < FINDING_CODES);
	return &types[code];
}

void findings_init(struct findings *found, const struct fsu *fs)
{
	*found = (struct findings){ .fs = fs };
}

static void release(const struct findings *found, struct finding *f)
{
	fsu_release(found->fs, (void *)(uintptr_t)f->path);
}

void findings_done(struct findings *found)
{
	for (size_t i = 0; i < found->count; i++)
		release(found, &found->items[i]);
	fsu_release(found->fs, found->items);
	findings_init(found, found->fs);
}

/* Room for `more`. */
static bool reserve(struct findings *found, size_t more)
{
	size_t size = found->size ? 2 * found->size : 16;
	struct finding *items;

	if (found->count + more <= found->size)
		return true;
	if (size < found->count + more)
		size = found->count + more;
	items = fsu_resize(found->fs, found->items, size * sizeof(*items));
	if (!items) {
		found->out_of_memory = true;
		return false;
	}
	found->items = items;
	found->size = size;
	return true;
}

/*
 * Room for one of this severity: NULL when there is none. An INFO makes room for what is worse, for
 * there may be one of each job that ever ran.
 */
static struct finding *place_for(struct findings *found, fsha_severity severity)
{
	if (found->count < FSHA_FINDINGS_MAX)
		return reserve(found, 1) ? &found->items[found->count++] : NULL;
	for (; severity > FSHA_SEVERITY_INFO && found->firm < found->count; found->firm++) {
		struct finding *f = &found->items[found->firm];

		if (types[f->code].severity != FSHA_SEVERITY_INFO)
			continue;
		release(found, f);
		found->not_told[FSHA_SEVERITY_INFO]++;
		found->firm++;
		return f;
	}
	found->not_told[severity]++;
	return NULL;
}

static void add(struct findings *found, enum finding_code code, const char *path,
		const char *message, struct finding *place)
{
	const char *election = found->election ? found->election : "";
	size_t path_size = strlen(path) + 1, message_size = strlen(message) + 1;
	size_t election_size = strlen(election) + 1;
	char *text = fsu_alloc(found->fs, path_size + message_size + election_size);

	if (!text) {
		found->out_of_memory = true;
		*place = found->items[--found->count];
		return;
	}
	memcpy(text, path, path_size);
	memcpy(text + path_size, message, message_size);
	memcpy(text + path_size + message_size, election, election_size);
	*place = (struct finding){ code, text, text + path_size, text + path_size + message_size,
				   false };
}

void findings_add(struct findings *found, enum finding_code code, const char *path,
		  const char *format, ...)
{
	struct finding *place = place_for(found, types[code].severity);
	char message[MESSAGE_SIZE];
	va_list args;

	if (!place)
		return;
	va_start(args, format);
	(void)vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	add(found, code, path, message, place);
}

bool findings_doubtful(const struct findings *found)
{
	for (size_t i = 0; i < found->count; i++)
		if (types[found->items[i].code].again)
			return true;
	return false;
}

static int compare(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;
	int order = strcmp(x->path, y->path);

	return order ? order : (int)x->code - (int)y->code;
}

bool findings_has(const struct findings *sorted, const struct finding *f)
{
	return sorted->count > 0 &&
	       bsearch(f, sorted->items, sorted->count, sizeof(*f), compare) != NULL;
}

void findings_mark_told(struct findings *sorted, const char *path)
{
	size_t low = 0, high = sorted->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(sorted->items[middle].path, path) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < sorted->count && strcmp(sorted->items[low].path, path) == 0; low++)
		sorted->items[low].told = true;
}

bool findings_recovered(const struct findings *before, const struct findings *now)
{
	for (size_t i = 0; i < before->count; i++)
		if (before->items[i].code == FINDING_UNREADABLE &&
		    !findings_has(now, &before->items[i]))
			return true;
	return false;
}

void findings_confirm(struct findings *found, const struct findings *again)
{
	size_t n = 0;

	for (size_t i = 0; i < found->count; i++) {
		struct finding *f = &found->items[i];

		if (types[f->code].again && !findings_has(again, f))
			release(found, f);
		else
			found->items[n++] = *f;
	}
	found->count = n;
	found->firm = 0;
}

void findings_sort(struct findings *found)
{
	found->firm = 0;
	if (found->count > 1)
		qsort(found->items, found->count, sizeof(*found->items), compare);
}

void findings_take(struct findings *found, struct findings *from)
{
	for (size_t i = 0; i < from->count; i++) {
		struct finding *f = &from->items[i];
		struct finding *place = place_for(found, types[f->code].severity);

		if (place)
			*place = *f;
		else
			release(from, f);
	}
	for (size_t i = 0; i < FSHA_SEVERITIES; i++)
		found->not_told[i] += from->not_told[i];
	found->out_of_memory |= from->out_of_memory;
	from->count = 0;
	findings_done(from);
}

void findings_tell_of_the_rest(struct findings *found)
{
	struct finding *place;
	uint64_t n = 0;
	char message[MESSAGE_SIZE];

	for (size_t i = 0; i < FSHA_SEVERITIES; i++)
		n += found->not_told[i];
	if (n == 0)
		return;
	place = reserve(found, 1) ? &found->items[found->count++] : NULL;
	(void)snprintf(message, sizeof(message), "%llu more than the %d that are told",
		       (unsigned long long)n, FSHA_FINDINGS_MAX);
	if (place)
		add(found, FINDING_NOT_TOLD, "", message, place);
}
