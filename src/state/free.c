#include "fsha/state.h"
#include "fsutil/fsu_ops.h"

void fsha_free(void *data)
{
	fsu_release(&fsu_posix, data);
}
