// SPDX-License-Identifier: GPL-2.0-only
/* With a fake cuda-checkpoint, a script that keeps the state of each process in a file; there is no libcuda. */
#include "checkpoint.h"

#include <sys/stat.h>

#include "policy.h"
#include "tap.h"

#define NO_LIBRARY	"libcuda-that-is-not-there.so"

static char base[] = "/tmp/agentcg-cp.XXXXXX", why[AGENTCG_WHY_MAX];

static const char *state_of(int pid)
{
	static char text[32];
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%d", base, pid);
	f = fopen(path, "r");
	snprintf(text, sizeof(text), "running");
	if (f) {
		if (!fgets(text, sizeof(text), f))
			*text = 0;
		fclose(f);
	}
	text[strcspn(text, "\n")] = 0;
	return text;
}

static void decisions(void)
{
	uint64_t after = 60 * USEC_PER_SEC;

	tap_ok(agentcg_checkpoint_decide(CHECKPOINT_NONE, after, after, false) == CHECKPOINT_SAVE, "idle for so long: saved");
	tap_ok(agentcg_checkpoint_decide(CHECKPOINT_NONE, after, after - 1, false) == CHECKPOINT_WAIT, "... not before");
	tap_ok(agentcg_checkpoint_decide(CHECKPOINT_NONE, AGENTCG_NONE, UINT64_MAX, false) == CHECKPOINT_WAIT, "... not unless it is asked for");
	tap_ok(agentcg_checkpoint_decide(CHECKPOINT_NONE, after, after, true) == CHECKPOINT_WAIT, "... not with work");
	tap_ok(agentcg_checkpoint_decide(CHECKPOINT_SAVED, after, after, true) == CHECKPOINT_RESTORE, "work brings it back");
	tap_ok(agentcg_checkpoint_decide(CHECKPOINT_SAVED, after, 2 * after, false) == CHECKPOINT_WAIT, "nothing else does");
	tap_ok(agentcg_checkpoint_decide(CHECKPOINT_SAVED, AGENTCG_NONE, 0, false) == CHECKPOINT_RESTORE, "... but that it is not wanted any more");
	tap_ok(agentcg_checkpoint_decide(CHECKPOINT_SAVING, after, 0, true) == CHECKPOINT_WAIT, "what is under way comes to its end first");
	tap_ok(agentcg_checkpoint_decide(CHECKPOINT_FAILED, after, after, false) == CHECKPOINT_WAIT, "what has failed is not tried again");
}

static void by_tool(void)
{
	static const pid_t two[] = { 901, 902 }, bad[] = { 901, 666 };
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/cuda-checkpoint", base);
	f = fopen(path, "w");
	if (!f)
		return;
	fprintf(f, "#!/bin/bash\n"
		"declare -A o; [ $1 != --get-state ] || shift; while [ $# -gt 1 ]; do o[$1]=$2; shift 2; done\n"
		"pid=${o[--pid]} file=%s/$pid; state=$(cat $file 2>/dev/null || echo running)\n"
		"case ${o[--action]}-$state in\n"
		"-*) echo $state ;;\n"
		"lock-running) [ \"${o[--timeout]}\" = 1000 ] && echo locked >$file ;;\n"
		"checkpoint-locked) [ $pid != 666 ] && echo checkpointed >$file ;;\n"
		"restore-checkpointed) echo locked >$file ;;\n"
		"unlock-locked) echo running >$file ;;\n"
		"*) exit 1 ;;\n"
		"esac\n", base);
	fclose(f);
	chmod(path, 0755);
	tap_ok(!agentcg_checkpoint_save(NO_LIBRARY, two, 2, why) && !strcmp(state_of(901), "checkpointed") &&
	       !strcmp(state_of(902), "checkpointed"), "all its processes are saved");
	tap_ok(!agentcg_checkpoint_restore(NO_LIBRARY, two, 2, why) && !strcmp(state_of(901), "running") &&
	       !strcmp(state_of(902), "running"), "... and restored, and go on");
	tap_ok(!agentcg_checkpoint_restore(NO_LIBRARY, two, 2, why) && !strcmp(state_of(901), "running"), "one that was not saved is left alone");
	tap_ok(agentcg_checkpoint_save(NO_LIBRARY, bad, 2, why) == -EIO && !strcmp(state_of(901), "running") &&
	       !strcmp(state_of(666), "running"), "all or none: %s", why);
	unlink(path);
	setenv("PATH", base, 1);
	tap_ok(agentcg_checkpoint_save(NO_LIBRARY, two, 2, why) == -EOPNOTSUPP && strstr(why, "driver 570"), "without either: %s", why);
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%d", base, i < 2 ? two[i] : bad[1]);
		unlink(path);
	}
}

int main(void)
{
	char path[512];

	if (!mkdtemp(base))
		return 1;
	snprintf(path, sizeof(path), "%s:%s", base, getenv("PATH") ?: "/usr/bin:/bin");
	setenv("PATH", path, 1);
	decisions();
	by_tool();
	rmdir(base);
	return tap_done();
}
