/*
 * User-given names as one safe path component. Every byte but A-Z a-z 0-9 _ . - becomes %XX in
 * upper case, a leading dot too. '@' and '~' never come out, so our own names cannot collide with a
 * user's.
 */
#ifndef FSU_PATH_H
#define FSU_PATH_H

#include <stdbool.h>
#include <stddef.h>

/* The longest encoded component: with a version behind it, it stays under NAME_MAX. */
#define FSU_COMPONENT_MAX 200
/* The longest name that can be decoded out of one. */
#define FSU_NAME_MAX FSU_COMPONENT_MAX

/*
 * Encode `len` bytes of `name` into `ret_component` (FSU_COMPONENT_MAX + 1 bytes). -EINVAL for an
 * empty name, one with a NUL byte; -ENAMETOOLONG.
 */
int fsu_path_encode(const char *name, size_t len, char *ret_component);
/*
 * Back again, exactly; -EINVAL for what encode would not have written. `ret_name` has room for
 * FSU_NAME_MAX + 1 bytes.
 */
int fsu_path_decode(const char *component, size_t len, char *ret_name, size_t *ret_len);
/*
 * A cluster id: parts separated by slashes, each encoded; leading, trailing and double slashes are
 * dropped ("/default" is "default"). "." and ".." are encoded like any other name and lose their
 * meaning. -EINVAL when nothing is left, -ENAMETOOLONG.
 */
int fsu_path_encode_id(const char *id, char *ret_path, size_t size);

#endif
