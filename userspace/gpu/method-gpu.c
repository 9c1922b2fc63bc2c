// SPDX-License-Identifier: GPL-2.0-only
/*
 * io.agentcg.gpu.  What changes something is root's: cores and memory are taken away
 * from everybody else.  Who is placed is the process that connected, never one that is named.
 */
#include <fcntl.h>
#include <sys/socket.h>

#include "attach.h"
#include "cgroup.h"
#include "io-agentcg.h"
#include "io-agentcg-gpu.h"
#include "json.h"
#include "notes.h"
#include "priority.h"
#include "size.h"
#include "varlink.h"
#include "workers.h"

#define CORES_MAX	AGENTCG_CPUS_MAX

/* ---- parameters --------------------------------------------------------- */

struct worker_parameters {
	const char *worker, *name, *role, *url;
	sd_json_variant *command, *gpus, *memory, *huge_pages;
	uint64_t pidfd, cores, mps_share;
	uint32_t priority;
	bool kill;
};

#define FIELD(member)	offsetof(struct worker_parameters, member)
#define ANY		_SD_JSON_VARIANT_TYPE_INVALID

static void done(struct worker_parameters *p)
{
	sd_json_variant_unref(p->command);
	sd_json_variant_unref(p->gpus);
	sd_json_variant_unref(p->memory);
	sd_json_variant_unref(p->huge_pages);
}

/* io.agentcg's: a parameter that cannot be, and why. */
static int refuse(sd_varlink *link, const char *field, const char *why)
{
	return agentcg_reply_intent(link, field, why);
}

static bool is_given(sd_json_variant *v)
{
	return v && !sd_json_variant_is_null(v);
}

/* Bytes, or as people write them; what is not given stays.  0, or the error is sent and *@ret tells. */
static bool read_size(sd_varlink *link, const char *field, sd_json_variant *v, uint64_t *to, int *ret)
{
	char why[AGENTCG_WHY_MAX] = "say bytes, or a size such as 8Gi";
	uint64_t bytes = UINT64_MAX;

	if (!is_given(v))
		return true;
	if (sd_json_variant_is_unsigned(v))
		bytes = sd_json_variant_unsigned(v);
	else if (sd_json_variant_is_string(v) && agentcg_parse_size(sd_json_variant_string(v), &bytes, why) < 0)
		bytes = UINT64_MAX;
	if (bytes <= 64 * TIB) {
		*to = bytes;
		return true;
	}
	*ret = refuse(link, field, why);
	return false;
}

static bool read_role(sd_varlink *link, const char *text, enum worker_role *to, int *ret)
{
	static const char *const roles[] = { "both", "prefill", "decode" };

	if (!text)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(roles); i++)
		if (streq(text, roles[i])) {
			*to = (enum worker_role)i;
			return true;
		}
	*ret = refuse(link, "role", "say prefill, decode or both");
	return false;
}

static bool read_url(sd_varlink *link, const char *text, char to[AGENTCG_WORKER_URL_MAX], int *ret)
{
	const char *host;

	if (!text)
		return true;
	host = startswith(text, "http://") ?: startswith(text, "https://");
	if (host && *host && *host != '/' && strlen(text) < AGENTCG_WORKER_URL_MAX && !strpbrk(host, " \t\n\"<>@")) {
		strcpy(to, text);
		/* Paths are added to it. */
		if (to[strlen(to) - 1] == '/')
			to[strlen(to) - 1] = 0;
		return true;
	}
	*ret = refuse(link, "url", "say where the engine serves HTTP, such as http://127.0.0.1:8080");
	return false;
}

static bool read_cores(sd_varlink *link, uint64_t cores, unsigned int *to, int *ret)
{
	if (cores == UINT64_MAX)
		return true;
	if (cores >= 1 && cores <= CORES_MAX) {
		*to = (unsigned int)cores;
		return true;
	}
	*ret = refuse(link, "cores", "say a number of whole cores, from 1 on");
	return false;
}

static int reply_no_gpu(sd_varlink *link, const struct workers *ws, const char *name)
{
	char reason[AGENTCG_WHY_MAX];

	if (ws->gpus.nr)
		agentcg_why(0, reason, "agentcg gpu status lists the %u that there are", ws->gpus.nr);
	else
		agentcg_why(0, reason, "no GPU is seen: %s", *ws->gpus.reason ? ws->gpus.reason : "the driver has not answered yet");
	return sd_varlink_errorbo(link, AGENTCG_GPU_ERROR("NoSuchGpu"),
		SD_JSON_BUILD_PAIR_STRING("gpu", name), SD_JSON_BUILD_PAIR_STRING("reason", reason));
}

static void add_gpu(struct worker_wish *wish, const struct gpu *gpu)
{
	int node = agentcg_topology_pci_node(AGENTCG_SYSFS, gpu->pci);

	for (unsigned int i = 0; i < wish->nr_gpus; i++)
		if (streq(wish->gpus[i], gpu->uuid))
			return;
	if (wish->nr_gpus == AGENTCG_GPUS_MAX)
		return;
	strcpy(wish->gpus[wish->nr_gpus++], gpu->uuid);
	if (wish->node == AGENTCG_NODE_UNKNOWN)
		wish->node = node;
}

/* CUDA cannot use it, but its instances. */
static int reply_divided(sd_varlink *link, const struct workers *ws, const struct gpu *gpu)
{
	char reason[AGENTCG_WHY_MAX], names[128] = "";
	size_t n = 0;

	for (unsigned int i = 0; i < ws->gpus.nr && n < sizeof(names); i++)
		if (ws->gpus.list[i].is_instance && ws->gpus.list[i].index == gpu->index && ws->gpus.list[i].state == GPU_OK)
			n += (size_t)snprintf(names + n, sizeof(names) - n, " %u/%u", gpu->index, ws->gpus.list[i].instance);
	if (n)
		agentcg_why(0, reason, "GPU %u is in MIG mode: say which of its instances, with --gpu one of%s", gpu->index, names);
	else
		agentcg_why(0, reason, "GPU %u is in MIG mode and has no instances; its owner makes some, or ends that mode", gpu->index);
	return sd_varlink_errorbo(link, AGENTCG_GPU_ERROR("CannotPlace"), SD_JSON_BUILD_PAIR_STRING("reason", reason));
}

/* All that there are, if none is named; not instances, of which a process can use one. */
static bool read_gpus(sd_varlink *link, struct workers *ws, sd_json_variant *names, struct worker_wish *wish, int *ret)
{
	size_t n = is_given(names) ? sd_json_variant_elements(names) : 0;

	wish->node = AGENTCG_NODE_UNKNOWN;
	for (unsigned int i = 0; !is_given(names) && i < ws->gpus.nr; i++)
		if (!ws->gpus.list[i].mig && !ws->gpus.list[i].is_instance)
			add_gpu(wish, &ws->gpus.list[i]);
	if (!is_given(names) && ws->gpus.nr && !wish->nr_gpus) {
		*ret = reply_divided(link, ws, &ws->gpus.list[0]);
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		sd_json_variant *v = sd_json_variant_by_index(names, i);
		const char *name = sd_json_variant_is_string(v) ? sd_json_variant_string(v) : "";
		const struct gpu *gpu = agentcg_gpus_find(&ws->gpus, name);

		if (!gpu) {
			*ret = reply_no_gpu(link, ws, name);
			return false;
		}
		if (gpu->state == GPU_LOST) {
			*ret = sd_varlink_errorbo(link, AGENTCG_GPU_ERROR("NoSuchGpu"), SD_JSON_BUILD_PAIR_STRING("gpu", name),
				SD_JSON_BUILD_PAIR_STRING("reason", *gpu->error ? gpu->error : "it is lost"));
			return false;
		}
		if (gpu->mig) {
			*ret = reply_divided(link, ws, gpu);
			return false;
		}
		add_gpu(wish, gpu);
	}
	return true;
}

/* What starting and attaching have in common.  false: the error is sent, *ret tells. */
static bool read_wish(sd_varlink *link, struct workers *ws, const struct worker_parameters *p, struct worker_wish *wish, int *ret)
{
	*wish = (struct worker_wish){ .priority = p->priority, .mps_share = (unsigned int)p->mps_share };
	if (p->name && !agentcg_worker_name_valid(p->name)) {
		*ret = sd_varlink_error_invalid_parameter_name(link, "name");
		return false;
	}
	snprintf(wish->name, sizeof(wish->name), "%s", p->name ?: "");
	if (p->mps_share > 100) {
		*ret = refuse(link, "mpsShare", "say a percentage from 1 to 100");
		return false;
	}
	return read_role(link, p->role, &wish->role, ret) && read_url(link, p->url, wish->url, ret) &&
	       read_cores(link, p->cores, &wish->cores, ret) && read_size(link, "memory", p->memory, &wish->memory, ret) &&
	       read_size(link, "hugePages", p->huge_pages, &wish->huge_pages, ret) && read_gpus(link, ws, p->gpus, wish, ret);
}

/* Fields of a table for with_wish(). */
#define WISH_FIELDS								\
	{ "name", ANY, sd_json_dispatch_const_string, FIELD(name), 0 },		\
	{ "gpus", ANY, sd_json_dispatch_variant, FIELD(gpus), 0 },		\
	{ "role", ANY, sd_json_dispatch_const_string, FIELD(role), 0 },		\
	{ "priority", ANY, agentcg_dispatch_priority, FIELD(priority), 0 },	\
	{ "cores", ANY, agentcg_dispatch_u64, FIELD(cores), 0 },		\
	{ "memory", ANY, sd_json_dispatch_variant, FIELD(memory), 0 },		\
	{ "url", ANY, sd_json_dispatch_const_string, FIELD(url), 0 }

/* Reads a call that places a worker, and goes on with @then if all of it can be. */
static int with_wish(struct workers *ws, sd_varlink *link, const sd_json_dispatch_field *table,
		     int (*then)(struct workers *ws, sd_varlink *link, const struct worker_parameters *p, struct worker_wish *wish))
{
	struct worker_parameters p = { .cores = UINT64_MAX, .priority = AGENTCG_PRIORITY_NORMAL };
	sd_json_variant *parameters;
	struct worker_wish wish;
	int r = sd_varlink_get_current_parameters(link, &parameters);

	if (r >= 0)
		r = sd_varlink_dispatch(link, parameters, table, &p);
	if (!r && read_wish(link, ws, &p, &wish, &r))
		r = then(ws, link, &p, &wish);
	done(&p);
	return r;
}

static int check_root(sd_varlink *link)
{
	uid_t uid;
	int r = sd_varlink_get_peer_uid(link, &uid);

	if (r < 0)
		return r;
	return uid ? agentcg_reply_denied(link, "only root may place GPU workers: they take cores and memory from everybody else") : 0;
}

static struct worker *find(sd_varlink *link, struct workers *ws, const char *name, int *ret)
{
	struct worker *w = agentcg_worker_find(ws->m, name);

	if (!w)
		*ret = sd_varlink_errorbo(link, AGENTCG_GPU_ERROR("NoSuchWorker"), SD_JSON_BUILD_PAIR_STRING("worker", name));
	return w;
}

static int reply_why(sd_varlink *link, int error, const char *why)
{
	switch (error) {
	case -EEXIST:
		return refuse(link, "name", why);
	case -ESRCH:
		return agentcg_reply_denied(link, "the process has ended");
	default:
		return sd_varlink_errorbo(link, AGENTCG_GPU_ERROR("CannotPlace"),
					  SD_JSON_BUILD_PAIR_STRING("reason", *why ? why : strerror(-error)));
	}
}

/* What the caller is to know of what is not as it could be. */
static void note_limits(struct workers *ws, const struct worker *w, struct notes *notes)
{
	if (w->fd < 0)
		agentcg_note(notes, "it is in no group: bound to its CPUs and node, but nobody else is kept off them, nor off its memory");
	else if (!ws->slice.exclusive)
		agentcg_note(notes, "%.190s", ws->slice.reason);
	if (w->wish.cores && w->place.cores < w->wish.cores)
		agentcg_note(notes, "%u cores, not %u: %.120s", w->place.cores, w->wish.cores, w->place.why);
	if (ws->m->pool_fd >= 0 && ws->m->pool_max < ws->m->policy.memory_max)
		agentcg_note(notes, "agents share %s now, not %s", agentcg_format_bytes((char[AGENTCG_TEXT_MAX]){}, ws->m->pool_max),
			     agentcg_format_bytes((char[AGENTCG_TEXT_MAX]){}, ws->m->policy.memory_max));
}

/* ---- StartWorker -------------------------------------------------------- */

static int add_variable(sd_json_variant **list, const char *format, const char *value)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
	_cleanup_free_ char *text = NULL;
	int r = asprintf(&text, format, value) < 0 ? -ENOMEM : sd_json_variant_new_string(&v, text);

	return r < 0 ? r : sd_json_variant_append_array(list, v);
}

/* CUDA numbers devices as it likes unless it is given UUIDs. */
static int build_environment(struct worker *w, sd_json_variant **list, char *why)
{
	char devices[AGENTCG_GPUS_MAX * AGENTCG_GPU_UUID_MAX] = "", share[16];
	const struct worker_part *part;
	size_t n = 0;
	int r = sd_json_variant_new_array(list, NULL, 0);

	for (unsigned int i = 0; i < w->nr_gpus; i++)
		n += (size_t)snprintf(devices + n, sizeof(devices) - n, "%s%s", i ? "," : "", w->gpus[i]);
	if (r >= 0 && w->nr_gpus)
		r = add_variable(list, "CUDA_VISIBLE_DEVICES=%s", devices);
	snprintf(share, sizeof(share), "%u", w->mps_share);
	if (r >= 0 && w->mps_share)
		r = add_variable(list, "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=%s", share);
	for (size_t i = 0; r >= 0 && (part = agentcg_worker_part(i)); i++)
		if (part->environment)
			r = part->environment(w, list, why);
	return r;
}

/* Whoever waits for its environment. */
struct worker_start {
	sd_varlink *link;
	struct notes notes;
};

void agentcg_worker_start_free(struct worker_start *s)
{
	if (!s)
		return;
	(void)reply_why(s->link, -ECANCELED, "the worker was ended before it began");
	sd_varlink_unref(s->link);
	free(s);
}

/* Notes point into themselves. */
static int reply_later(sd_varlink *link, struct worker *w, const struct notes *notes)
{
	w->start = calloc(1, sizeof(*w->start));
	if (!w->start) {
		(void)agentcg_worker_end(w, NULL);
		return -ENOMEM;
	}
	w->start->link = sd_varlink_ref(link);
	for (size_t i = 0; i < notes->n; i++)
		agentcg_note(&w->start->notes, "%s", notes->list[i]);
	return 0;
}

static int reply_started(sd_varlink *link, struct workers *ws, struct worker *w, struct notes *notes)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *environment = NULL;
	char cpus[AGENTCG_CPUS_TEXT_MAX], mems[AGENTCG_CPUS_TEXT_MAX], why[AGENTCG_WHY_MAX] = "";
	int r = build_environment(w, &environment, why);

	if (r == -EINPROGRESS)
		return reply_later(link, w, notes);
	if (r < 0) {
		(void)agentcg_worker_end(w, NULL);
		return reply_why(link, r, why);
	}
	note_limits(ws, w, notes);
	return sd_varlink_replybo(link,
		SD_JSON_BUILD_PAIR_STRING("worker", w->name),
		SD_JSON_BUILD_PAIR_VARIANT("environment", environment),
		SD_JSON_BUILD_PAIR_STRING("cpus", cpus_format(&w->place.cpus, cpus)),
		SD_JSON_BUILD_PAIR_STRING("mems", cpus_format(&w->place.mems, mems)),
		SD_JSON_BUILD_PAIR_BOOLEAN("bindYourself", w->fd < 0 || !ws->slice.can_cpuset),
		SD_JSON_BUILD_PAIR_STRING("placement", w->place.why),
		SD_JSON_BUILD_PAIR_STRV("notes", notes->list));
}

void agentcg_worker_prepared(struct worker *w, int error, const char *why)
{
	struct worker_start *s = TAKE_PTR(w->start);
	int r;

	if (!s)
		return;
	w->began_usec = now_usec(CLOCK_MONOTONIC);
	if (error < 0) {
		(void)agentcg_worker_end(w, NULL);
		r = reply_why(s->link, error, why);
	} else {
		r = reply_started(s->link, w->m->workers, w, &s->notes);
	}
	if (r < 0)
		(void)sd_varlink_error_errno(s->link, r);
	sd_varlink_unref(s->link);
	free(s);
}

/* A name for the command: of the engine, if it is one. */
static void name_command(struct workers *ws, sd_json_variant *command, struct worker_wish *wish)
{
	struct engine_guess guess = {};
	char args[4096];
	size_t n = 0;

	for (size_t i = 0; i < sd_json_variant_elements(command) && n < sizeof(args); i++) {
		const char *word = sd_json_variant_string(sd_json_variant_by_index(command, i)) ?: "";

		n += (size_t)snprintf(args + n, sizeof(args) - n, "%s", word) + 1;
	}
	n = min_u64(n, sizeof(args));
	args[sizeof(args) - 1] = 0;
	agentcg_engine_guess(args, n, "", &guess);
	agentcg_worker_name(ws->m, guess.kind == ENGINE_UNKNOWN ? args : agentcg_engine_names[guess.kind], wish->name);
}

static int start_worker(struct workers *ws, sd_varlink *link, const struct worker_parameters *p, struct worker_wish *wish)
{
	char why[AGENTCG_WHY_MAX] = "";
	struct worker *w = NULL;
	struct notes notes = {};
	socklen_t size = sizeof(int);
	int pidfd = -1, r;
	pid_t pid;

	if (!sd_json_variant_elements(p->command) || !sd_json_variant_is_string(sd_json_variant_by_index(p->command, 0)))
		return sd_varlink_error_invalid_parameter_name(link, "command");
	if (!*wish->name)
		name_command(ws, p->command, wish);
	if (getsockopt(sd_varlink_get_fd(link), SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) < 0)
		return reply_why(link, -ESRCH, "");
	r = agentcg_attach_check(pidfd, 0, &pid, why);
	if (r < 0) {
		close(pidfd);
		return reply_why(link, r, why);
	}
	r = agentcg_worker_new(ws->m, wish, 0, pidfd, pid, &notes, &w, why);
	return r < 0 ? reply_why(link, r, why) : reply_started(link, ws, w, &notes);
}

static int on_start(struct workers *ws, sd_varlink *link)
{
	static const sd_json_dispatch_field table[] = {
		WISH_FIELDS,
		{ "command", SD_JSON_VARIANT_ARRAY, sd_json_dispatch_variant, FIELD(command), SD_JSON_MANDATORY },
		{ "hugePages", ANY, sd_json_dispatch_variant, FIELD(huge_pages), 0 },
		{ "mpsShare", ANY, agentcg_dispatch_u64, FIELD(mps_share), 0 },
		{}
	};

	return with_wish(ws, link, table, start_worker);
}

METHOD(start_worker)
{
	struct manager *m = userdata;
	int r = check_root(link);

	return r ?: agentcg_workers_ask(m->workers, link, on_start);
}

/* ---- AttachWorker ------------------------------------------------------- */

/* A process of a tool call is its session's, however big. */
static int check_whence(sd_varlink *link, struct workers *ws, int pidfd, pid_t pid)
{
	char name[AGENTCG_CALL_NAME_MAX] = "";

	if (agentcg_workers_of(ws, pid))
		return agentcg_reply_denied(link, "the process is a worker's already; agentcg gpu resize changes it");
	if (ws->m->pool_fd >= 0 && agentcg_attach_whence(ws->m, pidfd, name) < 0)
		return reply_why(link, -ESRCH, "");
	return *name ? agentcg_reply_denied(link, "the process is part of a tool call") : 0;
}

static void name_process(struct workers *ws, pid_t pid, struct worker_wish *wish)
{
	char path[64], args[4096] = "", title[32] = "";
	struct engine_guess guess = {};
	_cleanup_fclose_ FILE *f = NULL, *comm = NULL;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	f = fopen(path, "re");
	n = f ? fread(args, 1, sizeof(args) - 1, f) : 0;
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	comm = fopen(path, "re");
	if (comm && fgets(title, sizeof(title), comm))
		title[strcspn(title, "\n")] = 0;
	agentcg_engine_guess(args, n, title, &guess);
	agentcg_worker_name(ws->m, guess.kind == ENGINE_UNKNOWN ? title : agentcg_engine_names[guess.kind], wish->name);
}

static int attach_worker(struct workers *ws, sd_varlink *link, const struct worker_parameters *p, struct worker_wish *wish)
{
	char why[AGENTCG_WHY_MAX] = "";
	struct worker *w = NULL;
	struct notes notes = {};
	pid_t pid = 0;
	int pidfd = sd_varlink_peek_dup_fd(link, p->pidfd), r;

	if (pidfd < 0 || agentcg_attach_check(pidfd, 0, &pid, why) < 0)
		r = sd_varlink_error_invalid_parameter_name(link, "pidFd");
	else
		r = check_whence(link, ws, pidfd, pid);
	if (r) {
		agentcg_closep(&pidfd);
		return r;
	}
	wish->attach = true;
	if (!*wish->name)
		name_process(ws, pid, wish);
	r = agentcg_worker_new(ws->m, wish, 0, pidfd, pid, &notes, &w, why);
	if (r < 0)
		return reply_why(link, r, why);
	note_limits(ws, w, &notes);
	return sd_varlink_replybo(link,
		SD_JSON_BUILD_PAIR_STRING("worker", w->name),
		SD_JSON_BUILD_PAIR_STRING("placement", w->place.why),
		SD_JSON_BUILD_PAIR_STRV("notes", notes.list));
}

static int on_attach(struct workers *ws, sd_varlink *link)
{
	static const sd_json_dispatch_field table[] = {
		WISH_FIELDS,
		{ "pidFd", SD_JSON_VARIANT_UNSIGNED, agentcg_dispatch_u64, FIELD(pidfd), SD_JSON_MANDATORY },
		{}
	};

	return with_wish(ws, link, table, attach_worker);
}

METHOD(attach_worker)
{
	struct manager *m = userdata;
	int r = check_root(link);

	return r ?: agentcg_workers_ask(m->workers, link, on_attach);
}

/* ---- AdjustWorker, EndWorker -------------------------------------------- */

static int adjust(sd_varlink *link, struct workers *ws, const struct worker_parameters *p)
{
	char why[AGENTCG_WHY_MAX] = "", url[AGENTCG_WORKER_URL_MAX];
	struct place_wish wish;
	struct notes notes = {};
	enum worker_role role;
	uint64_t memory;
	int r = 0;
	struct worker *w = find(link, ws, p->worker, &r);

	if (!w)
		return r;
	wish = w->wish;
	role = w->role;
	memory = w->memory;
	strcpy(url, w->url);
	if (p->priority != UINT32_MAX)
		wish.priority = p->priority;
	if (!read_role(link, p->role, &role, &r) || !read_url(link, p->url, url, &r) ||
	    !read_cores(link, p->cores, &wish.cores, &r) || !read_size(link, "memory", p->memory, &memory, &r))
		return r;
	r = agentcg_worker_adjust(w, &wish, memory, why);
	if (r < 0)
		return reply_why(link, r, why);
	w->role = role;
	if (p->url) {
		strcpy(w->url, url);
		w->url_said = true;
	}
	(void)agentcg_worker_save(w);
	note_limits(ws, w, &notes);
	return sd_varlink_replybo(link,
		SD_JSON_BUILD_PAIR_STRING("placement", w->place.why),
		SD_JSON_BUILD_PAIR_STRV("notes", notes.list));
}

METHOD(adjust_worker)
{
	static const sd_json_dispatch_field table[] = {
		{ "worker", SD_JSON_VARIANT_STRING, sd_json_dispatch_const_string, FIELD(worker), SD_JSON_MANDATORY },
		{ "cores", ANY, agentcg_dispatch_u64, FIELD(cores), 0 },
		{ "memory", ANY, sd_json_dispatch_variant, FIELD(memory), 0 },
		{ "priority", ANY, agentcg_dispatch_priority, FIELD(priority), 0 },
		{ "role", ANY, sd_json_dispatch_const_string, FIELD(role), 0 },
		{ "url", ANY, sd_json_dispatch_const_string, FIELD(url), 0 },
		{}
	};
	struct worker_parameters p = { .cores = UINT64_MAX, .priority = UINT32_MAX };
	struct manager *m = userdata;
	int r = check_root(link);

	if (!r)
		r = sd_varlink_dispatch(link, parameters, table, &p);
	if (!r)
		r = adjust(link, m->workers, &p);
	done(&p);
	return r;
}

METHOD(end_worker)
{
	static const sd_json_dispatch_field table[] = {
		{ "worker", SD_JSON_VARIANT_STRING, sd_json_dispatch_const_string, FIELD(worker), SD_JSON_MANDATORY },
		{ "kill", ANY, agentcg_dispatch_bool, FIELD(kill), 0 },
		{}
	};
	struct worker_parameters p = {};
	struct manager *m = userdata;
	char why[AGENTCG_WHY_MAX] = "";
	struct worker *w;
	int r = check_root(link);

	if (!r)
		r = sd_varlink_dispatch(link, parameters, table, &p);
	w = r ? NULL : find(link, m->workers, p.worker, &r);
	if (!w)
		return r;
	r = p.kill ? agentcg_worker_kill(w, why) : agentcg_worker_end(w, why);
	return r < 0 ? reply_why(link, r, why) : sd_varlink_reply(link, NULL);
}

/* ---- GetWorkers --------------------------------------------------------- */

static int append_other(struct workers *ws, const struct gpu_process *process, sd_json_variant **list)
{
	struct engine_guess guess = {};
	char path[64], args[4096], title[32] = "";
	_cleanup_fclose_ FILE *f = NULL, *comm = NULL;
	size_t n;

	if (!process->pid || agentcg_workers_of(ws, process->pid))
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/cmdline", process->pid);
	f = fopen(path, "re");
	n = f ? fread(args, 1, sizeof(args) - 1, f) : 0;
	args[n] = 0;
	snprintf(path, sizeof(path), "/proc/%d/comm", process->pid);
	comm = fopen(path, "re");
	if (comm && fgets(title, sizeof(title), comm))
		title[strcspn(title, "\n")] = 0;
	agentcg_engine_guess(args, n, title, &guess);
	return sd_json_variant_append_arraybo(list,
		SD_JSON_BUILD_PAIR_UNSIGNED("pid", (uint64_t)process->pid),
		SD_JSON_BUILD_PAIR_STRING("engine", agentcg_engine_names[guess.kind]),
		SD_JSON_BUILD_PAIR_CONDITION(process->memory != AGENTCG_NVML_UNKNOWN, "memory", SD_JSON_BUILD_UNSIGNED(process->memory)));
}

static int append_worker_name(const struct worker *w, const char *uuid, sd_json_variant **list)
{
	for (unsigned int i = 0; i < w->nr_gpus; i++) {
		_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
		int r;

		if (!streq(w->gpus[i], uuid))
			continue;
		r = sd_json_variant_new_string(&v, w->name);
		return r < 0 ? r : sd_json_variant_append_array(list, v);
	}
	return 0;
}

static int append_gpu(struct workers *ws, const struct gpu *g, sd_json_variant **list)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *workers = NULL, *others = NULL;
	int node = agentcg_topology_pci_node(AGENTCG_SYSFS, g->pci), r = sd_json_variant_new_array(&workers, NULL, 0);

	if (r >= 0)
		r = sd_json_variant_new_array(&others, NULL, 0);
	for (unsigned int i = 0; r >= 0 && i < ws->nr; i++)
		r = append_worker_name(ws->list[i], g->uuid, &workers);
	for (unsigned int i = 0; r >= 0 && i < g->nr_processes; i++)
		r = append_other(ws, &g->processes[i], &others);
	if (r < 0)
		return r;
	return sd_json_variant_append_arraybo(list,
		SD_JSON_BUILD_PAIR_UNSIGNED("index", g->index),
		SD_JSON_BUILD_PAIR_CONDITION(g->is_instance, "instance", SD_JSON_BUILD_UNSIGNED(g->instance)),
		SD_JSON_BUILD_PAIR_BOOLEAN("mig", g->mig),
		SD_JSON_BUILD_PAIR_STRING("uuid", g->uuid),
		SD_JSON_BUILD_PAIR_STRING("name", g->name),
		SD_JSON_BUILD_PAIR_STRING("pci", g->pci),
		SD_JSON_BUILD_PAIR_CONDITION(node >= 0, "node", SD_JSON_BUILD_INTEGER(node)),
		SD_JSON_BUILD_PAIR_UNSIGNED("memoryTotal", g->memory_total),
		SD_JSON_BUILD_PAIR_UNSIGNED("memoryUsed", g->memory_used),
		SD_JSON_BUILD_PAIR_CONDITION(g->busy >= 0, "busy", SD_JSON_BUILD_INTEGER(g->busy)),
		SD_JSON_BUILD_PAIR_BOOLEAN("lost", g->state == GPU_LOST),
		SD_JSON_BUILD_PAIR_VARIANT("workers", workers),
		SD_JSON_BUILD_PAIR_VARIANT("others", others));
}

static int on_get(struct workers *ws, sd_varlink *link)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *gpus = NULL, *workers = NULL;
	char cpus[AGENTCG_CPUS_TEXT_MAX];
	struct notes notes = {};
	struct cpus rest;
	uid_t uid;
	int r = sd_varlink_get_peer_uid(link, &uid);

	if (r >= 0)
		r = sd_json_variant_new_array(&gpus, NULL, 0);
	if (r >= 0)
		r = sd_json_variant_new_array(&workers, NULL, 0);
	for (unsigned int i = 0; r >= 0 && i < ws->gpus.nr; i++)
		r = append_gpu(ws, &ws->gpus.list[i], &gpus);
	for (unsigned int i = 0; r >= 0 && i < ws->nr; i++) {
		_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;

		r = agentcg_worker_build(ws->list[i], uid, &v);
		if (r >= 0)
			r = sd_json_variant_append_array(&workers, v);
	}
	if (r < 0)
		return r;
	if (*ws->slice.reason)
		agentcg_note(&notes, "%.199s", ws->slice.reason);
	agentcg_workers_call_cpus(ws, &rest);
	return sd_varlink_replybo(link,
		SD_JSON_BUILD_PAIR_VARIANT("gpus", gpus),
		SD_JSON_BUILD_PAIR_VARIANT("workers", workers),
		SD_JSON_BUILD_PAIR_CONDITION(*ws->gpus.reason != 0, "reason", SD_JSON_BUILD_STRING(ws->gpus.reason)),
		SD_JSON_BUILD_PAIR_STRING("callCpus", cpus_format(&rest, cpus)),
		SD_JSON_BUILD_PAIR_STRV("notes", notes.list));
}

METHOD(get_workers)
{
	struct manager *m = userdata;

	return agentcg_workers_ask(m->workers, link, on_get);
}
