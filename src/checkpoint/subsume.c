/* Which checkpoints are superfluous, and whose data goes with them. */
#include <assert.h>

#include "src/checkpoint/checkpoint.h"

/*
 * The scan goes on past one that is kept, so that savepoints between it and the newest are dropped
 * all the same.
 */
size_t checkpoint_subsume(const uint32_t *types, size_t count, uint32_t max_retained,
			  bool *ret_drop)
{
	size_t left = count, last_checkpoint = count;

	assert(max_retained > 0);
	for (size_t i = 0; i < count; i++)
		if (types[i] == FSHA_CHECKPOINT)
			last_checkpoint = i;
	for (size_t i = 0; i < count; i++) {
		bool kept = i == count - 1 || left <= max_retained;

		/* What is incremental builds upon it, unless the job was stopped since. */
		if (i == last_checkpoint && types[count - 1] != FSHA_SYNC_SAVEPOINT)
			kept = true;
		ret_drop[i] = !kept;
		left -= !kept;
	}
	return count - left;
}

bool checkpoint_discarded_when_subsumed(const fsha_completed_checkpoint *c)
{
	return c->type == FSHA_CHECKPOINT;
}

bool checkpoint_end_is_known(int job_end)
{
	return job_end >= FSHA_JOB_FINISHED && job_end <= FSHA_JOB_SUSPENDED;
}

bool checkpoint_end_is_global(int job_end)
{
	return job_end != FSHA_JOB_SUSPENDED;
}

bool checkpoint_discarded_at_end(const fsha_completed_checkpoint *c, int job_end)
{
	if (c->type != FSHA_CHECKPOINT || job_end == FSHA_JOB_SUSPENDED)
		return false;
	switch (c->retention) {
	case FSHA_RETAIN_ON_FAILURE:
		return job_end != FSHA_JOB_FAILED;
	case FSHA_RETAIN_ON_CANCELLATION:
		return job_end == FSHA_JOB_FINISHED;
	default:
		return true;
	}
}

const char *fsha_checkpoint_type_name(int type)
{
	static const char *const names[] = { "UNKNOWN", "CHECKPOINT", "SAVEPOINT",
					     "SYNC_SAVEPOINT" };

	return names[type >= FSHA_CHECKPOINT && type <= FSHA_SYNC_SAVEPOINT ? type : 0];
}

const char *fsha_checkpoint_retention_name(int retention)
{
	static const char *const names[] = { "UNKNOWN", "NEVER_RETAIN", "RETAIN_ON_FAILURE",
					     "RETAIN_ON_CANCELLATION" };

	return names[retention >= FSHA_NEVER_RETAIN && retention <= FSHA_RETAIN_ON_CANCELLATION ?
			     retention :
			     0];
}
