/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sizes and times as people write them.
 *
 * A size is a plain integer (bytes) or has a binary suffix: Ki Mi Gi Ti.  A
 * bare K, M or G is refused, since systemd, Kubernetes and Slurm disagree
 * about it.  A time needs its unit: 500ms 30s 5m 2h.
 */
#ifndef _AGENTCG_SIZE_H
#define _AGENTCG_SIZE_H

#include <stddef.h>
#include <stdint.h>

#include "util.h"

/* Long enough for what the format functions write. */
#define AGENTCG_TEXT_MAX	32

/* 0, or -EINVAL / -ERANGE with a sentence in @why (AGENTCG_WHY_MAX, or NULL). */
int agentcg_parse_size(const char *text, uint64_t *ret, char *why);
int agentcg_parse_time(const char *text, uint64_t *ret_usec, char *why);

/* As agentcg_parse_size() reads it, exactly: "512Mi", "1000"; ~0 is "none". */
const char *agentcg_format_size(char buf[AGENTCG_TEXT_MAX], uint64_t bytes);

/* For people, rounded: "512 MiB", "1.5 GiB", "17 B". */
const char *agentcg_format_bytes(char buf[AGENTCG_TEXT_MAX], uint64_t bytes);

/* For people and agentcg_parse_time(): "500ms", "30s", "1.5s"; "0s". */
const char *agentcg_format_time(char buf[AGENTCG_TEXT_MAX], uint64_t usec);

#endif /* _AGENTCG_SIZE_H */
