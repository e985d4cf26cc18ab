/*
 * fsha: high availability from the shared directory that a cluster already has. Includes
 * everything.
 */
#ifndef FSHA_FSHA_H
#define FSHA_FSHA_H

#include "fsha/backup.h"
#include "fsha/blob.h"
#include "fsha/checkpoint.h"
#include "fsha/client.h"
#include "fsha/config.h"
#include "fsha/election.h"
#include "fsha/job_graph.h"
#include "fsha/job_result.h"
#include "fsha/maintenance.h"
#include "fsha/metrics.h"
#include "fsha/result.h"
#include "fsha/retrieval.h"
#include "fsha/running_jobs.h"
#include "fsha/services.h"
#include "fsha/state.h"
#include "fsha/status.h"
#include "fsha/term.h"
#include "fsha/types.h"
#include "fsha/utils.h"
#include "fsha/worker.h"

#endif
