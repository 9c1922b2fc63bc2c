/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * JSON-RPC 2.0, one message a line: lines out of a stream of bytes, what a
 * message is, and replies.  Pure: whoever reads and writes is elsewhere.
 */
#ifndef _AGENTCG_JSONRPC_H
#define _AGENTCG_JSONRPC_H

#include <systemd/sd-json.h>

#include "util.h"

/* As the specification numbers them. */
enum agentcg_rpc_code {
	AGENTCG_RPC_PARSE_ERROR		= -32700,
	AGENTCG_RPC_INVALID_REQUEST	= -32600,
	AGENTCG_RPC_METHOD_NOT_FOUND	= -32601,
	AGENTCG_RPC_INVALID_PARAMS	= -32602,
	AGENTCG_RPC_INTERNAL_ERROR	= -32603,
};

/* ---- lines -------------------------------------------------------------- */

struct agentcg_lines {
	size_t max;		/* bytes of a line; the caller's to set */
	char *buf;
	size_t start, end;	/* what is not read yet */
	size_t size;
	bool skipping;		/* the rest of a line that is too long */
};

/* Appends @n bytes; 0 or -ENOMEM. */
int agentcg_lines_feed(struct agentcg_lines *l, const void *data, size_t n);

/*
 * 1 and the next line, without its end and with a NUL after it, until the next
 * feed; 0: it is not all there yet; -EMSGSIZE, once: a line is longer than
 * max, and is skipped.
 */
int agentcg_lines_next(struct agentcg_lines *l, char **ret, size_t *ret_len);

void agentcg_lines_done(struct agentcg_lines *l);

/* ---- messages ----------------------------------------------------------- */

enum agentcg_rpc_kind {
	AGENTCG_RPC_INVALID,		/* then the id is that of the message where it has one */
	AGENTCG_RPC_REQUEST,
	AGENTCG_RPC_NOTIFICATION,
	AGENTCG_RPC_RESPONSE,
};

/* All are borrowed from the message. */
struct agentcg_rpc {
	enum agentcg_rpc_kind kind;
	sd_json_variant *id;		/* a string or an integer, or NULL */
	const char *method;
	sd_json_variant *params;	/* an object, or NULL; an array is kept as one */
};

/* One message, no batch. */
void agentcg_rpc_read(sd_json_variant *v, struct agentcg_rpc *ret);

/* @id NULL: null, for what could not be read. */
int agentcg_rpc_result(sd_json_variant *id, sd_json_variant *result, sd_json_variant **ret);
/* @data may be NULL. */
int agentcg_rpc_error(sd_json_variant *id, int code, const char *message, sd_json_variant *data,
		      sd_json_variant **ret);

#endif /* _AGENTCG_JSONRPC_H */
