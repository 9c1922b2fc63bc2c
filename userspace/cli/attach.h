/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _AGENTCG_CLI_ATTACH_H
#define _AGENTCG_CLI_ATTACH_H

/* "agentcg session attach", with argv[0] "attach". */
int agentcg_session_attach(int argc, char **argv);

#endif
