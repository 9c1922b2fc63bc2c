// SPDX-License-Identifier: GPL-2.0-only
#include "library.h"

#include <fcntl.h>
#include <gelf.h>

/* Of a line of /proc/PID/maps: "FROM-TO PERMISSIONS OFFSET DEVICE INODE   PATH". */
static bool maps_library(const char *line, const char *name, unsigned long *from, unsigned long *to)
{
	char permissions[5];
	const char *path, *last;
	int n = 0;

	if (sscanf(line, "%lx-%lx %4s %*x %*s %*u %n", from, to, permissions, &n) < 3 || !n || permissions[2] != 'x')
		return false;
	path = line + n;
	last = strrchr(path, '/');
	return path[0] == '/' && last && startswith(last + 1, name);
}

int agentcg_library_find(pid_t pid, const char *name, char ret[PATH_MAX])
{
	_cleanup_fclose_ FILE *f = NULL;
	_cleanup_free_ char *line = NULL;
	unsigned long from, to;
	size_t size = 0;

	snprintf(ret, PATH_MAX, "/proc/%d/maps", pid);
	f = fopen(ret, "re");
	if (!f)
		return -errno;
	while (getline(&line, &size, f) > 0)
		if (maps_library(line, name, &from, &to)) {
			snprintf(ret, PATH_MAX, "/proc/%d/map_files/%lx-%lx", pid, from, to);
			return 0;
		}
	return -ENOENT;
}

/* ---- ELF ---------------------------------------------------------------- */

static void elf_endp(Elf **elf)
{
	if (*elf)
		elf_end(*elf);
}

/* Breakpoints are set by offset in the file, symbols have addresses. */
static bool to_offset(Elf *elf, GElf_Addr address, unsigned long *ret)
{
	GElf_Phdr segment;
	size_t n;

	if (elf_getphdrnum(elf, &n) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (gelf_getphdr(elf, (int)i, &segment) && segment.p_type == PT_LOAD && segment.p_flags & PF_X &&
		    address >= segment.p_vaddr && address - segment.p_vaddr < segment.p_filesz) {
			*ret = address - segment.p_vaddr + segment.p_offset;
			return true;
		}
	return false;
}

static int index_of(const char *const *names, const char *name)
{
	for (int i = 0; name && names[i]; i++)
		if (streq(names[i], name))
			return i;
	return -1;
}

static bool has(const unsigned long *offsets, size_t n, unsigned long offset)
{
	for (size_t i = 0; i < n; i++)
		if (offsets[i] == offset)
			return true;
	return false;
}

int agentcg_library_symbols(const char *path, const char *const *names, unsigned long *offsets, unsigned int *which, size_t max)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	_cleanup_(elf_endp) Elf *elf = NULL;
	unsigned long offset;
	GElf_Shdr header;
	GElf_Sym symbol;
	Elf_Data *data;
	size_t found = 0;
	int i;

	if (fd < 0)
		return -errno;
	elf_version(EV_CURRENT);
	/* Not mapped: who shortens the file would end the daemon. */
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!elf || elf_kind(elf) != ELF_K_ELF || gelf_getclass(elf) != ELFCLASS64)
		return -ENOEXEC;
	for (Elf_Scn *s = elf_nextscn(elf, NULL); s; s = elf_nextscn(elf, s)) {
		if (!gelf_getshdr(s, &header) || header.sh_type != SHT_DYNSYM)
			continue;
		data = elf_getdata(s, NULL);
		for (int n = 0; data && gelf_getsym(data, n, &symbol); n++) {
			if (GELF_ST_TYPE(symbol.st_info) != STT_FUNC || !symbol.st_value)
				continue;
			i = index_of(names, elf_strptr(elf, header.sh_link, symbol.st_name));
			if (i < 0 || found == max || !to_offset(elf, symbol.st_value, &offset) || has(offsets, found, offset))
				continue;
			offsets[found] = offset;
			which[found++] = (unsigned int)i;
		}
	}
	return (int)found;
}
