// SPDX-License-Identifier: GPL-2.0-only
/* Against the library of tests/gpu/nvml.c, whose README says what the scenes below mean. */
#include <libgen.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>

#include "nvml-abi.h"
#include "nvml.h"
#include "tap.h"

/* The real declarations, where they are installed; <nvml.h> would be the one beside this file. */
#if __has_include("/usr/include/nvml.h")
#include "/usr/include/nvml.h"
#define REAL
#elif __has_include("/usr/local/cuda/include/nvml.h")
#include "/usr/local/cuda/include/nvml.h"
#define REAL
#endif

#ifdef REAL
#define SAME(ours, our_field, theirs, their_field)							\
	_Static_assert(sizeof(struct ours) == sizeof(theirs) &&						\
		       offsetof(struct ours, our_field) == offsetof(theirs, their_field) &&		\
		       sizeof(((struct ours *)0)->our_field) == sizeof(((theirs *)0)->their_field), #theirs "." #their_field)

SAME(nvml_pci, domain, nvmlPciInfo_t, domain);
SAME(nvml_pci, bus, nvmlPciInfo_t, bus);
SAME(nvml_pci, device, nvmlPciInfo_t, device);
SAME(nvml_pci, bus_id, nvmlPciInfo_t, busId);
SAME(nvml_memory, total, nvmlMemory_t, total);
SAME(nvml_memory, used, nvmlMemory_t, used);
SAME(nvml_utilization, gpu, nvmlUtilization_t, gpu);
SAME(nvml_process, pid, nvmlProcessInfo_t, pid);
SAME(nvml_process, memory, nvmlProcessInfo_t, usedGpuMemory);
SAME(nvml_process, gpu_instance, nvmlProcessInfo_t, gpuInstanceId);
SAME(nvml_process_v1, memory, nvmlProcessInfo_v1_t, usedGpuMemory);

_Static_assert(NVML_OK == NVML_SUCCESS && NVML_NOT_SUPPORTED == NVML_ERROR_NOT_SUPPORTED &&
	       NVML_INSUFFICIENT_SIZE == NVML_ERROR_INSUFFICIENT_SIZE && NVML_DRIVER_NOT_LOADED == NVML_ERROR_DRIVER_NOT_LOADED &&
	       NVML_IS_LOST == NVML_ERROR_GPU_IS_LOST && NVML_NEEDS_RESET == NVML_ERROR_RESET_REQUIRED &&
	       NVML_VERSION_MISMATCH == NVML_ERROR_LIB_RM_VERSION_MISMATCH && NVML_UNKNOWN_ERROR == NVML_ERROR_UNKNOWN &&
	       NVML_UUID_MAX == NVML_DEVICE_UUID_V2_BUFFER_SIZE && NVML_NAME_MAX == NVML_DEVICE_NAME_V2_BUFFER_SIZE, "constants of nvml.h");
#endif

static char scene[] = "/tmp/agentcg-nvml.XXXXXX";
static char library[512], old_library[512];
static struct gpus g;

static void set(const char *format, ...) _printf_(1, 2);

/* All at once, as a call may read it at any time. */
static void set(const char *format, ...)
{
	char path[64];
	va_list ap;
	FILE *f;

	snprintf(path, sizeof(path), "%s.new", scene);
	f = fopen(path, "w");
	va_start(ap, format);
	if (f)
		vfprintf(f, format, ap);
	va_end(ap);
	if (!f || fclose(f) || rename(path, scene) < 0)
		printf("Bail out! cannot write %s\n", path);
}

static bool readable(struct nvml *n, int msec)
{
	struct pollfd p = { .fd = agentcg_nvml_fd(n), .events = POLLIN };

	return poll(&p, 1, msec) == 1;
}

/* True: there is a new snapshot. */
static bool look(struct nvml *n)
{
	bool ok;

	agentcg_nvml_refresh(n);
	ok = readable(n, 2000);
	agentcg_nvml_get(n, &g);
	return ok;
}

#define TWO	"gpu GPU-11111111-0000\nname NVIDIA Fake 80GB\npci 0:65:0\nmemory 80000 30000\nbusy 37\nprocess compute 100 5000\n" \
		"process graphics 101 -\nprocess mps 102 70\nprocess graphics 100 5000\n"					\
		"gpu GPU-22222222-0000\npci 10000:a5:1f\nnode 3\n"

static void without(void)
{
	struct nvml *n = NULL;

	tap_ok(agentcg_nvml_open(&n, "/nowhere/libnvidia-ml.so.1") == 0 && n, "no library: it opens all the same");
	agentcg_nvml_get(n, &g);
	tap_ok(g.nr == 0 && g.time_usec == 0 && strstr(g.reason, "yet"), "before the first look: %s", g.reason);
	tap_ok(look(n) && g.nr == 0 && g.time_usec && startswith(g.reason, "no NVIDIA driver is installed: /nowhere"), "%s", g.reason);
	agentcg_nvml_close(n);

	if (agentcg_nvml_open(&n, "libc.so.6") == 0)
		tap_ok(look(n) && g.nr == 0 && strstr(g.reason, "not NVIDIA's"), "%s", g.reason);
	agentcg_nvml_close(n);

	unlink(scene);
	if (agentcg_nvml_open(&n, library) == 0)
		tap_ok(look(n) && g.nr == 0 && strstr(g.reason, "Driver Not Loaded"), "%s", g.reason);
	set("error nvmlInit_v2 18\n" TWO);
	tap_ok(look(n) && g.nr == 0 && strstr(g.reason, "mismatch"), "%s", g.reason);
	set("# nothing\n");
	tap_ok(look(n) && g.nr == 0 && strstr(g.reason, "no GPU"), "%s", g.reason);
	set(TWO);
	tap_ok(look(n) && g.nr == 2 && !g.reason[0], "a driver that is loaded later is seen");
	agentcg_nvml_close(n);
}

static void with(struct nvml *n)
{
	const struct gpu *a = &g.list[0], *b = &g.list[1];
	const struct gpu_process *p = a->processes;

	set(TWO);
	tap_ok(look(n) && g.nr == 2 && !g.reason[0], "two GPUs");
	tap_ok(streq(a->uuid, "GPU-11111111-0000") && streq(a->name, "NVIDIA Fake 80GB") && streq(a->pci, "0000:65:00.0") &&
	       a->memory_total == 80000 && a->memory_used == 30000 && a->busy == 37 && a->memory_node == -1 && a->state == GPU_OK, "the first");
	tap_ok(b->index == 1 && streq(b->pci, "10000:a5:1f.0") && b->memory_node == 3 && b->nr_processes == 0, "the second");
	tap_ok(a->nr_processes == 3 && p[0].pid == 100 && p[0].memory == 5000 && p[1].pid == 101 && p[1].memory == AGENTCG_NVML_UNKNOWN &&
	       p[2].pid == 102, "processes that compute, draw, and share by MPS, each once");
	tap_ok(!readable(n, 0), "reading a snapshot, it is read");
	tap_ok(agentcg_gpus_find(&g, "1") == b && agentcg_gpus_find(&g, "GPU-2") == b && agentcg_gpus_find(&g, a->uuid) == a &&
	       !agentcg_gpus_find(&g, "GPU-") && !agentcg_gpus_find(&g, "2") && !agentcg_gpus_find(&g, "") && !agentcg_gpus_find(&g, "1x") &&
	       !agentcg_gpus_find(&g, "GPU-3") && !agentcg_gpus_find(&g, "MIG-1") && !agentcg_gpus_find(&g, "-1"), "by index and by UUID");
}

static void many(struct nvml *n)
{
	char text[16384] = "gpu GPU-1\n";

	for (int i = 0; i < 300; i++)
		sprintf(text + strlen(text), "process compute %d 1\n", 1000 + i);
	set("%s", text);
	tap_ok(look(n) && g.list[0].nr_processes == AGENTCG_GPU_PIDS_MAX && g.list[0].processes[63].pid == 1063, "more processes than fit");
	text[0] = '\0';
	for (int i = 0; i < 99; i++)
		sprintf(text + strlen(text), "gpu GPU-%d\n", i);
	set("%s", text);
	tap_ok(look(n) && g.nr == AGENTCG_GPUS_MAX, "more GPUs than fit");
}

#define DIVIDED	"gpu GPU-1\npci 0:65:0\nmig\nprocess compute 100 5\n" \
		"instance MIG-a1\nmemory 2000 500\nprocess compute 101 5\ninstance MIG-b2\nname Half\ngpu GPU-2\nbusy 3\n"

static void instances(void)
{
	const struct gpu *parent = &g.list[0], *a = &g.list[2], *b = &g.list[3];
	struct nvml *n;

	if (agentcg_nvml_open(&n, library) < 0)
		return;
	set(DIVIDED);
	tap_ok(look(n) && g.nr == 4 && parent->mig && parent->busy == -1 && !parent->nr_processes && streq(g.list[1].uuid, "GPU-2") &&
	       g.list[1].busy == 3 && !g.list[1].mig, "a GPU in MIG mode, another");
	tap_ok(a->is_instance && streq(a->uuid, "MIG-a1") && a->index == 0 && a->instance == 0 && streq(a->pci, "0000:65:00.0") &&
	       a->memory_total == 2000 && a->nr_processes == 1 && a->processes[0].pid == 101 && a->busy == -1 && a->state == GPU_OK, "its instances come after all");
	tap_ok(agentcg_gpus_find(&g, "0/1") == b && agentcg_gpus_find(&g, "MIG-b") == b && agentcg_gpus_find(&g, "0") == parent &&
	       !agentcg_gpus_find(&g, "MIG-") && !agentcg_gpus_find(&g, "0/2") && !agentcg_gpus_find(&g, "1/0") && !agentcg_gpus_find(&g, "0/"),
	       "... and are found by number and UUID");
	set("gpu GPU-1\nmig\ninstance MIG-b2\ngpu GPU-2\n");
	tap_ok(look(n) && g.nr == 4 && a->state == GPU_OK && streq(a->uuid, "MIG-b2") && b->state == GPU_LOST && streq(b->uuid, "MIG-a1"),
	       "one that is taken away");
	set(DIVIDED "error nvmlDeviceGetMigMode 3\n");
	tap_ok(look(n) && g.nr == 4 && a->state == GPU_OK, "a GPU that knows no MIG");
	set("gpu GPU-1\nmig\nerror * 15\ninstance MIG-a1\ngpu GPU-2\n");
	tap_ok(look(n) && parent->state == GPU_LOST && a->state == GPU_LOST && g.list[1].state == GPU_OK, "with a GPU its instances are lost");
	set("gpu GPU-1\nmig\nerror nvmlDeviceGetMigDeviceHandleByIndex 999\ngpu GPU-2\n");
	tap_ok(look(n) && parent->state == GPU_OK && a->state == GPU_LOST, "a driver that does not tell them");
	agentcg_nvml_close(n);
}

static void lost(struct nvml *n)
{
	const struct gpu *a = &g.list[0], *b = &g.list[1];
	char text[1024] = TWO;

	look(n);
	set(TWO "error nvmlDeviceGetMemoryInfo 15\n");
	tap_ok(look(n) && a->state == GPU_OK && a->nr_processes == 3 && b->state == GPU_LOST && streq(b->error, "GPU is lost") &&
	       streq(b->uuid, "GPU-22222222-0000"), "one is lost, the other goes on");
	set(TWO "error * 16\n");
	tap_ok(look(n) && a->state == GPU_OK && b->state == GPU_LOST && streq(b->error, "GPU requires reset") &&
	       streq(b->uuid, "GPU-22222222-0000") && streq(b->pci, "10000:a5:1f.0") && b->index == 1, "it is still known who it was");
	set(TWO "error nvmlDeviceGetHandleByIndex_v2 999\n");
	tap_ok(look(n) && b->state == GPU_LOST && streq(b->error, "Unknown Error") && b->uuid[0], "without a handle it is lost, whatever the driver says");
	set(TWO "error nvmlDeviceGetName 3\nerror nvmlDeviceGetUtilizationRates 3\nerror nvmlDeviceGetComputeRunningProcesses_v3 4\n");
	tap_ok(look(n) && b->state == GPU_OK && !b->error[0], "what is not supported (as with MIG) is no loss");
	*strstr(text, "gpu GPU-2") = '\0';
	set("%s", text);
	tap_ok(look(n) && g.nr == 2 && a->state == GPU_OK && b->state == GPU_LOST && strstr(b->error, "not on the bus"), "one that is not there any more");
	set("error nvmlDeviceGetCount_v2 999\n" TWO);
	tap_ok(look(n) && g.nr == 2 && a->state == GPU_LOST && b->state == GPU_LOST && strstr(g.reason, "Unknown Error"),
	       "the driver says nothing: %s", g.reason);
	set(TWO);
	tap_ok(look(n) && g.nr == 2 && a->state == GPU_OK && b->state == GPU_OK && !g.reason[0], "they come back");
}

static void old(void)
{
	const struct gpu_process *p = g.list[0].processes;
	struct nvml *n;

	set("gpu GPU-1\nprocess compute 100 5000\nprocess compute 101 -\nprocess graphics 102 1\ngpu GPU-2\npci 10000:a5:1f\nnode 3\n");
	if (agentcg_nvml_open(&n, old_library) < 0)
		return;
	tap_ok(look(n) && g.nr == 2 && streq(g.list[1].pci, "10000:a5:1f.0") && g.list[1].memory_node == -1 && g.list[0].nr_processes == 2 &&
	       p[0].pid == 100 && p[0].memory == 5000 && p[1].pid == 101 && p[1].memory == AGENTCG_NVML_UNKNOWN, "an old driver's functions");
	agentcg_nvml_close(n);
}

static void hang(struct nvml *n)
{
	uint64_t before = now_usec(CLOCK_MONOTONIC), seen;

	set(TWO);
	look(n);
	seen = g.time_usec;
	set(TWO "hang nvmlDeviceGetMemoryInfo 60\n");
	agentcg_nvml_refresh(n);
	tap_ok(!readable(n, 500), "the driver hangs");
	agentcg_nvml_refresh(n);
	agentcg_nvml_get(n, &g);
	tap_ok(g.nr == 2 && !g.reason[0] && g.time_usec == seen, "at first it is only slow");
	usleep(AGENTCG_NVML_HUNG_USEC);
	agentcg_nvml_refresh(n);
	tap_ok(readable(n, 0), "then whoever waits is told");
	agentcg_nvml_get(n, &g);
	tap_ok(g.nr == 2 && g.time_usec == seen && strstr(g.reason, "not answered for ") && strstr(g.reason, "(memory)") &&
	       g.list[0].state == GPU_OK, "%s", g.reason);
	agentcg_nvml_refresh(n);
	tap_ok(!readable(n, 0), "once");
	tap_ok(now_usec(CLOCK_MONOTONIC) - before < AGENTCG_NVML_HUNG_USEC + 2 * USEC_PER_SEC, "nobody waited for it");
	set(TWO);
	tap_ok(readable(n, 2000), "it answers again");
	agentcg_nvml_get(n, &g);
	tap_ok(g.time_usec > seen && !g.reason[0], "and all is well");
}

static void close_hung(struct nvml *n)
{
	uint64_t before = now_usec(CLOCK_MONOTONIC);

	set(TWO "hang * 60\n");
	agentcg_nvml_refresh(n);
	usleep(50000);
	agentcg_nvml_close(n);
	tap_ok(now_usec(CLOCK_MONOTONIC) - before < USEC_PER_SEC, "closing does not wait for a driver that hangs");
	set(TWO);
	usleep(200000);		/* so that the thread ends and frees */
}

int main(int argc, char **argv)
{
	const char *dir = getenv("AGENTCG_FAKE_DIR");
	struct nvml *n;
	int fd;

	if (dir)
		snprintf(library, sizeof(library), "%s", dir);
	else
		snprintf(library, sizeof(library), "%s/../tests/gpu", dirname(strdupa(argv[0])));
	snprintf(old_library, sizeof(old_library), "%.480s/old/libnvidia-ml.so.1", library);
	strcat(library, "/libnvidia-ml.so.1");
	if (!tap_ok(access(library, R_OK) == 0 && access(old_library, R_OK) == 0, "%s is built (make tests)", library))
		return tap_done();

	fd = mkstemp(scene);
	if (fd < 0)
		return 1;
	close(fd);
	setenv("AGENTCG_FAKE_NVML", scene, 1);
	without();
	if (agentcg_nvml_open(&n, library) < 0)
		return 1;
	with(n);
	lost(n);
	hang(n);
	close_hung(n);
	instances();
	old();
	if (agentcg_nvml_open(&n, library) < 0)
		return 1;
	many(n);
	agentcg_nvml_close(n);
	unlink(scene);
	return tap_done();
}
