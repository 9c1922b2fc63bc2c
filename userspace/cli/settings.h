/* SPDX-License-Identifier: GPL-2.0-only */
/* A JSON file of another program: read whole, written whole or not at all. */
#ifndef _AGENTCG_SETTINGS_H
#define _AGENTCG_SETTINGS_H

#include <stdbool.h>
#include <sys/stat.h>

#include <systemd/sd-json.h>

struct agentcg_settings {
	char *path;		/* after all symbolic links */
	bool linked;		/* that was one itself */
	char *text;		/* NULL: there is no file */
	sd_json_variant *value;	/* an object; NULL: there is no file, or nothing in it */
	struct stat stat;
};

/* A file that is not there is no error.  Else negative errno and a sentence in @why. */
int agentcg_settings_read(const char *path, struct agentcg_settings *ret, char *why);

/*
 * @value in place of what was read, if it is something else; a new file and its
 * folders are made, a file of which nothing is left is removed.  1: written.
 */
int agentcg_settings_write(const struct agentcg_settings *s, sd_json_variant *value, char *why);
void agentcg_settings_done(struct agentcg_settings *s);

#endif /* _AGENTCG_SETTINGS_H */
