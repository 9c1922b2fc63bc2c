// SPDX-License-Identifier: GPL-2.0-only
#include "btf.h"

#include <fcntl.h>

/* vmlinux has about 6 MB; there is no size to ask sysfs for. */
#define READ_STEP	(1024 * 1024)
#define BTF_SIZE_MAX	(256 * 1024 * 1024)

static int read_all(const char *path, void **ret, size_t *ret_size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *data = NULL;
	size_t size = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	do {
		char *p = size % READ_STEP ? data : realloc(data, size + READ_STEP);

		if (!p)
			return -ENOMEM;
		data = p;
		n = read(fd, data + size, READ_STEP - size % READ_STEP);
		if (n < 0)
			return -errno;
		size += n;
		if (size > BTF_SIZE_MAX)
			return -EFBIG;
	} while (n);
	*ret = TAKE_PTR(data);
	*ret_size = size;
	return 0;
}

/* What follows a type in the type section; -1 for a kind of a newer kernel. */
static int tail_size(const struct btf_type *t)
{
	unsigned int vlen = BTF_INFO_VLEN(t->info);

	switch (BTF_INFO_KIND(t->info)) {
	case BTF_KIND_INT:
		return sizeof(uint32_t);
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return vlen * sizeof(struct btf_member);
	case BTF_KIND_ENUM:
		return vlen * sizeof(struct btf_enum);
	case BTF_KIND_ENUM64:
		return vlen * sizeof(struct btf_enum64);
	case BTF_KIND_FUNC_PROTO:
		return vlen * sizeof(struct btf_param);
	case BTF_KIND_VAR:
		return sizeof(struct btf_var);
	case BTF_KIND_DATASEC:
		return vlen * sizeof(struct btf_var_secinfo);
	case BTF_KIND_DECL_TAG:
		return sizeof(struct btf_decl_tag);
	case BTF_KIND_PTR:
	case BTF_KIND_FWD:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_FUNC:
	case BTF_KIND_FLOAT:
	case BTF_KIND_TYPE_TAG:
		return 0;
	default:
		return -1;
	}
}

static int index_types(struct agentcg_btf *btf, const char *p, const char *end)
{
	uint32_t room = 0;

	btf->nr_types = 1;
	while (p < end) {
		const struct btf_type *t = (const void *)p;
		int tail;

		if ((size_t)(end - p) < sizeof(*t))
			return -EBADMSG;
		tail = tail_size(t);
		if (tail < 0 || (size_t)(end - p) < sizeof(*t) + tail)
			return -EBADMSG;
		if (btf->nr_types >= room) {
			void *types;

			room = room ? 2 * room : 1024;
			types = reallocarray(btf->types, room, sizeof(*btf->types));
			if (!types)
				return -ENOMEM;
			btf->types = types;
			btf->types[0] = NULL;
		}
		btf->types[btf->nr_types++] = t;
		p += sizeof(*t) + tail;
	}
	return 0;
}

static int parse(struct agentcg_btf *btf)
{
	const struct btf_header *h = btf->data;
	const char *body;
	size_t left;

	if (btf->size < sizeof(*h) || h->magic != BTF_MAGIC || h->hdr_len > btf->size)
		return -EBADMSG;
	body = (const char *)btf->data + h->hdr_len;
	left = btf->size - h->hdr_len;
	if (h->str_off > left || h->str_len > left - h->str_off || !h->str_len ||
	    h->type_off > left || h->type_len > left - h->type_off || h->type_off % 4)
		return -EBADMSG;
	btf->strings = body + h->str_off;
	btf->strings_len = h->str_len;
	if (btf->strings[btf->strings_len - 1])
		return -EBADMSG;
	return index_types(btf, body + h->type_off, body + h->type_off + h->type_len);
}

int agentcg_btf_load(const char *path, struct agentcg_btf *ret)
{
	_cleanup_(agentcg_btf_done) struct agentcg_btf btf = {};
	int r;

	r = read_all(path, &btf.data, &btf.size);
	if (r < 0)
		return r;
	r = parse(&btf);
	if (r < 0)
		return r;
	*ret = btf;
	btf = (struct agentcg_btf){};
	return 0;
}

void agentcg_btf_done(struct agentcg_btf *btf)
{
	free(btf->data);
	free(btf->types);
	*btf = (struct agentcg_btf){};
}

bool agentcg_btf_has_name(const struct agentcg_btf *btf, const char *name)
{
	const char *p = btf->strings, *end = p + btf->strings_len;

	for (; p < end; p += strlen(p) + 1)
		if (streq(p, name))
			return true;
	return false;
}

static const char *name_of(const struct agentcg_btf *btf, const struct btf_type *t)
{
	return t->name_off < btf->strings_len ? btf->strings + t->name_off : "";
}

/* NULL for void, and for types that lie outside. */
static const struct btf_type *type_of(const struct agentcg_btf *btf, uint32_t id)
{
	return id < btf->nr_types ? btf->types[id] : NULL;
}

static bool is_prog_aux(const struct agentcg_btf *btf, const struct btf_type *t)
{
	if (!t || BTF_INFO_KIND(t->info) != BTF_KIND_PTR)
		return false;
	t = type_of(btf, t->type);
	if (t && BTF_INFO_KIND(t->info) == BTF_KIND_CONST)
		t = type_of(btf, t->type);
	return t && BTF_INFO_KIND(t->info) == BTF_KIND_STRUCT && streq(name_of(btf, t), "bpf_prog_aux");
}

static bool shows_hidden(const struct agentcg_btf *btf, const struct btf_type *func)
{
	const struct btf_type *proto = type_of(btf, func->type);
	unsigned int n;

	if (!proto || BTF_INFO_KIND(proto->info) != BTF_KIND_FUNC_PROTO)
		return false;
	n = BTF_INFO_VLEN(proto->info);
	return n && is_prog_aux(btf, type_of(btf, ((const struct btf_param *)(proto + 1))[n - 1].type));
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && streq(s + n - m, end);
}

unsigned int agentcg_btf_functions(const struct agentcg_btf *btf, const char *prefix,
				   unsigned int *ret_broken)
{
	unsigned int n = 0, broken = 0;
	uint32_t id;

	for (id = 1; id < btf->nr_types; id++) {
		const struct btf_type *t = btf->types[id];
		const char *name = name_of(btf, t);

		if (BTF_INFO_KIND(t->info) != BTF_KIND_FUNC || !startswith(name, prefix) ||
		    ends_with(name, "_impl"))
			continue;
		n++;
		broken += shows_hidden(btf, t);
	}
	*ret_broken = broken;
	return n;
}
