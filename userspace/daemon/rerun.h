/* SPDX-License-Identifier: GPL-2.0-only */
/* The same command again and again: recognised (habit.h), told, and what earlier runs left is reclaimed. */
#ifndef _AGENTCG_RERUN_H
#define _AGENTCG_RERUN_H

#include "call.h"
#include "notes.h"

/* @c, whose @command is as its client sent it, is about to run. */
void agentcg_rerun_begin(struct call *c, sd_json_variant *command, struct notes *notes);
/* It has ended, and its result is known: says there if that was one of many. */
void agentcg_rerun_end(struct call *c);

#endif
