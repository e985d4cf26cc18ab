/* The payload of a member's info record. */
#ifndef SRC_MEMBER_INFO_H
#define SRC_MEMBER_INFO_H

#include "src/member/member.h"

#define INFO_SIZE_MAX 512

/* The host and the pid of this process; `ret_host` has INFO_HOST_SIZE bytes. */
#define INFO_HOST_SIZE 256
void info_of_process(char *ret_host, uint32_t *ret_pid);
/* About this process. */
void info_collect(const struct cluster *cluster, struct member_info *ret_info);
ssize_t info_encode(const struct member_info *info, uint8_t *buf, size_t size);
int info_decode(const uint8_t *buf, size_t len, struct member_info *ret_info);

#endif
