#include "fsutil/fsu_mount.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#ifdef STATX_MNT_ID
#define STAT_MASK (STATX_TYPE | STATX_MNT_ID)
#else
#define STAT_MASK STATX_TYPE
#endif
#define PROC_SIZE_MIN ((size_t)64 << 10)
#define PROC_SIZE_MAX ((size_t)16 << 20)

/*
 * Names as in /proc/filesystems, numbers as statfs(2) lists them. The number of what lies under
 * FUSE says nothing.
 */
#define FUSE_MAGIC 0x65735546u
static const struct known {
	const char *type;
	uint32_t magic;
	enum fsu_mount_kind kind;
} known[] = {
	{ "ext4", 0xef53, FSU_MOUNT_LOCAL },
	{ "ext3", 0xef53, FSU_MOUNT_LOCAL },
	{ "ext2", 0xef53, FSU_MOUNT_LOCAL },
	{ "xfs", 0x58465342, FSU_MOUNT_LOCAL },
	{ "btrfs", 0x9123683e, FSU_MOUNT_LOCAL },
	{ "tmpfs", 0x01021994, FSU_MOUNT_LOCAL },
	{ "ramfs", 0x858458f6, FSU_MOUNT_LOCAL },
	{ "f2fs", 0xf2f52010, FSU_MOUNT_LOCAL },
	{ "zfs", 0x2fc12fc1, FSU_MOUNT_LOCAL },
	{ "bcachefs", 0xca451a4e, FSU_MOUNT_LOCAL },
	{ "jfs", 0x3153464a, FSU_MOUNT_LOCAL },
	{ "reiserfs", 0x52654973, FSU_MOUNT_LOCAL },
	{ "nilfs2", 0x3434, FSU_MOUNT_LOCAL },
	{ "nfs4", 0x6969, FSU_MOUNT_NFS },
	{ "nfs", 0x6969, FSU_MOUNT_NFS },
	{ "ceph", 0x00c36400, FSU_MOUNT_CEPH },
	{ "fuse.ceph-fuse", FUSE_MAGIC, FSU_MOUNT_CEPH_FUSE },
	{ "fuse.ceph", FUSE_MAGIC, FSU_MOUNT_CEPH_FUSE },
	{ "overlay", 0x794c7630, FSU_MOUNT_OVERLAY },
};

static const struct known *known_by_type(const char *type)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].type, type) == 0)
			return &known[i];
	return NULL;
}

static const struct known *known_by_magic(uint32_t magic)
{
	for (size_t i = 0; magic != FUSE_MAGIC && i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].magic == magic)
			return &known[i];
	return NULL;
}

/* ---- Text of /proc ---- */

typedef ssize_t proc_reader(const struct fsu *fs, char *buf, size_t len);

/* All of it, terminated. The size of such a file is not known before. */
static int read_text(const struct fsu *fs, proc_reader *reader, char **ret_text)
{
	for (size_t size = PROC_SIZE_MIN; size <= PROC_SIZE_MAX; size *= 2) {
		char *text = fsu_alloc(fs, size);
		ssize_t n;

		if (!text)
			return -ENOMEM;
		n = reader(fs, text, size - 1);
		assert(n < (ssize_t)size);
		if (n >= 0 && (size_t)n < size - 1) {
			text[n] = '\0';
			*ret_text = text;
			return 0;
		}
		fsu_release(fs, text);
		if (n < 0)
			return (int)n;
	}
	return -EFBIG;
}

/* Blanks and backslashes stand as \ooo (proc(5)). What does not fit is cut off. */
static void unescape(const char *text, char *out, size_t size)
{
	size_t n = 0;

	for (const char *p = text; *p && n + 1 < size; p++) {
		bool octal = p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' &&
			     p[2] <= '7' && p[3] >= '0' && p[3] <= '7';

		if (octal)
			out[n++] = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
		else
			out[n++] = *p;
		p += octal ? 3 : 0;
	}
	out[n] = '\0';
}

/* The value of an option in a list with commas; "" for one without; NULL when it is not there. */
static const char *option(const char *options, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = options; *p; p += strcspn(p, ","), p += *p == ',') {
		if (strncmp(p, name, len) != 0)
			continue;
		if (p[len] == '=')
			return p + len + 1;
		if (p[len] == ',' || p[len] == '\0')
			return p + len;
	}
	return NULL;
}

static bool option_is(const char *options, const char *name, const char *value)
{
	const char *is = option(options, name);

	return is && strcspn(is, ",") == strlen(value) && strncmp(is, value, strlen(value)) == 0;
}

/* ---- mountinfo ---- */

/* One line of proc(5), /proc/pid/mountinfo, cut into its fields. */
struct mount_line {
	uint64_t id;
	unsigned major, minor;
	const char *target;  /* escaped, as mountstats writes it too */
	const char *options; /* of this mount */
	const char *type;
	const char *source;
	const char *super_options;
};

static bool parse_number(const char *text, char end, uint64_t *ret_value, const char **ret_rest)
{
	char *rest;

	if (text[0] < '0' || text[0] > '9')
		return false;
	*ret_value = strtoull(text, &rest, 10);
	if (*rest != end)
		return false;
	if (ret_rest)
		*ret_rest = rest + (end != '\0');
	return true;
}

static bool parse_line(char *text, struct mount_line *ret_line)
{
	char *fields[6], *rest = text, *field;
	uint64_t id, major, minor;
	const char *p;

	/* A source may be empty, so two blanks are not one. */
	for (size_t i = 0; i < 6; i++) {
		fields[i] = strsep(&rest, " ");
		if (!fields[i])
			return false;
	}
	/* Optional fields, up to a lone dash. */
	do
		field = strsep(&rest, " ");
	while (field && strcmp(field, "-") != 0);
	if (!field || !parse_number(fields[0], '\0', &id, NULL) ||
	    !parse_number(fields[2], ':', &major, &p) || !parse_number(p, '\0', &minor, NULL))
		return false;
	*ret_line = (struct mount_line){
		.id = id,
		.major = (unsigned)major,
		.minor = (unsigned)minor,
		.target = fields[4],
		.options = fields[5],
		.type = strsep(&rest, " "),
		.source = strsep(&rest, " "),
		.super_options = strsep(&rest, " "),
	};
	return ret_line->super_options != NULL;
}

/*
 * Is it the mount that a directory was reached by? Its number is exact; kernels before 5.8 do not
 * tell it, and then it is the last line of the same device (mounts stack).
 */
static bool is_line_of(const struct mount_line *line, const struct statx *st)
{
#ifdef STATX_MNT_ID
	if (st->stx_mask & STATX_MNT_ID)
		return line->id == st->stx_mnt_id;
#endif
	return line->major == st->stx_dev_major && line->minor == st->stx_dev_minor;
}

static bool find_line(char *text, const struct statx *st, struct mount_line *ret_line)
{
	bool found = false;
	char *rest = NULL;

	for (char *p = strtok_r(text, "\n", &rest); p; p = strtok_r(NULL, "\n", &rest)) {
		struct mount_line line;

		if (!parse_line(p, &line) || !is_line_of(&line, st))
			continue;
		*ret_line = line;
		found = true;
	}
	return found;
}

static void copy(char *out, size_t size, const char *text)
{
	size_t len = strnlen(text, size - 1);

	memcpy(out, text, len);
	out[len] = '\0';
}

static void take_line(struct fsu_mount *m, const struct mount_line *line)
{
	const char *options = line->super_options;
	const char *version = option(options, "vers");

	copy(m->type, sizeof(m->type), line->type);
	unescape(line->source, m->source, sizeof(m->source));
	unescape(line->target, m->target, sizeof(m->target));
	copy(m->options, sizeof(m->options), options);
	m->read_only = option(line->options, "ro") || option(options, "ro");
	m->soft = option(options, "soft") || option(options, "softerr");
	/* nfs(5): "all" and "posix" keep fcntl locks on this host; "flock" does not concern us. */
	m->locks_local = option(options, "nolock") || option_is(options, "local_lock", "all") ||
			 option_is(options, "local_lock", "posix");
	if (m->kind == FSU_MOUNT_NFS && version) {
		char *rest;

		m->nfs_version = (unsigned)strtoul(version, &rest, 10);
		if (*rest == '.')
			m->nfs_minor = (unsigned)strtoul(rest + 1, NULL, 10);
	}
}

/* ---- mountstats ---- */

/*
 * In /proc/self/mountstats, nfs_show_stats() of Linux writes for an NFSv4 mount
 *
 *     device SERVER:PATH mounted on TARGET with fstype nfs4 statvers=1.1
 *             nfsv4:  bm0=0x...,acl=0x3,sessions,...,lease_time=90,lease_expired=0
 *
 * with the time in seconds. Returns it in ms, or 0. Mounts stack: the last one counts.
 */
static uint32_t find_lease(char *text, const char *target)
{
	bool ours = false;
	uint32_t lease_ms = 0;
	char *rest = NULL;

	for (char *p = strtok_r(text, "\n", &rest); p; p = strtok_r(NULL, "\n", &rest)) {
		const char *seconds;
		uint64_t value;

		if (strncmp(p, "device ", 7) == 0) {
			const char *on = strstr(p, " mounted on ");
			size_t len = strlen(target);

			on = on ? on + strlen(" mounted on ") : "";
			ours = strncmp(on, target, len) == 0 && strncmp(on + len, " with ", 6) == 0;
			continue;
		}
		p += strspn(p, " \t");
		if (!ours || strncmp(p, "nfsv4:", 6) != 0)
			continue;
		p += 6;
		p += strspn(p, " \t");
		seconds = option(p, "lease_time");
		value = seconds ? strtoull(seconds, NULL, 10) : 0;
		lease_ms = value <= UINT32_MAX / 1000 ? (uint32_t)value * 1000 : 0;
	}
	return lease_ms;
}

static int read_lease(const struct fsu *fs, const struct mount_line *line, uint32_t *ret_lease_ms)
{
	char *text;
	int r;

	r = read_text(fs, fsu_mountstats, &text);
	if (r < 0)
		return r;
	*ret_lease_ms = find_lease(text, line->target);
	fsu_release(fs, text);
	return 0;
}

/* ---- The whole ---- */

/* By what the directory itself says, and by its line in mountinfo where that is about the same. */
static int identify(const struct fsu *fs, uint32_t magic, const struct statx *st,
		    struct fsu_mount *m)
{
	const struct known *by_magic = known_by_magic(magic);
	const struct known *by_type;
	struct mount_line line = { 0 };
	char *text;
	bool found;
	int r;

	m->kind = by_magic ? by_magic->kind : FSU_MOUNT_OTHER;
	copy(m->type, sizeof(m->type), by_magic ? by_magic->type : "unknown");
	r = read_text(fs, fsu_mountinfo, &text);
	if (r < 0)
		return r == -ENOMEM ? r : 0; /* no /proc: unknown is no error */

	found = find_line(text, st, &line);
	by_type = found ? known_by_type(line.type) : NULL;
	/* The wrong line: another mount has got the number since. */
	if (by_type && by_type->magic != magic)
		found = false;
	if (found) {
		if (!by_magic && by_type)
			m->kind = by_type->kind;
		take_line(m, &line);
	}
	r = 0;
	if (found && m->kind == FSU_MOUNT_NFS && m->nfs_version >= 4)
		r = read_lease(fs, &line, &m->lock_lease_ms);
	fsu_release(fs, text);
	return r == -ENOMEM ? r : 0;
}

int fsu_mount_identify(const struct fsu *fs, int dirfd, struct fsu_mount *ret_mount)
{
	struct fsu_mount m = { 0 };
	struct statfs fsys;
	struct statx st;
	int r;

	r = fsu_fstatfs(fs, dirfd, &fsys);
	if (r < 0)
		return r;
	r = fsu_statx(fs, dirfd, "", AT_EMPTY_PATH, STAT_MASK, &st);
	if (r < 0)
		return r;
	if (!S_ISDIR(st.stx_mode))
		return -ENOTDIR;
	r = identify(fs, (uint32_t)fsys.f_type, &st, &m);
	if (r < 0)
		return r;
	*ret_mount = m;
	return 0;
}

const char *fsu_mount_kind_name(enum fsu_mount_kind kind)
{
	switch (kind) {
	case FSU_MOUNT_LOCAL:
		return "local";
	case FSU_MOUNT_NFS:
		return "nfs";
	case FSU_MOUNT_CEPH:
		return "ceph";
	case FSU_MOUNT_CEPH_FUSE:
		return "ceph-fuse";
	case FSU_MOUNT_OVERLAY:
		return "overlay";
	case FSU_MOUNT_OTHER:
		break;
	}
	return "other";
}

bool fsu_mount_locks_cluster_wide(const struct fsu_mount *mount)
{
	switch (mount->kind) {
	case FSU_MOUNT_LOCAL:
	case FSU_MOUNT_OVERLAY: /* one kernel: everybody who sees the directory sees the lock */
		return true;
	case FSU_MOUNT_NFS:
		/* Without its options nobody knows where its locks go. */
		return mount->nfs_version > 0 && !mount->locks_local;
	case FSU_MOUNT_CEPH:
	case FSU_MOUNT_CEPH_FUSE:
		return !mount->locks_local;
	case FSU_MOUNT_OTHER:
		break;
	}
	return false;
}
