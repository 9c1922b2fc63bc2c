/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which inference engine a process is, by what it executes and how; which of the
 * processes below it are its helpers; and which of its threads feed the GPU.
 */
#ifndef _AGENTCG_ENGINE_H
#define _AGENTCG_ENGINE_H

#include "util.h"

enum engine_kind {
	ENGINE_UNKNOWN,
	ENGINE_VLLM,
	ENGINE_SGLANG,
	ENGINE_TRTLLM,
	ENGINE_LLAMA,		/* llama-server */
	AGENTCG_NR_ENGINES
};

extern const char *const agentcg_engine_names[AGENTCG_NR_ENGINES];	/* "unknown", "vllm", ... */

struct engine_guess {
	enum engine_kind kind;
	unsigned int port;	/* that it serves HTTP at; 0: unknown, or none */
	char host[64];		/* as in a URL: "127.0.0.1" and "[::1]" where it listens on all */
	bool tls;		/* it is HTTPS */
	bool metrics;		/* Prometheus' text can be had there, at: */
	unsigned int metrics_port;
	const char *metrics_path;	/* "/metrics" with all but TensorRT-LLM; never NULL */
	bool helper;		/* a worker or scheduler process of one, not its server; no port */
};

/*
 * @args: as in /proc/PID/cmdline, @size bytes.  @title: /proc/PID/comm, or NULL.  @environment: /proc/PID/environ.  Pure.
 * What is only in a file is not seen.
 */
void agentcg_engine_guess_all(const char *args, size_t size, const char *title, const char *environment, size_t environment_size,
			      struct engine_guess *ret);
/* Without its environment: which engine it is. */
void agentcg_engine_guess(const char *args, size_t size, const char *title, struct engine_guess *ret);
/*
 * Whether a thread of that name (/proc/PID/task/TID/comm) of such an engine launches work on the GPU, or schedules
 * what another does at once.  Pure; unknown engines: by the probe alone.
 */
bool agentcg_engine_feeds(enum engine_kind kind, const char *thread);

#endif
