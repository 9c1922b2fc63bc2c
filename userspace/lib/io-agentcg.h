/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The varlink interface io.agentcg as data: the daemon serves it, the command
 * speaks it, `varlinkctl introspect /run/agentcg/io.agentcg` prints it.
 */
#ifndef _AGENTCG_IO_AGENTCG_H
#define _AGENTCG_IO_AGENTCG_H

#include <systemd/sd-varlink-idl.h>

#define AGENTCG_SOCKET			"/run/agentcg/io.agentcg"

/* A client that lost its connection to a restarted daemon has this long to
 * claim its calls again (ClaimCall).
 */
#define AGENTCG_CLAIM_GRACE_USEC	(10 * 1000000ULL)

#define AGENTCG_METHOD(name)		"io.agentcg." name

#define AGENTCG_ERROR_NO_SUCH_SESSION	"io.agentcg.NoSuchSession"
#define AGENTCG_ERROR_NO_SUCH_CALL	"io.agentcg.NoSuchCall"
#define AGENTCG_ERROR_INVALID_INTENT	"io.agentcg.InvalidIntent"
#define AGENTCG_ERROR_PERMISSION_DENIED	"io.agentcg.PermissionDenied"
#define AGENTCG_ERROR_IN_TOOL_CALL	"io.agentcg.InToolCall"
#define AGENTCG_ERROR_LIMIT_EXCEEDED	"io.agentcg.LimitExceeded"
#define AGENTCG_ERROR_NOT_SUPPORTED	"io.agentcg.NotSupported"

extern const sd_varlink_interface vl_interface_io_agentcg;

#endif /* _AGENTCG_IO_AGENTCG_H */
