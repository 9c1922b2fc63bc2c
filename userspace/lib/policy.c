// SPDX-License-Identifier: GPL-2.0-only
#include "policy.h"

#include <dirent.h>
#include <fnmatch.h>
#include <ini.h>
#include <pwd.h>
#include <stdarg.h>

#include "intent.h"
#include "priority.h"
#include "size.h"

enum section {
	SECTION_POOL,
	SECTION_HOLD,
	SECTION_SESSION,
	SECTION_MATCH,		/* [Session "glob"] */
	SECTION_CALL,
	SECTION_CPU,
	SECTION_USER,
	SECTION_USER_MATCH,	/* [User "name"] */
	SECTION_GPU,
	NR_SECTIONS
};

static const char *const section_names[] = {
	[SECTION_POOL] = "Pool",
	[SECTION_HOLD] = "Hold",
	[SECTION_SESSION] = "Session",
	[SECTION_MATCH] = "Session \"...\"",
	[SECTION_CALL] = "Call",
	[SECTION_CPU] = "CPU",
	[SECTION_USER] = "User",
	[SECTION_USER_MATCH] = "User \"...\"",
	[SECTION_GPU] = "GPU",
};

enum kind {
	KIND_SIZE,		/* u64 bytes */
	KIND_SIZE_NONE,		/* the same, or "none" */
	KIND_TIME,		/* u64 usec */
	KIND_TIME_NONE,
	KIND_COUNT,		/* u32, at least 1 */
	KIND_COUNT_NONE,	/* u32; "none" is 0 */
	KIND_COUNT64,
	KIND_CPUS_NONE,		/* u64 thousandths of a CPU, or "none" */
	KIND_BOOL,
	KIND_PRIORITY,
	KIND_SLICE,
	KIND_POOL_MAX,		/* size or percent */
	KIND_OWNER,
	KIND_CHOICE,		/* an enum, in the order of its words */
	KIND_NODES,
	KIND_URL,
};

#define POLICY(m)	offsetof(struct agentcg_policy, m)
#define SESSION(m)	offsetof(struct agentcg_session_policy, m)

/* Offsets of the session sections are into their agentcg_session_policy. */
static const struct key {
	enum section section;
	const char *name;
	enum kind kind;
	size_t offset;
} keys[] = {
	{ SECTION_POOL, "Slice", KIND_SLICE, POLICY(slice) },
	{ SECTION_POOL, "MemoryMax", KIND_POOL_MAX, POLICY(memory_max) },
	{ SECTION_POOL, "Reserve", KIND_SIZE, POLICY(reserve) },
	{ SECTION_POOL, "ThrottleBand", KIND_SIZE, POLICY(throttle_band) },
	{ SECTION_POOL, "ThrottleMax", KIND_TIME, POLICY(throttle_max_usec) },
	{ SECTION_POOL, "StepMin", KIND_SIZE, POLICY(step_min) },
	{ SECTION_POOL, "StepMax", KIND_SIZE, POLICY(step_max) },
	{ SECTION_HOLD, "Deadline", KIND_TIME, POLICY(hold_deadline_usec) },
	{ SECTION_HOLD, "FreezeTime", KIND_TIME, POLICY(freeze_usec) },
	{ SECTION_HOLD, "ExpiredDelay", KIND_TIME, POLICY(expired_delay_usec) },
	{ SECTION_HOLD, "CountInPSI", KIND_BOOL, POLICY(psi) },
	{ SECTION_SESSION, "SessionsPerUser", KIND_COUNT, POLICY(sessions_per_user) },
	{ SECTION_SESSION, "IdleReclaim", KIND_CHOICE, POLICY(idle) },
	{ SECTION_SESSION, "IdleAfter", KIND_TIME, POLICY(idle_after_usec) },
	{ SECTION_MATCH, "Owner", KIND_OWNER, SESSION(owner) },
	{ SECTION_MATCH, "Priority", KIND_PRIORITY, SESSION(priority) },
	{ SECTION_MATCH, "Reserve", KIND_SIZE, SESSION(reserve) },
	{ SECTION_MATCH, "Budget", KIND_SIZE_NONE, SESSION(budget) },
	{ SECTION_MATCH, "CallsPerSession", KIND_COUNT, SESSION(calls_per_session) },
	{ SECTION_MATCH, "DetachedCalls", KIND_COUNT_NONE, SESSION(detached_calls) },
	{ SECTION_CALL, "MemoryRequest", KIND_SIZE, POLICY(request) },
	{ SECTION_CALL, "MemoryMax", KIND_SIZE_NONE, POLICY(call_max) },
	{ SECTION_CALL, "TimeoutMax", KIND_TIME_NONE, POLICY(timeout_max_usec) },
	{ SECTION_CALL, "PidsMax", KIND_COUNT64, POLICY(pids_max) },
	{ SECTION_CALL, "CPUMax", KIND_CPUS_NONE, POLICY(cpu_max) },
	{ SECTION_CALL, "Learn", KIND_CHOICE, POLICY(learn) },
	{ SECTION_CALL, "Admission", KIND_CHOICE, POLICY(admission) },
	{ SECTION_CALL, "QueueTimeout", KIND_TIME, POLICY(queue_timeout_usec) },
	{ SECTION_CPU, "Scheduler", KIND_CHOICE, POLICY(scheduler) },
	{ SECTION_USER, "RequestsPerSecond", KIND_COUNT_NONE, POLICY(requests_per_second) },
	{ SECTION_USER, "Budget", KIND_SIZE_NONE, POLICY(user_budget) },
	{ SECTION_USER_MATCH, "Budget", KIND_SIZE_NONE, offsetof(struct agentcg_user_policy, budget) },
	{ SECTION_GPU, "CallCores", KIND_COUNT, POLICY(gpu.call_cores) },
	{ SECTION_GPU, "WhenShort", KIND_CHOICE, POLICY(gpu.when_short) },
	{ SECTION_GPU, "FarNodes", KIND_NODES, POLICY(gpu.far_nodes) },
	{ SECTION_GPU, "MoveInterrupts", KIND_BOOL, POLICY(gpu.move_interrupts) },
	{ SECTION_GPU, "LaunchProbe", KIND_CHOICE, POLICY(gpu.probe) },
	{ SECTION_GPU, "Cache", KIND_CHOICE, POLICY(gpu.cache) },
	{ SECTION_GPU, "EmptyEngines", KIND_BOOL, POLICY(gpu.empty_engines) },
	{ SECTION_GPU, "Webhook", KIND_URL, POLICY(gpu.webhook) },
	{ SECTION_GPU, "LMCache", KIND_URL, POLICY(gpu.lmcache) },
	{ SECTION_GPU, "TTFTTarget", KIND_TIME_NONE, POLICY(gpu.ttft_usec) },
	{ SECTION_GPU, "TokenTarget", KIND_TIME_NONE, POLICY(gpu.token_usec) },
	{ SECTION_GPU, "CheckpointAfter", KIND_TIME_NONE, POLICY(gpu.checkpoint_usec) },
};
/* What a choice is among, in the order of its enum; each word ends with NUL. */
static const struct {
	const char *key;
	const char *words;
} choices[] = {
	{ "IdleReclaim", "auto\0none\0" },
	{ "Learn", "request\0limit\0none\0" },
	{ "Admission", "memory\0quota\0none\0" },
	{ "Scheduler", "auto\0none\0" },
	{ "WhenShort", "equal\0priority\0" },
	{ "LaunchProbe", "auto\0none\0" },
	{ "Cache", "auto\0keep\0drop\0" },
};

_Static_assert(ARRAY_SIZE(keys) <= 64, "a bit for each in agentcg_session_policy.set");

/* Where the reader is, for messages; inih does not tell its handler. */
struct reader {
	struct agentcg_policy *policy;
	const char *file;
	FILE *f;
	unsigned int line;
	char *why;
	int error;		/* the first one */
};

_printf_(2, 3)
static int refuse(struct reader *r, const char *format, ...)
{
	char text[AGENTCG_WHY_MAX];
	va_list ap;

	if (r->error)
		return r->error;
	r->error = -EINVAL;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (r->why) {
		int n = snprintf(r->why, AGENTCG_WHY_MAX, "%s:%u: ", r->file, r->line);

		if (n >= 0 && n < AGENTCG_WHY_MAX)
			snprintf(r->why + n, AGENTCG_WHY_MAX - (size_t)n, "%s", text);
	}
	return -EINVAL;
}

/* ---- values ------------------------------------------------------------- */

static int parse_count(const char *text, uint64_t max, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	return *text < '0' || *text > '9' || *end || errno || !*ret || *ret > max ? -EINVAL : 0;
}

static int parse_bool(const char *text, bool *ret)
{
	if (streq(text, "yes") || streq(text, "true") || streq(text, "on") || streq(text, "1"))
		*ret = true;
	else if (streq(text, "no") || streq(text, "false") || streq(text, "off") || streq(text, "0"))
		*ret = false;
	else
		return -EINVAL;
	return 0;
}

/* A uid, or the name of a user of this machine. */
static int parse_user(struct reader *r, const char *text, char name[33], uid_t *ret)
{
	struct passwd *pw;
	uint64_t uid;

	if (strlen(text) >= 33)
		return refuse(r, "the user name is too long");
	if (streq(text, "0") || !parse_count(text, UINT32_MAX - 1, &uid)) {
		*ret = streq(text, "0") ? 0 : (uid_t)uid;
	} else {
		pw = getpwnam(text);
		if (!pw)
			return refuse(r, "there is no user \"%s\": give a user name or a uid", text);
		*ret = pw->pw_uid;
	}
	strcpy(name, text);
	return 0;
}

static int parse_pool_max(struct reader *r, const char *text)
{
	struct agentcg_policy *p = r->policy;
	char why[AGENTCG_WHY_MAX];
	size_t n = strlen(text);
	uint64_t percent;
	char number[8];

	if (n && text[n - 1] == '%') {
		if (n >= sizeof(number))
			return refuse(r, "MemoryMax=%s: say 1%% to 100%%", text);
		memcpy(number, text, n - 1);
		number[n - 1] = 0;
		if (parse_count(number, 100, &percent) < 0)
			return refuse(r, "MemoryMax=%s: say 1%% to 100%%", text);
		p->memory_max_percent = (uint32_t)percent;
		return 0;
	}
	if (agentcg_parse_size(text, &p->memory_max, why) < 0)
		return refuse(r, "MemoryMax: %s; or a part of the memory such as 80%%", why);
	p->memory_max_percent = 0;
	return 0;
}

static int parse_slice(struct reader *r, const char *text)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

	if (!*text || *text == '.' || strlen(text) >= sizeof(r->policy->slice) ||
	    text[strspn(text, allowed)])
		return refuse(r, "Slice=%s: say one name without slashes, such as agentcg.slice", text);
	strcpy(r->policy->slice, text);
	return 0;
}

/* The place of @text among the key's words, which is the value of its enum. */
static int parse_choice(struct reader *r, const struct key *k, const char *text, void *to)
{
	char known[AGENTCG_WHY_MAX] = "";
	unsigned int value = 0;
	size_t i = 0;

	while (!streq(choices[i].key, k->name))
		i++;
	for (const char *word = choices[i].words; *word; word += strlen(word) + 1, value++) {
		const char *next = word + strlen(word) + 1;
		size_t n = strlen(known);

		if (streq(text, word)) {
			*(unsigned int *)to = value;
			return 0;
		}
		snprintf(known + n, sizeof(known) - n, "%s%s", word,
			 !*next ? "" : next[strlen(next) + 1] ? ", " : " or ");
	}
	return refuse(r, "%s=%s: say %s", k->name, text, known);
}

/* Which NUMA nodes hold what is far: words for agentcg_place(). */
static int parse_nodes(struct reader *r, const char *text)
{
	struct agentcg_gpu_policy *gpu = &r->policy->gpu;

	if (!*text || strlen(text) >= sizeof(gpu->far_nodes) ||
	    (!streq(text, "auto") && !streq(text, "none") && text[strspn(text, "0123456789,-")]))
		return refuse(r, "FarNodes=%s: say auto, none, or numbers of NUMA nodes such as 2-3", text);
	strcpy(gpu->far_nodes, text);
	return 0;
}

static int parse_url(struct reader *r, const char *key, const char *text, char *to)
{
	const char *host = startswith(text, "http://") ?: startswith(text, "https://");

	if (streq(text, "none")) {
		*to = 0;
		return 0;
	}
	if (!host || !*host || strlen(text) >= sizeof(r->policy->gpu.webhook) || strpbrk(text, " \t\"<>"))
		return refuse(r, "%s=%s: say http://HOST:PORT/PATH or https://..., or none", key, text);
	strcpy(to, text);
	return 0;
}

static bool may_be_none(enum kind kind)
{
	return kind == KIND_SIZE_NONE || kind == KIND_TIME_NONE || kind == KIND_CPUS_NONE ||
	       kind == KIND_COUNT_NONE;
}

static int parse_number(struct reader *r, const struct key *k, const char *text, void *to)
{
	uint64_t *u64 = to, v, max = k->kind == KIND_COUNT64 ? 4194304 : 1000000;
	char why[AGENTCG_WHY_MAX];
	int ret;

	if (may_be_none(k->kind) && streq(text, "none")) {
		if (k->kind == KIND_COUNT_NONE)
			*(uint32_t *)to = 0;
		else
			*u64 = AGENTCG_NONE;
		return 0;
	}
	switch (k->kind) {
	case KIND_CPUS_NONE:
		ret = agentcg_parse_cpus(text, u64, why);
		break;
	case KIND_SIZE:
	case KIND_SIZE_NONE:
		ret = agentcg_parse_size(text, u64, why);
		break;
	case KIND_TIME:
	case KIND_TIME_NONE:
		ret = agentcg_parse_time(text, u64, why);
		break;
	case KIND_PRIORITY:
		ret = agentcg_parse_priority(text, to, why);
		break;
	default:
		ret = parse_count(text, max, &v);
		if (ret < 0)
			snprintf(why, sizeof(why), "\"%.32s\": say a number from 1 to %d", text, (int)max);
		else if (k->kind == KIND_COUNT64)
			*u64 = v;
		else
			*(uint32_t *)to = (uint32_t)v;
	}
	if (ret < 0)
		return refuse(r, "%s: %s%s", k->name, why, may_be_none(k->kind) ? "; or none" : "");
	return 0;
}

/* What a key of a section is about: the policy, or a part of it. */
struct subject {
	struct agentcg_session_policy *session;
	struct agentcg_user_policy *user;
};

static int set_key(struct reader *r, const struct key *k, const struct subject *subject, const char *text)
{
	struct agentcg_session_policy *s = subject->session;
	char *base = (char *)r->policy;

	if (k->section == SECTION_USER_MATCH)
		base = (char *)subject->user;
	if (k->section == SECTION_MATCH) {
		base = (char *)s;
		s->set |= 1ULL << (k - keys);
	}
	switch (k->kind) {
	case KIND_SLICE:
		return parse_slice(r, text);
	case KIND_POOL_MAX:
		return parse_pool_max(r, text);
	case KIND_OWNER:
		return parse_user(r, text, s->owner, &s->owner_uid);
	case KIND_CHOICE:
		return parse_choice(r, k, text, base + k->offset);
	case KIND_NODES:
		return parse_nodes(r, text);
	case KIND_URL:
		return parse_url(r, k->name, text, base + k->offset);
	case KIND_BOOL:
		if (parse_bool(text, (bool *)(base + k->offset)) < 0)
			return refuse(r, "%s=%s: say yes or no", k->name, text);
		return 0;
	default:
		return parse_number(r, k, text, base + k->offset);
	}
}

/* ---- sections and keys -------------------------------------------------- */

/* The section [Session "glob"], made when it is new. */
static struct agentcg_session_policy *find_match(struct reader *r, const char *quoted)
{
	struct agentcg_policy *p = r->policy;
	struct agentcg_session_policy *s;
	size_t n = strlen(quoted);

	if (n < 3 || quoted[0] != '"' || quoted[n - 1] != '"' || n - 2 >= AGENTCG_MATCH_MAX ||
	    memchr(quoted + 1, '"', n - 2)) {
		refuse(r, "[Session %s: say [Session \"name\"], with * and ? for any text, at most %d characters",
		       quoted, AGENTCG_MATCH_MAX - 1);
		return NULL;
	}
	for (size_t i = 0; i < p->nr_matches; i++)
		if (strlen(p->matches[i].match) == n - 2 &&
		    memcmp(p->matches[i].match, quoted + 1, n - 2) == 0)
			return &p->matches[i];
	s = reallocarray(p->matches, p->nr_matches + 1, sizeof(*s));
	if (!s) {
		r->error = -ENOMEM;
		return NULL;
	}
	p->matches = s;
	s += p->nr_matches++;
	memset(s, 0, sizeof(*s));
	memcpy(s->match, quoted + 1, n - 2);
	return s;
}

/* The section [User "name"], made when it is new. */
static struct agentcg_user_policy *find_user(struct reader *r, const char *quoted)
{
	struct agentcg_user_policy *list, u = { .budget = AGENTCG_NONE };
	struct agentcg_policy *p = r->policy;
	size_t n = strlen(quoted);
	char name[40];

	if (n < 3 || n - 2 >= sizeof(name) || quoted[0] != '"' || quoted[n - 1] != '"') {
		refuse(r, "[User %s: say [User \"name\"], with a user name or a uid", quoted);
		return NULL;
	}
	snprintf(name, sizeof(name), "%.*s", (int)(n - 2), quoted + 1);
	if (parse_user(r, name, u.name, &u.uid) < 0)
		return NULL;
	for (size_t i = 0; i < p->nr_users; i++)
		if (p->users[i].uid == u.uid)
			return &p->users[i];
	list = reallocarray(p->users, p->nr_users + 1, sizeof(*list));
	if (!list) {
		r->error = -ENOMEM;
		return NULL;
	}
	p->users = list;
	list[p->nr_users] = u;
	return &list[p->nr_users++];
}

static int unknown_key(struct reader *r, enum section section, const char *name)
{
	char known[300] = "";

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (keys[i].section != section &&
		    !(section == SECTION_SESSION && keys[i].section == SECTION_MATCH &&
		      keys[i].kind != KIND_OWNER))
			continue;
		if (*known)
			strcat(known, ", ");
		strcat(known, keys[i].name);
	}
	return refuse(r, "unknown key \"%s\" in [%s]; known are %s", name, section_names[section], known);
}

static const struct key *find_key(enum section section, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const struct key *k = &keys[i];

		if (!streq(k->name, name))
			continue;
		if (k->section == section)
			return k;
		/* The default section has all keys of the others but Owner. */
		if (section == SECTION_SESSION && k->section == SECTION_MATCH && k->kind != KIND_OWNER)
			return k;
	}
	return NULL;
}

static int find_section(struct reader *r, const char *name, struct subject *ret)
{
	*ret = (struct subject){ .session = &r->policy->session };
	for (int i = 0; i < NR_SECTIONS; i++)
		if (i != SECTION_MATCH && i != SECTION_USER_MATCH && streq(name, section_names[i]))
			return i;
	if (startswith(name, "Session ")) {
		ret->session = find_match(r, name + strlen("Session "));
		return ret->session ? SECTION_MATCH : r->error;
	}
	if (startswith(name, "User ")) {
		ret->user = find_user(r, name + strlen("User "));
		return ret->user ? SECTION_USER_MATCH : r->error;
	}
	if (!*name)
		return refuse(r, "a key before the first section; begin with [Pool]");
	return refuse(r, "unknown section [%s]; known are [Pool], [Hold], [Session], [Session \"name\"], [Call], [CPU], [User], [User \"name\"], [GPU]",
		      name);
}

/* Called by inih for each key; 1 goes on. */
static int on_key(void *userdata, const char *section, const char *name, const char *value)
{
	struct reader *r = userdata;
	struct subject subject;
	const struct key *k;
	int i;

	if (r->error)
		return 1;
	i = find_section(r, section, &subject);
	if (i < 0)
		return 1;
	/* Libraries built to announce sections pass no name. */
	if (!name)
		return 1;
	k = find_key((enum section)i, name);
	if (!k) {
		unknown_key(r, (enum section)i, name);
		return 1;
	}
	if (!value)
		value = "";
	set_key(r, k, &subject, value);
	return 1;
}

/* Lines for inih, counted, and refused where inih would cut them. */
static char *read_line(char *buf, int size, void *stream)
{
	struct reader *r = stream;
	size_t n;

	if (r->error || !fgets(buf, size, r->f))
		return NULL;
	r->line++;
	n = strlen(buf);
	if (n == (size_t)size - 1 && buf[n - 1] != '\n') {
		refuse(r, "the line is too long; at most %d characters", size - 3);
		return NULL;
	}
	/* Continuation lines of inih would hide a mistake. */
	if ((*buf == ' ' || *buf == '\t') && strspn(buf, " \t") < strcspn(buf, "\r\n;#")) {
		refuse(r, "the line begins with a space; begin it with the key");
		return NULL;
	}
	return buf;
}

int agentcg_policy_read(struct agentcg_policy *p, const char *file, char *why)
{
	struct reader r = { .policy = p, .file = file, .why = why };
	_cleanup_fclose_ FILE *f = fopen(file, "re");
	int n;

	if (!f) {
		r.error = -errno;
		if (why)
			snprintf(why, AGENTCG_WHY_MAX, "%s: %s", file, strerror(-r.error));
		return r.error;
	}
	r.f = f;
	n = ini_parse_stream(read_line, &r, on_key, &r);
	if (r.error)
		return r.error;
	if (n < 0)
		return -ENOMEM;
	if (n > 0) {
		r.line = (unsigned int)n;
		return refuse(&r, "neither a [section] nor Key=value");
	}
	return 0;
}

/* ---- the whole ---------------------------------------------------------- */

void agentcg_policy_init(struct agentcg_policy *p)
{
	*p = (struct agentcg_policy){
		.slice = "agentcg.slice",
		.memory_max_percent = 80,
		.reserve = 32 * MIB,
		.throttle_band = 8 * MIB,
		.throttle_max_usec = 10 * USEC_PER_MSEC,
		.step_min = 256 * KIB,
		.step_max = 4 * MIB,
		.hold_deadline_usec = 30 * USEC_PER_SEC,
		.freeze_usec = 5 * USEC_PER_SEC,
		.expired_delay_usec = 20 * USEC_PER_MSEC,
		.sessions_per_user = 64,
		.idle_after_usec = 10 * USEC_PER_SEC,
		.requests_per_second = 1000,
		.user_budget = AGENTCG_NONE,
		.session = {
			.priority = AGENTCG_PRIORITY_NORMAL,
			.calls_per_session = 256,
			.detached_calls = 8,
			.budget = AGENTCG_NONE,
		},
		.request = 128 * MIB,
		.call_max = AGENTCG_NONE,
		.timeout_max_usec = AGENTCG_NONE,
		.pids_max = 4096,
		.cpu_max = AGENTCG_NONE,
		.queue_timeout_usec = 60 * USEC_PER_SEC,
		.gpu = {
			.call_cores = 1,
			.far_nodes = "auto",
			.ttft_usec = AGENTCG_NONE,
			.token_usec = AGENTCG_NONE,
			.checkpoint_usec = AGENTCG_NONE,
		},
	};
}

void agentcg_policy_done(struct agentcg_policy *p)
{
	free(p->matches);
	p->matches = NULL;
	p->nr_matches = 0;
	free(p->users);
	p->users = NULL;
	p->nr_users = 0;
}

static int is_conf(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return d->d_name[0] != '.' && n > 5 && streq(d->d_name + n - 5, ".conf");
}

static int read_drop_ins(struct agentcg_policy *p, char *why)
{
	struct dirent **list;
	int n = scandir(AGENTCG_POLICY_DIR, &list, is_conf, alphasort), r = 0;

	if (n < 0)
		return errno == ENOENT ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		char path[sizeof(AGENTCG_POLICY_DIR) + 256];

		snprintf(path, sizeof(path), "%s/%s", AGENTCG_POLICY_DIR, list[i]->d_name);
		if (!r)
			r = agentcg_policy_read(p, path, why);
		free(list[i]);
	}
	free(list);
	return r;
}

int agentcg_policy_load(struct agentcg_policy *p, const char *file, char *why)
{
	int r;

	agentcg_policy_init(p);
	r = agentcg_policy_read(p, file ?: AGENTCG_POLICY_FILE, why);
	if (r == -ENOENT && !file)
		r = 0;		/* the defaults above are a policy */
	if (!r && !file)
		r = read_drop_ins(p, why);
	if (r)
		agentcg_policy_done(p);
	return r;
}

/* The session sections: what they keep must fit into the pool. */
static int check_session(const struct agentcg_policy *p, const struct agentcg_session_policy *s,
			 char *why)
{
	const char *name = s->match[0] ? s->match : "default";

	if (s->budget != AGENTCG_NONE && s->budget < MIB)
		snprintf(why, AGENTCG_WHY_MAX, "session %s: Budget is below 1Mi: nothing could run in it; say none for no budget", name);
	else if (s->reserve && s->reserve >= p->memory_max - p->reserve)
		snprintf(why, AGENTCG_WHY_MAX, "session %s: Reserve must be below the pool's MemoryMax less its Reserve", name);
	else if (s->budget != AGENTCG_NONE && s->reserve > s->budget)
		snprintf(why, AGENTCG_WHY_MAX, "session %s: Reserve must not be above Budget", name);
	else
		return 0;
	return -EINVAL;
}

int agentcg_policy_check(struct agentcg_policy *p, uint64_t mem_total, char *why)
{
	char a[AGENTCG_TEXT_MAX], b[AGENTCG_TEXT_MAX], scratch[AGENTCG_WHY_MAX];
	const char *problem = NULL;
	int r;

	why = why ?: scratch;
	if (p->memory_max_percent)
		p->memory_max = mem_total / 100 * p->memory_max_percent;
	p->memory_max &= ~(4 * KIB - 1);

	if (p->memory_max < 16 * MIB)
		problem = "[Pool] MemoryMax is below 16Mi: no tool call could run";
	else if (p->memory_max > mem_total)
		problem = "[Pool] MemoryMax is more than this machine has; say 80% for most of it";
	else if (p->step_min < 64 * KIB || p->step_min > p->step_max)
		problem = "[Pool] StepMin must be at least 64Ki and at most StepMax";
	else if (p->throttle_max_usec > USEC_PER_SEC)
		problem = "[Pool] ThrottleMax is above 1s: that is a hold, see [Hold] Deadline";
	else if (p->hold_deadline_usec < 100 * USEC_PER_MSEC ||
		 p->hold_deadline_usec > 3600 * USEC_PER_SEC)
		problem = "[Hold] Deadline must be from 100ms to 1h";
	else if (p->freeze_usec < 100 * USEC_PER_MSEC || p->freeze_usec > 600 * USEC_PER_SEC)
		problem = "[Hold] FreezeTime must be from 100ms to 10m";
	else if (p->expired_delay_usec > USEC_PER_SEC)
		problem = "[Hold] ExpiredDelay must be at most 1s";
	else if (p->idle_after_usec < USEC_PER_SEC || p->idle_after_usec > 3600 * USEC_PER_SEC)
		problem = "[Session] IdleAfter must be from 1s to 1h";
	else if (p->request > p->memory_max)
		problem = "[Call] MemoryRequest is more than the whole pool's MemoryMax";
	else if (p->queue_timeout_usec < 100 * USEC_PER_MSEC ||
		 p->queue_timeout_usec > 3600 * USEC_PER_SEC)
		problem = "[Call] QueueTimeout must be from 100ms to 1h; say Admission=none for no waiting";
	else if (p->call_max < MIB)
		problem = "[Call] MemoryMax is below 1Mi: nothing could run; say none for no limit";
	else if (p->user_budget < MIB)
		problem = "[User] Budget is below 1Mi: nothing could run in it; say none for no budget";
	for (size_t i = 0; !problem && i < p->nr_users; i++)
		if (p->users[i].budget < MIB)
			problem = "[User \"...\"] Budget is below 1Mi: nothing could run in it; say none for no budget";
	if (problem) {
		snprintf(why, AGENTCG_WHY_MAX, "%s", problem);
		return -EINVAL;
	}
	if (p->reserve + p->throttle_band >= p->memory_max) {
		snprintf(why, AGENTCG_WHY_MAX,
			 "[Pool] Reserve and ThrottleBand (%s) must be less than MemoryMax (%s)",
			 agentcg_format_size(a, p->reserve + p->throttle_band),
			 agentcg_format_size(b, p->memory_max));
		return -EINVAL;
	}
	r = check_session(p, &p->session, why);
	for (size_t i = 0; !r && i < p->nr_matches; i++) {
		struct agentcg_session_policy s;

		/* As it will be in force: with the default's values below it. */
		agentcg_policy_session(p, p->matches[i].match, p->matches[i].owner_uid, &s);
		strcpy(s.match, p->matches[i].match);
		r = check_session(p, &s, why);
	}
	return r;
}

uint64_t agentcg_policy_user_budget(const struct agentcg_policy *p, uid_t uid)
{
	for (size_t i = 0; i < p->nr_users; i++)
		if (p->users[i].uid == uid)
			return p->users[i].budget;
	return uid == 0 ? AGENTCG_NONE : p->user_budget;
}

bool agentcg_policy_user_budgets(const struct agentcg_policy *p)
{
	return p->user_budget != AGENTCG_NONE || p->nr_users;
}

/* A session has at most what its user has. */
static void cap_by_user(const struct agentcg_policy *p, uid_t uid, struct agentcg_session_policy *s)
{
	uint64_t budget = agentcg_policy_user_budget(p, uid);

	s->of_user = s->budget > budget;
	s->budget = min_u64(s->budget, budget);
	s->reserve = min_u64(s->reserve, budget);
}

void agentcg_policy_session(const struct agentcg_policy *p, const char *name, uid_t uid,
			    struct agentcg_session_policy *ret)
{
	*ret = p->session;
	for (size_t i = 0; i < p->nr_matches; i++) {
		const struct agentcg_session_policy *m = &p->matches[i];

		if (fnmatch(m->match, name, 0) != 0 || (m->owner[0] && m->owner_uid != uid))
			continue;
		for (size_t j = 0; j < ARRAY_SIZE(keys); j++) {
			size_t n = keys[j].kind == KIND_SIZE || keys[j].kind == KIND_SIZE_NONE ? 8 : 4;

			if (!(m->set & 1ULL << j) || keys[j].kind == KIND_OWNER)
				continue;
			memcpy((char *)ret + keys[j].offset, (const char *)m + keys[j].offset, n);
		}
	}
	cap_by_user(p, uid, ret);
}
