// SPDX-License-Identifier: GPL-2.0-only
/*
 * Leaves are made beforehand: the kernel takes one for a command the moment
 * that it begins, tells, and here another is put in its place.  Such a call is
 * "placed": no connection holds it, it ends with its last process, but not
 * while a shell still works on its line.
 */
#include "attachment.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/stat.h>

#include "attach.h"
#include "call.h"
#include "cgroup.h"
#include "command.h"
#include "end.h"
#include "kernel.h"
#include "learn.h"
#include "log.h"
#include "pause.h"
#include "priority.h"
#include "program.h"
#include "record.h"
#include "session.h"
#include "varlink.h"
#include "watch.h"

/* A shell runs one command after another, a framework some at once. */
#define SPARES_OF_SHELL		2
#define SPARES_OF_FRAMEWORK	AGENTCG_SPARES

static const char *const kind_names[] = {
	[AGENTCG_FOLLOW_SHELL] = "shell",
	[AGENTCG_FOLLOW_FRAMEWORK] = "framework",
};

const char *agentcg_follow_kind_name(enum agentcg_follow_kind kind)
{
	return kind_names[kind];
}

static struct attachment *free_attachment(struct attachment *a)
{
	sd_event_source_disable_unref(a->exit);
	agentcg_closep(&a->pidfd);
	free(a);
	return NULL;
}

/* ---- calls that the kernel places --------------------------------------- */

static uint32_t count_calls(const struct session *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->m->nr_calls; i++)
		n += s->m->calls[i] && s->m->calls[i]->session->uid == s->uid;
	return n;
}

static int check_quota(const struct session *s)
{
	struct agentcg_session_policy policy;

	agentcg_policy_session(&s->m->policy, s->name, s->uid, &policy);
	if (s->nr_calls >= policy.calls_per_session)
		return -ENOSPC;
	return s->uid != 0 && count_calls(s) >= AGENTCG_CALLS_PER_UID ? -ENOSPC : 0;
}

/* What a call gets whose command is @kind; "": not known yet. */
static void grant(struct session *s, const char *kind, const struct call_grant *before, struct call_grant *ret)
{
	struct call_wish wish = { .priority = AGENTCG_UNSET_PRIORITY, .intent = AGENTCG_INTENT_NONE };
	struct prediction learned;
	struct notes notes = {};

	if (*kind) {
		agentcg_declare_take(&s->m->declared, s->uid, s->name, kind, &wish.intent, now_usec(CLOCK_BOOTTIME));
		agentcg_learn_wish(s, kind, &wish, &learned);
	}
	agentcg_call_grant(s, s->uid, before, 0, &wish, ret, &notes);
}

int agentcg_attachment_make_leaf(struct session *s, uint32_t slot, const struct call_birth *birth, struct call **ret)
{
	struct call *c;
	int r = check_quota(s);

	if (!r)
		r = agentcg_call_new(s, birth, &c);
	if (r < 0)
		return r;
	c->spare = true;
	c->follower = slot;
	r = agentcg_follow_leaf(s->m->follow, slot, c->id, c->fd, agentcg_priority_oom_score_adj(c->grant.priority));
	if (r < 0) {
		agentcg_call_end(c, NULL);
		return r;
	}
	*ret = c;
	return 0;
}

static int make_spare(struct attachment *a, struct call **ret)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *command = NULL;
	struct call_grant granted;
	struct call_birth birth = {
		.grant = &granted, .kind = "", .declared = AGENTCG_NONE, .placed = true,
	};

	if (sd_json_variant_new_array(&command, NULL, 0) < 0)
		return -ENOMEM;
	birth.command = command;	/* not known yet */
	grant(a->session, "", NULL, &granted);
	granted.memory = 0;	/* nothing is kept free for it yet */
	return agentcg_attachment_make_leaf(a->session, a->slot, &birth, ret);
}

static void refill(struct attachment *a)
{
	uint32_t want = a->kind == AGENTCG_FOLLOW_SHELL ? SPARES_OF_SHELL : SPARES_OF_FRAMEWORK, have = 0;
	struct manager *m = a->m;

	for (uint32_t i = 0; i < m->nr_calls; i++)
		have += m->calls[i] && m->calls[i]->spare && m->calls[i]->follower == a->slot && !m->calls[i]->ending;
	for (; have < want; have++) {
		struct call *c;

		if (make_spare(a, &c) < 0)
			return;	/* asked for when it is needed */
		if (agentcg_follow_give(m->follow, a->slot, c->id, 0) < 0) {
			agentcg_call_end(c, NULL);
			return;
		}
	}
}

/* The words of /proc/PID/cmdline as JSON, whatever bytes they are. */
static int parse_args(const char *args, size_t size, sd_json_variant **ret)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *list = NULL;
	_cleanup_free_ char *copy = malloc(size + 1);
	int r;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, args, size);
	copy[size] = 0;
	r = sd_json_variant_new_array(&list, NULL, 0);
	for (size_t i = 0; r >= 0 && i < size; i += strlen(copy + i) + 1) {
		_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;

		r = sd_json_variant_new_string(&v, copy + i);
		if (r < 0) {
			/* Cut within a character, or no text at all. */
			for (char *p = copy + i; *p; p++)
				if (*p & 0x80)
					*p = '?';
			r = sd_json_variant_new_string(&v, copy + i);
		}
		if (r >= 0)
			r = sd_json_variant_append_array(&list, v);
	}
	if (r < 0)
		return r;
	*ret = TAKE_PTR(list);
	return 0;
}

/* In the words of who asked for it, if a tool has wrapped them. */
static int unwrap(sd_json_variant **words)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *list = NULL;
	_cleanup_free_ char *script = NULL;
	char *command;
	int r;

	if (sd_json_variant_elements(*words) != 3)
		return 0;
	script = strdup(sd_json_variant_string(sd_json_variant_by_index(*words, 2)));
	if (!script)
		return -ENOMEM;
	command = agentcg_program_unwrap(script);
	if (!command)
		return 0;
	r = sd_json_build(&list, SD_JSON_BUILD_ARRAY(SD_JSON_BUILD_STRING("sh"), SD_JSON_BUILD_STRING("-c"),
						     SD_JSON_BUILD_STRING(command)));
	if (r < 0)
		return r;
	sd_json_variant_unref(*words);
	*words = TAKE_PTR(list);
	return 0;
}

/* Its command is known: what it is called, and what it needs. */
static void name_call(struct call *c, const struct agentcg_start *start)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *words = NULL, *command = NULL;
	bool script = agentcg_program_is_script(start->args, min_u64(start->args_size, AGENTCG_ARGS_MAX));
	struct call_grant granted = c->grant;
	char kind[AGENTCG_KIND_MAX];

	/* What a shell was told says more than what it came to in the end. */
	if (c->scripted && !script)
		return;
	if (!start->args_size || parse_args(start->args, min_u64(start->args_size, AGENTCG_ARGS_MAX), &words) < 0 ||
	    (script && unwrap(&words) < 0) || agentcg_command_trim(words, &command) < 0)
		return;
	sd_json_variant_unref(c->command);
	c->command = TAKE_PTR(command);
	c->scripted = script;
	agentcg_command_kind(words, kind);
	/* What was declared for a kind is good once. */
	if (!streq(kind, c->kind)) {
		snprintf(c->kind, sizeof(c->kind), "%s", kind);
		grant(c->session, c->kind, &c->grant, &granted);
	}
	if (agentcg_call_adjust(c, &granted) < 0)
		agentcg_log(LOG_WARNING, "a placed call keeps the first grant");
}

/* A leaf that was made beforehand is in use, with @granted. */
static void begin(struct call *c, const struct call_grant *granted)
{
	c->spare = false;
	c->grace = sd_event_source_disable_unref(c->grace);
	c->started_usec = now_usec(CLOCK_BOOTTIME);
	c->began_usec = now_usec(CLOCK_REALTIME);
	if (agentcg_call_adjust(c, granted) < 0)
		agentcg_log(LOG_WARNING, "a placed call has no grant");
	agentcg_pause_begin(c);
}

/* Nothing more comes into it: it ends when it is empty, which may be now. */
static void done(struct attachment *a)
{
	struct call *c = TAKE_PTR(a->open);

	a->key = 0;
	if (!c)
		return;
	c->open = false;
	if (!c->ending && agentcg_cgroup_populated(c->fd) <= 0)
		agentcg_call_end(c, NULL);
}

/* ---- what the kernel tells ---------------------------------------------- */

static struct call *find_leaf(struct manager *m, uint64_t id)
{
	for (uint32_t i = 0; i < m->nr_calls; i++)
		if (m->calls[i] && m->calls[i]->id == id)
			return m->calls[i];
	return NULL;
}

/* A program that is told its commands later, by somebody who types. */
static void attach_nested(struct attachment *a, struct call *home, pid_t pid)
{
	struct attachment *nested;
	char why[AGENTCG_WHY_MAX];
	int fd = pidfd_open(pid, 0);

	if (fd < 0)
		return;
	if (agentcg_attachment_new(a->session, fd, a->session->uid, AGENTCG_FOLLOW_SHELL, &nested, why) < 0)
		agentcg_log(LOG_DEBUG, "a shell is not attached: %s", why);
	else if (nested->home != home)
		agentcg_attachment_end(nested);
}

/*
 * A tool call must not leave its leaf by starting a shell: so it is a leaf's
 * first program that counts, which the framework has started.
 */
static void look_for_shells(struct attachment *a, struct call *c, const struct agentcg_start *start)
{
	size_t size = min_u64(start->args_size, AGENTCG_ARGS_MAX);

	if (a->kind != AGENTCG_FOLLOW_FRAMEWORK)
		return;
	if (agentcg_program_is_terminal(start->args, size))
		c->terminals = true;
	else if (agentcg_program_waits(start->args, size))
		attach_nested(a, c, (pid_t)start->pid);
}

static void on_taken(struct attachment *a, struct call *c, const struct agentcg_start *start)
{
	struct call_grant granted;

	grant(c->session, "", NULL, &granted);
	begin(c, &granted);
	name_call(c, start);
	if (a->kind == AGENTCG_FOLLOW_SHELL) {
		done(a);
		a->open = c;
		a->key = start->key;
		c->open = true;
	}
	look_for_shells(a, c, start);
}

static void on_wanted(struct attachment *a, const struct agentcg_start *start)
{
	struct call *c = NULL;
	int r = make_spare(a, &c);

	if (r < 0)
		agentcg_log(LOG_DEBUG, "no leaf for a command of %s: %s", a->session->name, strerror(-r));
	agentcg_follow_give(a->m->follow, a->slot, c ? c->id : 0, start->key);
	if (c)
		on_taken(a, c, start);
}

static bool child_of(pid_t pid, struct call *home)
{
	_cleanup_free_ char *group = NULL, *path = agentcg_call_path(home);

	return path && agentcg_cgroup_of_pid(pid, &group) >= 0 && streq(group, path);
}

static void on_start(const struct agentcg_start *start, void *userdata)
{
	struct manager *m = userdata;
	struct attachment *a = start->slot < AGENTCG_MAX_ATTACHMENTS ? m->attachments[start->slot] : NULL;
	struct call *c = start->leaf ? find_leaf(m, start->leaf) : NULL;

	switch (start->type) {
	case AGENTCG_START_TAKEN:
		if (a && c && c->spare && c->follower == a->slot)
			on_taken(a, c, start);
		break;
	case AGENTCG_START_WANTED:
		if (a)
			on_wanted(a, start);
		break;
	case AGENTCG_START_EXEC:
		if (c && c->placed && !c->ours)
			name_call(c, start);
		break;
	case AGENTCG_START_DONE:
		if (a && a->open && a->key == start->key)
			done(a);
		break;
	case AGENTCG_START_SHELL:
		if (a && c && c->terminals && child_of((pid_t)start->pid, c) &&
		    agentcg_program_waits(start->args, min_u64(start->args_size, AGENTCG_ARGS_MAX)))
			attach_nested(a, c, (pid_t)start->pid);
		break;
	case AGENTCG_START_OWN:
		/* Nobody's command, and nothing to learn from. */
		if (c && c->placed && agentcg_program_is_hook(start->args, min_u64(start->args_size, AGENTCG_ARGS_MAX))) {
			c->ours = true;
			*c->kind = 0;
		}
		break;
	case AGENTCG_START_REDEEMED:
		if (c && c->spare) {
			struct call_grant as_promised = c->grant;

			begin(c, &as_promised);
		}
		break;
	}
	if (a && m->attachments[start->slot] == a && (start->type == AGENTCG_START_TAKEN || start->type == AGENTCG_START_WANTED))
		refill(a);
}

static int on_follow(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct manager *m = userdata;

	agentcg_follow_read(m->follow);
	return 0;
}

/* agentcg itself, installed or where it was built: beside the daemon or where users have it. */
static const char *find_exe(char buf[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", buf, PATH_MAX - 16);
	char *slash;

	buf[n < 0 ? 0 : n] = 0;
	slash = strrchr(buf, '/');
	if (slash)
		strcpy(slash, "/agentcg");
	return slash && access(buf, X_OK) == 0 ? buf : "/usr/bin/agentcg";
}

int agentcg_attachment_open(struct manager *m, char *why)
{
	char buf[PATH_MAX];
	int r;

	if (m->follow)
		return 0;
	if (!m->kernel) {
		snprintf(why, AGENTCG_WHY_MAX, "this takes the kernel's help: %.400s", m->reason);
		return -EOPNOTSUPP;
	}
	/* Each command is moved: at some 20 ms a time without this. */
	r = agentcg_cgroup_favor_dynmods();
	if (r < 0)
		agentcg_log(LOG_WARNING, "cannot mount cgroup v2 with favordynmods (%s): attached processes start slowly", strerror(-r));
	r = agentcg_follow_open(&m->follow, find_exe(buf), on_start, m, why);
	if (r < 0)
		return -EOPNOTSUPP;
	r = sd_event_add_io(m->event, &m->follow_source, agentcg_follow_fd(m->follow), EPOLLIN, on_follow, m);
	if (r < 0)
		agentcg_attachment_close(m);
	return r;
}

void agentcg_attachment_close(struct manager *m)
{
	for (uint32_t i = 0; i < AGENTCG_MAX_ATTACHMENTS; i++)
		if (m->attachments[i])
			agentcg_attachment_end(m->attachments[i]);
	m->follow_source = sd_event_source_disable_unref(m->follow_source);
	agentcg_follow_close(m->follow);
	m->follow = NULL;
}

void agentcg_attachment_free_all(struct manager *m)
{
	for (uint32_t i = 0; i < AGENTCG_MAX_ATTACHMENTS; i++)
		if (m->attachments[i])
			m->attachments[i] = free_attachment(m->attachments[i]);
	m->follow_source = sd_event_source_disable_unref(m->follow_source);
	agentcg_follow_close(m->follow);
	m->follow = NULL;
}

/* ---- attaching ---------------------------------------------------------- */

static int on_exit_of(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct attachment *a = userdata;

	agentcg_attachment_end(a);
	return 0;
}

/* The session's leaf that the process is in; NULL: it is in none. */
static struct call *leaf_of(struct session *s, pid_t pid)
{
	_cleanup_free_ char *group = NULL, *path = agentcg_session_path(s);
	char name[AGENTCG_CALL_NAME_MAX];
	const char *rest;

	if (!path || agentcg_cgroup_of_pid(pid, &group) < 0)
		return NULL;
	rest = startswith(group, path);
	if (!rest || *rest != '/')
		return NULL;
	snprintf(name, sizeof(name), "%s%s", s->name, rest);
	return agentcg_call_find(s->m, name);
}

static struct call *agent_of(struct session *s)
{
	for (uint32_t i = 0; i < s->m->nr_calls; i++)
		if (s->m->calls[i] && s->m->calls[i]->session == s && s->m->calls[i]->agent && !s->m->calls[i]->ending)
			return s->m->calls[i];
	return NULL;
}

/* A leaf for the agent itself, which nobody's connection holds. */
static int make_home(struct session *s, struct call **ret)
{
	struct call_wish wish = { .agent = true, .priority = AGENTCG_UNSET_PRIORITY, .intent = AGENTCG_INTENT_NONE };
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *command = NULL;
	struct call_grant granted;
	struct call_birth birth = {
		.agent = true, .grant = &granted, .kind = "", .declared = AGENTCG_NONE, .placed = true,
	};
	struct notes notes = {};
	int r = check_quota(s);

	if (!r && sd_json_variant_new_array(&command, NULL, 0) < 0)
		r = -ENOMEM;
	if (r < 0)
		return r;
	birth.command = command;
	agentcg_call_grant(s, s->uid, NULL, 0, &wish, &granted, &notes);
	/* It is not the session's end that ends it. */
	granted.detach = true;
	return agentcg_call_new(s, &birth, ret);
}

/* Where it is, if that is one of the session's leaves; else the agent's, where it goes. */
static int find_home(struct session *s, int pidfd, pid_t pid, uid_t uid, struct call **ret, char *why)
{
	struct call *c = leaf_of(s, pid);
	bool made = false;
	int r = 0;

	if (c && !c->ending) {
		*ret = c;
		return 0;
	}
	c = agent_of(s);
	if (!c) {
		r = make_home(s, &c);
		made = true;
	}
	if (r < 0) {
		snprintf(why, AGENTCG_WHY_MAX, "the session can have no leaf for it: %s", strerror(-r));
		return r;
	}
	r = agentcg_attach(c, pidfd, uid, why);
	if (r < 0 && made)
		agentcg_call_end(c, NULL);
	*ret = c;
	return r;
}

static int take_slot(struct session *s, uint32_t *ret, char *why)
{
	uint32_t of_session = 0, of_uid = 0, slot = AGENTCG_MAX_ATTACHMENTS;
	struct manager *m = s->m;

	for (uint32_t i = AGENTCG_MAX_ATTACHMENTS; i-- > 0;) {
		struct attachment *a = m->attachments[i];

		if (!a)
			slot = i;
		else if (a->session == s)
			of_session++;
		if (a && a->session->uid == s->uid)
			of_uid++;
	}
	if (slot < AGENTCG_MAX_ATTACHMENTS && of_session < AGENTCG_ATTACHMENTS_PER_SESSION &&
	    (s->uid == 0 || of_uid < AGENTCG_ATTACHMENTS_PER_UID)) {
		*ret = slot;
		return 0;
	}
	snprintf(why, AGENTCG_WHY_MAX, "too many attached processes: %u of a session, %u of a user at most",
		 AGENTCG_ATTACHMENTS_PER_SESSION, AGENTCG_ATTACHMENTS_PER_UID);
	return -ENOSPC;
}

static enum agentcg_follow_kind looks_like(pid_t pid)
{
	char path[64], args[AGENTCG_ARGS_MAX];
	_cleanup_close_ int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, args, sizeof(args));
	return n > 0 && agentcg_program_is_shell(args, (size_t)n) ? AGENTCG_FOLLOW_SHELL : AGENTCG_FOLLOW_FRAMEWORK;
}

static struct attachment *find_pid(struct manager *m, pid_t pid)
{
	for (uint32_t i = 0; i < AGENTCG_MAX_ATTACHMENTS; i++)
		if (m->attachments[i] && m->attachments[i]->pid == pid)
			return m->attachments[i];
	return NULL;
}

int agentcg_attachment_new(struct session *s, int pidfd, uid_t uid, enum agentcg_follow_kind kind,
			   struct attachment **ret, char *why)
{
	struct attachment *a = calloc(1, sizeof(*a));
	struct manager *m = s->m;
	int r = a ? 0 : -ENOMEM;

	if (a)
		*a = (struct attachment){ .m = m, .session = s, .pidfd = pidfd };
	if (!r)
		r = agentcg_attach_check(pidfd, uid, &a->pid, why);
	if (r < 0)
		goto fail;
	if (find_pid(m, a->pid)) {
		snprintf(why, AGENTCG_WHY_MAX, "process %d is attached already", a->pid);
		r = -EALREADY;
		goto fail;
	}
	r = agentcg_attachment_open(m, why);
	if (!r)
		r = take_slot(s, &a->slot, why);
	if (!r)
		r = find_home(s, pidfd, a->pid, uid, &a->home, why);
	if (r < 0)
		goto fail;
	a->kind = kind ?: looks_like(a->pid);
	r = agentcg_follow_attach(m->follow, a->slot, a->kind, a->home->id, pidfd);
	if (!r)
		r = sd_event_add_io(m->event, &a->exit, pidfd, EPOLLIN, on_exit_of, a);
	if (r < 0) {
		snprintf(why, AGENTCG_WHY_MAX, "the kernel does not follow process %d: %s", a->pid, strerror(-r));
		agentcg_follow_detach(m->follow, a->slot, pidfd);
		goto fail;
	}
	m->attachments[a->slot] = a;
	agentcg_record_save_session(s);
	refill(a);
	*ret = a;
	return 0;
fail:
	if (a)
		free_attachment(a);
	else
		close(pidfd);
	return r;
}

/* Those that nobody took; one whose record is still to be read is none. */
static void end_spares(struct manager *m, uint32_t slot)
{
	uint64_t id;

	while (agentcg_follow_take(m->follow, slot, &id) == 0) {
		struct call *c = find_leaf(m, id);

		if (c && c->spare)
			agentcg_call_end(c, NULL);
	}
}

void agentcg_attachment_end(struct attachment *a)
{
	struct manager *m = a->m;

	agentcg_follow_detach(m->follow, a->slot, a->pidfd);
	agentcg_follow_read(m->follow);	/* what it had begun */
	m->attachments[a->slot] = NULL;
	agentcg_record_save_session(a->session);
	/* From here on the session may go, with its last call. */
	end_spares(m, a->slot);
	done(a);
	free_attachment(a);
}

void agentcg_attachment_end_all(struct session *s)
{
	struct manager *m = s->m;

	for (uint32_t i = 0; i < AGENTCG_MAX_ATTACHMENTS; i++)
		if (m->attachments[i] && m->attachments[i]->session == s)
			agentcg_attachment_end(m->attachments[i]);
}

void agentcg_attachment_forget(struct call *c)
{
	struct manager *m = c->m;

	/* Who lives in it is killed with it. */
	for (uint32_t i = 0; i < AGENTCG_MAX_ATTACHMENTS; i++)
		if (m->attachments[i] && m->attachments[i]->home == c)
			agentcg_attachment_end(m->attachments[i]);
	if (!m->follow || !c->placed)
		return;
	agentcg_follow_forget(m->follow, c->follower, c->id);
	if (*c->ticket.text)
		agentcg_follow_remove_ticket(m->follow, &c->ticket);
	for (uint32_t i = 0; i < AGENTCG_MAX_ATTACHMENTS; i++) {
		struct attachment *a = m->attachments[i];

		if (a && a->open == c) {
			a->open = NULL;
			a->key = 0;
		}
	}
	c->open = false;
}

/* ---- records ------------------------------------------------------------ */

int agentcg_attachment_build(const struct session *s, sd_json_variant **ret)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *list = NULL;
	char name[AGENTCG_CALL_NAME_MAX];
	struct manager *m = s->m;
	int r = sd_json_variant_new_array(&list, NULL, 0);

	for (uint32_t i = 0; r >= 0 && i < AGENTCG_MAX_ATTACHMENTS; i++) {
		_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
		struct attachment *a = m->attachments[i];

		if (!a || a->session != s)
			continue;
		r = sd_json_buildo(&v,
			SD_JSON_BUILD_PAIR_UNSIGNED("pid", (uint64_t)a->pid),
			SD_JSON_BUILD_PAIR_STRING("kind", agentcg_follow_kind_name(a->kind)),
			SD_JSON_BUILD_PAIR_STRING("call", agentcg_call_name(a->home, name)),
			SD_JSON_BUILD_PAIR_UNSIGNED("unplaced", agentcg_follow_unplaced(m->follow, a->slot)));
		if (r >= 0)
			r = sd_json_variant_append_array(&list, v);
	}
	if (r < 0)
		return r;
	*ret = TAKE_PTR(list);
	return 0;
}

/* [pid, inode of its pidfd, kind]: a number alone could be another process by now. */
int agentcg_attachment_save(const struct session *s, sd_json_variant **ret)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *list = NULL;
	struct manager *m = s->m;
	struct stat st;
	int r;

	if (s->attached) {	/* of an earlier daemon, not resumed yet */
		*ret = sd_json_variant_ref(s->attached);
		return 0;
	}
	r = sd_json_variant_new_array(&list, NULL, 0);
	for (uint32_t i = 0; r >= 0 && i < AGENTCG_MAX_ATTACHMENTS; i++) {
		_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
		struct attachment *a = m->attachments[i];

		if (!a || a->session != s || fstat(a->pidfd, &st) < 0)
			continue;
		r = sd_json_build(&v, SD_JSON_BUILD_ARRAY(SD_JSON_BUILD_UNSIGNED((uint64_t)a->pid),
							  SD_JSON_BUILD_UNSIGNED(st.st_ino),
							  SD_JSON_BUILD_UNSIGNED(a->kind)));
		if (r >= 0)
			r = sd_json_variant_append_array(&list, v);
	}
	if (r < 0)
		return r;
	*ret = TAKE_PTR(list);
	return 0;
}

static void resume(struct session *s, sd_json_variant *v)
{
	pid_t pid = (pid_t)sd_json_variant_unsigned(sd_json_variant_by_index(v, 0));
	uint64_t ino = sd_json_variant_unsigned(sd_json_variant_by_index(v, 1));
	uint64_t kind = sd_json_variant_unsigned(sd_json_variant_by_index(v, 2));
	char why[AGENTCG_WHY_MAX];
	struct attachment *a;
	struct stat st;
	int fd = pidfd_open(pid, 0);

	if (fd < 0)
		return;
	if (fstat(fd, &st) < 0 || st.st_ino != ino || (kind != AGENTCG_FOLLOW_SHELL && kind != AGENTCG_FOLLOW_FRAMEWORK)) {
		close(fd);
		return;
	}
	if (agentcg_attachment_new(s, fd, s->uid, (enum agentcg_follow_kind)kind, &a, why) < 0)
		agentcg_log(LOG_WARNING, "process %d of session %s is not followed any more: %s", pid, s->name, why);
}

void agentcg_attachment_resume(struct manager *m)
{
	for (uint32_t i = 0; i < m->nr_sessions; i++) {
		_cleanup_(sd_json_variant_unrefp) sd_json_variant *list = NULL;
		struct session *s = m->sessions[i];

		if (!s || !s->attached)
			continue;
		list = TAKE_PTR(s->attached);
		for (size_t j = 0; j < sd_json_variant_elements(list); j++)
			resume(s, sd_json_variant_by_index(list, j));
	}
}
