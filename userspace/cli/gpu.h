/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef AGENTCG_CLI_GPU_H
#define AGENTCG_CLI_GPU_H

#include <stdbool.h>

/* Prints GPUs and workers; returns an exit code. */
int agentcg_gpu_show(const char *socket, bool json);

#endif
