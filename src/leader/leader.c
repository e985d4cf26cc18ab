#include "src/leader/leader.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "src/cluster/layout.h"
#include "src/member/info.h"
#include "src/record/name.h"
#include "src/result/error.h"

/*
 * Listings that show nothing newer than what vanished while it was read: enough for any storm of
 * terms.
 */
#define READ_TRIES 50

ssize_t leader_encode(const struct leader *leader, uint8_t *buf, size_t size)
{
	struct fsu_writer w = { .buf = buf, .size = size };

	assert(leader->state == LEADER_CONFIRMED || !leader->address[0]);
	fsu_put_u8(&w, (uint8_t)leader->state);
	fsu_put_u64(&w, (uint64_t)leader->granted_wall_ns);
	fsu_put_uuid(&w, &leader->member);
	fsu_put_bytes(&w, leader->address, strlen(leader->address));
	fsu_put_u32(&w, leader->pid);
	fsu_put_bytes(&w, leader->host, strlen(leader->host));
	fsu_put_u64(&w, leader->former.number);
	fsu_put_uuid(&w, &leader->former.session);
	fsu_put_uuid(&w, &leader->former.member);
	fsu_put_bytes(&w, leader->former_end, strlen(leader->former_end));
	return w.error ? w.error : (ssize_t)w.len;
}

int leader_decode(const uint8_t *buf, size_t len, struct leader *ret_leader)
{
	struct fsu_reader r = { .buf = buf, .size = len };
	struct leader leader = { .state = LEADER_NONE };

	leader.state = (enum leader_state)fsu_get_u8(&r);
	leader.granted_wall_ns = (int64_t)fsu_get_u64(&r);
	fsu_get_uuid(&r, &leader.member);
	fsu_get_text(&r, leader.address, sizeof(leader.address));
	leader.pid = fsu_get_u32(&r);
	fsu_get_text(&r, leader.host, sizeof(leader.host));
	leader.former.number = fsu_get_u64(&r);
	fsu_get_uuid(&r, &leader.former.session);
	fsu_get_uuid(&r, &leader.former.member);
	fsu_get_text(&r, leader.former_end, sizeof(leader.former_end));
	if (fsu_reader_end(&r) < 0 || leader.state > LEADER_CONFIRMED ||
	    (leader.state != LEADER_CONFIRMED && leader.address[0]))
		return -EBADMSG;
	*ret_leader = leader;
	return 0;
}

void leader_of_term(const struct term *t, enum leader_state state, struct leader *ret_leader)
{
	*ret_leader = (struct leader){
		.state = state,
		.epoch = t->epoch.number,
		.session = t->epoch.session,
		.member = t->epoch.member,
		.granted_wall_ns = t->granted_wall_ns,
		.former = t->former,
	};
	assert(strlen(t->former_end) < sizeof(ret_leader->former_end));
	memcpy(ret_leader->former_end, t->former_end, strlen(t->former_end));
	info_of_process(ret_leader->host, &ret_leader->pid);
}

fsha_result leader_publish(struct term *t, enum leader_state state, const char *address,
			   const fsha_version *floor, fsha_version *ret_version, fsha_error *reterr)
{
	uint8_t payload[LEADER_SIZE_MAX];
	struct term_write write = {
		.dir_fd = t->cluster->leaders_fd,
		.directory = LAYOUT_LEADERS,
		.key = t->election,
		.kind = FSU_KIND_LEADER,
		.data = payload,
	};
	const int64_t begun_ns = fsu_now_ns(t->cluster->fs);
	struct leader leader;
	fsha_result result;
	ssize_t n;

	assert(strlen(address) <= FSHA_ADDRESS_MAX);
	leader_of_term(t, state, &leader);
	memcpy(leader.address, address, strlen(address));
	n = leader_encode(&leader, payload, sizeof(payload));
	assert(n > 0);
	write.size = (size_t)n;
	result = state == LEADER_NONE ? term_commit_last(t, &write, ret_version, reterr) :
					term_commit(t, &write, floor, ret_version, reterr);
	cluster_count(t->cluster, FSHA_OPERATION_PUBLISH, begun_ns, result);
	return result;
}

fsha_result leader_read_file(const struct cluster *c, const char *file_name,
			     struct leader *ret_leader, fsha_error *reterr)
{
	struct record_place place = cluster_place(c, c->leaders_fd, LAYOUT_LEADERS);
	struct leader leader;
	struct record record;
	fsha_result result;

	result = record_read(&place, file_name, FSU_KIND_LEADER, LEADER_SIZE_MAX, &record, reterr);
	if (result != FSHA_OK)
		return result;
	if (leader_decode(record.data, record.size, &leader) < 0) {
		result = error_set(reterr, FSHA_E_CORRUPT, 0, "decode", "'%s/%s' is damaged",
				   LAYOUT_LEADERS, file_name);
	} else {
		leader.epoch = record.head.epoch;
		leader.session = record.head.session;
		leader.written_wall_ns = record.head.wall_ns;
		*ret_leader = leader;
	}
	record_done(c->fs, &record);
	return result;
}

fsha_result leader_read(const struct cluster *c, const char *component, struct leader *ret_leader,
			fsha_error *reterr)
{
	fsha_result result = FSHA_E_NOT_FOUND;
	struct fsu_list list;

	fsu_list_init(&list, c->fs);
	for (int i = 0; i < READ_TRIES && result == FSHA_E_NOT_FOUND; i++) {
		const char *file;
		int r = fsu_list_read(&list, c->leaders_fd, "", c->local, cluster_lease_ns(c) / 10);

		if (r < 0) {
			result = error_os(reterr, r, "list", "cannot list '%s/%s'", c->path,
					  LAYOUT_LEADERS);
			break;
		}
		file = name_newest(&list, component);
		if (file)
			result = leader_read_file(c, file, ret_leader, reterr);
		else if (list.stable)
			break;
	}
	fsu_list_done(&list);
	if (result == FSHA_E_NOT_FOUND)
		return error_set(reterr, FSHA_E_NOT_FOUND, 0, "list", "nobody ever led '%s'",
				 component);
	return result;
}

void leader_to_information(const struct leader *leader, fsha_leader_information *ret_information)
{
	fsha_leader_information information = { .epoch = leader->epoch };

	_Static_assert(sizeof(fsha_uuid) == sizeof(struct fsu_uuid), "one and the same");
	if (leader->state != LEADER_NONE) {
		memcpy(&information.session, &leader->session, sizeof(fsha_uuid));
		memcpy(&information.member, &leader->member, sizeof(fsha_uuid));
		information.since_wall_ns = leader->granted_wall_ns;
	}
	information.confirmed = leader->state == LEADER_CONFIRMED;
	memcpy(information.address, leader->address, sizeof(information.address));
	*ret_information = information;
}

void leader_clean(struct term *t)
{
	const struct cluster *c = t->cluster;
	const char *newest;
	struct fsu_list list;
	struct name name;

	fsu_list_init(&list, c->fs);
	if (fsu_list_pass(&list, c->leaders_fd, "", c->local) == 0) {
		newest = name_newest(&list, t->election);
		for (size_t i = 0; i < list.count; i++)
			if (fsu_list_name(&list, i) != newest &&
			    name_is_of(fsu_list_name(&list, i), t->election, &name))
				(void)term_discard(t, c->leaders_fd, fsu_list_name(&list, i));
	}
	fsu_list_done(&list);
}
