// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>

#include "cli.h"
#include "client.h"
#include "priority.h"
#include "size.h"
#include "util.h"

/* Set by agentcg_getopt(), the first thing every command calls. */
static const char *command = "";

static void say(const char *fmt, va_list ap)
{
	fprintf(stderr, "agentcg%s%s: ", *command ? " " : "", command);
	vfprintf(stderr, fmt, ap);
}

void agentcg_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

int agentcg_usage_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
	fprintf(stderr, "; see agentcg %s --help\n", command);
	return EXIT_USAGE;
}

int agentcg_getopt(int argc, char **argv, const char *short_options, const struct option *options,
		   const char *help)
{
	int c;

	command = argv[0];
	opterr = 0;
	c = getopt_long(argc, argv, short_options, options, NULL);
	if (c == OPT_HELP)
		fputs(help, stdout);
	/* optopt is 0 for a long option that is unknown or ambiguous. */
	if (c == ':')
		agentcg_usage_error("%s needs a value", argv[optind - 1]);
	else if (c == '?' && optopt && optopt < OPT_FIRST)
		agentcg_usage_error("unknown option '-%c'", optopt);
	else if (c == '?')
		agentcg_usage_error("%s '%s'", optopt ? "no value goes with" : "unknown option",
				    argv[optind - 1]);
	return c == ':' ? '?' : c;
}

static int refuse(const char *option, const char *why)
{
	agentcg_usage_error("%s: %s", option, why);
	return -EINVAL;
}

int agentcg_opt_size(const char *option, const char *value, uint64_t *ret)
{
	char why[AGENTCG_WHY_MAX];

	return agentcg_parse_size(value, ret, why) < 0 ? refuse(option, why) : 0;
}

int agentcg_opt_time(const char *option, const char *value, uint64_t *ret_usec)
{
	char why[AGENTCG_WHY_MAX];

	return agentcg_parse_time(value, ret_usec, why) < 0 ? refuse(option, why) : 0;
}

int agentcg_opt_priority(const char *option, const char *value, uint32_t *ret)
{
	char why[AGENTCG_WHY_MAX];

	return agentcg_parse_priority(value, ret, why) < 0 ? refuse(option, why) : 0;
}

/* What others said in its environment: wrong, it must not keep the command from running. */
void agentcg_opt_hint(struct agentcg_intent *intent)
{
	const char *hint = getenv("AGENT_RESOURCE_HINT");
	char why[AGENTCG_WHY_MAX];

	if (hint && agentcg_intent_parse_hint(hint, intent, why) < 0)
		agentcg_say("AGENT_RESOURCE_HINT is ignored: %s", why);
}

int agentcg_open_link(const char *socket, sd_varlink **ret)
{
	char why[AGENTCG_WHY_MAX];

	if (agentcg_client_connect(socket, ret, why) >= 0)
		return 0;
	agentcg_say("%s", why);
	return EXIT_FAILURE;
}

int agentcg_print_json(sd_json_variant *v)
{
	int r;

	r = sd_json_variant_dump(v, SD_JSON_FORMAT_PRETTY_AUTO | SD_JSON_FORMAT_NEWLINE |
				    SD_JSON_FORMAT_FLUSH, stdout, NULL);
	if (r >= 0)
		return 0;
	agentcg_say("cannot write the result: %s", strerror(-r));
	return EXIT_FAILURE;
}
