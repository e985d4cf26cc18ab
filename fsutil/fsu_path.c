#include "fsutil/fsu_path.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static bool is_plain(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '.' || c == '-';
}

/* The value of an upper-case hex digit, or -1. */
static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int fsu_path_encode(const char *name, size_t len, char *ret_component)
{
	static const char hex[] = "0123456789ABCDEF";
	char out[FSU_COMPONENT_MAX + 1];
	size_t n = 0;

	if (len == 0 || (len <= FSU_NAME_MAX && memchr(name, '\0', len)))
		return -EINVAL;
	if (len > FSU_NAME_MAX) /* no byte gets shorter */
		return -ENAMETOOLONG;
	for (size_t i = 0; i < len; i++) {
		bool plain = is_plain(name[i]) && !(i == 0 && name[i] == '.');

		if (n + (plain ? 1 : 3) > FSU_COMPONENT_MAX)
			return -ENAMETOOLONG;
		if (plain) {
			out[n++] = name[i];
		} else {
			out[n++] = '%';
			out[n++] = hex[(unsigned char)name[i] >> 4];
			out[n++] = hex[(unsigned char)name[i] & 15];
		}
	}
	memcpy(ret_component, out, n);
	ret_component[n] = '\0';
	return 0;
}

int fsu_path_decode(const char *component, size_t len, char *ret_name, size_t *ret_len)
{
	char again[FSU_COMPONENT_MAX + 1];
	char out[FSU_NAME_MAX + 1];
	size_t n = 0;

	if (len == 0 || len > FSU_COMPONENT_MAX)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		int high, low;

		if (component[i] != '%') {
			out[n++] = component[i];
			continue;
		}
		high = i + 2 < len ? hex_value(component[i + 1]) : -1;
		low = i + 2 < len ? hex_value(component[i + 2]) : -1;
		if (high < 0 || low < 0)
			return -EINVAL;
		out[n++] = (char)(high << 4 | low);
		i += 2;
	}
	/* One name has one form: whatever else encode would not have written shows here. */
	if (fsu_path_encode(out, n, again) < 0 || strlen(again) != len ||
	    memcmp(again, component, len) != 0)
		return -EINVAL;
	assert(n <= FSU_NAME_MAX);
	memcpy(ret_name, out, n);
	ret_name[n] = '\0';
	*ret_len = n;
	return 0;
}

int fsu_path_encode_id(const char *id, char *ret_path, size_t size)
{
	char part[FSU_COMPONENT_MAX + 1];
	size_t n = 0;

	assert(size > 0);
	for (const char *p = id; *p;) {
		size_t len = strcspn(p, "/");
		size_t part_len;
		int r;

		if (len == 0) {
			p++;
			continue;
		}
		r = fsu_path_encode(p, len, part);
		if (r < 0)
			return r;
		part_len = strlen(part);
		if (n + (n > 0) + part_len >= size)
			return -ENAMETOOLONG;
		if (n > 0)
			ret_path[n++] = '/';
		memcpy(ret_path + n, part, part_len + 1);
		n += part_len;
		p += len;
	}
	return n > 0 ? 0 : -EINVAL;
}
