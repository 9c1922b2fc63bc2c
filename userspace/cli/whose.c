// SPDX-License-Identifier: GPL-2.0-only
#include "whose.h"

#include "json.h"

/* Agent tools are a few processes above: a shell, a wrapper. */
#define ANCESTORS_MAX	16

/* 0: there is none. */
static uint64_t parent_of(uint64_t pid)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[64], line[512], *p;
	unsigned long ppid;

	snprintf(path, sizeof(path), "/proc/%llu/stat", (unsigned long long)pid);
	f = fopen(path, "re");
	if (!f || !fgets(line, sizeof(line), f))
		return 0;
	/* "PID (NAME) STATE PPID", and a name may hold anything. */
	p = strrchr(line, ')');
	return p && sscanf(p, ") %*c %lu", &ppid) == 1 ? ppid : 0;
}

static const char *session_of(sd_json_variant *sessions, uint64_t pid)
{
	for (size_t i = 0; i < sd_json_variant_elements(sessions); i++) {
		sd_json_variant *s = sd_json_variant_by_index(sessions, i);

		if (agentcg_json_u64(s, "pid") == pid)
			return agentcg_json_string(s, "name");
	}
	return NULL;
}

static bool by_ancestor(sd_json_variant *status, char buf[AGENTCG_WHOSE_MAX])
{
	sd_json_variant *sessions = status ? sd_json_variant_by_key(status, "sessions") : NULL;
	uint64_t pid = (uint64_t)getppid();

	if (!sessions)
		return false;
	for (int i = 0; pid > 1 && i < ANCESTORS_MAX; i++, pid = parent_of(pid)) {
		const char *name = session_of(sessions, pid);

		if (name) {
			snprintf(buf, AGENTCG_WHOSE_MAX, "%s", name);
			return true;
		}
	}
	return false;
}

/* Of "0::/agentcg.slice/session-NAME/tool-1": as a tool call, or as the agent's own. */
static bool by_group(char buf[AGENTCG_WHOSE_MAX])
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/cgroup", "re");
	char line[512], *p;

	while (f && fgets(line, sizeof(line), f)) {
		p = strstr(line, ".slice/session-");
		if (!p || !startswith(line, "0::"))
			continue;
		p += strlen(".slice/session-");
		p[strcspn(p, "/\n")] = 0;
		snprintf(buf, AGENTCG_WHOSE_MAX, "%.64s", p);
		return *buf;
	}
	return false;
}

const char *agentcg_whose(sd_json_variant *status, char buf[AGENTCG_WHOSE_MAX])
{
	if (!by_ancestor(status, buf) && !by_group(buf))
		snprintf(buf, AGENTCG_WHOSE_MAX, "uid-%u", getuid());
	return buf;
}
