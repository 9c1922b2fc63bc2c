/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The client's side of io.agentcg: connect, call, and errors in words.
 */
#ifndef _AGENTCG_CLIENT_H
#define _AGENTCG_CLIENT_H

#include <systemd/sd-varlink.h>

#include "json.h"
#include "util.h"

/* Where the daemon is: $AGENTCG_SOCKET, or the usual place. */
const char *agentcg_client_socket(void);

/* Descriptors may be passed both ways.  @why as below. */
int agentcg_client_connect(const char *socket, sd_varlink **ret, char *why);

/*
 * Calls @method ("BeginCall", or with its interface "io.agentcg.gpu.GetWorkers") and waits for the answer.  @ret is borrowed: it
 * is gone with the next call on @link.  On failure a sentence is in @why
 * (AGENTCG_WHY_MAX, or NULL):
 *	-ENXIO		no such session or call
 *	-EPERM		not allowed
 *	-ENOTUNIQ	not for us, a part of a tool call
 *	-EDQUOT		a limit of the policy was reached
 *	-EOPNOTSUPP	not possible here
 *	-EINVAL		a parameter is wrong
 *	-ENOTCONN	the daemon went away; @link is of no more use
 *	-EPROTO		an error that this version does not know
 */
int agentcg_client_call(sd_varlink *link, const char *method, sd_json_variant *parameters,
			sd_json_variant **ret, char *why);

/* -ENOTCONN and so on for an error of the daemon, see above. */
int agentcg_client_error(const char *id, sd_json_variant *parameters, char *why);

#endif /* _AGENTCG_CLIENT_H */
