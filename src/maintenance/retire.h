/*
 * Retiring the elections of jobs that are long gone. An election's directory is otherwise never
 * removed, since its epoch guards what its leaders wrote. So: nobody is a member; the floor is
 * raised to its epoch, durably; its epoch file is renamed out of the way, which one process alone
 * can do and after which nobody can claim there; what can still publish (its tenures) is taken
 * apart; only then does the directory go. Whoever is interrupted in this leaves a directory that
 * nobody can lead, which the next gc takes away.
 */
#ifndef SRC_MAINTENANCE_RETIRE_H
#define SRC_MAINTENANCE_RETIRE_H

#include "src/maintenance/action.h"

void retire_elections(struct actions *a);
/* One whose removal was cut short. */
void retire_finish(struct actions *a, const struct finding *f);

#endif
