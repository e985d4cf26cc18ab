/*
 * Who this host is to the file server. Two hosts that an NFSv4 server takes for one drop each
 * other's locks: the client id is made of the host's name unless another one is set (nfs(5), "The
 * NFSv4 client identity").
 */
#include <string.h>

#include "src/doctor/visit.h"
#include "src/member/info.h"

static bool is_generic(const char *host)
{
	return host[0] == '\0' || strcmp(host, "(none)") == 0 || strcmp(host, "localhost") == 0 ||
	       strncmp(host, "localhost.", strlen("localhost.")) == 0;
}

static void host_name(struct doctor *d)
{
	char host[INFO_HOST_SIZE];

	doctor_host(d, host);
	if (is_generic(host))
		doctor_say(d, DOCTOR_WARN, "give each host a name of its own",
			   "this host is called '%.60s', as others may be: people cannot tell the "
			   "members apart",
			   host);
	else
		doctor_ok(d, "this host is called '%.100s'", host);
}

static void read_client_id(struct doctor *d, char *ret_id, size_t size)
{
	doctor_read_text(d->fs, "/sys/fs/nfs/net/nfs_client/identifier", ret_id, size);
	if (ret_id[0] == '\0' || strcmp(ret_id, "(null)") == 0)
		doctor_read_text(d->fs, "/sys/module/nfs/parameters/nfs4_unique_id", ret_id, size);
	if (strcmp(ret_id, "(null)") == 0)
		ret_id[0] = '\0';
}

static void client_id(struct doctor *d)
{
	char host[INFO_HOST_SIZE], id[128];

	if (d->mount.kind != FSU_MOUNT_NFS || d->mount.nfs_version == 3)
		return;
	doctor_host(d, host);
	read_client_id(d, id, sizeof(id));
	if (id[0])
		doctor_ok(d, "the server knows this host by '%s', which must be its own", id);
	else if (is_generic(host))
		doctor_say(d, DOCTOR_FAIL,
			   "set /sys/fs/nfs/net/nfs_client/identifier (or nfs.nfs4_unique_id=) to "
			   "something unique before mounting",
			   "the server knows this host by its name '%.60s' alone: hosts that are "
			   "called so drop each other's locks",
			   host);
	else
		doctor_ok(d,
			  "the server knows this host by its name '%.100s': no other may have "
			  "it (or set nfs4_unique_id)",
			  host);
}

static const struct doctor_check checks[] = {
	{ "host-name", host_name, false },
	{ "nfs-client-id", client_id, false },
};
DOCTOR_ROOM(doctor_identity, checks);
