// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "policy.h"

/* ---- the policy ---------------------------------------------------------- */

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_WARN && getenv("BPF_DEBUG") ? vfprintf(stderr, format, args) : 0;
}

int policy_attach(struct policy *p, const struct group *g, __u32 flags)
{
	int err;

	libbpf_set_print(quiet);
	memset(p, 0, sizeof(*p));
	p->skel = fixed_bpf__open();
	if (!p->skel)
		return -errno;
	p->skel->struct_ops.fixed_ops->cgroup_id = g->id;
	p->skel->struct_ops.fixed_ops->flags = flags;
	err = fixed_bpf__load(p->skel);
	if (err)
		goto fail;
	p->knobs = &p->skel->bss->fixed;
	p->link = bpf_map__attach_struct_ops(p->skel->maps.fixed_ops);
	if (!p->link) {
		err = -errno;
		goto fail;
	}
	return 0;
fail:
	fixed_bpf__destroy(p->skel);
	p->skel = NULL;
	return err;
}

void policy_detach(struct policy *p)
{
	bpf_link__destroy(p->link);
	fixed_bpf__destroy(p->skel);
	memset(p, 0, sizeof(*p));
}

long policy_call(struct policy *p, struct bpf_program *prog, __u64 id, __u64 gate)
{
	struct agentcg_arg arg = { .cgroup_id = id, .gate = gate };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &arg, .ctx_size_in = sizeof(arg));
	int err = bpf_prog_test_run_opts(bpf_program__fd(prog), &opts);

	return err ? err : arg.result;
}

/* ---- eaters -------------------------------------------------------------- */

static struct eater_shared *mine;
/* Opened before any gate is shut: opening charges, too. */
static int tmpfs_fd;

static void on_usr1(int sig)
{
	__atomic_add_fetch(&mine->handled, 1, __ATOMIC_RELAXED);
}

static void touch(long i, char *memory, long n, long step)
{
	double t;

	mine->stalled_at[i] = now_ms();
	if (mine->loop_write) {
		/* All that is wanted in one system call. */
		n = mine->want - n;
		if (write(tmpfs_fd, memory, n * PAGE) < 0)
			exit(1);
		step = n;
	} else {
		memory[n * PAGE] = 1;
	}
	t = now_ms();
	if (t - mine->stalled_at[i] > mine->worst_ms[i])
		mine->worst_ms[i] = t - mine->stalled_at[i];
	mine->done_at[i] = t;
	mine->touched[i] += step;
}

static void *eat(void *arg)
{
	long i = (long)(intptr_t)arg, step = mine->huge ? HUGE_PAGES : 1;
	long align = HUGE_PAGES * PAGE, size = 1024 * MIB;
	char *memory = mmap(NULL, size + align, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	memory = (char *)(((uintptr_t)memory + align - 1) & ~(align - 1));
	madvise(memory, size, mine->huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	for (;;) {
		if (mine->touched[i] < mine->want)
			touch(i, memory, mine->touched[i], step);
		else
			usleep(200);
	}
	return NULL;
}

static void eater_main(void)
{
	struct sigaction action = { .sa_handler = on_usr1, .sa_flags = SA_RESTART };
	pthread_t thread;
	long i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Or the policy would stay attached for as long as this process lives. */
	close_range(3, ~0U, 0);
	tmpfs_fd = open("/dev/shm", O_TMPFILE | O_RDWR, 0600);
	sigaction(SIGUSR1, &action, NULL);
	for (i = 1; i < mine->threads; i++)
		pthread_create(&thread, NULL, eat, (void *)(intptr_t)i);
	eat(0);
}

int eater_start(struct eater *e, const struct group *g, int threads, bool huge)
{
	struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD };
	int fd = open(g->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	long i;

	if (fd < 0)
		return -errno;
	e->shared = mmap(NULL, sizeof(*e->shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	e->shared->threads = threads;
	e->shared->huge = huge;
	e->shared->want = huge ? HUGE_PAGES : 1;
	args.cgroup = fd;
	e->pid = syscall(SYS_clone3, &args, sizeof(args));
	if (!e->pid) {
		mine = e->shared;
		eater_main();
		_exit(0);
	}
	close(fd);
	if (e->pid < 0)
		return -errno;
	for (i = 0; i < 1000 && !eater_done(e, 10); i++)
		;
	return 0;
}

void eater_want(struct eater *e, long pages)
{
	int i;

	for (i = 0; i < e->shared->threads; i++)
		e->shared->worst_ms[i] = 0;
	e->shared->want = pages;
}

bool eater_done(struct eater *e, long ms)
{
	double end = now_ms() + ms;
	int i;

	do {
		for (i = 0; i < e->shared->threads; i++)
			if (e->shared->touched[i] < e->shared->want)
				break;
		if (i == e->shared->threads)
			return true;
		usleep(500);
	} while (now_ms() < end);
	return false;
}

long eater_touched(struct eater *e)
{
	long sum = 0;
	int i;

	for (i = 0; i < e->shared->threads; i++)
		sum += e->shared->touched[i];
	return sum;
}

void eater_stop(struct eater *e)
{
	if (e->pid > 0) {
		kill(e->pid, SIGKILL);
		waitpid(e->pid, NULL, 0);
	}
	if (e->shared)
		munmap(e->shared, sizeof(*e->shared));
	memset(e, 0, sizeof(*e));
}
