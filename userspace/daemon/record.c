// SPDX-License-Identifier: GPL-2.0-only
#include "record.h"

#include "attachment.h"
#include "call.h"
#include "cgroup.h"
#include "pause.h"
#include "session.h"

#define NUMBER(name, value)	SD_JSON_BUILD_PAIR_UNSIGNED(name, value)
#define MAYBE(name, value)	SD_JSON_BUILD_PAIR_CONDITION((value) != AGENTCG_NONE, name, \
							     SD_JSON_BUILD_UNSIGNED(value))

static int save(int fd, sd_json_variant *v)
{
	_cleanup_free_ char *text = NULL;
	int r = sd_json_variant_format(v, 0, &text);

	return r < 0 ? r : agentcg_cgroup_set_note(fd, text);
}

static int load(int fd, const sd_json_dispatch_field table[], void *to)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
	_cleanup_free_ char *text = NULL;
	int r = agentcg_cgroup_get_note(fd, &text);

	if (r < 0)
		return r;
	r = sd_json_parse(text, SD_JSON_PARSE_MUST_BE_OBJECT, &v, NULL, NULL);
	/* A newer daemon may have written more. */
	return r < 0 ? r : sd_json_dispatch(v, table, SD_JSON_ALLOW_EXTENSIONS, to);
}

int agentcg_record_save_session(const struct session *s)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL, *attached = NULL, *bound = NULL;
	int r = agentcg_attachment_save(s, &attached);

	if (r >= 0)
		r = agentcg_pause_save(s, &bound);
	if (r >= 0)
		r = sd_json_buildo(&v,
			NUMBER("uid", s->uid),
			NUMBER("arrival", s->arrival),
			NUMBER("priority", s->grant.priority),
			NUMBER("reserve", s->grant.reserve),
			MAYBE("budget", s->grant.budget),
			SD_JSON_BUILD_PAIR_CONDITION(s->anchor.pid != 0, "anchorPid", SD_JSON_BUILD_UNSIGNED(s->anchor.pid)),
			SD_JSON_BUILD_PAIR_CONDITION(s->anchor.pid != 0, "anchorInode", SD_JSON_BUILD_UNSIGNED(s->anchor.inode)),
			NUMBER("timeDueUSec", s->time.due_usec),
			NUMBER("timeTotalUSec", s->time.total_usec),
			SD_JSON_BUILD_PAIR_VARIANT("attached", attached),
			SD_JSON_BUILD_PAIR_CONDITION(!!bound, "bound", SD_JSON_BUILD_VARIANT(bound)),
			SD_JSON_BUILD_PAIR_BOOLEAN("automatic", s->automatic));
	return r < 0 ? r : save(s->fd, v);
}

int agentcg_record_load_session(struct session *s)
{
	static const sd_json_dispatch_field table[] = {
		{ "uid", SD_JSON_VARIANT_UNSIGNED, sd_json_dispatch_uint32, offsetof(struct session, uid), SD_JSON_MANDATORY },
		{ "arrival", SD_JSON_VARIANT_UNSIGNED, sd_json_dispatch_uint32, offsetof(struct session, arrival), SD_JSON_MANDATORY },
		{ "priority", SD_JSON_VARIANT_UNSIGNED, sd_json_dispatch_uint32, offsetof(struct session, grant.priority), SD_JSON_MANDATORY },
		{ "reserve", SD_JSON_VARIANT_UNSIGNED, sd_json_dispatch_uint64, offsetof(struct session, grant.reserve), 0 },
		{ "budget", SD_JSON_VARIANT_UNSIGNED, sd_json_dispatch_uint64, offsetof(struct session, grant.budget), 0 },
		{ "attached", SD_JSON_VARIANT_ARRAY, sd_json_dispatch_variant, offsetof(struct session, attached), 0 },
		{ "bound", SD_JSON_VARIANT_OBJECT, sd_json_dispatch_variant, offsetof(struct session, bound), 0 },
		{ "timeDueUSec", SD_JSON_VARIANT_UNSIGNED, sd_json_dispatch_uint64, offsetof(struct session, time.due_usec), 0 },
		{ "timeTotalUSec", SD_JSON_VARIANT_UNSIGNED, sd_json_dispatch_uint64, offsetof(struct session, time.total_usec), 0 },
		{ "automatic", SD_JSON_VARIANT_BOOLEAN, sd_json_dispatch_stdbool, offsetof(struct session, automatic), 0 },
		{ "anchorPid", SD_JSON_VARIANT_UNSIGNED, sd_json_dispatch_uint32, offsetof(struct session, anchor.pid), 0 },
		{ "anchorInode", SD_JSON_VARIANT_UNSIGNED, sd_json_dispatch_uint64, offsetof(struct session, anchor.inode), 0 },
		{}
	};

	s->grant.budget = AGENTCG_NONE;
	return load(s->fd, table, s);
}

int agentcg_record_save_call(const struct call *c)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
	int r;

	r = sd_json_buildo(&v,
		NUMBER("priority", c->grant.priority),
		NUMBER("memory", c->grant.memory),
		MAYBE("memoryMax", c->grant.memory_max),
		NUMBER("cpu", c->grant.cpu),
		MAYBE("cpuMax", c->grant.cpu_max),
		MAYBE("pidsMax", c->grant.pids_max),
		NUMBER("onPressure", c->grant.on_pressure),
		SD_JSON_BUILD_PAIR_BOOLEAN("detach", c->grant.detach),
		MAYBE("timeoutUSec", c->grant.timeout_usec),
		NUMBER("latency", c->grant.latency),
		NUMBER("dueUSec", c->due_usec),
		NUMBER("startedUSec", c->started_usec),
		NUMBER("beganUSec", c->began_usec),
		MAYBE("declared", c->declared),
		SD_JSON_BUILD_PAIR_STRING("kind", c->kind),
		SD_JSON_BUILD_PAIR_STRING("group", c->group),
		NUMBER("fate", c->fate),
		SD_JSON_BUILD_PAIR_BOOLEAN("placed", c->placed),
		SD_JSON_BUILD_PAIR_BOOLEAN("mayControl", c->may_control),
		SD_JSON_BUILD_PAIR_VARIANT("command", c->command));
	return r < 0 ? r : save(c->fd, v);
}

void agentcg_record_drop_call(const struct call *c)
{
	agentcg_cgroup_drop_note(c->fd);
}

static int dispatch_kind(const char *name, sd_json_variant *v, sd_json_dispatch_flags_t flags, void *userdata)
{
	if (snprintf(userdata, AGENTCG_KIND_MAX, "%s", sd_json_variant_string(v)) >= AGENTCG_KIND_MAX)
		return -EBADMSG;
	return 0;
}

static int dispatch_group(const char *name, sd_json_variant *v, sd_json_dispatch_flags_t flags, void *userdata)
{
	if (snprintf(userdata, AGENTCG_GROUP_MAX, "%s", sd_json_variant_string(v)) >= AGENTCG_GROUP_MAX)
		return -EBADMSG;
	return 0;
}

int agentcg_record_load_call(struct call *c)
{
	static const sd_json_dispatch_field table[] = {
		{ "priority", SD_JSON_VARIANT_UNSIGNED, sd_json_dispatch_uint32, offsetof(struct call, grant.priority), SD_JSON_MANDATORY },
		{ "memory", SD_JSON_VARIANT_UNSIGNED, sd_json_dispatch_uint64, offsetof(struct call, grant.memory), SD_JSON_MANDATORY },
		{ "memoryMax", SD_JSON_VARIANT_UNSIGNED, sd_json_dispatch_uint64, offsetof(struct call, grant.memory_max), 0 },
		{ "cpu", SD_JSON_VARIANT_UNSIGNED, sd_json_dispatch_uint64, offsetof(struct call, grant.cpu), 0 },
		{ "cpuMax", SD_JSON_VARIANT_UNSIGNED, sd_json_dispatch_uint64, offsetof(struct call, grant.cpu_max), 0 },
		{ "pidsMax", SD_JSON_VARIANT_UNSIGNED, sd_json_dispatch_uint64, offsetof(struct call, grant.pids_max), 0 },
		{ "onPressure", SD_JSON_VARIANT_UNSIGNED, sd_json_dispatch_uint32, offsetof(struct call, grant.on_pressure), 0 },
		{ "detach", SD_JSON_VARIANT_BOOLEAN, sd_json_dispatch_stdbool, offsetof(struct call, grant.detach), 0 },
		{ "timeoutUSec", SD_JSON_VARIANT_UNSIGNED, sd_json_dispatch_uint64, offsetof(struct call, grant.timeout_usec), 0 },
		{ "latency", SD_JSON_VARIANT_UNSIGNED, sd_json_dispatch_uint32, offsetof(struct call, grant.latency), 0 },
		{ "dueUSec", SD_JSON_VARIANT_UNSIGNED, sd_json_dispatch_uint64, offsetof(struct call, due_usec), 0 },
		{ "startedUSec", SD_JSON_VARIANT_UNSIGNED, sd_json_dispatch_uint64, offsetof(struct call, started_usec), SD_JSON_MANDATORY },
		{ "beganUSec", SD_JSON_VARIANT_UNSIGNED, sd_json_dispatch_uint64, offsetof(struct call, began_usec), 0 },
		{ "declared", SD_JSON_VARIANT_UNSIGNED, sd_json_dispatch_uint64, offsetof(struct call, declared), 0 },
		{ "kind", SD_JSON_VARIANT_STRING, dispatch_kind, offsetof(struct call, kind), 0 },
		{ "group", SD_JSON_VARIANT_STRING, dispatch_group, offsetof(struct call, group), 0 },
		{ "fate", SD_JSON_VARIANT_UNSIGNED, sd_json_dispatch_uint32, offsetof(struct call, fate), 0 },
		{ "placed", SD_JSON_VARIANT_BOOLEAN, sd_json_dispatch_stdbool, offsetof(struct call, placed), 0 },
		{ "mayControl", SD_JSON_VARIANT_BOOLEAN, sd_json_dispatch_stdbool, offsetof(struct call, may_control), 0 },
		{ "command", SD_JSON_VARIANT_ARRAY, sd_json_dispatch_variant, offsetof(struct call, command), 0 },
		{}
	};
	int r;

	_Static_assert(sizeof(c->fate) == sizeof(uint32_t), "an enum is read as uint32");
	_Static_assert(sizeof(c->grant.on_pressure) == sizeof(uint32_t), "so is this");
	c->grant = (struct call_grant){
		.cpu = 1000, .cpu_max = AGENTCG_NONE, .memory_max = AGENTCG_NONE, .pids_max = AGENTCG_NONE,
		.timeout_usec = AGENTCG_NONE, .deadline_usec = AGENTCG_NONE, .on_pressure = AGENTCG_PRESSURE_FREEZE,
	};
	c->declared = AGENTCG_NONE;
	r = load(c->fd, table, c);
	if (r >= 0 && (c->fate > AGENTCG_FATE_CLOSED || c->grant.latency > AGENTCG_CLASS_INTERACTIVE ||
		       c->grant.on_pressure > AGENTCG_PRESSURE_KILL))
		r = -EBADMSG;
	if (r >= 0 && !c->command)
		r = sd_json_variant_new_array(&c->command, NULL, 0);
	return r;
}
