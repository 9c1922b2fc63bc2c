// SPDX-License-Identifier: GPL-2.0-only
/* Libraries of processes and where their functions are: library.c, with this process and files that are broken. */
#include "library.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <gelf.h>
#include <sys/stat.h>

#include "tap.h"

static const char *const names[] = { "getpid", "no_such_function", "gettid", NULL };

static void test_find(char path[PATH_MAX])
{
	struct stat found, libc;
	Dl_info info;

	tap_ok(agentcg_library_find(getpid(), "libc.so", path) == 0, "the C library is found: %s", path);
	tap_ok(dladdr((void *)getpid, &info) && stat(path, &found) == 0, "and can be opened");
	tap_ok(stat("/proc/self/exe", &libc) == 0 && libc.st_ino != found.st_ino, "and is not the program");
	tap_ok(agentcg_library_find(getpid(), "libcuda.so", path) == -ENOENT, "what is not mapped is not found");
	tap_ok(agentcg_library_find(0x7fffffff, "libc.so", path) < 0, "nor in a process that is not there");
	agentcg_library_find(getpid(), "libc.so", path);
}

/* What the file has at the offsets is what is in memory at the functions. */
static void test_symbols(const char *path)
{
	unsigned long offsets[4];
	unsigned int which[4];
	unsigned char there[16];
	int fd = open(path, O_RDONLY | O_CLOEXEC), n = agentcg_library_symbols(path, names, offsets, which, 4);
	bool same = fd >= 0;

	tap_ok(n == 2, "two of three functions are there (%d)", n);
	for (int i = 0; i < n; i++) {
		void *function = dlsym(RTLD_DEFAULT, names[which[i]]);

		same = same && function && pread(fd, there, sizeof(there), (off_t)offsets[i]) == sizeof(there) &&
		       memcmp(there, function, sizeof(there)) == 0;
	}
	tap_ok(same, "and are where they are said to be");
	tap_ok(agentcg_library_symbols(path, names, offsets, which, 1) == 1, "no more than there is room for");
	tap_ok(agentcg_library_symbols("/proc/self/maps", names, offsets, which, 4) == -ENOEXEC, "a text file has none");
	tap_ok(agentcg_library_symbols("/nowhere", names, offsets, which, 4) == -ENOENT, "nor has one that is missing");
	agentcg_closep(&fd);
}

/* The library with bytes of its headers changed: any answer will do, and no crash. */
static void test_broken(const char *path)
{
	_cleanup_free_ unsigned char *bytes = NULL;
	char copy[] = "/tmp/test-library.XXXXXX";
	int from = open(path, O_RDONLY | O_CLOEXEC), to = mkstemp(copy), tried = 0;
	unsigned long offsets[4];
	unsigned int which[4];
	struct stat st;
	Elf64_Ehdr *h;

	if (from < 0 || to < 0 || fstat(from, &st) < 0)
		return (void)tap_ok(false, "a copy can be made");
	bytes = malloc((size_t)st.st_size);
	if (!bytes || pread(from, bytes, (size_t)st.st_size, 0) != st.st_size || pwrite(to, bytes, (size_t)st.st_size, 0) != st.st_size)
		return (void)tap_ok(false, "a copy can be made");
	h = (Elf64_Ehdr *)bytes;
	srand(1);
	for (int i = 0; i < 300; i++) {
		off_t section = (off_t)h->e_shoff, at = i % 2 ? rand() % (off_t)sizeof(*h) : section + rand() % (st.st_size - section);
		unsigned char value = (unsigned char)rand();

		if (pwrite(to, &value, 1, at) != 1)
			break;
		tried += agentcg_library_symbols(copy, names, offsets, which, 4) < 5;
		if (pwrite(to, &bytes[at], 1, at) != 1)
			break;
	}
	tap_ok(tried == 300, "300 broken ones do no harm");
	for (off_t size = st.st_size; size > 0; size /= 2)
		if (ftruncate(to, size) == 0)
			tried += agentcg_library_symbols(copy, names, offsets, which, 4) < 5;
	tap_ok(tried > 310, "nor do short ones");
	unlink(copy);
	close(from);
	close(to);
}

int main(void)
{
	char path[PATH_MAX];

	test_find(path);
	test_symbols(path);
	test_broken(path);
	return tap_done();
}
