// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>

#include "policy.h"
#include "tap.h"

static char path[] = "/tmp/agentcg-test-policy.XXXXXX";

#define MACHINE		(16 * GIB)

static void put(const char *text)
{
	FILE *f = fopen(path, "we");

	if (!f || fputs(text, f) < 0 || fclose(f) < 0)
		perror(path);
}

static int load(struct agentcg_policy *p, const char *text, char *why)
{
	int r;

	put(text);
	r = agentcg_policy_load(p, path, why);
	return r ?: agentcg_policy_check(p, MACHINE, why);
}

/* @message: with the line, such as "2: unknown key" */
static void refused(const char *text, const char *message)
{
	char why[AGENTCG_WHY_MAX] = "";
	struct agentcg_policy p;
	int r = load(&p, text, why);

	tap_ok(r < 0 && strstr(why, message), "refused: %s", why);
	agentcg_policy_done(&p);
}

static void test_defaults(void)
{
	char why[AGENTCG_WHY_MAX] = "";
	struct agentcg_policy p;

	tap_ok(load(&p, "", why) == 0, "an empty file is the default policy %s", why);
	tap_ok(p.memory_max == (MACHINE / 100 * 80 & ~4095ULL), "the pool is 80%% of the machine");
	tap_ok(p.session.priority == 500 && p.session.budget == AGENTCG_NONE, "default session");
	tap_ok(p.request == 128 * MIB && p.call_max == AGENTCG_NONE && p.pids_max == 4096 &&
	       p.cpu_max == AGENTCG_NONE && p.session.detached_calls == 8, "default call");
	tap_ok(p.scheduler == AGENTCG_SCHEDULER_AUTO, "default scheduler");
	agentcg_policy_done(&p);
}

static void test_keys(void)
{
	char why[AGENTCG_WHY_MAX] = "";
	struct agentcg_session_policy s;
	struct agentcg_policy p;
	int r = load(&p,
		"# comment\n"
		"[Pool]\nSlice=x.slice\nMemoryMax=2Gi\nReserve=64Mi\nThrottleBand=16Mi\nThrottleMax=20ms\n"
		"StepMin=128Ki\nStepMax=8Mi\n"
		"[Hold]\nDeadline=10s\nFreezeTime=2s\nExpiredDelay=50ms\nCountInPSI=yes\n"
		"[Session]\nPriority=low\nReserve=1Mi\nBudget=1Gi\nSessionsPerUser=3\nCallsPerSession=4\nDetachedCalls=none\n"
		"IdleReclaim=none\nIdleAfter=1m\n"
		"; another\n"
		"[Call]\nMemoryRequest=32Mi\nMemoryMax=512Mi\nTimeoutMax=5m\nPidsMax=100\nCPUMax=1.5\nLearn=limit\n"
		"Admission=quota\nQueueTimeout=2m\n"
		"[CPU]\nScheduler=none\n"
		"[User]\nRequestsPerSecond=50\nBudget=1Gi\n[User \"1000\"]\nBudget=512Mi\n", why);

	tap_ok(r == 0, "all keys are read %s", why);
	tap_ok(streq(p.slice, "x.slice") && p.memory_max == 2 * GIB && p.reserve == 64 * MIB &&
	       p.throttle_band == 16 * MIB && p.throttle_max_usec == 20000 &&
	       p.step_min == 128 * KIB && p.step_max == 8 * MIB, "[Pool]");
	tap_ok(p.hold_deadline_usec == 10000000 && p.freeze_usec == 2000000 &&
	       p.expired_delay_usec == 50000 && p.psi, "[Hold]");
	tap_ok(p.session.priority == 250 && p.session.reserve == MIB && p.session.budget == GIB &&
	       p.sessions_per_user == 3 && p.session.calls_per_session == 4 &&
	       p.session.detached_calls == 0 && p.idle == AGENTCG_IDLE_NONE &&
	       p.idle_after_usec == 60000000, "[Session]");
	tap_ok(p.request == 32 * MIB && p.call_max == 512 * MIB &&
	       p.timeout_max_usec == 300000000 && p.pids_max == 100 && p.cpu_max == 1500 &&
	       p.learn == AGENTCG_LEARN_LIMIT && p.admission == AGENTCG_ADMISSION_QUOTA &&
	       p.queue_timeout_usec == 120000000, "[Call]");
	tap_ok(p.scheduler == AGENTCG_SCHEDULER_NONE, "[CPU]");
	tap_ok(p.requests_per_second == 50 && p.user_budget == GIB && p.nr_users == 1, "[User]");
	tap_ok(agentcg_policy_user_budget(&p, 1000) == 512 * MIB && agentcg_policy_user_budget(&p, 1001) == GIB &&
	       agentcg_policy_user_budget(&p, 0) == AGENTCG_NONE, "a user's own section is heard; root has none unless it says so");
	agentcg_policy_session(&p, "x", 1000, &s);
	tap_ok(s.budget == 512 * MIB && s.of_user, "no session has more than its user");
	agentcg_policy_session(&p, "x", 1001, &s);
	tap_ok(s.budget == GIB && !s.of_user, "... it may have as much");
	agentcg_policy_done(&p);
}

static void test_matches(void)
{
	char why[AGENTCG_WHY_MAX] = "";
	struct agentcg_session_policy s;
	struct agentcg_policy p;
	int r = load(&p,
		"[Session]\nPriority=normal\nBudget=1Gi\n"
		"[Session \"ci-*\"]\nPriority=low\n"
		"[Session \"ci-release\"]\nOwner=1000\nPriority=high\nBudget=none\n", why);

	tap_ok(r == 0 && p.nr_matches == 2, "sections with a glob %s", why);
	agentcg_policy_session(&p, "chat", 1000, &s);
	tap_ok(s.priority == 500 && s.budget == GIB, "a session that no glob matches");
	agentcg_policy_session(&p, "ci-7", 1000, &s);
	tap_ok(s.priority == 250 && s.budget == GIB, "a match overrides what it sets, not the rest");
	agentcg_policy_session(&p, "ci-release", 1000, &s);
	tap_ok(s.priority == 750 && s.budget == AGENTCG_NONE, "the later match wins");
	agentcg_policy_session(&p, "ci-release", 1001, &s);
	tap_ok(s.priority == 250 && s.budget == GIB, "Owner= keeps a name for its user");
	agentcg_policy_done(&p);
}

static void test_refused(void)
{
	char line[400];

	refused("[Pool]\nMemMax=1Gi\n", "2: unknown key \"MemMax\" in [Pool]; known are Slice, MemoryMax");
	refused("[Call]\nCPUMax=lots\n", "2: CPUMax: \"lots\" is no number of CPUs: say 2, 1.5, or 500m for half of one; or none");
	refused("[Call]\nLearn=all\n", "2: Learn=all: say request, limit or none");
	refused("[Call]\nAdmission=cpu\n", "2: Admission=cpu: say memory, quota or none");
	refused("[Call]\nQueueTimeout=2h\n", "QueueTimeout must be from 100ms to 1h");
	refused("[Session]\nDetachedCalls=0\n", "2: DetachedCalls: \"0\": say a number from 1 to 1000000; or none");
	refused("[Session]\nIdleReclaim=yes\n", "2: IdleReclaim=yes: say auto or none");
	refused("[Session]\nIdleAfter=100ms\n", "IdleAfter must be from 1s to 1h");
	refused("[User]\nRequestsPerSecond=0\n", "2: RequestsPerSecond: \"0\": say a number from 1 to 1000000; or none");
	refused("[User]\nBudget=1Ki\n", "[User] Budget is below 1Mi");
	refused("[User \"no such user\"]\nBudget=1Gi\n", "there is no user \"no such user\"");
	refused("[User \"1000\"]\nRequestsPerSecond=5\n", "2: unknown key \"RequestsPerSecond\" in [User \"...\"]; known are Budget");
	refused("[User 1000]\nBudget=1Gi\n", "say [User \"name\"]");
	refused("[Pools]\nReserve=1Mi\n", "unknown section [Pools]; known are [Pool]");
	refused("Reserve=1Mi\n", "1: a key before the first section");
	refused("[Pool]\nnonsense\n", "2: neither a [section] nor Key=value");
	refused("[Pool]\n\nReserve=32M\n", "3: Reserve: 32M is ambiguous: say 32Mi");
	refused("[Pool]\nMemoryMax=101%\n", "say 1% to 100%");
	refused("[Pool]\nMemoryMax=0%\n", "say 1% to 100%");
	refused("[Pool]\nMemoryMax=none\n", "80%");
	refused("[Pool]\nSlice=../x\n", "one name without slashes");
	refused("[Hold]\nDeadline=30\n", "Deadline: 30 lacks its unit: say 30s");
	refused("[Hold]\nCountInPSI=maybe\n", "say yes or no");
	refused("[Session]\nPriority=urgent\n", "low, normal, high");
	refused("[Session]\nSessionsPerUser=0\n", "a number from 1");
	refused("[Session]\nOwner=root\n", "unknown key \"Owner\" in [Session]");
	refused("[Session \"x\"]\nSessionsPerUser=1\n", "unknown key \"SessionsPerUser\"");
	refused("[Session \"x\"]\nOwner=no-such-user\n", "there is no user");
	refused("[Session x]\nPriority=low\n", "say [Session \"name\"]");
	refused("[GPU]\nWhenShort=never\n", "2: WhenShort=never: say equal or priority");
	refused("[GPU]\nFarNodes=two\n", "2: FarNodes=two: say auto, none, or numbers of NUMA nodes such as 2-3");
	refused("[GPU]\nLMCache=localhost:9000\n", "2: LMCache=localhost:9000: say http://HOST:PORT/PATH or https://..., or none");
	refused("[GPU]\nWebhook=ftp://x\n", "2: Webhook=ftp://x: say http://HOST:PORT/PATH or https://..., or none");
	refused("[GPU]\nTokenTarget=50\n", "TokenTarget: ");
	refused("[GPU]\nCache=maybe\n", "2: Cache=maybe: say auto, keep or drop");
	refused("[CPU]\nScheduler=eevdf\n", "2: Scheduler=eevdf: say auto or none");
	refused("[CPU]\nWeight=1\n", "known are Scheduler");
	refused("[Call]\nMemoryMax=lots\n", "or none");
	refused("[Pool]\nReserve=1Mi\n  StepMax=1Mi\n", "3: the line begins with a space");
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = 0;
	refused(line, "1: the line is too long");
	refused("[Pool]\nMemoryMax=64Mi\nReserve=64Mi\n[Call]\nMemoryRequest=1Mi\n", "must be less than MemoryMax (64Mi)");
	refused("[Pool]\nMemoryMax=17Gi\n", "more than this machine has");
	refused("[Pool]\nMemoryMax=1Mi\n", "below 16Mi");
	refused("[Pool]\nStepMin=8Mi\n", "StepMin");
	refused("[Session \"a*\"]\nReserve=2Gi\nBudget=1Gi\n", "session a*: Reserve must not be above Budget");
	refused("[Session]\nReserve=16Gi\n", "below the pool's MemoryMax");
}

static void test_missing(void)
{
	char why[AGENTCG_WHY_MAX] = "";
	struct agentcg_policy p;

	tap_ok(agentcg_policy_load(&p, "/nonexistent/policy.conf", why) == -ENOENT && *why,
	       "a file that was named must be there: %s", why);
}

/* policy.conf with its keys uncommented, but for the example section. */
static int uncomment(const char *file)
{
	_cleanup_fclose_ FILE *in = fopen(file, "re"), *out = fopen(path, "we");
	bool example = false;
	char line[256];

	if (!in || !out)
		return -errno;
	while (fgets(line, sizeof(line), in)) {
		if (*line == '[')
			example = false;
		if (line[0] == '#' && line[1] == '[')
			example = true;
		if (*line == '[' || (!example && *line == '#' && line[1] >= 'A' && line[1] <= 'Z' &&
				     line[1 + strspn(line + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")] == '='))
			fputs(line + (*line == '#'), out);
	}
	return 0;
}

/* The files that we ship; run from the top of the tree. */
static void test_files(void)
{
	static const char *const files[] = { "policy.conf", "ci-runner.conf", "workstation.conf" };
	struct agentcg_policy defaults, p;
	char why[AGENTCG_WHY_MAX], file[64];
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(file, sizeof(file), "cgroup-policies/%s", files[i]);
		if (access(file, R_OK) < 0) {
			tap_ok(true, "%s # SKIP not in the top of the tree", file);
			continue;
		}
		why[0] = 0;
		r = agentcg_policy_load(&p, file, why);
		tap_ok(!r && !agentcg_policy_check(&p, MACHINE, why), "%s is good %s", file, why);
		agentcg_policy_done(&p);
	}
	if (access("cgroup-policies/policy.conf", R_OK) < 0)
		return;
	uncomment("cgroup-policies/policy.conf");
	agentcg_policy_init(&defaults);
	r = agentcg_policy_load(&p, path, why);
	p.session.set = 0;	/* which keys were given */
	tap_ok(!r && memcmp(&p, &defaults, sizeof(p)) == 0, "the defaults are as policy.conf says");
	agentcg_policy_done(&p);
}

int main(void)
{
	int fd = mkstemp(path);

	if (fd < 0) {
		perror(path);
		return 1;
	}
	close(fd);
	test_defaults();
	test_keys();
	test_matches();
	test_refused();
	test_missing();
	test_files();
	unlink(path);
	return tap_done();
}
