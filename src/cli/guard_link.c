/* The main process's end of the socket. */
#include "src/cli/guard.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int guard_fork(struct guard *ret_guard, const struct guard_command *command)
{
	int sockets[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets) < 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		int r = -errno;

		(void)close(sockets[0]);
		(void)close(sockets[1]);
		return r;
	}
	if (pid == 0) {
		(void)close(sockets[0]);
		guard_main(sockets[1], command);
	}
	(void)close(sockets[1]);
	*ret_guard = (struct guard){ .pid = pid, .fd = sockets[0] };
	return 0;
}

int guard_send(const struct guard *guard, const struct guard_message *message, int hold_fd,
	       int lease_fd)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)message, .iov_len = sizeof(*message) };
	int fds[2] = { hold_fd, lease_fd };
	union {
		struct cmsghdr header; /* for its alignment */
		char bytes[CMSG_SPACE(sizeof(fds))];
	} control = { .bytes = { 0 } };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (hold_fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(fds));
		memcpy(CMSG_DATA(c), fds, sizeof(fds));
	}
	return sendmsg(guard->fd, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int guard_receive(const struct guard *guard, struct guard_message *ret_message)
{
	ssize_t n = recv(guard->fd, ret_message, sizeof(*ret_message), 0);

	if (n == (ssize_t)sizeof(*ret_message))
		return 1;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return -EPIPE;
}

void guard_close(struct guard *guard)
{
	if (guard->fd < 0)
		return;
	(void)close(guard->fd);
	guard->fd = -1;
	while (waitpid(guard->pid, NULL, 0) < 0 && errno == EINTR)
		continue;
}
