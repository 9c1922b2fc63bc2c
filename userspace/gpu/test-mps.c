// SPDX-License-Identifier: GPL-2.0-only
/* With a fake nvidia-cuda-mps-control, a script that leaves a process and a PID file as NVIDIA's does. */
#include "mps.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "tap.h"

#define UUID	"GPU-11111111-2222-3333-4444-555555555555"

static char base[] = "/tmp/agentcg-mps.XXXXXX", why[AGENTCG_WHY_MAX];

static bool exists(const char *file)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/mps-" UUID "%s", base, file);
	return access(path, F_OK) == 0;
}

static void put(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", base, name);
	f = fopen(path, "w");
	if (!f)
		return;
	fputs(text, f);
	fclose(f);
	chmod(path, 0755);
}

static void shares(void)
{
	const struct mps_client have[] = { { 60, false }, { 30, false }, { 50, true } };
	struct mps_client more = { 10, false };

	tap_ok(!agentcg_mps_check(have, 3, &more, why), "what is left may be had");
	more.share = 11;
	tap_ok(agentcg_mps_check(have, 3, &more, why) == -ENOSPC && strstr(why, "10 % at most"), "no more: %s", why);
	more.best_effort = true;
	more.share = 100;
	tap_ok(!agentcg_mps_check(have, 3, &more, why), "best effort takes what the others leave");
	more.share = 101;
	tap_ok(agentcg_mps_check(NULL, 0, &more, why) == -EINVAL, "more than all is refused: %s", why);
}

static void control(void)
{
	/* The loop is exec'ed under the name that is looked for. */
	put("nvidia-cuda-mps-control",
	    "#!/bin/bash\n"
	    "set -e\n"
	    "pid=$CUDA_MPS_PIPE_DIRECTORY/nvidia-cuda-mps-control.pid\n"
	    "if [ \"$1\" = -d ]; then\n"
	    "	[ -d \"$CUDA_MPS_LOG_DIRECTORY\" ] && [ \"$CUDA_VISIBLE_DEVICES\" = " UUID " ]\n"
	    "	cp /bin/sleep \"$CUDA_MPS_LOG_DIRECTORY/nvidia-cuda-mps-control\"\n"
	    "	\"$CUDA_MPS_LOG_DIRECTORY/nvidia-cuda-mps-control\" 100 </dev/null >/dev/null 2>&1 &\n"
	    "	echo $! >\"$pid\"\n"
	    "	sleep 0.1\n"
	    "else\n"
	    "	read -r word; [ \"$word\" = quit ]; kill $(cat \"$pid\")\n"
	    "fi\n");
	tap_ok(!agentcg_mps_runs(base, UUID), "none runs");
	tap_ok(!agentcg_mps_start(base, UUID, why) && agentcg_mps_runs(base, UUID), "it starts, with folders of its own");
	tap_ok(!agentcg_mps_start(base, UUID, why) && agentcg_mps_runs(base, UUID), "twice is once");
	tap_ok(!agentcg_mps_stop(base, UUID) && !agentcg_mps_runs(base, UUID) && !exists(""), "it ends, and its folder is gone");
	tap_ok(!agentcg_mps_stop(base, UUID), "twice is once");
	put("nvidia-cuda-mps-control", "#!/bin/sh\nexit 1\n");
	tap_ok(agentcg_mps_start(base, UUID, why) == -EIO && !exists(""), "one that fails leaves nothing: %s", why);
	setenv("PATH", "/nonexistent", 1);
	tap_ok(agentcg_mps_start(base, UUID, why) == -EOPNOTSUPP && !exists(""), "without MPS: %s", why);
}

/* The number of a process that is another one by now. */
static void stale(void)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/mps-" UUID, base);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/mps-" UUID "/pipe", base);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%d\n", getpid());
	put("mps-" UUID "/pipe/nvidia-cuda-mps-control.pid", path);
	tap_ok(!agentcg_mps_runs(base, UUID) && !agentcg_mps_stop(base, UUID) && !exists(""), "a stale PID file names nobody");
}

int main(void)
{
	char path[512];

	if (!mkdtemp(base))
		return 1;
	snprintf(path, sizeof(path), "%s:%s", base, getenv("PATH") ?: "/usr/bin:/bin");
	setenv("PATH", path, 1);
	signal(SIGCHLD, SIG_IGN);	/* as the daemon does */
	shares();
	control();
	stale();
	snprintf(path, sizeof(path), "%s/nvidia-cuda-mps-control", base);
	unlink(path);
	rmdir(base);
	return tap_done();
}
