// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <sys/wait.h>

#include "tap.h"
#include "util.h"

#define FDS	64

/* Whether a child that keeps @a and @b has these and the first three, of many. */
static bool keeps(int a, int b)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		int wrong = 0;

		agentcg_close_others(a, b);
		for (int fd = 0; fd < FDS; fd++)
			wrong += (fcntl(fd, F_GETFD) >= 0) != (fd < 3 || fd == a || fd == b);
		_exit(wrong);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

int main(void)
{
	static const int some[][2] = {
		{ -1, -1 }, { 10, -1 }, { -1, 10 }, { 10, 20 }, { 20, 10 }, { 10, 11 }, { 3, 4 }, { 2, 63 }, { 10, 10 }
	};

	for (int fd = 0; fd < FDS; fd++)
		if (fcntl(fd, F_GETFD) < 0 && dup2(0, fd) < 0)
			return 1;
	for (size_t i = 0; i < ARRAY_SIZE(some); i++)
		tap_ok(keeps(some[i][0], some[i][1]), "of all descriptors %d and %d are kept", some[i][0], some[i][1]);
	return tap_done();
}
