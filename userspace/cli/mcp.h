/* SPDX-License-Identifier: GPL-2.0-only */
/* The tools of agentcg mcp (mcp-tools.c), for the protocol (mcp.c). */
#ifndef AGENTCG_MCP_H
#define AGENTCG_MCP_H

#include <systemd/sd-json.h>

#include "util.h"

/* Whose budget and calls the tools are about. */
struct agentcg_mcp_peer {
	const char *socket;	/* of the daemon, which may come and go: each call connects anew */
	const char *session;	/* NULL: each call finds out (whose.h) */
};

/* What a tool answers: for programs and for the model.  Freed by agentcg_mcp_answer_done(). */
struct agentcg_mcp_answer {
	sd_json_variant *structured;	/* as its outputSchema; NULL with an error */
	char *text;
	bool error;		/* the model should do something else; the text says what */
};

/* Of a call that has been waiting for something. */
struct agentcg_mcp_wait {
	uint64_t waited_usec;
	uint64_t total_usec;	/* out: so long does it wait at most */
};

/*
 * Calls the tool @name; @arguments is an object or NULL.  1: what it waits for is
 * not there yet, ret->text says how far it is: call it again a little later.
 * With @wait NULL it does not wait.  -ENOENT: there is no such tool; other
 * negative errno: nothing can be said (no memory).
 */
int agentcg_mcp_call(const struct agentcg_mcp_peer *peer, const char *name, sd_json_variant *arguments,
		     struct agentcg_mcp_wait *wait, struct agentcg_mcp_answer *ret);
void agentcg_mcp_answer_done(struct agentcg_mcp_answer *a);

/* mcp-tools.json: { "instructions": TEXT, "tools": [TOOL...] } as MCP describes tools. */
extern const char agentcg_mcp_tools[];

#endif
