/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Just enough of BTF to look at a kernel's types.  libbpf does more, but the
 * command would then load it, libelf and zlib for every tool call that it runs.
 */
#ifndef _AGENTCG_BTF_H
#define _AGENTCG_BTF_H

#include <linux/btf.h>
#include <stddef.h>

#include "util.h"

struct agentcg_btf {
	void *data;
	size_t size;
	const char *strings;
	size_t strings_len;
	const struct btf_type **types;	/* by id; types[0] is NULL: void */
	uint32_t nr_types;
};

/* -EBADMSG: this is not BTF, or is cut short. */
int agentcg_btf_load(const char *path, struct agentcg_btf *ret);
void agentcg_btf_done(struct agentcg_btf *btf);

/* Whether some type, member or function is called @name (a module's own ones only). */
bool agentcg_btf_has_name(const struct agentcg_btf *btf, const char *name);

/*
 * How many functions begin with @prefix, and how many of them still show the
 * argument "struct bpf_prog_aux *" that only the verifier may pass: pahole or
 * resolve_btfids had to strip it and keep it in NAME_impl.  No program can
 * call such a function.
 */
unsigned int agentcg_btf_functions(const struct agentcg_btf *btf, const char *prefix,
				   unsigned int *ret_broken);

#endif /* _AGENTCG_BTF_H */
