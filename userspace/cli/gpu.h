/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef AGENTCG_CLI_GPU_H
#define AGENTCG_CLI_GPU_H

#include <stdbool.h>
#include <stddef.h>

/* The kernel's notation, "0-3,8", as a mask of longs; false: it is none. */
bool agentcg_parse_mask(const char *text, unsigned long *mask, size_t bits);

/* Prints GPUs and workers; returns an exit code. */
int agentcg_gpu_show(const char *socket, bool json);

#endif
