/* From the text of a setting to its value, and the one form in which a value is refused. */
#ifndef SRC_CONFIG_VALUES_H
#define SRC_CONFIG_VALUES_H

#include "fsha/utils.h"

/* "cannot use KEY 'VALUE' (ORIGIN): WHY; write FORM". Returns FSHA_E_CONFIG. */
fsha_result config_refuse(const fsha_config *config, const char *key, const char *why,
			  const char *form, fsha_error *reterr);
/*
 * Is the value of an option (or its default) of its kind and within its bounds? FSHA_OK also when
 * there is none.
 */
fsha_result config_value_check(const fsha_config *config, const fsha_config_option *option,
			       fsha_error *reterr);

/*
 * "80", "50000-50025,50100": ports of 0 to 65535, at most `max` ranges, each with its first port
 * not above its last. -EINVAL, -ERANGE (a port out of bounds, or a range the wrong way round),
 * -E2BIG (too many ranges).
 */
int config_ports_parse(const char *text, fsha_port_range *ret_ranges, size_t max,
		       size_t *ret_count);

#endif
