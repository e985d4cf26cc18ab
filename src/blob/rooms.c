#include "src/blob/rooms.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "src/cluster/layout.h"
#include "src/result/error.h"

struct room {
	struct room *next;
	struct store *store;
	unsigned users;
	char directory[ROOM_DIRECTORY_SIZE];
};

int rooms_init(struct rooms *rooms, struct fsha_services *services)
{
	*rooms = (struct rooms){ .services = services };
	return pthread_mutex_init(&rooms->mutex, NULL) == 0 ? 0 : -ENOMEM;
}

static void destroy(struct rooms *rooms, struct room *room)
{
	assert(room->users == 0);
	services_store_close(rooms->services, room->store);
	fsu_release(services_fs(rooms->services), room);
}

void rooms_done(struct rooms *rooms)
{
	while (rooms->first) {
		struct room *room = rooms->first;

		rooms->first = room->next;
		destroy(rooms, room);
	}
	(void)pthread_mutex_destroy(&rooms->mutex);
}

void room_directory(const fsha_job_id *job, char *ret_directory)
{
	char id[FSHA_HEX_ID_TEXT];

	if (job)
		(void)snprintf(ret_directory, ROOM_DIRECTORY_SIZE, LAYOUT_BLOBS "/" ROOM_JOB "%s",
			       fsha_job_id_format(job, id));
	else
		(void)snprintf(ret_directory, ROOM_DIRECTORY_SIZE, LAYOUT_BLOBS "/" ROOM_NO_JOB);
}

/* Under the mutex: take it out of the list; NULL when it is not there. */
static struct room *take(struct rooms *rooms, const char *directory)
{
	for (struct room **p = &rooms->first; *p; p = &(*p)->next) {
		struct room *room = *p;

		if (strcmp(room->directory, directory) != 0)
			continue;
		*p = room->next;
		return room;
	}
	return NULL;
}

static fsha_result create(struct rooms *rooms, const char *directory, struct room **ret_room,
			  fsha_error *reterr)
{
	const struct store_options options = {
		.directory = directory,
		.election = FSHA_ELECTION_DISPATCHER,
		.kind = FSU_KIND_BLOB,
		.owned = true,
		.removable = true,
	};
	struct room *room = fsu_alloc(services_fs(rooms->services), sizeof(*room));
	fsha_result result;

	if (!room)
		return error_os(reterr, -ENOMEM, "alloc", "cannot open '%s'", directory);
	result = services_store_open(rooms->services, &options, &room->store, reterr);
	if (result != FSHA_OK) {
		fsu_release(services_fs(rooms->services), room);
		return result;
	}
	strcpy(room->directory, directory);
	*ret_room = room;
	return FSHA_OK;
}

fsha_result room_enter(struct rooms *rooms, const fsha_job_id *job, struct room **ret_room,
		       fsha_error *reterr)
{
	char directory[ROOM_DIRECTORY_SIZE];
	fsha_result result = FSHA_OK;
	struct room *room;

	room_directory(job, directory);
	(void)pthread_mutex_lock(&rooms->mutex);
	room = take(rooms, directory);
	if (!room)
		result = create(rooms, directory, &room, reterr);
	if (result == FSHA_OK) {
		room->users++;
		room->next = rooms->first;
		rooms->first = room;
		*ret_room = room;
	}
	(void)pthread_mutex_unlock(&rooms->mutex);
	return result;
}

void room_leave(struct rooms *rooms, struct room *room)
{
	struct room **oldest = NULL, *closing = NULL;
	unsigned idle = 0;

	(void)pthread_mutex_lock(&rooms->mutex);
	assert(room->users > 0);
	room->users--;
	for (struct room **p = &rooms->first; *p; p = &(*p)->next)
		if ((*p)->users == 0) {
			idle++;
			oldest = p;
		}
	if (idle > ROOMS_IDLE_MAX) {
		closing = *oldest;
		*oldest = closing->next;
	}
	(void)pthread_mutex_unlock(&rooms->mutex);
	if (closing)
		destroy(rooms, closing);
}

struct store *room_store(const struct room *room)
{
	return room->store;
}
