// SPDX-License-Identifier: GPL-2.0-only
#include "manager.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <systemd/sd-daemon.h>

#include "admission.h"
#include "adopt.h"
#include "attachment.h"
#include "call.h"
#include "cgroup.h"
#include "climb.h"
#include "decide.h"
#include "history.h"
#include "kernel.h"
#include "log.h"
#include "notes.h"
#include "pause.h"
#include "peer.h"
#include "pins.h"
#include "scheduler.h"
#include "scope.h"
#include "session.h"
#include "size.h"
#include "user.h"
#include "watch.h"
#include "workers.h"

/* Where the daemon itself goes in a delegated unit (also DelegateSubgroup=). */
#define DAEMON_LEAF	"daemon"

/* Whatever GPU workers keep, the pool has so much beside its reserve. */
#define POOL_MIN	(16 * MIB)

#define SIZE(bytes)	agentcg_format_size((char[AGENTCG_TEXT_MAX]){}, (bytes))

int agentcg_manager_new(struct manager **ret)
{
	struct manager *m = calloc(1, sizeof(*m));
	struct sysinfo info;
	int r;

	if (!m)
		return -ENOMEM;
	m->root_fd = -1;
	m->pool_fd = -1;
	m->pins_fd = -1;
	if (sysinfo(&info) == 0)
		m->mem_total = (uint64_t)info.totalram * info.mem_unit;
	r = sd_event_default(&m->event);
	if (r >= 0)
		r = agentcg_scheduler_new(m, &m->scheduler);
	if (r >= 0)
		r = agentcg_admission_new(m, &m->admission);
	if (r < 0) {
		agentcg_manager_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

struct manager *agentcg_manager_free(struct manager *m)
{
	if (!m)
		return NULL;
	m->stopping = true;
	m->pauses = agentcg_pauses_free(m->pauses);
	m->workers = agentcg_workers_free(m->workers);
	agentcg_attachment_free_all(m);
	agentcg_watch_remove(m, NULL);
	m->admission = agentcg_admission_free(m->admission);
	agentcg_later_done(m);
	sd_event_source_disable_unref(m->alerts.source);
	sd_event_source_disable_unref(m->think.source);
	agentcg_user_free(m);
	agentcg_peer_free_all(m);
	sd_varlink_server_unref(m->server);
	sd_event_source_disable_unref(m->exit_source);
	free(m->habits);
	for (uint32_t i = 0; i < AGENTCG_MAX_CALLS; i++)
		agentcg_call_free(m->calls[i]);
	for (uint32_t i = 0; i < AGENTCG_MAX_SESSIONS; i++)
		agentcg_session_free(m->sessions[i]);
	sd_event_source_disable_unref(m->pins_source);
	sd_event_source_disable_unref(m->kernel_source);
	agentcg_kernel_close(m->kernel);
	agentcg_scheduler_free(m->scheduler);
	sd_event_source_disable_unref(m->fold_source);
	agentcg_history_close(m->history);
	agentcg_closep(&m->pins_fd);
	agentcg_declare_done(&m->declared);
	agentcg_policy_done(&m->policy);
	agentcg_closep(&m->pool_fd);
	agentcg_closep(&m->root_fd);
	free(m->pool_path);
	free(m->root_path);
	sd_event_unref(m->event);
	free(m);
	return NULL;
}

/* ---- the pool's group --------------------------------------------------- */

/*
 * Where systemd is PID 1, only what it has delegated is ours to change: our
 * scope, or, where it makes none, the group that we were started in.
 */
static int find_root(const char *mount, char **ret)
{
	char *path, *leaf;
	int r;

	if (sd_booted() <= 0) {
		*ret = strdup("");
		return *ret ? 0 : -ENOMEM;
	}
	if (agentcg_scope_open(mount, ret) >= 0)
		return 0;
	r = agentcg_cgroup_of_pid(0, &path);
	if (r < 0)
		return r;
	leaf = strrchr(path, '/');
	if (leaf && streq(leaf + 1, DAEMON_LEAF))
		*leaf = 0;
	*ret = path;
	return 0;
}

/* Groups with processes cannot hand controllers down: leave it for a leaf. */
static int leave_root(struct manager *m)
{
	_cleanup_free_ char *own = NULL;
	_cleanup_close_ int fd = -1;
	int r = agentcg_cgroup_of_pid(0, &own);

	if (r < 0 || !*m->root_path || !streq(own, m->root_path))
		return r;
	if (mkdirat(m->root_fd, DAEMON_LEAF, 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = agentcg_cgroup_open(m->root_fd, DAEMON_LEAF);
	return fd < 0 ? fd : agentcg_cgroup_attach(fd, 0);
}

static int enable_all(int fd)
{
	int r = agentcg_cgroup_enable(fd, "memory");

	if (!r)
		r = agentcg_cgroup_enable(fd, "pids");
	if (!r)
		agentcg_cgroup_enable(fd, "cpu");	/* weights are good to have */
	return r;
}

/* Opens the group @path below the mount, made where missing, controllers on. */
static int open_root(struct manager *m, const char *mount, const char *path)
{
	_cleanup_close_ int fd = agentcg_cgroup_open(AT_FDCWD, mount);
	_cleanup_free_ char *copy = strdup(path);
	char *save = NULL;

	if (!copy)
		return -ENOMEM;
	for (char *name = strtok_r(copy, "/", &save); name && fd >= 0;
	     name = strtok_r(NULL, "/", &save)) {
		int child = agentcg_cgroup_open(fd, name);

		if (child == -ENOENT) {
			enable_all(fd);
			if (mkdirat(fd, name, 0755) < 0)
				return -errno;
			child = agentcg_cgroup_open(fd, name);
		}
		close(fd);
		fd = child;
	}
	if (fd < 0)
		return fd;
	m->root_fd = TAKE_FD(fd);
	return 0;
}

/* What the policy says, less what GPU workers keep; a call fits in any case. */
static uint64_t wanted_pool_max(const struct manager *m)
{
	const struct agentcg_policy *p = &m->policy;
	uint64_t least = min_u64(p->reserve + p->throttle_band + POOL_MIN, p->memory_max);

	return max_u64(agentcg_sub(p->memory_max, agentcg_workers_taken(m)), least) & ~(4 * KIB - 1);
}

/* Never below what is in use: lowering memory.max there kills. */
static int set_pool_max(struct manager *m)
{
	uint64_t usage = agentcg_manager_usage(m), policy = wanted_pool_max(m), want = policy;

	if (m->pool_fd < 0)
		return 0;
	if (usage + m->policy.reserve > want) {
		want = (usage + m->policy.reserve + MIB - 1) & ~(MIB - 1);
		if (want != m->pool_max)
			agentcg_log(LOG_WARNING, "%s is in use: the pool's memory.max is %s for now, not %s",
				    SIZE(usage), SIZE(want), SIZE(policy));
	}
	m->pool_max = want;
	return agentcg_cgroup_write_u64(m->pool_fd, "memory.max", want);
}

int agentcg_manager_limit_pool(struct manager *m)
{
	uint64_t before = m->pool_max;
	int r = set_pool_max(m);

	if (m->pool_max == before)
		return r;
	agentcg_manager_write_pool(m);
	agentcg_admission_kick(m);
	return r;
}

/* The platform has none for us, and nothing that could be given to us by --root. */
static bool is_denied(int error)
{
	return error == -EOPNOTSUPP || error == -EROFS || error == -EACCES || error == -EPERM;
}

static int make_pool(struct manager *m, bool must)
{
	int r = enable_all(m->root_fd);

	if (!must && is_denied(r))
		return agentcg_why(r, m->pool_reason, r == -EOPNOTSUPP ?
			"cgroup v2 has no memory and pids controllers here: cgroup v1 has them (boot with cgroup_no_v1=all)" :
			"the cgroup tree may not be changed from here (%s): start it outside of the container, or make its cgroups writable",
			strerror(-r));
	if (r < 0) {
		agentcg_log(LOG_ERR, "cannot hand controllers down from the group %s/: %s. "
			    "Under systemd start it as a unit with Delegate=yes; "
			    "else give an empty group with --root",
			    m->root_path, strerror(-r));
		return r;
	}
	if (mkdirat(m->root_fd, m->policy.slice, 0755) < 0 && errno != EEXIST)
		return -errno;
	m->pool_fd = agentcg_cgroup_open(m->root_fd, m->policy.slice);
	if (m->pool_fd < 0)
		return m->pool_fd;
	if (flock(m->pool_fd, LOCK_EX | LOCK_NB) < 0) {
		agentcg_log(LOG_ERR, "another agentcgd has the group %s; stop it first", m->pool_path);
		return -EBUSY;
	}
	r = agentcg_cgroup_id(m->pool_fd, &m->pool_id);
	if (!r)
		r = enable_all(m->pool_fd);
	return r ?: set_pool_max(m);
}

/* GPU workers are served all the same. */
static int no_pool(struct manager *m)
{
	agentcg_log(LOG_WARNING, "no tool calls can be run, only GPU workers placed: %s", m->pool_reason);
	agentcg_why(0, m->reason, "%s", m->pool_reason);
	agentcg_closep(&m->root_fd);
	m->root_fd = -1;
	free(m->pool_path);
	m->pool_path = strdup("");
	return m->pool_path ? 0 : -ENOMEM;
}

int agentcg_manager_open_pool(struct manager *m, const char *root)
{
	_cleanup_free_ char *mount = NULL;
	int r = agentcg_cgroup_mount(&mount);

	if (r < 0 && !root) {
		agentcg_why(r, m->pool_reason, "no cgroup v2 is mounted; mount it: mount -t cgroup2 none /sys/fs/cgroup");
		return no_pool(m);
	}
	if (r < 0) {
		agentcg_log(LOG_ERR, "no cgroup v2 is mounted; mount it: mount -t cgroup2 none /sys/fs/cgroup");
		return r;
	}
	if (root) {
		/* As seen in the file system, or as in /proc/PID/cgroup. */
		root = startswith(root, mount) ?: root;
		if (asprintf(&m->root_path, "%s%s", *root && *root != '/' ? "/" : "", root) < 0)
			return -ENOMEM;
		for (size_t n = strlen(m->root_path); n && m->root_path[n - 1] == '/'; n--)
			m->root_path[n - 1] = 0;
	} else {
		r = find_root(mount, &m->root_path);
	}
	if (r < 0)
		return r;
	if (asprintf(&m->pool_path, "%s/%s", m->root_path, m->policy.slice) < 0)
		return -ENOMEM;
	r = open_root(m, mount, m->root_path);
	if (!r)
		r = leave_root(m);
	if (!r)
		r = make_pool(m, !!root);
	return r && *m->pool_reason ? no_pool(m) : r;
}

/* ---- the kernel's policy ------------------------------------------------ */

void agentcg_manager_pool(const struct manager *m, struct agentcg_pool *ret)
{
	const struct agentcg_policy *p = &m->policy;

	*ret = (struct agentcg_pool){
		.cgroup_id = m->pool_id,
		.limit = m->pool_max,
		.reserve = p->reserve,
		.throttle = p->throttle_band,
		.step_min = p->step_min,
		.step_max = p->step_max,
		.hold_ms = (uint32_t)(p->hold_deadline_usec / USEC_PER_MSEC),
		.throttle_ms = (uint32_t)(p->throttle_max_usec / USEC_PER_MSEC),
		.expired_ms = (uint32_t)(p->expired_delay_usec / USEC_PER_MSEC),
		.nr_sessions = m->nr_sessions,
		.nr_calls = m->nr_calls,
	};
}

int agentcg_manager_write_pool(struct manager *m)
{
	struct agentcg_pool pool;

	if (!m->kernel || m->adopting)
		return 0;
	agentcg_manager_pool(m, &pool);
	return agentcg_kernel_set_pool(m->kernel, &pool);
}

static int on_kernel(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct manager *m = userdata;

	agentcg_kernel_events(m->kernel);
	return 0;
}

/* Goes on without the policy: nothing frozen may be forgotten. */
static void degrade(struct manager *m, const char *why)
{
	agentcg_log(LOG_WARNING, "degraded, no holds: %s", why);
	snprintf(m->reason, sizeof(m->reason), "%s", why);
	m->pins_source = sd_event_source_disable_unref(m->pins_source);
	m->kernel_source = sd_event_source_disable_unref(m->kernel_source);
	agentcg_attachment_close(m);	/* the module must not be kept by us */
	agentcg_kernel_close(m->kernel);
	m->kernel = NULL;
	for (uint32_t i = 0; i < m->nr_calls; i++)
		if (m->calls[i])
			agentcg_climb_release(m->calls[i]);
	agentcg_adopt_apply(m);
}

/* `agentcg unload` removed the pins: the module must not be kept by us. */
static int on_pins(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
	struct manager *m = userdata;

	if (m->kernel && !agentcg_kernel_attached())
		degrade(m, "the policy was unloaded; reload agentcgd to load it again");
	return 0;
}

void agentcg_manager_open_kernel(struct manager *m)
{
	struct agentcg_pool pool;
	int r;

	if (m->pool_fd < 0)
		return;
	agentcg_manager_pool(m, &pool);
	r = agentcg_pins_lock(&m->pins_fd, m->reason);
	if (r >= 0)
		r = agentcg_kernel_open(&m->kernel, &pool, m->policy.psi, agentcg_climb_on_event, m,
					m->reason);
	if (r < 0) {
		m->kernel = NULL;
		agentcg_log(LOG_WARNING, "degraded, no holds: %s", m->reason);
		return;
	}
	m->reason[0] = 0;
	agentcg_log(LOG_INFO, r ? "took over the memory policy that was in force" : "loaded the memory policy");
	r = sd_event_add_io(m->event, &m->kernel_source, agentcg_kernel_event_fd(m->kernel), EPOLLIN,
			    on_kernel, m);
	if (r >= 0)
		r = sd_event_add_inotify(m->event, &m->pins_source, AGENTCG_PINS, IN_DELETE, on_pins, m);
	if (r < 0)
		agentcg_log(LOG_WARNING, "cannot watch the policy: %s", strerror(-r));
}

/* ---- Reload ------------------------------------------------------------- */

int agentcg_manager_reload(struct manager *m, struct notes *notes, char *why)
{
	struct agentcg_policy next;
	int r = agentcg_policy_load(&next, m->policy_file, why);

	if (r < 0)
		return r;
	r = agentcg_policy_check(&next, m->mem_total, why);
	if (r < 0) {
		agentcg_policy_done(&next);
		return r;
	}
	if (!streq(next.slice, m->policy.slice)) {
		agentcg_note(notes, "Slice is still %s: it changes when agentcgd starts", m->policy.slice);
		strcpy(next.slice, m->policy.slice);
	}
	if (next.psi != m->policy.psi && m->kernel)
		agentcg_note(notes, "CountInPSI changes when the policy is loaded: agentcg unload, then reload");
	agentcg_policy_done(&m->policy);
	m->policy = next;
	r = set_pool_max(m);
	if (r < 0)
		snprintf(why, AGENTCG_WHY_MAX, "cannot set the pool's memory.max: %s", strerror(-r));
	agentcg_workers_apply(m);
	if (m->pool_max > wanted_pool_max(m))
		agentcg_note(notes, "MemoryMax is %s for now: so much is in use", SIZE(m->pool_max));
	if (m->kernel) {
		agentcg_manager_write_pool(m);
	} else {
		agentcg_manager_open_kernel(m);
		if (m->kernel)
			agentcg_adopt_apply(m);
	}
	if (m->pool_fd >= 0) {
		agentcg_scheduler_apply(m->scheduler);
		agentcg_user_start(m);
	}
	agentcg_admission_reload(m);
	return r;
}

/* ---- figures ------------------------------------------------------------ */

uint64_t agentcg_manager_usage(const struct manager *m)
{
	uint64_t usage;

	return agentcg_cgroup_read_u64(m->pool_fd, "memory.current", &usage) < 0 ? 0 : usage;
}

uint64_t agentcg_manager_reserved(const struct manager *m, const struct session *except)
{
	return m->reserved - (except ? except->grant.reserve : 0);
}

static int build_counters(struct manager *m, sd_json_variant **ret)
{
	static const char *const names[AGENTCG_NR_COUNTERS] = {
		[AGENTCG_CNT_DECISIONS] = "decisions",
		[AGENTCG_CNT_HOLDS] = "holds",
		[AGENTCG_CNT_RELEASES] = "releases",
		[AGENTCG_CNT_EXPIRED] = "expired",
		[AGENTCG_CNT_THROTTLES] = "throttles",
		[AGENTCG_CNT_PROTECTED] = "protected",
		[AGENTCG_CNT_EVENTS_LOST] = "eventsLost",
	};
	uint64_t counters[AGENTCG_NR_COUNTERS] = {};
	int r;

	if (m->kernel)
		agentcg_kernel_counters(m->kernel, counters);
	r = sd_json_variant_new_object(ret, NULL, 0);
	for (int i = 0; r >= 0 && i < AGENTCG_NR_COUNTERS; i++)
		r = sd_json_variant_set_field_unsigned(ret, names[i], counters[i]);
	return r;
}

int agentcg_manager_build_pool(struct manager *m, sd_json_variant **ret)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *counters = NULL;
	const struct scheduler *s = m->scheduler;
	uint64_t usage = agentcg_manager_usage(m), since = agentcg_scheduler_since(s);
	char why[AGENTCG_WHY_MAX];
	int r = build_counters(m, &counters);

	if (r < 0)
		return r;
	return sd_json_buildo(ret,
		SD_JSON_BUILD_PAIR_STRING("cgroup", m->pool_path),
		SD_JSON_BUILD_PAIR_UNSIGNED("memoryMax", m->pool_max),
		SD_JSON_BUILD_PAIR_UNSIGNED("memoryCurrent", usage),
		SD_JSON_BUILD_PAIR_UNSIGNED("reserve", m->policy.reserve),
		SD_JSON_BUILD_PAIR_UNSIGNED("headroom", agentcg_sub(m->pool_max, usage)),
		SD_JSON_BUILD_PAIR_STRING("enforcement", m->kernel ? "kernel" : "degraded"),
		SD_JSON_BUILD_PAIR_CONDITION(!m->kernel, "reason", SD_JSON_BUILD_STRING(m->reason)),
		SD_JSON_BUILD_PAIR_VARIANT("counters", counters),
		SD_JSON_BUILD_PAIR_STRING("scheduler", since ? "sched_ext" : "weights"),
		SD_JSON_BUILD_PAIR_CONDITION(since != 0, "schedulerSinceUSec", SD_JSON_BUILD_UNSIGNED(since)),
		SD_JSON_BUILD_PAIR_CONDITION(!since, "schedulerReason",
					     SD_JSON_BUILD_STRING(m->pool_fd < 0 ? m->pool_reason : agentcg_scheduler_reason(s, why))));
}
