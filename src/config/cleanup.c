/* When a cleanup that failed is tried again: cleanup-strategy.* */
#include <assert.h>
#include <string.h>

#include "fsha/utils.h"
#include "src/config/keys.h"
#include "src/config/scan.h"
#include "src/config/values.h"
#include "src/result/error.h"

#define NAME_SIZE 32

static const struct {
	const char *name;
	fsha_cleanup_kind kind;
} names[] = {
	{ "none", FSHA_CLEANUP_ONCE },
	{ "disable", FSHA_CLEANUP_ONCE },
	{ "off", FSHA_CLEANUP_ONCE },
	{ "fixed-delay", FSHA_CLEANUP_FIXED_DELAY },
	{ "fixeddelay", FSHA_CLEANUP_FIXED_DELAY },
	{ "exponential-delay", FSHA_CLEANUP_EXPONENTIAL_DELAY },
	{ "exponentialdelay", FSHA_CLEANUP_EXPONENTIAL_DELAY },
};

/* In any case, with blanks around it. False for none of the names. */
static bool parse_name(const char *text, fsha_cleanup_kind *ret_kind)
{
	char name[NAME_SIZE];
	size_t len = 0;

	while (scan_is_blank(*text))
		text++;
	for (; *text && len < sizeof(name) - 1; text++)
		name[len++] = scan_lower(*text);
	while (len && scan_is_blank(name[len - 1]))
		len--;
	name[len] = '\0';
	for (size_t i = 0; !*text && i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i].name, name) != 0)
			continue;
		*ret_kind = names[i].kind;
		return true;
	}
	return false;
}

/* Unset: no limit. */
static fsha_result read_attempts(const fsha_config *config, const char *key, uint64_t *ret_attempts,
				 fsha_error *reterr)
{
	fsha_result result;
	int64_t number;

	if (!fsha_config_get(config, key, NULL)) {
		*ret_attempts = FSHA_CLEANUP_NO_LIMIT;
		return FSHA_OK;
	}
	result = fsha_config_get_number(config, key, &number, reterr);
	if (result == FSHA_OK)
		*ret_attempts = (uint64_t)number;
	return result;
}

static fsha_result read_fixed(const fsha_config *config, fsha_cleanup_strategy *s,
			      fsha_error *reterr)
{
	fsha_result result;

	result = read_attempts(config, FSHA_KEY_CLEANUP_FIXED_ATTEMPTS, &s->attempts, reterr);
	if (result == FSHA_OK)
		result = fsha_config_get_duration_ms(config, FSHA_KEY_CLEANUP_FIXED_DELAY,
						     &s->delay_ms, reterr);
	s->delay_max_ms = s->delay_ms;
	return result;
}

static fsha_result read_exponential(const fsha_config *config, fsha_cleanup_strategy *s,
				    fsha_error *reterr)
{
	fsha_result result;

	result = read_attempts(config, FSHA_KEY_CLEANUP_EXPONENTIAL_ATTEMPTS, &s->attempts, reterr);
	if (result == FSHA_OK)
		result = fsha_config_get_duration_ms(config, FSHA_KEY_CLEANUP_INITIAL_BACKOFF,
						     &s->delay_ms, reterr);
	if (result == FSHA_OK)
		result = fsha_config_get_duration_ms(config, FSHA_KEY_CLEANUP_MAX_BACKOFF,
						     &s->delay_max_ms, reterr);
	if (result == FSHA_OK && s->delay_ms > s->delay_max_ms)
		return config_refuse(config, FSHA_KEY_CLEANUP_INITIAL_BACKOFF,
				     "above " FSHA_KEY_CLEANUP_MAX_BACKOFF,
				     "a shorter duration, or a longer one there", reterr);
	return result;
}

fsha_result fsha_config_get_cleanup_strategy(const fsha_config *config,
					     fsha_cleanup_strategy *ret_strategy,
					     fsha_error *reterr)
{
	fsha_cleanup_strategy strategy = { .kind = FSHA_CLEANUP_ONCE };
	fsha_cleanup_kind kind;
	fsha_result result = FSHA_OK;

	if (!config || !ret_strategy)
		return error_set(reterr, FSHA_E_INVALID, 0, "configure",
				 "cannot read the cleanup strategy: an argument is NULL");
	if (!parse_name(fsha_config_get(config, FSHA_KEY_CLEANUP_STRATEGY, NULL), &kind))
		return config_refuse(config, FSHA_KEY_CLEANUP_STRATEGY, "no such strategy",
				     config_option_find(FSHA_KEY_CLEANUP_STRATEGY)->form, reterr);
	if (kind == FSHA_CLEANUP_FIXED_DELAY)
		result = read_fixed(config, &strategy, reterr);
	else if (kind == FSHA_CLEANUP_EXPONENTIAL_DELAY)
		result = read_exponential(config, &strategy, reterr);
	if (result != FSHA_OK)
		return result;
	strategy.kind = (int32_t)kind;
	*ret_strategy = strategy;
	return FSHA_OK;
}

int fsha_cleanup_strategy_next(const fsha_cleanup_strategy *strategy, uint64_t failures,
			       uint64_t *ret_delay_ms)
{
	uint64_t delay_ms;

	if (!strategy || !ret_delay_ms || failures == 0 || failures > strategy->attempts ||
	    strategy->kind == FSHA_CLEANUP_ONCE)
		return 0;
	delay_ms = strategy->delay_ms;
	/* Doubles until the greatest; a delay of 0 stays 0, so it must not go on for ever. */
	for (uint64_t i = 1; strategy->kind == FSHA_CLEANUP_EXPONENTIAL_DELAY && i < failures &&
			     delay_ms > 0 && delay_ms < strategy->delay_max_ms;
	     i++)
		delay_ms = delay_ms > strategy->delay_max_ms / 2 ? strategy->delay_max_ms :
								   delay_ms * 2;
	*ret_delay_ms = delay_ms;
	return 1;
}

fsha_result fsha_config_get_checkpoints_retained(const fsha_config *config, uint32_t *ret_count,
						 fsha_error *reterr)
{
	fsha_result result;
	int64_t number;

	if (!config || !ret_count)
		return error_set(reterr, FSHA_E_INVALID, 0, "configure",
				 "cannot read the number of checkpoints: an argument is NULL");
	result = fsha_config_get_number(config, FSHA_KEY_CHECKPOINTS_RETAINED, &number, reterr);
	if (result == FSHA_OK)
		*ret_count = number < 1 ? 1 : (uint32_t)number;
	return result;
}
