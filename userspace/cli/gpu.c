// SPDX-License-Identifier: GPL-2.0-only
/*
 * agentcg gpu: run and attach workers, resize and end them, show them; which of them
 * holds the KV cache of which session.  What is run replaces this process, once the daemon has moved it to where it belongs.
 */
#include "gpu.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>

#include "cli.h"
#include "client.h"
#include "near.h"
#include "util.h"

static const char help[] =
	"Usage: agentcg gpu run [OPTION...] [--] COMMAND [ARG...]\n"
	"       agentcg gpu attach [OPTION...] PID\n"
	"       agentcg gpu resize [OPTION...] WORKER\n"
	"       agentcg gpu end [--kill] WORKER\n"
	"       agentcg gpu bind [--slot N] [--tokens N] SESSION WORKER\n"
	"       agentcg gpu unbind SESSION\n"
	"       agentcg gpu status [--json]\n"
	"\n"
	"Places GPU inference workers, as root: whole cores at the node of their GPUs that nobody else\n"
	"runs on, memory of that node that is not reclaimed; all of it is given back when they end.\n"
	"\n"
	"run executes COMMAND in its place; attach takes a process that runs, with those below it, and\n"
	"moves its memory; resize changes one that runs; end gives its place back, it goes on elsewhere.\n"
	"\n"
	"bind says that WORKER holds the KV cache of SESSION, from now on or once more: during the session's\n"
	"tool calls it is kept, offloaded or dropped. The session's owner may say so; unbind ends it.\n"
	"\n"
	"      --name NAME      of the worker; default: made of the command\n"
	"      --gpu N|UUID     a GPU that it uses, or an instance (0/1, MIG-...), also more than\n"
	"                       once; default: all GPUs\n"
	"      --role R         prefill, decode or both (both)\n"
	"      --cpus N         so many whole cores; default: two, and one for each of its\n"
	"                       GPUs as far as their part of their node goes\n"
	"      --memory SIZE    protected from reclaim; default: what it uses\n"
	"      --huge-pages SIZE  huge pages of its node, as far as there are any (run)\n"
	"      --mps-share P    percent of the GPU's threads, by CUDA's MPS (run)\n"
	"      --priority P     low, normal, high or 0..1000: who shrinks first when cores run short\n"
	"      --url URL        where its engine serves HTTP; default: by its command\n"
	"      --slot N         of llama-server, where the cache is; without it the session's pauses are told only (bind)\n"
	"      --tokens N       that it holds there; default: what the engine says (bind)\n"
	"      --kill           kill its processes (end)\n"
	"      --json           print JSON (status)\n"
	"      --socket PATH    where the daemon listens ($AGENTCG_SOCKET)\n"
	"  -h, --help           this text\n"
	"\n"
	"Sizes: 8Gi, 512Mi. With few cores the policy decides ([GPU] CallCores, WhenShort).\n";

#define UNSET	UINT64_MAX

/* Which options a verb takes. */
enum verb { RUN = 1, ATTACH = 2, RESIZE = 4, END = 8, BIND = 16, UNBIND = 32, STATUS = 64 };
#define VERBS	"run, attach, resize, end, bind, unbind"

struct gpu_options {
	enum verb verb;
	const char *socket, *name, *role, *url;
	sd_json_variant *gpus;
	uint64_t cores, memory, huge_pages, mps_share, slot, tokens;
	uint32_t priority;
	bool kill, json;
};

enum { NAME = OPT_FIRST, GPU, ROLE, CPUS, MEMORY, HUGE_PAGES, MPS_SHARE, PRIORITY, URL, SLOT, TOKENS, KILL, JSON, SOCKET };

/* ---- options ------------------------------------------------------------ */

static int take_number(const char *option, const char *value, uint64_t min, uint64_t max, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(value, &end, 10);
	if (*value >= '0' && *value <= '9' && !*end && !errno && *ret >= min && *ret <= max)
		return 0;
	agentcg_usage_error("%s: \"%s\" is no number from %" PRIu64 " to %" PRIu64, option, value, min, max);
	return -EINVAL;
}

static int take_gpu(struct gpu_options *o, const char *value)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
	int r = agentcg_json_text(&v, value, 256);

	if (r >= 0)
		r = sd_json_variant_append_array(&o->gpus, v);
	if (r < 0)
		agentcg_usage_error("--gpu: %s", strerror(-r));
	return r;
}

static int take_option(struct gpu_options *o, int c)
{
	switch (c) {
	case NAME:
		o->name = optarg;
		return 0;
	case GPU:
		return take_gpu(o, optarg);
	case ROLE:
		o->role = optarg;
		return 0;
	case CPUS:
		return take_number("--cpus", optarg, 1, 1024, &o->cores);
	case MEMORY:
		return agentcg_opt_size("--memory", optarg, &o->memory);
	case HUGE_PAGES:
		return agentcg_opt_size("--huge-pages", optarg, &o->huge_pages);
	case MPS_SHARE:
		return take_number("--mps-share", optarg, 1, 100, &o->mps_share);
	case PRIORITY:
		return agentcg_opt_priority("--priority", optarg, &o->priority);
	case URL:
		o->url = optarg;
		return 0;
	case SLOT:
		return take_number("--slot", optarg, 0, UINT16_MAX, &o->slot);
	case TOKENS:
		return take_number("--tokens", optarg, 1, INT64_MAX, &o->tokens);
	case KILL:
		o->kill = true;
		return 0;
	case JSON:
		o->json = true;
		return 0;
	case SOCKET:
		o->socket = optarg;
		return 0;
	default:
		return -EINVAL;
	}
}

static const struct {
	const char *name;
	int option;
	int verbs;		/* that take it */
} takes[] = {
	{ "name", NAME, RUN | ATTACH },
	{ "gpu", GPU, RUN | ATTACH },
	{ "role", ROLE, RUN | ATTACH | RESIZE },
	{ "cpus", CPUS, RUN | ATTACH | RESIZE },
	{ "memory", MEMORY, RUN | ATTACH | RESIZE },
	{ "huge-pages", HUGE_PAGES, RUN },
	{ "mps-share", MPS_SHARE, RUN },
	{ "priority", PRIORITY, RUN | ATTACH | RESIZE },
	{ "url", URL, RUN | ATTACH | RESIZE },
	{ "slot", SLOT, BIND },
	{ "tokens", TOKENS, BIND },
	{ "kill", KILL, END },
	{ "json", JSON, STATUS },
	{ "socket", SOCKET, RUN | ATTACH | RESIZE | END | BIND | UNBIND | STATUS },
};

static int goes_with(enum verb verb, int option, const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(takes); i++)
		if (takes[i].option == option && !(takes[i].verbs & verb)) {
			agentcg_usage_error("--%s does not go with %s", takes[i].name, word);
			return -EINVAL;
		}
	return 0;
}

/* ---- asking ------------------------------------------------------------- */

static int build(const struct gpu_options *o, sd_json_variant **ret)
{
	return sd_json_buildo(ret,
		SD_JSON_BUILD_PAIR_CONDITION(!!o->name, "name", SD_JSON_BUILD_STRING(o->name)),
		SD_JSON_BUILD_PAIR_CONDITION(!!o->gpus, "gpus", SD_JSON_BUILD_VARIANT(o->gpus)),
		SD_JSON_BUILD_PAIR_CONDITION(!!o->role, "role", SD_JSON_BUILD_STRING(o->role)),
		SD_JSON_BUILD_PAIR_CONDITION(o->cores != UNSET, "cores", SD_JSON_BUILD_UNSIGNED(o->cores)),
		SD_JSON_BUILD_PAIR_CONDITION(o->memory != UNSET, "memory", SD_JSON_BUILD_UNSIGNED(o->memory)),
		SD_JSON_BUILD_PAIR_CONDITION(o->huge_pages != UNSET, "hugePages", SD_JSON_BUILD_UNSIGNED(o->huge_pages)),
		SD_JSON_BUILD_PAIR_CONDITION(o->mps_share != UNSET, "mpsShare", SD_JSON_BUILD_UNSIGNED(o->mps_share)),
		SD_JSON_BUILD_PAIR_CONDITION(o->priority != UINT32_MAX, "priority", SD_JSON_BUILD_UNSIGNED(o->priority)),
		SD_JSON_BUILD_PAIR_CONDITION(!!o->url, "url", SD_JSON_BUILD_STRING(o->url)));
}

/* Says itself what is wrong; the notes of the answer too. */
static int ask(sd_varlink *link, const char *method, sd_json_variant *parameters, sd_json_variant **ret)
{
	char why[AGENTCG_WHY_MAX];
	sd_json_variant *notes;

	if (agentcg_client_call(link, method, parameters, ret, why) < 0) {
		agentcg_say("%s", why);
		return EXIT_FAILURE;
	}
	notes = sd_json_variant_by_key(*ret, "notes");
	for (size_t i = 0; notes && i < sd_json_variant_elements(notes); i++)
		agentcg_say("%s", sd_json_variant_string(sd_json_variant_by_index(notes, i)));
	return 0;
}

/* ---- run ---------------------------------------------------------------- */

bool agentcg_parse_mask(const char *text, unsigned long *mask, size_t bits)
{
	memset(mask, 0, bits / 8);
	while (*text) {
		char *end;
		unsigned long from = strtoul(text, &end, 10), to = from;

		if (end == text)
			return false;
		if (*end == '-')
			to = strtoul(end + 1, &end, 10);
		for (; from <= to && from < bits; from++)
			mask[from / (8 * sizeof(long))] |= 1UL << (from % (8 * sizeof(long)));
		text = *end == ',' ? end + 1 : end;
		if (*end && *end != ',')
			return false;
	}
	return true;
}

/* Where no group does: all that is executed and allocated from here on. */
static void bind_myself(sd_json_variant *answer)
{
	const char *cpus = agentcg_json_string(answer, "cpus") ?: "", *mems = agentcg_json_string(answer, "mems") ?: "";
	unsigned long mask[1024 / 8 / sizeof(long)];

	if (*cpus && agentcg_parse_mask(cpus, mask, 1024) && syscall(SYS_sched_setaffinity, 0, sizeof(mask), mask) < 0)
		agentcg_say("it may run on any CPU, not on %s alone: %s", cpus, strerror(errno));
	if (*mems && agentcg_parse_mask(mems, mask, 1024) && syscall(SYS_set_mempolicy, 2 /* MPOL_BIND */, mask, 1025) < 0)
		agentcg_say("its memory may come from any node, not from %s alone: %s", mems, strerror(errno));
}

static int set_environment(sd_json_variant *list)
{
	for (size_t i = 0; list && i < sd_json_variant_elements(list); i++) {
		const char *text = sd_json_variant_string(sd_json_variant_by_index(list, i)), *equals = strchr(text ?: "", '=');
		_cleanup_free_ char *name = equals ? strndup(text, (size_t)(equals - text)) : NULL;

		if (!name || setenv(name, equals + 1, 1) < 0)
			return -EINVAL;
	}
	return 0;
}

static int run(struct gpu_options *o, char **command)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *parameters = NULL, *list = NULL, *word = NULL;
	_cleanup_(sd_varlink_unrefp) sd_varlink *link = NULL;
	sd_json_variant *answer, *bind;
	int r = build(o, &parameters);

	for (char **c = command; r >= 0 && *c; c++) {
		word = sd_json_variant_unref(word);
		r = agentcg_json_text(&word, *c, 4096);
		if (r >= 0)
			r = sd_json_variant_append_array(&list, word);
	}
	if (r >= 0)
		r = sd_json_variant_set_field(&parameters, "command", list);
	if (r < 0)
		return EXIT_LAUNCHER;
	if (agentcg_open_link(o->socket, &link) || ask(link, "io.agentcg.gpu.StartWorker", parameters, &answer))
		return EXIT_LAUNCHER;
	bind = sd_json_variant_by_key(answer, "bindYourself");
	if (bind && sd_json_variant_is_boolean(bind) && sd_json_variant_boolean(bind))
		bind_myself(answer);
	if (set_environment(sd_json_variant_by_key(answer, "environment")) < 0)
		return EXIT_LAUNCHER;
	agentcg_near(command, agentcg_json_string(answer, "mems") ?: "");
	execvp(command[0], command);
	r = errno;
	agentcg_say("%s: %s", command[0], r == ENOENT ? "not found" : strerror(r));
	return r == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}

/* ---- the others --------------------------------------------------------- */

static int attach(struct gpu_options *o, const char *text)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *parameters = NULL;
	_cleanup_(sd_varlink_unrefp) sd_varlink *link = NULL;
	_cleanup_close_ int pidfd = -1;
	sd_json_variant *answer;
	uint64_t pid;
	int r;

	if (take_number("PID", text, 1, INT32_MAX, &pid) < 0)
		return EXIT_USAGE;
	pidfd = pidfd_open((pid_t)pid, 0);
	if (pidfd < 0) {
		agentcg_say("process %s: %s", text, errno == ESRCH ? "there is none" : strerror(errno));
		return EXIT_FAILURE;
	}
	r = agentcg_open_link(o->socket, &link);
	if (r)
		return r;
	r = build(o, &parameters);
	if (r >= 0)
		r = sd_varlink_push_dup_fd(link, pidfd);
	if (r >= 0)
		r = sd_json_variant_set_field_unsigned(&parameters, "pidFd", (uint64_t)r);
	if (r < 0)
		return EXIT_FAILURE;
	r = ask(link, "io.agentcg.gpu.AttachWorker", parameters, &answer);
	if (!r)
		printf("%s: %s\n", agentcg_json_string(answer, "worker") ?: "", agentcg_json_string(answer, "placement") ?: "");
	return r;
}

static int change(struct gpu_options *o, const char *worker)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *parameters = NULL;
	_cleanup_(sd_varlink_unrefp) sd_varlink *link = NULL;
	const char *method = o->verb == END ? "io.agentcg.gpu.EndWorker" : "io.agentcg.gpu.AdjustWorker";
	sd_json_variant *answer;
	int r = agentcg_open_link(o->socket, &link);

	if (r)
		return r;
	r = build(o, &parameters);
	if (r >= 0)
		r = sd_json_variant_set_field_string(&parameters, "worker", worker);
	if (r >= 0 && o->kill)
		r = sd_json_variant_set_field_boolean(&parameters, "kill", true);
	if (r < 0)
		return EXIT_FAILURE;
	r = ask(link, method, parameters, &answer);
	if (!r && o->verb == RESIZE)
		printf("%s: %s\n", worker, agentcg_json_string(answer, "placement") ?: "");
	return r;
}

/* @worker: NULL to unbind. */
static int bind_session(struct gpu_options *o, const char *session, const char *worker)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *parameters = NULL;
	_cleanup_(sd_varlink_unrefp) sd_varlink *link = NULL;
	sd_json_variant *answer;
	int r = agentcg_open_link(o->socket, &link);

	if (r)
		return r;
	if (sd_json_buildo(&parameters,
			   SD_JSON_BUILD_PAIR_STRING("session", session),
			   SD_JSON_BUILD_PAIR_CONDITION(!!worker, "worker", SD_JSON_BUILD_STRING(worker)),
			   SD_JSON_BUILD_PAIR_CONDITION(o->slot != UNSET, "slot", SD_JSON_BUILD_UNSIGNED(o->slot)),
			   SD_JSON_BUILD_PAIR_CONDITION(o->tokens != UNSET, "tokens", SD_JSON_BUILD_UNSIGNED(o->tokens))) < 0)
		return EXIT_FAILURE;
	return ask(link, worker ? "io.agentcg.gpu.BindSession" : "io.agentcg.gpu.UnbindSession", parameters, &answer);
}

static int act(struct gpu_options *o, int argc, char **argv)
{
	int n = argc - optind;

	switch (o->verb) {
	case RUN:
		return n ? run(o, argv + optind) : agentcg_usage_error("say which command to run, such as: agentcg gpu run -- vllm serve MODEL");
	case STATUS:
		return n ? agentcg_usage_error("'%s' is too much", argv[optind]) : agentcg_gpu_show(o->socket, o->json);
	case BIND:
		return n == 2 ? bind_session(o, argv[optind], argv[optind + 1]) :
				agentcg_usage_error("say which session, and which worker holds its cache: agentcg gpu bind SESSION WORKER");
	case UNBIND:
		return n == 1 ? bind_session(o, argv[optind], NULL) :
				agentcg_usage_error("say which session to unbind: one; agentcg gpu status lists those that are bound");
	case ATTACH:
		return n == 1 ? attach(o, argv[optind]) : agentcg_usage_error("say which process to attach: one PID");
	default:
		return n == 1 ? change(o, argv[optind]) : agentcg_usage_error("say which worker to %s; agentcg gpu status lists them",
									      o->verb == END ? "end" : "resize");
	}
}

static enum verb verb_of(const char *word)
{
	static const char *const verbs[] = { "run", "attach", "resize", "end", "bind", "unbind", "status" };

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (streq(word, verbs[i]))
			return (enum verb)(1 << i);
	return 0;
}

int agentcg_cmd_gpu(int argc, char **argv)
{
	struct gpu_options o = {
		.socket = agentcg_client_socket(), .cores = UNSET, .memory = UNSET, .huge_pages = UNSET, .mps_share = UNSET,
		.priority = UINT32_MAX, .slot = UNSET, .tokens = UNSET,
	};
	struct option options[ARRAY_SIZE(takes) + 2] = {};
	const char *word = argc > 1 ? argv[1] : "";
	bool changes = false;
	int c, r;

	for (size_t i = 0; i < ARRAY_SIZE(takes); i++)
		options[i] = (struct option){ takes[i].name, takes[i].option != KILL && takes[i].option != JSON, NULL, takes[i].option };
	options[ARRAY_SIZE(takes)] = (struct option){ "help", no_argument, NULL, OPT_HELP };
	o.verb = verb_of(word);
	/* Before the verb there is room for --help alone. */
	if (!o.verb && *word != '-') {
		agentcg_getopt(1, argv, "+:h", options, help);
		return *word ? agentcg_usage_error("'%s' is none of " VERBS " and status", word) :
			       agentcg_usage_error("say " VERBS " or status");
	}
	if (o.verb) {
		argv[1] = argv[0];
		argv++, argc--;
	}
	while ((c = agentcg_getopt(argc, argv, o.verb == RUN ? "+:h" : ":h", options, help)) >= 0) {
		if (c == OPT_HELP)
			return 0;
		if (!o.verb)
			return agentcg_usage_error("say " VERBS " or status first");
		if (take_option(&o, c) < 0 || goes_with(o.verb, c, word) < 0)
			return EXIT_USAGE;
		changes |= c != SOCKET;
	}
	if (!o.verb)
		return agentcg_usage_error("say " VERBS " or status first");
	if (o.verb == RESIZE && !changes)
		return agentcg_usage_error("say what to change: --cpus, --memory, --priority, --role or --url");
	r = act(&o, argc, argv);
	sd_json_variant_unref(o.gpus);
	return r;
}
