// SPDX-License-Identifier: GPL-2.0-only
#include "near.h"

#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "cli.h"
#include "gpu.h"
#include "size.h"
#include "util.h"

#define NODES		1024
/* Of a file at once: gigabytes need no more page tables than that. */
#define WINDOW		(256 * MIB)
/* What holds a page (reclaim, I/O) lets it go soon. */
#define TRIES		5
#define TRY_USEC	(50 * USEC_PER_MSEC)
/* A script's interpreter may be a script; the kernel follows as many. */
#define DEPTH		4
/* Nobody waits for less without knowing why. */
#define TELL_USEC	(1 * USEC_PER_SEC)

struct near {
	unsigned long from[NODES / 8 / sizeof(long)], to[NODES / 8 / sizeof(long)];
	uint64_t bytes;		/* that were cached */
	int error;
};

static void near_program(struct near *n, const char *path, int depth);

/* ---- pages -------------------------------------------------------------- */

/* Pages of others too: they are mapped here just to be moved. */
static void move(struct near *n)
{
	long left = 1;

	for (int try = 0; left > 0 && try < TRIES; try++) {
		if (try)
			usleep(TRY_USEC);
		left = syscall(SYS_migrate_pages, 0, NODES + 1, n->from, n->to);
	}
	if (left < 0)
		n->error = -errno;
}

static void near_window(struct near *n, int fd, off_t at, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), nr = (size + page - 1) / page, run;
	_cleanup_free_ unsigned char *cached = malloc(nr);
	char *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, at);
	bool any = false;

	if (p == MAP_FAILED)
		return;
	if (cached && mincore(p, size, cached) == 0)
		for (size_t i = 0; i < nr; i += run) {
			for (run = 1; i + run < nr && !((cached[i] ^ cached[i + run]) & 1); run++)
				;
			if (!(cached[i] & 1) || madvise(p + i * page, run * page, MADV_POPULATE_READ) < 0)
				continue;
			n->bytes += run * page;
			any = true;
		}
	if (any)
		move(n);
	munmap(p, size);
}

static void near_file(struct near *n, const char *path)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	/* Opening a device may do something. */
	if (n->error || stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	for (off_t at = 0; fd >= 0 && at < st.st_size && !n->error; at += WINDOW)
		near_window(n, fd, at, (size_t)min_u64(WINDOW, (uint64_t)(st.st_size - at)));
}

static void near_folder(struct near *n, const char *path)
{
	DIR *dir = opendir(path);
	char file[PATH_MAX];

	for (struct dirent *d; dir && (d = readdir(dir));)
		if (snprintf(file, sizeof(file), "%s/%s", path, d->d_name) < (int)sizeof(file))
			near_file(n, file);
	if (dir)
		closedir(dir);
}

/* ---- programs ----------------------------------------------------------- */

/* What the dynamic linker would load, by itself ("--list", what ldd uses): the program is not run. */
static void near_libraries(struct near *n, const char *linker, const char *program)
{
	char line[PATH_MAX + 128];
	_cleanup_fclose_ FILE *f = NULL;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return;
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], 1);
		dup2(open("/dev/null", O_WRONLY), 2);
		execl(linker, linker, "--list", program, NULL);
		_exit(127);
	}
	close(fds[1]);
	f = fdopen(fds[0], "r");
	while (f && fgets(line, sizeof(line), f)) {
		char *path = strchr(line, '/'), *end = path ? strstr(path, " (") : NULL;

		if (end) {
			*end = 0;
			near_file(n, path);
		}
	}
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
}

static void near_elf(struct near *n, int fd, const char *path)
{
	Elf64_Phdr phdr[64];
	char linker[PATH_MAX];
	Elf64_Ehdr e;

	if (pread(fd, &e, sizeof(e), 0) != sizeof(e) || e.e_ident[EI_CLASS] != ELFCLASS64 || e.e_phentsize != sizeof(*phdr) ||
	    e.e_phnum > ARRAY_SIZE(phdr))
		return;
	if (pread(fd, phdr, e.e_phnum * sizeof(*phdr), (off_t)e.e_phoff) != (ssize_t)(e.e_phnum * sizeof(*phdr)))
		return;
	for (int i = 0; i < e.e_phnum; i++) {
		const char *name;

		if (phdr[i].p_type != PT_INTERP || phdr[i].p_filesz > sizeof(linker) ||
		    pread(fd, linker, phdr[i].p_filesz, (off_t)phdr[i].p_offset) != (ssize_t)phdr[i].p_filesz || !phdr[i].p_filesz ||
		    linker[phdr[i].p_filesz - 1])
			continue;
		/* glibc's and musl's take the option; others may take it for something else. */
		name = strrchr(linker, '/');
		if (name && startswith(name, "/ld"))
			near_libraries(n, linker, path);
	}
}

static bool find_program(const char *name, char path[PATH_MAX])
{
	const char *search = getenv("PATH") ?: "/usr/local/bin:/usr/bin:/bin", *end;
	struct stat st;

	for (; !strchr(name, '/') && *search; search = *end ? end + 1 : end) {
		end = strchrnul(search, ':');
		if (snprintf(path, PATH_MAX, "%.*s/%s", (int)(end - search), search, name) < PATH_MAX &&
		    stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0)
			return true;
	}
	return strchr(name, '/') && snprintf(path, PATH_MAX, "%s", name) < PATH_MAX;
}

/* "#!/usr/bin/env python3", and what it is by another's name. */
static void near_script(struct near *n, const char *line, int depth)
{
	char interpreter[PATH_MAX] = "", argument[PATH_MAX] = "", path[PATH_MAX];
	const char *base;

	if (sscanf(line, "#! %255s %255s", interpreter, argument) < 1)
		return;
	near_program(n, interpreter, depth + 1);
	base = strrchr(interpreter, '/');
	if (base && streq(base, "/env") && find_program(argument, path))
		near_program(n, path, depth + 1);
}

static void near_program(struct near *n, const char *path, int depth)
{
	_cleanup_close_ int fd = -1;
	char head[513] = "";
	struct stat st;

	if (depth > DEPTH || stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	near_file(n, path);
	if (access(path, X_OK) < 0)
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || pread(fd, head, sizeof(head) - 1, 0) < 4)
		return;
	if (memcmp(head, ELFMAG, SELFMAG) == 0)
		near_elf(n, fd, path);
	else if (startswith(head, "#!"))
		near_script(n, head, depth);
}

/* ---- words -------------------------------------------------------------- */

/* Also what stands before the engine: `numactl --membind=0 python3 -m ...`, and --model=FILE. */
static void near_word(struct near *n, const char *word, bool first)
{
	const char *equals = *word == '-' ? strchr(word, '=') : NULL;
	char path[PATH_MAX];
	struct stat st;

	if (equals)
		word = equals + 1;
	if (!first && stat(word, &st) == 0 && S_ISDIR(st.st_mode))
		near_folder(n, word);
	else if (!first && stat(word, &st) == 0)
		near_program(n, word, 0);
	else if (*word && *word != '-' && find_program(word, path))
		near_program(n, path, 0);
}

static bool read_nodes(struct near *n, const char *mems)
{
	_cleanup_fclose_ FILE *f = fopen("/sys/devices/system/node/has_memory", "re");
	char text[256] = "";
	unsigned long others = 0;

	if (!f || !fgets(text, sizeof(text), f))
		return false;
	text[strcspn(text, "\n")] = 0;
	if (!*mems || !agentcg_parse_mask(mems, n->to, NODES) || !agentcg_parse_mask(text, n->from, NODES))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(n->from); i++) {
		n->from[i] &= ~n->to[i];
		others |= n->from[i];
	}
	return others;
}

void agentcg_near(char *const command[], const char *mems)
{
	uint64_t begin = now_usec(CLOCK_MONOTONIC), took;
	struct near n = {};

	if (!read_nodes(&n, mems))
		return;
	for (size_t i = 0; command[i]; i++)
		near_word(&n, command[i], i == 0);
	took = now_usec(CLOCK_MONOTONIC) - begin;
	if (n.error)
		agentcg_say("files of it that are cached stay at the node where they are: %s", strerror(-n.error));
	else if (took > TELL_USEC)
		agentcg_say("%s of its files were cached, and are at node %s now; that took %.1f s",
			    agentcg_format_size((char[AGENTCG_TEXT_MAX]){}, n.bytes), mems, (double)took / USEC_PER_SEC);
}
