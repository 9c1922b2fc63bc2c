// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an attached process starts, and into which leaf it goes.
 *
 * A shell that an agent types its commands into is one process for the whole
 * session.  What it forks between two reads of its input is one tool call:
 * the first fork takes a leaf, the later ones follow, and the read ends it.
 * A framework starts a program for each tool call, helper and MCP server; each
 * program that is started in the framework's own group gets a leaf.  What these
 * start in turn is born where they are, so only the first generation costs.
 *
 * Nobody is stopped: the leaves are made beforehand, and the new task moves
 * itself there before it runs (module/place.c).
 *
 * The daemon hears of it by a ring buffer.  When it dies these programs go with
 * it, and what is attached goes on in its own group until the next one attaches.
 *
 * Who writes what: module/uapi/agentcg_follow.h.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "../module/uapi/agentcg_follow.h"
#include "kfuncs.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define EINVAL	22
#define ENOENT	2
#define EEXIST	17
#define ENOSPC	28

const volatile struct agentcg_follow_config settings;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, AGENTCG_MAX_ATTACHMENTS);
	__type(key, __u32);
	__type(value, struct agentcg_attachment);
} attachments SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct agentcg_attached);
} attached SEC(".maps");

/* Slots of frameworks, by the group that they live in. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, AGENTCG_MAX_ATTACHMENTS);
	__type(key, __u64);
	__type(value, __u32);
} homes SEC(".maps");

/* Slots of the leaves that were given; a shell may be started in one. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, AGENTCG_MAX_CALLS);
	__type(key, __u64);
	__type(value, __u32);
} leaves SEC(".maps");

/*
 * Who is a leaf's first program.  Frameworks set up a process and then exec what
 * it is for, so the first few programs of the first process are told of.
 */
#define PROGRAMS_TOLD	4

struct first {
	__u64 key;
	__u32 pid;		/* 0: nobody has been exec'd there yet */
	__u32 told;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, AGENTCG_MAX_CALLS);
	__type(key, __u64);
	__type(value, struct first);
} firsts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, AGENTCG_MAX_TICKETS);
	__type(key, struct agentcg_ticket_name);
	__type(value, struct agentcg_ticket);
} tickets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 512 * 1024);
} starts SEC(".maps");

/* ---- telling ------------------------------------------------------------ */

/* @p: whose arguments to tell, NULL for none. */
static void tell(__u32 type, __u32 slot, __u64 leaf, __u64 key, struct task_struct *p)
{
	struct agentcg_start *e = bpf_ringbuf_reserve(&starts, sizeof(*e), 0);
	__u64 from, size;

	if (!e)
		return;
	e->time = bpf_ktime_get_ns();
	e->leaf = leaf;
	e->key = key;
	e->type = type;
	e->slot = slot;
	e->pid = bpf_get_current_pid_tgid() >> 32;
	e->args_size = 0;
	if (p && p->mm) {
		from = p->mm->arg_start;
		size = p->mm->arg_end - from;
		if (size > AGENTCG_ARGS_MAX)
			size = AGENTCG_ARGS_MAX;
		if (!bpf_probe_read_user(e->args, size, (void *)from))
			e->args_size = size;
	}
	bpf_ringbuf_submit(e, 0);
}

/* ---- leaves ------------------------------------------------------------- */

static __u64 take_spare(struct agentcg_attachment *a)
{
	__u64 leaf;
	int i;

	for (i = 0; i < AGENTCG_SPARES; i++) {
		leaf = __sync_lock_test_and_set(&a->spares[i], 0);
		if (leaf)
			return leaf;
	}
	return 0;
}

static int place(struct task_struct *p, __u64 leaf, __u64 key)
{
	return agentcg_place(p->pid, p->start_boottime, leaf, key);
}

static void expect_first(__u64 leaf, __u64 key, __u32 pid)
{
	struct first first = { .key = key, .pid = pid };

	bpf_map_update_elem(&firsts, &leaf, &first, BPF_ANY);
}

static struct agentcg_attachment *attachment_of(struct task_struct *leader, __u32 *slot)
{
	struct agentcg_attached *at = bpf_task_storage_get(&attached, leader, NULL, 0);

	if (!at)
		return NULL;
	*slot = at->slot;
	return bpf_map_lookup_elem(&attachments, slot);
}

/* ---- shells ------------------------------------------------------------- */

/* The leaf of the command that the shell works on, taken with its first fork. */
static __u64 open_leaf(struct agentcg_attachment *a, __u32 slot)
{
	__u64 leaf = a->open, key;

	if (leaf)
		return leaf;
	key = agentcg_follow_key(slot, ++a->serial);
	leaf = take_spare(a);
	a->open = leaf ?: AGENTCG_LEAF_WANTED;
	if (leaf)
		expect_first(leaf, key, 0);
	tell(leaf ? AGENTCG_START_TAKEN : AGENTCG_START_WANTED, slot, leaf, key, NULL);
	return a->open;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	struct agentcg_attachment *a;
	__u64 leaf, key;
	__u32 slot;

	if (child->pid != child->tgid)
		return 0;
	a = attachment_of(parent->group_leader, &slot);
	if (!a || a->kind != AGENTCG_FOLLOW_SHELL)
		return 0;
	leaf = open_leaf(a, slot);
	if (leaf == AGENTCG_LEAF_WANTED) {
		key = agentcg_follow_key(slot, a->serial);
		if (place(child, 0, key))
			__sync_fetch_and_add(&a->unplaced, 1);
		/* Answered before the child was there to hear it? */
		leaf = a->open;
		if (leaf != AGENTCG_LEAF_WANTED)
			agentcg_wake(key, leaf);
	} else if (leaf == a->home || place(child, leaf, 0)) {
		__sync_fetch_and_add(&a->unplaced, 1);
	}
	return 0;
}

/* The shell itself wants input: the command is over. */
static void on_input(struct file *file, bool only_stdin)
{
	struct task_struct *p = bpf_get_current_task_btf();
	struct agentcg_attachment *a;
	struct file **fds, *first;
	__u64 leaf;
	__u32 slot;

	if (p->pid != p->tgid)
		return;
	a = attachment_of(p, &slot);
	if (!a || a->kind != AGENTCG_FOLLOW_SHELL || !a->open)
		return;
	if (only_stdin) {
		fds = BPF_CORE_READ(p, files, fdt, fd);
		if (bpf_probe_read_kernel(&first, sizeof(first), fds) || first != file)
			return;
	}
	leaf = a->open;
	a->open = 0;
	tell(AGENTCG_START_DONE, slot, leaf, agentcg_follow_key(slot, a->serial), NULL);
}

SEC("fentry/n_tty_read")
int BPF_PROG(on_tty_read, struct tty_struct *tty, struct file *file)
{
	on_input(file, false);
	return 0;
}

/* A line editor waits before it reads. */
SEC("fentry/n_tty_poll")
int BPF_PROG(on_tty_poll, struct tty_struct *tty, struct file *file)
{
	on_input(file, false);
	return 0;
}

SEC("fentry/anon_pipe_read")
int BPF_PROG(on_pipe_read, struct kiocb *iocb)
{
	on_input(iocb->ki_filp, true);
	return 0;
}

/* Node gives its children sockets for pipes. */
SEC("fentry/sock_read_iter")
int BPF_PROG(on_socket_read, struct kiocb *iocb)
{
	on_input(iocb->ki_filp, true);
	return 0;
}

/* ---- programs ----------------------------------------------------------- */

static bool is_agentcg(struct linux_binprm *bprm)
{
	struct inode *inode = bprm->file->f_inode;

	return inode->i_ino == settings.exe_ino && inode->i_sb->s_dev == settings.exe_dev;
}

static void start_program(struct task_struct *p, __u32 slot)
{
	struct agentcg_attachment *a = bpf_map_lookup_elem(&attachments, &slot);
	__u64 leaf, key;
	__u32 own;
	int r;

	/* The framework itself, or a shell of its group, changes its program. */
	if (!a || attachment_of(p->group_leader, &own))
		return;
	key = agentcg_follow_key(slot, __sync_fetch_and_add(&a->serial, 1) + 1);
	leaf = take_spare(a);
	if (leaf)
		expect_first(leaf, key, p->tgid);
	tell(leaf ? AGENTCG_START_TAKEN : AGENTCG_START_WANTED, slot, leaf, key, p);
	r = place(p, leaf, leaf ? 0 : key);
	if (r)
		__sync_fetch_and_add(&a->unplaced, 1);
}

/*
 * Whether it may be a shell that will be told its commands, which only frameworks
 * start; the daemon looks closer.
 */
static bool maybe_shell(struct task_struct *p, struct linux_binprm *bprm, __u32 slot)
{
	struct agentcg_attachment *a = bpf_map_lookup_elem(&attachments, &slot);
	char comm[TASK_COMM_LEN];
	int i, n;

	if (!a || a->kind != AGENTCG_FOLLOW_FRAMEWORK || bprm->argc > 3 ||
	    bpf_probe_read_kernel_str(comm, sizeof(comm), p->comm) < 3)
		return false;
	for (n = 0, i = 0; i < TASK_COMM_LEN && comm[i]; i++)
		n = i;
	/* bash, sh, zsh, dash, ksh, fish, ash */
	return n >= 1 && n < TASK_COMM_LEN && comm[n] == 'h' && comm[(n - 1) & 15] == 's';
}

static bool read_ticket(struct task_struct *p, struct agentcg_ticket_name *ret)
{
	__u64 end = p->mm ? p->mm->arg_end : 0;

	return end && !bpf_probe_read_user(ret, AGENTCG_TICKET_LEN,
					   (void *)(end - 1 - AGENTCG_TICKET_LEN));
}

/*
 * Not an attached process, which would be lost to its session, nobody who is
 * not where current is, and nobody with more rights than the ticket's user.
 */
static bool may_move(struct task_struct *p, __u32 uid)
{
	__u32 slot;

	return !attachment_of(p->group_leader, &slot) &&
	       p->cgroups->dfl_cgrp->kn->id == bpf_get_current_cgroup_id() &&
	       p->cred->uid.val == uid && p->cred->euid.val == uid && p->cred->suid.val == uid;
}

/*
 * Moves the parent of @p, which runs "enter TICKET".  The parent waits for it,
 * and so moves before its next command.
 */
static void redeem(struct task_struct *p)
{
	struct agentcg_ticket_name name;
	struct agentcg_ticket *found, ticket;
	struct task_struct *parent;

	if (!read_ticket(p, &name))
		return;
	found = bpf_map_lookup_elem(&tickets, &name);
	if (!found)
		return;
	ticket = *found;
	if (ticket.uid != (__u32)bpf_get_current_uid_gid())
		return;
	/* Whoever deletes it has it. */
	if (bpf_map_delete_elem(&tickets, &name) || ticket.expires < bpf_ktime_get_ns())
		return;
	bpf_rcu_read_lock();
	parent = p->real_parent ? bpf_task_acquire(p->real_parent) : NULL;
	bpf_rcu_read_unlock();
	if (!parent)
		return;
	if (may_move(parent, ticket.uid) && !place(parent, ticket.leaf, 0))
		tell(AGENTCG_START_REDEEMED, 0, ticket.leaf, 0, NULL);
	bpf_task_release(parent);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)
{
	__u64 cgroup = bpf_get_current_cgroup_id();
	struct first *first;
	__u32 *slot;

	if (is_agentcg(bprm)) {
		redeem(p);
		slot = bpf_map_lookup_elem(&leaves, &cgroup);
		if (slot)
			tell(AGENTCG_START_OWN, *slot, cgroup, 0, p);
		return 0;
	}
	slot = bpf_map_lookup_elem(&homes, &cgroup);
	if (slot) {
		start_program(p, *slot);
		return 0;
	}
	slot = bpf_map_lookup_elem(&leaves, &cgroup);
	if (!slot)
		return 0;
	first = bpf_map_lookup_elem(&firsts, &cgroup);
	if (first && first->told < PROGRAMS_TOLD && (!first->pid || first->pid == p->tgid)) {
		first->pid = p->tgid;
		first->told++;
		tell(AGENTCG_START_EXEC, *slot, cgroup, first->key, p);
	}
	if (maybe_shell(p, bprm, *slot))
		tell(AGENTCG_START_SHELL, *slot, cgroup, 0, p);
	return 0;
}

/* ---- for the daemon ----------------------------------------------------- */

SEC("syscall")
int attach(struct agentcg_follow_arg *arg)
{
	__u32 slot = arg->slot;
	struct agentcg_attachment *a = bpf_map_lookup_elem(&attachments, &slot);
	__u64 home = arg->leaf;
	int i;

	arg->result = -EINVAL;
	if (!a || (home && arg->kind != AGENTCG_FOLLOW_SHELL &&
		   arg->kind != AGENTCG_FOLLOW_FRAMEWORK))
		return 0;
	if (home) {
		a->open = 0;
		for (i = 0; i < AGENTCG_SPARES; i++)
			a->spares[i] = 0;
		a->unplaced = 0;
		a->kind = arg->kind;
		a->home = home;
		arg->result = arg->kind == AGENTCG_FOLLOW_FRAMEWORK ?
			      bpf_map_update_elem(&homes, &home, &slot, BPF_ANY) : 0;
		return 0;
	}
	home = a->home;
	if (a->kind == AGENTCG_FOLLOW_FRAMEWORK)
		bpf_map_delete_elem(&homes, &home);
	a->kind = 0;
	a->home = 0;
	arg->result = 0;
	return 0;
}

SEC("syscall")
int leaf(struct agentcg_follow_arg *arg)
{
	__u64 id = arg->leaf;
	__u32 slot = arg->slot;

	arg->result = agentcg_leaf(id, arg->fd, arg->oom_score_adj);
	if (!arg->result)
		arg->result = bpf_map_update_elem(&leaves, &id, &slot, BPF_ANY);
	return 0;
}

/* A leaf that the daemon is about to remove. */
SEC("syscall")
int forget(struct agentcg_follow_arg *arg)
{
	struct agentcg_attachment *a;
	__u32 slot = arg->slot;
	__u64 id = arg->leaf;

	bpf_map_delete_elem(&leaves, &id);
	bpf_map_delete_elem(&firsts, &id);
	arg->result = 0;
	/* What else its shell starts for the command is a new one. */
	a = bpf_map_lookup_elem(&attachments, &slot);
	if (a)
		__sync_val_compare_and_swap(&a->open, id, 0);
	return 0;
}

/* Without a leaf the command stays at home, and nothing of it waits again. */
static __s64 answer(struct agentcg_attachment *a, __u64 key, __u64 leaf)
{
	__u64 open = leaf ?: a->home;

	if (a->kind == AGENTCG_FOLLOW_SHELL && agentcg_follow_key(key >> 48, a->serial) == key)
		__sync_val_compare_and_swap(&a->open, AGENTCG_LEAF_WANTED, open);
	if (leaf)
		expect_first(leaf, key, 0);
	return agentcg_wake(key, leaf);
}

SEC("syscall")
int give(struct agentcg_follow_arg *arg)
{
	__u32 slot = arg->slot;
	struct agentcg_attachment *a = bpf_map_lookup_elem(&attachments, &slot);
	int i;

	arg->result = -EINVAL;
	if (!a || (!arg->leaf && !arg->key))
		return 0;
	if (arg->key) {
		arg->result = answer(a, arg->key, arg->leaf);
		return 0;
	}
	arg->result = -ENOSPC;
	for (i = 0; i < AGENTCG_SPARES; i++)
		if (!__sync_val_compare_and_swap(&a->spares[i], 0, arg->leaf)) {
			arg->result = 0;
			break;
		}
	return 0;
}

/* Takes a spare back; -ENOENT: there is none, or they are in use by now. */
SEC("syscall")
int take(struct agentcg_follow_arg *arg)
{
	__u32 slot = arg->slot;
	struct agentcg_attachment *a = bpf_map_lookup_elem(&attachments, &slot);

	arg->leaf = a ? take_spare(a) : 0;
	arg->result = arg->leaf ? 0 : -ENOENT;
	return 0;
}
