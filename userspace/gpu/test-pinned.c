// SPDX-License-Identifier: GPL-2.0-only
/*
 * The texts are those of a 6.18 kernel, shortened; the mappings of NVIDIA's devices were put in as its kernel modules would make them
 * (see pinned.c), not recorded.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "pinned.h"
#include "tap.h"

#define PLAIN		"Size:               1024 kB\nKernelPageSize:        4 kB\nRss:                 512 kB\n" \
			"Pss:                 256 kB\nPss_Dirty:           0 kB\n"
#define END(flags)	"Locked:                0 kB\nTHPeligible:           0\nVmFlags: " flags "\n"

static const char smaps[] =
	"5583f17f9000-5583f18f9000 r--p 00000000 fe:00 247498                     /usr/bin/head\n" PLAIN END("rd mr mw me")
	/* mlock()ed: half of it is there */
	"7f0000000000-7f0000100000 rw-p 00000000 00:00 0\n"
	"Size:               1024 kB\nRss:                 512 kB\nPss:                 512 kB\nLocked:              512 kB\n"
	"VmFlags: rd wr mr mw me lo ac\n"
	/* registers and memory of the GPU itself */
	"7f1000000000-7f1001000000 rw-s 00000000 00:06 443                        /dev/nvidia0\n"
	"Size:              16384 kB\nRss:                   0 kB\nPss:                   0 kB\n" END("rd wr sh mr mw me ms pf io de dd")
	/* cudaHostAlloc, in two processes */
	"7f2000000000-7f2000800000 rw-s 00000000 00:06 440                        /dev/nvidiactl\n"
	"Size:               8192 kB\nRss:                8192 kB\nPss:                4096 kB\n" END("rd wr sh mr mw me ms de dd mm")
	/* a peer's registers */
	"7f3000000000-7f3000800000 rw-s 00000000 00:06 440                        /dev/nvidiactl\n"
	"Size:               8192 kB\nRss:                   0 kB\nPss:                   0 kB\n" END("rd wr sh mr mw me ms io de dd")
	/* cudaMallocManaged, of which little is in host memory */
	"7f4000000000-7f4040000000 rw-s 00000000 00:06 444                        /dev/nvidia-uvm\n"
	"Size:            1048576 kB\nRss:                 100 kB\nPss:                 100 kB\n" END("rd wr sh mr mw me ms dc de mm");

static const char maps[] =
	"5583f17f9000-5583f18f9000 r--p 00000000 fe:00 247498                     /usr/bin/head\n"
	"7f1000000000-7f1001000000 rw-s 00000000 00:06 443                        /dev/nvidia0\n"
	"7f2000000000-7f2000800000 rw-s 00000000 00:06 440                        /dev/nvidiactl\n"
	"7f4000000000-7f4040000000 rw-s 00000000 00:06 444                        /dev/nvidia-uvm\n"
	"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n";

static const char status[] =
	"Name:\thead\nVmPeak:\t    3060 kB\nVmSize:\t    3060 kB\nVmLck:\t    1024 kB\nVmPin:\t      64 kB\nVmHWM:\t    1700 kB\n"
	"VmRSS:\t    1700 kB\nHugetlbPages:\t    2048 kB\nCoreDumping:\t0\n";

static const char meminfo[] =
	"MemTotal:       24684092 kB\nMemFree:        18875104 kB\nMemAvailable:   21250040 kB\nBuffers:           16772 kB\n"
	"Cached:          3943800 kB\nSwapCached:            0 kB\nActive:          1097636 kB\nInactive:        3966296 kB\n"
	"Active(anon):       2308 kB\nInactive(anon):  2902540 kB\nActive(file):    1095328 kB\nInactive(file):  1063756 kB\n"
	"Unevictable:       23468 kB\nMlocked:           22536 kB\nSwapTotal:             0 kB\nAnonPages:       1126804 kB\n"
	"Shmem:           1801544 kB\nKReclaimable:     531824 kB\nSlab:             585580 kB\nSReclaimable:     531824 kB\n"
	"SUnreclaim:        53756 kB\nKernelStack:        3952 kB\nPageTables:        15852 kB\nSecPageTables:         0 kB\n"
	"Bounce:                0 kB\nVmallocTotal:   34359738367 kB\nVmallocUsed:       16772 kB\nVmallocChunk:          0 kB\n"
	"Percpu:              736 kB\nHugePages_Total:       0\nHugepagesize:       2048 kB\nHugetlb:               0 kB\n";

static void texts(void)
{
	struct pinned p = {};
	char all[sizeof(meminfo) + 100], *hugetlb;

	agentcg_pinned_parse_maps(smaps, &p);
	tap_ok(p.driver == 4 * MIB, "smaps: what the driver allocated, the part of this process");
	tap_ok(p.locked == 512 * KIB && p.managed == 100 * KIB, "what is locked and what is managed, as far as it is there");
	agentcg_pinned_parse_status(status, &p);
	tap_ok(p.longterm == 64 * KIB && p.hugetlb == 2 * MIB, "status: long-term pins and huge pages");
	tap_ok(agentcg_pinned_total(&p) == p.locked + p.longterm + p.driver + p.managed && agentcg_pinned_uncharged(&p) == 4 * MIB, "the sums");

	p = (struct pinned){};
	agentcg_pinned_parse_maps(maps, &p);
	tap_ok(p.driver == 8 * MIB && p.managed == 0 && p.locked == 0, "maps: all that is mapped; of managed memory nothing is known");
	agentcg_pinned_parse_maps("", &p);
	agentcg_pinned_parse_maps("7f2000000000-7f2000800000 rw-s 00000000 00:06 440 /dev/nvidiactl", &p);
	tap_ok(p.driver == 16 * MIB, "a process more is added");
	p = (struct pinned){};
	agentcg_pinned_parse_status("Name:\tVmPin:\nKthread:\t1\n", &p);
	tap_ok(agentcg_pinned_total(&p) == 0, "a kernel thread, and one with an odd name");

	tap_ok(agentcg_pinned_parse_meminfo(meminfo) == 98696 * KIB, "meminfo: what nobody accounts for");
	strcpy(all, meminfo);
	hugetlb = strstr(all, "Hugetlb: ");
	strcpy(hugetlb, "Hugetlb: 90000 kB\n");
	tap_ok(agentcg_pinned_parse_meminfo(all) == 8696 * KIB, "huge pages are accounted for");
	strcpy(hugetlb, "Hugetlb: 9000000 kB\n");
	tap_ok(agentcg_pinned_parse_meminfo(all) == 0 && agentcg_pinned_parse_meminfo("") == 0, "never less than nothing");
}

static void this_process(void)
{
	struct pinned p = {}, before = {};
	size_t size = 256 * KIB;
	uint64_t lacks = 0;
	char *m;

	if (!tap_ok(agentcg_pinned_read("/proc", getpid(), true, &before) == 0, "this process by smaps"))
		return;
	m = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m == MAP_FAILED || syscall(SYS_mlock, m, size) < 0) {	/* mlock() does nothing under a sanitizer */
		tap_ok(true, "what is locked # SKIP mlock() is not allowed here");
	} else {
		int r = agentcg_pinned_read("/proc", getpid(), true, &p);

		tap_ok(r == 0 && p.locked == before.locked + size && p.driver == 0, "what is locked");
		p = (struct pinned){};
		r = agentcg_pinned_read("/proc", getpid(), false, &p);
		tap_ok(r == 0 && p.locked == before.locked + size, "by maps and status, too");
	}
	tap_ok(agentcg_pinned_read("/proc", 0x7ffffff0, false, &p) == -ESRCH, "no such process");
	tap_ok(agentcg_pinned_unaccounted("/proc", &lacks) == 0 && agentcg_pinned_unaccounted("/nowhere", &lacks) == -ESRCH, "this machine");
	printf("# %llu MiB are not accounted for\n", (unsigned long long)(lacks / MIB));
}

int main(void)
{
	texts();
	this_process();
	return tap_done();
}
