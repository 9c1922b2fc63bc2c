// SPDX-License-Identifier: GPL-2.0-only
/*
 * A libnvidia-ml.so.1 whose GPUs are in a file, named by AGENTCG_FAKE_NVML and read again at every call; README.md says
 * how it is written.  With -DOLD it has only the functions of drivers before 450.
 */
#include <ctype.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nvml-abi.h"

#define GPUS_MAX	100
#define INSTANCES_MAX	20
#define PROCESSES_MAX	400
#define RULES_MAX	64
#define POLL_USEC	20000

struct process {
	char kind;			/* c, g, m */
	unsigned int pid;
	unsigned long long memory;
};

struct gpu {
	char uuid[80], name[80];
	unsigned int domain, bus, device;
	unsigned long long total, used;
	unsigned int busy;
	int node;
	bool mig;
	int parent;			/* of an instance */
	struct process processes[PROCESSES_MAX];
	unsigned int nr_processes;
};

struct rule {
	int gpu;			/* -1: all */
	bool hang;
	char function[64];
	double value;
};

static struct {
	struct gpu gpus[GPUS_MAX];
	unsigned int nr;
	struct gpu instances[INSTANCES_MAX];
	unsigned int nr_instances;
	struct rule rules[RULES_MAX];
	unsigned int nr_rules;
} scene;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Instances come after all GPUs there may be. */
static struct gpu *at(int i)
{
	return i < GPUS_MAX ? &scene.gpus[i] : &scene.instances[i - GPUS_MAX];
}

static int number_of(const struct gpu *g)
{
	return g >= scene.gpus && g < scene.gpus + GPUS_MAX ? (int)(g - scene.gpus) : (int)(g - scene.instances) + GPUS_MAX;
}

static void read_process(const char *line, struct gpu *g)
{
	struct process *p = &g->processes[g->nr_processes];
	char kind[16], value[64];

	if (g->nr_processes == PROCESSES_MAX || sscanf(line, "%15s %u %63s", kind, &p->pid, value) != 3)
		return;
	p->kind = kind[0];
	p->memory = value[0] == '-' ? ~0ULL : strtoull(value, NULL, 10);
	g->nr_processes++;
}

static void read_line(char *line, struct gpu *g)
{
	char key[32] = "";
	int at = 0, read = 1;

	if (sscanf(line, "%31s %n", key, &at) < 1 || key[0] == '#')
		return;
	line += at;
	if (!strcmp(key, "error") || !strcmp(key, "hang")) {
		struct rule *r = &scene.rules[scene.nr_rules];

		if (scene.nr_rules < RULES_MAX && sscanf(line, "%63s %lf", r->function, &r->value) == 2) {
			r->hang = key[0] == 'h';
			r->gpu = g ? number_of(g) : -1;
			scene.nr_rules++;
		}
		return;
	}
	if (!g)
		return;
	if (!strcmp(key, "name"))
		snprintf(g->name, sizeof(g->name), "%.79s", line);
	else if (!strcmp(key, "pci"))
		read = sscanf(line, "%x:%x:%x", &g->domain, &g->bus, &g->device);
	else if (!strcmp(key, "memory"))
		read = sscanf(line, "%llu %llu", &g->total, &g->used);
	else if (!strcmp(key, "busy"))
		g->busy = strtoul(line, NULL, 10);
	else if (!strcmp(key, "mig"))
		g->mig = true;
	else if (!strcmp(key, "node"))
		g->node = (int)strtol(line, NULL, 10);
	else if (!strcmp(key, "process"))
		read_process(line, g);
	if (read < 1)
		fprintf(stderr, "AGENTCG_FAKE_NVML: '%s' of %s cannot be read\n", line, key);
}

/* False: there is no scene, as without a driver. */
static bool read_scene(void)
{
	const char *path = getenv("AGENTCG_FAKE_NVML");
	FILE *f = path ? fopen(path, "re") : NULL;
	struct gpu *g = NULL;
	char line[256];

	scene.nr = 0;
	scene.nr_instances = 0;
	scene.nr_rules = 0;
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "gpu ", 4) && scene.nr < GPUS_MAX) {
			g = &scene.gpus[scene.nr++];
			*g = (struct gpu){ .name = "Fake GPU", .total = 16ULL << 30, .node = -1 };
			snprintf(g->uuid, sizeof(g->uuid), "%.79s", line + 4);
		} else if (!strncmp(line, "instance ", 9) && scene.nr && scene.nr_instances < INSTANCES_MAX) {
			g = &scene.instances[scene.nr_instances++];
			*g = (struct gpu){ .name = "Fake GPU MIG 1g.2gb", .total = 2ULL << 30, .node = -1, .parent = (int)scene.nr - 1 };
			snprintf(g->uuid, sizeof(g->uuid), "%.79s", line + 9);
		} else {
			read_line(line, g);
		}
	}
	fclose(f);
	return true;
}

static double rule_for(const char *function, int gpu, bool hang)
{
	for (unsigned int i = 0; i < scene.nr_rules; i++) {
		const struct rule *r = &scene.rules[i];

		if (r->hang == hang && (r->gpu < 0 || r->gpu == gpu) && (!strcmp(r->function, "*") || !strcmp(r->function, function)))
			return r->value;
	}
	return 0;
}

/* Reads the scene anew, waits while it says so, and returns its error for this function; the lock is held then. */
static int enter(const char *function, int gpu)
{
	useconds_t waited = 0;

	pthread_mutex_lock(&lock);
	for (;;) {
		if (!read_scene())
			return NVML_DRIVER_NOT_LOADED;
		if (rule_for(function, gpu, true) * 1e6 <= waited)
			break;
		pthread_mutex_unlock(&lock);
		usleep(POLL_USEC);
		waited += POLL_USEC;
		pthread_mutex_lock(&lock);
	}
	if (gpu < GPUS_MAX ? gpu >= (int)scene.nr : gpu >= GPUS_MAX + (int)scene.nr_instances)
		return NVML_IS_LOST;
	return (int)rule_for(function, gpu, false);
}

static int leave(int r)
{
	pthread_mutex_unlock(&lock);
	return r;
}

/* A handle is the index, plus one so that it is not NULL. */
static int index_of(struct nvml_device *d)
{
	return (int)(uintptr_t)d - 1;
}

int nvmlShutdown(void)
{
	return NVML_OK;
}

const char *nvmlErrorString(int error)
{
	switch (error) {
	case NVML_OK:			return "Success";
	case NVML_NOT_SUPPORTED:	return "Not Supported";
	case NVML_INSUFFICIENT_SIZE:	return "Insufficient Size";
	case NVML_DRIVER_NOT_LOADED:	return "Driver Not Loaded";
	case NVML_IS_LOST:		return "GPU is lost";
	case NVML_NEEDS_RESET:		return "GPU requires reset";
	case NVML_VERSION_MISMATCH:	return "Driver/library version mismatch";
	default:			return "Unknown Error";
	}
}

static int init(const char *function)
{
	return leave(enter(function, -1));
}

static int count(const char *function, unsigned int *n)
{
	int r = enter(function, -1);

	*n = scene.nr;
	return leave(r);
}

static int handle(const char *function, unsigned int index, struct nvml_device **d)
{
	int r = enter(function, (int)index);

	*d = (struct nvml_device *)(uintptr_t)(index + 1);
	return leave(r);
}

static int text(const char *function, struct nvml_device *d, char *to, unsigned int size, size_t field)
{
	int r = enter(function, index_of(d));
	const char *from = (const char *)at(index_of(d)) + field;

	if (!r && strlen(from) + 1 > size)
		r = NVML_INSUFFICIENT_SIZE;
	if (!r)
		strcpy(to, from);
	return leave(r);
}

int nvmlDeviceGetUUID(struct nvml_device *d, char *to, unsigned int size)
{
	return text(__func__, d, to, size, offsetof(struct gpu, uuid));
}

int nvmlDeviceGetName(struct nvml_device *d, char *to, unsigned int size)
{
	return text(__func__, d, to, size, offsetof(struct gpu, name));
}

static int pci(const char *function, struct nvml_device *d, struct nvml_pci *ret, size_t size)
{
	int r = enter(function, index_of(d));
	const struct gpu *g = at(index_of(d));
	struct nvml_pci p = { .domain = g->domain, .bus = g->bus, .device = g->device };

	snprintf(p.bus_id_legacy, sizeof(p.bus_id_legacy), "%04X:%02X:%02X.0", g->domain & 0xffff, g->bus & 0xff, g->device & 0x1f);
	snprintf(p.bus_id, sizeof(p.bus_id), "%08X:%02X:%02X.0", g->domain, g->bus, g->device);
	if (!r)
		memcpy(ret, &p, size);
	return leave(r);
}

int nvmlDeviceGetMemoryInfo(struct nvml_device *d, struct nvml_memory *ret)
{
	int r = enter(__func__, index_of(d));
	const struct gpu *g = at(index_of(d));

	if (!r)
		*ret = (struct nvml_memory){ .total = g->total, .used = g->used, .free = g->total - g->used };
	return leave(r);
}

int nvmlDeviceGetUtilizationRates(struct nvml_device *d, struct nvml_utilization *ret)
{
	int r = enter(__func__, index_of(d));

	if (!r && (at(index_of(d))->mig || index_of(d) >= GPUS_MAX))
		r = NVML_NOT_SUPPORTED;
	if (!r)
		*ret = (struct nvml_utilization){ .gpu = at(index_of(d))->busy };
	return leave(r);
}

/* As the driver has it: the number comes back in any case, the list only if there is room for all. */
static int processes(const char *function, struct nvml_device *d, char kind, unsigned int *n, void *list, bool old)
{
	int r = enter(function, index_of(d));
	const struct gpu *g = at(index_of(d));
	unsigned int found = 0;

	for (unsigned int i = 0; !r && i < g->nr_processes; i++) {
		const struct process *p = &g->processes[i];

		if (p->kind != kind)
			continue;
		if (found < *n && old)
			((struct nvml_process_v1 *)list)[found] = (struct nvml_process_v1){ .pid = p->pid, .memory = p->memory };
		else if (found < *n)
			((struct nvml_process *)list)[found] = (struct nvml_process){ p->pid, p->memory, ~0U, ~0U };
		found++;
	}
	if (!r && found > *n)
		r = NVML_INSUFFICIENT_SIZE;
	*n = found;
	return leave(r);
}

#ifdef OLD

int nvmlInit(void)						{ return init(__func__); }
int nvmlDeviceGetCount(unsigned int *n)				{ return count(__func__, n); }
int nvmlDeviceGetHandleByIndex(unsigned int i, struct nvml_device **d)	{ return handle(__func__, i, d); }
int nvmlDeviceGetPciInfo(struct nvml_device *d, struct nvml_pci *p)	{ return pci(__func__, d, p, offsetof(struct nvml_pci, bus_id)); }

int nvmlDeviceGetComputeRunningProcesses(struct nvml_device *d, unsigned int *n, struct nvml_process_v1 *list)
{
	return processes(__func__, d, 'c', n, list, true);
}

#else

int nvmlInit_v2(void)						{ return init(__func__); }
int nvmlDeviceGetCount_v2(unsigned int *n)			{ return count(__func__, n); }
int nvmlDeviceGetHandleByIndex_v2(unsigned int i, struct nvml_device **d)	{ return handle(__func__, i, d); }
int nvmlDeviceGetPciInfo_v3(struct nvml_device *d, struct nvml_pci *p)	{ return pci(__func__, d, p, sizeof(*p)); }

int nvmlDeviceGetNumaNodeId(struct nvml_device *d, unsigned int *node)
{
	int r = enter(__func__, index_of(d));

	if (!r && at(index_of(d))->node < 0)
		r = NVML_NOT_SUPPORTED;
	if (!r)
		*node = (unsigned int)at(index_of(d))->node;
	return leave(r);
}

int nvmlDeviceGetMigMode(struct nvml_device *d, unsigned int *current, unsigned int *pending)
{
	int r = enter(__func__, index_of(d));

	*current = at(index_of(d))->mig;
	*pending = *current;
	return leave(r);
}

int nvmlDeviceGetMaxMigDeviceCount(struct nvml_device *d, unsigned int *n)
{
	int r = enter(__func__, index_of(d));

	*n = 7;
	return leave(r);
}

/* Numbers are those of places for instances; those that are taken come first here. */
int nvmlDeviceGetMigDeviceHandleByIndex(struct nvml_device *d, unsigned int index, struct nvml_device **ret)
{
	int r = enter(__func__, index_of(d)), found = -1;

	for (unsigned int i = 0; !r && found < 0 && i < scene.nr_instances; i++)
		if (scene.instances[i].parent == index_of(d) && index-- == 0)
			found = GPUS_MAX + (int)i;
	*ret = (struct nvml_device *)(uintptr_t)(found + 1);
	return leave(r ? r : found < 0 ? NVML_NOT_FOUND : NVML_OK);
}

int nvmlDeviceGetComputeRunningProcesses_v3(struct nvml_device *d, unsigned int *n, struct nvml_process *list)
{
	return processes(__func__, d, 'c', n, list, false);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(struct nvml_device *d, unsigned int *n, struct nvml_process *list)
{
	return processes(__func__, d, 'g', n, list, false);
}

int nvmlDeviceGetMPSComputeRunningProcesses_v3(struct nvml_device *d, unsigned int *n, struct nvml_process *list)
{
	return processes(__func__, d, 'm', n, list, false);
}

#endif
