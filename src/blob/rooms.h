/*
 * The stores of a blob store, one for each job: those used last stay open, since opening one means
 * listing its directory. Any thread.
 */
#ifndef SRC_BLOB_ROOMS_H
#define SRC_BLOB_ROOMS_H

#include <pthread.h>

#include "src/services/services.h"

/* So many stay open although nobody is in them. */
#define ROOMS_IDLE_MAX 32

struct room;
struct rooms {
	struct fsha_services *services;
	pthread_mutex_t mutex; /* before that of the services */
	struct room *first;    /* the one used last comes first */
};
int rooms_init(struct rooms *rooms, struct fsha_services *services);
void rooms_done(struct rooms *rooms);

/* The directory of a job's blobs (NULL: of no job), of ROOM_DIRECTORY_SIZE bytes. */
#define ROOM_DIRECTORY_SIZE 48
#define ROOM_JOB "job_"
#define ROOM_NO_JOB "no_job"
void room_directory(const fsha_job_id *job, char *ret_directory);

/* The store of a job; room_leave it. */
fsha_result room_enter(struct rooms *rooms, const fsha_job_id *job, struct room **ret_room,
		       fsha_error *reterr);
void room_leave(struct rooms *rooms, struct room *room);
struct store *room_store(const struct room *room);

#endif
