#include "src/worker/worker.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "src/result/error.h"

/* ---- States ---- */

static const char *const state_names[] = {
	[FSHA_WORKER_NEW] = "New",
	[FSHA_WORKER_LAUNCHED] = "Launched",
	[FSHA_WORKER_RELEASED] = "Released",
};
#define STATES (sizeof(state_names) / sizeof(state_names[0]))

static bool is_state(int state)
{
	return state >= 0 && (size_t)state < STATES;
}

const char *fsha_worker_state_name(int state)
{
	return is_state(state) ? state_names[state] : "unknown";
}

fsha_result fsha_worker_state_parse(const char *text, fsha_worker_state *ret_state)
{
	if (!text || !ret_state)
		return FSHA_E_INVALID;
	for (size_t i = 0; i < STATES; i++)
		if (strcasecmp(text, state_names[i]) == 0) {
			*ret_state = (fsha_worker_state)i;
			return FSHA_OK;
		}
	return FSHA_E_INVALID;
}

/* ---- Values ---- */

fsha_result fsha_worker_init(fsha_worker *ret_worker, const char *task_id, const void *launchable,
			     size_t size)
{
	if (!ret_worker || !task_id || (!launchable && size > 0))
		return FSHA_E_INVALID;
	*ret_worker = (fsha_worker){
		.struct_size = sizeof(*ret_worker),
		.task_id = task_id,
		.launchable = launchable,
		.launchable_size = size,
		.state = FSHA_WORKER_NEW,
	};
	return FSHA_OK;
}

fsha_result fsha_worker_with_state(const fsha_worker *worker, fsha_worker_state state,
				   fsha_worker *ret_worker)
{
	if (!worker || !ret_worker || worker->struct_size != sizeof(*worker) ||
	    !is_state((int)state))
		return FSHA_E_INVALID;
	*ret_worker = *worker;
	ret_worker->state = (int32_t)state;
	return FSHA_OK;
}

fsha_result fsha_worker_launch(const fsha_worker *worker, const char *slave_id,
			       const char *hostname, fsha_worker *ret_worker)
{
	fsha_result result = fsha_worker_with_state(worker, FSHA_WORKER_LAUNCHED, ret_worker);

	if (result == FSHA_OK) {
		ret_worker->slave_id = slave_id;
		ret_worker->hostname = hostname;
	}
	return result;
}

fsha_result fsha_worker_release(const fsha_worker *worker, fsha_worker *ret_worker)
{
	return fsha_worker_with_state(worker, FSHA_WORKER_RELEASED, ret_worker);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

int fsha_worker_equal(const fsha_worker *a, const fsha_worker *b)
{
	if (!a || !b)
		return a == b;
	return same_text(a->task_id, b->task_id) && same_text(a->slave_id, b->slave_id) &&
	       same_text(a->hostname, b->hostname) && a->state == b->state &&
	       a->launchable_size == b->launchable_size &&
	       (a->launchable_size == 0 ||
		memcmp(a->launchable, b->launchable, a->launchable_size) == 0);
}

fsha_result fsha_worker_recover_info(const fsha_worker *worker, fsha_worker_recovery_info *ret_info)
{
	static const fsha_worker_action actions[STATES] = {
		[FSHA_WORKER_NEW] = FSHA_WORKER_RETRY_LAUNCH,
		[FSHA_WORKER_LAUNCHED] = FSHA_WORKER_RECONCILE,
		[FSHA_WORKER_RELEASED] = FSHA_WORKER_CLEAN_UP,
	};

	if (!worker || !ret_info || worker->struct_size != sizeof(*worker) ||
	    ret_info->struct_size != sizeof(*ret_info) || !is_state(worker->state))
		return FSHA_E_INVALID;
	*ret_info = (fsha_worker_recovery_info){
		.struct_size = sizeof(*ret_info),
		.task_id = worker->task_id,
		.last_update_ms = worker->updated_ms,
		.last_known_state = worker->state,
		.requires_reconciliation = worker->state == FSHA_WORKER_LAUNCHED,
		.action = actions[worker->state],
	};
	return FSHA_OK;
}

/* ---- Fit to be stored ---- */

static fsha_result invalid(const char *task_id, const char *what, fsha_error *reterr)
{
	return error_set(reterr, FSHA_E_INVALID, 0, "check", "worker '%.60s': %s", task_id, what);
}

fsha_result worker_key(const char *task_id, char *ret_key, fsha_error *reterr)
{
	size_t len = task_id ? strlen(task_id) : 0;
	int r;

	if (len == 0)
		return error_set(reterr, FSHA_E_INVALID, 0, "check", "the task id is empty");
	if (len < FSHA_TASK_ID_SIZE && !utf8_is_valid(task_id, len))
		return error_set(reterr, FSHA_E_INVALID, 0, "check", "the task id is no UTF-8");
	r = fsu_path_encode(task_id, len, ret_key);
	if (r == -ENAMETOOLONG)
		return error_set(reterr, FSHA_E_INVALID, 0, "check",
				 "task id '%.60s...' is too long: at most %d bytes once encoded",
				 task_id, FSU_COMPONENT_MAX);
	return FSHA_OK;
}

static const char *text_fault(const char *text, size_t max)
{
	size_t len = text ? strnlen(text, max + 1) : 1;

	if (len == 0)
		return "a text is empty: NULL says that there is none";
	if (len > max)
		return "its slave id or host name is too long: at most 255 bytes";
	return text && !utf8_is_valid(text, len) ? "its slave id or host name is no UTF-8" : NULL;
}

fsha_result worker_check(const fsha_worker *worker, fsha_error *reterr)
{
	char key[FSU_COMPONENT_MAX + 1];
	fsha_result result;
	const char *fault;

	if (!worker)
		return error_set(reterr, FSHA_E_INVALID, 0, "check", "the worker is NULL");
	if (worker->struct_size != sizeof(*worker))
		return error_set(reterr, FSHA_E_INVALID, 0, "check",
				 "the worker has an unknown size: start from fsha_worker_init");
	result = worker_key(worker->task_id, key, reterr);
	if (result != FSHA_OK)
		return result;
	if (!is_state(worker->state))
		return invalid(worker->task_id, "there is no such state", reterr);
	if (worker->reserved0)
		return invalid(worker->task_id, "a reserved field is not 0", reterr);
	if (!worker->launchable && worker->launchable_size > 0)
		return invalid(worker->task_id, "its launch specification is NULL", reterr);
	if (worker->launchable_size > FSHA_LAUNCHABLE_MAX)
		return invalid(worker->task_id, "its launch specification is larger than 1 MiB",
			       reterr);
	fault = text_fault(worker->slave_id, FSHA_SLAVE_ID_MAX);
	if (!fault)
		fault = text_fault(worker->hostname, FSHA_HOSTNAME_MAX);
	return fault ? invalid(worker->task_id, fault, reterr) : FSHA_OK;
}

/* ---- Copies ---- */

static size_t text_size(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

static const char *take_text(char **at, const char *text)
{
	size_t size = text_size(text);
	char *copy = *at;

	if (!text)
		return NULL;
	memcpy(copy, text, size);
	*at += size;
	return copy;
}

size_t worker_pack_size(const fsha_worker *const *workers, size_t count)
{
	size_t bytes = (count + 1) * sizeof(fsha_worker);

	for (size_t i = 0; i < count; i++)
		bytes += text_size(workers[i]->task_id) + text_size(workers[i]->slave_id) +
			 text_size(workers[i]->hostname) + workers[i]->launchable_size;
	return bytes;
}

void worker_pack_into(fsha_worker *copies, const fsha_worker *const *workers, size_t count)
{
	char *at = (char *)(copies + count + 1);

	for (size_t i = 0; i < count; i++) {
		const fsha_worker *w = workers[i];

		copies[i] = *w;
		copies[i].task_id = take_text(&at, w->task_id);
		copies[i].slave_id = take_text(&at, w->slave_id);
		copies[i].hostname = take_text(&at, w->hostname);
		copies[i].launchable = NULL;
		if (w->launchable_size > 0) {
			copies[i].launchable = memcpy(at, w->launchable, w->launchable_size);
			at += w->launchable_size;
		}
	}
}

fsha_worker *worker_pack(const struct fsu *fs, const fsha_worker *const *workers, size_t count)
{
	fsha_worker *copies = fsu_alloc(fs, worker_pack_size(workers, count));

	if (copies)
		worker_pack_into(copies, workers, count);
	return copies;
}

fsha_result fsha_worker_copy(const fsha_worker *worker, fsha_worker **ret_worker,
			     fsha_error *reterr)
{
	fsha_worker *copy;
	fsha_result result;

	if (!ret_worker)
		return error_set(reterr, FSHA_E_INVALID, 0, "copy", "an argument is NULL");
	result = worker_check(worker, reterr);
	if (result != FSHA_OK)
		return result;
	copy = worker_pack(&fsu_posix, &worker, 1);
	if (!copy)
		return error_os(reterr, -ENOMEM, "alloc", "cannot copy worker '%s'",
				worker->task_id);
	*ret_worker = copy;
	return FSHA_OK;
}

/* ---- Order ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Digits as a number of any length; both are behind them then. */
static int compare_numbers(const char **a, const char **b)
{
	size_t a_len = 0, b_len = 0;
	int order;

	while (**a == '0')
		(*a)++;
	while (**b == '0')
		(*b)++;
	while (is_digit((*a)[a_len]))
		a_len++;
	while (is_digit((*b)[b_len]))
		b_len++;
	order = a_len != b_len ? (a_len < b_len ? -1 : 1) : memcmp(*a, *b, a_len);
	*a += a_len;
	*b += b_len;
	return order;
}

int worker_compare_ids(const char *a, const char *b)
{
	const char *x = a, *y = b;
	int order = 0;

	while (order == 0 && *x && *y) {
		if (is_digit(*x) && is_digit(*y)) {
			order = compare_numbers(&x, &y);
		} else {
			order = (int)(uint8_t)*x - (int)(uint8_t)*y;
			x++;
			y++;
		}
	}
	if (order == 0)
		order = (int)(uint8_t)*x - (int)(uint8_t)*y;
	return order ? order : strcmp(a, b); /* "7" and "07" are two */
}
