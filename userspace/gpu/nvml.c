// SPDX-License-Identifier: GPL-2.0-only
/*
 * One thread makes all calls, one after the other, when it is asked for a snapshot.  It works in @next and
 * publishes it as @last under @lock, which is never held in a call.  If a call does not return, the thread is left to it: it
 * has a reference of its own, and the last one to let go frees.
 */
#include "nvml.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "nvml-abi.h"

/* How long closing waits for the thread to end by itself. */
#define CLOSE_USEC	(200 * USEC_PER_MSEC)

struct api {
	int (*init)(void);
	int (*shutdown)(void);
	const char *(*error_string)(int error);
	int (*count)(unsigned int *n);
	int (*device)(unsigned int index, struct nvml_device **d);
	int (*uuid)(struct nvml_device *d, char *text, unsigned int size);
	int (*name)(struct nvml_device *d, char *text, unsigned int size);
	int (*pci)(struct nvml_device *d, struct nvml_pci *pci);
	int (*memory)(struct nvml_device *d, struct nvml_memory *m);
	int (*utilization)(struct nvml_device *d, struct nvml_utilization *u);
	int (*memory_node)(struct nvml_device *d, unsigned int *node);
	int (*mig_mode)(struct nvml_device *d, unsigned int *current, unsigned int *pending);
	int (*mig_count)(struct nvml_device *d, unsigned int *n);
	int (*mig_device)(struct nvml_device *d, unsigned int index, struct nvml_device **ret);
	int (*processes[3])(struct nvml_device *d, unsigned int *n, void *list);
	bool processes_v1[3];
};

struct nvml {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t thread;
	bool started, wanted, stop;
	unsigned int refs;
	int fd;
	const char *call;		/* under way */
	uint64_t since_usec;		/* when it began; 0: none */
	bool told;			/* that it hangs */
	struct gpus last;

	char *library;			/* the rest is the thread's */
	void *handle;
	bool up;
	struct api api;
	struct gpus next;
};

static void begin(struct nvml *n, const char *call)
{
	pthread_mutex_lock(&n->lock);
	n->call = call;
	n->since_usec = call ? now_usec(CLOCK_MONOTONIC) : 0;
	n->told = false;
	pthread_mutex_unlock(&n->lock);
}

/* CALL(n, count, &nr): NVML's error. */
#define CALL(n, function, ...)						\
	({								\
		int _r = NVML_NOT_SUPPORTED;				\
									\
		begin(n, #function);					\
		if ((n)->api.function)					\
			_r = (n)->api.function(__VA_ARGS__);		\
		begin(n, NULL);						\
		_r;							\
	})

static const char *error_text(const struct nvml *n, int error)
{
	const char *text = n->api.error_string ? n->api.error_string(error) : NULL;

	return text ?: "unknown error";
}

/* The newest version of a function that the driver has; which one, counted from the newest. */
static int find(const struct nvml *n, void *ret, const char *name, const char *const *versions)
{
	char full[80];

	for (int i = 0; versions[i]; i++) {
		void *f;

		snprintf(full, sizeof(full), "nvml%s%s", name, versions[i]);
		f = dlsym(n->handle, full);
		if (f) {
			memcpy(ret, &f, sizeof(f));
			return i;
		}
	}
	return -1;
}

static bool load(struct nvml *n)
{
	static const char *const only[] = { "", NULL }, *const two[] = { "_v2", "", NULL };
	static const char *const three[] = { "_v3", "_v2", "", NULL };
	static const char *const lists[] = { "DeviceGetComputeRunningProcesses", "DeviceGetGraphicsRunningProcesses",
					     "DeviceGetMPSComputeRunningProcesses" };
	struct api *a = &n->api;
	const char *error;

	if (n->handle)
		return true;
	begin(n, "dlopen");
	n->handle = dlopen(n->library ?: "libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
	error = n->handle ? NULL : dlerror();
	begin(n, NULL);
	if (!n->handle) {
		agentcg_why(0, n->next.reason, "no NVIDIA driver is installed: %s", error ?: "its library cannot be opened");
		return false;
	}
	find(n, &a->init, "Init", two);
	find(n, &a->shutdown, "Shutdown", only);
	find(n, &a->error_string, "ErrorString", only);
	find(n, &a->count, "DeviceGetCount", two);
	find(n, &a->device, "DeviceGetHandleByIndex", two);
	find(n, &a->uuid, "DeviceGetUUID", only);
	find(n, &a->name, "DeviceGetName", only);
	find(n, &a->pci, "DeviceGetPciInfo", three);
	find(n, &a->memory, "DeviceGetMemoryInfo", only);
	find(n, &a->utilization, "DeviceGetUtilizationRates", only);
	find(n, &a->memory_node, "DeviceGetNumaNodeId", only);
	find(n, &a->mig_mode, "DeviceGetMigMode", only);
	find(n, &a->mig_count, "DeviceGetMaxMigDeviceCount", only);
	find(n, &a->mig_device, "DeviceGetMigDeviceHandleByIndex", only);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		a->processes_v1[i] = find(n, &a->processes[i], lists[i], three) == 2;
	if (a->init && a->count && a->device)
		return true;
	agentcg_why(0, n->next.reason, "%s is not NVIDIA's management library, or a very old one", n->library ?: "libnvidia-ml.so.1");
	dlclose(n->handle);
	n->handle = NULL;
	n->api = (struct api){};
	return false;
}

static void unload(struct nvml *n)
{
	if (n->up)
		(void)CALL(n, shutdown);
	n->up = false;
	if (n->handle)
		dlclose(n->handle);
	n->handle = NULL;
}

static const struct gpu *find_uuid(const struct gpus *g, const char *uuid)
{
	for (unsigned int i = 0; i < g->nr; i++)
		if (uuid[0] && streq(g->list[i].uuid, uuid))
			return &g->list[i];
	return NULL;
}

/* What does not change is kept of a GPU that is gone. */
static void set_lost(struct gpu *g, const struct gpu *before, const char *error)
{
	unsigned int index = g->index;

	if (before && !g->uuid[0]) {
		*g = *before;
		g->index = index;
	}
	g->state = GPU_LOST;
	g->memory_used = 0;
	g->busy = -1;
	g->nr_processes = 0;
	snprintf(g->error, sizeof(g->error), "%s", error);
}

/* True: it is there, and what was asked for is known. */
static bool ask(const struct nvml *n, struct gpu *g, int error)
{
	if (error == NVML_IS_LOST || error == NVML_NEEDS_RESET)
		set_lost(g, NULL, error_text(n, error));
	return error == NVML_OK;
}

static void add_process(struct gpu *g, unsigned int pid, uint64_t memory)
{
	for (unsigned int i = 0; i < g->nr_processes; i++)
		if (g->processes[i].pid == (pid_t)pid)
			return;
	if (g->nr_processes < AGENTCG_GPU_PIDS_MAX)
		g->processes[g->nr_processes++] = (struct gpu_process){ .pid = (pid_t)pid, .memory = memory };
}

static void read_processes(struct nvml *n, struct nvml_device *d, int kind, struct gpu *g)
{
	_cleanup_free_ void *list = NULL;
	unsigned int room = AGENTCG_GPU_PIDS_MAX, nr = 0;
	int r = NVML_INSUFFICIENT_SIZE;

	/* There may be more of them each time that there was not enough room. */
	for (int tries = 0; tries < 4 && r == NVML_INSUFFICIENT_SIZE && room <= 65536; tries++) {
		free(list);
		list = calloc(room, sizeof(struct nvml_process));
		if (!list)
			return;
		nr = room;
		r = CALL(n, processes[kind], d, &nr, list);
		room = (nr > room ? nr : room) * 2;
	}
	if (!ask(n, g, r))
		return;
	for (unsigned int i = 0; i < nr; i++) {
		const struct nvml_process_v1 *old = (const struct nvml_process_v1 *)list + i;
		const struct nvml_process *new = (const struct nvml_process *)list + i;

		if (n->api.processes_v1[kind])
			add_process(g, old->pid, old->memory);
		else
			add_process(g, new->pid, new->memory);
	}
}

static void read_state(struct nvml *n, struct nvml_device *d, struct gpu *g)
{
	struct nvml_utilization busy;
	struct nvml_memory memory;
	unsigned int node;

	if (ask(n, g, CALL(n, memory, d, &memory))) {
		g->memory_total = memory.total;
		g->memory_used = memory.used;
	}
	if (ask(n, g, CALL(n, utilization, d, &busy)))	/* not with MIG */
		g->busy = (int)min_u64(busy.gpu, 100);
	if (ask(n, g, CALL(n, memory_node, d, &node)))
		g->memory_node = (int)node;
	/* Those of a divided one are its instances'. */
	for (int kind = 0; kind < 3 && g->state == GPU_OK && !g->mig; kind++)
		read_processes(n, d, kind, g);
}

static void read_names(struct nvml *n, struct nvml_device *d, struct gpu *g, const char *uuid)
{
	char name[NVML_NAME_MAX] = "";

	snprintf(g->uuid, sizeof(g->uuid), "%.*s", (int)sizeof(g->uuid) - 1, uuid);
	if (ask(n, g, CALL(n, name, d, name, sizeof(name))))
		snprintf(g->name, sizeof(g->name), "%.*s", (int)sizeof(g->name) - 1, name);
}

static void read_instances(struct nvml *n, struct nvml_device *d, const struct gpu *parent)
{
	unsigned int nr = 0;

	if (CALL(n, mig_count, d, &nr) != NVML_OK)
		return;
	for (unsigned int i = 0; i < nr && n->next.nr < AGENTCG_GPUS_MAX; i++) {
		struct gpu *g = &n->next.list[n->next.nr];
		char uuid[NVML_UUID_MAX] = "";
		struct nvml_device *m;

		/* Not each place for one is taken. */
		if (CALL(n, mig_device, d, i, &m) != NVML_OK || CALL(n, uuid, m, uuid, sizeof(uuid)) != NVML_OK)
			continue;
		*g = (struct gpu){ .index = parent->index, .memory_node = parent->memory_node, .busy = -1, .is_instance = true, .instance = i };
		strcpy(g->pci, parent->pci);
		read_names(n, m, g, uuid);
		if (g->state == GPU_OK)
			read_state(n, m, g);
		n->next.nr++;
	}
}

/* Its handle; NULL: it is lost. */
static struct nvml_device *read_gpu(struct nvml *n, unsigned int index, struct gpu *g)
{
	const struct gpu *before = index < n->last.nr && !n->last.list[index].is_instance ? &n->last.list[index] : NULL;
	unsigned int mig = 0, pending = 0;
	char uuid[NVML_UUID_MAX] = "";
	struct nvml_pci pci = {};
	struct nvml_device *d = NULL;
	int r;

	*g = (struct gpu){ .index = index, .memory_node = -1, .busy = -1 };
	r = CALL(n, device, index, &d);
	if (r == NVML_OK)
		r = CALL(n, uuid, d, uuid, sizeof(uuid));
	if (r != NVML_OK) {	/* also "unknown error", of one that fell off the bus */
		set_lost(g, before, error_text(n, r));
		return NULL;
	}
	read_names(n, d, g, uuid);
	if (ask(n, g, CALL(n, pci, d, &pci)))
		snprintf(g->pci, sizeof(g->pci), "%04x:%02x:%02x.0", pci.domain, pci.bus & 0xff, pci.device & 0x1f);
	if (g->state == GPU_OK && ask(n, g, CALL(n, mig_mode, d, &mig, &pending)))
		g->mig = mig;
	if (g->state == GPU_OK)
		read_state(n, d, g);
	else if (before && streq(before->uuid, g->uuid) && !g->pci[0])
		snprintf(g->pci, sizeof(g->pci), "%s", before->pci);
	return g->state == GPU_OK ? d : NULL;
}

/* Those that were there and are not found any more; all of them, if NVML says nothing at all. */
static void keep_lost(struct nvml *n, const char *error)
{
	for (unsigned int i = 0; i < n->last.nr && n->next.nr < AGENTCG_GPUS_MAX; i++) {
		const struct gpu *before = &n->last.list[i];

		if (!before->uuid[0] || find_uuid(&n->next, before->uuid))
			continue;
		n->next.list[n->next.nr] = *before;
		set_lost(&n->next.list[n->next.nr++], NULL, error);
	}
}

static void look(struct nvml *n)
{
	struct nvml_device *handles[AGENTCG_GPUS_MAX];
	unsigned int nr = 0;
	int r = NVML_OK;

	if (!load(n)) {
		keep_lost(n, "the driver is gone");
		return;
	}
	if (!n->up)
		r = CALL(n, init);
	n->up = r == NVML_OK;
	if (n->up)
		r = CALL(n, count, &nr);
	if (r != NVML_OK) {
		agentcg_why(0, n->next.reason, "NVIDIA's driver does not work: %s", error_text(n, r));
		keep_lost(n, error_text(n, r));
		unload(n);	/* perhaps another one is installed and loaded */
		return;
	}
	nr = (unsigned int)min_u64(nr, AGENTCG_GPUS_MAX);
	for (unsigned int i = 0; i < nr; i++)
		handles[i] = read_gpu(n, i, &n->next.list[n->next.nr++]);
	for (unsigned int i = 0; i < nr; i++)
		if (handles[i] && n->next.list[i].mig)
			read_instances(n, handles[i], &n->next.list[i]);
	keep_lost(n, "it is not on the bus any more");
	if (n->next.nr == 0)
		agentcg_why(0, n->next.reason, "NVIDIA's driver is there, but no GPU");
}

static void put(struct nvml *n)
{
	bool last;

	pthread_mutex_lock(&n->lock);
	last = --n->refs == 0;
	pthread_mutex_unlock(&n->lock);
	if (!last)
		return;
	close(n->fd);
	pthread_cond_destroy(&n->wake);
	pthread_mutex_destroy(&n->lock);
	free(n->library);
	free(n);
}

static void *run(void *userdata)
{
	struct nvml *n = userdata;

	pthread_mutex_lock(&n->lock);
	while (!n->stop) {
		if (!n->wanted) {
			pthread_cond_wait(&n->wake, &n->lock);
			continue;
		}
		pthread_mutex_unlock(&n->lock);
		n->next = (struct gpus){};
		look(n);
		pthread_mutex_lock(&n->lock);
		n->next.time_usec = now_usec(CLOCK_MONOTONIC);
		n->last = n->next;
		n->wanted = false;
		(void)eventfd_write(n->fd, 1);
	}
	pthread_mutex_unlock(&n->lock);
	unload(n);
	put(n);
	return NULL;
}

int agentcg_nvml_open(struct nvml **ret, const char *library)
{
	struct nvml *n = calloc(1, sizeof(*n));

	if (!n)
		return -ENOMEM;
	n->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	n->library = library ? strdup(library) : NULL;
	if (n->fd < 0 || (library && !n->library)) {
		int r = n->fd < 0 ? -errno : -ENOMEM;

		if (n->fd >= 0)
			close(n->fd);
		free(n->library);
		free(n);
		return r;
	}
	pthread_mutex_init(&n->lock, NULL);
	pthread_cond_init(&n->wake, NULL);
	n->refs = 1;
	agentcg_why(0, n->last.reason, "nobody has looked for GPUs yet");
	*ret = n;
	return 0;
}

struct nvml *agentcg_nvml_close(struct nvml *n)
{
	struct timespec until;
	uint64_t usec;

	if (!n)
		return NULL;
	pthread_mutex_lock(&n->lock);
	n->stop = true;
	pthread_cond_signal(&n->wake);
	pthread_mutex_unlock(&n->lock);
	usec = now_usec(CLOCK_REALTIME) + CLOSE_USEC;
	until = (struct timespec){ .tv_sec = usec / USEC_PER_SEC, .tv_nsec = usec % USEC_PER_SEC * NSEC_PER_USEC };
	if (n->started && pthread_timedjoin_np(n->thread, NULL, &until) != 0)
		pthread_detach(n->thread);
	put(n);
	return NULL;
}

/* Signals are the daemon's main thread's. */
static bool start(struct nvml *n)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&n->thread, NULL, run, n);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r == 0) {
		n->started = true;
		n->refs++;
	}
	return r == 0;
}

static bool hangs(const struct nvml *n)
{
	return n->since_usec && now_usec(CLOCK_MONOTONIC) - n->since_usec > AGENTCG_NVML_HUNG_USEC;
}

void agentcg_nvml_refresh(struct nvml *n)
{
	pthread_mutex_lock(&n->lock);
	if (n->started || start(n)) {
		n->wanted = true;
		pthread_cond_signal(&n->wake);
	} else {
		agentcg_why(0, n->last.reason, "no thread could be started to ask NVIDIA's driver");
		(void)eventfd_write(n->fd, 1);
	}
	if (hangs(n) && !n->told) {
		n->told = true;
		(void)eventfd_write(n->fd, 1);
	}
	pthread_mutex_unlock(&n->lock);
}

void agentcg_nvml_get(struct nvml *n, struct gpus *ret)
{
	eventfd_t count;

	pthread_mutex_lock(&n->lock);
	(void)eventfd_read(n->fd, &count);
	*ret = n->last;
	if (hangs(n))
		agentcg_why(0, ret->reason, "NVIDIA's driver has not answered for %u s (%s); what is shown is older",
			    (unsigned int)((now_usec(CLOCK_MONOTONIC) - n->since_usec) / USEC_PER_SEC), n->call);
	pthread_mutex_unlock(&n->lock);
}

int agentcg_nvml_fd(struct nvml *n)
{
	return n->fd;
}

const struct gpu *agentcg_gpus_find(const struct gpus *g, const char *name)
{
	const struct gpu *found = NULL;
	unsigned long index, instance = 0;
	bool is_instance = false;
	char *end;

	if (name[0] >= '0' && name[0] <= '9') {
		index = strtoul(name, &end, 10);
		if (*end == '/' && end[1] >= '0' && end[1] <= '9') {
			is_instance = true;
			instance = strtoul(end + 1, &end, 10);
		}
		for (unsigned int i = 0; i < g->nr && !*end; i++)
			if (g->list[i].index == index && g->list[i].is_instance == is_instance && g->list[i].instance == instance)
				return &g->list[i];
		return NULL;
	}
	for (unsigned int i = 0; i < g->nr && (startswith(name, "GPU-") || startswith(name, "MIG-")); i++) {
		if (streq(g->list[i].uuid, name))
			return &g->list[i];
		if (!startswith(g->list[i].uuid, name))
			continue;
		if (found)
			return NULL;
		found = &g->list[i];
	}
	return found;
}
