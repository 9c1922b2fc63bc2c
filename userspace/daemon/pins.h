/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The directory in bpffs where the policies for memory and for CPU time keep
 * what outlives the daemon, each under names of its own.
 */
#ifndef _AGENTCG_PINS_H
#define _AGENTCG_PINS_H

#include "util.h"

#define AGENTCG_PINS	"/sys/fs/bpf/agentcg"

/* Names of the CPU scheduler begin with this, those of the memory policy do not. */
#define AGENTCG_PINS_SCHED	"sched"

#define AGENTCG_PIN_PATH_MAX	(sizeof(AGENTCG_PINS) + 256)

/*
 * Mounts bpffs if nobody has, makes the directory and takes it for this daemon:
 * @fd (-1 at first) holds the lock.  To be called before every use, for
 * somebody may have removed the directory.
 */
int agentcg_pins_lock(int *fd, char *why);

const char *agentcg_pins_path(char buf[AGENTCG_PIN_PATH_MAX], const char *name);
int agentcg_pins_get(const char *name);
int agentcg_pins_put(int fd, const char *name);
/* All of one policy, @first before the others. */
void agentcg_pins_remove(bool sched, const char *first);

/* libbpf's first complaint since the last call of _listen(), or "". */
void agentcg_pins_listen(void);
const char *agentcg_pins_complaint(void);

#endif
