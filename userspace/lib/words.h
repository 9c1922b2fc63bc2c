/* SPDX-License-Identifier: GPL-2.0-only */
/* A command as the interface tells it (an array of words), for people and models to recognise. */
#ifndef _AGENTCG_WORDS_H
#define _AGENTCG_WORDS_H

#include <systemd/sd-json.h>

#include "util.h"

#define AGENTCG_WORDS_TEXT	80

/*
 * In one line of valid UTF-8, cut where it is longer than @ret; of a shell's
 * script ("sh", "-c", SCRIPT) the script alone.
 */
void agentcg_words_show(sd_json_variant *words, char ret[AGENTCG_WORDS_TEXT]);

#endif /* _AGENTCG_WORDS_H */
