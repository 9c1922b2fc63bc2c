// SPDX-License-Identifier: GPL-2.0-only
#include "follow.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "follow.skel.h"
#include "pins.h"

/* Records taken from the ring at once; then others have their turn. */
#define RECORDS_AT_ONCE	64

struct follow {
	struct follow_bpf *skel;
	struct ring_buffer *ring;
	agentcg_follow_start_t on_start;
	void *userdata;
};

static int on_record(void *userdata, void *data, size_t size)
{
	struct follow *f = userdata;

	if (size >= sizeof(struct agentcg_start))
		f->on_start(data, f->userdata);
	return 0;
}

/* Pipes are read by a function that has been renamed in 6.16. */
static int choose_targets(struct follow_bpf *skel)
{
	struct btf *btf = btf__load_vmlinux_btf();
	int r = 0;

	if (!btf)
		return -errno;
	if (btf__find_by_name_kind(btf, "anon_pipe_read", BTF_KIND_FUNC) < 0)
		r = bpf_program__set_attach_target(skel->progs.on_pipe_read, 0, "pipe_read");
	btf__free(btf);
	return r;
}

static int load(struct follow *f, const char *exe)
{
	struct stat st;
	int r;

	f->skel = follow_bpf__open();
	if (!f->skel)
		return -errno;
	if (stat(exe, &st) == 0) {
		f->skel->rodata->settings.exe_ino = st.st_ino;
		f->skel->rodata->settings.exe_dev = (uint64_t)major(st.st_dev) << 20 | minor(st.st_dev);
	}
	r = choose_targets(f->skel);
	if (!r)
		r = follow_bpf__load(f->skel);
	if (!r)
		r = follow_bpf__attach(f->skel);
	if (r)
		return r;
	f->ring = ring_buffer__new(bpf_map__fd(f->skel->maps.starts), on_record, f, NULL);
	return f->ring ? 0 : -errno;
}

int agentcg_follow_open(struct follow **ret, const char *exe, agentcg_follow_start_t on_start,
			void *userdata, char *why)
{
	struct follow *f = calloc(1, sizeof(*f));
	const char *complaint;
	int r;

	if (!f)
		return -ENOMEM;
	*f = (struct follow){ .on_start = on_start, .userdata = userdata };
	agentcg_pins_listen();
	r = load(f, exe);
	if (r < 0) {
		complaint = agentcg_pins_complaint();
		snprintf(why, AGENTCG_WHY_MAX, "the kernel refuses to follow processes: %s%s%s",
			 strerror(-r), *complaint ? ": " : "", complaint);
		agentcg_follow_close(f);
		return r;
	}
	*ret = f;
	return 0;
}

void agentcg_follow_close(struct follow *f)
{
	if (!f)
		return;
	ring_buffer__free(f->ring);
	follow_bpf__destroy(f->skel);
	free(f);
}

int agentcg_follow_fd(struct follow *f)
{
	return ring_buffer__epoll_fd(f->ring);
}

int agentcg_follow_read(struct follow *f)
{
	return ring_buffer__consume_n(f->ring, RECORDS_AT_ONCE);
}

/* ---- the syscall programs ----------------------------------------------- */

static int run(struct bpf_program *prog, struct agentcg_follow_arg *arg)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = arg, .ctx_size_in = sizeof(*arg));
	int r = bpf_prog_test_run_opts(bpf_program__fd(prog), &opts);

	return r ?: (int)arg->result;
}

int agentcg_follow_attach(struct follow *f, uint32_t slot, enum agentcg_follow_kind kind, uint64_t home, int pidfd)
{
	struct agentcg_follow_arg arg = { .slot = slot, .kind = kind, .leaf = home };
	struct agentcg_attached attached = { .slot = slot };
	int r = run(f->skel->progs.attach, &arg);

	if (!r)
		r = bpf_map_update_elem(bpf_map__fd(f->skel->maps.attached), &pidfd, &attached, BPF_ANY);
	if (r)
		agentcg_follow_detach(f, slot, pidfd);
	return r;
}

void agentcg_follow_detach(struct follow *f, uint32_t slot, int pidfd)
{
	struct agentcg_follow_arg arg = { .slot = slot };

	bpf_map_delete_elem(bpf_map__fd(f->skel->maps.attached), &pidfd);
	run(f->skel->progs.attach, &arg);
}

int agentcg_follow_leaf(struct follow *f, uint32_t slot, uint64_t leaf, int dirfd, int oom_score_adj)
{
	_cleanup_close_ int fd = openat(dirfd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	struct agentcg_follow_arg arg = { .slot = slot, .leaf = leaf, .fd = (uint32_t)fd, .oom_score_adj = oom_score_adj };

	return fd < 0 ? -errno : run(f->skel->progs.leaf, &arg);
}

int agentcg_follow_give(struct follow *f, uint32_t slot, uint64_t leaf, uint64_t key)
{
	struct agentcg_follow_arg arg = { .slot = slot, .leaf = leaf, .key = key };

	return run(f->skel->progs.give, &arg);
}

int agentcg_follow_take(struct follow *f, uint32_t slot, uint64_t *ret)
{
	struct agentcg_follow_arg arg = { .slot = slot };
	int r = run(f->skel->progs.take, &arg);

	*ret = arg.leaf;
	return r;
}

void agentcg_follow_forget(struct follow *f, uint32_t slot, uint64_t leaf)
{
	struct agentcg_follow_arg arg = { .slot = slot, .leaf = leaf };

	run(f->skel->progs.forget, &arg);
}

/* ---- maps --------------------------------------------------------------- */

uint32_t agentcg_follow_unplaced(struct follow *f, uint32_t slot)
{
	struct agentcg_attachment a;

	return bpf_map_lookup_elem(bpf_map__fd(f->skel->maps.attachments), &slot, &a) ? 0 : a.unplaced;
}

int agentcg_follow_add_ticket(struct follow *f, const struct agentcg_ticket_name *name, const struct agentcg_ticket *ticket)
{
	return bpf_map_update_elem(bpf_map__fd(f->skel->maps.tickets), name, ticket, BPF_NOEXIST);
}

void agentcg_follow_remove_ticket(struct follow *f, const struct agentcg_ticket_name *name)
{
	bpf_map_delete_elem(bpf_map__fd(f->skel->maps.tickets), name);
}
