// SPDX-License-Identifier: GPL-2.0-only
/*
 * verifier OBJECT...: loads each BPF object, attaches nothing, and prints for
 * every program what the kernel's verifier says about it: a line
 *
 *	object program insns states peak jited ms
 *
 * instructions that it followed (it gives up at a million), states that it
 * kept in all and at once, bytes of machine code, and how long it took.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The statistics only; a rejected program is told of by libbpf, with a longer log. */
#define LOG_STATS	4
#define LOG_SIZE	4096
#define MAX_PROGRAMS	256

static const char *base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The number after @key in the statistics; -1: they say nothing about it. */
static long number(const char *log, const char *key)
{
	const char *at = strstr(log, key);
	long value = -1;

	if (at)
		sscanf(at + strlen(key), "%ld", &value);
	return value;
}

static int print_program(const char *object, const struct bpf_program *prog, const char *log)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	long usec;

	if (bpf_prog_get_info_by_fd(bpf_program__fd(prog), &info, &len))
		return -errno;
	usec = number(log, "verification time ");
	printf("%s %s %u %ld %ld %u %.1f\n", object, bpf_program__name(prog), info.verified_insns,
	       number(log, "total_states "), number(log, "peak_states "), info.jited_prog_len,
	       usec < 0 ? -1 : usec / 1e3);
	return 0;
}

/* Not what it skips because the kernel does not have it. */
static int warn(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, format, args) : 0;
}

static int measure(const char *path)
{
	static char logs[MAX_PROGRAMS][LOG_SIZE];
	struct bpf_object *object;
	struct bpf_program *prog;
	int err, n = 0;

	object = bpf_object__open_file(path, NULL);
	if (!object)
		return -errno;
	bpf_object__for_each_program(prog, object) {
		if (n == MAX_PROGRAMS)
			break;
		bpf_program__set_log_level(prog, LOG_STATS);
		bpf_program__set_log_buf(prog, logs[n++], LOG_SIZE);
	}
	err = bpf_object__load(object);
	n = 0;
	bpf_object__for_each_program(prog, object) {
		if (err || n == MAX_PROGRAMS)
			break;
		err = print_program(base(path), prog, logs[n++]);
	}
	bpf_object__close(object);
	return err;
}

int main(int argc, char **argv)
{
	int i, err;

	libbpf_set_print(warn);
	for (i = 1; i < argc; i++) {
		err = measure(argv[i]);
		if (err) {
			fprintf(stderr, "verifier: %s does not load: %s\n", argv[i], strerror(-err));
			return 1;
		}
	}
	return 0;
}
